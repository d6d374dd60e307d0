//! Any bytes as lines: no panic, no line over its bound held, one reading however the bytes are cut, and the same as
//! splitting the whole.
//! The first byte of the input chooses where to cut.
//! Next: `src/wire/lines.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::wire::lines::{LineStep, LineTooLong, Lines};

/// Small, so that short inputs pass it.
const LINE_BYTES_MAX: usize = 24;

/// Messages, `None` for each that is too long.
fn read(input: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
    let (mut lines, mut held, mut said, mut skipping) = (Lines::default(), Vec::new(), Vec::new(), false);
    for piece in input.chunks(step) {
        held.extend_from_slice(piece);
        loop {
            if skipping {
                let used = lines.skip(&held);
                held.drain(..used.unwrap_or(held.len()));
                skipping = used.is_none();
                if skipping {
                    break;
                }
            }
            match lines.find(&held, LINE_BYTES_MAX) {
                Ok(LineStep::NeedMore) => break,
                Ok(LineStep::Blank { consumed }) => {
                    assert!(held.drain(..consumed).all(|byte| byte.is_ascii_whitespace()));
                }
                Ok(LineStep::Message { start, bytes, consumed }) => {
                    said.push(Some(held[start..start + bytes].to_vec()));
                    held.drain(..consumed);
                }
                Err(LineTooLong) => {
                    said.push(None);
                    skipping = true;
                }
            }
        }
        assert!(held.len() <= LINE_BYTES_MAX + 1);
    }
    said
}

/// The same from the whole input, the line without an end left out unless it is too long.
fn split(input: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut rest = input.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let last = rest.next_back().filter(|line| line.len() > LINE_BYTES_MAX);
    let lines = rest.filter(|line| {
        line.len() > LINE_BYTES_MAX || !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
    });
    lines.chain(last).map(|line| (line.len() <= LINE_BYTES_MAX).then(|| line.to_vec())).collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else { return };
    let whole = split(input);
    for step in [usize::from(*cut) + 1, 1, usize::MAX] {
        assert_eq!(read(input, step), whole);
    }
});
