//! A stream: a bounded list of messages for one reader, who may come late, go, and come back.
//! What the reader has not fetched waits here and not in a socket, so a slow or absent reader costs what the bound says.
//! Never: a message sent twice to one reader; an answer or a question dropped to make room.
//! Next: `mod.rs`, which keeps all streams of a shard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::key::{Key, Owner};
use super::listen::Listen;
use super::parcel::Then;
use super::room::LARGE_BYTES;

/// Messages of one stream together, beside answers. Bytes.
const STREAM_BYTES_MAX: usize = 1024 * 1024;

/// What a message is to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Can be missed.
    Notification,
    /// A request of ours to the client; the call waits for its answer.
    Question,
    /// The answer to the reader's own request, with the status it has when it is answered without a stream.
    Answer {
        /// HTTP status.
        status: u16,
    },
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place, from 1.
    pub seq: u64,
    /// What it is.
    pub kind: EventKind,
    /// A JSON-RPC message.
    pub bytes: Vec<u8>,
}

/// What a stream is for.
#[derive(Debug)]
pub enum Role {
    /// The reports and the answer of calls. A modern one ends with its reader.
    Call {
        /// Slots of the calls that write to it.
        calls: Vec<usize>,
        /// Whether it outlives its reader.
        is_resumable: bool,
    },
    /// Changes that a modern client has asked for.
    Listen(Listen),
    /// Everything a legacy session is told outside of calls.
    Session {
        /// Resources it wants to be told of.
        subscriptions: Vec<Arc<str>>,
    },
    /// Everything the server tells of itself, to a reader that has no session.
    Feed {
        /// Resources it is told of.
        resources: Vec<Arc<str>>,
        /// Messages that are kept.
        events_max: usize,
    },
    /// Messages for a connection that come over others.
    Inbox,
    /// What another shard sends to a reader here.
    Mirror {
        /// The stream it comes from, once that is known.
        source: Option<Key>,
        /// What the source said last.
        then: Then,
        /// Something has come that the reader has not been told of.
        has_news: bool,
    },
}

impl Role {
    /// Messages that are kept, where that is not the same for all.
    pub(super) fn events_max(&self) -> Option<usize> {
        match self {
            Self::Feed { events_max, .. } => Some(*events_max),
            Self::Call { .. }
            | Self::Listen(_)
            | Self::Session { .. }
            | Self::Inbox
            | Self::Mirror { .. } => None,
        }
    }
}

/// Who fetches.
#[derive(Debug)]
enum Reader {
    Nobody,
    Here { ticket: u64, waker: Option<Waker> },
    There { to: Key, wants_after: Option<u64> },
}

/// What a reader gets.
#[derive(Debug)]
pub enum Read<'s> {
    /// The next message.
    Event(&'s Event),
    /// Messages were dropped before they were fetched.
    Missed {
        /// The last of them; go on from there.
        through: u64,
        /// What is read are the reports and the answer of a call.
        is_call: bool,
    },
    /// Nothing yet; the waker will be told.
    Quiet,
    /// Nothing more will come.
    Over,
    /// There is no such stream, or somebody else reads it now.
    Gone,
}

/// What is to be done because of a new message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, or the reader was woken.
    Nothing,
    /// A reader on another shard waits for messages after that place.
    Send { to: Key, after: u64 },
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) nonce: u128,
    pub(super) owner: Owner,
    pub(super) role: Role,
    events: VecDeque<Event>,
    bytes: usize,
    last_seq: u64,
    fetched_seq: u64,
    /// The place readers begin after at the earliest: where a copy begins, or up to where a reader was told that it has
    /// missed messages, so that it is told once and then gets what is left.
    first_after: u64,
    /// Answers that are still to come; the stream is over after the last.
    answers_left: usize,
    /// It was made for one answer.
    is_for_one: bool,
    is_over: bool,
    /// The reader is to go.
    lets_go: bool,
    reader: Reader,
    /// Since when nobody reads, or it is over; monotonic milliseconds.
    pub(super) idle_since_ms: u64,
}

impl Stream {
    pub(super) fn new(nonce: u128, owner: Owner, role: Role, answers: usize, now_ms: u64) -> Self {
        Self {
            nonce,
            owner,
            role,
            events: VecDeque::new(),
            bytes: 0,
            last_seq: 0,
            fetched_seq: 0,
            first_after: 0,
            answers_left: answers,
            is_for_one: answers == 1,
            is_over: false,
            lets_go: false,
            reader: Reader::Nobody,
            idle_since_ms: now_ms,
        }
    }

