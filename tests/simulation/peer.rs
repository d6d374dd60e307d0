//! One simulated connection: the client, the wire, and what a socket's task remembers around `Connection`.
//! Next: `world`, which moves it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use mcpring::pipeline::connection::{Connection, Directive};

use crate::client::Client;
use crate::fixture::Answer;
use crate::fixture::messages::answer;
use crate::ledger::Shared;
use crate::script::{Expect, KeyWas, Request};

/// A request on its way.
pub(crate) struct Sent {
    pub(crate) request: Request,
    pub(crate) key_was: KeyWas,
    /// Where it ends in the stream of plaintext.
    end: usize,
    /// When its first byte may have reached the connection.
    first_byte_ms: Option<u64>,
    /// It has reached the connection whole, while that was open.
    is_delivered: bool,
}

/// What the connection's task is woken by.
#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Whether it was woken since this was last asked.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why a request that arrived may stay without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excuse {
    None,
    /// An answer said that it is the last.
    Last,
    /// The peer broke the protocol below HTTP.
    Garbled,
    /// The server stops.
    Drained,
}

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) client: Option<Client>,
    /// From the client, not yet delivered.
    pub(crate) wire: Vec<u8>,
    pub(crate) outbox: Vec<u8>,
    pub(crate) writing: Option<Vec<u8>>,
    flag: Arc<Flag>,
    pub(crate) waker: Waker,
    /// Plaintext from the server, not yet taken apart.
    received: Vec<u8>,
    pub(crate) unanswered: VecDeque<Sent>,
    sent_bytes: usize,
    delivered_bytes: usize,
    pub(crate) excuse: Excuse,
    /// The client will send nothing more.
    pub(crate) is_client_done: bool,
    pub(crate) has_ended: bool,
    pub(crate) has_shut_down: bool,
}

impl Peer {
    pub(crate) fn new(connection: Connection, client: Option<Client>) -> Self {
        let flag = Arc::new(Flag::default());
        let mut peer = Self {
            connection,
            client,
            wire: Vec::new(),
            outbox: Vec::new(),
            writing: None,
            waker: flag.clone().into(),
            flag,
            received: Vec::new(),
            unanswered: VecDeque::new(),
            sent_bytes: 0,
            delivered_bytes: 0,
            excuse: Excuse::None,
            is_client_done: false,
            has_ended: false,
            has_shut_down: false,
        };
        peer.flush_client();
        peer
    }

    pub(crate) fn take_wake(&self) -> bool {
        self.flag.take()
    }

    /// The client writes a request.
    pub(crate) fn send(&mut self, request: Request, key_was: KeyWas) {
        self.sent_bytes += request.bytes.len();
        match &mut self.client {
            None => self.wire.extend_from_slice(&request.bytes),
            Some(client) => client.send(&request.bytes),
        }
        let sent = Sent { request, key_was, end: self.sent_bytes, first_byte_ms: None, is_delivered: false };
        self.unanswered.push_back(sent);
        self.flush_client();
    }

    pub(crate) fn flush_client(&mut self) {
        if let Some(client) = &mut self.client {
            self.wire.extend(client.take_ciphertext());
        }
    }

    /// Requests without an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Whether a socket's task would read now.
    pub(crate) fn may_read(&self) -> bool {
        self.writing.is_none() && !self.has_ended && self.connection.wants_input()
    }

    /// Bytes leave the wire; notes which requests begin to arrive with them.
    pub(crate) fn take_from_wire(&mut self, bytes: usize, now_ms: u64) -> Vec<u8> {
        let rest = self.wire.split_off(bytes);
        let taken = std::mem::replace(&mut self.wire, rest);
        let begin = self.delivered_bytes;
        self.delivered_bytes += taken.len();
        let mut start = self.unanswered.front().map_or(0, |sent| sent.end - sent.request.bytes.len());
        for sent in &mut self.unanswered {
            // Where a request begins among records is not known, so it may have been with any.
            let has_begun = self.client.is_some() || (start < self.delivered_bytes && sent.end > begin);
            if has_begun && sent.first_byte_ms.is_none() {
                sent.first_byte_ms = Some(now_ms);
            }
            start = sent.end;
        }
        taken
    }

    /// What was taken has been handled by a connection that was open.
    pub(crate) fn note_delivered(&mut self) {
        let is_secure_and_whole = match &self.client {
            Some(client) => self.wire.is_empty() && !client.tls.is_handshaking(),
            None => false,
        };
        let delivered = if self.client.is_some() { 0 } else { self.delivered_bytes };
        for sent in &mut self.unanswered {
            sent.is_delivered |= is_secure_and_whole || sent.end <= delivered;
        }
    }

    /// The client takes what the server wrote.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        match &mut self.client {
            None => self.received.extend_from_slice(bytes),
            Some(client) => match client.receive(bytes) {
                Ok(plaintext) => self.received.extend(plaintext),
                Err(error) => {
                    assert_eq!(self.excuse, Excuse::Garbled, "{error}");
                    self.is_client_done = true;
                }
            },
        }
        self.flush_client();
    }

    /// Takes the answers apart that are whole, and holds each against its request.
    pub(crate) fn check_answers(&mut self, ledger: &Shared, now_ms: u64, header_timeout_ms: u64) {
        let received = std::mem::take(&mut self.received);
        let mut rest = received.as_slice();
        // Whether an answer without a length is whole can be told only when the server, and it alone, has ended.
        let may_be_open = self.has_shut_down && !self.is_client_done && self.excuse != Excuse::Garbled;
        while !rest.is_empty() && (may_be_open || !ends_with_the_connection(rest)) {
            let Some((one, after)) = answer(rest) else { break };
            rest = after;
            if let Some(one) = one {
                self.check_answer(&one, ledger, now_ms, header_timeout_ms);
            }
        }
        self.received = rest.to_vec();
    }

    fn check_answer(&mut self, answer: &Answer, ledger: &Shared, now_ms: u64, header_timeout_ms: u64) {
        assert_ne!(self.excuse, Excuse::Last, "an answer after the last: {answer:?}");
        let sent = self.unanswered.pop_front();
        let sent = sent.unwrap_or_else(|| panic!("an answer to nothing: {answer:?}"));
        let calls = ledger.lock().unwrap().calls.get(&sent.request.marker).copied().unwrap_or(0);
        if answer.status == 408 {
            assert!(!sent.is_delivered, "408 although all of it had arrived: {}", sent.request);
            let waited_ms = sent.first_byte_ms.map_or(0, |first| now_ms - first);
            assert!(waited_ms >= header_timeout_ms, "408 after {waited_ms} ms: {}", sent.request);
        }
        sent.request.check(answer, sent.key_was, calls);
        if answer.is_last() && self.excuse == Excuse::None {
            self.excuse = Excuse::Last;
        }
    }

    /// The server has said its last: what arrived in time was answered.
    pub(crate) fn check_end(&self) {
        let Some(first) = self.unanswered.front() else {
            assert!(self.received.is_empty() || self.excuse != Excuse::None, "half an answer to nothing");
            return;
        };
        let was_cancelled = first.request.expect == Expect::SlowCall && self.is_client_done;
        if self.excuse == Excuse::None && !was_cancelled {
            assert!(self.received.is_empty(), "half an answer: {}", first.request);
            assert!(!first.is_delivered, "no answer: {}", first.request);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.directive() == Directive::Continue
    }
}

/// Whether the answer at the front has no length of its own.
fn ends_with_the_connection(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]);
    head.contains("\r\ncontent-type: text/event-stream") && !head.contains("\r\ntransfer-encoding:")
}
