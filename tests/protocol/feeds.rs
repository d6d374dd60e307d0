//! Events over HTTP that are no part of Streamable HTTP: the feed, and the pair of 2024-11-05; and the redirect.
//! Next: `channels`, which runs both eras over the pair.

use serde_json::{Value, json};

use crate::channels::{Kind, get, reshape, serving};
use crate::client::OTHER_KEY;
use crate::fixture::{KEY, READER_KEY};
use crate::offer::catalog;
use crate::shards::{Carry, Shards};
use mcpring::pipeline::snapshot::Speech;

fn fleet(shards: usize, carry: Carry) -> Shards {
    Shards::new(shards, carry, &serving(Kind::Events, &catalog(), |_| {}))
}

fn kinds() -> [Carry; 3] {
    [Carry::InOrder, Carry::Shuffled(1), Carry::Shuffled(7)]
}

fn posted(key: &str, path: &str, message: &Value) -> Vec<u8> {
    let message = message.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n{message}",
        message.len()
    )
    .into_bytes()
}

fn endpoint(shards: &Shards, line: usize) -> String {
    shards.stream(line).1[0].data.clone().expect("an endpoint")
}

fn initialize(revision: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}})
}

#[test]
fn a_feed_begins_with_a_word_and_tells_changes_with_ids() {
    let mut shards = fleet(1, Carry::InOrder);
    let line = shards.open(&get("/events", ""));
    let (head, events) = shards.stream(line);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
    assert_eq!(events[0].retry, Some(5000));
    assert_eq!(events[1].data.as_deref(), Some(r#"{"type":"connected"}"#));
    assert!(events[1].id.is_some());
    shards.updated("docs://motto");
    let (_, events) = shards.stream(line);
    assert_eq!(events.len(), 3);
    let told = events[2].message().unwrap();
    assert_eq!(
        (&told["method"], &told["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!("docs://motto"))
    );
    assert!(events[2].id.is_some() && events[2].id != events[1].id);
    // What is not listed is not told of, and quiet streams give a sign of life.
    shards.updated("docs://nowhere");
    assert_eq!(shards.stream(line).1.len(), 3);
    let before = shards.received(line).len();
    shards.pass(30_000);
    assert!(shards.received(line)[before..].ends_with(b": \n\n\r\n"), "a comment");
}

#[test]
fn a_feed_tells_only_what_its_reader_may_read() {
    let mut shards = fleet(1, Carry::InOrder);
    let reader = String::from_utf8(get("/events", "")).unwrap().replace(KEY, READER_KEY);
    let line = shards.open(reader.as_bytes());
    shards.updated("me://name");
    assert_eq!(shards.messages(line).len(), 1, "only the first word");
    shards.updated("docs://motto");
    assert_eq!(shards.messages(line).len(), 2);
}

#[test]
fn a_feed_that_was_cut_goes_on_wherever_its_reader_comes_back() {
    for count in [1, 2, 3, 8] {
        for carry in kinds() {
            for cut_after in 1..4 {
                let mut shards = fleet(count, carry);
                let line = shards.open(&get("/events", ""));
                for _ in 1..cut_after {
                    shards.updated("docs://motto");
                }
                assert_eq!(shards.messages(line).len(), cut_after);
                let id = shards.last_id(line).expect("ids");
                shards.cut(line);
                shards.updated("me://name");
                shards.updated("ask://name");
                for _ in 0..count {
                    let line = shards.open(&get("/events", &format!("Last-Event-ID: {id}\r\n")));
                    let uris: Vec<_> =
                        shards.messages(line).iter().map(|told| told["params"]["uri"].clone()).collect();
                    assert_eq!(uris, ["me://name", "ask://name"], "{count} {carry:?} {cut_after}");
                    shards.cut(line);
                }
                shards.pass(301_000);
                assert_eq!(shards.streams(), 0, "nobody came back");
                let line = shards.open(&get("/events", &format!("Last-Event-ID: {id}\r\n")));
                assert_eq!(shards.messages(line), [json!({"type": "connected"})], "a new one");
            }
        }
    }
}

#[test]
fn a_feed_of_another_principal_is_not_there() {
    for count in [1, 2] {
        let mut shards = fleet(count, Carry::InOrder);
        let line = shards.open(&get("/events", ""));
        let id = shards.last_id(line).expect("ids");
        shards.cut(line);
        shards.updated("docs://motto");
        let other = String::from_utf8(get("/events", &format!("Last-Event-ID: {id}\r\n"))).unwrap();
        let line = shards.open(other.replace(KEY, OTHER_KEY).as_bytes());
        assert_eq!(shards.messages(line), [json!({"type": "connected"})]);
        // Nor can a session's stream be read there.
        let line = shards.open(&get("/events", "Last-Event-ID: 0-0-00000000000000000000000000000001.1\r\n"));
        assert_eq!(shards.messages(line).len(), 1);
    }
}

#[test]
fn there_are_only_so_many_feeds_and_each_keeps_only_so_much() {
    let mut shards = fleet(1, Carry::InOrder);
    let lines: Vec<usize> = (0..4).map(|_| shards.open(&get("/events", ""))).collect();
    let refused = shards.ask(&get("/events", ""));
    assert_eq!(
        (refused.status, &refused.json()["error"]["data"]["reason"]),
        (429, &json!("too_many_streams"))
    );
    assert_eq!(shards.ask(&get("/sse", "")).status, 429);
    let id = shards.last_id(lines[0]).unwrap();
    shards.cut(lines[0]);
    for _ in 0..20 {
        shards.updated("docs://motto");
    }
    let line = shards.open(&get("/events", &format!("Last-Event-ID: {id}\r\n")));
    assert_eq!(shards.messages(line).len(), 8, "the newest");
}

#[test]
fn every_way_in_is_judged() {
    let mut shards = fleet(1, Carry::InOrder);
    let asked = |text: &str| text.as_bytes().to_vec();
    let whole = String::from_utf8(get("/events", "")).unwrap();
    for (path, from, to, status) in [
        ("/events", "Authorization: Bearer", "X-Nothing:", 401),
        ("/sse", "Authorization: Bearer", "X-Nothing:", 401),
        ("/events", "text/event-stream", "application/json", 406),
        ("/events", "GET", "DELETE", 405),
        ("/message", "GET", "GET", 405),
        ("/events/", "GET", "GET", 404),
        ("/sse", "Host: localhost", "Host: localhost\r\nOrigin: https://evil.example.com", 403),
        ("/sse", "Host: localhost", "Host: evil.example.com", 421),
    ] {
        let request = whole.replacen("/events", path, 1).replacen(from, to, 1);
        assert_eq!(shards.ask(&asked(&request)).status, status, "{path} {from} {to}");
    }
    let nobody = "/message?sessionId=0-0-00000000000000000000000000000001";
    for (request, status) in [
        (posted(KEY, nobody, &json!({})), 404),
        (posted(KEY, "/message", &json!({})), 404),
        (posted(KEY, "/message?sessionId=", &json!({})), 404),
        (posted("wrong", nobody, &json!({})), 401),
    ] {
        assert_eq!(shards.ask(&request).status, status, "{}", String::from_utf8_lossy(&request));
    }
    let without = serving(Kind::Events, &catalog(), |snapshot| {
        reshape(snapshot, |listener| {
            listener.speech = Speech::Http(mcpring::pipeline::snapshot::Transports {
                streamable_http: true,
                ..Default::default()
            })
        });
    });
    let mut shards = Shards::new(1, Carry::InOrder, &without);
    for path in ["/events", "/sse"] {
        assert_eq!(shards.ask(&get(path, "")).status, 404);
    }
}

#[test]
fn what_is_posted_on_any_shard_is_answered_on_the_stream() {
    for count in [1, 2, 8] {
        for carry in kinds() {
            let mut shards = fleet(count, carry);
            let line = shards.open(&get("/sse", ""));
            let path = endpoint(&shards, line);
            assert_eq!(shards.ask(&posted(KEY, &path, &initialize("2024-11-05"))).status, 202);
            for id in 1..=10 {
                let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
                    "params": {"name": "echo", "arguments": {"message": format!("m{id}")}}});
                assert_eq!(shards.ask(&posted(KEY, &path, &call)).status, 202);
            }
            let messages = shards.messages_named(line, "message");
            assert_eq!(messages[0]["result"]["protocolVersion"], "2024-11-05");
            let ids: Vec<_> = messages.iter().skip(1).map(|answer| answer["id"].as_u64().unwrap()).collect();
            assert_eq!(ids, (1..=10).collect::<Vec<_>>(), "{count} {carry:?}");
            // Nobody else's business, and nobody's once the stream is gone.
            for _ in 0..count {
                assert_eq!(shards.ask(&posted(OTHER_KEY, &path, &initialize("2024-11-05"))).status, 404);
            }
            shards.cut(line);
            for _ in 0..count {
                assert_eq!(shards.ask(&posted(KEY, &path, &initialize("2024-11-05"))).status, 404);
            }
            shards.cut_all();
            assert_eq!(shards.streams(), 0);
        }
    }
}

#[test]
fn a_redirect_serves_nothing_else() {
    let snapshot = serving(Kind::Events, &catalog(), |snapshot| {
        reshape(snapshot, |listener| {
            listener.speech =
                Speech::Redirect { location: bytes::Bytes::from_static(b"https://mcp.example.com/mcp") };
        });
    });
    let mut shards = Shards::new(1, Carry::InOrder, &snapshot);
    for request in [
        get("/mcp", ""),
        get("/anything?x=1", ""),
        crate::fixture::echo("1", "x"),
        b"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    ] {
        let answer = shards.ask(&request);
        assert_eq!(answer.status, 308);
        assert!(answer.head.contains("location: https://mcp.example.com/mcp\r\n"), "{}", answer.head);
    }
}
