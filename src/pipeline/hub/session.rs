//! What a shard remembers of legacy sessions: nearly nothing, because a session is sealed into its id. Only a stream, its
//! subscriptions and a log level have to live somewhere: the first two on the session's shard, the level on all.
//! Never: a session's right to exist; that is `seal`'s and `spent`'s to say.
//! Next: `connection/attached.rs`, where a GET reads the stream.

use std::sync::Arc;

use super::Hub;
use super::key::{Key, Owner};
use super::parcel::Parcel;
use super::stream::{Role, Stream};
use crate::pipeline::event::Count;
use crate::pipeline::turn::Now;
use crate::tools::LogLevel;

/// Resources one session may subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// Sessions whose log level a shard remembers.
const LEVELS_MAX: usize = 4096;

/// The stream of a session that is kept here.
pub(super) struct Session {
    stream: Key,
}

impl Hub {
    /// The shard that keeps what must be kept of the session.
    fn home(&self, shard: u16) -> u16 {
        // A session may be older than this process's number of shards.
        shard % self.shards.max(1)
    }

    /// The stream of a session and the place to read on from; made if need be.
    pub(super) fn session_stream(&mut self, owner: Owner, nonce: u128, now: Now) -> Option<(Key, u64)> {
        let known = self.sessions.get(&owner.session).map(|session| session.stream);
        if let Some(key) = known
            && let Some(stream) = self.find(key).filter(|stream| stream.owner == owner)
        {
            return Some((key, stream.fetched_seq()));
        }
        let key = self.open(owner, Role::Session { subscriptions: Vec::new() }, usize::MAX, nonce, now)?;
        self.sessions.insert(owner.session, Session { stream: key });
        Some((key, 0))
    }

    /// The same on whichever shard the session lives; nothing when it is another one, which is then asked to send to `to`.
    pub(in crate::pipeline) fn open_session(
        &mut self,
        owner: Owner,
        shard: u16,
        nonce: u128,
        now: Now,
    ) -> Option<(Key, u64)> {
        (self.home(shard) == self.shard).then(|| self.session_stream(owner, nonce, now)).flatten()
    }

    /// Whether a session that began on that shard is kept here.
    pub(in crate::pipeline) fn is_home(&self, shard: u16) -> bool {
        self.home(shard) == self.shard
    }

    pub(in crate::pipeline) fn pull_session(&mut self, owner: Owner, shard: u16, to: Key, nonce: u128) {
        self.send(self.home(shard), Parcel::PullSession { owner, to, nonce });
    }

    pub(super) fn note_subscription(
        &mut self,
        owner: Owner,
        uri: Arc<str>,
        is_wanted: bool,
        nonce: u128,
        now: Now,
    ) {
        let Some((key, _)) = self.session_stream(owner, nonce, now) else { return };
        let Some(Stream { role: Role::Session { subscriptions }, .. }) = self.find(key) else { return };
        subscriptions.retain(|known| *known != uri);
        if is_wanted && subscriptions.len() < SUBSCRIPTIONS_MAX {
            subscriptions.push(uri);
        } else if is_wanted {
            self.events.count(Count::HubFull);
        }
    }

    /// A session wants to be told of a resource, or no longer; whether that has been noted or is on its way.
    pub(in crate::pipeline) fn subscribe(
        &mut self,
        owner: Owner,
        shard: u16,
        uri: &str,
        is_wanted: bool,
        nonce: u128,
        now: Now,
    ) -> bool {
        let home = self.home(shard);
        if home == self.shard {
            self.note_subscription(owner, uri.into(), is_wanted, nonce, now);
            return true;
        }
        self.send(home, Parcel::Subscribe { owner, uri: uri.into(), is_wanted, nonce })
    }

    pub(super) fn note_level(&mut self, session: [u8; 16], level: LogLevel) {
        if self.levels.insert(session, level).is_some() {
            return;
        }
        self.levels_by_age.push_back(session);
        if self.levels_by_age.len() > LEVELS_MAX
            && let Some(oldest) = self.levels_by_age.pop_front()
        {
            self.levels.remove(&oldest);
            self.events.count(Count::HubFull);
        }
    }

    /// A session wants log messages from that level on, whichever shard runs its calls.
    pub(in crate::pipeline) fn set_level(&mut self, session: [u8; 16], level: LogLevel) {
        self.note_level(session, level);
        self.broadcast(&Parcel::Level { session, level });
    }

    /// The least severe log message that a session wants.
    // MCP 2025-11-25, logging: without logging/setLevel the server decides.
    pub(in crate::pipeline) fn level(&self, session: [u8; 16]) -> LogLevel {
        self.levels.get(&session).copied().unwrap_or(LogLevel::Info)
    }

    pub(super) fn note_end(&mut self, owner: Owner) {
        let slots: Vec<usize> =
            self.streams.iter().filter(|(_, stream)| stream.owner == owner).map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(nonce) = self.streams.get(slot).map(|stream| stream.nonce) {
                let key = self.key(slot, nonce);
                self.end(key);
            }
        }
        for (_, call) in self.calls.iter().filter(|(_, call)| call.owner == owner) {
            call.context.cancel();
        }
        self.sessions.remove(&owner.session);
    }

    /// A session that was one connection's is over with it.
    pub(in crate::pipeline) fn forget_session(&mut self, owner: Owner) {
        if let Some(session) = self.sessions.remove(&owner.session) {
            self.streams.try_remove(usize::try_from(session.stream.slot).unwrap_or(usize::MAX));
        }
        if self.levels.remove(&owner.session).is_some() {
            self.levels_by_age.retain(|session| *session != owner.session);
        }
    }

    /// A session is over, on every shard.
    pub(in crate::pipeline) fn end_session(&mut self, owner: Owner) {
        self.note_end(owner);
        self.broadcast(&Parcel::EndSession(owner));
    }
}
