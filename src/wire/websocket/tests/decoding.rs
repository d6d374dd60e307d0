//! Decoding: places in the buffer, what is refused as early as it is certain, limits, the mask.
//! Next: `autobahn` for the cases of the test suite of that name.

use super::super::frame::{may_be_sent, turn_mask, unmask};
use super::*;

const LIMITS: MessageLimits =
    MessageLimits { message_bytes_max: 200, frame_bytes_max: 150, fragments_max: 3 };

#[test]
fn is_small() {
    assert!(size_of::<Decoder>() <= 64, "{}", size_of::<Decoder>());
}

#[test]
fn reads_the_examples_of_the_standard() {
    // RFC 6455 5.7
    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(hear_with(&masked, LIMITS), [text("Hello")]);
    assert_eq!(frame(0x81, "Hello"), masked);
    let unmasked = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(hear_with(&unmasked, LIMITS), [Heard::Failed(Fault::NotMasked)]);
    let pong_back = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(hear_with(&pong_back, LIMITS), [pong("Hello")]);
}

#[test]
fn leaves_a_single_frame_where_it_lies() {
    let mut input = [frame(0x81, "one"), frame(0x81, "second")].concat();
    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(decoder.decode(&mut input), Ok(Step::Message { start: 6, bytes: 3, consumed: 9 }));
    assert_eq!(&input[6..9], b"one");
    let rest = &mut input[9..];
    assert_eq!(decoder.decode(rest), Ok(Step::Message { start: 6, bytes: 6, consumed: 12 }));
    assert_eq!(&rest[6..12], b"second");
    assert_eq!(decoder.decode(&mut rest[12..]), Ok(Step::NeedMore));
}

#[test]
fn moves_fragments_together_and_shows_what_lies_between() {
    let frames = [frame(0x01, "one "), frame(0x89, "there?"), frame(0x00, "two "), frame(0x80, "three")];
    let mut input = [frames.concat(), frame(0x8a, "")].concat();
    let end = input.len() - 6;
    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(decoder.decode(&mut input), Ok(Step::Ping { start: 16, bytes: 6, consumed: 0 }));
    assert_eq!((&input[16..22], decoder.is_inside_message()), (b"there?".as_slice(), true));
    assert_eq!(decoder.decode(&mut input), Ok(Step::Message { start: 6, bytes: 13, consumed: end }));
    assert_eq!((&input[6..19], decoder.is_inside_message()), (b"one two three".as_slice(), false));
    assert_eq!(decoder.decode(&mut input[end..]), Ok(Step::Pong { start: 6, bytes: 0, consumed: 6 }));
}

#[test]
fn closes_the_gap_that_fragments_leave() {
    let mut decoder = Decoder::new(LIMITS);
    let mut held = [frame(0x01, "one "), frame(0x89, "x"), frame(0x00, "two"), vec![0x80]].concat();
    assert_eq!(decoder.compact(&mut held), 0);
    assert!(matches!(decoder.decode(&mut held), Ok(Step::Ping { .. })));
    assert_eq!(decoder.decode(&mut held), Ok(Step::NeedMore));
    let gap = decoder.compact(&mut held);
    held.truncate(held.len() - gap);
    assert_eq!((gap, &held[6..]), (7 + 6, b"one two\x80".as_slice()));
    held.extend_from_slice(&frame(0x80, "!")[1..]);
    assert_eq!(decoder.decode(&mut held), Ok(Step::Message { start: 6, bytes: 8, consumed: 20 }));
    assert_eq!(&held[6..14], b"one two!");
    assert_eq!(decoder.compact(&mut held), 0, "nothing is held between messages");
}

#[test]
fn fails_as_soon_as_it_is_certain() {
    let check = |input: &[u8], expect: Fault| {
        let mut decoder = Decoder::new(LIMITS);
        let (last, before) = input.split_last().expect("some bytes");
        let mut held = before.to_vec();
        assert_eq!(decoder.decode(&mut held), Ok(Step::NeedMore), "{}", before.escape_ascii());
        held.push(*last);
        assert_eq!(decoder.decode(&mut held), Err(expect), "{}", input.escape_ascii());
    };
    check(&[0x91, 0x80], Fault::ReservedBit);
    check(&[0xa1, 0x80], Fault::ReservedBit);
    check(&[0xc1, 0x80], Fault::ReservedBit);
    check(&[0x83, 0x80], Fault::ReservedOpcode);
    check(&[0x8f, 0x80], Fault::ReservedOpcode);
    check(&[0x81, 0x00], Fault::NotMasked);
    check(&[0x89, 0x00], Fault::NotMasked);
    check(&[0x09, 0x80], Fault::FragmentedControl);
    check(&[0x08, 0x80], Fault::FragmentedControl);
    check(&[0x89, 0xfe], Fault::ControlTooLong);
    check(&[0x88, 0xff], Fault::ControlTooLong);
    check(&[0x81, 0xfe, 0, 125], Fault::LengthNotMinimal);
    check(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Fault::LengthNotMinimal);
    check(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], Fault::LengthHighBit);
    check(&[0x80, 0x80, 0, 0, 0, 0], Fault::NothingToContinue);
    check(&[0x82, 0x80, 0, 0, 0, 0], Fault::Binary);
    check(&[0x81, 0xfe, 0, 151, 0, 0, 0, 0], Fault::FrameTooLarge);
    check(&[0x81, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Fault::FrameTooLarge);
    check(&[0x81, 0x85, 0, 0, 0, 0, b'a', 0xff], Fault::TextNotUtf8);
    check(&[0x81, 0x85, 0, 0, 0, 0, 0xed, 0xa0], Fault::TextNotUtf8);
    check(&[0x81, 0x85, 0, 0, 0, 0, 0xf4, 0x90], Fault::TextNotUtf8);
    check(&[0x01, 0x81, 0, 0, 0, 0, 0xc3, 0x80, 0x81, 0, 0, 0, 0, b'a'], Fault::TextNotUtf8);
    check(&[0x81, 0x81, 0, 0, 0, 0, 0xc3], Fault::TextNotUtf8);
    check(&[0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0], Fault::MessageInMessage);
    check(&[0x01, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0], Fault::MessageInMessage);
    check(&[0x88, 0x81, 0, 0, 0, 0, 3], Fault::CloseCutOff);
    check(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xed], Fault::BadCloseCode);
    check(&[0x88, 0x83, 0, 0, 0, 0, 3, 0xe8, 0xff], Fault::ReasonNotUtf8);
}

