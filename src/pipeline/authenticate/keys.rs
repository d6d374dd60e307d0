//! API keys, looked up by their HMAC.
//! Never: a key in clear, a comparison that stops early.
//! Next: `grants`, which roles a caller has.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::{Facts, Method, Principal, Unknown};
use crate::pipeline::turn::Now;

/// One API key as it is stored.
#[derive(Clone)]
pub struct KeyEntry {
    /// A public name for logs and audit.
    pub id: Arc<str>,
    /// HMAC-SHA-256 of the whole key under the pepper.
    pub mac: [u8; 32],
    /// One bit a role.
    pub roles: u64,
    /// Unix seconds after which the key is refused.
    pub expires_at_s: u64,
}

/// A key and whose it is.
struct Stored {
    mac: [u8; 32],
    principal: Principal,
}

/// All API keys, sorted by MAC.
pub struct KeyTable {
    pepper: hmac::Key,
    keys: Vec<Stored>,
}

impl KeyTable {
    /// Builds a table from entries whose MACs were made under `pepper`.
    pub fn build(pepper: &[u8], entries: Vec<KeyEntry>) -> Self {
        let stored = |KeyEntry { id, mac, roles, expires_at_s }| {
            let facts = Arc::new(Facts { key: Some(mac), ..Facts::of(Method::ApiKey) });
            Stored { mac, principal: Principal { id, roles, expires_at_s, facts } }
        };
        let mut keys: Vec<_> = entries.into_iter().map(stored).collect();
        keys.sort_by_key(|key| key.mac);
        Self { pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper), keys }
    }

    /// The MAC under which `key` is stored.
    pub fn mac(pepper: &[u8], key: &[u8]) -> [u8; 32] {
        mac_of(&hmac::Key::new(hmac::HMAC_SHA256, pepper), key)
    }

    /// Who was let in by a key of an older table, as that key stands in this one; none when the very key is gone or past
    /// its time, also when another of the same id is not: a key that was taken away must not live on beside its successor.
    pub(super) fn find_again(&self, principal: &Principal, now: Now) -> Option<Principal> {
        let found = self.find_mac(principal.facts.key.as_ref()?)?;
        (found.id == principal.id && now.unix_s() < found.expires_at_s).then(|| found.clone())
    }

    /// Looks a key up. The search compares MACs, which nobody can choose without the pepper, and the one candidate
    /// in constant time; a missing candidate costs the same comparison.
    pub(super) fn find(&self, key: &[u8], now: Now) -> Result<Principal, Unknown> {
        let principal = self.find_mac(&mac_of(&self.pepper, key)).ok_or(Unknown::NoSuchKey)?;
        if now.unix_s() >= principal.expires_at_s {
            return Err(Unknown::Expired);
        }
        Ok(principal.clone())
    }

    fn find_mac(&self, mac: &[u8; 32]) -> Option<&Principal> {
        let at = self.keys.partition_point(|key| key.mac < *mac);
        let candidate = self.keys.get(at);
        let stored = candidate.map_or([0; 32], |key| key.mac);
        let is_same = verify_slices_are_equal(&stored, mac).is_ok();
        candidate.filter(|_| is_same).map(|key| &key.principal)
    }
}

fn mac_of(pepper: &hmac::Key, key: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(pepper, key);
    let mut mac = [0; 32];
    for (to, from) in mac.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    mac
}
