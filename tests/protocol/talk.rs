//! Connections that carry everything: lines, prefixed messages and WebSocket frames; both eras on each of them.
//! Next: `channels`, what is said over them.

use std::sync::Arc;

use mcpring::pipeline::snapshot::{Listener, Security, Snapshot, Speech};
use mcpring::tools::Catalog;
use serde_json::{Value, json};

use crate::fixture::carried::unframe;
pub(crate) use crate::fixture::carried::{all_transports, frame, opening};
use crate::fixture::{KEY, listener};
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

pub(crate) const KINDS: [Kind; 4] = [Kind::Lines, Kind::Prefixed, Kind::Frames, Kind::Events];
/// Those that have no headers at all.
pub(crate) const PIPES: [Kind; 2] = [Kind::Lines, Kind::Prefixed];

/// One connection, and what has been read of it.
pub(crate) struct Talk {
    pub(crate) shards: Shards,
    kind: Kind,
    pub(crate) line: usize,
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
    pub(crate) fn connect(&mut self) {
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

pub(crate) fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

pub(crate) fn with_key(mut message: Value, key: Option<&str>) -> Value {
    if let Some(key) = key {
        message["params"]["_meta"]["mcpring/authorization"] = json!(format!("Bearer {key}"));
    }
    message
}

pub(crate) fn call(id: impl Into<Value>, name: &str, arguments: Value, key: Option<&str>) -> Value {
    modern(id, "tools/call", json!({"name": name, "arguments": arguments}), key)
}

pub(crate) fn cancelled(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id.into()}})
}

/// Shakes hands in the legacy era.
pub(crate) fn shake(talk: &mut Talk, revision: &str, capabilities: Value) {
    let params = json!({"protocolVersion": revision, "capabilities": capabilities,
                        "clientInfo": {"name": "c", "version": "1"}});
    let answers = talk.say(&with_key(request(0, "initialize", params), Some(KEY)));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["result"]["protocolVersion"], revision);
    assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
}

pub(crate) fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}

pub(crate) fn reason(answer: &Value) -> &str {
    answer["error"]["data"]["reason"].as_str().unwrap_or_else(|| panic!("no reason: {answer}"))
}
