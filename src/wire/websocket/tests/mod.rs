//! Tables for WebSocket: what is read, what is refused with which code, what is written.
//! Next: `tests/properties/websocket` for the laws.

mod opening;
mod decoding;
mod autobahn;
mod encoding;

use super::decode::{Decoder, MessageLimits, Step};
use super::fault::Fault;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a connection said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(Fault),
}

/// A masked frame with this first byte.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut out = vec![first];
    match payload.len() {
        length @ ..126 => out.push(0x80 | u8::try_from(length).expect("below 126")),
        length @ 126..65536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(length).expect("below 65536").to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x88, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// Everything heard up to a close or a fault; the bytes arrive `step` at a time, with or without closing gaps.
fn hear_in(input: &[u8], step: usize, compacting: bool, limits: MessageLimits) -> Vec<Heard> {
    let mut decoder = Decoder::new(limits);
    let (mut held, mut heard) = (Vec::new(), Vec::new());
    for piece in input.chunks(step) {
        held.extend_from_slice(piece);
        loop {
            let part = |held: &[u8], start: usize, bytes: usize| held[start..start + bytes].to_vec();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the decoder has validated it");
            let (said, used) = match decoder.decode(&mut held) {
                Ok(Step::NeedMore) => break,
                Ok(Step::Message { start, bytes, consumed }) => {
                    (Heard::Text(text(part(&held, start, bytes))), consumed)
                }
                Ok(Step::Ping { start, bytes, consumed }) => {
                    (Heard::Ping(part(&held, start, bytes)), consumed)
                }
                Ok(Step::Pong { start, bytes, consumed }) => {
                    (Heard::Pong(part(&held, start, bytes)), consumed)
                }
                Ok(Step::Close { code, start, bytes, consumed }) => {
                    (Heard::Close(code, text(part(&held, start, bytes))), consumed)
                }
                Err(fault) => {
                    assert_eq!(decoder.decode(&mut held), Err(fault), "a fault is final");
                    (Heard::Failed(fault), 0)
                }
            };
            heard.push(said);
            if matches!(heard.last(), Some(Heard::Close(..) | Heard::Failed(_))) {
                return heard;
            }
            held.drain(..used);
        }
        if compacting {
            let gap = decoder.compact(&mut held);
            held.truncate(held.len() - gap);
        }
    }
    heard
}

/// The same however the bytes arrive.
#[track_caller]
fn hear_with(input: &[u8], limits: MessageLimits) -> Vec<Heard> {
    let whole = hear_in(input, usize::MAX, false, limits);
    let steps: &[usize] = if input.len() < 4096 { &[1, 2, 3, 7, 64] } else { &[997, 4096] };
    for (step, compacting) in steps.iter().flat_map(|step| [(*step, false), (*step, true)]) {
        assert_eq!(hear_in(input, step, compacting, limits), whole, "cut every {step}");
    }
    whole
}

#[track_caller]
fn check(frames: &[Vec<u8>], expect: &[Heard]) {
    assert_eq!(hear_with(&frames.concat(), MessageLimits::default()), expect);
}

/// The frames say `before` and end in `fault`.
#[track_caller]
fn check_fails(frames: &[Vec<u8>], before: &[Heard], fault: Fault) {
    check(frames, &[before, &[Heard::Failed(fault)]].concat());
}

fn text(text: impl AsRef<str>) -> Heard {
    Heard::Text(text.as_ref().to_owned())
}

fn ping(payload: impl AsRef<[u8]>) -> Heard {
    Heard::Ping(payload.as_ref().to_vec())
}

fn pong(payload: impl AsRef<[u8]>) -> Heard {
    Heard::Pong(payload.as_ref().to_vec())
}
