//! The certificate of the peer: read when the handshake is over, asked about where that is configured, and judged again
//! when what it is judged by has changed. What arrives while its responder is asked waits; the shard does not.
//! Never: a request handled for a certificate that is not, or no more, accepted.
//! Next: `pipeline/authenticate/certificate`, what it is judged by.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;

use super::timing::Wait;
use super::{Connection, Life, listener_of};
use crate::pipeline::authenticate::certificate::inquiry::{Finding, Inquiry, OnFailure};
use crate::pipeline::authenticate::certificate::judge::{Judge, Presence};
use crate::pipeline::authenticate::certificate::{ClientCertificate, Reason, Rejected};
use crate::pipeline::event::{Count, Outcome, Stage};
use crate::pipeline::tls::Tls;
use crate::pipeline::turn::{Now, Turn};

/// How long a client is let in whose responder does not answer, where that is allowed, before it is asked again.
const UNANSWERED_S: u64 = 60;

/// The peer, as its certificate names it.
pub(super) struct Client {
    certificate: Arc<ClientCertificate>,
    /// Of the judge that accepted it.
    version: [u8; 32],
    /// Of the snapshot under which that was looked at.
    generation: u64,
    standing: Standing,
}

/// What its responder says.
enum Standing {
    /// Nobody is asked.
    Unasked,
    /// The answer is awaited.
    Asking(Arc<Inquiry>),
    /// Good until then, Unix seconds.
    Good(u64),
}

impl Client {
    pub(super) fn certificate(&self) -> &Arc<ClientCertificate> {
        &self.certificate
    }
}

impl Connection {
    /// Whether what arrives has to wait for what a responder says.
    pub(super) fn is_asking(&self) -> bool {
        self.client.as_ref().is_some_and(|client| matches!(client.standing, Standing::Asking(_)))
    }

    /// The handshake is over. A full one has just been judged, a resumed one long ago, and what it was judged by then may
    /// not hold any more.
    pub(super) fn meet_client(&mut self, tls: &Tls, turn: &mut Turn<'_>) {
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        let Some(judge) = &listener.judge else { return };
        let chain = tls.peer_certificates();
        if chain.is_empty() {
            return self.miss_client(judge, turn);
        }
        let is_judged = !tls.is_resumed() && self.judged_by == judge.version;
        let judged = if is_judged { Ok(()) } else { judge.judge(chain, moment(turn.now)) };
        match judged.and_then(|()| ClientCertificate::read(chain, &judge.rules.identity_from)) {
            Ok(certificate) => {
                self.client = Some(Box::new(Client {
                    certificate: Arc::new(certificate),
                    version: judge.version,
                    generation: turn.snapshot.generation,
                    standing: Standing::Good(0),
                }));
                self.ask(judge, turn);
            }
            Err(rejected) => self.reject(&rejected, turn),
        }
    }

    /// Whether the peer's certificate is as good as when it came; looked at again after a reload and when the answer of
    /// its responder is past its time. While that is asked again, what arrives waits.
    pub(super) fn recognise_client(&mut self, turn: &mut Turn<'_>) {
        if self.life != Life::Open {
            return;
        }
        let Some(client) = &mut self.client else {
            let listener = listener_of(turn.snapshot, self.listener);
            let judge = listener.and_then(|listener| listener.judge.as_ref());
            let is_established = self.tls.as_ref().is_some_and(|tls| tls.is_established());
            if let Some(judge) = judge.filter(|_| is_established) {
                self.miss_client(judge, turn);
            }
            return;
        };
        let is_dated = match &client.standing {
            Standing::Asking(inquiry) => {
                if let Some(finding) = inquiry.poll(turn.waker) {
                    self.found(finding, turn);
                }
                return;
            }
            Standing::Unasked => false,
            Standing::Good(until_s) => turn.now.unix_s() >= *until_s,
        };
        if client.generation == turn.snapshot.generation && !is_dated {
            return;
        }
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        let Some(judge) = &listener.judge else {
            // Certificates mean nothing here any more.
            self.client = None;
            return;
        };
        client.generation = turn.snapshot.generation;
        if client.version != judge.version {
            client.version = judge.version;
            if let Err(rejected) = judge_again(judge, &client.certificate, turn.now) {
                return self.reject(&rejected, turn);
            }
        } else if !is_dated {
            return;
        }
        self.ask(judge, turn);
    }

    /// The peer has no certificate, which may not be enough since a reload.
    fn miss_client(&mut self, judge: &Judge, turn: &mut Turn<'_>) {
        if judge.rules.presence == Presence::Required {
            self.reject(&Rejected::missing(), turn);
        }
    }

    /// Certificates are judged by something else from now on.
    pub fn handle_new_judge(&mut self, turn: &mut Turn<'_>) {
        self.recognise_client(turn);
        self.end_turn(turn);
    }

