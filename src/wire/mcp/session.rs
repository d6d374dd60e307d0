//! The claims inside a legacy session id, in a fixed binary layout. Sealing is `pipeline/seal.rs`.
//! Never: a store; the id is the session.
//! Next: `pipeline/seal.rs`.

use super::Revision;

/// Bytes of encoded claims.
pub const CLAIMS_BYTES: usize = 56;

/// What a session id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The negotiated revision.
    pub revision: Revision,
    /// Unix seconds of the handshake.
    pub issued_at_s: u64,
    /// Until when it lives at most, Unix seconds: a later configuration can shorten that, and not prolong it, because
    /// that it was ended is remembered until then.
    pub expires_at_s: u64,
    /// The shard that answered the handshake; where the session's streams live.
    pub shard: u16,
    /// What the client said it can do, one bit each.
    pub capabilities: u8,
    /// Digest of the principal's id: a session of one principal is worthless to another.
    pub principal: [u8; 16],
    /// Tells two sessions of the same second apart.
    pub nonce: [u8; 16],
}

impl Claims {
    /// When the session is over where one lives so long, Unix seconds.
    pub fn end_s(&self, ttl_s: u64) -> u64 {
        self.expires_at_s.min(self.issued_at_s.saturating_add(ttl_s))
    }

    /// Layout version 3: version, revision, shard (2), capabilities, reserved (3), issued (8), expires (8), principal (16),
    /// nonce (16).
    pub fn encode(&self) -> [u8; CLAIMS_BYTES] {
        let mut bytes = [0; CLAIMS_BYTES];
        let mut rest: &mut [u8] = &mut bytes;
        for part in [
            &[3, revision_byte(self.revision)][..],
            &self.shard.to_be_bytes(),
            &[self.capabilities, 0, 0, 0],
            &self.issued_at_s.to_be_bytes(),
            &self.expires_at_s.to_be_bytes(),
            &self.principal,
            &self.nonce,
        ] {
            let (to, left) = rest.split_at_mut(part.len());
            to.copy_from_slice(part);
            rest = left;
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote; anything else is `None`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CLAIMS_BYTES] = bytes.try_into().ok()?;
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let [3, revision] = *head else { return None };
        let (shard, rest) = rest.split_first_chunk::<2>()?;
        let ([capabilities, 0, 0, 0], rest) = rest.split_first_chunk::<4>()? else { return None };
        let (issued, rest) = rest.split_first_chunk::<8>()?;
        let (expires, rest) = rest.split_first_chunk::<8>()?;
        let (principal, nonce) = rest.split_first_chunk::<16>()?;
        Some(Self {
            revision: *Revision::ALL.iter().find(|known| revision_byte(**known) == revision)?,
            issued_at_s: u64::from_be_bytes(*issued),
            expires_at_s: u64::from_be_bytes(*expires),
            shard: u16::from_be_bytes(*shard),
            capabilities: *capabilities,
            principal: *principal,
            nonce: nonce.try_into().ok()?,
        })
    }
}

fn revision_byte(revision: Revision) -> u8 {
    match revision {
        Revision::V20241105 => 0,
        Revision::V20250326 => 1,
        Revision::V20250618 => 2,
        Revision::V20251125 => 3,
        Revision::V20260728 => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_survive_the_round_trip_and_refuse_anything_else() {
        let claims = Claims {
            revision: Revision::V20250618,
            issued_at_s: 1_795_400_000,
            expires_at_s: 1_795_486_400,
            shard: 513,
            capabilities: 3,
            principal: [7; 16],
            nonce: [9; 16],
        };
        let bytes = claims.encode();
        assert_eq!(Claims::decode(&bytes), Some(claims));
        for at in [0, 1, 5] {
            let mut wrong = bytes;
            wrong[at] = 200;
            assert_eq!(Claims::decode(&wrong), None, "byte {at}");
        }
        assert_eq!(Claims::decode(&bytes[..55]), None);
        assert_eq!(Claims::decode(&[]), None);
    }
}
