//! Echo over a hand-written io_uring: direct descriptors, multishot accept, and either multishot receive into
//! provided buffers or one receive at a time; sends post no completion.
//! The only file of the harness with unsafe code: everything handed to the kernel here lives until the process
//! ends.
//! Next: [`super::ready`], the same work without a ring.

#![expect(unsafe_code, reason = "io_uring takes raw addresses; see the head of this file")]

use std::alloc::{Layout, alloc_zeroed};
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};
use io_uring::types::{BufRingEntry, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::{CONNECTIONS_MAX, Echo, REQUEST_BYTES_MAX};

const RING_ENTRIES: u32 = 4096;
const COMPLETION_ENTRIES: u32 = 16384;
const GROUP: u16 = 0;
/// Provided buffers; a power of two, as the kernel asks.
const BUFFERS: u16 = 1024;
const BUFFER_BYTES: u32 = 4096;

const ACCEPTED: u64 = u64::MAX;
const SENT: u64 = u64::MAX - 1;
const CLOSED: u64 = u64::MAX - 2;

/// How requests are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receive {
    /// One operation serves many requests, into buffers lent to the kernel.
    Multi,
    /// One operation a request, into the connection's own buffer.
    Single,
}

/// Echoes on `listener` until the process ends.
///
/// # Errors
/// When the kernel refuses the ring.
pub fn serve(listener: &TcpListener, echo: Echo, receive: Receive) -> Result<()> {
    if echo.request_bytes > REQUEST_BYTES_MAX {
        bail!("requests over {REQUEST_BYTES_MAX} bytes are not echoed");
    }
    let mut server = Server::build(echo, receive)?;
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).allocate_file_index(true).build();
    server.push(&accept.user_data(ACCEPTED))?;
    loop {
        match server.ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        server.handle_completions()?;
    }
}

struct Server {
    ring: IoUring,
    request_bytes: usize,
    answer: &'static [u8],
    receive: Receive,
    /// Bytes of the current request so far, by connection.
    received: Vec<usize>,
    /// Single: one buffer a connection. Multi: the lent buffers.
    memory: Memory,
    lent: Option<Lent>,
    batch: Vec<cqueue::Entry>,
}

impl Server {
    fn build(echo: Echo, receive: Receive) -> Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun();
        let ring: IoUring = builder
            .setup_cqsize(COMPLETION_ENTRIES)
            .build(RING_ENTRIES)
            .context("io_uring is refused here (container seccomp profile or kernel.io_uring_disabled)")?;
        ring.submitter().register_files_sparse(u32::from(CONNECTIONS_MAX))?;
        let count = match receive {
            Receive::Multi => BUFFERS,
            Receive::Single => CONNECTIONS_MAX,
        };
        let memory = Memory::allocate(usize::from(count) * BUFFER_BYTES as usize)?;
        let lent = match receive {
            Receive::Multi => Some(Lent::register(&ring, &memory)?),
            Receive::Single => None,
        };
        Ok(Self {
            ring,
            request_bytes: echo.request_bytes,
            answer: echo.answer.leak(),
            receive,
            received: vec![0; usize::from(CONNECTIONS_MAX)],
            memory,
            lent,
            batch: Vec::with_capacity(COMPLETION_ENTRIES as usize),
        })
    }

    fn handle_completions(&mut self) -> Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.extend(self.ring.completion());
        for entry in batch.drain(..) {
            match entry.user_data() {
                ACCEPTED => {
                    let index = u32::try_from(entry.result()).map_err(|_| fault(&entry, "accept"))?;
                    self.receive(index)?;
                }
                SENT | CLOSED => {}
                index => self.handle_received(u32::try_from(index)?, &entry)?,
            }
        }
        self.batch = batch;
        if let Some(lent) = &self.lent {
            lent.publish();
        }
        Ok(())
    }

    fn handle_received(&mut self, index: u32, entry: &cqueue::Entry) -> Result<()> {
        if let (Some(lent), Some(buffer)) = (&mut self.lent, cqueue::buffer_select(entry.flags())) {
            lent.give_back(buffer, &self.memory);
        }
        let count = match usize::try_from(entry.result()) {
            // ENOBUFS: all buffers were out for a moment; the operation has ended and is put in again.
            Err(_) if entry.result() == -rustix::io::Errno::NOBUFS.raw_os_error() => {
                return self.receive(index);
            }
            Err(_) | Ok(0) => return self.close(index),
            Ok(count) => count,
        };
        let Some(received) = self.received.get_mut(index as usize) else { bail!("no connection {index}") };
        *received += count;
        let answers = *received / self.request_bytes;
        *received %= self.request_bytes;
        for _ in 0..answers {
            self.send(index)?;
        }
        if !cqueue::more(entry.flags()) {
            self.receive(index)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: u32) -> Result<()> {
        let entry = match self.receive {
            Receive::Multi => opcode::RecvMulti::new(Fixed(index), GROUP).build(),
            Receive::Single => {
                let buffer = self.memory.buffer(index as usize);
                opcode::Recv::new(Fixed(index), buffer, BUFFER_BYTES).build()
            }
        };
        self.push(&entry.user_data(u64::from(index)))
    }

    fn send(&mut self, index: u32) -> Result<()> {
        let length = u32::try_from(self.answer.len())?;
        // MSG_WAITALL: the kernel finishes a short send itself.
        let flags = i32::try_from(rustix::net::RecvFlags::WAITALL.bits())?;
        let entry = opcode::Send::new(Fixed(index), self.answer.as_ptr(), length).flags(flags).build();
        self.push(&entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(SENT))
    }

    fn close(&mut self, index: u32) -> Result<()> {
        if let Some(received) = self.received.get_mut(index as usize) {
            *received = 0;
        }
        self.push(&opcode::Close::new(Fixed(index)).build().user_data(CLOSED))
    }

    fn push(&mut self, entry: &squeue::Entry) -> Result<()> {
        loop {
            // SAFETY: every address in an entry points into leaked memory (answer, buffers), which outlives the ring.
            let pushed = unsafe { self.ring.submission().push(entry) };
            match pushed {
                Ok(()) => return Ok(()),
                Err(_) => self.ring.submit()?,
            };
        }
    }
}

