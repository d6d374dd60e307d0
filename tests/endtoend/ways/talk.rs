//! What is said in either era, whichever way it is carried.
//! Next: `every`, what must come of it.

use serde_json::{Value, json};

use super::{Era, Heard, Peer, Place, Transport, Way, ended};
use crate::server::Server;

/// One client that is known to the server.
pub(crate) struct Talk {
    pub(crate) way: Way,
    peer: Box<dyn Peer>,
    /// The process that is there for this client alone.
    own: Option<Server>,
}

pub(crate) fn countdown(steps: u32, interval_ms: u64) -> Value {
    json!({"name": "countdown", "arguments": {"steps": steps, "interval_ms": interval_ms}})
}

pub(crate) fn has_text(answer: &Value, text: &str) -> bool {
    answer["result"]["content"][0]["text"] == text
}

pub(crate) fn error_code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no refusal: {answer}"))
}

impl Talk {
    /// Connects, and says who it is: with a handshake in the legacy era, with a first call in the modern one.
    pub(crate) fn open(place: &Place, way: Way) -> Self {
        let (peer, own) = place.reach(way);
        let mut talk = Self { way, peer, own };
        match way.era {
            Era::Modern => talk.echo("who I am"),
            Era::Legacy => talk.shake_hands(),
        }
        talk
    }

    fn shake_hands(&mut self) {
        let revision = if self.way.transport == Transport::Pair { "2024-11-05" } else { "2025-11-25" };
        let params = json!({"protocolVersion": revision, "capabilities": {},
                            "clientInfo": {"name": "test", "version": "1"}});
        self.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
        let answer = self.hear();
        assert_eq!(answer["result"]["protocolVersion"], revision, "{answer}");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    /// A request of the client's era.
    pub(crate) fn request(&self, id: u64, method: &str, mut params: Value) -> Value {
        if self.way.era == Era::Modern {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    }

    /// A call of `echo` that is so many bytes long.
    pub(crate) fn request_of(&self, bytes: usize) -> (Value, String) {
        let echo = |text: &str| {
            self.request(9, "tools/call", json!({"name": "echo", "arguments": {"message": text}}))
        };
        let text = "x".repeat(bytes - echo("").to_string().len());
        (echo(&text), text)
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.peer.send(message.to_string().as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, message: &[u8]) {
        self.peer.send(message);
    }

    pub(crate) fn call(&mut self, id: u64, params: Value) {
        let request = self.request(id, "tools/call", params);
        self.send(&request);
    }

    /// Calls `countdown`, and waits for its first report: from then on it is under way.
    pub(crate) fn begin(&mut self, id: u64, steps: u32, interval_ms: u64) {
        let mut params = countdown(steps, interval_ms);
        params["_meta"]["progressToken"] = json!("t");
        self.call(id, params);
        let report = self.hear();
        assert_eq!(report["method"], "notifications/progress", "{report}");
    }

    pub(crate) fn next(&mut self) -> Heard {
        self.peer.next()
    }

    /// The next message.
    pub(crate) fn hear(&mut self) -> Value {
        match self.next() {
            Heard::Message(message) => message,
            end @ Heard::End(_) => panic!("{end:?} instead of a message"),
        }
    }

    /// Asks, and is answered, with nothing between.
    pub(crate) fn echo(&mut self, text: &str) {
        self.call(1, json!({"name": "echo", "arguments": {"message": text}}));
        let answer = self.hear();
        assert!(answer["id"] == 1 && has_text(&answer, text), "{answer}");
    }

    /// Gives up on a request.
    pub(crate) fn cancel(&mut self, id: u64) {
        if !self.peer.hang_up(&json!(id)) {
            self.send(
                &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}),
            );
        }
    }

    pub(crate) fn break_rules(&mut self) {
        self.peer.break_rules();
    }

    pub(crate) fn end_half(&mut self) {
        self.peer.end_half();
    }

    /// Says goodbye, and hears nothing but the server's.
    pub(crate) fn close(self) {
        assert_eq!(self.close_hearing(), [] as [Value; 0]);
    }

    /// Says goodbye, and returns what is heard before the server's.
    pub(crate) fn close_hearing(mut self) -> Vec<Value> {
        self.peer.close();
        let mut heard = Vec::new();
        let end = loop {
            match self.next() {
                Heard::Message(message) => heard.push(message),
                Heard::End(code) => break code,
            }
        };
        assert_eq!(end, (self.way.transport == Transport::WebSocket).then_some(1000));
        self.leave();
        heard
    }

    /// The connection is over; so is a process that was there for it alone.
    pub(crate) fn leave(self) {
        drop(self.peer);
        if let Some(server) = self.own {
            ended(server);
        }
    }

    /// Ends its half in the middle of a message.
    pub(crate) fn end_inside(&mut self) {
        let (message, _) = self.request_of(1000);
        self.peer.send_half(message.to_string().as_bytes());
        self.peer.end_half();
    }

    /// Dies in the middle of a message.
    pub(crate) fn tear_inside(mut self) {
        let (message, _) = self.request_of(1000);
        self.peer.send_half(message.to_string().as_bytes());
        self.peer.tear();
        if let Some(server) = self.own {
            ended(server);
        }
    }

    /// The server this client talks to.
    pub(crate) fn server<'s>(&'s self, place: &'s Place) -> &'s Server {
        self.own.as_ref().unwrap_or(&place.server)
    }
}
