//! Laws of WebSocket: cuts change nothing, what is encoded is decoded however it is masked and fragmented, limits hold.
//! Next: `differential` for what another implementation says, `src/wire/websocket` for what is tested.

mod differential;

use mcpring::wire::websocket::decode::{Decoder, MessageLimits, Step};
use mcpring::wire::websocket::fault::Fault;
use mcpring::wire::websocket::frame::{CONTROL_BYTES_MAX, HEAD_BYTES_MAX};
use proptest::collection::vec;
use proptest::prelude::*;

/// Small enough that generated input reaches every limit.
const LIMITS: MessageLimits =
    MessageLimits { message_bytes_max: 300, frame_bytes_max: 200, fragments_max: 12 };
const AMPLE: MessageLimits =
    MessageLimits { message_bytes_max: 1 << 20, frame_bytes_max: 1 << 20, fragments_max: 1 << 20 };

/// What a connection said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// Everything heard up to a close, and the fault that ended it.
type Conversation = (Vec<Heard>, Option<Fault>);

/// Feeds `input` in pieces, closing gaps as told.
fn hear(input: &[u8], cuts: &[usize], compacting: bool, limits: MessageLimits) -> Conversation {
    let mut decoder = Decoder::new(limits);
    let (mut held, mut heard, mut arrived) = (Vec::new(), Vec::new(), 0);
    for cut in cuts.iter().copied().chain([input.len()]) {
        let cut = cut.clamp(arrived, input.len());
        held.extend_from_slice(&input[arrived..cut]);
        arrived = cut;
        loop {
            let (part, used) = match decoder.decode(&mut held) {
                Ok(Step::NeedMore) => break,
                Ok(step) => said(&held, step),
                Err(fault) => return (heard, Some(fault)),
            };
            let closed = matches!(part, Heard::Close(..));
            heard.push(part);
            held.drain(..used);
            if closed {
                return (heard, None);
            }
        }
        if compacting {
            let gap = decoder.compact(&mut held);
            held.truncate(held.len() - gap);
            let held_max = HEAD_BYTES_MAX + limits.message_bytes_max + HEAD_BYTES_MAX + CONTROL_BYTES_MAX;
            assert!(held.len() <= held_max, "{} bytes held, {held_max} allowed", held.len());
        }
        assert!(decoder.is_inside_message() || held.len() < HEAD_BYTES_MAX + CONTROL_BYTES_MAX);
    }
    (heard, None)
}

fn said(held: &[u8], step: Step) -> (Heard, usize) {
    let part = |start: usize, bytes: usize| held[start..start + bytes].to_vec();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the decoder has validated it");
    match step {
        Step::Message { start, bytes, consumed } => (Heard::Text(text(part(start, bytes))), consumed),
        Step::Ping { start, bytes, consumed } => (Heard::Ping(part(start, bytes)), consumed),
        Step::Pong { start, bytes, consumed } => (Heard::Pong(part(start, bytes)), consumed),
        Step::Close { code, start, bytes, consumed } => {
            (Heard::Close(code, text(part(start, bytes))), consumed)
        }
        Step::NeedMore => unreachable!("nothing was said"),
    }
}

/// How a frame that is not what it should be differs from one that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    Unmasked,
    LongerLength,
    HighBit,
}

