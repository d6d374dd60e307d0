//! What the control plane tells a shard: a bounded queue and a wake-up.
//! Next: `worker`, the reader.

use std::sync::Arc;
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use crossbeam_queue::ArrayQueue;

use super::fleet::Socket;
use crate::pipeline::snapshot::Snapshot;

/// Letters that may wait. A shard reads them at once; more means that it is stuck.
const LETTERS_MAX: usize = 16;

/// One message to a shard.
pub(super) enum Letter {
    /// New decisions, new sockets, and listeners that are no more.
    Publish { snapshot: Arc<Snapshot>, sockets: Vec<Socket>, closed: Vec<usize> },
    /// Stop accepting, finish what is in flight.
    Drain,
}

/// The queue.
pub(super) struct Mailbox {
    letters: ArrayQueue<Letter>,
    reader: AtomicWaker,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { letters: ArrayQueue::new(LETTERS_MAX), reader: AtomicWaker::new() }
    }
}

impl Mailbox {
    /// Puts a letter in, or gives it back.
    pub(super) fn send(&self, letter: Letter) -> Result<(), Letter> {
        self.letters.push(letter)?;
        self.reader.wake();
        Ok(())
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
