//! A connection as the reader of a stream: a call's reports and answer, a subscription, a session's notifications.
//! It fetches when it can write, so what a slow peer does not read stays in the stream's bounded list.
//! Never: a message after the answer; a message that another reader has had, unless the peer asks for it again.
//! Next: `hub/stream.rs`, what is read.

use super::form::{Form, Ids};
use super::reading::Fallback;
use super::{ANSWERS_BYTES_MAX, Connection, Drain, listener_of};
use crate::pipeline::event::Count;
use crate::pipeline::framing::{Caller, Framing};
use crate::pipeline::hub::key::{EventId, Key, Owner};
use crate::pipeline::hub::parcel::Then;
use crate::pipeline::hub::stream::{EventKind, Read};
use crate::pipeline::respond;
use crate::pipeline::snapshot::{Listener, SlowReader};
use crate::pipeline::turn::Turn;
use crate::wire::http::head::{Persistence, Version};
use crate::wire::sse;

/// A stream that another shard keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote {
    pub(super) is_pulling: bool,
    pub(super) owner: Owner,
}

/// What the connection reads and how it writes it.
pub(super) struct Attachment {
    pub(super) stream: Key,
    pub(super) ticket: u64,
    pub(super) after: u64,
    pub(super) remote: Option<Remote>,
    /// Where to turn if the stream to be resumed is no more.
    pub(super) fallback: Option<Fallback>,
    pub(super) caller: Caller,
    /// The snapshot's under which the caller was last known.
    pub(super) generation: u64,
    pub(super) form: Form,
    pub(super) ids: Ids,
    pub(super) is_open: bool,
    /// A message has been read since it came.
    pub(super) has_read: bool,
    pub(super) collected: Vec<u8>,
    /// Where in its requests the connection goes on afterwards; the rest of this one's body may have to be skipped first.
    pub(super) then: Framing,
    /// How long it may be silent, milliseconds.
    pub(super) life_ms: u64,
    pub(super) alive_at_ms: u64,
    /// When what entitles the reader is over, Unix seconds.
    pub(super) until_s: u64,
}

impl Connection {
    /// When the attached stream needs a sign of life, monotonic milliseconds.
    pub(super) fn alive_at_ms(&self) -> u64 {
        self.attached.as_ref().map_or(u64::MAX, |attached| attached.alive_at_ms).min(self.channel_due_ms())
    }

    /// The session that reads is over then, Unix seconds.
    pub(super) fn read_until(&mut self, unix_s: u64) {
        if let Some(attached) = &mut self.attached {
            attached.until_s = unix_s;
        }
    }

    /// Nobody will read what the stream has; what depends on being read ends.
    pub(super) fn detach(&mut self, turn: &mut Turn<'_>) {
        if let Some(attached) = self.attached.take() {
            attached.leave(turn);
        }
        if let Some(channel) = &mut self.channel {
            channel.detach(turn);
        }
    }

