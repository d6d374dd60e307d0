//! Legacy sessions on several shards, every request on a connection of its own: whichever shard it reaches must do.
//! Next: `tests/protocol`, where the same is tried without sockets.

use serde_json::{Value, json};

use crate::client::{Client, bearer, post};
use crate::server::{Folder, KEY, Server};

const REVISION: &str = "2025-11-25";

/// One session, and where its server is.
struct Session {
    port: u16,
    fields: String,
}

/// What a stream brought: messages, and the id of the last event.
#[derive(Default)]
struct Read {
    messages: Vec<Value>,
    last_id: String,
}

impl Session {
    fn open(port: u16, revision: &str) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
        let answer = Client::plain(port).ask(&post(&bearer(KEY), &body.to_string()));
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
        Self {
            port,
            fields: format!("{}Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {revision}\r\n", bearer(KEY)),
        }
    }

    fn post(&self, body: &Value) -> Vec<u8> {
        post(&self.fields, &body.to_string())
    }

    /// A request on a connection of its own.
    fn ask(&self, body: &Value) -> (u16, Vec<u8>) {
        let answer = Client::plain(self.port).ask(&self.post(body));
        (answer.status, answer.body)
    }

    fn without_body(&self, method: &str, fields: &str) -> Vec<u8> {
        format!(
            "{method} /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}{fields}\r\n",
            self.fields
        )
        .into_bytes()
    }

    /// Begins a call of `countdown` on a connection of its own, and reads its stream.
    fn count(&self, id: u64, steps: u32, interval_ms: u64) -> Client {
        let mut client = Client::plain(self.port);
        client.send(&self.post(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "countdown", "arguments": {"steps": steps, "interval_ms": interval_ms},
            "_meta": {"progressToken": id}}})));
        assert!(client.head().contains("text/event-stream"));
        client
    }
}

/// Reads events until there are `most` messages, or the stream ends.
fn read(client: &mut Client, most: usize, into: &mut Read) {
    let before = into.messages.len();
    while into.messages.len() < before + most {
        let Some(chunk) = client.chunk() else { return };
        let text = String::from_utf8(chunk).unwrap();
        for line in text.lines() {
            if let Some(id) = line.strip_prefix("id: ") {
                into.last_id = id.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ").filter(|data| !data.is_empty()) {
                into.messages.push(serde_json::from_str(data).unwrap());
            }
        }
    }
}

fn with_shards(shards: &str) -> Server {
    Server::start_in(Folder::new(), &["--set", &format!("runtime.shards={shards}")])
}

#[test]
fn a_stream_cut_anywhere_is_read_to_its_end_on_any_shard_without_gap_or_double() {
    for shards in ["2", "8"] {
        let server = with_shards(shards);
        let port = server.port("plain");
        for cut in 0..12 {
            let session = Session::open(port, REVISION);
            let mut seen = Read::default();
            // The priming event alone, or some of the reports.
            let mut client = session.count(7, 5, 15);
            if cut % 6 == 0 {
                let text = String::from_utf8(client.chunk().unwrap()).unwrap();
                seen.last_id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
            }
            read(&mut client, cut % 6, &mut seen);
            drop(client);
            while seen.messages.last().is_none_or(|last| last.get("id").is_none()) {
                let mut client = Client::plain(port);
                client.send(&session.without_body("GET", &format!("Last-Event-ID: {}\r\n", seen.last_id)));
                assert!(client.head().starts_with("HTTP/1.1 200"));
                read(&mut client, 2, &mut seen);
            }
            let progress: Vec<u64> =
                seen.messages.iter().filter_map(|message| message["params"]["progress"].as_u64()).collect();
            assert_eq!(progress, [1, 2, 3, 4, 5], "{shards} shards, cut after {cut}");
            let answers: Vec<&Value> = seen.messages.iter().filter(|message| message["id"] == 7).collect();
            assert_eq!(answers.len(), 1, "{shards} shards, cut after {cut}");
            assert_eq!(answers[0]["result"]["content"][0]["text"], "done");
        }
    }
}

#[test]
fn a_session_is_heeded_and_ended_on_every_shard() {
    for shards in ["2", "8"] {
        let server = with_shards(shards);
        let session = Session::open(server.port("plain"), REVISION);
        let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
        for number in 0..16 {
            assert_eq!(session.ask(&ping).0, 200);
            // Cancelled from another connection: the stream ends without an answer.
            let id = 100 + number;
            let mut client = session.count(id, 1000, 10_000);
            let cancel =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            assert_eq!(session.ask(&cancel).0, 202);
            let mut seen = Read::default();
            read(&mut client, usize::MAX, &mut seen);
            assert_eq!(seen.messages, [] as [Value; 0]);
        }
        let mut stream = Client::plain(session.port);
        stream.send(&session.without_body("GET", ""));
        assert!(stream.head().contains("text/event-stream"));
        let mut ended = Client::plain(session.port);
        assert_eq!(ended.ask(&session.without_body("DELETE", "")).status, 204);
        for _ in 0..16 {
            assert_eq!(session.ask(&ping).0, 404);
        }
        // Its stream has ended with it.
        read(&mut stream, usize::MAX, &mut Read::default());
    }
}

#[test]
fn a_session_is_listened_to_at_once_also_in_place_of_a_stream_that_is_no_more() {
    let server = with_shards("2");
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let session = Session::open(server.port("plain"), revision);
        let gone = |shard: u8| format!("Last-Event-ID: {shard}-ff-{:032x}.1\r\n", 7);
        let asked = [String::new(), gone(0), gone(1)].into_iter().cycle().take(12);
        let mut streams: Vec<Client> = asked
            .map(|fields| {
                let mut stream = Client::plain(session.port);
                stream.send(&session.without_body("GET", &fields));
                assert!(stream.head().contains("text/event-stream"), "{revision} {fields}");
                stream
            })
            .collect();
        let mut ended = Client::plain(session.port);
        assert_eq!(ended.ask(&session.without_body("DELETE", "")).status, 204);
        for stream in &mut streams {
            // Chunks to the end: no second head in between.
            read(stream, usize::MAX, &mut Read::default());
        }
    }
}
