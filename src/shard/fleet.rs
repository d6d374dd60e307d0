//! All shards of the process: starting them, publishing snapshots to them, draining and stopping.
//! Next: `connection`.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use super::driver::Driver;
use crate::pipeline::event::Events;
use crate::pipeline::snapshot::Snapshot;

/// How one shard runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The CPU it is tied to, if any.
    pub cpu: Option<usize>,
    /// Its driver.
    pub driver: Driver,
    /// Submission queue size.
    pub ring_entries: u32,
}

/// A listening socket for one shard, by the listener's index in the snapshot.
pub struct Socket {
    /// Index into `Snapshot::listeners`.
    pub listener: usize,
    /// Bound and non-blocking.
    pub socket: TcpListener,
}

/// The running shards.
pub struct Fleet {}

impl Fleet {
    /// Starts one thread for each of `settings`; `sockets[i]` go to shard `i`. Returns once every shard accepts.
    pub fn start(
        _settings: Vec<Settings>,
        _snapshot: Arc<Snapshot>,
        _sockets: Vec<Vec<Socket>>,
    ) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Gives every shard a new snapshot, `sockets[i]` newly bound ones for shard `i`, and stops accepting on the
    /// listeners in `closed` (their connections live on). Fails when a mailbox is full, leaving the old snapshot.
    pub fn publish(
        &self,
        _snapshot: Arc<Snapshot>,
        _sockets: Vec<Vec<Socket>>,
        _closed: &[usize],
    ) -> Result<(), MailboxFull> {
        Ok(())
    }

    /// Stops accepting; connections finish what is in flight and close.
    pub fn drain(&self) {}

    /// Whether every shard has ended.
    pub fn is_finished(&self) -> bool {
        true
    }

    /// What each shard reports.
    pub fn events(&self) -> Vec<Arc<Events>> {
        Vec::new()
    }
}

/// A shard did not read its mailbox in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard's mailbox is full; it is stuck or overloaded")]
pub struct MailboxFull;
