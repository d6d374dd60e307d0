//! One frame: its head (RFC 6455 5.2) and its mask (5.3), whatever message it belongs to.
//! Never: a rule that needs more than this one frame.
//! Next: `decode.rs`, which knows what came before.

use super::fault::Fault;

/// The most a control frame may carry (RFC 6455 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
/// The longest head: two bytes, a length of eight, a mask of four.
pub const HEAD_BYTES_MAX: usize = 14;

const FINAL: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// Says that the length follows in two bytes.
pub(super) const LENGTH_16: u8 = 126;
/// Says that the length follows in eight bytes.
pub(super) const LENGTH_64: u8 = 127;

/// What a frame is (RFC 6455 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next piece of a message.
    Continuation,
    /// A text, or its first piece.
    Text,
    /// Bytes, or their first piece.
    Binary,
    /// The last frame of its sender.
    Close,
    /// Asks for a Pong with the same payload.
    Ping,
    /// The answer to a Ping, or a sign of life.
    Pong,
}

impl Opcode {
    const fn decode(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    /// The first byte of an unfragmented frame of this kind.
    pub(super) const fn final_byte(self) -> u8 {
        FINAL
            | match self {
                Self::Continuation => 0,
                Self::Text => 1,
                Self::Binary => 2,
                Self::Close => 8,
                Self::Ping => 9,
                Self::Pong => 10,
            }
    }

    const fn is_control(self) -> bool {
        match self {
            Self::Continuation | Self::Text | Self::Binary => false,
            Self::Close | Self::Ping | Self::Pong => true,
        }
    }
}

/// The head of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) opcode: Opcode,
    /// Whether the message ends with this frame.
    pub(super) last: bool,
    pub(super) payload_bytes: u64,
    /// The masking key, its first byte lowest.
    pub(super) mask: u32,
    pub(super) head_bytes: u8,
}

/// Decodes the head at the front of `bytes`: `None` when more is needed.
///
/// # Errors
/// What is wrong with the frame on its own, as soon as its first two bytes or its length show it.
pub(super) fn decode_head(bytes: &[u8]) -> Result<Option<FrameHead>, Fault> {
    let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    // RFC 6455 5.2: MUST be 0 unless an extension is negotiated, and none ever is.
    if first & RESERVED_BITS != 0 {
        return Err(Fault::ReservedBit);
    }
    let opcode = Opcode::decode(first & OPCODE).ok_or(Fault::ReservedOpcode)?;
    let last = first & FINAL != 0;
    // RFC 6455 5.1: a server MUST close the connection upon receiving a frame that is not masked.
    if second & MASKED == 0 {
        return Err(Fault::NotMasked);
    }
    let short_length = second & LENGTH;
    // RFC 6455 5.5: control frames carry at most 125 bytes and MUST NOT be fragmented.
    if opcode.is_control() && !last {
        return Err(Fault::FragmentedControl);
    }
    if opcode.is_control() && usize::from(short_length) > CONTROL_BYTES_MAX {
        return Err(Fault::ControlTooLong);
    }
    let Some((payload_bytes, rest)) = decode_length(short_length, rest)? else { return Ok(None) };
    let Some((mask, _)) = rest.split_first_chunk() else { return Ok(None) };
    let head_bytes = match short_length {
        LENGTH_16 => 8,
        LENGTH_64 => 14,
        _ => 6,
    };
    Ok(Some(FrameHead { opcode, last, payload_bytes, mask: u32::from_le_bytes(*mask), head_bytes }))
}

/// The length and what follows it.
fn decode_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Fault> {
    let (length, least, rest) = match short {
        LENGTH_16 => {
            let Some((bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*bytes)), u64::from(LENGTH_16), rest)
        }
        LENGTH_64 => {
            let Some((bytes, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*bytes), 1 << 16, rest)
        }
        _ => return Ok(Some((u64::from(short), rest))),
    };
    // RFC 6455 5.2: the minimal number of bytes MUST be used, and the most significant bit of 64 MUST be 0.
    if length < least {
        return Err(Fault::LengthNotMinimal);
    }
    if length > i64::MAX as u64 {
        return Err(Fault::LengthHighBit);
    }
    Ok(Some((length, rest)))
}

/// Removes the mask, whose lowest byte belongs to the first of `bytes`, sixteen bytes at a time.
pub(super) fn unmask(bytes: &mut [u8], mask: u32) {
    const FOUR_TIMES: u128 = 0x1_0000_0001_0000_0001_0000_0001;
    let wide = u128::from(mask) * FOUR_TIMES;
    let (blocks, rest) = bytes.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_le_bytes(*block) ^ wide).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}

/// The mask for what follows the first `passed` bytes.
pub(super) const fn turn_mask(mask: u32, passed: usize) -> u32 {
    match passed % 4 {
        0 => mask,
        1 => mask.rotate_right(8),
        2 => mask.rotate_right(16),
        _ => mask.rotate_right(24),
    }
}

/// Whether a Close may carry `code` (RFC 6455 7.4 and the registry it opened; 1004 to 1006 and 1015 are never sent).
pub const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
