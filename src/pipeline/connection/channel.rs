//! A connection that carries everything of its peer's: requests are answered as they finish, and what the server has to
//! say of itself goes the same way. What is not said at once comes from streams, the channel's *strands*.
//! Never: an answer to a request that was cancelled; more requests unanswered than the listener allows.
//! Next: `incoming`, what the peer sends.

use std::time::Duration;

use super::form::{Form, Ids};
use super::reading::Reading;
use super::{ANSWERS_BYTES_MAX, Connection, Drain, Life, listener_of};
use crate::pipeline::authenticate::Principal;
use crate::pipeline::authorize::Asker;
use crate::pipeline::event::Count;
use crate::pipeline::framing::{Caller, Delivery};
use crate::pipeline::hub::key::{Key, Owner};
use crate::pipeline::hub::parcel::Then;
use crate::pipeline::hub::stream::{EventKind, Read};
use crate::pipeline::peer::Peer;
use crate::pipeline::respond::{self, Carriage, Exchange, Goodbye, Refusal};
use crate::pipeline::seal::principal_digest;
use crate::pipeline::snapshot::{Admission, Listener, SlowReader, Speech, millis};
use crate::pipeline::turn::Turn;
use crate::wire::jsonrpc::OwnedId;
use crate::wire::mcp::session::Claims;

/// What a connection of this kind is beside its bytes.
pub(super) struct Channel {
    pub(super) exchange: Exchange,
    /// Who is at the other end, once that is known.
    pub(super) principal: Option<Principal>,
    /// The snapshot's under which that was last known.
    pub(super) generation: u64,
    /// The session of a legacy handshake.
    pub(super) session: Option<Claims>,
    strands: Vec<Strand>,
    /// The strand to be read next, so that a busy one does not keep the others from being read.
    next: usize,
    pub(super) goodbye: Goodbye,
    pub(super) has_said_goodbye: bool,
    /// Credentials that named nobody.
    pub(super) failures: u32,
    /// When a sign of life is due, monotonic milliseconds.
    pub(super) alive_at_ms: u64,
    /// Until when the peer has to give one.
    pub(super) answer_by_ms: u64,
}

/// What a strand brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Brings {
    /// The reports and the answer to this request.
    Answer(OwnedId),
    /// The answers to so many requests that came in one batch.
    Answers(usize),
    /// What a legacy session is told.
    News,
    /// Messages of the peer's that came another way.
    Incoming,
}

/// One stream that the channel reads.
struct Strand {
    stream: Key,
    ticket: u64,
    after: u64,
    brings: Brings,
    form: Form,
    collected: Vec<u8>,
}

/// What reading a strand gave.
enum Step {
    Again,
    Wait,
    Incoming(Vec<u8>),
    /// The strand has nothing more.
    Done,
    /// It ended before its answer.
    Lost,
    /// The peer has missed messages, and may not.
    Behind,
}

impl Channel {
    /// A channel of that principal's, or of whoever will say who it is.
    pub(super) fn new(exchange: Exchange, principal: Option<Principal>, turn: &Turn<'_>) -> Self {
        Self {
            exchange,
            principal,
            generation: turn.snapshot.generation,
            session: None,
            strands: Vec::new(),
            next: 0,
            goodbye: Goodbye::Done,
            has_said_goodbye: false,
            failures: 0,
            alive_at_ms: u64::MAX,
            answer_by_ms: u64::MAX,
        }
    }

    /// For a listener whose peers need not say who they are.
    pub(super) fn resident(listener: &Listener) -> Option<Principal> {
        match &listener.admission {
            Admission::Resident(principal) => Some(principal.clone()),
            Admission::Authenticated | Admission::AnonymousAllowed => None,
        }
    }

    /// Whether something may come of itself.
    pub(super) fn is_waiting(&self) -> bool {
        !self.strands.is_empty()
    }

