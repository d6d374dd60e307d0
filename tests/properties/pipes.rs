//! Laws of the two framings for pipes, lines and lengths: cuts change nothing, what was written is read, bounds hold.
//! Next: `src/wire/lines.rs` and `src/wire/prefixed.rs` for what is tested.

use mcpring::wire::lines::{LineStep, LineTooLong, Lines};
use mcpring::wire::prefixed::{self, PREFIX_BYTES, PrefixedError, PrefixedStep};
use proptest::collection::vec;
use proptest::prelude::*;

/// Small enough that generated input passes it.
const MAX: usize = 24;

/// What the lines say, `None` for each that is too long; and how many bytes are left.
fn read_lines(input: &[u8], cuts: &[usize]) -> (Vec<Option<Vec<u8>>>, usize) {
    let (mut lines, mut held, mut said) = (Lines::default(), Vec::new(), Vec::new());
    let (mut skipping, mut arrived) = (false, 0);
    for cut in cuts.iter().copied().chain([input.len()]) {
        let cut = cut.clamp(arrived, input.len());
        held.extend_from_slice(&input[arrived..cut]);
        arrived = cut;
        loop {
            if skipping {
                let used = lines.skip(&held);
                held.drain(..used.unwrap_or(held.len()));
                skipping = used.is_none();
                if skipping {
                    break;
                }
            }
            match lines.find(&held, MAX) {
                Ok(LineStep::NeedMore) => break,
                Ok(LineStep::Blank { consumed }) => drop(held.drain(..consumed)),
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
        assert!(held.len() <= MAX + 1, "{} bytes held", held.len());
    }
    (said, held.len())
}

/// The same in one line of code, from the whole input.
fn split_lines(input: &[u8]) -> Vec<Option<Vec<u8>>> {
    let blank = |line: &&[u8]| !line.iter().all(|byte| b" \t\r".contains(byte)) || line.len() > MAX;
    let whole = input.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let lines = whole.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(blank);
    lines.map(|line| (line.len() <= MAX).then(|| line.to_vec())).collect()
}

/// Messages, those too long by their length, and what ended it.
fn read_prefixed(input: &[u8], cuts: &[usize]) -> (Vec<Result<Vec<u8>, u32>>, bool) {
    let (mut held, mut said, mut to_skip, mut arrived) = (Vec::new(), Vec::new(), 0_u64, 0);
    for cut in cuts.iter().copied().chain([input.len()]) {
        let cut = cut.clamp(arrived, input.len());
        held.extend_from_slice(&input[arrived..cut]);
        arrived = cut;
        loop {
            let skipped = usize::try_from(to_skip).unwrap_or(usize::MAX).min(held.len());
            held.drain(..skipped);
            to_skip -= skipped as u64;
            match prefixed::decode(&held, MAX) {
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
        assert!(held.len() < PREFIX_BYTES + MAX, "{} bytes held", held.len());
    }
    (said, false)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(0..300_usize, 0..12).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

fn lines_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec!["\n", "\r\n", "\r", " ", "\t", "{}", "[1, 2]", "x", "012345678901234567890123", "\u{e9}"])
            .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn prefixed_like() -> impl Strategy<Value = Vec<u8>> {
    let message = |length: usize| {
        vec(any::<u8>(), length).prop_map(|message| {
            let mut out = Vec::new();
            prefixed::encode(&mut out, &message).expect("a length that can be sent");
            out
        })
    };
    let piece = prop_oneof![
        8 => (1..=MAX + 6).prop_flat_map(message),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn lines_are_found_however_they_are_cut(input in lines_like(), cuts in cuts()) {
        let each_byte: Vec<usize> = (0..input.len()).collect();
        let whole = read_lines(&input, &[]);
        prop_assert_eq!(&read_lines(&input, &cuts), &whole);
        prop_assert_eq!(&read_lines(&input, &each_byte), &whole);
        let unfinished = input.split(|byte| *byte == b'\n').next_back().unwrap_or_default();
        let unfinished = unfinished.strip_suffix(b"\r").unwrap_or(unfinished);
        let mut expect = split_lines(&input);
        if unfinished.len() > MAX {
            expect.push(None);
        }
        prop_assert_eq!(&whole.0, &expect);
    }

    #[test]
    fn lengths_are_read_however_they_are_cut(input in prefixed_like(), cuts in cuts()) {
        let each_byte: Vec<usize> = (0..input.len()).collect();
        let whole = read_prefixed(&input, &[]);
        prop_assert_eq!(&read_prefixed(&input, &cuts), &whole);
        prop_assert_eq!(&read_prefixed(&input, &each_byte), &whole);
    }

    #[test]
    fn what_was_written_is_read(messages in vec(vec(any::<u8>(), 1..=MAX), 0..8), cuts in cuts()) {
        let mut out = Vec::new();
        for message in &messages {
            prefixed::encode(&mut out, message).expect("a length that can be sent");
        }
        let expect: Vec<_> = messages.into_iter().map(Ok).collect();
        prop_assert_eq!(read_prefixed(&out, &cuts), (expect, false));
    }
}
