//! Which certificates are about to expire, and which are valid for longer than they should be: each is told once for each
//! threshold it passes.
//! Never: a clock, a log; times come in, facts go out.
//! Next: `control/upkeep.rs`, which asks every second and logs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::TlsMaterial;
use super::load::Identity;
use crate::control::config::checked::TlsProfile;

/// What there is to tell of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It will expire, and so much time is left.
    Expires(Duration),
    /// It has.
    Expired,
    /// It is valid for so long in all, which is longer than the profile says.
    TooLong(Duration),
}

/// A notice and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The profile.
    pub profile: String,
    /// The certificate's first name.
    pub name: String,
    /// Unix seconds.
    pub expires_at_s: i64,
    /// What there is to tell.
    pub notice: Notice,
}

/// Which certificate of which profile.
type Key = (String, Vec<u8>);

/// What was told so far.
#[derive(Default)]
pub struct Expiries {
    /// The shortest threshold that was told, in seconds; `i64::MAX` before the first.
    told: BTreeMap<Key, i64>,
}

impl Expiries {
    /// What is to be told now of what is served. Certificates that are not served any more are forgotten.
    pub fn due(&mut self, profiles: &[TlsProfile], served: &[TlsMaterial], now_s: i64) -> Vec<Told> {
        let (mut due, mut known) = (Vec::new(), BTreeMap::new());
        for (profile, material) in profiles.iter().zip(served) {
            for identity in &material.certificates {
                let key = (profile.name.clone(), identity.fingerprint.to_vec());
                let before = known.get(&key).or_else(|| self.told.get(&key)).copied();
                let mut tell = |notice| due.push(told(profile, identity, notice));
                if before.is_none() && identity.lifetime > profile.certificate_age_max {
                    tell(Notice::TooLong(identity.lifetime));
                }
                let mut shortest = before.unwrap_or(i64::MAX);
                let left_s = identity.expires_at_s.saturating_sub(now_s);
                if let Some(passed) = passed(profile, left_s).filter(|passed| *passed < shortest) {
                    let left = Duration::from_secs(u64::try_from(left_s).unwrap_or(0));
                    tell(if left_s < 0 { Notice::Expired } else { Notice::Expires(left) });
                    shortest = passed;
                }
                known.insert(key, shortest);
            }
        }
        self.told = known;
        due
    }
}

/// The shortest threshold that so much time is within, in seconds; -1 stands for the expiry itself.
fn passed(profile: &TlsProfile, left_s: i64) -> Option<i64> {
    if left_s < 0 {
        return Some(-1);
    }
    let thresholds =
        profile.expiry_warnings.iter().map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    thresholds.filter(|threshold| left_s <= *threshold).min()
}

fn told(profile: &TlsProfile, identity: &Identity, notice: Notice) -> Told {
    let name = identity.names.first().cloned().unwrap_or_default();
    Told { profile: profile.name.clone(), name, expires_at_s: identity.expires_at_s, notice }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{identity, material};
    use super::*;

    const DAY_S: i64 = 86_400;

    fn days(days: i64) -> Duration {
        Duration::from_secs(u64::try_from(days * DAY_S).unwrap())
    }

    #[test]
    fn tells_each_threshold_once_and_the_expiry() {
        let identity = identity(&["a.test"]);
        let profile = TlsProfile {
            expiry_warnings: vec![days(30), days(7), days(1)],
            ..TlsProfile::without_files("public")
        };
        let served = [material(&profile, vec![identity.clone()])];
        let profiles = [profile];
        let mut expiries = Expiries::default();
        let mut at = |left_s: i64| {
            let due = expiries.due(&profiles, &served, identity.expires_at_s - left_s);
            assert!(due.iter().all(|told| told.profile == "public" && told.name == "a.test"));
            due.into_iter().map(|told| told.notice).collect::<Vec<_>>()
        };
        assert_eq!(at(31 * DAY_S), []);
        assert_eq!(at(30 * DAY_S), [Notice::Expires(days(30))]);
        assert_eq!(at(29 * DAY_S), []);
        // Two thresholds at once are one notice.
        assert_eq!(at(DAY_S / 2), [Notice::Expires(days(1) / 2)]);
        assert_eq!(at(7 * DAY_S), []);
        assert_eq!(at(0), []);
        assert_eq!(at(-1), [Notice::Expired]);
        assert_eq!(at(-DAY_S), []);
    }

    #[test]
    fn tells_a_long_life_once_and_forgets_what_was_replaced() {
        let profile = TlsProfile { certificate_age_max: days(1) / 2, ..TlsProfile::without_files("public") };
        let (first, second) = (identity(&["a.test"]), identity(&["a.test"]));
        let now_s = first.expires_at_s - 60;
        let mut expiries = Expiries::default();
        let profiles = [profile.clone()];
        let mut of = |identity: &Identity| {
            expiries.due(&profiles, &[material(&profile, vec![identity.clone()])], now_s).len()
        };
        assert_eq!([of(&first), of(&first), of(&second), of(&second), of(&first)], [1, 0, 1, 0, 1]);
    }
}
