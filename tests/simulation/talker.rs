//! One connection of the throng: who is at its other end, what was sent and what has come back, over TLS or not.
//! Next: `throng`, which moves it.

use std::sync::Arc;
use std::task::Waker;

use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::turn::Turn;
use serde_json::Value;

use crate::client::Client;
use crate::fixture::Desk;
use crate::fixture::carried::{Cut, TEXT, frame};
use crate::incoming::Incoming;
use crate::peer::Flag;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages both ways.
    Both(Cut),
    /// Messages out by events, in by requests of their own.
    Pair,
    /// Changes.
    Feed,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind::Both(Cut::Lines),
    Kind::Both(Cut::Lines),
    Kind::Both(Cut::Prefixed),
    Kind::Both(Cut::Frames),
    Kind::Pair,
    Kind::Feed,
];

pub(crate) struct Talker {
    pub(crate) connection: Connection,
    pub(crate) shard: usize,
    pub(crate) kind: Kind,
    pub(crate) key: &'static str,
    pub(crate) is_legacy: bool,
    /// A message with the credential has been sent.
    pub(crate) has_introduced: bool,
    /// Where messages of a pair are posted.
    pub(crate) endpoint: Option<String>,
    pub(crate) writing: Option<Vec<u8>>,
    /// The client sends nothing more and has said so.
    pub(crate) has_ended: bool,
    /// It is gone, perhaps in the middle of a message, and reads nothing more.
    pub(crate) is_gone: bool,
    /// The server has said goodbye, or refused the opening.
    pub(crate) is_refused: bool,
    /// By which the rest knows it.
    pub(crate) number: u64,
    /// The handshake of the legacy era has been answered.
    pub(crate) is_shaken: bool,
    client: Option<Client>,
    /// From the client, not yet delivered.
    wire: Vec<u8>,
    outbox: Vec<u8>,
    flag: Arc<Flag>,
    waker: Waker,
    received: Vec<u8>,
    /// Of an answer with a head: the opening's, or the stream's.
    incoming: Incoming,
    has_head: bool,
}

impl Talker {
    pub(crate) fn new(
        connection: Connection,
        shard: usize,
        kind: Kind,
        (key, is_legacy): (&'static str, bool),
        client: Option<Client>,
    ) -> Self {
        let flag = Arc::new(Flag::default());
        let mut talker = Self {
            connection,
            shard,
            kind,
            key,
            is_legacy,
            has_introduced: false,
            endpoint: None,
            writing: None,
            has_ended: false,
            is_gone: false,
            is_refused: false,
            number: 0,
            is_shaken: false,
            client,
            wire: Vec::new(),
            outbox: Vec::new(),
            waker: flag.clone().into(),
            flag,
            received: Vec::new(),
            incoming: Incoming::default(),
            has_head: matches!(kind, Kind::Both(Cut::Lines | Cut::Prefixed)),
        };
        talker.flush();
        talker
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.directive() == Directive::Continue
    }

    /// Whether everything that was sent has arrived.
    pub(crate) fn has_arrived(&self) -> bool {
        self.wire.is_empty() && self.client.as_ref().is_none_or(|client| !client.tls.is_handshaking())
    }

    /// Whether anything is on its way.
    pub(crate) fn is_busy(&self) -> bool {
        // A wake-up that came too late to matter is nobody's.
        let is_woken = self.flag.is_set() && self.connection.has_call();
        self.writing.is_some() || is_woken || (!self.wire.is_empty() && self.may_read())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match &mut self.client {
            None => self.wire.extend_from_slice(bytes),
            Some(client) => client.send(bytes),
        }
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(client) = &mut self.client {
            self.wire.extend(client.take_ciphertext());
        }
    }

    fn may_read(&self) -> bool {
        self.writing.is_none() && !self.has_ended && self.connection.wants_input()
    }

    /// Takes so much from the wire at most, as a read would.
    pub(crate) fn next_input(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.wire.is_empty() || !self.may_read() {
            return None;
        }
        let rest = self.wire.split_off(most.min(self.wire.len()));
        Some(std::mem::replace(&mut self.wire, rest))
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.writing.is_none() && self.connection.has_call() && self.flag.take()
    }

    /// What is on its way from the client will not arrive.
    pub(crate) fn lose_wire(&mut self) {
        self.wire.clear();
    }

    pub(crate) fn turn(&mut self, desk: &mut Desk, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        if self.outbox.capacity() == 0 {
            self.outbox = desk.work.pool.lease();
        }
        let Self { connection, outbox, waker, .. } = self;
        desk.turn_woken_by(waker, outbox, |turn| act(connection, turn));
        if self.outbox.is_empty() {
            desk.work.pool.release(std::mem::take(&mut self.outbox));
        } else if self.writing.is_none() {
            self.writing = Some(std::mem::take(&mut self.outbox));
        }
    }

    /// The client takes what the server wrote; the messages in it that are whole.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<Value> {
        match &mut self.client {
            None => self.received.extend_from_slice(bytes),
            Some(client) => {
                let plaintext = client.receive(bytes).expect("nothing touches the records");
                self.received.extend(plaintext);
            }
        }
        self.flush();
        match self.kind {
            Kind::Both(cut) => self.messages(cut),
            Kind::Pair | Kind::Feed => self.events(),
        }
    }

    fn messages(&mut self, cut: Cut) -> Vec<Value> {
        let received = std::mem::take(&mut self.received);
        let mut rest = received.as_slice();
        if !self.has_head {
            let Some(end) = rest.windows(4).position(|end| end == b"\r\n\r\n") else {
                self.received = received;
                return Vec::new();
            };
            self.has_head = true;
            if !rest.starts_with(b"HTTP/1.1 101 ") {
                self.is_refused = true;
            }
            rest = &rest[end + 4..];
        }
        let mut messages = Vec::new();
        let mut pongs = Vec::new();
        while !self.is_refused
            && let Some((first, message, after)) = cut.decode(rest)
        {
            match first {
                TEXT => messages.push(serde_json::from_slice(message).expect("a message is JSON")),
                0x88 => self.is_refused = true,
                0x8a => {}
                0x89 => pongs.push(frame(0x8a, message)),
                other => panic!("a frame that begins with {other:02x}"),
            }
            rest = after;
        }
        self.received = rest.to_vec();
        for pong in pongs {
            self.send(&pong);
        }
        messages
    }

    fn events(&mut self) -> Vec<Value> {
        let events = self.incoming.take(&std::mem::take(&mut self.received));
        if self.incoming.status().is_some_and(|status| status != 200) {
            self.is_refused = true;
            return Vec::new();
        }
        let mut messages = Vec::new();
        for event in events {
            match (event.data, self.kind) {
                (Some(Value::String(endpoint)), Kind::Pair) => self.endpoint = Some(endpoint),
                (Some(data), Kind::Feed) if data["type"] == "connected" => {}
                (Some(data), _) => messages.push(data),
                (None, _) => {}
            }
        }
        messages
    }

    /// Whether nothing is on its way to the client.
    pub(crate) fn is_drained(&self) -> bool {
        self.writing.is_none() && self.outbox.is_empty()
    }

    /// Half a message must not be left when the server has said its last.
    pub(crate) fn check_end(&self) {
        assert!(self.received.is_empty() || self.is_refused, "half a message on {:?}", self.kind);
    }

    /// The connection gives everything back.
    pub(crate) fn release(self, desk: &mut Desk) {
        for buffer in [Some(self.outbox), self.writing].into_iter().flatten() {
            if buffer.capacity() > 0 {
                desk.work.pool.release(buffer);
            }
        }
        desk.release(self.connection);
    }
}
