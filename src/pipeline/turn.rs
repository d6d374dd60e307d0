//! One turn: what the shard lends a connection while it handles one wake-up.
//! Time, chance, memory and counters come in from here, so that a test can lend its own.
//! Never: a clock or a random source of its own.
//! Next: `connection`, which takes turns.

use std::sync::Arc;
use std::task::Waker;

use super::admit::Buckets;
use super::authenticate::tokens::cache::TokenCache;
use super::buffers::Pool;
use super::event::{Count, Events};
use super::failing::Failing;
use super::hub::Hub;
use super::hub::key::Owner;
use super::hub::listen::{Change, Lists};
use super::hub::parcel::Parcel;
use super::snapshot::Snapshot;
use super::spent::Spent;
use crate::tools::context::Offload;
use crate::tools::registry::Kind;
use crate::wire::http::date::DateCache;
use crate::wire::json::Scratch;
use crate::wire::json::value::SpareTape;

/// What time it is, read once for each wake-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never goes back.
    pub ms: u64,
    /// Unix milliseconds.
    pub unix_ms: u64,
}

impl Now {
    /// Unix seconds.
    pub fn unix_s(self) -> u64 {
        self.unix_ms / 1000
    }
}

/// Fills a buffer with random bytes.
pub type Entropy = Box<dyn FnMut(&mut [u8])>;

/// What a shard shares with the rest of the process.
pub struct Shared {
    /// Its counters and log records, read by the control plane.
    pub events: Arc<Events>,
    /// What may not be used again, on whichever shard.
    pub spent: Arc<Spent>,
    /// Addresses whose credentials do not hold, on whichever shard.
    pub failing: Arc<Failing>,
    /// Threads for work that blocks.
    pub offload: Offload,
}

/// What a shard owns and lends to every connection in turn.
pub struct Workspace {
    /// Index of the shard.
    pub shard: u16,
    /// Buffers.
    pub pool: Pool,
    /// Token buckets.
    pub buckets: Buckets,
    /// Counters and log records.
    pub events: Arc<Events>,
    /// The `Date` header.
    pub date: DateCache,
    /// JSON parser state.
    pub json: Scratch,
    /// Memory for reading arguments into types.
    pub spare: SpareTape,
    /// Random bytes.
    pub entropy: Entropy,
    /// What of this shard outlives a request.
    pub hub: Hub,
    /// What may not be used again; shared by all shards.
    pub spent: Arc<Spent>,
    /// Addresses whose credentials do not hold; shared by all shards.
    pub failing: Arc<Failing>,
    /// Runs what would block the shard.
    pub offload: Offload,
    /// Tokens that were verified.
    pub tokens: TokenCache,
    /// Decrypted bytes of the present turn.
    pub(super) plaintext: Vec<u8>,
    /// Answers of the present turn, before encryption.
    pub(super) answers: Vec<u8>,
    /// The body of the present answer.
    pub(super) body: Vec<u8>,
    /// Content blocks of the present tool result.
    pub(super) content: Vec<u8>,
}

impl Workspace {
    /// A workspace for shard `shard` of `shards`.
    pub fn new(shard: u16, shards: usize, shared: Shared, mut entropy: Entropy) -> Self {
        let Shared { events, spent, failing, offload } = shared;
        let mut seed = [0; 8];
        entropy(&mut seed);
        let mut pool = Pool::default();
        let answers = pool.lease();
        Self {
            shard,
            pool,
            buckets: Buckets::new(shards, u64::from_le_bytes(seed)),
            hub: Hub::new(shard, shards, events.clone()),
            spent,
            failing,
            offload,
            tokens: TokenCache::default(),
            events,
            date: DateCache::default(),
            json: Scratch::default(),
            spare: SpareTape::default(),
            entropy,
            plaintext: Vec::new(),
            answers,
            body: Vec::new(),
            content: Vec::new(),
        }
    }
}

impl Workspace {
    /// Takes the bounds of a new snapshot, and tells whoever wants to know what is different in it.
    pub fn follow(&mut self, old: Option<&Snapshot>, new: &Snapshot, now: Now) {
        self.buckets.follow(&new.rate_limits);
        self.hub.follow(&new.limits);
        self.tokens.follow(new.limits.tokens_max);
        let Some(old) = old else { return };
        self.hub.rouse();
        let has_changed = |kind| old.registry.revision(kind) != new.registry.revision(kind);
        let lists = Lists {
            tools: has_changed(Kind::Tools),
            prompts: has_changed(Kind::Prompts),
            resources: has_changed(Kind::Resources) || has_changed(Kind::Templates),
        };
        if lists.any() {
            self.hub.tell(&Change::Lists(lists), now);
        }
    }

    /// Reads what another shard sent.
    pub fn receive(&mut self, parcel: Parcel, snapshot: &Snapshot, now: Now) {
        // A session may be ended while word of it is under way: no stream of it begins after that.
        let is_over = |owner: &Owner| self.spent.is_ended(owner.session, now.unix_s());
        if let Parcel::PullSession { owner, to, .. } = &parcel
            && is_over(owner)
        {
            return self.hub.dismiss(*to, *to);
        }
        if let Parcel::Subscribe { owner, .. } = &parcel
            && is_over(owner)
        {
            return;
        }
        self.hub.receive(parcel, &snapshot.modern_ending, now);
    }

    /// The server wants to stop: streams that would not end by themselves do.
    pub fn drain(&mut self, now: Now) {
        self.hub.drain(now);
    }

    /// Forgets what a turn that broke has left behind, so that nobody else is sent it.
    pub fn clear(&mut self) {
        for buffer in [&mut self.plaintext, &mut self.answers, &mut self.body, &mut self.content] {
            buffer.clear();
        }
    }
}

/// What a connection gets to handle one wake-up.
pub struct Turn<'t> {
    /// The time.
    pub now: Now,
    /// What the control plane has decided.
    pub snapshot: &'t Arc<Snapshot>,
    /// What the shard lends.
    pub work: &'t mut Workspace,
    /// Wakes the connection's task; handed to tools that wait for something outside.
    pub waker: &'t Waker,
    /// Bytes for the socket; empty at the start of a turn, written by the shard after it.
    pub outbox: &'t mut Vec<u8>,
}

impl Turn<'_> {
    /// A random number that serves as a name.
    pub(super) fn nonce(&mut self) -> u128 {
        let mut bytes = [0; 16];
        (self.work.entropy)(&mut bytes);
        u128::from_be_bytes(bytes)
    }

    /// Counts an outcome.
    pub fn count(&self, count: Count) {
        self.work.events.count(count);
    }
}
