//! Messages behind their length, four bytes with the highest first: where the next one lies.
//! Never: a message of no bytes, a copy, a state; what is judged is always the front of the input.
//! Next: `lines.rs`, the same with line ends.

/// Bytes of the length.
pub const PREFIX_BYTES: usize = 4;

/// What [`decode`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixedStep {
    /// The message is incomplete; the same bytes must come again with more behind them.
    NeedMore,
    /// A message at `input[start..start + bytes]`; the next one begins at `input[consumed..]`.
    Message {
        /// Where it starts.
        start: usize,
        /// How long it is, at least 1.
        bytes: usize,
        /// Where the next length starts.
        consumed: usize,
    },
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixedError {
    /// A length of 0. No JSON text is empty, and zeros are what a peer that lost count is most likely to send: whoever
    /// gets this ends the connection.
    #[error("message of no bytes")]
    Empty,
    /// A message longer than allowed: it may be skipped, prefix and all, and the next one is where it ends.
    #[error("message of {bytes} bytes is too long")]
    TooLong {
        /// How long it says it is.
        bytes: u32,
    },
}

/// Looks for the message at the front of `input`.
///
/// # Errors
/// As soon as the length has arrived: when it is 0 or more than `message_bytes_max`.
pub fn decode(input: &[u8], message_bytes_max: usize) -> Result<PrefixedStep, PrefixedError> {
    let Some((prefix, rest)) = input.split_first_chunk() else { return Ok(PrefixedStep::NeedMore) };
    let length = u32::from_be_bytes(*prefix);
    if length == 0 {
        return Err(PrefixedError::Empty);
    }
    let bytes = usize::try_from(length)
        .ok()
        .filter(|bytes| *bytes <= message_bytes_max)
        .ok_or(PrefixedError::TooLong { bytes: length })?;
    if rest.len() < bytes {
        return Ok(PrefixedStep::NeedMore);
    }
    Ok(PrefixedStep::Message { start: PREFIX_BYTES, bytes, consumed: PREFIX_BYTES + bytes })
}

/// A message that no length of four bytes can announce, or that has no bytes; nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message of {bytes} bytes cannot be sent behind its length")]
pub struct Unsendable {
    /// How long it is.
    pub bytes: usize,
}

/// Appends a message behind its length.
///
/// # Errors
/// When it has no bytes or more than 32 bits can count.
pub fn encode(out: &mut Vec<u8>, message: &[u8]) -> Result<(), Unsendable> {
    let prefix = encode_prefix(message.len())?;
    out.extend_from_slice(&prefix);
    out.extend_from_slice(message);
    Ok(())
}

/// The length alone, for a message that is written in place behind it.
///
/// # Errors
/// When `bytes` is 0 or more than 32 bits can count.
pub fn encode_prefix(bytes: usize) -> Result<[u8; PREFIX_BYTES], Unsendable> {
    let length = u32::try_from(bytes).ok().filter(|length| *length > 0).ok_or(Unsendable { bytes })?;
    Ok(length.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 300;

    #[track_caller]
    fn check(input: &[u8], expect: Result<PrefixedStep, PrefixedError>) {
        assert_eq!(decode(input, MAX), expect, "{}", input.escape_ascii());
    }

    #[test]
    fn finds_the_message_behind_its_length() {
        let found = |bytes: usize| Ok(PrefixedStep::Message { start: 4, bytes, consumed: 4 + bytes });
        check(b"\0\0\0\x02{}", found(2));
        check(b"\0\0\0\x02{}\0\0\0", found(2));
        check(&[b"\0\0\x01\x2c".as_slice(), &[b'x'; 300]].concat(), found(300));
    }

    #[test]
    fn asks_for_more_until_the_end() {
        let whole = b"\0\0\0\x03abc";
        for length in 0..whole.len() {
            check(&whole[..length], Ok(PrefixedStep::NeedMore));
        }
    }

    #[test]
    fn refuses_by_the_length_alone() {
        check(b"\0\0\0", Ok(PrefixedStep::NeedMore));
        check(b"\0\0\0\0", Err(PrefixedError::Empty));
        check(b"\0\0\x01\x2d", Err(PrefixedError::TooLong { bytes: 301 }));
        check(b"\xff\xff\xff\xff{}", Err(PrefixedError::TooLong { bytes: u32::MAX }));
        // Text where a length belongs.
        check(b"{\"js", Err(PrefixedError::TooLong { bytes: 0x7b22_6a73 }));
    }

    #[test]
    fn writes_what_it_reads() {
        let mut out = b"before".to_vec();
        assert_eq!(encode(&mut out, b"{}"), Ok(()));
        assert_eq!(out, b"before\0\0\0\x02{}");
        assert_eq!(encode(&mut out, b""), Err(Unsendable { bytes: 0 }));
        assert_eq!(out.len(), 12);
        assert_eq!(encode_prefix(65_536), Ok([0, 1, 0, 0]));
        assert_eq!(encode_prefix(usize::MAX), Err(Unsendable { bytes: usize::MAX }));
    }
}
