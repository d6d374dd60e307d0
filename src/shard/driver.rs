//! Which event driver a shard can use here: io_uring with the flags it will be opened with, else epoll.
//! Never: a guess; the ring is opened once to find out, because containers refuse it in several ways.
//! Next: `worker`, which starts a runtime on the driver that was chosen.

use std::io;

/// The driver of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring.
    IoUring,
    /// epoll.
    Epoll,
}

/// The ring's flags: completions are delivered when the shard asks for them, and only the shard submits.
pub(super) fn ring_builder() -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    builder.setup_coop_taskrun().setup_single_issuer().setup_defer_taskrun();
    builder
}

/// Opens and closes a ring with the flags a shard uses. Errors are the kernel's own.
///
/// # Errors
/// EPERM where a seccomp profile or sysctl forbids it, EINVAL before Linux 6.1, ENOMEM at the memlock limit.
pub fn probe(ring_entries: u32) -> io::Result<()> {
    ring_builder().build(ring_entries).map(drop)
}
