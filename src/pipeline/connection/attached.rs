//! A connection as the reader of a stream: a call's reports and answer, a subscription, a session's notifications.
//! It fetches when it can write, so what a slow peer does not read stays in the stream's bounded list.
//! Never: a message after the answer; a message that another reader has had, unless the peer asks for it again.
//! Next: `hub/stream.rs`, what is read.

use super::{ANSWERS_BYTES_MAX, Connection, Drain, listener_of};
use crate::pipeline::event::Count;
use crate::pipeline::framing::{Caller, Delivery, Framing};
use crate::pipeline::hub::key::{EventId, Key, Owner};
use crate::pipeline::hub::parcel::Then;
use crate::pipeline::hub::stream::{EventKind, Read};
use crate::pipeline::respond;
use crate::pipeline::snapshot::{Listener, SlowReader};
use crate::pipeline::turn::Turn;
use crate::wire::http::head::{HeadScan, Persistence, Version};
use crate::wire::mcp::Revision;
use crate::wire::mcp::session::Claims;
use crate::wire::sse;

/// How what is read is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON body: the answer.
    Json,
    /// One JSON body: an array of answers.
    JsonArray,
    /// JSON if nothing comes before the answer, else events.
    Either,
    /// Events.
    Events,
}

/// Whether events carry ids, so that the reader can come back for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// A modern stream ends with its connection.
    None,
    /// Each event has one.
    Sent,
    /// The same, and an empty event comes first, so that there is an id before there is news.
    Primed,
}

impl Ids {
    /// What clients of a revision understand.
    // MCP 2025-11-25, Streamable HTTP: a stream begins with an event that has an id and no data. Older clients choke on it.
    pub(super) fn of(revision: Revision) -> Self {
        match revision {
            Revision::V20260728 => Self::None,
            Revision::V20251125 => Self::Primed,
            Revision::V20250618 | Revision::V20250326 | Revision::V20241105 => Self::Sent,
        }
    }
}

/// A stream that another shard keeps.
#[derive(Clone, Copy, Debug)]
struct Remote {
    is_pulling: bool,
    /// It is known where in the stream the reading begins.
    has_begun: bool,
    owner: Owner,
}

/// What the connection reads and how it writes it.
pub(super) struct Attachment {
    stream: Key,
    ticket: u64,
    after: u64,
    remote: Option<Remote>,
    /// Where to turn if the stream to be resumed is no more.
    fallback: Option<(Owner, Claims)>,
    caller: Caller,
    form: Form,
    ids: Ids,
    is_open: bool,
    is_primed: bool,
    collected: Vec<u8>,
    alive_at_ms: u64,
}

/// What to read.
pub(super) struct Reading {
    pub(super) stream: Key,
    pub(super) owner: Owner,
    pub(super) after: u64,
    pub(super) form: Form,
    pub(super) ids: Ids,
}

impl Connection {
    /// When the attached stream needs a sign of life, monotonic milliseconds.
    pub(super) fn alive_at_ms(&self) -> u64 {
        self.attached.as_ref().map_or(u64::MAX, |attached| attached.alive_at_ms)
    }

    /// Begins to read a stream of this shard; false when it is not there or somebody else's.
    pub(super) fn attach(&mut self, reading: &Reading, caller: Caller, turn: &mut Turn<'_>) -> bool {
        let Some(ticket) = turn.work.hub.attach(reading.stream, reading.owner) else { return false };
        self.begin_reading(reading, ticket, None, None, caller, turn);
        true
    }

    fn begin_reading(
        &mut self,
        reading: &Reading,
        ticket: u64,
        remote: Option<Remote>,
        fallback: Option<(Owner, Claims)>,
        caller: Caller,
        turn: &mut Turn<'_>,
    ) {
        self.framing = Framing::Busy;
        let is_open = caller.is_open;
        self.attached = Some(Box::new(Attachment {
            stream: reading.stream,
            ticket,
            after: reading.after,
            remote,
            fallback,
            caller,
            form: reading.form,
            ids: reading.ids,
            is_open,
            is_primed: reading.ids != Ids::Primed,
            collected: Vec::new(),
            alive_at_ms: turn.now.ms.saturating_add(turn.snapshot.limits.keepalive_ms()),
        }));
        self.poll_attached(turn);
    }

