//! Connections that carry everything: lines, prefixed messages and WebSocket frames; both eras on each of them.
//! Next: `feeds`, events over HTTP.

use std::sync::Arc;
use std::time::Duration;

use mcpring::pipeline::snapshot::{Listener, Security, Snapshot, Speech, Sse, Transports, WebSocket};
use mcpring::tools::Catalog;
use serde_json::{Value, json};

use crate::client::answering;
use crate::fixture::{KEY, READER_KEY, listener, rate};
use crate::offer::{catalog, snapshot_of};
use crate::shards::{Carry, Event, Shards};

/// How messages are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lines,
    Prefixed,
    Frames,
    Events,
}

const KINDS: [Kind; 4] = [Kind::Lines, Kind::Prefixed, Kind::Frames, Kind::Events];
/// Those that have no headers at all.
const PIPES: [Kind; 2] = [Kind::Lines, Kind::Prefixed];

/// One connection, and what has been read of it.
pub(crate) struct Talk {
    pub(crate) shards: Shards,
    kind: Kind,
    line: usize,
    read: usize,
    /// Where messages are posted.
    endpoint: String,
    /// Control frames that have come: first byte and payload.
    pub(crate) control: Vec<(u8, Vec<u8>)>,
}

pub(crate) fn serving(kind: Kind, catalog: &Catalog, change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    snapshot_of(catalog, |snapshot| {
        let speech = match kind {
            Kind::Lines => Speech::Lines,
            Kind::Prefixed => Speech::Prefixed,
            Kind::Frames | Kind::Events => Speech::Http(all_transports()),
        };
        snapshot.listeners = vec![Arc::new(Listener { speech, ..listener("tcp", Security::Plain) })];
        change(snapshot);
    })
}

/// Everything that HTTP can carry.
pub(crate) fn all_transports() -> Transports {
    Transports {
        streamable_http: true,
        websocket: Some(WebSocket {
            subprotocols: vec!["mcp".into()],
            frame_bytes_max: 1 << 20,
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
        }),
        sse: Some(Sse {
            heartbeat_interval: Duration::from_secs(30),
            retry: Duration::from_secs(5),
            connections_max: 4,
            event_buffer_size: 8,
        }),
    }
}

/// A handshake as browsers make it.
pub(crate) fn opening(fields: &str) -> Vec<u8> {
    format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: mcp\r\nAuthorization: Bearer {KEY}\r\n{fields}\r\n"
    )
    .into_bytes()
}

/// A frame as a client sends it.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(long).unwrap().to_be_bytes());
        }
        huge => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(huge as u64).to_be_bytes());
        }
    }
    let mask = [0x11, 0xa2, 0x33, 0xc4];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A server's frame at the front, and what follows it: its first byte and its payload.
fn unframe(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    assert!(head[1] < 128, "servers do not mask");
    let (length, rest) = match head[1] {
        126 => {
            rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?
        }
        127 => rest
            .split_first_chunk()
            .map(|(length, rest)| (usize::try_from(u64::from_be_bytes(*length)).unwrap(), rest))?,
        short => (usize::from(short), rest),
    };
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((head[0], payload, rest))
}

pub(crate) fn reshape(snapshot: &mut Snapshot, change: impl FnOnce(&mut Listener)) {
    change(Arc::get_mut(&mut snapshot.listeners[0]).expect("nobody else has it yet"));
}

