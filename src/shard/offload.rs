//! Threads for work that would block a shard. A bounded number of them, behind a bounded queue.
//! Never: a wait of the shard's; a full queue is told at once.
//! Next: `tools/context/offload.rs`, who sends work here.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::tools::Offload;

/// Work that may wait for a thread, for each thread.
const WAITING_PER_THREAD_MAX: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

/// Starts the threads; what is returned gives them work, or says that there is no room.
///
/// # Errors
/// When the system refuses a thread.
pub(super) fn start(threads: usize) -> io::Result<Offload> {
    let (sender, receiver) = sync_channel::<Work>(threads * WAITING_PER_THREAD_MAX);
    let receiver = Arc::new(Mutex::new(receiver));
    for index in 0..threads {
        let receiver = receiver.clone();
        std::thread::Builder::new().name(format!("blocking-{index}")).spawn(move || work(&receiver))?;
    }
    Ok(Arc::new(move |work| sender.try_send(work).is_ok()))
}

fn work(receiver: &Mutex<Receiver<Work>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // Whoever waits for it sees that it is gone.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}