#[test]
fn keeps_the_limits() {
    let long = |length: usize| "x".repeat(length);
    let check = |frames: &[Vec<u8>], expect: &[Heard]| {
        assert_eq!(hear_with(&frames.concat(), LIMITS), expect);
    };
    check(&[frame(0x81, long(150))], &[text(long(150))]);
    check(&[frame(0x81, long(151))], &[Heard::Failed(Fault::FrameTooLarge)]);
    check(&[frame(0x01, long(150)), frame(0x80, long(50))], &[text(long(200))]);
    check(&[frame(0x01, long(150)), frame(0x80, long(51))], &[Heard::Failed(Fault::MessageTooLarge)]);
    let empty = || frame(0x00, "");
    check(&[frame(0x01, "a"), empty(), frame(0x80, "b"), frame(0x81, "c")], &[text("ab"), text("c")]);
    check(&[frame(0x01, "a"), empty(), empty(), empty()], &[Heard::Failed(Fault::TooManyFragments)]);
    let pings = vec![frame(0x89, "p"); 9].concat();
    let between = [frame(0x01, "a"), pings, frame(0x80, "b")];
    check(&between, &[vec![ping("p"); 9], vec![text("ab")]].concat());
}

#[test]
fn hears_nothing_after_a_close() {
    let mut decoder = Decoder::new(LIMITS);
    let mut input = [close(1000, "bye"), frame(0x81, "x")].concat();
    let close = Step::Close { code: Some(1000), start: 8, bytes: 3, consumed: 11 };
    assert_eq!(decoder.decode(&mut input), Ok(close));
    assert_eq!(decoder.decode(&mut []), Ok(Step::NeedMore));
    assert_eq!(decoder.decode(&mut input[11..]), Err(Fault::AfterClose));
    let mut decoder = Decoder::new(LIMITS);
    let mut input = [frame(0x01, "cut"), frame(0x88, ""), frame(0x80, "off")].concat();
    assert_eq!(decoder.decode(&mut input), Ok(Step::Close { code: None, start: 15, bytes: 0, consumed: 15 }));
    assert_eq!((decoder.is_inside_message(), decoder.compact(&mut input[15..])), (false, 0));
}

#[test]
fn removes_the_mask_wherever_it_starts() {
    let plain: Vec<u8> = (0..=255).collect();
    for length in [0, 1, 3, 15, 16, 17, 31, 32, 33, 255] {
        for cut in 0..length.min(40) {
            let key = |at: usize| MASK[at % 4];
            let mut masked: Vec<u8> =
                plain[..length].iter().enumerate().map(|(at, byte)| byte ^ key(at)).collect();
            let (front, back) = masked.split_at_mut(cut);
            let mask = u32::from_le_bytes(MASK);
            unmask(front, mask);
            unmask(back, turn_mask(mask, cut));
            assert_eq!(masked, plain[..length], "{length} cut at {cut}");
        }
    }
}

#[test]
fn knows_the_codes_that_may_be_sent() {
    let valid =
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    let invalid = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX];
    assert!(valid.into_iter().all(may_be_sent));
    assert!(!invalid.into_iter().any(may_be_sent));
}

#[test]
fn gives_each_fault_a_code_and_a_word() {
    let check = |fault: Fault, code: u16, word: &str| {
        assert_eq!((fault.code(), fault.word()), (code, word));
        assert!(may_be_sent(fault.code()));
    };
    check(Fault::NotMasked, 1002, "not_masked");
    check(Fault::AfterClose, 1002, "after_close");
    check(Fault::Binary, 1003, "binary");
    check(Fault::TextNotUtf8, 1007, "text_not_utf8");
    check(Fault::ReasonNotUtf8, 1007, "reason_not_utf8");
    check(Fault::TooManyFragments, 1008, "too_many_fragments");
    check(Fault::FrameTooLarge, 1009, "frame_too_large");
    check(Fault::MessageTooLarge, 1009, "message_too_large");
}