impl Talk {
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(kind, |_| {})
    }

    pub(crate) fn with(kind: Kind, change: impl FnOnce(&mut Snapshot)) -> Self {
        let shards = Shards::new(1, Carry::InOrder, &serving(kind, &catalog(), change));
        let mut talk = Self { shards, kind, line: 0, read: 0, endpoint: String::new(), control: Vec::new() };
        talk.connect();
        talk
    }

    /// A new connection.
    fn connect(&mut self) {
        self.line = self.shards.connect();
        self.read = 0;
        match self.kind {
            Kind::Lines | Kind::Prefixed => {}
            Kind::Frames => {
                self.shards.send(self.line, &opening(""));
                let head = String::from_utf8_lossy(self.shards.received(self.line)).into_owned();
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
                assert!(head.contains("sec-websocket-protocol: mcp\r\n"), "{head}");
                self.read = head.find("\r\n\r\n").expect("a head ends") + 4;
            }
            Kind::Events => {
                self.shards.send(self.line, &get("/sse", ""));
                let (_, events) = self.shards.stream(self.line);
                assert_eq!(events[0].name.as_deref(), Some("endpoint"));
                self.endpoint = events[0].data.clone().expect("an endpoint");
                self.read = 1;
            }
        }
    }

    pub(crate) fn encode(&self, message: &str) -> Vec<u8> {
        match self.kind {
            Kind::Lines => format!("{message}\n").into_bytes(),
            Kind::Prefixed => {
                let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                [&length[..], message.as_bytes()].concat()
            }
            Kind::Frames => frame(0x81, message.as_bytes()),
            Kind::Events => {
                let endpoint = &self.endpoint;
                let length = message.len();
                format!(
                    "POST {endpoint} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                     Authorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n{message}"
                )
                .into_bytes()
            }
        }
    }

    /// Sends a message; what came back.
    pub(crate) fn say(&mut self, message: &Value) -> Vec<Value> {
        self.raw(&self.encode(&message.to_string()))
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Vec<Value> {
        if self.kind == Kind::Events {
            assert_eq!(self.shards.ask(bytes).status, 202);
            return self.heard();
        }
        self.shards.send(self.line, bytes);
        self.heard()
    }

    /// What has come since this was asked last.
    pub(crate) fn heard(&mut self) -> Vec<Value> {
        if self.kind == Kind::Events {
            let events = self.shards.stream(self.line).1;
            let new = events.get(self.read..).expect("they only grow");
            self.read = events.len();
            assert!(new.iter().all(|event| event.name.as_deref() == Some("message")), "{new:?}");
            return new.iter().filter_map(Event::message).collect();
        }
        let mut rest = self.shards.received(self.line).get(self.read..).expect("it only grows");
        let mut messages = Vec::new();
        loop {
            let (message, used) = match self.kind {
                Kind::Events => unreachable!("read above"),
                Kind::Frames => match unframe(rest) {
                    Some((0x81, payload, after)) => (payload, rest.len() - after.len()),
                    Some((first, payload, after)) => {
                        self.control.push((first, payload.to_vec()));
                        self.read += rest.len() - after.len();
                        rest = after;
                        continue;
                    }
                    None => break,
                },
                Kind::Lines => match rest.iter().position(|byte| *byte == b'\n') {
                    Some(end) => (&rest[..end], end + 1),
                    None => break,
                },
                Kind::Prefixed => match rest.split_first_chunk() {
                    Some((length, rest)) => {
                        let length = u32::from_be_bytes(*length) as usize;
                        (&rest[..length], length + 4)
                    }
                    None => break,
                },
            };
            messages.push(serde_json::from_slice(message).unwrap_or_else(|error| panic!("{error}")));
            rest = &rest[used..];
            self.read += used;
        }
        assert!(rest.is_empty(), "half a message: {:?}", String::from_utf8_lossy(rest));
        messages
    }

    pub(crate) fn pass(&mut self, millis: u64) -> Vec<Value> {
        self.shards.pass(millis);
        self.heard()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.shards.is_over(self.line)
    }
}

/// A GET by the operator.
pub(crate) fn get(path: &str, fields: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer {KEY}\r\n{fields}\r\n"
    )
    .into_bytes()
}

/// A modern request; with a key, the first of its connection.
pub(crate) fn modern(id: impl Into<Value>, method: &str, mut params: Value, key: Option<&str>) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    if params["_meta"].get("io.modelcontextprotocol/clientCapabilities").is_none() {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    with_key(request(id, method, params), key)
}

fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