    /// Begins to read what a session is told, or goes on where the peer lost a stream of its.
    pub(super) fn attach_session(
        &mut self,
        owner: Owner,
        claims: Claims,
        resume: Option<EventId>,
        caller: Caller,
        turn: &mut Turn<'_>,
    ) -> bool {
        let ids = Ids::of(claims.revision);
        let (nonce, mirror_nonce, now) = (turn.nonce(), turn.nonce(), turn.now);
        let hub = &mut turn.work.hub;
        if let Some(EventId { stream, seq }) = resume {
            let reading = Reading { stream, owner, after: seq, form: Form::Events, ids };
            if stream.shard == turn.work.shard {
                if let Some(ticket) = hub.attach(stream, owner) {
                    self.begin_reading(&reading, ticket, None, None, caller, turn);
                    return true;
                }
            } else if let Some(mirror) = hub.mirror(owner, mirror_nonce, now) {
                hub.pull(stream, owner, seq, mirror);
                return self.read_mirror(mirror, seq, ids, Some((owner, claims)), owner, caller, turn);
            }
        }
        if hub.is_home(claims.shard) {
            let Some((stream, after)) = hub.open_session(owner, claims.shard, nonce, now) else {
                return false;
            };
            return self.attach(&Reading { stream, owner, after, form: Form::Events, ids }, caller, turn);
        }
        let Some(mirror) = hub.mirror(owner, mirror_nonce, now) else { return false };
        hub.pull_session(owner, claims.shard, mirror, nonce);
        self.read_mirror(mirror, 0, ids, None, owner, caller, turn)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "two callers that know all of it, and no two belong together"
    )]
    fn read_mirror(
        &mut self,
        mirror: Key,
        after: u64,
        ids: Ids,
        fallback: Option<(Owner, Claims)>,
        owner: Owner,
        caller: Caller,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(ticket) = turn.work.hub.attach(mirror, owner) else { return false };
        let reading = Reading { stream: mirror, owner, after, form: Form::Events, ids };
        let remote = Some(Remote { is_pulling: true, has_begun: false, owner });
        self.begin_reading(&reading, ticket, remote, fallback, caller, turn);
        true
    }

    /// Nobody will read what the stream has; what depends on being read ends.
    pub(super) fn detach(&mut self, turn: &mut Turn<'_>) {
        if let Some(attached) = self.attached.take() {
            attached.leave(turn);
        }
    }

    /// Fetches what there is and writes it.
    pub(super) fn poll_attached(&mut self, turn: &mut Turn<'_>) {
        let Some(mut attached) = self.attached.take() else { return };
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        // RFC 9112 9.6: the last answer says that it is, if its head is not out yet.
        if self.drain == Drain::Draining && !attached.is_open {
            attached.caller.exchange.persistence = Persistence::Close;
        }
        // A legacy client waits for the head before it takes its stream for open, however long nothing happens.
        if attached.form == Form::Events && attached.ids != Ids::None {
            attached.open(listener, turn);
            // A stream in place of one that is no more has not said its name.
            if attached.remote.is_none() {
                attached.prime(turn);
            }
        }
        loop {
            if turn.work.answers.len() > ANSWERS_BYTES_MAX {
                self.is_paused = true;
                break;
            }
            match attached.step(listener, turn) {
                Step::Again => {}
                Step::Wait => break,
                Step::Done => return self.end_reading(*attached, turn),
                Step::Elsewhere(owner, claims) => {
                    let mut caller = attached.caller.clone();
                    // The head went out when the session's reader came.
                    caller.is_open = attached.is_open;
                    let exchange = caller.exchange;
                    attached.leave(turn);
                    let is_over = turn.work.spent.contains(claims.nonce, turn.now.unix_s());
                    if is_over || !self.attach_session(owner, claims, None, caller, turn) {
                        respond::close_stream(turn, exchange);
                        self.framing = Framing::Head(HeadScan::default());
                        self.answered(exchange, turn);
                    }
                    return;
                }
            }
        }
        self.attached = Some(attached);
    }

    /// A sign of life, so that nobody on the way takes the stream for dead.
    pub(super) fn keep_alive(&mut self, turn: &mut Turn<'_>) {
        let Some(mut attached) = self.attached.take() else { return };
        if turn.now.ms >= attached.alive_at_ms
            && let Some(listener) = listener_of(turn.snapshot, self.listener)
        {
            attached.alive_at_ms = turn.now.ms.saturating_add(turn.snapshot.limits.keepalive_ms());
            if matches!(attached.form, Form::Either | Form::Events) {
                attached.open(listener, turn);
                respond::send_comment(turn, attached.caller.exchange);
            }
        }
        self.attached = Some(attached);
    }

    fn end_reading(&mut self, attached: Attachment, turn: &mut Turn<'_>) {
        if attached.is_open {
            respond::close_stream(turn, attached.caller.exchange);
        }
        let exchange = attached.caller.exchange;
        attached.leave(turn);
        self.framing = Framing::Head(HeadScan::default());
        self.answered(exchange, turn);
        // Requests that arrived in the meantime.
        if !self.held.is_empty() {
            self.advance_held(turn);
        }
    }
}

