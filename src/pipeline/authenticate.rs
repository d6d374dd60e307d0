//! The stage that asks who is calling: an API key, looked up by its HMAC.
//! Every failure looks alike and costs alike from outside; the event says which it was.
//! Never: a key in clear beyond the request that carries it, a comparison that stops early.
//! Next: `admit`, which asks whether this principal may spend a token.

use std::sync::Arc;

use aws_lc_rs::hmac;

/// Who a caller proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The key's id (never the key), or `anonymous`.
    pub id: Arc<str>,
    /// One bit a role, by index into the configured roles.
    pub roles: u64,
}

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

/// All API keys, found by MAC.
pub struct KeyTable {
    #[expect(dead_code, reason = "interface first")]
    pepper: hmac::Key,
    #[expect(dead_code, reason = "interface first")]
    entries: Vec<KeyEntry>,
}

impl KeyTable {
    /// Builds a table from entries whose MACs were made under `pepper`. `anonymous_roles` are the roles of a
    /// caller without a credential on a listener that allows one.
    pub fn build(pepper: &[u8], mut entries: Vec<KeyEntry>, _anonymous_roles: u64) -> Self {
        entries.sort_by_key(|entry| entry.mac);
        Self { pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper), entries }
    }

    /// The MAC under which `key` is stored.
    pub fn mac(pepper: &[u8], key: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pepper), key);
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        mac
    }
}
