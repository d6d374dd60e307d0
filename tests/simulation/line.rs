//! One connection of the fleet, made for one message: what a socket's task remembers around `Connection`.
//! Next: `fleet`, which moves it.

use std::sync::Arc;
use std::task::Waker;

use mcpring::pipeline::connection::Connection;
use mcpring::pipeline::turn::Turn;

use crate::fixture::Desk;
use crate::incoming::Incoming;
use crate::peer::Flag;
use crate::reader::Purpose;

pub(crate) struct Line {
    pub(crate) connection: Connection,
    pub(crate) shard: usize,
    pub(crate) purpose: Purpose,
    pub(crate) session: Option<usize>,
    /// The session had ended when this was sent.
    pub(crate) must_refuse: bool,
    /// The newest place to come back to.
    pub(crate) last_id: Option<String>,
    pub(crate) incoming: Incoming,
    pub(crate) writing: Option<Vec<u8>>,
    /// From the client, not yet delivered.
    wire: Vec<u8>,
    outbox: Vec<u8>,
    flag: Arc<Flag>,
    waker: Waker,
    has_ended: bool,
}

impl Line {
    pub(crate) fn new(
        connection: Connection,
        shard: usize,
        wire: Vec<u8>,
        purpose: Purpose,
        session: Option<usize>,
        must_refuse: bool,
    ) -> Self {
        let flag = Arc::new(Flag::default());
        Self {
            connection,
            shard,
            purpose,
            session,
            must_refuse,
            last_id: None,
            incoming: Incoming::default(),
            writing: None,
            wire,
            outbox: Vec::new(),
            waker: flag.clone().into(),
            flag,
            has_ended: false,
        }
    }

    /// Takes so much from the wire at most, as a read would.
    pub(crate) fn next_input(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.wire.is_empty() || self.writing.is_some() || !self.connection.wants_input() {
            return None;
        }
        let rest = self.wire.split_off(most.min(self.wire.len()));
        Some(std::mem::replace(&mut self.wire, rest))
    }

    /// Whether the socket's task would let the connection look at its stream.
    pub(crate) fn is_woken(&self) -> bool {
        self.writing.is_none() && self.connection.has_call() && self.flag.take()
    }

    /// Whether anything is on its way.
    pub(crate) fn is_busy(&self) -> bool {
        self.writing.is_some() || !self.wire.is_empty() || self.flag.is_set()
    }

    /// Whether part of the request is still on its way.
    pub(crate) fn is_sending(&self) -> bool {
        !self.wire.is_empty()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(crate) fn turn(&mut self, desk: &mut Desk, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        if self.outbox.capacity() == 0 {
            self.outbox = desk.work.pool.lease();
        }
        let Self { connection, outbox, waker, .. } = self;
        desk.turn_woken_by(waker, outbox, |turn| act(connection, turn));
        if self.outbox.is_empty() {
            desk.work.pool.release(std::mem::take(&mut self.outbox));
        } else if self.writing.is_none() {
            self.writing = Some(std::mem::take(&mut self.outbox));
        }
    }

    /// The connection gives everything back; the newest place its client can come back to.
    pub(crate) fn release(self, desk: &mut Desk) -> Option<String> {
        for buffer in [Some(self.outbox), self.writing].into_iter().flatten() {
            if buffer.capacity() > 0 {
                desk.work.pool.release(buffer);
            }
        }
        desk.release(self.connection);
        self.last_id
    }
}
