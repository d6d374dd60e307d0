//! One connection as a pure object: bytes and time go in, bytes and deadlines come out.
//! It walks the straight line for every request and remembers only what the next byte needs.
//! Never: I/O, a clock, a thread. The shard, STDIO, tests, fuzzers and the simulation drive the same object.
//! Next: `request`, the straight line itself.

mod request;
mod known;
mod message;
mod batch;
mod incoming;
mod upgrade;
mod client;
mod feeds;
mod channel;
mod reading;
mod attached;
mod form;
mod sessions;
mod standing;
mod note;
mod timing;

use std::sync::Arc;

use super::authenticate::certificate::ClientCertificate;
use super::authenticate::{Memory, Remembered};
use super::event::{Count, Outcome, Record, Stage};
use super::framing::Framing;
use super::framing::messages::Messages;
use super::peer::Peer;
use super::respond::Exchange;
use super::snapshot::{Listener, Security, Snapshot};
use super::tls::{Tls, TlsFault};
use super::turn::{Turn, Workspace};
use crate::wire::http::head::HeadScan;
use crate::wire::json::PADDING;

use attached::Attachment;
use channel::Channel;
use client::Client;
use timing::Wait;

/// Answers of one turn that may pile up before the rest of what has arrived waits for the write. Bytes.
const ANSWERS_BYTES_MAX: usize = 256 * 1024;
/// What may arrive while a call runs before reading stops. Bytes.
const HELD_WHILE_BUSY_BYTES_MAX: usize = 16 * 1024;
/// What is read and thrown away after the last answer, so that the peer gets to read it. Bytes.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// What the shard has to do after a turn, once the outbox is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on reading.
    Continue,
    /// Send FIN, then go on reading: the peer may not have read the last answer yet.
    ShutDown,
    /// Close the socket.
    Close,
}

/// ```text
///  Open --last answer queued--> Closing --FIN sent, peer's FIN or deadline--> Closed
///    \------------------------- fault without an answer --------------------> Closed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    Closing,
    Closed,
}

/// Whether the server wants this connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    Serving,
    Draining,
}

/// What a caller may be known by beside its credential.
fn memory<'m>(
    remembered: &'m mut Remembered,
    certificate: Option<&'m Arc<ClientCertificate>>,
    work: &'m mut Workspace,
) -> Memory<'m> {
    Memory { remembered, tokens: &mut work.tokens, certificate }
}

/// One connection.
pub struct Connection {
    listener: usize,
    peer: Peer,
    tls: Option<Box<Tls>>,
    /// Of the judge that its handshake was begun with.
    judged_by: [u8; 32],
    client: Option<Box<Client>>,
    remembered: Remembered,
    framing: Framing,
    /// Bytes of an incomplete request; leased only while there are some.
    held: Vec<u8>,
    attached: Option<Box<Attachment>>,
    channel: Option<Box<Channel>>,
    life: Life,
    drain: Drain,
    wait: Wait,
    deadline_ms: u64,
    /// When it has been idle for too long; far away until it is idle.
    idle_by_ms: u64,
    linger_bytes: usize,
    is_paused: bool,
    has_input_ended: bool,
    /// A head has been read since the deadline was last set.
    has_progressed: bool,
}

impl Connection {
    /// A connection that has just been accepted on the listener of that index.
    ///
    /// # Errors
    /// When TLS can not start.
    pub fn new(listener: usize, peer: Peer, turn: &Turn<'_>) -> Result<Self, TlsFault> {
        let tls = match turn.snapshot.listeners.get(listener).map(|listener| &listener.security) {
            Some(Security::Tls(config)) => Some(Box::new(Tls::new(config.clone())?)),
            Some(Security::Plain) | None => None,
        };
        let wait = if tls.is_some() { Wait::Handshake } else { Wait::Idle };
        let (framing, channel) = first(listener, turn);
        let judge = listener_of(turn.snapshot, listener).and_then(|listener| listener.judge.as_ref());
        let mut connection = Self {
            listener,
            peer,
            tls,
            judged_by: judge.map_or([0; 32], |judge| judge.version),
            client: None,
            remembered: Remembered::default(),
            framing,
            held: Vec::new(),
            attached: None,
            channel,
            life: Life::Open,
            drain: Drain::Serving,
            wait,
            deadline_ms: 0,
            idle_by_ms: u64::MAX,
            linger_bytes: 0,
            is_paused: false,
            has_input_ended: false,
            has_progressed: false,
        };
        connection.wait_for(wait, turn);
        Ok(connection)
    }

