//! A client of 2024-11-05's two endpoints: one connection to read, and one for each message it posts.
//! Next: `frames`.

use std::collections::VecDeque;

use serde_json::Value;

use super::posts::Events;
use super::{Dial, Heard, Peer};
use crate::client::{Client, bearer};
use crate::server::KEY;

pub(crate) struct Pair {
    dial: Dial,
    client: Client,
    events: Events,
    endpoint: String,
    /// A post that is not whole.
    half: Option<Client>,
    /// What a post was answered with that was not taken.
    refused: VecDeque<Value>,
}

impl Pair {
    pub(crate) fn new(dial: Dial) -> Self {
        let (mut client, mut events) = (dial.connect(), Events::default());
        let get = format!(
            "GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}\r\n",
            bearer(KEY)
        );
        client.send(get.as_bytes());
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        let (event, endpoint) = events.next(&mut client).unwrap();
        assert!(event.contains("event: endpoint"), "{event}");
        Self { dial, client, events, endpoint, half: None, refused: VecDeque::new() }
    }

    fn encode(&self, endpoint: &str, message: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {endpoint} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n",
            bearer(KEY),
            message.len()
        );
        [head.as_bytes(), message].concat()
    }

    fn post(&mut self, request: &[u8]) {
        let answer = self.dial.connect().ask(request);
        if answer.status != 202 {
            self.refused.push_back(answer.json());
        }
    }
}

impl Peer for Pair {
    fn send(&mut self, message: &[u8]) {
        let request = self.encode(&self.endpoint, message);
        self.post(&request);
    }

    fn next(&mut self) -> Heard {
        if let Some(refused) = self.refused.pop_front() {
            return Heard::Message(refused);
        }
        match self.events.next(&mut self.client) {
            Some((event, data)) => {
                assert!(event.contains("event: message"), "{event}");
                Heard::Message(serde_json::from_str(&data).unwrap())
            }
            None => Heard::End(None),
        }
    }

    fn break_rules(&mut self) {
        let request = self.encode("/message?sessionId=nobody", b"{}");
        self.post(&request);
    }

    fn end_half(&mut self) {
        if let Some(half) = &mut self.half {
            half.end_half();
            assert!(half.is_closed(), "half a message was answered");
        }
        self.client.end_half();
    }

    fn send_half(&mut self, message: &[u8]) {
        let mut client = self.dial.connect();
        let bytes = self.encode(&self.endpoint, message);
        client.send(&bytes[..bytes.len() - message.len() / 2]);
        self.half = Some(client);
    }

    fn tear(self: Box<Self>) {
        self.half.into_iter().for_each(Client::tear);
        self.client.tear();
    }
}