fn with_key(mut message: Value, key: Option<&str>) -> Value {
    if let Some(key) = key {
        message["params"]["_meta"]["mcpring/authorization"] = json!(format!("Bearer {key}"));
    }
    message
}

pub(crate) fn call(id: impl Into<Value>, name: &str, arguments: Value, key: Option<&str>) -> Value {
    modern(id, "tools/call", json!({"name": name, "arguments": arguments}), key)
}

fn cancelled(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id.into()}})
}

/// Shakes hands in the legacy era.
fn shake(talk: &mut Talk, revision: &str, capabilities: Value) {
    let params = json!({"protocolVersion": revision, "capabilities": capabilities,
                        "clientInfo": {"name": "c", "version": "1"}});
    let answers = talk.say(&with_key(request(0, "initialize", params), Some(KEY)));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["result"]["protocolVersion"], revision);
    assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}

fn reason(answer: &Value) -> &str {
    answer["error"]["data"]["reason"].as_str().unwrap_or_else(|| panic!("no reason: {answer}"))
}

#[test]
fn a_modern_client_says_who_it_is_once() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let answers = talk.say(&call(1, "echo", json!({"message": "one"}), Some(KEY)));
        assert_eq!((answers.len(), text(&answers[0])), (1, "one"), "{kind:?}");
        let answers = talk.say(&call("two", "echo", json!({"message": "line\nbreak"}), None));
        assert_eq!((&answers[0]["id"], text(&answers[0])), (&json!("two"), "line\nbreak"));
        let answers = talk.say(&modern(3, "server/discover", json!({}), None));
        assert_eq!(answers[0]["result"]["resultType"], "complete");
        assert!(!talk.is_over());
    }
}

#[test]
fn whoever_does_not_say_who_it_is_is_told_and_in_the_end_sent_away() {
    for kind in PIPES {
        for (wrong, reason_word) in [
            (json!("Bearer nobody"), "unauthenticated"),
            (json!(7), "unauthenticated"),
            (json!(""), "unauthenticated"),
            (Value::Null, "unauthenticated"),
        ] {
            let mut talk = Talk::new(kind);
            let mut message = call(1, "echo", json!({"message": "x"}), None);
            message["params"]["_meta"]["mcpring/authorization"] = wrong.clone();
            let answers = talk.say(&message);
            assert_eq!((&answers[0]["id"], reason(&answers[0])), (&json!(1), reason_word), "{wrong}");
            assert_eq!(answers[0]["error"]["code"], 401);
            assert!(!talk.is_over(), "a client may ask what is spoken before it says who it is");
            assert_eq!(text(&talk.say(&call(2, "echo", json!({"message": "y"}), Some(KEY)))[0]), "y");
        }
        let mut talk = Talk::new(kind);
        for _ in 0..2 {
            assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
            assert!(!talk.is_over());
        }
        assert_eq!(reason(&talk.say(&request(3, "ping", json!({})))[0]), "unauthenticated");
        assert!(talk.is_over());
    }
}

#[test]
fn a_stranger_sends_little() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        let long = call(1, "echo", json!({"message": "x".repeat(70_000)}), Some(KEY));
        let answers = talk.say(&long);
        assert_eq!(
            (answers.len(), &answers[0]["error"]["code"], &answers[0]["id"]),
            (1, &json!(413), &Value::Null)
        );
        assert_eq!(text(&talk.say(&call(2, "echo", json!({"message": "y"}), Some(KEY)))[0]), "y");
        assert_eq!(text(&talk.say(&long)[0]).len(), 70_000);
    }
}