    /// Has the certificate's responder asked, where there is one to be asked.
    fn ask(&mut self, judge: &Arc<Judge>, turn: &mut Turn<'_>) {
        let Some(client) = &mut self.client else { return };
        let Some(ocsp) = &judge.ocsp else {
            client.standing = Standing::Unasked;
            return;
        };
        let Some(issuer) = judge.issuer(&client.certificate, moment(turn.now)) else {
            return self.found(Finding::Bad(Reason::OcspFailed), turn);
        };
        let inquiry = Arc::new(Inquiry::new(client.certificate.clone(), issuer));
        ocsp.ask(&inquiry);
        match inquiry.poll(turn.waker) {
            Some(finding) => self.found(finding, turn),
            None => {
                client.standing = Standing::Asking(inquiry);
                self.wait_for(Wait::Responder, turn);
            }
        }
    }

    /// The responder has spoken, or has been silent for too long.
    pub(super) fn found(&mut self, finding: Finding, turn: &mut Turn<'_>) {
        let Some(client) = &mut self.client else { return };
        let on_failure = || {
            let judge = listener_of(turn.snapshot, self.listener)?.judge.as_ref()?;
            judge.ocsp.as_ref().map(|ocsp| ocsp.on_failure())
        };
        let until_s = match finding {
            Finding::Good { until_s } => until_s,
            Finding::Bad(Reason::OcspFailed) if on_failure() == Some(OnFailure::Allow) => {
                turn.count(Count::TlsOcspAllowed);
                turn.now.unix_s() + UNANSWERED_S
            }
            Finding::Bad(reason) => {
                let rejected = Rejected::known(&client.certificate, reason);
                return self.reject(&rejected, turn);
            }
        };
        client.standing = Standing::Good(until_s);
        if self.wait == Wait::Responder {
            self.wait_for(Wait::Idle, turn);
        }
        if self.held.capacity() > 0 {
            self.advance_held(turn);
        }
        if self.has_input_ended {
            self.end_input(turn);
        }
    }

    /// The peer is not, or no more, who may be here. It is told nothing: after the handshake there is no alert to be
    /// had from rustls, and an answer would be read by whoever holds a certificate that was taken away.
    fn reject(&mut self, rejected: &Rejected, turn: &mut Turn<'_>) {
        self.note_rejected(rejected, turn);
        self.client = None;
        self.detach(turn);
        if self.life == Life::Open {
            self.life = Life::Closing;
        }
    }

    /// Counts a certificate that is not accepted, and writes it down.
    pub(super) fn note_rejected(&self, rejected: &Rejected, turn: &Turn<'_>) {
        turn.count(rejected.reason.count());
        let detail = rejected.to_string().into();
        self.record(turn, Outcome::Refused, Stage::Tls, rejected.reason.word(), Some(detail));
    }
}

/// Judges a certificate by what holds now. Whom it names under other rules is somebody else: what was granted to the one is
/// not the other's.
fn judge_again(judge: &Judge, known: &ClientCertificate, now: Now) -> Result<(), Rejected> {
    judge.judge(&known.chain, moment(now))?;
    let read = ClientCertificate::read(&known.chain, &judge.rules.identity_from)?;
    if (&read.identity, read.kind) == (&known.identity, known.kind) {
        return Ok(());
    }
    let detail = format!("the client is called {:?} by the settings of now", read.identity);
    Err(Rejected { detail, ..Rejected::known(known, Reason::NameNotAllowed) })
}

fn moment(now: Now) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(now.unix_s()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::authenticate::certificate::judge::{CLIENT_AUTH, Rules};
    use crate::pipeline::authenticate::certificate::names::NameKind;
    use crate::pipeline::authenticate::certificate::tests::{Authority, judge, now, rules};

    #[test]
    fn a_client_that_other_settings_call_something_else_does_not_stay() {
        let authority = Authority::new("clients");
        let chain = [authority.client(|_| {})];
        let by = |kinds: &[NameKind]| Rules { identity_from: kinds.to_vec(), ..rules(&[CLIENT_AUTH]) };
        let known = ClientCertificate::read(&chain, &[NameKind::Uri]).unwrap();
        for (kinds, expected) in [
            (&[NameKind::Uri][..], None),
            (&[NameKind::Uri, NameKind::Dns], None),
            (&[NameKind::Dns, NameKind::Uri], Some(Reason::NameNotAllowed)),
            (&[NameKind::CommonName], Some(Reason::NameNotAllowed)),
        ] {
            let judged = judge_again(&judge(&[&authority], &[], by(kinds)), &known, now());
            assert_eq!(judged.err().map(|rejected| rejected.reason), expected, "{kinds:?}");
        }
        let stranger = Authority::new("others");
        let judged = judge_again(&judge(&[&stranger], &[], by(&[NameKind::Uri])), &known, now());
        assert_eq!(judged.unwrap_err().reason, Reason::Untrusted);
    }
}
