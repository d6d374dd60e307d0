//! A client of Streamable HTTP that opens a connection for everything it asks. It reads its newest exchange first.
//! Next: `pair`.

use serde_json::{Value, json};

use super::{Dial, Era, Heard, Peer};
use crate::client::{Client, bearer, post};
use crate::server::KEY;

/// A request and its answer, or the stream of a session.
struct Exchange {
    client: Client,
    /// The request's; nothing for the stream of a session.
    id: Option<Value>,
    state: State,
}

/// How far an answer has come.
enum State {
    Owed,
    Stream(Events),
    Over,
}

/// Events of a chunked body.
#[derive(Default)]
pub(crate) struct Events {
    text: String,
}

impl Events {
    /// The fields of the next event that has data; nothing when the stream is over, properly or not.
    pub(crate) fn next(&mut self, client: &mut Client) -> Option<(String, String)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let data: String = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                let event = event.to_owned();
                self.text = rest.to_owned();
                // 2025-11-25 begins a stream with an event that has an id and no data.
                if !data.is_empty() {
                    return Some((event, data));
                }
            }
            if client.is_closed() {
                return None;
            }
            self.text.push_str(&String::from_utf8(client.chunk()?).unwrap());
        }
    }
}

pub(super) struct Posts {
    dial: Dial,
    era: Era,
    /// The header fields of a legacy session.
    session: String,
    exchanges: Vec<Exchange>,
    /// What was answered where no answer is waited for.
    refused: Vec<Value>,
}

impl Posts {
    pub(super) fn new(dial: Dial, era: Era) -> Self {
        Self { dial, era, session: String::new(), exchanges: Vec::new(), refused: Vec::new() }
    }

    fn encode(&self, message: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(message).unwrap();
        let mut fields = bearer(KEY);
        match self.era {
            Era::Legacy => fields.push_str(&self.session),
            Era::Modern => {
                fields.push_str("MCP-Protocol-Version: 2026-07-28\r\n");
                let message: Value = serde_json::from_str(text).unwrap_or_default();
                if let Some(method) = message["method"].as_str() {
                    fields.push_str(&format!("Mcp-Method: {method}\r\n"));
                }
                if let Some(name) = message["params"]["name"].as_str() {
                    fields.push_str(&format!("Mcp-Name: {name}\r\n"));
                }
            }
        }
        post(&fields, text)
    }

    /// The head of an answer, with which its stream begins.
    fn begin(&mut self, mut client: Client, id: Option<Value>) {
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        self.exchanges.insert(0, Exchange { client, id, state: State::Stream(Events::default()) });
    }

    fn open_session(&mut self, mut client: Client) {
        let answer = client.answer().unwrap();
        let id = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
        self.session = format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
        self.refused.push(answer.json());
    }

    /// The stream on which a session is told what is new.
    fn listen(&mut self) {
        let mut client = self.dial.connect();
        let get = format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}{}\r\n",
            bearer(KEY),
            self.session
        );
        client.send(get.as_bytes());
        self.begin(client, None);
    }
}

impl Exchange {
    /// The next message of the answer; nothing when there is no more.
    fn next(&mut self) -> Option<Value> {
        if matches!(self.state, State::Owed) && !self.client.is_closed() {
            let head = self.client.head();
            if head.contains("text/event-stream") {
                self.state = State::Stream(Events::default());
            } else {
                self.state = State::Over;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let body = self.client.take(length.unwrap().parse().unwrap());
                return Some(serde_json::from_slice(&body).unwrap());
            }
        }
        let State::Stream(events) = &mut self.state else { return None };
        events.next(&mut self.client).map(|(_, data)| serde_json::from_str(&data).unwrap())
    }
}

impl Peer for Posts {
    fn send(&mut self, message: &[u8]) {
        let mut client = self.dial.connect();
        client.send(&self.encode(message));
        let message: Value = serde_json::from_slice(message).unwrap_or(json!({"id": null}));
        match (message["method"].as_str(), message.get("id")) {
            (Some("initialize"), _) => self.open_session(client),
            (_, Some(id)) => {
                self.exchanges.push(Exchange { client, id: Some(id.clone()), state: State::Owed })
            }
            (method, None) => {
                let answer = client.answer().unwrap();
                assert_eq!(answer.status, 202, "{answer:?}");
                if method == Some("notifications/initialized") {
                    self.listen();
                }
            }
        }
    }

    fn next(&mut self) -> Heard {
        if let Some(refused) = self.refused.pop() {
            return Heard::Message(refused);
        }
        while let Some(exchange) = self.exchanges.last_mut() {
            if let Some(message) = exchange.next() {
                return Heard::Message(message);
            }
            self.exchanges.pop();
        }
        Heard::End(None)
    }

    fn break_rules(&mut self) {
        let mut client = self.dial.connect();
        client.send(
            format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{}no colon\r\n\r\n", bearer(KEY)).as_bytes(),
        );
        self.exchanges.push(Exchange { client, id: None, state: State::Owed });
    }

    // MCP 2026-07-28, cancellation: closing the response stream cancels the request.
    fn hang_up(&mut self, id: &Value) -> bool {
        if self.era == Era::Modern {
            self.exchanges.retain(|exchange| exchange.id.as_ref() != Some(id));
        }
        self.era == Era::Modern
    }

    fn end_half(&mut self) {
        self.exchanges.iter_mut().for_each(|exchange| exchange.client.end_half());
    }

    /// There is no goodbye: it stops to listen.
    fn close(&mut self) {
        self.exchanges.retain(|exchange| exchange.id.is_some());
    }

    fn send_half(&mut self, message: &[u8]) {
        let mut client = self.dial.connect();
        let bytes = self.encode(message);
        client.send(&bytes[..bytes.len() - message.len() / 2]);
        self.exchanges.push(Exchange { client, id: None, state: State::Owed });
    }

    fn tear(self: Box<Self>) {
        self.exchanges.into_iter().for_each(|exchange| exchange.client.tear());
    }
}