#[test]
fn a_legacy_client_shakes_hands_and_the_session_is_the_connections() {
    for kind in KINDS {
        for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let mut talk = Talk::new(kind);
            // MCP 2025-11-25, lifecycle: a ping may come first, anything else not.
            assert_eq!(
                talk.say(&with_key(request("p", "ping", json!({})), Some(KEY)))[0]["result"],
                json!({})
            );
            assert_eq!(reason(&talk.say(&request("l", "tools/list", json!({})))[0]), "not_initialized");
            shake(&mut talk, revision, json!({}));
            let answers =
                talk.say(&request(1, "tools/call", json!({"name": "echo", "arguments": {"message": "hi"}})));
            assert_eq!(text(&answers[0]), "hi");
            assert!(answers[0]["result"].get("resultType").is_none());
            let again = json!({"protocolVersion": revision, "capabilities": {}});
            assert_eq!(talk.say(&request(2, "initialize", again))[0]["error"]["code"], -32602);
            // Modern requests may stand beside it.
            assert_eq!(
                talk.say(&call(3, "echo", json!({"message": "m"}), None))[0]["result"]["resultType"],
                "complete"
            );
        }
    }
}

#[test]
fn requests_are_answered_as_they_finish() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call("slow", "work", json!({"ms": 200}), Some(KEY))).is_empty());
        assert!(talk.say(&call("quick", "work", json!({"ms": 100}), None)).is_empty());
        assert_eq!(text(&talk.say(&call("now", "echo", json!({"message": "n"}), None))[0]), "n");
        assert_eq!(talk.pass(120)[0]["id"], "quick");
        assert_eq!(talk.pass(120)[0]["id"], "slow");
        assert_eq!(talk.shards.streams(), usize::from(kind == Kind::Events), "an inbox where there is one");
    }
}

#[test]
fn reports_come_before_their_answer_in_both_eras() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let mut report = call("r", "report", json!({}), Some(KEY));
        report["params"]["_meta"]["progressToken"] = json!("t");
        report["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("warning");
        let mut heard = talk.say(&report);
        (0..4).for_each(|_| heard.extend(talk.pass(100)));
        let methods: Vec<_> =
            heard.iter().map(|message| message["method"].as_str().unwrap_or("answer")).collect();
        let once = ["notifications/progress", "notifications/message"];
        assert_eq!(methods, [&once[..], &once, &once, &["answer"]].concat());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-06-18", json!({}));
        assert_eq!(
            talk.say(&request(1, "logging/setLevel", json!({"level": "debug"})))[0]["result"],
            json!({})
        );
        let mut heard =
            talk.say(&request(2, "tools/call", json!({"name": "report", "_meta": {"progressToken": 5}})));
        (0..4).for_each(|_| heard.extend(talk.pass(100)));
        assert_eq!(heard.len(), 10, "{heard:?}");
    }
}

#[test]
fn what_is_cancelled_is_not_heard_of_again() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        assert!(talk.say(&call(2, "work", json!({"ms": 100}), None)).is_empty());
        assert!(talk.say(&cancelled(1)).is_empty());
        assert!(talk.say(&cancelled("nobody")).is_empty());
        assert_eq!(talk.shards.running(), 1);
        let heard = talk.pass(150);
        assert_eq!((heard.len(), &heard[0]["id"]), (1, &json!(2)));
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", json!({}));
        assert!(
            talk.say(&request(1, "tools/call", json!({"name": "work", "arguments": {"ms": 100}}))).is_empty()
        );
        assert!(talk.say(&cancelled(1)).is_empty());
        assert!(talk.pass(150).is_empty());
        assert_eq!(talk.shards.running(), 0);
    }
}

#[test]
fn one_handler_asks_in_both_eras() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let mut ask = call(1, "ask", json!({}), Some(KEY));
        ask["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = answering();
        let asked = talk.say(&ask).remove(0)["result"].take();
        assert_eq!(asked["resultType"], "input_required");
        ask["id"] = json!(2);
        ask["params"]["requestState"] = asked["requestState"].clone();
        ask["params"]["inputResponses"] = json!({"who": {"action": "accept", "content": {"name": "Ada"}}});
        assert_eq!(text(&talk.say(&ask)[0]), "hello Ada");
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", answering());
        let question = talk.say(&request(1, "tools/call", json!({"name": "ask"}))).remove(0);
        assert_eq!(question["method"], "elicitation/create");
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"name": "Bob"}}});
        assert_eq!(text(&talk.say(&answer)[0]), "hello Bob");
        assert_eq!(talk.shards.streams(), 1 + usize::from(kind == Kind::Events), "the session's own");
    }
}

