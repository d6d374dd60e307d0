//! Streams that are kept on one shard and read on another: the reader's shard pulls, so nothing is sent that was not asked
//! for, and a reader that does not read costs the stream's bound and nothing more.
//! Never: more than one pull of a reader on its way.
//! Next: `stream`, what is pulled from.

use super::key::{Key, Owner};
use super::parcel::{Parcel, Then};
use super::stream::{Due, Event, Role};
use super::{Hub, PULLED_BYTES_MAX};
use crate::pipeline::turn::Now;

impl Hub {
    /// Tells a reader on another shard that somebody else reads now.
    pub(in crate::pipeline) fn dismiss(&mut self, reader: Key, from: Key) {
        self.send_events(reader, from, 0, Vec::new(), Then::Over);
    }

    fn send_events(&mut self, to: Key, from: Key, after: u64, events: Vec<Event>, then: Then) {
        self.send(to.shard, Parcel::Events { to, from, after, events, then });
    }

    /// Sends a reader on another shard what it waits for.
    pub(super) fn serve(&mut self, key: Key, to: Key, after: u64) {
        let Some(stream) = self.find(key) else { return };
        stream.take_wish();
        let events = stream.copy_after(after, PULLED_BYTES_MAX);
        let last = events.last().map_or(after, |event| event.seq);
        let then = if stream.is_over() && !stream.holds_after(last) { Then::Over } else { Then::More };
        self.send_events(to, key, after, events, then);
    }

    /// A local copy of what another shard sends; nothing when there are too many streams.
    pub(in crate::pipeline) fn mirror(&mut self, owner: Owner, nonce: u128, now: Now) -> Option<Key> {
        self.open(
            owner,
            Role::Mirror { source: None, begins_after: None, then: Then::More, has_news: false },
            usize::MAX,
            nonce,
            now,
        )
    }

    pub(in crate::pipeline) fn pull(&mut self, stream: Key, owner: Owner, after: u64, to: Key) {
        self.send(stream.shard, Parcel::Pull { stream, owner, after, to });
    }

    pub(in crate::pipeline) fn send_detach(&mut self, stream: Key, to: Key) {
        self.send(stream.shard, Parcel::Detach { stream, to });
    }

    pub(super) fn pulled(&mut self, key: Key, owner: Owner, after: u64, to: Key) {
        let Some(stream) = self.find(key).filter(|stream| stream.owner == owner) else {
            self.send_events(to, key, after, Vec::new(), Then::Gone);
            return;
        };
        let displaced = stream.attach_there(to, after);
        let is_due = stream.has_after(after);
        if let Some(displaced) = displaced {
            self.dismiss(displaced, key);
        }
        if is_due {
            self.serve(key, to, after);
        } else {
            // The reader learns the stream's name and its place in it, which a client needs to come back.
            self.send_events(to, key, after, Vec::new(), Then::More);
        }
    }

    pub(super) fn mirrored(&mut self, to: Key, from: Key, after: u64, events: Vec<Event>, then: Then) {
        let Some(stream) = self.find(to) else {
            // The reader has gone meanwhile; the stream must not wait for it.
            self.send(from.shard, Parcel::Detach { stream: from, to });
            return;
        };
        if let Role::Mirror { source, begins_after, then: known, has_news } = &mut stream.role {
            begins_after.get_or_insert(after);
            (*source, *known) = (Some(from), then);
            *has_news |= !events.is_empty();
        }
        let events_are_none = events.is_empty();
        let mut due = Due::Nothing;
        for event in events {
            due = stream.append(event, usize::MAX).1;
        }
        if events_are_none {
            due = stream.tell();
        }
        self.settle(to, due);
        match then {
            Then::More => {}
            Then::Over | Then::Gone => self.end(to),
        }
    }

    /// Where a mirror's messages come from, and what its source said last.
    pub(in crate::pipeline) fn mirror_source(&mut self, key: Key) -> (Option<Key>, Then) {
        match self.find(key).map(|stream| &stream.role) {
            Some(Role::Mirror { source, then, .. }) => (*source, *then),
            Some(Role::Call { .. } | Role::Listen(_) | Role::Session { .. }) | None => (None, Then::Gone),
        }
    }

    /// The place after which a mirror's first messages come, once that is known.
    pub(in crate::pipeline) fn mirror_begin(&mut self, key: Key) -> Option<u64> {
        match self.find(key).map(|stream| &stream.role) {
            Some(Role::Mirror { begins_after, .. }) => *begins_after,
            Some(Role::Call { .. } | Role::Listen(_) | Role::Session { .. }) | None => None,
        }
    }

    /// Whether something has come to a mirror since this was last asked.
    pub(in crate::pipeline) fn take_news(&mut self, key: Key) -> bool {
        match self.find(key).map(|stream| &mut stream.role) {
            Some(Role::Mirror { has_news, .. }) => std::mem::take(has_news),
            Some(Role::Call { .. } | Role::Listen(_) | Role::Session { .. }) | None => false,
        }
    }
}