    /// Takes bytes from the socket. `input` is scratch: what must be kept is copied out of it.
    pub fn handle_bytes(&mut self, input: &mut Vec<u8>, turn: &mut Turn<'_>) {
        match self.life {
            Life::Open => {}
            Life::Closing => {
                self.linger_bytes += input.len();
                if self.linger_bytes > LINGER_BYTES_MAX {
                    self.life = Life::Closed;
                }
                return;
            }
            Life::Closed => return,
        }
        self.recognise_client(turn);
        match self.tls.take() {
            None => self.read_plain(input, turn),
            Some(mut tls) => {
                let outcome = self.read_tls(&mut tls, input, turn);
                self.tls = Some(tls);
                if let Err(fault) = outcome {
                    self.end_tls(&fault, turn);
                }
            }
        }
        self.end_turn(turn);
    }

    /// The peer will send nothing more. Nobody will read the stream that is attached; a modern call ends with it.
    // MCP 2026-07-28, cancellation: closing the response stream cancels the request.
    pub fn handle_end_of_input(&mut self, turn: &mut Turn<'_>) {
        match self.life {
            Life::Open => self.end_input(turn),
            Life::Closing | Life::Closed => self.life = Life::Closed,
        }
        self.end_turn(turn);
    }

    /// Whether requests that have arrived wait for the present write.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// A write has finished; what was held back for it goes on.
    pub fn handle_written(&mut self, turn: &mut Turn<'_>) {
        if std::mem::take(&mut self.is_paused) {
            if self.attached.is_some() {
                self.poll_attached(turn);
            } else if self.held.capacity() > 0 {
                self.advance_held(turn);
            }
            if self.has_input_ended {
                self.end_input(turn);
            }
            self.end_turn(turn);
        }
    }

    /// The server wants to stop: an idle connection closes, a busy one does after its answer.
    pub fn handle_drain(&mut self, turn: &mut Turn<'_>) {
        self.drain = Drain::Draining;
        let is_idle = matches!(self.framing, Framing::Head(_)) && self.held.is_empty();
        if is_idle && self.life == Life::Open {
            self.finish();
        }
        self.end_turn(turn);
    }

    /// What to do once the outbox is written.
    pub fn directive(&self) -> Directive {
        match self.life {
            Life::Open => Directive::Continue,
            Life::Closing => Directive::ShutDown,
            Life::Closed => Directive::Close,
        }
    }

    /// Whether more input is wanted now.
    pub fn wants_input(&self) -> bool {
        let is_busy = matches!(self.framing, Framing::Busy) || self.is_paused || self.is_asking();
        !(is_busy && self.held.len() >= HELD_WHILE_BUSY_BYTES_MAX)
    }

    /// Bytes that have arrived and wait for more.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Whether a stream is attached that may have news when the task wakes.
    pub fn has_call(&self) -> bool {
        self.attached.is_some()
            || self.is_asking()
            || self.channel.as_ref().is_some_and(|channel| channel.is_waiting())
    }

    /// Gives every held buffer back. The last thing a shard does with a connection.
    pub fn release(&mut self, turn: &mut Turn<'_>) {
        self.detach(turn);
        if self.held.capacity() > 0 {
            turn.work.pool.release(std::mem::take(&mut self.held));
        }
        if let Some(tls) = &mut self.tls {
            tls.release(&mut turn.work.pool);
        }
    }

    fn read_plain(&mut self, input: &mut Vec<u8>, turn: &mut Turn<'_>) {
        if self.held.capacity() > 0 {
            self.held.extend_from_slice(input);
            self.advance_held(turn);
        } else {
            self.advance_block(input, turn);
        }
    }

    fn read_tls(&mut self, tls: &mut Tls, input: &mut [u8], turn: &mut Turn<'_>) -> Result<(), TlsFault> {
        let has_held = self.held.capacity() > 0;
        let mut block = std::mem::take(if has_held { &mut self.held } else { &mut turn.work.plaintext });
        let received = tls.receive(input, &mut block, turn.outbox, &mut turn.work.pool);
        if received.as_ref().is_ok_and(|received| received.is_newly_established) {
            turn.count(Count::TlsEstablished);
            self.wait_for(Wait::Idle, turn);
            self.meet_client(tls, turn);
        }
        if has_held {
            self.held = block;
            self.advance_held(turn);
        } else {
            self.advance_block(&mut block, turn);
            block.clear();
            turn.work.plaintext = block;
        }
        if received?.is_peer_closed {
            self.end_input(turn);
        }
        Ok(())
    }

    /// Handles the requests in a block of the turn's; what is left over is copied into a lease.
    fn advance_block(&mut self, block: &mut Vec<u8>, turn: &mut Turn<'_>) {
        let used = self.advance(block, turn);
        let rest = block.get(used..).unwrap_or_default();
        if !rest.is_empty() && self.life == Life::Open {
            let mut held = turn.work.pool.lease();
            held.extend_from_slice(rest);
            self.held = held;
        }
    }

    /// Handles the requests in what is held.
    fn advance_held(&mut self, turn: &mut Turn<'_>) {
        let mut held = std::mem::take(&mut self.held);
        let used = self.advance(&mut held, turn);
        if used >= held.len() || self.life != Life::Open {
            if held.capacity() > 0 {
                turn.work.pool.release(held);
            }
        } else {
            held.drain(..used);
            self.held = held;
        }
    }