#[test]
fn changes_are_told_to_whoever_asked_in_either_era() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let listen = json!({"notifications": {"resourceSubscriptions": ["docs://motto"]}});
        let heard = talk.say(&modern("l", "subscriptions/listen", listen, Some(KEY)));
        assert_eq!(heard[0]["method"], "notifications/subscriptions/acknowledged");
        talk.shards.updated("docs://motto");
        let heard = talk.heard();
        assert_eq!((heard.len(), &heard[0]["params"]["uri"]), (1, &json!("docs://motto")));
        assert_eq!(heard[0]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
        assert!(talk.say(&cancelled("l")).is_empty());
        talk.shards.updated("docs://motto");
        assert!(talk.heard().is_empty());
        shake(&mut talk, "2025-11-25", json!({}));
        assert!(
            talk.say(&request(2, "resources/subscribe", json!({"uri": "docs://motto"})))[0]["result"]
                .is_object()
        );
        talk.shards.updated("docs://motto");
        assert_eq!(talk.heard()[0]["method"], "notifications/resources/updated");
        assert!(
            talk.say(&request(3, "resources/unsubscribe", json!({"uri": "docs://motto"})))[0]["result"]
                .is_object()
        );
        talk.shards.updated("docs://motto");
        assert!(talk.heard().is_empty());
        talk.shards.cut_all();
        assert_eq!(talk.shards.streams(), 0);
    }
}

#[test]
fn tasks_are_looked_at_from_another_connection() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        let mut work = call(1, "work", json!({"ms": 100}), Some(KEY));
        work["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = tasks.clone();
        let id = talk.say(&work)[0]["result"]["taskId"].clone();
        assert!(talk.pass(150).is_empty());
        let mut get = modern(2, "tasks/get", json!({"taskId": id}), Some(KEY));
        get["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = tasks;
        talk.connect();
        assert_eq!(talk.say(&get)[0]["result"]["status"], "completed");
    }
}

#[test]
fn a_batch_is_answered_as_one_where_there_are_batches() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-03-26", json!({}));
        let work = |id| request(id, "tools/call", json!({"name": "work", "arguments": {"ms": 50}}));
        let batch =
            json!([request(1, "ping", json!({})), work(2), work(3), {"jsonrpc": "2.0", "method": "x"}]);
        assert!(talk.say(&batch).is_empty());
        let heard = talk.pass(60);
        let ids: Vec<_> =
            heard[0].as_array().expect("an array").iter().map(|answer| answer["id"].clone()).collect();
        assert_eq!((heard.len(), ids), (1, vec![json!(1), json!(2), json!(3)]));
        let heard = talk.say(&json!([request(1, "ping", json!({}))]));
        assert!(heard[0].is_array());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-06-18", json!({}));
        assert_eq!(talk.say(&batch)[0]["error"]["code"], -32600);
        assert!(!talk.is_over());
    }
}

#[test]
fn only_so_many_requests_wait_for_an_answer() {
    for kind in KINDS {
        let mut talk =
            Talk::with(kind, |snapshot| reshape(snapshot, |listener| listener.limits.inflight_max = 2));
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        assert!(talk.say(&call(2, "work", json!({"ms": 100}), None)).is_empty());
        let refused = talk.say(&call(3, "work", json!({"ms": 100}), None));
        assert_eq!((&refused[0]["id"], reason(&refused[0])), (&json!(3), "too_many_in_flight"));
        assert!(talk.say(&cancelled(1)).is_empty());
        assert!(talk.say(&call(4, "work", json!({"ms": 100}), None)).is_empty());
        let ids: Vec<_> = talk.pass(200).into_iter().map(|answer| answer["id"].clone()).collect();
        assert_eq!(ids.len(), 2, "{ids:?}");
    }
}

