//! Proofs that our own certificates are not revoked, to be sent along in handshakes: which to ask for when, what to keep,
//! and until when.
//! Never: a socket, a clock; `control/upkeep.rs` brings both. A proof that was not verified, or that is out of date.
//! Next: `control/ocsp`, the question and the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use super::TlsMaterial;
use super::load::{Fingerprint, Identity};
use crate::control::config::checked::TlsProfile;
use crate::control::config::profile::Stapling;
use crate::control::ocsp::request::encode_request;
use crate::control::ocsp::response::{Status, verify_response};
use crate::control::ocsp::{Issuer, Subject, responders};

/// After a failure: at first, and at most. Seconds.
const RETRY_S: (i64, i64) = (60, 3_600);
/// However short an answer's life is, its responder is left alone for this long. Seconds.
const AGAIN_S: i64 = 300;

/// What is known of each certificate that is stapled.
#[derive(Default)]
pub struct Staples {
    by_leaf: BTreeMap<Fingerprint, Staple>,
}

struct Staple {
    subject: Subject,
    urls: Vec<String>,
    /// As the responder signed it; empty before the first answer.
    proof: Vec<u8>,
    good_until_s: i64,
    /// When to ask; `i64::MAX` while somebody does.
    ask_at_s: i64,
    retry_s: i64,
}

/// A question to be asked, away from the control thread.
pub struct Question {
    leaf: Fingerprint,
    /// The profile, for the log.
    pub profile: String,
    /// Where, in this order until one answers.
    pub urls: Vec<String>,
    /// What to post.
    pub body: Vec<u8>,
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a new proof until then, Unix seconds.
    Stapled(i64),
    /// There is none, for this reason. What was there stays until it expires.
    Failed(String),
    /// The certificate was revoked: it should be replaced at once.
    Revoked,
    /// The certificate is not served any more.
    Forgotten,
}

impl Staples {
    /// The identity with its proof, if there is a good one.
    pub fn attach(&self, identity: Identity, now_s: i64) -> Identity {
        let proof = self.by_leaf.get(&identity.fingerprint).filter(|staple| now_s < staple.good_until_s);
        let ocsp = proof.map(|staple| staple.proof.clone());
        if identity.certified.ocsp == ocsp {
            return identity;
        }
        let CertifiedKey { cert, key, .. } = &*identity.certified;
        let certified = CertifiedKey { cert: cert.clone(), key: Arc::clone(key), ocsp };
        Identity { certified: Arc::new(certified), ..identity }
    }

    /// Whether something is stapled that must not be sent any more.
    pub fn is_stale(&self, served: &[TlsMaterial], now_s: i64) -> bool {
        let stapled = served.iter().flat_map(|material| &material.certificates);
        stapled.filter(|identity| identity.certified.ocsp.is_some()).any(|identity| {
            self.by_leaf.get(&identity.fingerprint).is_none_or(|staple| staple.good_until_s <= now_s)
        })
    }

    /// Forgets what is not served any more and gives what is to be asked now.
    pub fn due(&mut self, profiles: &[TlsProfile], served: &[TlsMaterial], now_s: i64) -> Vec<Question> {
        let (mut due, mut known) = (Vec::new(), BTreeMap::new());
        for (profile, material) in profiles.iter().zip(served) {
            for identity in &material.certificates {
                let urls = places(&profile.stapling, identity);
                let Some(issuer) = identity.certified.cert.get(1).filter(|_| !urls.is_empty()) else {
                    continue;
                };
                let leaf = identity.fingerprint;
                let staple = match known.remove(&leaf).or_else(|| self.by_leaf.remove(&leaf)) {
                    Some(staple) => Some(Staple { urls, ..staple }),
                    None => subject(identity, issuer).map(|subject| Staple::new(subject, urls, now_s)),
                };
                let Some(mut staple) = staple else { continue };
                if staple.ask_at_s <= now_s
                    && let Ok(body) = encode_request(&staple.subject, None)
                {
                    staple.ask_at_s = i64::MAX;
                    due.push(Question {
                        leaf,
                        profile: profile.name.clone(),
                        urls: staple.urls.clone(),
                        body,
                    });
                }
                known.insert(leaf, staple);
            }
        }
        self.by_leaf = known;
        due
    }

    /// Takes what a question led to.
    pub fn answered(&mut self, question: &Question, answer: Result<Vec<u8>, String>, now_s: i64) -> Outcome {
        let Some(staple) = self.by_leaf.get_mut(&question.leaf) else { return Outcome::Forgotten };
        let verified = answer.and_then(|der| {
            let answer =
                verify_response(&der, &staple.subject, None, now_s).map_err(|error| error.to_string())?;
            Ok((der, answer))
        });
        let failed = match verified {
            Ok((der, answer)) => match answer.status {
                Status::Good if answer.good_until_s > now_s => {
                    staple.keep(der, answer.this_update_s, answer.good_until_s, now_s);
                    return Outcome::Stapled(answer.good_until_s);
                }
                Status::Good => "the answer has expired".to_owned(),
                Status::Unknown => "the responder does not know the certificate".to_owned(),
                Status::Revoked => {
                    staple.proof.clear();
                    staple.good_until_s = i64::MIN;
                    staple.retry(now_s);
                    return Outcome::Revoked;
                }
            },
            Err(reason) => reason,
        };
        staple.retry(now_s);
        Outcome::Failed(failed)
    }
}