    /// Appends a message; how many unread notifications were dropped for it, and what is due.
    pub(super) fn push(&mut self, kind: EventKind, bytes: Vec<u8>, events_max: usize) -> (usize, Due) {
        self.last_seq += 1;
        // One of several answers has no status of its own: the stream of all of them has.
        let kind = match kind {
            EventKind::Answer { .. } if !self.is_for_one => EventKind::Answer { status: 200 },
            EventKind::Answer { .. } | EventKind::Notification | EventKind::Question => kind,
        };
        let event = Event { seq: self.last_seq, kind, bytes };
        self.append(event, events_max)
    }

    /// Appends a message that has its place already.
    pub(super) fn append(&mut self, event: Event, events_max: usize) -> (usize, Due) {
        if self.is_over {
            return (0, Due::Nothing);
        }
        self.last_seq = self.last_seq.max(event.seq);
        if let EventKind::Answer { .. } = event.kind {
            self.answers_left = self.answers_left.saturating_sub(1);
            self.is_over = self.answers_left == 0;
        }
        self.bytes += event.bytes.len();
        self.events.push_back(event);
        let mut dropped = 0;
        while self.events.len() > events_max.max(1) || self.bytes > STREAM_BYTES_MAX {
            // The newest is never the one to go.
            let older = self.events.len().saturating_sub(1);
            let is_droppable = |event: &Event| event.kind == EventKind::Notification;
            let Some(at) = self.events.iter().take(older).position(is_droppable) else { break };
            if let Some(event) = self.events.remove(at) {
                self.bytes -= event.bytes.len();
                // What was read is kept for a reader that comes back, and missed by nobody.
                dropped += usize::from(event.seq > self.fetched_seq);
            }
        }
        (dropped, self.tell())
    }

    /// A copy begins after that place of its source, unless it has begun; its reader is told.
    pub(super) fn begin_after(&mut self, place: u64) -> Due {
        if self.last_seq == 0 {
            self.first_after = place;
        }
        self.tell()
    }

    /// One answer less is to come.
    pub(super) fn miss_answer(&mut self) -> Due {
        self.answers_left = self.answers_left.saturating_sub(1);
        if self.answers_left == 0 { self.end() } else { Due::Nothing }
    }

    /// Sends the reader away once it has had what there is, if it may come back. One that is about to come goes too.
    /// A reader on another shard is returned when it has had all; one that has not is let be.
    pub(super) fn release(&mut self) -> Option<Key> {
        if !self.is_retained() {
            return None;
        }
        match self.reader {
            Reader::There { to, wants_after: Some(_) } => {
                self.reader = Reader::Nobody;
                return Some(to);
            }
            Reader::There { wants_after: None, .. } => {}
            Reader::Here { .. } | Reader::Nobody => {
                self.lets_go = true;
                let due = self.tell();
                debug_assert!(due == Due::Nothing, "only a reader on another shard is owed a parcel");
            }
        }
        None
    }

    /// No more messages.
    pub(super) fn end(&mut self) -> Due {
        self.is_over = true;
        self.tell()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether it is kept for a reader that may come back, and large.
    pub(super) fn is_large_rest(&self) -> bool {
        self.is_over && !self.has_reader() && self.bytes > LARGE_BYTES
    }

    /// Messages that are kept.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has_reader(&self) -> bool {
        !matches!(self.reader, Reader::Nobody)
    }

    pub(super) fn tell(&mut self) -> Due {
        match &mut self.reader {
            Reader::Nobody => Due::Nothing,
            Reader::Here { waker, .. } => {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
                Due::Nothing
            }
            Reader::There { to, wants_after } => match wants_after.take() {
                Some(after) => Due::Send { to: *to, after },
                None => Due::Nothing,
            },
        }
    }

    /// Has a reader on this shard look again.
    pub(super) fn rouse(&mut self) {
        if let Reader::Here { waker, .. } = &mut self.reader
            && let Some(waker) = waker.take()
        {
            waker.wake();
        }
    }

    /// A reader on this shard takes the place of whoever read before; that one, if it is on another shard, is returned.
    pub(super) fn attach_here(&mut self, ticket: u64) -> Option<Key> {
        match std::mem::replace(&mut self.reader, Reader::Here { ticket, waker: None }) {
            Reader::Here { waker: Some(waker), .. } => {
                waker.wake();
                None
            }
            Reader::There { to, .. } => Some(to),
            Reader::Here { .. } | Reader::Nobody => None,
        }
    }

    /// A reader on another shard asks for messages after that place; the one it displaces is returned.
    pub(super) fn attach_there(&mut self, reader: Key, after: u64) -> Option<Key> {
        self.lets_go = false;
        let new = Reader::There { to: reader, wants_after: Some(after) };
        match std::mem::replace(&mut self.reader, new) {
            Reader::Here { waker: Some(waker), .. } => {
                waker.wake();
                None
            }
            Reader::There { to, .. } if to != reader => Some(to),
            Reader::There { .. } | Reader::Here { .. } | Reader::Nobody => None,
        }
    }