#[test]
fn everybody_pays_for_each_message() {
    for kind in PIPES {
        let mut talk = Talk::with(kind, |snapshot| {
            snapshot.rate_limits = vec![rate(mcpring::pipeline::admit::RateKey::Ip, 1, 2)];
        });
        assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "a"}), Some(KEY)))[0]), "a");
        assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
        let refused = talk.say(&call(3, "echo", json!({"message": "b"}), None));
        assert_eq!((&refused[0]["id"], reason(&refused[0])), (&json!(3), "rate_limit_exceeded"));
        assert!(refused[0]["error"]["data"]["retryAfterMs"].as_u64().unwrap() > 0);
        assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
        assert!(!talk.is_over());
        talk.pass(1000);
        assert_eq!(text(&talk.say(&call(4, "echo", json!({"message": "c"}), None))[0]), "c");
    }
}

#[test]
fn what_is_no_message_is_answered_and_the_connection_goes_on() {
    let mut talk = Talk::new(Kind::Lines);
    assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "a"}), Some(KEY)))[0]), "a");
    for (line, code, id) in [
        ("{", -32700, Value::Null),
        ("{}", -32600, Value::Null),
        ("7", -32600, Value::Null),
        ("[]", -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"1.0","id":9,"method":"ping"}"#, -32600, json!(9)),
        (r#"{"jsonrpc":"2.0","id":9,"method":"nope"}"#, -32600, json!(9)),
    ] {
        let heard = talk.raw(format!("{line}\n").as_bytes());
        assert_eq!(
            (heard.len(), &heard[0]["error"]["code"], &heard[0]["id"]),
            (1, &json!(code), &id),
            "{line}"
        );
    }
    // An answer to nothing is no reason to answer.
    assert!(talk.raw(b"{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n").is_empty());
    assert!(talk.raw(b"\n \r\n\t\n").is_empty());
    assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "b"}), None))[0]), "b");
    let mut old = call(2, "echo", json!({"message": "b"}), None);
    old["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("1999-01-01");
    assert_eq!(talk.say(&old)[0]["error"]["code"], -32022);
}

#[test]
fn a_message_at_the_limit_is_taken_and_one_byte_more_is_not() {
    for kind in PIPES {
        let mut talk = Talk::with(kind, |snapshot| {
            reshape(snapshot, |listener| listener.limits.message_bytes_max = 4096)
        });
        let of = |bytes: usize| {
            let bare = call(1, "echo", json!({"message": ""}), Some(KEY)).to_string().len();
            call(1, "echo", json!({"message": "x".repeat(bytes - bare)}), Some(KEY))
        };
        assert_eq!(talk.say(&of(4096))[0]["id"], 1);
        let refused = talk.say(&of(4097));
        assert_eq!((refused.len(), &refused[0]["error"]["code"]), (1, &json!(413)));
        assert_eq!(talk.say(&of(4096))[0]["id"], 1);
        // In pieces, with the next one right behind.
        let mut bytes = talk.encode(&of(5000).to_string());
        bytes.extend(talk.encode(&of(1000).to_string()));
        let mut heard = Vec::new();
        for piece in bytes.chunks(100) {
            heard.extend(talk.raw(piece));
        }
        assert_eq!((heard.len(), &heard[0]["error"]["code"], &heard[1]["id"]), (2, &json!(413), &json!(1)));
        // One that does not end is not waited for.
        let endless = match kind {
            Kind::Lines => vec![b'x'; 30_000],
            Kind::Prefixed | Kind::Frames | Kind::Events => u32::MAX.to_be_bytes().to_vec(),
        };
        for piece in endless.chunks(1000) {
            talk.raw(piece);
        }
        assert!(talk.is_over(), "{kind:?}");
    }
}