impl Staple {
    fn new(subject: Subject, urls: Vec<String>, now_s: i64) -> Self {
        Self { subject, urls, proof: Vec::new(), good_until_s: i64::MIN, ask_at_s: now_s, retry_s: RETRY_S.0 }
    }

    /// Asked again when half of its life is over.
    fn keep(&mut self, proof: Vec<u8>, from_s: i64, until_s: i64, now_s: i64) {
        let half_s = from_s.saturating_add(until_s.saturating_sub(from_s) / 2);
        self.proof = proof;
        self.good_until_s = until_s;
        self.ask_at_s = half_s.max(now_s.saturating_add(AGAIN_S));
        self.retry_s = RETRY_S.0;
    }

    fn retry(&mut self, now_s: i64) {
        self.ask_at_s = now_s.saturating_add(self.retry_s);
        self.retry_s = (self.retry_s * 2).min(RETRY_S.1);
    }
}

fn subject(identity: &Identity, issuer: &CertificateDer<'_>) -> Option<Subject> {
    let leaf = identity.certified.cert.first()?;
    Subject::of(leaf, Issuer::of(issuer).ok()?).ok()
}

/// Where a certificate is asked about.
fn places(stapling: &Stapling, identity: &Identity) -> Vec<String> {
    match stapling {
        Stapling::Off => Vec::new(),
        Stapling::Named => identity.certified.cert.first().map(responders).unwrap_or_default(),
        Stapling::Responder(url) => vec![url.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{identity, issued, material};
    use super::*;

    /// A profile whose one certificate has its issuer with it, and what asks about it.
    fn served(stapling: Stapling) -> ([TlsProfile; 1], [TlsMaterial; 1]) {
        let profile = TlsProfile { stapling, ..TlsProfile::without_files("public") };
        let material = material(&profile, vec![issued(&["a.test"])]);
        ([profile], [material])
    }

    fn ask_here() -> Stapling {
        Stapling::Responder("http://ocsp.test/".to_owned())
    }

    #[test]
    fn asks_about_what_has_a_responder_and_an_issuer() {
        for (stapling, identity, questions) in [
            (ask_here(), issued(&["a.test"]), 1),
            (ask_here(), identity(&["a.test"]), 0),
            (Stapling::Off, issued(&["a.test"]), 0),
            (Stapling::Named, issued(&["a.test"]), 0),
        ] {
            let profile = TlsProfile { stapling, ..TlsProfile::without_files("public") };
            let material = material(&profile, vec![identity]);
            assert_eq!(Staples::default().due(&[profile], &[material], 100).len(), questions);
        }
    }

    #[test]
    fn asks_one_question_at_a_time_and_less_and_less_often_in_vain() {
        let (profiles, served) = served(ask_here());
        let mut staples = Staples::default();
        let mut now_s = 0;
        for wait_s in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            let question = staples.due(&profiles, &served, now_s).remove(0);
            assert!(staples.due(&profiles, &served, now_s + 999_999).is_empty(), "asked twice");
            let outcome = staples.answered(&question, Err("nobody there".to_owned()), now_s);
            assert_eq!(outcome, Outcome::Failed("nobody there".to_owned()));
            assert!(staples.due(&profiles, &served, now_s + wait_s - 1).is_empty());
            now_s += wait_s;
        }
        let question = staples.due(&profiles, &served, now_s).remove(0);
        assert!(matches!(staples.answered(&question, Ok(b"no OCSP".to_vec()), now_s), Outcome::Failed(_)));
    }

    #[test]
    fn keeps_a_proof_through_a_dead_responder_until_it_expires() {
        let (profiles, served) = served(ask_here());
        let (mut staples, identity) = (Staples::default(), &served[0].certificates[0]);
        let question = staples.due(&profiles, &served, 1_000).remove(0);
        staples.by_leaf.get_mut(&question.leaf).unwrap().keep(b"proof".to_vec(), 1_000, 11_000, 1_000);
        let proof = |staples: &Staples, now_s| staples.attach(identity.clone(), now_s).certified.ocsp.clone();
        assert_eq!(proof(&staples, 1_000).as_deref(), Some(&b"proof"[..]));
        // Asked again when half of its life is over, in vain.
        assert!(staples.due(&profiles, &served, 5_999).is_empty());
        let question = staples.due(&profiles, &served, 6_000).remove(0);
        staples.answered(&question, Err("nobody there".to_owned()), 6_000);
        assert_eq!(proof(&staples, 10_999).as_deref(), Some(&b"proof"[..]));
        assert_eq!(proof(&staples, 11_000), None);
        let stapled = staples.attach(identity.clone(), 6_000);
        let served = [TlsMaterial { certificates: vec![stapled], ..served[0].clone() }];
        assert!(!staples.is_stale(&served, 10_999));
        assert!(staples.is_stale(&served, 11_000));
    }

    #[test]
    fn forgets_a_certificate_that_was_replaced() {
        let (profiles, served) = served(ask_here());
        let mut staples = Staples::default();
        let question = staples.due(&profiles, &served, 0).remove(0);
        let replaced = [material(&profiles[0], vec![issued(&["a.test"])])];
        assert_eq!(staples.due(&profiles, &replaced, 0).len(), 1);
        assert_eq!(staples.answered(&question, Ok(Vec::new()), 0), Outcome::Forgotten);
        assert_eq!(staples.by_leaf.len(), 1);
    }
}
