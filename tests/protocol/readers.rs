//! Readers of streams that are slow, late or gone: what they miss, what they get all the same, what is kept for them.
//! Next: `tests/simulation`, where chance decides who is slow.

use std::sync::Arc;
use std::time::Duration;

use mcpring::pipeline::event::Count;
use mcpring::pipeline::hub::Held;
use mcpring::pipeline::hub::listen::Change;
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::snapshot::{Security, SlowReader, Snapshot};
use mcpring::tools::{Progress, Registry, Resource, Tool};

use crate::fixture::{Desk, KEY, answers, post, role, snapshot_with};

const URI: &str = "docs://a";

/// A server with a tool that reports `BURST` times at once, and a resource to be told of.
fn snapshot(slow_reader: SlowReader) -> Arc<Snapshot> {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}
    snapshot_with(Security::Plain, |snapshot| {
        let mut registry = Registry::default();
        let burst = Tool::asynchronous("burst", "Reports.", |_: Nothing, context| async move {
            context.sleep(Duration::from_millis(10)).await;
            for step in 1..=BURST {
                context.progress(Progress { progress: f64::from(step), total: None, message: None });
            }
            Ok("done")
        });
        registry.register(burst).unwrap();
        registry.register_resource(Resource::text(URI, "a", "text/plain", "A")).unwrap();
        snapshot.policy =
            mcpring::pipeline::authorize::Policy::compile(&[role("all", &["**"])], &registry).unwrap();
        snapshot.registry = Arc::new(registry);
        snapshot.limits.event_buffer_size = 10;
        snapshot.limits.slow_reader = slow_reader;
    })
}

const BURST: u32 = 50;

#[test]
fn a_call_that_outruns_its_reader_is_answered_all_the_same() {
    for slow_reader in [SlowReader::Close, SlowReader::Drop] {
        for accept in ["application/json", "text/event-stream", "application/json, text/event-stream"] {
            let mut desk = Desk::new(snapshot(slow_reader));
            let mut connection = desk.connect();
            let body = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"burst","arguments":{},"_meta":{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
            let fields = format!(
                "X-API-Key: {KEY}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: burst\r\n"
            );
            let request = String::from_utf8(post(&fields, body)).unwrap();
            let request = request.replace("application/json, text/event-stream", accept);
            let mut bytes = desk.feed(&mut connection, request.as_bytes());
            bytes.extend(desk.pass(&mut connection, 10));
            let all = answers(&bytes);
            assert_eq!(all.len(), 1, "{slow_reader:?}, {accept}");
            let last = if accept == "application/json" {
                all[0].json()
            } else {
                all[0].events().pop().expect("the answer comes last")
            };
            assert_eq!(last["result"]["content"][0]["text"], "done", "{slow_reader:?}, {accept}");
        }
    }
}

/// A legacy client of one session.
struct Client {
    desk: Desk,
    session: String,
}

impl Client {
    fn new(slow_reader: SlowReader) -> Self {
        let mut desk = Desk::new(snapshot(slow_reader));
        let mut connection = desk.connect();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
        let bytes = desk.feed(&mut connection, &post(&format!("X-API-Key: {KEY}\r\n"), body));
        let head = answers(&bytes).remove(0).head;
        let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
        let mut client = Self { session: session.to_owned(), desk };
        let body = r#"{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"docs://a"}}"#;
        let answer = answers(&client.desk.feed(&mut connection, &post(&client.fields(), body))).remove(0);
        assert_eq!(answer.json()["result"], serde_json::json!({}));
        client.desk.release(connection);
        client
    }

    fn fields(&self) -> String {
        format!(
            "X-API-Key: {KEY}\r\nMcp-Session-Id: {}\r\nMCP-Protocol-Version: 2025-11-25\r\n",
            self.session
        )
    }

    fn update(&mut self, times: usize) {
        for _ in 0..times {
            self.desk.work.receive(
                Parcel::Change(Change::Resource(URI.into())),
                &self.desk.snapshot,
                self.desk.now,
            );
        }
    }

    /// Reads the session's stream for a moment; how many changes it told, and the last id.
    fn read(&mut self, last_id: Option<&str>) -> (usize, Option<String>) {
        let last = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let get = format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}{last}\r\n",
            self.fields()
        );
        let mut connection = self.desk.connect();
        let bytes = self.desk.feed(&mut connection, get.as_bytes());
        self.desk.release(connection);
        let text = String::from_utf8(bytes).unwrap();
        let id = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back();
        (text.matches("notifications/resources/updated").count(), id.map(str::to_owned))
    }
}

#[test]
fn a_reader_that_comes_back_to_a_gap_gets_what_is_left() {
    for slow_reader in [SlowReader::Close, SlowReader::Drop] {
        for remembers in [false, true] {
            let mut client = Client::new(slow_reader);
            client.update(3);
            let (told, id) = client.read(None);
            assert_eq!(told, 3);
            client.update(30);
            let (told, id) = client.read(id.as_deref().filter(|_| remembers));
            assert_eq!(told, 10, "{slow_reader:?}, {remembers}");
            assert_eq!(client.desk.work.events.total(Count::RespondMissed), 1);
            // Nothing twice.
            assert_eq!(client.read(id.as_deref()).0, 0);
            assert_eq!(client.read(None).0, 0);
        }
    }
}

#[test]
fn a_session_that_nobody_reads_is_forgotten_although_it_is_told_of_changes() {
    let mut client = Client::new(SlowReader::Close);
    let window = client.desk.snapshot.limits.resume_window;
    assert_eq!(client.desk.work.hub.held().streams, 1);
    for _ in 0..10 {
        client.desk.now.ms += u64::try_from(window.as_millis()).unwrap() / 5;
        client.update(1);
        client.desk.work.hub.handle_time(client.desk.now);
    }
    assert_eq!(client.desk.work.hub.held(), Held::default());
}
