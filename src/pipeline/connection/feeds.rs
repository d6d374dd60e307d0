//! Server-sent events that are no part of Streamable HTTP: the feed of changes at `/events`, and the way of 2024-11-05, where
//! one connection reads at `/sse` what others ask for at `/message`.
//! Never: more of these streams than the listener allows; a message taken for a channel of another principal's.
//! Next: `hub/feed.rs`, where they are kept.

use super::channel::{Brings, Channel};
use super::form::{Form, Ids};
use super::note::Known;
use super::reading::{Fallback, Reading};
use super::standing::readable;
use super::{Connection, Drain};
use crate::pipeline::authorize::Asker;
use crate::pipeline::event::Count;
use crate::pipeline::framing::{Caller, Framing, POST_PATH, POST_QUERY};
use crate::pipeline::headers::Headers;
use crate::pipeline::hub::Unposted;
use crate::pipeline::hub::feed_owner;
use crate::pipeline::hub::key::{EventId, Key, Owner};
use crate::pipeline::respond::{self, Carriage, Exchange, Refusal};
use crate::pipeline::seal::principal_digest;
use crate::pipeline::snapshot::{Listener, Speech, Sse, millis};
use crate::pipeline::turn::Turn;
use crate::wire::http::head::{Persistence, Version};

/// What the listener says of its event streams; framing lets nobody here where it says nothing.
fn rules(listener: &Listener) -> Option<&Sse> {
    match &listener.speech {
        Speech::Http(transports) => transports.sse.as_ref(),
        Speech::Lines | Speech::Prefixed | Speech::Redirect { .. } => None,
    }
}

/// When a reader that lost its feed is asked to come back, milliseconds.
pub(super) fn retry_ms(listener: &Listener) -> u64 {
    rules(listener).map_or(0, |sse| millis(sse.retry))
}

impl Connection {
    /// How long a stream may be silent, milliseconds.
    pub(super) fn silence_max_ms(&self, ids: Ids, turn: &Turn<'_>) -> u64 {
        let listener = turn.snapshot.listeners.get(self.listener);
        match listener.and_then(|listener| rules(listener)).filter(|_| ids == Ids::Introduced) {
            Some(sse) => millis(sse.heartbeat_interval),
            None => turn.snapshot.limits.keepalive_ms(),
        }
    }

    /// `GET /events`: a new feed, or the rest of one that was cut.
    pub(super) fn read_feed(
        &mut self,
        headers: &Headers<'_>,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let resume = headers.last_event_id.and_then(|id| std::str::from_utf8(id).ok());
        let resume = resume.and_then(EventId::decode);
        if !self.has_room_for_events(listener, turn) {
            return self.refuse_events(&Refusal::TooManyStreams, &caller, listener, turn);
        }
        if !self.attach_feed(resume, caller.clone(), listener, turn) {
            self.refuse_events(&Refusal::Overloaded, &caller, listener, turn);
        }
    }

    fn has_room_for_events(&self, listener: &Listener, turn: &Turn<'_>) -> bool {
        let most = rules(listener).map_or(0, |sse| sse.connections_max);
        turn.work.hub.event_streams() < most
    }

    fn refuse_events(
        &mut self,
        refusal: &Refusal<'_>,
        caller: &Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        turn.count(Count::EnvelopeRefused);
        let row = respond::refuse(turn, listener, caller.exchange, refusal, None);
        self.note(turn, listener, row, Known { principal: Some(&caller.principal.id), ..Known::default() });
        self.answered(caller.exchange, turn);
    }

    /// Begins to read a feed; false when there is no room.
    pub(super) fn attach_feed(
        &mut self,
        resume: Option<EventId>,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) -> bool {
        let owner = feed_owner(principal_digest(&caller.principal.id));
        let (form, ids) = (Form::Stream, Ids::Introduced);
        if let Some(place) = resume
            && self.resume(place, owner, ids, Fallback::Feed, &caller, turn)
        {
            return true;
        }
        let asker = Asker { principal: &caller.principal, peer: self.peer, listener, now: turn.now };
        let resources = readable(asker, turn);
        let events_max = rules(listener).map_or(1, |sse| sse.event_buffer_size);
        let (nonce, now) = (turn.nonce(), turn.now);
        let Some(stream) = turn.work.hub.open_feed(owner, resources, events_max, nonce, now) else {
            return false;
        };
        self.attach(&Reading { stream, owner, after: 0, form, ids, brings: Brings::News }, caller, turn)
    }

    /// `GET /sse`: from here on the connection is a channel whose messages come over others.
    pub(super) fn open_event_channel(&mut self, caller: &Caller, listener: &Listener, turn: &mut Turn<'_>) {
        if self.drain == Drain::Draining || !self.has_room_for_events(listener, turn) {
            return self.refuse_events(&Refusal::TooManyStreams, caller, listener, turn);
        }
        let owner = Owner { principal: principal_digest(&caller.principal.id), session: [0; 16] };
        let (nonce, now) = (turn.nonce(), turn.now);
        let Some(inbox) = turn.work.hub.open_inbox(owner, nonce, now) else {
            return self.refuse_events(&Refusal::Overloaded, caller, listener, turn);
        };
        let mut exchange = Exchange { carriage: Carriage::Event, ..caller.exchange };
        if exchange.version == Version::Http10 {
            exchange.persistence = Persistence::Close;
        }
        respond::open_stream(turn, listener, exchange, &[]);
        turn.work.body.clear();
        turn.work.body.extend_from_slice(format!("{POST_PATH}?{POST_QUERY}{}", inbox.encode()).as_bytes());
        respond::send_named(turn, exchange, None, Some("endpoint"));
        let mut channel = Box::new(Channel::new(exchange, Some(caller.principal.clone()), turn));
        channel.follow(inbox, owner, 0, Brings::Incoming, turn);
        self.channel = Some(channel);
        self.framing = Framing::Busy;
        self.begin_life(listener, turn);
    }

    /// `POST /message`: for the channel of another connection, which may be another shard's.
    pub(super) fn post(
        &mut self,
        channel: Key,
        message: Vec<u8>,
        caller: &Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let owner = Owner { principal: principal_digest(&caller.principal.id), session: [0; 16] };
        let (most, nonce, now) = (listener.limits.inflight_max, turn.nonce(), turn.now);
        let hub = &mut turn.work.hub;
        let outcome = if channel.shard == turn.work.shard {
            hub.post(channel, owner.principal, message, most, now)
        } else if !hub.has_shard(channel.shard) {
            Err(Unposted::Nobody)
        } else if let Some(to) = hub.mirror(owner, nonce, now) {
            if hub.send_post(channel, owner.principal, message, most, to) {
                let (form, ids, brings) = (Form::Receipt, Ids::None, Brings::News);
                self.attach(
                    &Reading { stream: to, owner, after: 0, form, ids, brings },
                    caller.clone(),
                    turn,
                );
                return;
            }
            hub.forget_mirror(to);
            Err(Unposted::Full)
        } else {
            Err(Unposted::Full)
        };
        match outcome {
            Ok(()) => {
                respond::answer_empty(turn, listener, 202, caller.exchange, &[]);
                self.answered(caller.exchange, turn);
            }
            Err(Unposted::Nobody) => self.refuse_events(&Refusal::SessionUnknown, caller, listener, turn),
            Err(Unposted::Full) => self.refuse_events(&Refusal::TooManyInFlight, caller, listener, turn),
        }
    }
}