    /// Requests that are not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        let weight = |strand: &Strand| match strand.brings {
            Brings::Answer(_) => 1,
            Brings::Answers(count) => count,
            Brings::News | Brings::Incoming => 0,
        };
        self.strands.iter().map(weight).sum()
    }

    /// How a request of this principal is answered.
    pub(super) fn caller(&self, principal: Principal) -> Caller {
        Caller { principal, exchange: self.exchange, delivery: Delivery::JsonOrStream, channel: None }
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        let principal = principal_digest(&self.principal.as_ref()?.id);
        Some(Owner { principal, session: self.session.map_or([0; 16], |claims| claims.nonce) })
    }

    /// Begins to read a stream of this shard.
    pub(super) fn read(&mut self, reading: &Reading, turn: &mut Turn<'_>) -> bool {
        let Some(ticket) = turn.work.hub.attach(reading.stream, reading.owner) else { return false };
        self.strands.push(Strand {
            stream: reading.stream,
            ticket,
            after: reading.after,
            brings: reading.brings.clone(),
            form: reading.form,
            collected: Vec::new(),
        });
        true
    }

    /// The same for a stream that is no request's.
    pub(super) fn follow(
        &mut self,
        stream: Key,
        owner: Owner,
        after: u64,
        brings: Brings,
        turn: &mut Turn<'_>,
    ) {
        let (form, ids) = (Form::Events, Ids::None);
        self.read(&Reading { stream, owner, after, form, ids, brings }, turn);
    }

    /// The peer gives up on a request: what it waits for ends, and nothing more is said of it.
    // MCP 2026-07-28, stdio: after notifications/cancelled nothing may be sent for the request.
    pub(super) fn cancel(&mut self, id: &OwnedId, turn: &mut Turn<'_>) {
        let is_it = |strand: &Strand| matches!(&strand.brings, Brings::Answer(own) if own == id);
        let at = self.strands.iter().position(is_it);
        if let Some(at) = at {
            self.strands.swap_remove(at).leave(turn);
        }
    }

    /// The peer sends nothing more, and reads on: what is asked of it will not be answered, and what would not end by
    /// itself ends.
    pub(super) fn close_half(&mut self, turn: &mut Turn<'_>) {
        let hub = &mut turn.work.hub;
        if let Some(owner) = self.owner().filter(|_| self.session.is_some()) {
            hub.give_up_questions(owner);
        }
        let (kept, over): (Vec<Strand>, Vec<Strand>) =
            std::mem::take(&mut self.strands).into_iter().partition(|strand| match strand.brings {
                Brings::Answer(_) | Brings::Answers(_) => hub.is_for_answers(strand.stream),
                Brings::News | Brings::Incoming => false,
            });
        self.strands = kept;
        over.into_iter().for_each(|strand| strand.leave(turn));
    }

    /// Nobody reads any more.
    pub(super) fn detach(&mut self, turn: &mut Turn<'_>) {
        let owner = self.owner().filter(|_| self.session.is_some());
        for strand in std::mem::take(&mut self.strands) {
            strand.leave(turn);
        }
        // The session was this connection's, so nobody can come back to it.
        if let Some(owner) = owner {
            turn.work.hub.forget_session(owner);
        }
    }

    /// Whether who was let in may still be here; asked anew after a reload.
    pub(super) fn is_entitled(&mut self, peer: Peer, listener: &Listener, turn: &mut Turn<'_>) -> bool {
        let Some(principal) = &self.principal else { return true };
        if self.generation != turn.snapshot.generation {
            let Some(found) = turn.snapshot.identities.find_again(principal, listener, turn.now) else {
                return false;
            };
            let asker = Asker { principal: &found, peer, listener, now: turn.now };
            for strand in &self.strands {
                super::standing::narrow(strand.stream, asker, turn);
            }
            self.principal = Some(found);
            self.generation = turn.snapshot.generation;
        }
        self.principal.as_ref().is_some_and(|principal| turn.now.unix_s() < principal.expires_at_s)
    }
}

