//! Seals what a client holds for us: a legacy session in its id, a call's state, a place in a list. No store is needed and
//! any shard can open it.
//! Never: a clock or a random source of its own; an answer that tells a forged id from an old one.
//! Next: `envelope`, which opens ids, and `dispatch`, which makes them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::wire::mcp::session::{CLAIMS_BYTES, Claims};

const TAG_BYTES: usize = 16;
const SEALED_BYTES: usize = NONCE_LEN + CLAIMS_BYTES + TAG_BYTES;

/// What is sealed. One kind does not open as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// A legacy session.
    Session,
    /// What a call that asked its client knows so far.
    State,
    /// A place in a list.
    Cursor,
}

impl Sealed {
    fn context(self) -> &'static [u8] {
        match self {
            Self::Session => b"mcpring session 3",
            Self::State => b"mcpring state 1",
            Self::Cursor => b"mcpring cursor 1",
        }
    }
}

/// The AEAD keys of this process: the first seals, all open.
pub struct Sealer {
    keys: Vec<LessSafeKey>,
}

impl Sealer {
    /// A sealer with one key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { keys: UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).into_iter().collect() }
    }

    /// The session id for `claims`, visible ASCII. `nonce` must be random: 2^32 sessions a key are safe (NIST SP 800-38D 8.3).
    pub fn seal(&self, claims: &Claims, nonce: [u8; NONCE_LEN]) -> Option<String> {
        self.seal_bytes(Sealed::Session, claims.encode().to_vec(), nonce)
    }

    /// Seals bytes of a kind into visible ASCII. `nonce` must be random.
    pub fn seal_bytes(&self, kind: Sealed, mut plain: Vec<u8>, nonce: [u8; NONCE_LEN]) -> Option<String> {
        let mut bytes = nonce.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.keys.first()?.seal_in_place_append_tag(nonce, Aad::from(kind.context()), &mut plain).ok()?;
        bytes.append(&mut plain);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens what [`Self::seal_bytes`] sealed as that kind. The caller bounds the text.
    pub fn open_bytes(&self, kind: Sealed, text: &[u8]) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let plain = key.open_in_place(nonce, Aad::from(kind.context()), &mut sealed).ok()?;
            Some(plain.to_vec())
        })
    }

    /// The claims in a session id that one of our keys sealed.
    pub fn open(&self, id: &[u8]) -> Option<Claims> {
        // Decoding into a fixed array bounds the work and allocates nothing.
        let mut bytes = [0; SEALED_BYTES + 2];
        let length = URL_SAFE_NO_PAD.decode_slice(id, &mut bytes).ok()?;
        let (nonce, sealed) = bytes.get(..length)?.split_first_chunk::<NONCE_LEN>()?;
        if length != SEALED_BYTES {
            return None;
        }
        self.keys.iter().find_map(|key| {
            let mut sealed = *<&[u8; SEALED_BYTES - NONCE_LEN]>::try_from(sealed).ok()?;
            let nonce = Nonce::assume_unique_for_key(*nonce);
            Claims::decode(key.open_in_place(nonce, Aad::from(Sealed::Session.context()), &mut sealed).ok()?)
        })
    }
}

/// The digest that stands for a principal in its session's claims.
pub fn principal_digest(id: &str) -> [u8; 16] {
    let digest = digest::digest(&digest::SHA256, id.as_bytes());
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mcp::Revision;

    fn claims() -> Claims {
        Claims {
            revision: Revision::V20251125,
            issued_at_s: 1_795_400_000,
            expires_at_s: 1_795_486_400,
            shard: 1,
            capabilities: 5,
            principal: principal_digest("alice"),
            nonce: [3; 16],
        }
    }

    #[test]
    fn opens_only_what_the_same_key_sealed_unchanged() {
        let sealer = Sealer::new(&[1; 32]);
        let id = sealer.seal(&claims(), [9; NONCE_LEN]).unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(sealer.open(id.as_bytes()), Some(claims()));
        assert_eq!(Sealer::new(&[2; 32]).open(id.as_bytes()), None);
        for at in 0..id.len() {
            let mut forged = id.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(sealer.open(&forged), None, "byte {at}");
        }
        for wrong in ["", "x", &id[1..], &format!("{id}A"), &format!("{id}{id}"), "=".repeat(102).as_str()] {
            assert_eq!(sealer.open(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn one_kind_does_not_open_as_another() {
        let sealer = Sealer::new(&[1; 32]);
        let text = sealer.seal_bytes(Sealed::State, b"plain".to_vec(), [9; NONCE_LEN]).unwrap();
        assert_eq!(sealer.open_bytes(Sealed::State, text.as_bytes()).as_deref(), Some(b"plain".as_slice()));
        assert_eq!(sealer.open_bytes(Sealed::Cursor, text.as_bytes()), None);
        assert_eq!(sealer.open_bytes(Sealed::State, format!("{text}-TAMPERED").as_bytes()), None);
        assert_eq!(sealer.open_bytes(Sealed::State, b""), None);
    }

    #[test]
    fn principals_have_digests_of_their_own() {
        assert_ne!(principal_digest("alice"), principal_digest("bob"));
    }
}
