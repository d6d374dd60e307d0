//! API keys, looked up by their HMAC.
//! Never: a key in clear, a comparison that stops early.
//! Next: `grants`, which roles a caller has.

use std::collections::HashMap;
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

impl KeyEntry {
    fn principal(&self, facts: &Arc<Facts>) -> Principal {
        Principal {
            id: self.id.clone(),
            roles: self.roles,
            expires_at_s: self.expires_at_s,
            facts: facts.clone(),
        }
    }
}

/// All API keys, sorted by MAC.
pub struct KeyTable {
    pepper: hmac::Key,
    entries: Vec<KeyEntry>,
    /// The principal of each id, with the key that lasts longest.
    by_id: HashMap<Arc<str>, Principal>,
    facts: Arc<Facts>,
}

impl KeyTable {
    /// Builds a table from entries whose MACs were made under `pepper`.
    pub fn build(pepper: &[u8], mut entries: Vec<KeyEntry>) -> Self {
        entries.sort_by_key(|entry| entry.mac);
        let facts = Arc::new(Facts::of(Method::ApiKey));
        let mut by_id: HashMap<Arc<str>, Principal> = HashMap::new();
        for entry in &entries {
            let principal = entry.principal(&facts);
            if by_id.get(&entry.id).is_none_or(|known| known.expires_at_s < principal.expires_at_s) {
                by_id.insert(entry.id.clone(), principal);
            }
        }
        Self { pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper), entries, by_id, facts }
    }

    /// The MAC under which `key` is stored.
    pub fn mac(pepper: &[u8], key: &[u8]) -> [u8; 32] {
        mac_of(&hmac::Key::new(hmac::HMAC_SHA256, pepper), key)
    }

    /// The principal of that id, by the key that lasts longest; none when all its keys are gone or past their time.
    pub(super) fn find_id(&self, id: &str, now: Now) -> Option<Principal> {
        self.by_id.get(id).filter(|known| now.unix_s() < known.expires_at_s).cloned()
    }

    /// Looks a key up. The search compares MACs, which nobody can choose without the pepper, and the one candidate
    /// in constant time; a missing candidate costs the same comparison.
    pub(super) fn find(&self, key: &[u8], now: Now) -> Result<Principal, Unknown> {
        let mac = mac_of(&self.pepper, key);
        let at = self.entries.partition_point(|entry| entry.mac < mac);
        let candidate = self.entries.get(at);
        let stored = candidate.map_or([0; 32], |entry| entry.mac);
        let is_same = verify_slices_are_equal(&stored, &mac).is_ok();
        let entry = candidate.filter(|_| is_same).ok_or(Unknown::NoSuchKey)?;
        if now.unix_s() >= entry.expires_at_s {
            return Err(Unknown::Expired);
        }
        Ok(entry.principal(&self.facts))
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
