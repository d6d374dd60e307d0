//! A stream that one shard keeps, read over connections that reach any.
//! Next: `life`.

use std::time::{Duration, Instant};

use crate::client::{Client, post};
use crate::server::{KEY, Server};

/// Connections, of which about half reach the shard that keeps the stream.
const RESUMPTIONS: u32 = 60;

#[test]
fn a_shard_with_nothing_else_to_do_sends_what_another_asks_for_at_once() {
    let server = Server::start();
    let port = server.port("plain");
    let credential = format!("X-API-Key: {KEY}\r\n");
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let answer = Client::plain(port).ask(&post(&credential, hello));
    let session = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    let fields = format!("{credential}Mcp-Session-Id: {}\r\n", session.expect("a session opens").trim());
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"countdown","arguments":{"steps":1,"interval_ms":10}}}"#;
    let events = Client::plain(port).ask(&post(&fields, call));
    let events = String::from_utf8(events.body).expect("events are text");
    let first = events.lines().find_map(|line| line.strip_prefix("id: ")).expect("the stream is primed");
    let begun = Instant::now();
    for _ in 0..RESUMPTIONS {
        let get = format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{fields}Last-Event-ID: {first}\r\n\r\n"
        );
        let answer = Client::plain(port).ask(get.as_bytes());
        assert!(String::from_utf8_lossy(&answer.body).contains("done"));
    }
    // A parcel that waits for the shard's housekeeping waits half a second on average.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