enum Step {
    Again,
    Wait,
    Done,
    Elsewhere(Owner, Claims),
}

impl Attachment {
    /// One message, or why there is none.
    fn step(&mut self, listener: &Listener, turn: &mut Turn<'_>) -> Step {
        self.begin(turn);
        let work = &mut *turn.work;
        let (seq, kind) = match work.hub.read(self.stream, self.ticket, self.after, turn.waker) {
            Read::Event(event) => {
                work.body.clear();
                work.body.extend_from_slice(&event.bytes);
                (event.seq, event.kind)
            }
            Read::Missed(through) => {
                turn.count(Count::RespondMissed);
                self.after = through;
                return match turn.snapshot.limits.slow_reader {
                    SlowReader::Drop => Step::Again,
                    SlowReader::Close => Step::Done,
                };
            }
            Read::Quiet => {
                self.pull(turn);
                return Step::Wait;
            }
            Read::Over => return self.over(listener, turn),
            Read::Gone => return Step::Done,
        };
        self.after = seq;
        self.fallback = None;
        self.alive_at_ms = turn.now.ms.saturating_add(turn.snapshot.limits.keepalive_ms());
        match (kind, self.form) {
            (EventKind::Notification | EventKind::Question, Form::Json | Form::JsonArray) => Step::Again,
            (EventKind::Answer { .. }, Form::JsonArray) => {
                self.collected.push(if self.collected.is_empty() { b'[' } else { b',' });
                self.collected.append(&mut turn.work.body);
                Step::Again
            }
            (EventKind::Answer { status }, Form::Json | Form::Either) if !self.is_open => {
                respond::answer(turn, listener, status, self.caller.exchange, &[]);
                Step::Done
            }
            // An error keeps its status as long as that has not been sent.
            (EventKind::Answer { status }, Form::Events) if !self.is_open && status != 200 => {
                respond::answer(turn, listener, status, self.caller.exchange, &[]);
                Step::Done
            }
            (_, Form::Json | Form::Either | Form::Events) => {
                self.open(listener, turn);
                let id = self.event_id(turn);
                respond::send_event(turn, self.caller.exchange, id.as_deref());
                Step::Again
            }
        }
    }