/// A frame as a client writes it.
fn frame(first: u8, payload: &[u8], mask: [u8; 4], flaw: Flaw) -> Vec<u8> {
    let mut out = vec![first];
    let masked = if flaw == Flaw::Unmasked { 0 } else { 0x80 };
    match (u16::try_from(payload.len()), flaw) {
        (Ok(length @ ..126), Flaw::None | Flaw::Unmasked) => out.push(masked | length.to_le_bytes()[0]),
        (Ok(length), Flaw::None | Flaw::Unmasked) => {
            out.push(masked | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (Ok(_) | Err(_), Flaw::None | Flaw::Unmasked | Flaw::LongerLength | Flaw::HighBit) => {
            let high = if flaw == Flaw::HighBit { 1 << 63 } else { 0 };
            out.push(masked | 127);
            out.extend_from_slice(&(high | payload.len() as u64).to_be_bytes());
        }
    }
    if flaw == Flaw::Unmasked {
        out.extend_from_slice(payload);
    } else {
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    out
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(0..2000_usize, 0..20).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

/// A Ping or a Pong and what is heard of it.
fn control() -> impl Strategy<Value = (u8, Heard)> {
    let payload = || vec(any::<u8>(), 0..=CONTROL_BYTES_MAX);
    prop_oneof![
        payload().prop_map(|payload| (0x89, Heard::Ping(payload))),
        payload().prop_map(|payload| (0x8a, Heard::Pong(payload))),
    ]
}

prop_compose! {
    /// A text in fragments, cut anywhere, with control frames before each of them; and what is heard of it.
    fn message()(
        text in "(.|[a-z]{40}|é){0,60}",
        at in vec(any::<prop::sample::Index>(), 0..6),
        controls in vec(vec((control(), any::<[u8; 4]>()), 0..3), 7),
        masks in vec(any::<[u8; 4]>(), 7),
    ) -> (Vec<u8>, Vec<Heard>) {
        let mut ends: Vec<usize> = at.iter().map(|at| at.index(text.len() + 1)).chain([text.len()]).collect();
        ends.sort_unstable();
        let (mut bytes, mut heard, mut start) = (Vec::new(), Vec::new(), 0);
        for (number, (end, mask)) in ends.iter().copied().zip(masks).enumerate() {
            for ((first, said), mask) in &controls[number] {
                let (Heard::Ping(payload) | Heard::Pong(payload)) = said else { continue };
                bytes.extend(frame(*first, payload, *mask, Flaw::None));
                heard.push(said.clone());
            }
            let last = if number + 1 == ends.len() { 0x80 } else { 0 };
            bytes.extend(frame(last | u8::from(number == 0), &text.as_bytes()[start..end], mask, Flaw::None));
            start = end;
        }
        heard.push(Heard::Text(text));
        (bytes, heard)
    }
}

/// A close and what is heard of it.
fn close() -> impl Strategy<Value = (Vec<u8>, Heard)> {
    let code = prop_oneof![1000..=1003_u16, 1007..=1014_u16, 3000..=4999_u16];
    let close = proptest::option::of((code, "[a-zé]{0,40}"));
    (close, any::<[u8; 4]>()).prop_map(|(close, mask)| match close {
        None => (frame(0x88, b"", mask, Flaw::None), Heard::Close(None, String::new())),
        Some((code, reason)) => {
            let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
            (frame(0x88, &payload, mask, Flaw::None), Heard::Close(Some(code), reason))
        }
    })
}

/// Frames that mean something and frames that do not, right and wrong in every way there is.
fn frames_like() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        12 => prop::sample::select(vec![0x81, 0x01, 0x00, 0x80]),
        4 => prop::sample::select(vec![0x89, 0x8a]),
        1 => prop::sample::select(vec![0x88, 0x82, 0x02, 0x08, 0x09]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        6 => "(.|é){0,20}".prop_map(String::into_bytes),
        2 => "[a-z]{100,180}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..8),
        1 => prop::sample::select(vec![b"\xce".to_vec(), b"\xba".to_vec(), b"\xf0\x9f".to_vec(), b"\x98\x80".to_vec()]),
        1 => (any::<u16>(), "[a-z]{0,4}").prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat()),
        1 => (990..1020_u16).prop_map(|code| code.to_be_bytes().to_vec()),
    ];
    let flaw = prop_oneof![
        30 => Just(Flaw::None),
        1 => Just(Flaw::Unmasked),
        1 => Just(Flaw::LongerLength),
        1 => Just(Flaw::HighBit),
    ];
    let one = (first, payload, any::<[u8; 4]>(), flaw)
        .prop_map(|(first, payload, mask, flaw)| frame(first, &payload, mask, flaw));
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
    (vec(one, 1..16), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(frames, changes, end, cut_off)| {
            let mut input = frames.concat();
            for (at, byte) in changes {
                let at = at.index(input.len());
                input[at] = byte;
            }
            if cut_off {
                input.truncate(end.index(input.len()) + 1);
            }
            input
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn cuts_do_not_change_what_is_heard(input in frames_like(), cuts in cuts()) {
        let whole = hear(&input, &[], false, LIMITS);
        let each_byte: Vec<usize> = (0..input.len()).collect();
        for compacting in [false, true] {
            prop_assert_eq!(&hear(&input, &cuts, compacting, LIMITS), &whole);
            prop_assert_eq!(&hear(&input, &each_byte, compacting, LIMITS), &whole);
        }
        for said in &whole.0 {
            prop_assert!(!matches!(said, Heard::Text(text) if text.len() > LIMITS.message_bytes_max));
        }
    }

    #[test]
    fn hears_every_message_that_was_sent(
        messages in vec(message(), 0..4), (last, closed) in close(), cuts in cuts(), compacting: bool,
    ) {
        let (mut input, mut expect) = (Vec::new(), Vec::new());
        for (bytes, heard) in messages {
            input.extend(bytes);
            expect.extend(heard);
        }
        input.extend(last);
        expect.push(closed);
        prop_assert_eq!(hear(&input, &cuts, compacting, AMPLE), (expect, None));
    }

    #[test]
    fn no_bytes_panic(input in vec(any::<u8>(), 0..200), cuts in cuts(), compacting: bool) {
        let whole = hear(&input, &[], false, LIMITS);
        prop_assert_eq!(hear(&input, &cuts, compacting, LIMITS), whole);
    }
}