    /// Whether that reader on another shard is the present one.
    pub(super) fn is_read_by(&self, reader: Key) -> bool {
        matches!(self.reader, Reader::There { to, .. } if to == reader)
    }

    /// Whether messages after that place, or the end, are there to be sent.
    pub(super) fn has_after(&self, after: u64) -> bool {
        self.is_over || self.holds_after(after)
    }

    /// Whether messages after that place are there.
    pub(super) fn holds_after(&self, after: u64) -> bool {
        self.events.back().is_some_and(|event| event.seq > after)
    }

    /// The newest place that was handed to a reader.
    pub(super) fn fetched_seq(&self) -> u64 {
        self.fetched_seq
    }

    /// The pending wish of a remote reader is served.
    pub(super) fn take_wish(&mut self) {
        if let Reader::There { wants_after, .. } = &mut self.reader {
            *wants_after = None;
        }
    }

    /// Where a reader that has what comes up to that place goes on.
    pub(super) fn place_after(&self, after: u64) -> u64 {
        after.max(self.first_after)
    }

    /// The messages after that place, up to so many bytes but at least one. A gap in front of them tells the reader that it
    /// has missed some, and is not shown again.
    pub(super) fn copy_after(&mut self, after: u64, bytes_max: usize) -> Vec<Event> {
        let mut copied: Vec<Event> = Vec::new();
        let mut bytes = 0;
        for event in self.events.iter().filter(|event| event.seq > after) {
            if !copied.is_empty() && bytes + event.bytes.len() > bytes_max {
                break;
            }
            bytes += event.bytes.len();
            copied.push(event.clone());
        }
        self.fetched_seq = copied.last().map_or(0, |event| event.seq).max(self.fetched_seq);
        let first = copied.first().map_or(0, |event| event.seq);
        if first > after + 1 {
            self.first_after = first - 1;
        }
        copied
    }

    /// The reader with that ticket goes.
    pub(super) fn detach(&mut self, ticket: u64, now_ms: u64) -> bool {
        let is_mine = matches!(self.reader, Reader::Here { ticket: own, .. } if own == ticket);
        if is_mine {
            self.reader = Reader::Nobody;
            self.idle_since_ms = now_ms;
        }
        is_mine
    }

    /// Nobody reads any more; a reader on this shard is woken to see it, one on another is returned.
    pub(super) fn dismiss(&mut self) -> Option<Key> {
        match std::mem::replace(&mut self.reader, Reader::Nobody) {
            Reader::Here { waker: Some(waker), .. } => {
                waker.wake();
                None
            }
            Reader::There { to, .. } => Some(to),
            Reader::Here { waker: None, .. } | Reader::Nobody => None,
        }
    }

    /// The reader on another shard goes.
    pub(super) fn detach_there(&mut self, reader: Key, now_ms: u64) {
        if matches!(self.reader, Reader::There { to, .. } if to == reader) {
            self.reader = Reader::Nobody;
            self.idle_since_ms = now_ms;
        }
    }

    fn is_retained(&self) -> bool {
        match &self.role {
            Role::Call { is_resumable, .. } => *is_resumable,
            Role::Session { .. } | Role::Feed { .. } => true,
            Role::Listen(_) | Role::Mirror { .. } | Role::Inbox => false,
        }
    }

    /// What comes after that place for the reader with that ticket.
    pub(super) fn read(&mut self, ticket: u64, after: u64, new_waker: &Waker) -> Read<'_> {
        let after = self.place_after(after);
        if !self.is_retained() {
            while let Some(event) = self.events.pop_front_if(|event| event.seq <= after) {
                self.bytes -= event.bytes.len();
            }
        }
        let Reader::Here { ticket: own, waker } = &mut self.reader else { return Read::Gone };
        if *own != ticket {
            return Read::Gone;
        }
        match self.events.iter().find(|event| event.seq > after) {
            // Places are given without gaps, so a gap is what was dropped.
            Some(event) if event.seq > after + 1 => {
                self.first_after = event.seq - 1;
                Read::Missed { through: event.seq - 1, is_call: matches!(self.role, Role::Call { .. }) }
            }
            Some(event) => {
                self.fetched_seq = self.fetched_seq.max(event.seq);
                Read::Event(event)
            }
            None if self.is_over => Read::Over,
            None if std::mem::take(&mut self.lets_go) => {
                self.reader = Reader::Nobody;
                Read::Gone
            }
            None => {
                if !waker.as_ref().is_some_and(|known| known.will_wake(new_waker)) {
                    *waker = Some(new_waker.clone());
                }
                Read::Quiet
            }
        }
    }
}
