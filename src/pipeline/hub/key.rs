//! Names for what outlives a request: which shard keeps it, where, and a number nobody can guess.
//! A name is all that a client holds of a stream, a question or a task, so it is text of visible ASCII.
//! Next: `stream`, the first thing named so.

/// One thing a shard keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The shard that keeps it.
    pub shard: u16,
    /// Where the shard keeps it.
    pub slot: u32,
    /// Random; what makes the name unguessable and tells two lives of a slot apart.
    pub nonce: u128,
}

/// A place in a stream, as an event's id says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The stream.
    pub stream: Key,
    /// How many events it has had up to and with this one.
    pub seq: u64,
}

impl Key {
    /// As text: `shard-slot-nonce` in hexadecimal.
    pub fn encode(self) -> String {
        format!("{:x}-{:x}-{:032x}", self.shard, self.slot, self.nonce)
    }

    /// Reads what [`Self::encode`] wrote, and nothing that is merely like it.
    pub fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (shard, slot, nonce) = (parts.next()?, parts.next()?, parts.next()?);
        let key = Self {
            shard: u16::from_str_radix(shard, 16).ok()?,
            slot: u32::from_str_radix(slot, 16).ok()?,
            nonce: u128::from_str_radix(nonce, 16).ok()?,
        };
        (parts.next().is_none() && key.encode() == text).then_some(key)
    }
}

impl EventId {
    /// As text: the stream's name, a dot, the number in hexadecimal.
    pub fn encode(self) -> String {
        format!("{}.{:x}", self.stream.encode(), self.seq)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let (stream, seq) = text.split_once('.')?;
        let id = Self { stream: Key::decode(stream)?, seq: u64::from_str_radix(seq, 16).ok()? };
        (id.encode() == text).then_some(id)
    }
}

/// To whom something belongs: a principal, and in the legacy era one session of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Digest of the principal's id.
    pub principal: [u8; 16],
    /// The session's nonce; zeros without a session.
    pub session: [u8; 16],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_nothing_else_is_one() {
        let key = Key { shard: 3, slot: 0xabc, nonce: 7 };
        assert_eq!(Key::decode(&key.encode()), Some(key));
        let id = EventId { stream: key, seq: 300 };
        assert_eq!(EventId::decode(&id.encode()), Some(id));
        let good = key.encode();
        for wrong in [
            "",
            "-",
            "3-abc",
            "3-ABC-00000000000000000000000000000007",
            "3-abc-7",
            "03-abc-00000000000000000000000000000007",
            "+3-abc-00000000000000000000000000000007",
            &format!("{good}-"),
            &format!(" {good}"),
            "fffff-0-0",
        ] {
            assert_eq!(Key::decode(wrong), None, "{wrong}");
        }
        for wrong in [good.as_str(), &format!("{good}."), &format!("{good}.0x1"), &format!("{good}.01")] {
            assert_eq!(EventId::decode(wrong), None, "{wrong}");
        }
    }
}
