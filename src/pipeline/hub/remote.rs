//! Streams that are kept on one shard and read on another: the reader's shard pulls, so nothing is sent that was not asked
//! for, and a reader that does not read costs the stream's bound and nothing more.
//! Never: more than one pull of a reader on its way.
//! Next: `stream`, what is pulled from.

use super::key::{Key, Owner};
use super::parcel::{Parcel, Then};
use super::stream::{Event, Role};
use super::{Hub, PULLED_BYTES_MAX};
use crate::pipeline::turn::Now;

impl Hub {
    /// Tells a reader on another shard that somebody else reads now.
    pub(in crate::pipeline) fn dismiss(&mut self, reader: Key, from: Key) {
        self.send_none(reader, from, 0, Then::Over);
    }

    pub(super) fn send_none(&mut self, to: Key, from: Key, after: u64, then: Then) {
        self.send(to.shard, Parcel::Events { to, from, after, events: Vec::new(), then });
    }

    /// Sends a reader on another shard what it waits for.
    pub(super) fn serve(&mut self, key: Key, to: Key, after: u64) {
        let Some(stream) = self.find(key) else { return };
        stream.take_wish();
        let after = stream.place_after(after);
        let events = stream.copy_after(after, PULLED_BYTES_MAX);
        let last = events.last().map_or(after, |event| event.seq);
        let then = if stream.is_over() && !stream.holds_after(last) { Then::Over } else { Then::More };
        if then == Then::Over {
            // It has all there is; whoever wants some of it again pulls again.
            stream.detach_there(to, stream.idle_since_ms);
        }
        self.send(to.shard, Parcel::Events { to, from: key, after, events, then });
    }

    /// A local copy of what another shard sends; nothing when there are too many streams.
    pub(in crate::pipeline) fn mirror(&mut self, owner: Owner, nonce: u128, now: Now) -> Option<Key> {
        self.open(
            owner,
            Role::Mirror { source: None, then: Then::More, has_news: false },
            usize::MAX,
            nonce,
            now,
        )
    }

    /// A copy that nothing will come for; nobody reads it yet.
    pub(in crate::pipeline) fn forget_mirror(&mut self, mirror: Key) {
        if self.find(mirror).is_some() {
            self.streams.try_remove(usize::try_from(mirror.slot).unwrap_or(usize::MAX));
        }
    }

    /// Whether there is such a shard; a client may name any.
    pub(in crate::pipeline) fn has_shard(&self, shard: u16) -> bool {
        shard < self.shards
    }

    pub(in crate::pipeline) fn pull(&mut self, stream: Key, owner: Owner, after: u64, to: Key) {
        self.send(stream.shard, Parcel::Pull { stream, owner, after, to });
    }

    pub(in crate::pipeline) fn send_detach(&mut self, stream: Key, to: Key) {
        self.send(stream.shard, Parcel::Detach { stream, to });
    }

    pub(super) fn pulled(&mut self, key: Key, owner: Owner, after: u64, to: Key) {
        let Some(stream) = self.find(key).filter(|stream| stream.owner == owner) else {
            return self.send_none(to, key, after, Then::Gone);
        };
        let is_new = !stream.is_read_by(to);
        let displaced = stream.attach_there(to, after);
        let is_due = stream.has_after(after);
        if let Some(displaced) = displaced {
            self.dismiss(displaced, key);
        }
        if is_due {
            self.serve(key, to, after);
        } else if is_new {
            // Whoever reads must know what, to say so when it goes: a stream that seems to be read is never forgotten.
            self.send_none(to, key, after, Then::More);
        }
    }

    pub(super) fn mirrored(&mut self, to: Key, from: Key, after: u64, events: Vec<Event>, then: Then) {
        let Some(stream) = self.find(to) else {
            // The reader has gone meanwhile; the stream must not wait for it.
            self.send(from.shard, Parcel::Detach { stream: from, to });
            return;
        };
        if let Role::Mirror { source, then: known, has_news } = &mut stream.role {
            // A name is no news: the pull it answers still waits for some.
            *has_news |= !events.is_empty() || then != Then::More;
            (*source, *known) = (Some(from), then);
        }
        let mut due = stream.begin_after(after);
        for event in events {
            due = stream.append(event, usize::MAX).1;
        }
        self.settle(to, due);
        match then {
            Then::More => {}
            Then::Over | Then::Gone | Then::Full => self.end(to),
        }
    }

    /// Where a mirror's messages come from, and what its source said last.
    pub(in crate::pipeline) fn mirror_source(&mut self, key: Key) -> (Option<Key>, Then) {
        match self.find(key).map(|stream| &stream.role) {
            Some(Role::Mirror { source, then, .. }) => (*source, *then),
            Some(
                Role::Call { .. } | Role::Listen(_) | Role::Session { .. } | Role::Feed { .. } | Role::Inbox,
            )
            | None => (None, Then::Gone),
        }
    }

    /// Where a reader that has what comes up to that place goes on.
    pub(in crate::pipeline) fn place_after(&mut self, key: Key, after: u64) -> u64 {
        self.find(key).map_or(after, |stream| stream.place_after(after))
    }

    /// Whether something has come to a mirror since this was last asked.
    pub(in crate::pipeline) fn take_news(&mut self, key: Key) -> bool {
        match self.find(key).map(|stream| &mut stream.role) {
            Some(Role::Mirror { has_news, .. }) => std::mem::take(has_news),
            Some(
                Role::Call { .. } | Role::Listen(_) | Role::Session { .. } | Role::Feed { .. } | Role::Inbox,
            )
            | None => false,
        }
    }
}
