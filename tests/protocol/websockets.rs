//! What only a WebSocket has: its opening, control frames, close codes, signs of life.
//! Next: `feeds`, events over HTTP.

use serde_json::{Value, json};

use crate::offer::catalog;
use crate::shards::{Carry, Shards};
use crate::talk::{Kind, Talk, all_transports, call, frame, opening, reshape, serving};
use mcpring::pipeline::snapshot::Speech;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// The code of the Close that came last, if one came.
fn close_code(talk: &Talk) -> Option<u16> {
    let (first, payload) = talk.control.last()?;
    (*first == CLOSE).then(|| payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)))
}

fn echo(id: u64, message: &str) -> Vec<u8> {
    call(id, "echo", json!({"message": message}), None).to_string().into_bytes()
}

#[test]
fn an_opening_is_judged_like_any_request_and_then_as_a_handshake() {
    let whole = String::from_utf8(opening("")).unwrap();
    for (from, to, status) in [
        ("", "", 101),
        ("Authorization: Bearer", "X-Nothing:", 401),
        ("Host: localhost", "Host: evil.example.com", 421),
        ("Host: localhost", "Host: localhost\r\nOrigin: https://evil.example.com", 403),
        ("Host: localhost", "Host: localhost\r\nOrigin: https://localhost", 101),
        ("Version: 13", "Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Connection: keep-alive, Upgrade", "Connection: keep-alive", 400),
        ("Protocol: mcp", "Protocol: graphql-ws", 400),
        ("Protocol: mcp", "Protocol: soap, mcp", 101),
        ("Sec-WebSocket-Protocol: mcp\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", 400),
        ("GET /mcp", "GET /elsewhere", 404),
        ("GET /mcp", "POST /mcp", 415),
        ("Upgrade: websocket", "Upgrade: h2c", 405),
        ("HTTP/1.1", "HTTP/1.0", 405),
    ] {
        let snapshot = serving(Kind::Frames, &catalog(), |_| {});
        let mut shards = Shards::new(1, Carry::InOrder, &snapshot);
        let line = shards.open(whole.replacen(from, to, 1).as_bytes());
        let head = String::from_utf8_lossy(shards.received(line)).into_owned();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{from:?} -> {to:?}: {head}");
        if status == 426 {
            assert!(head.contains("sec-websocket-version: 13\r\n"), "{head}");
        }
        assert!(
            head.contains("x-content-type-options: nosniff\r\n") || head.contains("\r\ndate: "),
            "{head}"
        );
    }
}