#[test]
fn a_peer_that_ends_its_half_gets_what_is_in_flight() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        let listen = json!({"notifications": {"toolsListChanged": true}});
        assert_eq!(talk.say(&modern("l", "subscriptions/listen", listen, None)).len(), 1);
        talk.shards.end_input(talk.line);
        assert!(!talk.is_over());
        let heard = talk.pass(120);
        assert_eq!((heard.len(), &heard[0]["id"]), (1, &json!(1)));
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", answering());
        assert_eq!(talk.say(&request(1, "tools/call", json!({"name": "ask"}))).len(), 1);
        talk.shards.end_input(talk.line);
        let heard = talk.heard();
        assert_eq!(
            (heard.len(), &heard[0]["result"]["isError"]),
            (1, &json!(true)),
            "nobody can answer any more"
        );
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        talk.shards.end_input(talk.line);
        assert!(talk.is_over());
    }
}

#[test]
fn a_server_that_stops_finishes_what_it_has_begun() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        talk.shards.drain();
        assert!(!talk.is_over());
        assert_eq!(reason(&talk.say(&call(2, "work", json!({"ms": 100}), None))[0]), "overloaded");
        assert_eq!(talk.pass(120)[0]["id"], 1);
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", json!({}));
        talk.shards.drain();
        assert!(talk.is_over(), "nothing is owed");
    }
}

#[test]
fn whoever_is_let_in_may_be_sent_away_or_may_less_after_a_reload() {
    for kind in KINDS {
        let all = catalog();
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        let gone = serving(kind, &all, |snapshot| {
            snapshot.generation = 2;
            let keys = vec![crate::fixture::key("reader", READER_KEY, 2)];
            snapshot.keys =
                Arc::new(mcpring::pipeline::authenticate::KeyTable::build(crate::fixture::PEPPER, keys, 0));
        });
        talk.shards.reload(&gone);
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "a"}), Some(KEY)))[0]), "a");
        let less = serving(kind, &all, |snapshot| {
            snapshot.generation = 2;
            let keys = vec![crate::fixture::key("operator", KEY, 2)];
            snapshot.keys =
                Arc::new(mcpring::pipeline::authenticate::KeyTable::build(crate::fixture::PEPPER, keys, 0));
        });
        talk.shards.reload(&less);
        assert_eq!(reason(&talk.say(&call(2, "echo", json!({"message": "a"}), None))[0]), "forbidden");
    }
}

#[test]
fn who_asks_nothing_is_not_kept_and_who_waits_is() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        talk.pass(121_000);
        assert!(talk.is_over(), "idle");
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", json!({}));
        (0..10).for_each(|_| drop(talk.pass(121_000)));
        assert!(!talk.is_over(), "its session may be told something");
        let mut talk = Talk::new(kind);
        talk.raw(if kind == Kind::Lines { b"{\"json" } else { &[0, 0, 0, 9, b'{'] });
        talk.pass(31_000);
        assert!(talk.is_over(), "half a message");
    }
}

#[test]
fn messages_cut_anywhere_are_the_same_messages() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        let mut bytes = talk.encode(&call(1, "echo", json!({"message": "a\u{20ac}"}), Some(KEY)).to_string());
        for id in 2..6 {
            bytes.extend(talk.encode(&call(id, "work", json!({"ms": 0}), None).to_string()));
        }
        let all: Vec<_> = talk.raw(&bytes).into_iter().chain(talk.pass(10)).collect();
        assert_eq!(all.len(), 5);
        for step in [1, 2, 3, 7, 64, 300] {
            let mut talk = Talk::new(kind);
            let mut heard = Vec::new();
            for piece in bytes.chunks(step) {
                heard.extend(talk.raw(piece));
            }
            heard.extend(talk.pass(10));
            let sorted = |mut answers: Vec<Value>| {
                answers.sort_by_key(|answer| answer["id"].as_u64());
                answers
            };
            assert_eq!(sorted(heard), sorted(all.clone()), "{kind:?} {step}");
        }
    }
}
