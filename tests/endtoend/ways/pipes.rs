//! A client of a connection that is nothing but messages: TCP, a Unix socket, STDIO.
//! Next: `posts`.

use serde_json::{Value, json};

use super::{Heard, Peer};
use crate::client::Client;
use crate::server::KEY;

#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    Lines,
    Prefixed,
}

pub(super) struct Pipe {
    client: Client,
    framing: Framing,
    /// It has to say who it is, and has not.
    is_unknown: bool,
}

impl Pipe {
    pub(super) fn new(client: Client, framing: Framing, is_unknown: bool) -> Self {
        Self { client, framing, is_unknown }
    }

    /// The message in its framing; the first one says who sends it.
    fn encode(&mut self, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        if std::mem::take(&mut self.is_unknown) {
            let mut value: Value = serde_json::from_slice(&message).unwrap();
            value["params"]["_meta"]["mcpring/authorization"] = json!(format!("Bearer {KEY}"));
            message = value.to_string().into_bytes();
        }
        match self.framing {
            Framing::Lines => [&message[..], b"\n"].concat(),
            Framing::Prefixed => {
                [&u32::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat()
            }
        }
    }
}

impl Peer for Pipe {
    fn send(&mut self, message: &[u8]) {
        let bytes = self.encode(message);
        self.client.send(&bytes);
    }

    fn next(&mut self) -> Heard {
        if self.client.is_closed() {
            return Heard::End(None);
        }
        Heard::Message(match self.framing {
            Framing::Lines => self.client.next_line(),
            Framing::Prefixed => self.client.next_prefixed(),
        })
    }

    fn break_rules(&mut self) {
        match self.framing {
            // RFC 8259 8.1: JSON between systems is UTF-8; that is all a line can be wrong about.
            Framing::Lines => self.client.send(b"\"\xff\xfe\"\n"),
            Framing::Prefixed => self.client.send(&[0; 4]),
        }
    }

    fn end_half(&mut self) {
        self.client.end_half();
    }

    fn send_half(&mut self, message: &[u8]) {
        let bytes = self.encode(message);
        self.client.send(&bytes[..bytes.len() / 2]);
    }

    fn tear(self: Box<Self>) {
        self.client.tear();
    }
}
