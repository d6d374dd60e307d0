//! How a connection begins to read a stream: one of this shard, or a copy of another shard's.
//! Never: a stream that is somebody else's.
//! Next: `attached`, the reading itself.

use super::Connection;
use super::attached::{Attachment, Remote};
use super::channel::Brings;
use super::form::{Form, Ids};
use crate::pipeline::framing::{Caller, Framing};
use crate::pipeline::hub::key::{EventId, Key, Owner};
use crate::pipeline::turn::Turn;
use crate::wire::mcp::session::Claims;

/// Where to turn if the stream to be resumed is no more.
#[derive(Clone, Copy)]
pub(super) enum Fallback {
    /// To the session's own.
    Session(Owner, Claims),
    /// To a new feed.
    Feed,
}

/// What to read.
pub(super) struct Reading {
    pub(super) stream: Key,
    pub(super) owner: Owner,
    pub(super) after: u64,
    pub(super) form: Form,
    pub(super) ids: Ids,
    /// What it brings, where a connection reads several.
    pub(super) brings: Brings,
}

impl Connection {
    /// Begins to read a stream of this shard; false when it is not there or somebody else's.
    pub(super) fn attach(&mut self, reading: &Reading, caller: Caller, turn: &mut Turn<'_>) -> bool {
        if let Some(channel) = &mut self.channel {
            return channel.read(reading, turn);
        }
        let Some(ticket) = turn.work.hub.attach(reading.stream, reading.owner) else { return false };
        self.begin_reading(reading, ticket, None, None, caller, turn);
        true
    }

    fn begin_reading(
        &mut self,
        reading: &Reading,
        ticket: u64,
        remote: Option<Remote>,
        fallback: Option<Fallback>,
        caller: Caller,
        turn: &mut Turn<'_>,
    ) {
        let life_ms = self.silence_max_ms(reading.ids, turn);
        let then = std::mem::replace(&mut self.framing, Framing::Busy);
        self.attached = Some(Box::new(Attachment {
            stream: reading.stream,
            ticket,
            after: reading.after,
            remote,
            fallback,
            caller,
            generation: turn.snapshot.generation,
            form: reading.form,
            ids: reading.ids,
            is_open: false,
            has_read: false,
            collected: Vec::new(),
            then,
            until_s: u64::MAX,
            life_ms,
            alive_at_ms: turn.now.ms.saturating_add(life_ms),
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
        if let Some(place) = resume
            && self.resume(place, owner, ids, Fallback::Session(owner, claims), &caller, turn)
        {
            return true;
        }
        let (nonce, mirror_nonce, now) = (turn.nonce(), turn.nonce(), turn.now);
        let hub = &mut turn.work.hub;
        if hub.is_home(claims.shard) {
            let Some((stream, after)) = hub.open_session(owner, claims.shard, nonce, now) else {
                return false;
            };
            return self.attach(
                &Reading { stream, owner, after, form: Form::Stream, ids, brings: Brings::News },
                caller,
                turn,
            );
        }
        let Some(mirror) = hub.mirror(owner, mirror_nonce, now) else { return false };
        hub.pull_session(owner, claims.shard, mirror, nonce);
        self.read_mirror(mirror, 0, ids, None, owner, caller, turn)
    }

    /// Goes on at that place of a stream, whichever shard keeps it; false when it is not to be had here.
    pub(super) fn resume(
        &mut self,
        place: EventId,
        owner: Owner,
        ids: Ids,
        fallback: Fallback,
        caller: &Caller,
        turn: &mut Turn<'_>,
    ) -> bool {
        let EventId { stream, seq } = place;
        if stream.shard == turn.work.shard {
            let (form, brings) = (Form::Stream, Brings::News);
            return self.attach(
                &Reading { stream, owner, after: seq, form, ids, brings },
                caller.clone(),
                turn,
            );
        }
        let (nonce, now) = (turn.nonce(), turn.now);
        let hub = &mut turn.work.hub;
        if !hub.has_shard(stream.shard) {
            return false;
        }
        let Some(mirror) = hub.mirror(owner, nonce, now) else { return false };
        hub.pull(stream, owner, seq, mirror);
        self.read_mirror(mirror, seq, ids, Some(fallback), owner, caller.clone(), turn)
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
        fallback: Option<Fallback>,
        owner: Owner,
        caller: Caller,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(ticket) = turn.work.hub.attach(mirror, owner) else { return false };
        let reading = Reading { stream: mirror, owner, after, form: Form::Stream, ids, brings: Brings::News };
        let remote = Some(Remote { is_pulling: true, owner });
        self.begin_reading(&reading, ticket, remote, fallback, caller, turn);
        true
    }
}