impl Strand {
    fn leave(self, turn: &mut Turn<'_>) {
        turn.work.hub.detach(self.stream, self.ticket, turn.now);
    }

    /// One message, or why there is none.
    fn step(&mut self, exchange: Exchange, turn: &mut Turn<'_>) -> Step {
        let work = &mut *turn.work;
        let kind = match work.hub.read(self.stream, self.ticket, self.after, turn.waker) {
            Read::Event(event) => {
                self.after = event.seq;
                if self.brings == Brings::Incoming {
                    return Step::Incoming(event.bytes.clone());
                }
                work.body.clear();
                work.body.extend_from_slice(&event.bytes);
                event.kind
            }
            Read::Missed { through, is_call } => {
                self.after = through;
                turn.count(Count::RespondMissed);
                return match turn.snapshot.limits.slow_reader {
                    SlowReader::Close if !is_call => Step::Behind,
                    SlowReader::Close | SlowReader::Drop => Step::Again,
                };
            }
            Read::Quiet => return Step::Wait,
            Read::Over => return self.over(exchange, turn),
            Read::Gone => return Step::Lost,
        };
        match (kind, self.form) {
            (EventKind::Answer { .. }, Form::JsonArray) => {
                self.collected.push(if self.collected.is_empty() { b'[' } else { b',' });
                self.collected.append(&mut turn.work.body);
                Step::Again
            }
            (EventKind::Answer { .. } | EventKind::Notification | EventKind::Question, _) => {
                respond::send_message(turn, exchange);
                if let EventKind::Answer { .. } = kind {
                    turn.count(Count::RespondWritten);
                }
                Step::Again
            }
        }
    }

    fn over(&mut self, exchange: Exchange, turn: &mut Turn<'_>) -> Step {
        if !self.collected.is_empty() {
            self.collected.push(b']');
            turn.work.body.clear();
            turn.work.body.append(&mut self.collected);
            respond::send_message(turn, exchange);
            turn.count(Count::RespondWritten);
        }
        // Another shard was to send the answer and has not.
        if turn.work.hub.mirror_source(self.stream).1 == Then::More { Step::Lost } else { Step::Done }
    }
}

impl Connection {
    /// Fetches what there is and writes it.
    pub(super) fn poll_channel(&mut self, turn: &mut Turn<'_>) {
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        let mut quiet = 0;
        loop {
            let Some(channel) = &mut self.channel else { return };
            if !channel.is_entitled(self.peer, listener, turn) {
                return self.part(Goodbye::Forbidden, turn);
            }
            let strands = channel.strands.len();
            if quiet >= strands {
                return;
            }
            if turn.work.answers.len() > ANSWERS_BYTES_MAX {
                self.is_paused = true;
                return;
            }
            channel.next = if channel.next + 1 >= strands { 0 } else { channel.next + 1 };
            let at = channel.next;
            let exchange = channel.exchange;
            let Some(strand) = channel.strands.get_mut(at) else { return };
            let step = strand.step(exchange, turn);
            quiet = if matches!(step, Step::Wait) { quiet + 1 } else { 0 };
            match step {
                Step::Again | Step::Wait => {}
                Step::Incoming(message) => self.posted(message, turn),
                Step::Done => channel.strands.swap_remove(at).leave(turn),
                Step::Lost => {
                    let strand = channel.strands.swap_remove(at);
                    // Who waits for no one answer is told by the end of the connection.
                    let Brings::Answer(id) = &strand.brings else {
                        strand.leave(turn);
                        return self.part(Goodbye::Overloaded, turn);
                    };
                    respond::refuse(turn, listener, exchange, &Refusal::Overloaded, Some(id.as_id()));
                    strand.leave(turn);
                }
                Step::Behind => return self.part(Goodbye::Overloaded, turn),
            }
        }
    }

