//! Any bytes as messages behind their length: no panic, no message over its bound held, one reading however the bytes
//! are cut; and what is written is read.
//! The first byte of the input chooses where to cut.
//! Next: `src/wire/prefixed.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::wire::prefixed::{PREFIX_BYTES, PrefixedError, PrefixedStep, decode, encode};

/// Small, so that short inputs pass it.
const MESSAGE_BYTES_MAX: usize = 256;

/// Messages, the length of each that is too long, and whether an empty one ended it.
fn read(input: &[u8], step: usize) -> (Vec<Result<Vec<u8>, u32>>, bool) {
    let (mut held, mut said, mut to_skip) = (Vec::new(), Vec::new(), 0_u64);
    for piece in input.chunks(step) {
        held.extend_from_slice(piece);
        loop {
            let skipped = usize::try_from(to_skip).unwrap_or(usize::MAX).min(held.len());
            held.drain(..skipped);
            to_skip -= skipped as u64;
            match decode(&held, MESSAGE_BYTES_MAX) {
                Ok(PrefixedStep::NeedMore) => break,
                Ok(PrefixedStep::Message { start, bytes, consumed }) => {
                    said.push(Ok(held[start..start + bytes].to_vec()));
                    held.drain(..consumed);
                }
                Err(PrefixedError::TooLong { bytes }) => {
                    said.push(Err(bytes));
                    to_skip = PREFIX_BYTES as u64 + u64::from(bytes);
                }
                Err(PrefixedError::Empty) => return (said, true),
            }
        }
        assert!(held.len() < PREFIX_BYTES + MESSAGE_BYTES_MAX);
    }
    (said, false)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else { return };
    let step = usize::from(*cut) + 1;
    let whole = read(input, usize::MAX);
    assert_eq!(read(input, step), whole);
    assert_eq!(read(input, 1), whole);
    let (mut sent, mut expect) = (Vec::new(), Vec::new());
    for message in input.chunks(step) {
        encode(&mut sent, message).expect("a length that can be sent");
        expect.push(Ok(message.to_vec()));
    }
    assert_eq!(read(&sent, 7), (expect, false));
});
