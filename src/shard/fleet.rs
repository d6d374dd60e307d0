//! All shards of the process: starting them, publishing snapshots to them, draining them.
//! Next: `worker`, one shard's thread.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use super::census::Census;
use super::driver::Driver;
use super::listen::Listening;
use super::mailbox::{Letter, Mailbox};
use super::{offload, worker};
use crate::pipeline::event::Events;
use crate::pipeline::failing::Failing;
use crate::pipeline::hub::listen::Change;
use crate::pipeline::snapshot::Snapshot;
use crate::pipeline::spent::Spent;

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

/// A socket for one shard, by the listener's index in the snapshot.
pub struct Socket {
    /// Index into `Snapshot::listeners`.
    pub listener: usize,
    /// What to accept on.
    pub socket: Listening,
}

/// The running shards.
pub struct Fleet {
    shards: Vec<Handle>,
    mailboxes: Arc<[Mailbox]>,
}

struct Handle {
    thread: JoinHandle<()>,
    events: Arc<Events>,
}

impl Fleet {
    /// Starts one thread for each of `settings`; `sockets[i]` go to shard `i`. Returns once every shard accepts.
    ///
    /// # Errors
    /// When a thread, its affinity or its ring is refused by the kernel; shards already started stop.
    pub fn start(
        settings: Vec<Settings>,
        snapshot: &Arc<Snapshot>,
        sockets: Vec<Vec<Socket>>,
        blocking_threads: usize,
    ) -> io::Result<Self> {
        let census = Arc::new(Census::default());
        let (ready, started) = mpsc::channel();
        let shards = settings.len();
        let mailboxes: Arc<[Mailbox]> = (0..shards).map(|_| Mailbox::default()).collect();
        let mut fleet = Self { shards: Vec::with_capacity(shards), mailboxes: mailboxes.clone() };
        let spent = Arc::new(Spent::default());
        let failing = Arc::new(Failing::new(RandomState::new().hash_one(0)));
        let offload = offload::start(blocking_threads)?;
        let mut sockets = sockets.into_iter();
        for (index, settings) in settings.into_iter().enumerate() {
            let events = Arc::new(Events::default());
            let start = worker::Start {
                index: u16::try_from(index).unwrap_or(u16::MAX),
                settings,
                snapshot: snapshot.clone(),
                sockets: sockets.next().unwrap_or_default(),
                census: census.clone(),
                mailboxes: mailboxes.clone(),
                events: events.clone(),
                spent: spent.clone(),
                failing: failing.clone(),
                offload: offload.clone(),
            };
            let ready = ready.clone();
            let thread = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || worker::run(start, &ready))?;
            fleet.shards.push(Handle { thread, events });
        }
        for _ in 0..shards {
            let outcome =
                started.recv().unwrap_or_else(|_| Err(io::Error::other("a shard ended at its start")));
            if let Err(error) = outcome {
                fleet.drain();
                return Err(error);
            }
        }
        Ok(fleet)
    }

    /// Gives every shard a new snapshot, `sockets[i]` newly bound ones for shard `i`, and stops accepting on the
    /// listeners in `closed` (their connections live on).
    ///
    /// # Errors
    /// When a mailbox is full; then no shard has the new snapshot.
    pub fn publish(
        &self,
        snapshot: &Arc<Snapshot>,
        sockets: Vec<Vec<Socket>>,
        closed: &[usize],
    ) -> Result<(), MailboxFull> {
        // One letter of room is kept for a drain. Only this thread sends, so room seen now is room.
        if self.mailboxes.iter().any(|mailbox| mailbox.room() < 2) {
            return Err(MailboxFull);
        }
        let mut sockets = sockets.into_iter();
        for mailbox in &*self.mailboxes {
            let letter = Letter::Publish {
                snapshot: snapshot.clone(),
                sockets: sockets.next().unwrap_or_default(),
                closed: closed.to_vec(),
            };
            mailbox.send(letter).map_err(|_| MailboxFull)?;
        }
        Ok(())
    }

    /// Stops accepting; connections finish what is in flight and close.
    pub fn drain(&self) {
        for mailbox in &*self.mailboxes {
            // Full means that a drain is already on its way.
            let _ = mailbox.send(Letter::Drain);
        }
    }

    /// Tells every shard of a change that clients may have asked to be told of.
    ///
    /// # Errors
    /// When a mailbox has no room; shards before it have been told.
    pub fn tell(&self, change: &Change) -> Result<(), MailboxFull> {
        for mailbox in &*self.mailboxes {
            if mailbox.room() < 2 {
                return Err(MailboxFull);
            }
            mailbox.send(Letter::Change(change.clone())).map_err(|_| MailboxFull)?;
        }
        Ok(())
    }

    /// Whether every shard has ended.
    pub fn is_finished(&self) -> bool {
        self.shards.iter().all(|shard| shard.thread.is_finished())
    }

    /// What each shard reports.
    pub fn events(&self) -> Vec<Arc<Events>> {
        self.shards.iter().map(|shard| shard.events.clone()).collect()
    }
}

/// A shard did not read its mailbox in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard's mailbox is full; it is stuck or overloaded")]
pub struct MailboxFull;
