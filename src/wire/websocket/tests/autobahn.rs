//! The cases of the Autobahn test suite, categories 1 to 7, by number; binary messages are refused here.
//! Every case is heard whole and cut into single bytes, so the suite's chopped twins are the same rows.
//! Next: `encoding`.

use super::*;

const LENGTHS: [usize; 7] = [0, 125, 126, 127, 128, 65_535, 65_536];

#[test]
fn case_1_framing() {
    // 1.1.1 to 1.1.8
    for length in LENGTHS {
        let payload = "*".repeat(length);
        check(&[frame(0x81, &payload)], &[text(payload)]);
    }
    // 1.2.1 to 1.2.8
    for length in LENGTHS {
        check_fails(&[frame(0x82, vec![0xfe; length])], &[], Fault::Binary);
    }
}

#[test]
fn case_2_pings_and_pongs() {
    check(&[frame(0x89, "")], &[ping("")]); // 2.1
    check(&[frame(0x89, "Hello, world!")], &[ping("Hello, world!")]); // 2.2
    let bytes = [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    check(&[frame(0x89, bytes)], &[ping(bytes)]); // 2.3
    check(&[frame(0x89, [0xfe; 125])], &[ping([0xfe; 125])]); // 2.4, 2.6
    check_fails(&[frame(0x89, [0xfe; 126])], &[], Fault::ControlTooLong); // 2.5
    check(&[frame(0x8a, "")], &[pong("")]); // 2.7
    check(&[frame(0x8a, "unsolicited pong payload")], &[pong("unsolicited pong payload")]); // 2.8
    let unsolicited = [frame(0x8a, "unsolicited"), frame(0x89, "ping payload")];
    check(&unsolicited, &[pong("unsolicited"), ping("ping payload")]); // 2.9
    let many: Vec<String> = (0..10).map(|number| format!("payload-{number}")).collect();
    let frames: Vec<_> = many.iter().map(|payload| frame(0x89, payload)).collect();
    check(&frames, &many.iter().map(ping).collect::<Vec<_>>()); // 2.10, 2.11
}

#[test]
fn case_3_reserved_bits() {
    let hello = || frame(0x81, "Hello, world!");
    let heard = || text("Hello, world!");
    check_fails(&[frame(0x91, "Hello, world!")], &[], Fault::ReservedBit); // 3.1
    check_fails(&[hello(), frame(0xa1, "x"), frame(0x89, "")], &[heard()], Fault::ReservedBit); // 3.2
    check_fails(&[hello(), frame(0xb1, "x"), frame(0x89, "")], &[heard()], Fault::ReservedBit); // 3.3
    check_fails(&[hello(), frame(0xc1, "x"), frame(0x89, "")], &[heard()], Fault::ReservedBit); // 3.4
    check_fails(&[frame(0xd2, "x")], &[], Fault::ReservedBit); // 3.5
    check_fails(&[frame(0xe9, "x")], &[], Fault::ReservedBit); // 3.6
    check_fails(&[frame(0xf8, "")], &[], Fault::ReservedBit); // 3.7
}

#[test]
fn case_4_opcodes() {
    // 4.1.1 to 4.1.5, 4.2.1 to 4.2.5
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in ["", "reserved"] {
            check_fails(&[frame(0x80 | opcode, payload)], &[], Fault::ReservedOpcode);
            let frames = [frame(0x81, "Hello"), frame(0x80 | opcode, payload), frame(0x89, "")];
            check_fails(&frames, &[text("Hello")], Fault::ReservedOpcode);
        }
    }
}

#[test]
fn case_5_fragmentation() {
    check_fails(&[frame(0x09, "a"), frame(0x80, "b")], &[], Fault::FragmentedControl); // 5.1
    check_fails(&[frame(0x0a, "a"), frame(0x80, "b")], &[], Fault::FragmentedControl); // 5.2
    check(&[frame(0x01, "fragment1"), frame(0x80, "fragment2")], &[text("fragment1fragment2")]); // 5.3 to 5.5
    let pinged = [frame(0x01, "fragment1"), frame(0x89, "ping"), frame(0x80, "fragment2")];
    check(&pinged, &[ping("ping"), text("fragment1fragment2")]); // 5.6 to 5.8
    for first in [0x80, 0x00] {
        let lost = [frame(first, "non-continuation"), frame(0x81, "Hello")];
        check_fails(&lost, &[], Fault::NothingToContinue); // 5.9 to 5.14
    }
    let again = [frame(0x01, "a"), frame(0x80, "b"), frame(0x00, "c"), frame(0x81, "d")];
    check_fails(&again, &[text("ab")], Fault::NothingToContinue); // 5.15
    for first in [0x00, 0x80] {
        let twice = [frame(first, "a"), frame(0x01, "b"), frame(0x80, "c")];
        check_fails(&twice, &[], Fault::NothingToContinue); // 5.16, 5.17
    }
    check_fails(&[frame(0x01, "fragment1"), frame(0x81, "fragment2")], &[], Fault::MessageInMessage); // 5.18
    let busy = [
        frame(0x01, "fragment1"),
        frame(0x00, "fragment2"),
        frame(0x89, "pongme 1!"),
        frame(0x00, "fragment3"),
        frame(0x00, "fragment4"),
        frame(0x89, "pongme 2!"),
        frame(0x80, "fragment5"),
    ];
    let whole = text("fragment1fragment2fragment3fragment4fragment5");
    check(&busy, &[ping("pongme 1!"), ping("pongme 2!"), whole]); // 5.19, 5.20
}