    /// Fetches what there is and writes it.
    pub(super) fn poll_attached(&mut self, turn: &mut Turn<'_>) {
        let Some(mut attached) = self.attached.take() else { return };
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        if !attached.is_entitled(self.peer, listener, turn) {
            return self.cut(*attached, &respond::Refusal::Unauthenticated, listener, turn);
        }
        // RFC 9112 9.6: the last answer says that it is, if its head is not out yet.
        if self.drain == Drain::Draining && !attached.is_open {
            attached.caller.exchange.persistence = Persistence::Close;
        }
        if turn.now.unix_s() >= attached.until_s {
            attached.fallback = None;
            attached.over(listener, turn);
            return self.end_reading(*attached, turn);
        }
        if attached.form == Form::Stream && !attached.is_open && attached.name(turn).is_some() {
            attached.fallback = None;
            attached.open(listener, turn);
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
                Step::Cut => return self.cut(*attached, &respond::Refusal::Overloaded, listener, turn),
                Step::Elsewhere(fallback) => {
                    // A sign of life has opened the stream already; it can only end.
                    if attached.is_open {
                        return self.end_reading(*attached, turn);
                    }
                    let (caller, until_s) = (attached.caller.clone(), attached.until_s);
                    self.framing = std::mem::replace(&mut attached.then, Framing::Busy);
                    attached.leave(turn);
                    let is_attached = match fallback {
                        Fallback::Session(_, claims)
                            if turn.work.spent.is_ended(claims.nonce, turn.now.unix_s()) =>
                        {
                            false
                        }
                        Fallback::Session(owner, claims) => {
                            self.attach_session(owner, claims, None, caller.clone(), turn)
                        }
                        Fallback::Feed => self.attach_feed(None, caller.clone(), listener, turn),
                    };
                    if !is_attached {
                        let refusal = respond::Refusal::Overloaded;
                        respond::refuse(turn, listener, caller.exchange, &refusal, None);
                        self.answered(caller.exchange, turn);
                    }
                    self.read_until(until_s);
                    return;
                }
            }
        }
        self.attached = Some(attached);
    }

    /// A sign of life, so that nobody on the way takes the stream for dead.
    pub(super) fn keep_alive(&mut self, turn: &mut Turn<'_>) {
        if self.attached.as_ref().is_some_and(|attached| turn.now.unix_s() >= attached.until_s) {
            return self.poll_attached(turn);
        }
        let Some(mut attached) = self.attached.take() else { return };
        if turn.now.ms >= attached.alive_at_ms
            && let Some(listener) = listener_of(turn.snapshot, self.listener)
        {
            if !attached.is_entitled(self.peer, listener, turn) {
                return self.cut(*attached, &respond::Refusal::Unauthenticated, listener, turn);
            }
            attached.alive_at_ms = turn.now.ms.saturating_add(attached.life_ms);
            if matches!(attached.form, Form::Either | Form::Events | Form::Stream) {
                attached.open(listener, turn);
                respond::send_comment(turn, attached.caller.exchange);
            }
        }
        self.attached = Some(attached);
    }

    /// Ends before the answer. Whoever has had nothing yet must hear something, or would take the next answer for this one.
    fn cut(
        &mut self,
        attached: Attachment,
        why: &respond::Refusal<'_>,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        if !attached.is_open {
            respond::refuse(turn, listener, attached.caller.exchange, why, None);
        }
        self.end_reading(attached, turn);
    }

    fn end_reading(&mut self, mut attached: Attachment, turn: &mut Turn<'_>) {
        if attached.is_open {
            respond::close_stream(turn, attached.caller.exchange);
        }
        let exchange = attached.caller.exchange;
        self.framing = std::mem::replace(&mut attached.then, Framing::Busy);
        attached.leave(turn);
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
    /// Everything was written.
    Done,
    /// There is more, and not for this reader.
    Cut,
    Elsewhere(Fallback),
}

impl Attachment {
    pub(super) fn ids(&self) -> Ids {
        self.ids
    }

    /// One message, or why there is none.
    fn step(&mut self, listener: &Listener, turn: &mut Turn<'_>) -> Step {
        let work = &mut *turn.work;
        let (seq, kind) = match work.hub.read(self.stream, self.ticket, self.after, turn.waker) {
            Read::Event(event) => {
                work.body.clear();
                work.body.extend_from_slice(&event.bytes);
                (event.seq, event.kind)
            }
            Read::Missed { through, is_call } => return self.missed(through, is_call, turn),
            Read::Quiet => {
                self.pull(turn);
                return Step::Wait;
            }
            Read::Over => return self.over(listener, turn),
            Read::Gone => return Step::Cut,
        };
        self.after = seq;
        self.has_read = true;
        self.fallback = None;
        self.alive_at_ms = turn.now.ms.saturating_add(self.life_ms);
        match (kind, self.form) {
            (EventKind::Notification | EventKind::Question, Form::Json | Form::JsonArray) => Step::Again,
            (EventKind::Answer { .. }, Form::JsonArray) => {
                self.collected.push(if self.collected.is_empty() { b'[' } else { b',' });
                self.collected.append(&mut turn.work.body);
                Step::Again
            }
            (_, Form::Receipt) => Step::Again,
            (EventKind::Answer { status }, Form::Json | Form::Either) if !self.is_open => {
                respond::answer(turn, listener, status, self.caller.exchange, &[]);
                Step::Done
            }
            // An error keeps its status as long as that has not been sent.
            (EventKind::Answer { status }, Form::Events) if !self.is_open && status != 200 => {
                respond::answer(turn, listener, status, self.caller.exchange, &[]);
                Step::Done
            }
            (_, Form::Json | Form::Either | Form::Events | Form::Stream) => {
                self.open(listener, turn);
                let id = self.event_id(turn);
                respond::send_event(turn, self.caller.exchange, id.as_deref());
                Step::Again
            }
        }
    }