#[test]
fn a_listener_without_websockets_has_none_and_one_with_nothing_else_neither() {
    let snapshot = serving(Kind::Frames, &catalog(), |snapshot| {
        reshape(snapshot, |listener| {
            let transports = mcpring::pipeline::snapshot::Transports { websocket: None, ..all_transports() };
            listener.speech = Speech::Http(transports);
        });
    });
    let mut shards = Shards::new(1, Carry::InOrder, &snapshot);
    assert_eq!(shards.ask(&opening("")).status, 405);
    let snapshot = serving(Kind::Frames, &catalog(), |snapshot| {
        reshape(snapshot, |listener| {
            let transports =
                mcpring::pipeline::snapshot::Transports { streamable_http: false, ..all_transports() };
            listener.speech = Speech::Http(transports);
        });
    });
    let mut shards = Shards::new(1, Carry::InOrder, &snapshot);
    assert_eq!(shards.ask(&crate::fixture::echo("1", "x")).status, 404);
    let line = shards.open(&opening(""));
    assert!(shards.received(line).starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn frames_right_behind_the_opening_are_read() {
    let snapshot = serving(Kind::Frames, &catalog(), |_| {});
    for step in [1, 7, 1000] {
        let mut shards = Shards::new(1, Carry::InOrder, &snapshot);
        let line = shards.connect();
        let bytes = [opening(""), frame(TEXT, &echo(1, "early"))].concat();
        for piece in bytes.chunks(step) {
            shards.send(line, piece);
        }
        let text = String::from_utf8_lossy(shards.received(line)).into_owned();
        assert!(text.contains("early"), "{text}");
    }
}

#[test]
fn a_message_comes_in_fragments_with_control_frames_between() {
    let message = echo(1, "in three \u{20ac} pieces");
    let (first, rest) = message.split_at(150);
    let (second, third) = rest.split_at(20);
    let bytes = [
        frame(0x01, first),
        frame(0x89, b"are you there"),
        frame(0x00, second),
        frame(0x8a, b""),
        frame(0x80, third),
        frame(TEXT, &echo(2, "next")),
    ]
    .concat();
    for step in [1, 2, 3, 5, 16, 100, 10_000] {
        let mut talk = Talk::new(Kind::Frames);
        let mut heard = Vec::new();
        for piece in bytes.chunks(step) {
            heard.extend(talk.raw(piece));
        }
        let ids: Vec<&Value> = heard.iter().map(|answer| &answer["id"]).collect();
        assert_eq!(ids, [&json!(1), &json!(2)], "by {step}");
        assert_eq!(talk.control, [(0x8a, b"are you there".to_vec())]);
        assert!(!talk.is_over());
    }
}

#[test]
fn what_is_held_of_a_message_does_not_grow_by_what_is_between_its_pieces() {
    let mut talk = Talk::new(Kind::Frames);
    talk.raw(&frame(0x01, b"{"));
    let pings = [frame(0x89, &[b'x'; 100]), frame(0x00, b" ")].concat().repeat(1000);
    for _ in 0..4 {
        talk.raw(&pings);
        talk.control.clear();
    }
    assert!(!talk.is_over());
    let held = talk.shards.held(talk.line);
    assert!(held < 16 * 1024, "{held} bytes for four thousand");
    talk.raw(&pings);
    assert_eq!(close_code(&talk), Some(1008), "so many pieces are no message");
}

#[test]
fn whoever_breaks_the_rules_is_told_which() {
    let long = vec![b' '; (1 << 20) + 1];
    for (bytes, code) in [
        (frame(0x82, b"{}"), 1003),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (vec![TEXT, 2, b'{', b'}'], 1002),
        (frame(0xc1, b"{}"), 1002),
        (frame(0x83, b"{}"), 1002),
        (frame(0x80, b"{}"), 1002),
        (frame(0x09, b"x"), 1002),
        (frame(TEXT, &long), 1009),
        (vec![TEXT, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4], 1009),
        (frame(CLOSE, &1000u16.to_be_bytes()), 1000),
        (frame(CLOSE, &999u16.to_be_bytes()), 1002),
        (frame(CLOSE, b""), 1000),
    ] {
        let mut talk = Talk::new(Kind::Frames);
        assert!(talk.raw(&bytes).is_empty());
        assert_eq!(close_code(&talk), Some(code), "{:02x?}", &bytes[..bytes.len().min(12)]);
        assert!(talk.is_over());
        assert!(talk.raw(&frame(TEXT, &echo(1, "x"))).is_empty(), "after goodbye nothing is read");
    }
}

#[test]
fn a_message_at_the_limit_is_taken() {
    let limit = |bytes: usize| {
        move |snapshot: &mut mcpring::pipeline::snapshot::Snapshot| {
            reshape(snapshot, |listener| listener.limits.message_bytes_max = bytes);
        }
    };
    let message = echo(1, &"x".repeat(1000));
    let mut talk = Talk::with(Kind::Frames, limit(message.len()));
    assert_eq!(talk.raw(&frame(TEXT, &message))[0]["id"], 1);
    let mut talk = Talk::with(Kind::Frames, limit(message.len() - 1));
    assert!(talk.raw(&frame(TEXT, &message)).is_empty());
    assert_eq!(close_code(&talk), Some(1009));
    // In fragments the sum counts.
    let mut talk = Talk::with(Kind::Frames, limit(message.len() - 1));
    talk.raw(&frame(0x01, &message[..600]));
    talk.raw(&frame(0x80, &message[600..]));
    assert_eq!(close_code(&talk), Some(1009));
}

#[test]
fn a_quiet_peer_is_pinged_and_a_dead_one_is_let_go() {
    let mut talk = Talk::new(Kind::Frames);
    for _ in 0..5 {
        talk.control.clear();
        assert!(talk.pass(30_000).is_empty());
        assert_eq!(talk.control, [(0x89, Vec::new())]);
        talk.raw(&frame(0x8a, b""));
        assert!(!talk.is_over());
    }
    talk.control.clear();
    talk.pass(30_000);
    talk.pass(5_000);
    assert!(!talk.is_over());
    talk.pass(5_001);
    assert!(talk.is_over(), "no answer in time");
    // Anything it says is a sign of life.
    let mut talk = Talk::new(Kind::Frames);
    for _ in 0..3 {
        talk.pass(29_000);
        assert_eq!(talk.raw(&frame(TEXT, &echo(1, "x"))).len(), 1);
    }
    assert!(talk.control.is_empty());
}

#[test]
fn pings_do_not_buy_time_for_half_a_message() {
    let mut talk = Talk::new(Kind::Frames);
    talk.raw(&frame(0x01, b"{"));
    for _ in 0..3 {
        talk.pass(9_000);
        talk.raw(&frame(0x89, b""));
        assert!(!talk.is_over());
    }
    talk.pass(9_000);
    assert!(talk.is_over(), "body_timeout counts from its first byte");
}

#[test]
fn a_server_that_stops_says_so() {
    let mut talk = Talk::new(Kind::Frames);
    talk.shards.drain();
    talk.heard();
    assert_eq!((close_code(&talk), talk.is_over()), (Some(1001), true));
    let mut talk = Talk::new(Kind::Frames);
    assert!(talk.say(&call(1, "work", json!({"ms": 100}), None)).is_empty());
    talk.shards.drain();
    assert!(!talk.is_over());
    assert_eq!(talk.pass(120).len(), 1);
    assert_eq!((close_code(&talk), talk.is_over()), (Some(1001), true));
}

#[test]
fn a_peer_that_goes_without_a_word_leaves_nothing_behind() {
    let mut talk = Talk::new(Kind::Frames);
    assert!(talk.say(&call(1, "work", json!({"ms": 100}), None)).is_empty());
    talk.raw(&frame(0x01, b"half of"));
    talk.shards.cut_all();
    assert_eq!((talk.shards.streams(), talk.shards.running()), (0, 0));
}

#[test]
fn http_goes_on_beside_it() {
    let snapshot = serving(Kind::Frames, &catalog(), |_| {});
    let mut shards = Shards::new(1, Carry::InOrder, &snapshot);
    assert_eq!(shards.ask(&crate::fixture::echo("1", "x")).status, 200);
    let line = shards.open(&crate::fixture::echo("1", "x"));
    let before = shards.received(line).len();
    assert!(shards.is_answered(line));
    shards.send(line, &opening(""));
    assert!(shards.received(line)[before..].starts_with(b"HTTP/1.1 101 "), "on a connection that was used");
}