    fn over(&mut self, listener: &Listener, turn: &mut Turn<'_>) -> Step {
        if self.remote.is_some()
            && turn.work.hub.mirror_source(self.stream).1 == Then::Gone
            && let Some((owner, claims)) = self.fallback
        {
            return Step::Elsewhere(owner, claims);
        }
        match self.form {
            Form::JsonArray => {
                self.collected.push(b']');
                turn.work.body.clear();
                turn.work.body.append(&mut self.collected);
                respond::answer(turn, listener, 200, self.caller.exchange, &[]);
            }
            // A call that was cancelled has no answer; whoever waits for one is told that.
            Form::Json | Form::Either if !self.is_open => {
                respond::answer_empty(turn, listener, 202, self.caller.exchange, &[]);
            }
            Form::Json | Form::Either | Form::Events => {}
        }
        if self.form == Form::Events {
            self.open(listener, turn);
        }
        Step::Done
    }

    /// Asks the stream's shard for what comes next, unless it has been asked.
    fn pull(&mut self, turn: &mut Turn<'_>) {
        let Some(remote) = &mut self.remote else { return };
        let (source, then) = turn.work.hub.mirror_source(self.stream);
        let Some(source) = source.filter(|_| then == Then::More) else { return };
        // What was asked for has come when the mirror knows more than was read before.
        let has_come = turn.work.hub.take_news(self.stream);
        if remote.is_pulling && !has_come {
            return;
        }
        remote.is_pulling = true;
        turn.work.hub.pull(source, remote.owner, self.after, self.stream);
    }

    fn event_id(&self, turn: &mut Turn<'_>) -> Option<String> {
        if self.ids == Ids::None {
            return None;
        }
        let stream = match self.remote {
            None => Some(self.stream),
            Some(_) => turn.work.hub.mirror_source(self.stream).0,
        };
        stream.map(|stream| EventId { stream, seq: self.after }.encode())
    }

    fn open(&mut self, listener: &Listener, turn: &mut Turn<'_>) {
        if std::mem::replace(&mut self.is_open, true) {
            return;
        }
        // A stream of unknown length can only end with the connection in HTTP/1.0.
        if self.caller.exchange.version == Version::Http10 {
            self.caller.exchange.persistence = Persistence::Close;
        }
        let body = std::mem::take(&mut turn.work.body);
        respond::open_stream(turn, listener, self.caller.exchange, &[]);
        if self.ids == Ids::Primed {
            self.prime(turn);
            let mut retry = Vec::new();
            sse::encode_retry(&mut retry, turn.snapshot.limits.retry_ms());
            respond::send_raw(turn, self.caller.exchange, &retry);
        }
        turn.work.body = body;
    }

    /// A stream of another shard is read from the place that shard says.
    fn begin(&mut self, turn: &mut Turn<'_>) {
        let Some(remote) = self.remote.as_mut().filter(|remote| !remote.has_begun) else { return };
        let Some(after) = turn.work.hub.mirror_begin(self.stream) else { return };
        remote.has_begun = true;
        self.after = self.after.max(after);
        if self.is_open {
            self.prime(turn);
        }
    }

    /// The event with an id and no data, as soon as there is an id.
    fn prime(&mut self, turn: &mut Turn<'_>) {
        if self.is_primed {
            return;
        }
        if let Some(id) = self.event_id(turn) {
            self.is_primed = true;
            turn.work.body.clear();
            respond::send_event(turn, self.caller.exchange, Some(&id));
        }
    }

    fn leave(self, turn: &mut Turn<'_>) {
        let now = turn.now;
        if self.remote.is_some()
            && let (Some(source), Then::More) = turn.work.hub.mirror_source(self.stream)
        {
            turn.work.hub.send_detach(source, self.stream);
        }
        turn.work.hub.detach(self.stream, self.ticket, now);
    }
}

/// How the answer of a request may be given.
pub(super) fn form_of(delivery: Delivery) -> Form {
    match delivery {
        Delivery::Json => Form::Json,
        Delivery::JsonOrStream => Form::Either,
        Delivery::Stream => Form::Events,
    }
}
