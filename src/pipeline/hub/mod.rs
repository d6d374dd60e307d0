//! What of a shard outlives one request: streams, running calls, questions to clients, legacy sessions, tasks.
//! A name says which shard keeps a thing; whoever meets the name elsewhere sends a parcel there.
//! Never: a lock, a thing of another shard's, a table without a bound.
//! Next: `stream`, then `parcel`, then `connection/attached.rs`, the reader of streams.

pub mod key;
pub mod listen;
pub mod parcel;
mod question;
mod remote;
mod room;
mod session;
pub mod stream;
mod feed;
pub mod task;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use foldhash::fast::FixedState;
use slab::Slab;

use super::event::{Count, Events};
use super::job::Job;
use super::snapshot::{Limits, millis};
use super::turn::Now;
use crate::tools::{Context, LogLevel};
use crate::wire::jsonrpc::OwnedId;

use key::{Key, Owner};
use listen::{Change, Listen};
use parcel::{NEWS_MAX, PARCELS_MAX, Parcel};
use question::Question;
use session::Session;
use stream::{Due, EventKind, Read, Role, Stream};
use task::Task;

pub use feed::Unposted;
pub(super) use feed::feed_owner;
pub use session::SUBSCRIPTIONS_MAX;

/// What is sent at once to a reader on another shard. Bytes.
const PULLED_BYTES_MAX: usize = 64 * 1024;

/// A call that runs, for whoever wants to cancel it.
struct RunningCall {
    owner: Owner,
    id: OwnedId,
    context: Context,
}

/// Bounds, from the configuration.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    events_max: usize,
    streams_max: usize,
    tasks_max: usize,
    resume_window_ms: u64,
}

/// How much a hub keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Streams of every kind.
    pub streams: usize,
    /// Calls that run.
    pub calls: usize,
    /// Questions to legacy clients that are open.
    pub questions: usize,
    /// Legacy sessions that have a stream.
    pub sessions: usize,
    /// Tasks, finished or not.
    pub tasks: usize,
}

/// Everything a shard keeps between requests.
pub struct Hub {
    shard: u16,
    shards: u16,
    bounds: Bounds,
    events: Arc<Events>,
    streams: Slab<Stream>,
    calls: Slab<RunningCall>,
    questions: Slab<Question>,
    sessions: HashMap<[u8; 16], Session, FixedState>,
    levels: HashMap<[u8; 16], LogLevel, FixedState>,
    levels_by_age: VecDeque<[u8; 16]>,
    tasks: Slab<Task>,
    tickets: u64,
    /// Nothing new that would not end by itself.
    is_draining: bool,
    /// Jobs that were started in this turn; the shard gives each a task of its own.
    jobs: Vec<Job>,
    outgoing: VecDeque<(u16, Parcel)>,
}

