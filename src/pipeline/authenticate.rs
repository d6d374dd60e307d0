//! The stage that asks who is calling: an API key, looked up by its HMAC.
//! Every failure looks alike and costs alike from outside; the event says which it was.
//! Never: a key in clear beyond the request that carries it, a comparison that stops early.
//! Next: `admit`, which asks whether this principal may spend a token.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::snapshot::{Admission, Listener, Snapshot};
use super::turn::Now;
use crate::wire::http::head::Head;

/// Longest credential that is looked at. Bytes.
const CREDENTIAL_BYTES_MAX: usize = 512;

/// Who a caller proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The key's id (never the key), or `anonymous`.
    pub id: Arc<str>,
    /// One bit a role, by index into the configured roles.
    pub roles: u64,
    /// Until when it is who it proved to be, Unix seconds.
    pub expires_at_s: u64,
}

/// Why a caller is not known. For the log; the peer sees one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No credential at all.
    Missing,
    /// A credential of a kind or shape that is not accepted.
    Malformed,
    /// No such key.
    NoSuchKey,
    /// The key's time is over.
    Expired,
}

impl Unknown {
    /// The stable word in the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::Malformed => "credential_malformed",
            Self::NoSuchKey => "credential_unknown",
            Self::Expired => "credential_expired",
        }
    }
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

impl KeyEntry {
    fn principal(&self) -> Principal {
        Principal { id: self.id.clone(), roles: self.roles, expires_at_s: self.expires_at_s }
    }
}

/// All API keys, sorted by MAC.
pub struct KeyTable {
    pepper: hmac::Key,
    entries: Vec<KeyEntry>,
    /// The principal of each id, with the key that lasts longest.
    by_id: HashMap<Arc<str>, Principal>,
    anonymous: Principal,
}

