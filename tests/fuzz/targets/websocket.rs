//! Any bytes as the frames of a client: no panic, no way past a limit, one reading however the bytes are cut; and what
//! is sent in fragments, with a Ping between each two, is heard.
//! The first byte of the input chooses where to cut, the next four are the mask.
//! Next: `src/wire/websocket`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::wire::websocket::decode::{Decoder, MessageLimits, Step};
use mcpring::wire::websocket::fault::Fault;
use mcpring::wire::websocket::frame::{CONTROL_BYTES_MAX, HEAD_BYTES_MAX, may_be_sent};

/// Small, so that short inputs reach every limit.
const LIMITS: MessageLimits =
    MessageLimits { message_bytes_max: 256, frame_bytes_max: 160, fragments_max: 8 };
const AMPLE: MessageLimits =
    MessageLimits { message_bytes_max: 1 << 16, frame_bytes_max: 1 << 16, fragments_max: 1 << 16 };

/// A step's kind, its payload and the code of a close.
type Said = (char, Vec<u8>, Option<u16>);

fn hear(input: &[u8], step: usize, compacting: bool, limits: MessageLimits) -> (Vec<Said>, Option<Fault>) {
    let mut decoder = Decoder::new(limits);
    let (mut held, mut said) = (Vec::new(), Vec::new());
    for piece in input.chunks(step) {
        held.extend_from_slice(piece);
        loop {
            let (kind, start, bytes, code, used) = match decoder.decode(&mut held) {
                Ok(Step::NeedMore) => break,
                Ok(Step::Message { start, bytes, consumed }) => ('m', start, bytes, None, consumed),
                Ok(Step::Ping { start, bytes, consumed }) => ('i', start, bytes, None, consumed),
                Ok(Step::Pong { start, bytes, consumed }) => ('o', start, bytes, None, consumed),
                Ok(Step::Close { code, start, bytes, consumed }) => ('c', start, bytes, code, consumed),
                Err(fault) => {
                    assert!(may_be_sent(fault.code()));
                    assert_eq!(decoder.decode(&mut held), Err(fault));
                    return (said, Some(fault));
                }
            };
            let payload = held[start..start + bytes].to_vec();
            match kind {
                'm' => assert!(str::from_utf8(&payload).is_ok() && bytes <= limits.message_bytes_max),
                _ => assert!(bytes <= CONTROL_BYTES_MAX),
            }
            said.push((kind, payload, code));
            held.drain(..used);
            if kind == 'c' {
                return (said, None);
            }
        }
        if compacting {
            let gap = decoder.compact(&mut held);
            held.truncate(held.len() - gap);
            assert!(held.len() <= limits.message_bytes_max + 2 * HEAD_BYTES_MAX + CONTROL_BYTES_MAX);
        }
    }
    (said, None)
}

/// A short frame as a client writes it.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short pieces");
    assert!(length < 126);
    let mut out = vec![first, 0x80 | length];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else { return };
    let step = usize::from(*cut) + 1;
    let whole = hear(input, usize::MAX, false, LIMITS);
    for compacting in [false, true] {
        assert_eq!(hear(input, step, compacting, LIMITS), whole);
        assert_eq!(hear(input, 1, compacting, LIMITS), whole);
    }
    let Some((mask, text)) = input.split_first_chunk() else { return };
    let mut sent = frame(0x01, b"", *mask);
    let mut expect = Vec::new();
    for piece in text.chunks(step.min(125)) {
        sent.extend(frame(0x89, piece, mask.map(|key| !key)));
        expect.push(('i', piece.to_vec(), None));
        sent.extend(frame(0x00, piece, *mask));
    }
    sent.extend(frame(0x80, b"", *mask));
    let (said, fault) = hear(&sent, step, true, AMPLE);
    if str::from_utf8(text).is_ok() {
        expect.push(('m', text.to_vec(), None));
        assert_eq!((said, fault), (expect, None));
    } else {
        assert!(expect.starts_with(&said) && fault == Some(Fault::TextNotUtf8));
    }
});
