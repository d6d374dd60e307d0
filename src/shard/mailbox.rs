//! What the control plane and other shards tell a shard: two bounded queues and a wake-up.
//! Next: `worker`, the reader.

use std::sync::Arc;
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use crossbeam_queue::ArrayQueue;

use super::fleet::Socket;
use crate::pipeline::hub::listen::Change;
use crate::pipeline::hub::parcel::{PARCELS_MAX, Parcel};
use crate::pipeline::snapshot::Snapshot;

/// Letters that may wait. A shard reads them at once; more means that it is stuck.
pub(super) const LETTERS_MAX: usize = 16;

/// One message to a shard.
pub(super) enum Letter {
    /// New decisions, new sockets, and listeners that are no more.
    Publish { snapshot: Arc<Snapshot>, sockets: Vec<Socket>, closed: Vec<usize> },
    /// Something that clients may want to be told of.
    Change(Change),
    /// Stop accepting, finish what is in flight.
    Drain,
}

/// The queue.
pub(super) struct Mailbox {
    letters: ArrayQueue<Letter>,
    parcels: ArrayQueue<Parcel>,
    reader: AtomicWaker,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            letters: ArrayQueue::new(LETTERS_MAX),
            parcels: ArrayQueue::new(PARCELS_MAX),
            reader: AtomicWaker::new(),
        }
    }
}

impl Mailbox {
    /// Puts a letter in, or gives it back.
    pub(super) fn send(&self, letter: Letter) -> Result<(), Letter> {
        self.letters.push(letter)?;
        self.reader.wake();
        Ok(())
    }

    /// Puts a parcel of another shard in, or gives it back.
    #[expect(clippy::result_large_err, reason = "what found no room is the error")]
    pub(super) fn send_parcel(&self, parcel: Parcel) -> Result<(), Parcel> {
        self.parcels.push(parcel)?;
        self.reader.wake();
        Ok(())
    }

    /// Takes the oldest parcel. Any task of the shard may, so that nothing is read before what was sent before it.
    pub(super) fn poll_parcel(&self) -> Option<Parcel> {
        self.parcels.pop()
    }

    /// How many parcels wait.
    pub(super) fn parcels(&self) -> usize {
        self.parcels.len()
    }

    /// How many more letters fit.
    pub(super) fn room(&self) -> usize {
        LETTERS_MAX - self.letters.len()
    }

    /// Takes the oldest letter.
    pub(super) fn poll_letter(&self, context: &mut Context<'_>) -> Poll<Letter> {
        self.reader.register(context.waker());
        match self.letters.pop() {
            Some(letter) => Poll::Ready(letter),
            None => Poll::Pending,
        }
    }
}
