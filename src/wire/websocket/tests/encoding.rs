//! Encoding: the bytes of a server's frames.
//! Next: `tests/properties/websocket`, where a client reads them.

use super::super::encode::{encode_close, encode_head, encode_ping, encode_pong, encode_text};
use super::super::frame::Opcode;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = b"before".to_vec();
    write(&mut out);
    assert_eq!(out.drain(..6).as_slice(), b"before");
    out
}

#[test]
fn writes_the_shortest_length() {
    let check = |bytes: usize, expect: &[u8]| {
        let head = written(|out| encode_head(out, Opcode::Text, bytes));
        assert_eq!(head, expect, "{bytes}");
    };
    check(0, &[0x81, 0]);
    check(125, &[0x81, 125]);
    check(126, &[0x81, 126, 0, 126]);
    check(127, &[0x81, 126, 0, 127]);
    check(255, &[0x81, 126, 0, 255]);
    check(256, &[0x81, 126, 1, 0]);
    check(65_535, &[0x81, 126, 0xff, 0xff]);
    check(65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn names_every_opcode() {
    let check = |opcode: Opcode, expect: u8| {
        assert_eq!(written(|out| encode_head(out, opcode, 1)), [expect, 1]);
    };
    check(Opcode::Continuation, 0x80);
    check(Opcode::Text, 0x81);
    check(Opcode::Binary, 0x82);
    check(Opcode::Close, 0x88);
    check(Opcode::Ping, 0x89);
    check(Opcode::Pong, 0x8a);
}

#[test]
fn writes_the_examples_of_the_standard() {
    // RFC 6455 5.7
    assert_eq!(written(|out| encode_text(out, b"Hello")), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(written(|out| encode_ping(out, b"Hello")), [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
}

#[test]
fn writes_no_control_frame_too_long() {
    let long = "é".repeat(100);
    let pong = written(|out| encode_pong(out, long.as_bytes()));
    assert_eq!((&pong[..2], pong.len()), ([0x8a, 125].as_slice(), 127));
    let close = written(|out| encode_close(out, Some(1009), &long));
    assert_eq!(&close[..4], [0x88, 124, 0x03, 0xf1], "123 bytes would end inside a character");
    assert_eq!(&close[4..], "é".repeat(61).as_bytes());
    assert_eq!(written(|out| encode_close(out, Some(1000), "")), [0x88, 2, 0x03, 0xe8]);
    assert_eq!(written(|out| encode_close(out, None, "ignored")), [0x88, 0]);
}