    /// A sign of life is due, or one of the peer's is overdue.
    pub(super) fn keep_channel_alive(&mut self, turn: &mut Turn<'_>) {
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        let interval_ms = self.life_interval_ms(listener);
        let Some(channel) = &mut self.channel else { return };
        let now_ms = turn.now.ms;
        if now_ms >= channel.answer_by_ms {
            turn.count(Count::FramingTimedOut);
            return self.part(Goodbye::GoingAway, turn);
        }
        if now_ms >= channel.alive_at_ms {
            channel.alive_at_ms = now_ms.saturating_add(interval_ms);
            if let Some(patience) = pong_timeout(channel.exchange, listener) {
                channel.answer_by_ms = channel.answer_by_ms.min(now_ms.saturating_add(millis(patience)));
            }
            respond::send_comment(turn, channel.exchange);
        }
    }

    /// When the channel has something to do of itself, monotonic milliseconds.
    pub(super) fn channel_due_ms(&self) -> u64 {
        self.channel.as_ref().map_or(u64::MAX, |channel| channel.alive_at_ms.min(channel.answer_by_ms))
    }

    /// How long the channel may be silent before it gives a sign of life, milliseconds.
    pub(super) fn life_interval_ms(&self, listener: &Listener) -> u64 {
        let Some(channel) = &self.channel else { return u64::MAX };
        let Speech::Http(transports) = &listener.speech else { return u64::MAX };
        let interval = match channel.exchange.carriage {
            Carriage::Frame => transports.websocket.as_ref().map(|websocket| websocket.ping_interval),
            Carriage::Event => transports.sse.as_ref().map(|sse| sse.heartbeat_interval),
            Carriage::Response | Carriage::Line | Carriage::Prefixed => None,
        };
        interval.map_or(u64::MAX, millis)
    }

    /// Whether the peer is known to be there without asking anything: it is pinged, waits for news, or started us.
    pub(super) fn is_expected(&self, turn: &Turn<'_>) -> bool {
        let Some(channel) = &self.channel else { return false };
        let is_resident = || listener_of(turn.snapshot, self.listener).and_then(Channel::resident).is_some();
        channel.is_waiting() || channel.alive_at_ms != u64::MAX || is_resident()
    }

    /// Ends the connection, saying why where that can be said.
    pub(super) fn part(&mut self, goodbye: Goodbye, turn: &mut Turn<'_>) {
        if let Some(channel) = &mut self.channel
            && !channel.has_said_goodbye
        {
            channel.goodbye = goodbye;
        }
        self.detach(turn);
        self.finish();
    }

    /// Writes what the strands have, and says goodbye if nothing is left to say.
    pub(super) fn end_channel_turn(&mut self, turn: &mut Turn<'_>) {
        if self.life == Life::Open {
            self.poll_channel(turn);
        }
        let is_last = self.has_input_ended || self.drain == Drain::Draining;
        let Some(channel) = &mut self.channel else { return };
        let is_done = is_last && channel.in_flight() == 0 && !self.is_paused;
        if is_done && self.life == Life::Open {
            if !self.has_input_ended {
                channel.goodbye = Goodbye::GoingAway;
            }
            self.finish();
        }
        let Some(channel) = &mut self.channel else { return };
        if self.life == Life::Closing && !std::mem::replace(&mut channel.has_said_goodbye, true) {
            respond::close(turn, channel.exchange, channel.goodbye);
        }
    }
}

/// How long the peer may take to answer a ping, where it is asked to.
fn pong_timeout(exchange: Exchange, listener: &Listener) -> Option<Duration> {
    match (&listener.speech, exchange.carriage) {
        (Speech::Http(transports), Carriage::Frame) => {
            transports.websocket.as_ref().map(|websocket| websocket.pong_timeout)
        }
        (Speech::Http(_) | Speech::Lines | Speech::Prefixed | Speech::Redirect { .. }, _) => None,
    }
}
