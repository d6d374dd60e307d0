//! One stream socket, TCP or Unix, of which a read, a write and a wait may be in flight at once.
//! A home of unsafe code: monoio's methods want `&mut`, but its streams may be split (`monoio::io::Split`).
//! Next: `serve`, the only user.
#![expect(unsafe_code, reason = "monoio's stream methods take &mut self although the stream is splittable")]

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::rc::Rc;

use monoio::BufResult;
use monoio::buf::{IoBuf, IoBufMut, Slice};
use monoio::io::{AsyncWriteRent, CancelHandle, CancelableAsyncReadRent};
use monoio::net::TcpStream;

use super::driver::Driver;
use crate::wire::json::PADDING;

/// A shared handle to a stream. Not `Send`: it belongs to its shard. A Unix socket is in a `TcpStream` as well: monoio
/// reads and writes both with recv(2) and send(2), and one type keeps a connection's task small.
#[derive(Clone)]
pub(super) struct Socket(Rc<UnsafeCell<TcpStream>>);

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Rc::new(UnsafeCell::new(stream)))
    }

    /// A socket that was accepted or made outside the runtime, of either family.
    pub(super) fn adopt(socket: socket2::Socket, driver: Driver) -> io::Result<Self> {
        // io_uring waits by itself, and answers EAGAIN where it is told not to.
        socket.set_nonblocking(driver == Driver::Epoll)?;
        TcpStream::from_std(socket.into()).map(Self::new)
    }

    /// Waits until there is something to read, without owning a buffer.
    pub(super) async fn readable(self) -> io::Result<()> {
        // SAFETY: `readable` takes `&self` and uses the descriptor alone, which nothing ever changes.
        let stream = unsafe { &*self.0.get() };
        stream.readable(true).await
    }

    /// Reads into `buffer`, which comes back in any case, holding exactly what was read.
    pub(super) async fn read(self, buffer: Vec<u8>, cancel: CancelHandle) -> (io::Result<usize>, Vec<u8>) {
        // SAFETY: monoio implements `Split` for TcpStream: a read touches nothing that a write or a wait does, and
        // `serve` has at most one read in flight. The stream outlives the future, which owns `self`.
        let stream = unsafe { &mut *self.0.get() };
        // The JSON parser may look a little past what was read.
        let room = buffer.capacity().saturating_sub(PADDING);
        let (result, slice) = stream.cancelable_read(buffer.slice_mut(..room), cancel).await;
        (result, slice.into_inner())
    }

    /// Writes all of `buffer`, which comes back in any case. `progressed` is called after each part. On io_uring the
    /// first part is in the ring when this returns, before the future is polled.
    pub(super) fn write(
        self,
        buffer: Vec<u8>,
        mut progressed: impl FnMut(),
    ) -> impl Future<Output = (io::Result<()>, Vec<u8>)> {
        let mut part = self.write_part(buffer, 0);
        async move {
            let mut written = 0;
            loop {
                let (result, slice) = part.await;
                let buffer = slice.into_inner();
                match result {
                    Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buffer),
                    Ok(bytes) => written += bytes,
                    Err(error) => return (Err(error), buffer),
                }
                progressed();
                if written >= buffer.len() {
                    return (Ok(()), buffer);
                }
                part = self.write_part(buffer, written);
            }
        }
    }

    fn write_part(
        &self,
        buffer: Vec<u8>,
        from: usize,
    ) -> impl Future<Output = BufResult<usize, Slice<Vec<u8>>>> + use<> {
        // SAFETY: as for `read`; `serve` has at most one write in flight, and `write` keeps `self` until it is done.
        let stream = unsafe { &mut *self.0.get() };
        stream.write(buffer.slice(from..))
    }

    /// Sends FIN; reading goes on.
    pub(super) fn shut_down_write(&self) {
        self.shut_down(rustix::net::Shutdown::Write);
    }

    /// Ends both directions, so that whatever is in flight completes.
    pub(super) fn shut_down_both(&self) {
        self.shut_down(rustix::net::Shutdown::Both);
    }

    fn shut_down(&self, how: rustix::net::Shutdown) {
        // SAFETY: `as_raw_fd` takes `&self` and reads a number.
        let fd = unsafe { &*self.0.get() }.as_raw_fd();
        // SAFETY: `self` keeps the descriptor open for the duration of the call.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        // A peer that has already gone leaves nothing to shut down.
        let _ = rustix::net::shutdown(fd, how);
    }
}