    /// Handles as many requests as `block` holds and there is room to answer; returns how many bytes they took.
    fn advance(&mut self, block: &mut Vec<u8>, turn: &mut Turn<'_>) -> usize {
        if self.is_asking() {
            return 0;
        }
        let filled = block.len();
        block.resize(filled + PADDING, 0);
        let mut used = 0;
        while used < filled && self.life == Life::Open {
            if turn.work.answers.len() > ANSWERS_BYTES_MAX {
                self.is_paused = true;
                break;
            }
            let rest = block.get_mut(used..).unwrap_or_default();
            match self.step(rest, filled - used, turn) {
                Some(bytes) => used += bytes,
                None => break,
            }
        }
        block.truncate(filled);
        if let (Framing::Messages(messages), Some(rest)) = (&mut self.framing, block.get_mut(used..)) {
            let gap = messages.compact(rest);
            block.truncate(filled - gap);
        }
        // All that arrived has been answered, so a drain owes nobody anything.
        if used == filled && self.drain == Drain::Draining && matches!(self.framing, Framing::Head(_)) {
            self.finish();
        }
        used
    }

    /// No more input. Requests that wait for a write are answered first: a peer may end its half and read on.
    fn end_input(&mut self, turn: &mut Turn<'_>) {
        self.has_input_ended = true;
        if self.is_asking() {
            return;
        }
        if let Framing::Messages(messages) = &self.framing
            && !self.is_paused
            && messages.complete(&mut self.held)
        {
            self.advance_held(turn);
        }
        if let (Framing::Messages(messages), Some(channel)) = (&self.framing, &mut self.channel)
            && messages.outlive_input()
        {
            channel.close_half(turn);
            return;
        }
        self.detach(turn);
        if !self.is_paused {
            self.finish();
        }
    }

    /// No more requests; what is queued is still sent.
    fn finish(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Closing;
        }
    }

    /// Encrypts the turn's answers, says goodbye if this was the last turn, and sets the next deadline.
    fn end_turn(&mut self, turn: &mut Turn<'_>) {
        if self.channel.is_some() {
            self.end_channel_turn(turn);
        }
        match &mut self.tls {
            None => {
                if turn.outbox.is_empty() {
                    std::mem::swap(turn.outbox, &mut turn.work.answers);
                } else {
                    turn.outbox.append(&mut turn.work.answers);
                }
            }
            Some(tls) => {
                if !turn.work.answers.is_empty() && tls.send(&turn.work.answers, turn.outbox).is_err() {
                    self.life = Life::Closed;
                }
                turn.work.answers.clear();
                if self.life == Life::Closing && self.wait != Wait::Linger {
                    tls.close(turn.outbox);
                }
            }
        }
        self.settle(turn);
    }

    /// The socket broke, or the peer would not read.
    pub fn note_broken(&self, turn: &Turn<'_>) {
        self.record(turn, Outcome::Fault, Stage::Respond, "connection_broken", None);
    }

    fn end_tls(&mut self, fault: &TlsFault, turn: &mut Turn<'_>) {
        turn.count(Count::TlsFailed);
        match fault.rejected() {
            Some(rejected) => self.note_rejected(&rejected, turn),
            None => {
                let is_handshake = self.wait == Wait::Handshake;
                let reason = if is_handshake { "handshake_failed" } else { "record_failed" };
                self.record(turn, Outcome::Fault, Stage::Tls, reason, Some(fault.to_string().into()));
            }
        }
        self.detach(turn);
        self.finish();
    }

    /// Queues a log record about the connection itself.
    fn record(
        &self,
        turn: &Turn<'_>,
        outcome: Outcome,
        stage: Stage,
        reason: &'static str,
        detail: Option<Box<str>>,
    ) {
        let Some(listener) = turn.snapshot.listeners.get(self.listener) else { return };
        turn.work.events.record(Record {
            at_ms: turn.now.unix_ms,
            outcome,
            stage,
            reason,
            peer: self.peer,
            listener: listener.name.clone(),
            principal: None,
            method: "",
            tool: None,
            status: 0,
            elapsed_us: 0,
            detail,
        });
    }
}

/// What a connection begins as.
fn first(listener: usize, turn: &Turn<'_>) -> (Framing, Option<Box<Channel>>) {
    let head = Framing::Head(HeadScan::default());
    let Some(listener) = listener_of(turn.snapshot, listener) else { return (head, None) };
    let Some((messages, carriage)) = Messages::first(&listener.speech) else { return (head, None) };
    let channel = Channel::new(Exchange::multiplexed(carriage), Channel::resident(listener), turn);
    (Framing::Messages(Box::new(messages)), Some(Box::new(channel)))
}

/// The listener of a connection; it outlives every reload.
fn listener_of(snapshot: &Arc<Snapshot>, listener: usize) -> Option<&Listener> {
    snapshot.listeners.get(listener).map(Arc::as_ref)
}
