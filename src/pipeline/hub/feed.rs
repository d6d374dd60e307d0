//! Streams of server-sent events that are no part of Streamable HTTP: feeds, which tell everybody what changes, and the
//! inboxes of channels whose messages are posted by other connections.
//! Never: a message for a channel of another principal's; more messages waiting than the channel may have.
//! Next: `connection/feeds.rs`, where they are read and written.

use std::sync::Arc;

use super::Hub;
use super::key::{Key, Owner};
use super::parcel::{Parcel, Then};
use super::stream::{EventKind, Role};
use crate::pipeline::turn::Now;

/// Messages that wait in one inbox together, unless it is one that is longer. Bytes.
const POSTED_BYTES_MAX: usize = 1024 * 1024;

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unposted {
    /// There is no such channel for whoever posts.
    Nobody,
    /// Too many messages wait there.
    Full,
}

/// Whose feeds are: a principal's, and no session's. A session's nonce is random.
pub(in crate::pipeline) fn feed_owner(principal: [u8; 16]) -> Owner {
    Owner { principal, session: *b"GET /events.feed" }
}

impl Hub {
    /// A feed of changes, which begins with `first`; none when there are too many streams.
    pub(in crate::pipeline) fn open_feed(
        &mut self,
        owner: Owner,
        resources: Vec<Arc<str>>,
        events_max: usize,
        nonce: u128,
        now: Now,
    ) -> Option<Key> {
        let role = Role::Feed { resources, events_max };
        let feed = self.open(owner, role, usize::MAX, nonce, now)?;
        self.push(feed, EventKind::Notification, br#"{"type":"connected"}"#.to_vec(), now);
        Some(feed)
    }

    /// What a feed tells of resources is told of these.
    pub(in crate::pipeline) fn refocus(&mut self, feed: Key, told: Vec<Arc<str>>) {
        if let Some(Role::Feed { resources, .. }) = self.find(feed).map(|stream| &mut stream.role) {
            *resources = told;
        }
    }

    /// Feeds and inboxes that are read here.
    pub(in crate::pipeline) fn event_streams(&self) -> usize {
        let is_one = |role: &Role| matches!(role, Role::Feed { .. } | Role::Inbox);
        self.streams.iter().filter(|(_, stream)| is_one(&stream.role) && stream.has_reader()).count()
    }

    /// Where messages for a connection are put.
    pub(in crate::pipeline) fn open_inbox(&mut self, owner: Owner, nonce: u128, now: Now) -> Option<Key> {
        self.open(owner, Role::Inbox, usize::MAX, nonce, now)
    }

    /// Puts a message into an inbox of this shard.
    pub(in crate::pipeline) fn post(
        &mut self,
        channel: Key,
        principal: [u8; 16],
        message: Vec<u8>,
        messages_max: usize,
        now: Now,
    ) -> Result<(), Unposted> {
        let inbox = self.find(channel).filter(|stream| {
            stream.owner.principal == principal && matches!(stream.role, Role::Inbox) && stream.has_reader()
        });
        let inbox = inbox.ok_or(Unposted::Nobody)?;
        let is_crowded = inbox.len() > 0 && inbox.bytes() + message.len() > POSTED_BYTES_MAX;
        if inbox.len() >= messages_max || is_crowded {
            return Err(Unposted::Full);
        }
        // What a client says is not dropped once it is taken.
        self.push(channel, EventKind::Question, message, now);
        Ok(())
    }

    /// Sends a message to an inbox of another shard, which says to `to` what came of it.
    pub(in crate::pipeline) fn send_post(
        &mut self,
        channel: Key,
        principal: [u8; 16],
        message: Vec<u8>,
        messages_max: usize,
        to: Key,
    ) -> bool {
        self.send(channel.shard, Parcel::Post { channel, principal, message, messages_max, to })
    }

    /// Says what came of a message: it is taken, there is nobody, or there is no room.
    pub(super) fn send_receipt(&mut self, to: Key, channel: Key, taken: Result<(), Unposted>) {
        let then = match taken {
            Ok(()) => Then::Over,
            Err(Unposted::Nobody) => Then::Gone,
            Err(Unposted::Full) => Then::Full,
        };
        self.send_none(to, channel, 0, then);
    }
}
