//! Frames of a server: never masked (RFC 6455 5.1), never fragmented, lengths as short as they can be.
//! Never: a frame that a client would have to refuse.
//! Next: `decode.rs`, the other direction.

use super::frame::{CONTROL_BYTES_MAX, LENGTH_16, LENGTH_64, Opcode};

/// Appends the head of a frame with `bytes` of payload, which the caller appends behind it.
pub fn encode_head(out: &mut Vec<u8>, opcode: Opcode, bytes: usize) {
    out.push(opcode.final_byte());
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(length), _) if length < LENGTH_16 => out.push(length),
        (_, Ok(length)) => {
            out.push(LENGTH_16);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(LENGTH_64);
            out.extend_from_slice(&(bytes as u64).to_be_bytes());
        }
    }
}

/// Appends a text message; `payload` is UTF-8.
pub fn encode_text(out: &mut Vec<u8>, payload: &[u8]) {
    debug_assert!(str::from_utf8(payload).is_ok(), "a text is UTF-8");
    encode_head(out, Opcode::Text, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a Ping; what `payload` holds beyond 125 bytes is left out.
pub fn encode_ping(out: &mut Vec<u8>, payload: &[u8]) {
    encode_control(out, Opcode::Ping, payload);
}

/// Appends a Pong, whose payload is that of the Ping it answers; what it holds beyond 125 bytes is left out.
pub fn encode_pong(out: &mut Vec<u8>, payload: &[u8]) {
    encode_control(out, Opcode::Pong, payload);
}

/// Appends a Close; `reason` needs a code and is cut before the character that would pass 123 bytes.
///
/// The code is one that [`super::frame::may_be_sent`].
pub fn encode_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let Some(code) = code else { return encode_control(out, Opcode::Close, b"") };
    debug_assert!(super::frame::may_be_sent(code), "{code} stands for what is never sent");
    let reason =
        reason.get(..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)).unwrap_or_default().as_bytes();
    encode_head(out, Opcode::Close, 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason);
}

fn encode_control(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    encode_head(out, opcode, payload.len());
    out.extend_from_slice(payload);
}
