//! A question to a certificate's responder: put by a connection, answered by the control plane while it waits.
//! Never: a wait on the shard; whoever answers wakes the connection's task.
//! Next: `control/ocsp/asker.rs`, who answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Waker;

use atomic_waker::AtomicWaker;

use super::{ClientCertificate, Reason};

/// Whom to ask about certificates.
pub trait Ocsp: Send + Sync {
    /// Takes the question; never waits.
    fn ask(&self, inquiry: &Arc<Inquiry>);

    /// What an answer that does not come, or can not be believed, means.
    fn on_failure(&self) -> OnFailure;
}

/// What it means that there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The client is not let in.
    Deny,
    /// It is.
    Allow,
}

/// Who issued a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its name, DER.
    pub name: Vec<u8>,
    /// Its SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Not revoked, until that second of Unix time.
    Good {
        /// Unix seconds.
        until_s: u64,
    },
    /// One of the OCSP reasons.
    Bad(Reason),
}

const PENDING: u8 = 0;
const GOOD: u8 = 1;
const REVOKED: u8 = 2;
const UNKNOWN: u8 = 3;
const FAILED: u8 = 4;

/// One question.
pub struct Inquiry {
    /// About which certificate.
    pub certificate: Arc<ClientCertificate>,
    /// Who issued it.
    pub issuer: Issuer,
    state: AtomicU8,
    until_s: AtomicU64,
    waker: AtomicWaker,
}

impl Inquiry {
    /// A question that waits for its answer.
    pub fn new(certificate: Arc<ClientCertificate>, issuer: Issuer) -> Self {
        Self {
            certificate,
            issuer,
            state: AtomicU8::new(PENDING),
            until_s: AtomicU64::new(0),
            waker: AtomicWaker::new(),
        }
    }

    /// Answers, and wakes who waits.
    pub fn answer(&self, finding: Finding) {
        let state = match finding {
            Finding::Good { until_s } => {
                self.until_s.store(until_s, Ordering::Relaxed);
                GOOD
            }
            Finding::Bad(Reason::RevokedByOcsp) => REVOKED,
            Finding::Bad(Reason::OcspUnknown) => UNKNOWN,
            Finding::Bad(_) => FAILED,
        };
        self.state.store(state, Ordering::Release);
        self.waker.wake();
    }

    /// The answer, or nothing yet; then `waker` is woken when there is one.
    pub fn poll(&self, waker: &Waker) -> Option<Finding> {
        self.waker.register(waker);
        match self.state.load(Ordering::Acquire) {
            PENDING => None,
            GOOD => Some(Finding::Good { until_s: self.until_s.load(Ordering::Relaxed) }),
            REVOKED => Some(Finding::Bad(Reason::RevokedByOcsp)),
            UNKNOWN => Some(Finding::Bad(Reason::OcspUnknown)),
            _ => Some(Finding::Bad(Reason::OcspFailed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_answered() {
        let certificate = Arc::new(ClientCertificate {
            identity: "a".into(),
            kind: super::super::names::NameKind::Dns,
            subject: String::new(),
            serial: vec![1],
            issuer_sha256: [0; 32],
            sha256: [0; 32],
            not_after_s: 0,
            chain: Vec::new(),
        });
        for finding in [
            Finding::Good { until_s: 7 },
            Finding::Bad(Reason::RevokedByOcsp),
            Finding::Bad(Reason::OcspUnknown),
            Finding::Bad(Reason::OcspFailed),
        ] {
            let issuer = Issuer { name: Vec::new(), spki: Vec::new() };
            let inquiry = Inquiry::new(certificate.clone(), issuer);
            assert_eq!(inquiry.poll(Waker::noop()), None);
            inquiry.answer(finding);
            assert_eq!(inquiry.poll(Waker::noop()), Some(finding));
        }
    }
}