impl Hub {
    /// An empty hub for shard `shard` of `shards`.
    pub(super) fn new(shard: u16, shards: usize, events: Arc<Events>) -> Self {
        Self {
            shard,
            shards: u16::try_from(shards).unwrap_or(u16::MAX),
            bounds: Bounds { events_max: 100, streams_max: 1000, tasks_max: 1000, resume_window_ms: 60_000 },
            events,
            streams: Slab::new(),
            calls: Slab::new(),
            questions: Slab::new(),
            sessions: HashMap::default(),
            levels: HashMap::default(),
            levels_by_age: VecDeque::new(),
            tasks: Slab::new(),
            tickets: 0,
            is_draining: false,
            jobs: Vec::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// Takes the bounds of a new configuration; each shard has its share.
    pub(super) fn follow(&mut self, limits: &Limits) {
        let share = |total: usize| total.div_ceil(usize::from(self.shards.max(1))).max(1);
        self.bounds = Bounds {
            events_max: limits.event_buffer_size,
            streams_max: share(limits.streams_max),
            tasks_max: share(limits.tasks_max),
            resume_window_ms: millis(limits.resume_window),
        };
    }

    /// Has every reader look again, for what a reload may have taken away.
    pub(super) fn rouse(&mut self) {
        for (_, stream) in &mut self.streams {
            stream.rouse();
        }
    }

    /// Jobs that want a task of their own.
    pub fn take_jobs(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }

    /// Whether there is something for [`Self::take_jobs`] or [`Self::poll_parcel`].
    pub fn has_output(&self) -> bool {
        !self.jobs.is_empty() || !self.outgoing.is_empty()
    }

    /// The oldest parcel for another shard.
    pub fn poll_parcel(&mut self) -> Option<(u16, Parcel)> {
        self.outgoing.pop_front()
    }

    /// Takes a parcel back that its receiver has no room for.
    pub fn return_parcel(&mut self, shard: u16, parcel: Parcel) {
        self.outgoing.push_front((shard, parcel));
    }

    /// How many subscriptions the owner has here.
    pub(super) fn listens(&self, owner: Owner) -> usize {
        let is_one = |stream: &Stream| stream.owner == owner && matches!(stream.role, Role::Listen(_));
        self.streams.iter().filter(|(_, stream)| is_one(stream)).count()
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// How much is kept, but for log levels.
    pub fn held(&self) -> Held {
        Held {
            streams: self.streams.len(),
            calls: self.calls.len(),
            questions: self.questions.len(),
            sessions: self.sessions.len(),
            tasks: self.tasks.len(),
        }
    }

    pub(super) fn start(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// Whether the parcel is on its way.
    fn send(&mut self, shard: u16, parcel: Parcel) -> bool {
        // What readers wait for is bounded by the readers there may be, and has room that news does not fill.
        let parcels_max = if parcel.is_awaited() { PARCELS_MAX } else { NEWS_MAX };
        let is_sent = shard < self.shards && self.outgoing.len() < parcels_max;
        if is_sent {
            self.outgoing.push_back((shard, parcel));
        } else {
            self.events.count(Count::HubDropped);
        }
        is_sent
    }

    pub(super) fn broadcast(&mut self, parcel: &Parcel) {
        for shard in 0..self.shards {
            if shard != self.shard {
                self.send(shard, parcel.clone());
            }
        }
    }

    /// Makes a stream; nothing when there are too many.
    pub(super) fn open(
        &mut self,
        owner: Owner,
        role: Role,
        answers: usize,
        nonce: u128,
        now: Now,
    ) -> Option<Key> {
        if self.is_draining && !matches!(role, Role::Call { .. }) {
            return None;
        }
        if self.streams.len() >= self.bounds.streams_max && !self.make_room(owner.principal) {
            return None;
        }
        let slot = self.streams.insert(Stream::new(nonce, owner, role, answers, now.ms));
        Some(self.key(slot, nonce))
    }

    fn key(&self, slot: usize, nonce: u128) -> Key {
        Key { shard: self.shard, slot: u32::try_from(slot).unwrap_or(u32::MAX), nonce }
    }

    fn find(&mut self, key: Key) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(usize::try_from(key.slot).ok()?)?;
        (key.shard == self.shard && stream.nonce == key.nonce).then_some(stream)
    }

    /// A ticket for a reader, who takes the place of any other.
    pub(super) fn attach(&mut self, key: Key, owner: Owner) -> Option<u64> {
        self.tickets += 1;
        let ticket = self.tickets;
        let stream = self.find(key).filter(|stream| stream.owner == owner)?;
        if let Some(displaced) = stream.attach_here(ticket) {
            self.dismiss(displaced, key);
        }
        Some(ticket)
    }

    /// What comes after that place.
    pub(super) fn read(&mut self, key: Key, ticket: u64, after: u64, waker: &Waker) -> Read<'_> {
        match self.find(key) {
            Some(stream) => stream.read(ticket, after, waker),
            None => Read::Gone,
        }
    }

    /// A reader goes. What nobody may come back to is forgotten, and its calls with it.
    pub(super) fn detach(&mut self, key: Key, ticket: u64, now: Now) {
        let Some(stream) = self.find(key) else { return };
        if !stream.detach(ticket, now.ms) {
            return;
        }
        let calls = match &mut stream.role {
            Role::Call { is_resumable: true, .. } | Role::Session { .. } | Role::Feed { .. } => {
                if stream.is_large_rest() {
                    self.trim();
                }
                return;
            }
            Role::Call { calls, .. } => std::mem::take(calls),
            Role::Listen(_) | Role::Mirror { .. } | Role::Inbox => Vec::new(),
        };
        self.streams.try_remove(usize::try_from(key.slot).unwrap_or(usize::MAX));
        for call in calls {
            if let Some(call) = self.calls.get(call) {
                call.context.cancel();
            }
        }
    }

    /// Appends a message to a stream.
    pub(super) fn push(&mut self, key: Key, kind: EventKind, bytes: Vec<u8>, now: Now) {
        let events_max = self.bounds.events_max;
        let Some(stream) = self.find(key) else { return };
        let events_max = stream.role.events_max().unwrap_or(events_max);
        let was_over = stream.is_over();
        let (dropped, due) = stream.push(kind, bytes, events_max);
        // From its end on a stream waits to be read. What comes before is no reason to wait longer for a reader that has
        // gone: a session that is told of changes would never be forgotten.
        if stream.is_over() && !was_over {
            stream.idle_since_ms = now.ms;
        }
        let is_large_rest = stream.is_large_rest();
        self.count_dropped(dropped);
        self.settle(key, due);
        if is_large_rest {
            self.trim();
        }
    }

    fn count_dropped(&self, dropped: usize) {
        for _ in 0..dropped {
            self.events.count(Count::HubEventDropped);
        }
    }

    /// No more messages.
    fn end(&mut self, key: Key) {
        if let Some(stream) = self.find(key) {
            let due = stream.end();
            self.settle(key, due);
        }
    }

    fn settle(&mut self, key: Key, due: Due) {
        match due {
            Due::Nothing => {}
            Due::Send { to, after } => self.serve(key, to, after),
        }
    }

    /// A call begins to run; the slot that names it.
    pub(super) fn enter(&mut self, owner: Owner, id: OwnedId, context: Context) -> usize {
        self.calls.insert(RunningCall { owner, id, context })
    }

    /// The call writes to that stream.
    pub(super) fn link(&mut self, key: Key, call: usize) {
        if let Some(Stream { role: Role::Call { calls, .. }, .. }) = self.find(key) {
            calls.push(call);
        }
    }

    /// A call has ended.
    pub(super) fn leave(&mut self, call: usize) {
        self.calls.try_remove(call);
    }

    /// Cancels the calls with that id that the owner has running here.
    fn cancel(&mut self, owner: Owner, id: &OwnedId) {
        for (_, call) in self.calls.iter().filter(|(_, call)| call.owner == owner && call.id == *id) {
            call.context.cancel();
        }
    }

    /// Cancels a legacy request on whichever shard it runs.
    pub(super) fn deliver_cancel(&mut self, owner: Owner, id: OwnedId) {
        self.cancel(owner, &id);
        self.broadcast(&Parcel::Cancel { owner, id });
    }

    /// Reads a parcel from another shard.
    pub(super) fn receive(&mut self, parcel: Parcel, ending: &[u8], now: Now) {
        match parcel {
            Parcel::Pull { stream, owner, after, to } => self.pulled(stream, owner, after, to),
            Parcel::PullSession { owner, to, nonce } => match self.session_stream(owner, nonce, now) {
                Some((stream, after)) => self.pulled(stream, owner, after, to),
                None => self.dismiss(to, to),
            },
            Parcel::Events { to, from, after, events, then } => self.mirrored(to, from, after, events, then),
            Parcel::Detach { stream, to } => {
                if let Some(stream) = self.find(stream) {
                    stream.detach_there(to, now.ms);
                    if stream.is_large_rest() {
                        self.trim();
                    }
                }
            }
            Parcel::Answer { question, owner, answer } => self.answer(question, owner, answer),
            Parcel::Cancel { owner, id } => self.cancel(owner, &id),
            Parcel::Level { session, level } => self.note_level(session, level),
            Parcel::Subscribe { owner, uri, is_wanted, nonce } => {
                self.note_subscription(owner, uri, is_wanted, nonce, now);
            }
            Parcel::Change(change) => self.tell(&change, now),
            Parcel::Task(request) => self.task_request(request, ending, now),
            Parcel::EndSession(owner) => self.note_end(owner),
            Parcel::Post { channel, principal, message, messages_max, to } => {
                let taken = self.post(channel, principal, message, messages_max, now);
                self.send_receipt(to, channel, taken);
            }
        }
    }

    /// The reader of a stream that can be resumed is sent away, to come back for the rest.
    pub(super) fn release_reader(&mut self, key: Key) {
        if let Some(away) = self.find(key).and_then(Stream::release) {
            self.dismiss(away, key);
        }
    }

    /// A call that wrote to the stream has ended; without an answer if it was cancelled.
    pub(super) fn note_call_end(&mut self, key: Key, call: usize, is_answered: bool) {
        let Some(stream) = self.find(key) else { return };
        if let Role::Call { calls, .. } = &mut stream.role {
            calls.retain(|running| *running != call);
        }
        if !is_answered {
            let due = stream.miss_answer();
            self.settle(key, due);
        }
    }

    /// Tells everyone here who wants to know.
    pub(super) fn tell(&mut self, change: &Change, now: Now) {
        let mut told = Vec::new();
        for (slot, stream) in &self.streams {
            let notifications = match &stream.role {
                Role::Listen(listen) => listen.notifications(change, stream.owner.principal),
                Role::Session { subscriptions: told } | Role::Feed { resources: told, .. } => {
                    listen::legacy_notifications(change, told)
                }
                Role::Call { .. } | Role::Mirror { .. } | Role::Inbox => continue,
            };
            let key = self.key(slot, stream.nonce);
            told.extend(notifications.into_iter().map(|bytes| (key, bytes)));
        }
        for (key, bytes) in told {
            self.push(key, EventKind::Notification, bytes, now);
        }
    }

    /// Whether the stream is there for answers, and over with the last of them.
    pub(super) fn is_for_answers(&mut self, key: Key) -> bool {
        match self.find(key).map(|stream| &stream.role) {
            Some(Role::Call { .. } | Role::Mirror { .. }) => true,
            Some(Role::Listen(_) | Role::Session { .. } | Role::Feed { .. } | Role::Inbox) | None => false,
        }
    }

    /// What a stream tells of resources is told of these only.
    pub(super) fn narrow(&mut self, key: Key, may_read: impl Fn(&str) -> bool) {
        match self.find(key).map(|stream| &mut stream.role) {
            Some(
                Role::Listen(Listen { resources: told, .. })
                | Role::Session { subscriptions: told }
                | Role::Feed { resources: told, .. },
            ) => told.retain(|uri| may_read(uri)),
            Some(Role::Call { .. } | Role::Mirror { .. } | Role::Inbox) | None => {}
        }
    }

    /// Ends every stream that would not end by itself, each with what its client expects at the end.
    pub(super) fn drain(&mut self, now: Now) {
        self.is_draining = true;
        let keys: Vec<(Key, Option<Listen>)> = self
            .streams
            .iter()
            .filter_map(|(slot, stream)| match &stream.role {
                Role::Listen(listen) => Some((self.key(slot, stream.nonce), Some(listen.clone()))),
                // A mirror's source may be on a shard that has ended already.
                Role::Session { .. } | Role::Feed { .. } | Role::Mirror { .. } => {
                    Some((self.key(slot, stream.nonce), None))
                }
                Role::Call { .. } | Role::Inbox => None,
            })
            .collect();
        for (key, listen) in keys {
            match listen {
                Some(listen) => {
                    self.push(key, EventKind::Notification, listen.encode_cancelled(), now);
                    self.push(key, EventKind::Answer { status: 200 }, listen.encode_end(), now);
                }
                None => self.end(key),
            }
        }
    }

    /// Forgets what has waited too long.
    pub fn handle_time(&mut self, now: Now) {
        let window_ms = self.bounds.resume_window_ms;
        let mut over = Vec::new();
        self.streams.retain(|_, stream| {
            let may_end = stream.is_over() || matches!(stream.role, Role::Session { .. } | Role::Feed { .. });
            let is_kept =
                stream.has_reader() || !may_end || now.ms.saturating_sub(stream.idle_since_ms) < window_ms;
            if !is_kept && matches!(stream.role, Role::Session { .. }) {
                over.push(stream.owner.session);
            }
            is_kept
        });
        for session in over {
            self.sessions.remove(&session);
        }
        self.expire_tasks(now);
        self.trim();
    }
}
