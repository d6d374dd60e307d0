//! Revocation lists from URLs: which to fetch when, and what came of it.
//! Never: a socket, a clock; `control/upkeep.rs` brings both. Something in the place of a list that no authority signed, or
//! that is older.
//! Next: `clients`, which reads the lists.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::clients::decode_lists;
use crate::control::config::checked::TlsProfile;
use crate::control::config::guests::Lists;
use crate::pipeline::authenticate::certificate::judge::Judge;
use crate::pipeline::authenticate::certificate::lists::List;

/// After a failure, unless lists are fetched more often. Seconds.
const RETRY_S: i64 = 30;

/// What was fetched last.
#[derive(Default)]
pub struct FetchedLists {
    by_url: BTreeMap<String, Fetched>,
}

struct Fetched {
    /// None before the first came; then one for each issuer and scope.
    lists: Vec<Arc<List>>,
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
    pub fn of(&self, profile: &TlsProfile) -> Vec<Arc<List>> {
        let known = urls(profile).0.iter().filter_map(|url| self.by_url.get(url));
        known.flat_map(|fetched| fetched.lists.iter().cloned()).collect()
    }

    /// Forgets what nobody wants any more and gives what is to be fetched now.
    pub fn due(&mut self, profiles: &[TlsProfile], now_s: i64) -> Vec<String> {
        let (mut due, mut known) = (Vec::new(), BTreeMap::new());
        for profile in profiles {
            let (wanted, refresh_s) = urls(profile);
            for url in wanted {
                let old = known.remove(url).or_else(|| self.by_url.remove(url));
                let mut fetched = old.unwrap_or(Fetched { lists: Vec::new(), refresh_s, ask_at_s: now_s });
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

    /// Takes what a fetch led to. `judges` are those of the profiles that want it.
    pub fn answered(
        &mut self,
        url: &str,
        answer: Result<Vec<u8>, String>,
        judges: &[&Judge],
        now_s: i64,
    ) -> Outcome {
        let Some(fetched) = self.by_url.get_mut(url) else { return Outcome::Same };
        let read = answer.and_then(|bytes| {
            let lists = decode_lists(&bytes, Path::new(url)).map_err(|problem| problem.what)?;
            merge(&fetched.lists, lists, judges)
        });
        match read {
            Ok(lists) => {
                fetched.ask_at_s = now_s.saturating_add(fetched.refresh_s);
                let is_same = |(known, come): (&Arc<List>, &Arc<List>)| known.content() == come.content();
                if fetched.lists.len() == lists.len() && fetched.lists.iter().zip(&lists).all(is_same) {
                    return Outcome::Same;
                }
                fetched.lists = lists;
                Outcome::Changed
            }
            Err(reason) => {
                fetched.ask_at_s = now_s.saturating_add(fetched.refresh_s.min(RETRY_S));
                Outcome::Failed(reason)
            }
        }
    }
}

/// What there is with what has come in its place. Whoever sits between here and an `http:` URL can send what it likes, so that
/// only what an authority signed is taken, and nothing that was true once.
fn merge(known: &[Arc<List>], come: Vec<Arc<List>>, judges: &[&Judge]) -> Result<Vec<Arc<List>>, String> {
    let signer = |list: &List| judges.iter().find_map(|judge| judge.signer(list));
    // Of authorities that are still trusted.
    let mut lists: Vec<Arc<List>> = known.iter().filter(|list| signer(list).is_some()).cloned().collect();
    for list in come {
        let Some(by) = signer(&list) else { return Err("no authority of ca_file signed it".to_owned()) };
        let like = lists.iter_mut().find(|known| known.is_like(&list) && signer(known) == Some(by));
        match like {
            None => lists.push(list),
            Some(known) if known.compare(&list) == Ordering::Greater => {
                return Err("it is older than the one that is there".to_owned());
            }
            Some(known) => *known = list,
        }
    }
    Ok(lists)
}

/// Whether a profile wants what is at `url`.
pub fn is_wanted(profile: &TlsProfile, url: &str) -> bool {
    urls(profile).0.iter().any(|wanted| wanted == url)
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

    use super::*;
    use crate::control::config::guests::{ClientAuth, Depth, Ocsp, Presence, Verdict};
    use crate::pipeline::authenticate::certificate::tests::{Authority, judge, rules};

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

    fn contents(lists: &FetchedLists, profile: &TlsProfile) -> Vec<Vec<u8>> {
        lists.of(profile).iter().map(|list| list.content().to_vec()).collect()
    }

    #[test]
    fn fetches_in_time_and_keeps_what_was_good() {
        let authority = Authority::new("clients");
        let list = |number| authority.list(number, 0, &[]);
        let judge = judge(&[&authority], &[], rules(&[]));
        let (mut lists, profiles) = (FetchedLists::default(), [profile(&["http://a/", "http://b/"])]);
        let answered =
            |lists: &mut FetchedLists, url, answer, now_s| lists.answered(url, answer, &[&judge], now_s);
        assert_eq!(lists.due(&profiles, 0), ["http://a/", "http://b/"]);
        assert!(lists.due(&profiles, 999_999).is_empty(), "asked twice");
        let (first, second) = (list(1), list(2));
        assert_eq!(answered(&mut lists, "http://a/", Ok(first.clone()), 0), Outcome::Changed);
        assert_eq!(contents(&lists, &profiles[0]), [List::read(&first).unwrap().content()]);
        assert!(matches!(answered(&mut lists, "http://b/", Ok(b"no list".to_vec()), 0), Outcome::Failed(_)));
        assert!(lists.due(&profiles, 29).is_empty());
        assert_eq!(lists.due(&profiles, 30), ["http://b/"]);
        assert_eq!(lists.due(&profiles, 100), ["http://a/"]);
        assert!(matches!(answered(&mut lists, "http://a/", Err("gone".to_owned()), 100), Outcome::Failed(_)));
        assert_eq!(contents(&lists, &profiles[0]), [List::read(&first).unwrap().content()]);
        assert_eq!(lists.due(&profiles, 130), ["http://a/"]);
        assert_eq!(answered(&mut lists, "http://a/", Ok(first), 130), Outcome::Same);
        assert_eq!(lists.due(&profiles, 230), ["http://a/"]);
        assert_eq!(answered(&mut lists, "http://a/", Ok(second), 230), Outcome::Changed);
        // Nobody wants it any more.
        assert!(lists.due(&[TlsProfile::without_files("internal")], 999).is_empty());
        assert_eq!(answered(&mut lists, "http://b/", Ok(list(3)), 999), Outcome::Same);
    }

    #[test]
    fn takes_nothing_that_no_authority_signed_or_that_is_older() {
        let (authority, stranger) = (Authority::new("clients"), Authority::new("clients"));
        let (judge, profiles) = (judge(&[&authority], &[], rules(&[])), [profile(&["http://a/"])]);
        let mut lists = FetchedLists::default();
        let _ = lists.due(&profiles, 0);
        let mut take = |list: Vec<u8>| {
            let outcome = lists.answered("http://a/", Ok(list), &[&judge], 0);
            (outcome, contents(&lists, &profiles[0]))
        };
        let content = |list: &[u8]| vec![List::read(list).unwrap().content().to_vec()];
        let (good, newer) = (authority.list(5, -60, &[42]), authority.list(6, -60, &[42]));
        assert!(matches!(take(stranger.list(4, -60, &[])), (Outcome::Failed(_), known) if known.is_empty()));
        assert_eq!(take(good.clone()), (Outcome::Changed, content(&good)));
        for refused in [stranger.list(9, 0, &[]), authority.list(4, 0, &[]), authority.list(5, -61, &[])] {
            assert!(matches!(take(refused), (Outcome::Failed(_), known) if known == content(&good)));
        }
        assert_eq!(take(newer.clone()), (Outcome::Changed, content(&newer)));
        assert_eq!(take(newer.clone()), (Outcome::Same, content(&newer)));
    }
}