impl KeyTable {
    /// Builds a table from entries whose MACs were made under `pepper`. `anonymous_roles` are the roles of a
    /// caller without a credential on a listener that allows one.
    pub fn build(pepper: &[u8], mut entries: Vec<KeyEntry>, anonymous_roles: u64) -> Self {
        entries.sort_by_key(|entry| entry.mac);
        let mut by_id: HashMap<Arc<str>, Principal> = HashMap::new();
        for entry in &entries {
            let principal = entry.principal();
            if by_id.get(&entry.id).is_none_or(|known| known.expires_at_s < principal.expires_at_s) {
                by_id.insert(entry.id.clone(), principal);
            }
        }
        Self {
            pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper),
            entries,
            by_id,
            anonymous: Principal { id: "anonymous".into(), roles: anonymous_roles, expires_at_s: u64::MAX },
        }
    }

    /// The MAC under which `key` is stored.
    pub fn mac(pepper: &[u8], key: &[u8]) -> [u8; 32] {
        mac_of(&hmac::Key::new(hmac::HMAC_SHA256, pepper), key)
    }

    /// Whether this is the caller without a credential.
    pub fn is_anonymous(&self, principal: &Principal) -> bool {
        Arc::ptr_eq(&principal.id, &self.anonymous.id)
    }

    /// A principal that was let in under another table, as it stands in this one; none when it has no key here that is
    /// still good.
    pub fn find_again(&self, principal: &Principal, listener: &Listener, now: Now) -> Option<Principal> {
        if let Admission::Resident(resident) = &listener.admission {
            return Some(resident.clone());
        }
        if principal.id == self.anonymous.id {
            let is_let_in = listener.admission == Admission::AnonymousAllowed;
            return is_let_in.then(|| self.anonymous.clone());
        }
        self.by_id.get(&principal.id).filter(|known| now.unix_s() < known.expires_at_s).cloned()
    }

    /// Looks a key up. The search compares MACs, which nobody can choose without the pepper, and the one candidate
    /// in constant time; a missing candidate costs the same comparison.
    fn find(&self, key: &[u8], now: Now) -> Result<&KeyEntry, Unknown> {
        let mac = mac_of(&self.pepper, key);
        let at = self.entries.partition_point(|entry| entry.mac < mac);
        let candidate = self.entries.get(at);
        let stored = candidate.map_or([0; 32], |entry| entry.mac);
        let is_same = verify_slices_are_equal(&stored, &mac).is_ok();
        let entry = candidate.filter(|_| is_same).ok_or(Unknown::NoSuchKey)?;
        if now.unix_s() >= entry.expires_at_s {
            return Err(Unknown::Expired);
        }
        Ok(entry)
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

/// The credential a connection was last let in with. A client sends the same one with every request, and comparing it
/// costs a thirtieth of its MAC. Forgotten with the snapshot it was accepted under, and with the connection.
#[derive(Default)]
pub struct Remembered(Option<Box<Accepted>>);

struct Accepted {
    credential: Zeroizing<Vec<u8>>,
    principal: Principal,
    generation: u64,
    expires_at_s: u64,
}

impl Remembered {
    fn principal(&self, credential: &[u8], generation: u64, now: Now) -> Option<&Principal> {
        let accepted = self.0.as_ref()?;
        let is_same = verify_slices_are_equal(&accepted.credential, credential).is_ok();
        let is_current = accepted.generation == generation && now.unix_s() < accepted.expires_at_s;
        (is_same && is_current).then_some(&accepted.principal)
    }
}

/// Says who is calling.
///
/// # Errors
/// Why that is not known.
pub fn authenticate(
    snapshot: &Snapshot,
    listener: &Listener,
    head: &Head<'_, '_>,
    now: Now,
    remembered: &mut Remembered,
) -> Result<Principal, Unknown> {
    identify(snapshot, listener, credential(listener, head), now, remembered)
}

/// Says whose credential this is.
///
/// # Errors
/// Why that is not known.
pub fn identify(
    snapshot: &Snapshot,
    listener: &Listener,
    credential: Result<&[u8], Unknown>,
    now: Now,
    remembered: &mut Remembered,
) -> Result<Principal, Unknown> {
    let keys = &snapshot.keys;
    let credential = match credential {
        Ok(credential) if !credential.is_empty() && credential.len() <= CREDENTIAL_BYTES_MAX => credential,
        Ok(_) => {
            let _ = keys.find(b"", now);
            return Err(Unknown::Malformed);
        }
        Err(Unknown::Missing) if listener.admission == Admission::AnonymousAllowed => {
            return Ok(keys.anonymous.clone());
        }
        Err(why) => {
            // The same work as for a wrong key.
            let _ = keys.find(b"", now);
            return Err(why);
        }
    };
    if let Some(principal) = remembered.principal(credential, snapshot.generation, now) {
        return Ok(principal.clone());
    }
    let entry = keys.find(credential, now)?;
    let principal = entry.principal();
    remembered.0 = Some(Box::new(Accepted {
        credential: Zeroizing::new(credential.to_vec()),
        principal: principal.clone(),
        generation: snapshot.generation,
        expires_at_s: entry.expires_at_s,
    }));
    Ok(principal)
}

/// The credential a request carries: `Authorization: Bearer` or the listener's key header, not both.
// RFC 6750 2: a client must not use more than one method.
fn credential<'a>(listener: &Listener, head: &Head<'_, 'a>) -> Result<&'a [u8], Unknown> {
    let bearer = head.known.authorization.map(|value| bearer(value).ok_or(Unknown::Malformed));
    let header = match listener.key_header.as_str() {
        "x-api-key" => head.known.x_api_key,
        other if head.has_twice(other) => return Err(Unknown::Malformed),
        other => head.field(other),
    };
    match (bearer, header) {
        (None, None) => Err(Unknown::Missing),
        (Some(bearer), None) => bearer,
        (None, Some(header)) => Ok(header),
        (Some(_), Some(_)) => Err(Unknown::Malformed),
    }
}

/// RFC 6750 2.1, RFC 9110 11.1: the scheme's case does not matter.
pub(super) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii_start())
}
