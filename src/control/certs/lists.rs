//! Revocation lists from URLs: which to fetch when, and what came of it.
//! Never: a socket, a clock; `control/upkeep.rs` brings both. Something that is no list in the place of one.
//! Next: `clients`, which reads the lists.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::clients::decode_lists;
use crate::control::config::checked::TlsProfile;
use crate::control::config::guests::Lists;

/// After a failure, unless lists are fetched more often. Seconds.
const RETRY_S: i64 = 30;

/// What was fetched last.
#[derive(Default)]
pub struct FetchedLists {
    by_url: BTreeMap<String, Fetched>,
}

struct Fetched {
    /// None before the first came.
    bytes: Option<Arc<Vec<u8>>>,
    refresh_s: i64,
    /// When to ask; `i64::MAX` while somebody does.
    ask_at_s: i64,
}

/// What came of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Another list than before.
    Changed,
    /// The same, or one that nobody wants any more.
    Same,
    /// None, for this reason. What was there stays, until it is past its time.
    Failed(String),
}

impl FetchedLists {
    /// The lists that a profile wants, as far as they have come.
    pub fn of(&self, profile: &TlsProfile) -> Vec<Arc<Vec<u8>>> {
        let known = urls(profile).0.iter().filter_map(|url| self.by_url.get(url));
        known.filter_map(|fetched| fetched.bytes.clone()).collect()
    }

    /// Forgets what nobody wants any more and gives what is to be fetched now.
    pub fn due(&mut self, profiles: &[TlsProfile], now_s: i64) -> Vec<String> {
        let (mut due, mut known) = (Vec::new(), BTreeMap::new());
        for profile in profiles {
            let (wanted, refresh_s) = urls(profile);
            for url in wanted {
                let old = known.remove(url).or_else(|| self.by_url.remove(url));
                let mut fetched = old.unwrap_or(Fetched { bytes: None, refresh_s, ask_at_s: now_s });
                fetched.refresh_s = refresh_s;
                if fetched.ask_at_s <= now_s {
                    fetched.ask_at_s = i64::MAX;
                    due.push(url.clone());
                }
                known.insert(url.clone(), fetched);
            }
        }
        self.by_url = known;
        due
    }

    /// Takes what a fetch led to.
    pub fn answered(&mut self, url: &str, answer: Result<Vec<u8>, String>, now_s: i64) -> Outcome {
        let Some(fetched) = self.by_url.get_mut(url) else { return Outcome::Same };
        let read = answer.and_then(|bytes| {
            let mut unused = digest::Context::new(&digest::SHA256);
            decode_lists(&bytes, Path::new(url), &mut unused).map_err(|problem| problem.what)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) => {
                fetched.ask_at_s = now_s.saturating_add(fetched.refresh_s);
                if fetched.bytes.as_ref().is_some_and(|known| **known == bytes) {
                    return Outcome::Same;
                }
                fetched.bytes = Some(Arc::new(bytes));
                Outcome::Changed
            }
            Err(reason) => {
                fetched.ask_at_s = now_s.saturating_add(fetched.refresh_s.min(RETRY_S));
                Outcome::Failed(reason)
            }
        }
    }
}

/// What a profile wants fetched, and how often, seconds.
fn urls(profile: &TlsProfile) -> (&[String], i64) {
    match profile.client_auth.as_ref().map(|auth| &auth.lists) {
        Some(Lists::Used { urls, refresh, .. }) => {
            (urls, i64::try_from(refresh.as_secs()).unwrap_or(i64::MAX))
        }
        Some(Lists::Unused) | None => (&[], i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber,
    };

    use super::*;
    use crate::control::config::guests::{ClientAuth, Depth, Ocsp, Presence, Verdict};

    fn profile(urls: &[&str]) -> TlsProfile {
        let lists = Lists::Used {
            files: Vec::new(),
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            refresh: Duration::from_secs(100),
            depth: Depth::Chain,
            unknown: Verdict::Deny,
            expired: Verdict::Deny,
        };
        let auth = ClientAuth {
            presence: Presence::Required,
            ca_file: "ca.crt".into(),
            identity_from: Vec::new(),
            allowed_names: Vec::new(),
            purposes: Vec::new(),
            lifetime_max: Duration::MAX,
            rsa_bits_min: 2048,
            lists,
            ocsp: Ocsp::Off,
        };
        TlsProfile { client_auth: Some(auth), ..TlsProfile::without_files("internal") }
    }

    fn list(number: u64) -> Vec<u8> {
        let params = CertificateParams::new(Vec::new()).unwrap();
        let issuer = Issuer::new(params, KeyPair::generate().unwrap());
        let now = time::OffsetDateTime::UNIX_EPOCH;
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update: now + time::Duration::days(1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&issuer).unwrap().der().to_vec()
    }

    #[test]
    fn fetches_in_time_and_keeps_what_was_good() {
        let (mut lists, profiles) = (FetchedLists::default(), [profile(&["http://a/", "http://b/"])]);
        assert_eq!(lists.due(&profiles, 0), ["http://a/", "http://b/"]);
        assert!(lists.due(&profiles, 999_999).is_empty(), "asked twice");
        let (first, second) = (list(1), list(2));
        assert_eq!(lists.answered("http://a/", Ok(first.clone()), 0), Outcome::Changed);
        assert_eq!(lists.of(&profiles[0]), [Arc::new(first.clone())]);
        assert!(matches!(lists.answered("http://b/", Ok(b"no list".to_vec()), 0), Outcome::Failed(_)));
        assert!(lists.due(&profiles, 29).is_empty());
        assert_eq!(lists.due(&profiles, 30), ["http://b/"]);
        assert_eq!(lists.due(&profiles, 100), ["http://a/"]);
        assert!(matches!(lists.answered("http://a/", Err("gone".to_owned()), 100), Outcome::Failed(_)));
        assert_eq!(lists.of(&profiles[0]), [Arc::new(first.clone())]);
        assert_eq!(lists.due(&profiles, 130), ["http://a/"]);
        assert_eq!(lists.answered("http://a/", Ok(first), 130), Outcome::Same);
        assert_eq!(lists.due(&profiles, 230), ["http://a/"]);
        assert_eq!(lists.answered("http://a/", Ok(second), 230), Outcome::Changed);
        // Nobody wants it any more.
        assert!(lists.due(&[TlsProfile::without_files("internal")], 999).is_empty());
        assert_eq!(lists.answered("http://b/", Ok(list(3)), 999), Outcome::Same);
    }
}