/// One frame a byte, behind a first that is empty and before a last that is.
fn by_bytes(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![frame(0x01, "")];
    frames.extend(payload.iter().map(|byte| frame(0x00, [*byte])));
    frames.push(frame(0x80, ""));
    frames
}

#[track_caller]
fn check_text(payload: &[u8]) {
    let expect = [text(str::from_utf8(payload).expect("a valid row"))];
    check(&[frame(0x81, payload)], &expect);
    check(&by_bytes(payload), &expect);
}

#[track_caller]
fn check_no_text(payload: &[u8]) {
    check_fails(&[frame(0x81, payload)], &[], Fault::TextNotUtf8);
    check_fails(&by_bytes(payload), &[], Fault::TextNotUtf8);
}

#[test]
fn case_6_texts() {
    check(&[frame(0x81, "")], &[text("")]); // 6.1.1
    check(&[frame(0x01, ""), frame(0x00, ""), frame(0x80, "")], &[text("")]); // 6.1.2
    check(&[frame(0x01, ""), frame(0x00, "middle"), frame(0x80, "")], &[text("middle")]); // 6.1.3
    let hello = "Hello-µ@ßöäüàá-UTF-8!!";
    check_text(hello.as_bytes()); // 6.2.1, 6.2.3
    let halves = [frame(0x01, &hello[..13]), frame(0x80, &hello[13..])];
    check(&halves, &[text(hello)]); // 6.2.2
    check_text("κόσμε".as_bytes()); // 6.2.4, 6.5.1 to 6.5.5
    let spoiled =
        [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5".as_slice(), b"\xed\xa0\x80edited"].concat();
    check_no_text(&spoiled); // 6.3.1, 6.3.2
    // 6.4.1 to 6.4.4: the end of the message is never sent.
    let kosme = "κόσμε".as_bytes();
    check_fails(&[frame(0x01, kosme), frame(0x00, b"\xf4\x90\x80\x80")], &[], Fault::TextNotUtf8);
    check_fails(&[frame(0x01, [kosme, b"\xf4"].concat()), frame(0x00, b"\x90")], &[], Fault::TextNotUtf8);
    let announced = frame(0x81, [kosme, b"\xf4\x90\x80\x80edited"].concat());
    check_fails(&[announced[..6 + kosme.len() + 2].to_vec()], &[], Fault::TextNotUtf8);
}

#[test]
fn case_6_valid_and_invalid_sequences() {
    // 6.6.1 to 6.6.11: a text cut inside a character.
    let kosme = "κόσμε".as_bytes();
    for length in 1..=kosme.len() {
        let part = &kosme[..length];
        if str::from_utf8(part).is_ok() { check_text(part) } else { check_no_text(part) }
    }
    // 6.7.1 to 6.8.2: the first of each length; 6.9.1 to 6.10.3: the last; 6.11.1 to 6.11.5: the edges between.
    for valid in [
        b"\x00".as_slice(),
        b"\xc2\x80",
        b"\xe0\xa0\x80",
        b"\xf0\x90\x80\x80",
        b"\x7f",
        b"\xdf\xbf",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
        b"\xed\x9f\xbf",
        b"\xee\x80\x80",
        b"\xef\xbf\xbd",
        // 6.22.1 to 6.23.1: characters that are none but are encoded well.
        b"\xef\xbf\xbe",
        b"\xf0\x9f\xbf\xbe",
        b"\xf4\x8f\xbf\xbe",
    ] {
        check_text(valid);
    }
    for invalid in [
        b"\xf8\x88\x80\x80\x80".as_slice(), // 6.8.1
        b"\xfc\x84\x80\x80\x80\x80",        // 6.8.2
        b"\xf7\xbf\xbf\xbf",                // 6.10.1
        b"\xfb\xbf\xbf\xbf\xbf",            // 6.10.2
        b"\xfd\xbf\xbf\xbf\xbf\xbf",        // 6.10.3
        b"\xf4\x90\x80\x80",                // 6.11.5
        b"\x80",                            // 6.12.1
        b"\xbf",                            // 6.12.2
        b"\x80\xbf",                        // 6.12.3
        b"\x80\xbf\x80\xbf\x80\xbf\x80",    // 6.12.8
        b"\xc0 \xc1 ",                      // 6.13.1
        b"\xe0 \xe1 ",                      // 6.13.2
        b"\xf0 \xf1 ",                      // 6.13.3
        b"\xf8 \xfc ",                      // 6.13.4, 6.13.5
        b"\xc0",                            // 6.14.1
        b"\xe0\x80",                        // 6.14.2
        b"\xf0\x80\x80",                    // 6.14.3
        b"\xdf",                            // 6.14.6
        b"\xef\xbf",                        // 6.14.7
        b"\xf7\xbf\xbf",                    // 6.14.8
        b"\xc0\xe0\x80\xf0\x80\x80",        // 6.15.1
        b"\xfe",                            // 6.16.1
        b"\xff",                            // 6.16.2
        b"\xfe\xfe\xff\xff",                // 6.16.3
        b"\xc0\xaf",                        // 6.17.1
        b"\xe0\x80\xaf",                    // 6.17.2
        b"\xf0\x80\x80\xaf",                // 6.17.3
        b"\xc1\xbf",                        // 6.18.1
        b"\xe0\x9f\xbf",                    // 6.18.2
        b"\xf0\x8f\xbf\xbf",                // 6.18.3
        b"\xc0\x80",                        // 6.19.1
        b"\xed\xa0\x80",                    // 6.20.1
        b"\xed\xaf\xbf",                    // 6.20.3
        b"\xed\xb0\x80",                    // 6.20.4
        b"\xed\xbf\xbf",                    // 6.20.7
        b"\xed\xa0\x80\xed\xb0\x80",        // 6.21.1
        b"\xed\xaf\xbf\xed\xbf\xbf",        // 6.21.8
    ] {
        check_no_text(invalid);
    }
}

#[test]
fn case_7_closing() {
    let closed = |code: u16, reason: &str| Heard::Close(Some(code), reason.to_owned());
    check(&[frame(0x81, "Hello"), close(1000, "")], &[text("Hello"), closed(1000, "")]); // 7.1.1
    check(&[close(1000, ""), close(1000, "")], &[closed(1000, "")]); // 7.1.2
    check(&[close(1000, ""), frame(0x89, "")], &[closed(1000, "")]); // 7.1.3
    check(&[close(1000, ""), frame(0x81, "Hello")], &[closed(1000, "")]); // 7.1.4
    let within = [frame(0x01, "fragment1"), close(1000, ""), frame(0x80, "fragment2")];
    check(&within, &[closed(1000, "")]); // 7.1.5
    let large = "BAsd7&jh23".repeat(26_214);
    let after = [frame(0x81, &large), close(1000, ""), frame(0x89, "")];
    check(&after, &[text(&large), closed(1000, "")]); // 7.1.6
    check(&[frame(0x88, "")], &[Heard::Close(None, String::new())]); // 7.3.1
    check_fails(&[frame(0x88, "a")], &[], Fault::CloseCutOff); // 7.3.2
    check(&[close(1000, "")], &[closed(1000, "")]); // 7.3.3
    check(&[close(1000, "Hello World!")], &[closed(1000, "Hello World!")]); // 7.3.4
    check(&[close(1000, "*".repeat(123))], &[closed(1000, &"*".repeat(123))]); // 7.3.5
    check_fails(&[close(1000, "*".repeat(124))], &[], Fault::ControlTooLong); // 7.3.6
    check_fails(&[close(1000, b"\xce\xba\xed\xa0\x80")], &[], Fault::ReasonNotUtf8); // 7.5.1
    // 7.7.1 to 7.7.13
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        check(&[close(code, "")], &[closed(code, "")]);
    }
    // 7.9.1 to 7.9.13, 7.13.1
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000] {
        check_fails(&[close(code, "")], &[], Fault::BadCloseCode);
        check_fails(&[close(code, "reason")], &[], Fault::BadCloseCode);
    }
}