    /// Messages were dropped before they were read.
    fn missed(&mut self, through: u64, is_call: bool, turn: &Turn<'_>) -> Step {
        self.after = through;
        turn.count(Count::RespondMissed);
        // The answer of a call is never dropped, so its reader gets that. A reader that has just come was not slow: sent
        // away, it would come back to the same gap for ever.
        match turn.snapshot.limits.slow_reader {
            SlowReader::Close if !is_call && self.has_read => Step::Cut,
            SlowReader::Close | SlowReader::Drop => Step::Again,
        }
    }

    fn over(&mut self, listener: &Listener, turn: &mut Turn<'_>) -> Step {
        if self.remote.is_some()
            && turn.work.hub.mirror_source(self.stream).1 == Then::Gone
            && let Some(fallback) = self.fallback
        {
            return Step::Elsewhere(fallback);
        }
        match self.form {
            Form::Receipt => match turn.work.hub.mirror_source(self.stream).1 {
                Then::Over => respond::answer_empty(turn, listener, 202, self.caller.exchange, &[]),
                Then::More => return Step::Cut,
                Then::Gone => self.refuse(&respond::Refusal::SessionUnknown, listener, turn),
                Then::Full => self.refuse(&respond::Refusal::TooManyInFlight, listener, turn),
            },
            Form::JsonArray if self.collected.is_empty() => {
                respond::answer_empty(turn, listener, 202, self.caller.exchange, &[]);
            }
            Form::JsonArray => {
                self.collected.push(b']');
                turn.work.body.clear();
                turn.work.body.append(&mut self.collected);
                respond::answer(turn, listener, 200, self.caller.exchange, &[]);
            }
            Form::Json | Form::Either if !self.is_open && self.is_owed(turn) => return Step::Cut,
            // A call that was cancelled has no answer; whoever waits for one is told that.
            Form::Json | Form::Either if !self.is_open => {
                respond::answer_empty(turn, listener, 202, self.caller.exchange, &[]);
            }
            Form::Json | Form::Either => {}
            Form::Events | Form::Stream => self.open(listener, turn),
        }
        Step::Done
    }

    fn refuse(&self, refusal: &respond::Refusal<'_>, listener: &Listener, turn: &mut Turn<'_>) {
        respond::refuse(turn, listener, self.caller.exchange, refusal, None);
    }

    /// Whether another shard was to send the answer and has not.
    fn is_owed(&self, turn: &mut Turn<'_>) -> bool {
        turn.work.hub.mirror_source(self.stream).1 == Then::More
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
        // A stream of another shard is read from the place that shard says, which is the place to come back to.
        let seq = turn.work.hub.place_after(self.stream, self.after);
        self.name(turn).map(|stream| EventId { stream, seq }.encode())
    }

    /// The name of what is read; that of another shard's stream comes with its first parcel.
    fn name(&self, turn: &mut Turn<'_>) -> Option<Key> {
        match self.remote {
            None => Some(self.stream),
            Some(_) => match turn.work.hub.mirror_source(self.stream) {
                (source, Then::More | Then::Over) => source,
                (_, Then::Gone | Then::Full) => None,
            },
        }
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
        if self.ids == Ids::Primed
            && let Some(id) = self.event_id(turn)
        {
            respond::send_event(turn, self.caller.exchange, Some(&id));
        }
        let retry_ms = match self.ids {
            Ids::Primed => Some(turn.snapshot.limits.retry_ms()),
            Ids::Introduced => Some(super::feeds::retry_ms(listener)),
            Ids::None | Ids::Sent => None,
        };
        if let Some(retry_ms) = retry_ms {
            let mut retry = Vec::new();
            sse::encode_retry(&mut retry, retry_ms);
            respond::send_raw(turn, self.caller.exchange, &retry);
        }
        turn.work.body = body;
    }

    fn leave(self, turn: &mut Turn<'_>) {
        let now = turn.now;
        // Also when all of it was read: a stream that seems to be read is never forgotten.
        if self.remote.is_some()
            && let (Some(source), Then::More | Then::Over) = turn.work.hub.mirror_source(self.stream)
        {
            turn.work.hub.send_detach(source, self.stream);
        }
        turn.work.hub.detach(self.stream, self.ticket, now);
    }
}