fn fault(entry: &cqueue::Entry, what: &str) -> anyhow::Error {
    anyhow::Error::from(io::Error::from_raw_os_error(-entry.result())).context(what.to_owned())
}

/// Zeroed, page-aligned memory that is never freed, cut into buffers.
struct Memory {
    start: *mut u8,
    bytes: usize,
}

impl Memory {
    fn allocate(bytes: usize) -> Result<Self> {
        let layout = Layout::from_size_align(bytes, 4096)?;
        // SAFETY: the layout is not of size zero: both callers ask for at least one buffer.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            bail!("out of memory");
        }
        Ok(Self { start, bytes })
    }

    fn buffer(&self, index: usize) -> *mut u8 {
        let offset = index * BUFFER_BYTES as usize;
        assert!(offset < self.bytes, "buffer {index} lies inside the memory");
        self.start.wrapping_add(offset)
    }
}

/// The ring of buffers lent to the kernel.
struct Lent {
    entries: *mut BufRingEntry,
    tail: u16,
}

impl Lent {
    fn register(ring: &IoUring, memory: &Memory) -> Result<Self> {
        let entries =
            Memory::allocate(usize::from(BUFFERS) * size_of::<BufRingEntry>())?.start.cast::<BufRingEntry>();
        // SAFETY: the entries are page-aligned, as many as told, and never freed.
        unsafe { ring.submitter().register_buf_ring(entries as u64, BUFFERS, GROUP) }?;
        let mut lent = Self { entries, tail: 0 };
        for buffer in 0..BUFFERS {
            lent.give_back(buffer, memory);
        }
        lent.publish();
        Ok(lent)
    }

    fn give_back(&mut self, buffer: u16, memory: &Memory) {
        let slot = usize::from(self.tail % BUFFERS);
        // SAFETY: slot < BUFFERS, the memory is zeroed (a valid entry), and the kernel reads it only after publish.
        let entry = unsafe { &mut *self.entries.add(slot) };
        entry.set_addr(memory.buffer(usize::from(buffer)) as u64);
        entry.set_len(BUFFER_BYTES);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: `entries` is the base of a registered ring.
        let tail = unsafe { BufRingEntry::tail(self.entries) }.cast::<AtomicU16>();
        // SAFETY: the tail is an aligned u16 inside memory that is never freed and that only this thread writes.
        unsafe { &*tail }.store(self.tail, Ordering::Release);
    }
}
