//! One socket's life: it reads, hands the bytes to `pipeline::connection`, writes what comes back, and keeps time.
//! A warm connection waits with a leased buffer in the ring; after a few quiet milliseconds it gives the buffer back
//! and waits without one.
//! Never: a decision about a request; more than one read and one write in flight.
//! Next: `pipeline/connection/mod.rs`.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use monoio::io::{CancelHandle, Canceller};

use super::driver::Driver;
use super::socket::Socket;
use super::timers::Bell;
use super::worker::Shard;
use crate::pipeline::buffers::LARGE_READ_BYTES;
use crate::pipeline::connection::{Connection, Directive};
use crate::pipeline::event::Count;
use crate::pipeline::peer::Peer;
use crate::pipeline::turn::Turn;
use crate::wire::json::PADDING;

/// How long a quiet connection keeps its read buffer. Milliseconds; twice the width of a wheel's slot.
const WARM_MS: u64 = 16;

/// An answer that fits an empty socket buffer with room to spare. Bytes.
const SMALL_WRITE_BYTES_MAX: usize = 8 * 1024;

/// The kernel's word for a cancelled operation.
const ECANCELED: i32 = 125;

/// What a task waits for next.
enum Event {
    Received(io::Result<usize>, Vec<u8>),
    Sent(io::Result<()>, Vec<u8>),
    Expired,
    Drained,
    /// Certificates are judged by something else.
    JudgedAnew,
    Woken,
}

/// How a connection waits for input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Warmth {
    /// With a buffer.
    Warm,
    /// Without.
    Cold,
}

/// How much a read may bring.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Appetite {
    /// A pooled buffer.
    Small,
    /// The last read filled its buffer.
    Large,
}

/// What a task knows beside its connection.
struct Session {
    shard: Rc<Shard>,
    bell: Rc<Bell>,
    waker: Waker,
    connection: Connection,
    /// Index into the snapshot's listeners.
    listener: usize,
    /// Leased while it holds bytes.
    outbox: Vec<u8>,
    warmth: Warmth,
    appetite: Appetite,
    warm_until_ms: u64,
    send_by_ms: u64,
    /// When a small write is looked at although nothing has happened.
    look_at_ms: u64,
    /// The answer on its way is one that the kernel takes at once.
    is_small_write: bool,
    /// The task was woken and a call in flight may be why.
    is_call_due: bool,
    has_ended: bool,
    has_shut_down: bool,
    is_broken: bool,
}

/// Serves one accepted socket until it is closed.
pub(super) async fn serve(shard: Rc<Shard>, socket: Socket, peer: Peer, listener: usize) {
    let bell = Rc::new(Bell::default());
    let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    bell.listen(waker.clone());
    let key = shard.enter(bell.clone());
    let mut spare = Vec::new();
    let connection = shard.attempt(&waker, &mut spare, |turn| Connection::new(listener, peer, turn));
    if let Some(Ok(connection)) = connection {
        let mut session = Session {
            shard: shard.clone(),
            bell: bell.clone(),
            waker,
            connection,
            listener,
            outbox: Vec::new(),
            warmth: Warmth::Warm,
            appetite: Appetite::Small,
            warm_until_ms: shard.clock.tick().ms + WARM_MS,
            send_by_ms: u64::MAX,
            look_at_ms: u64::MAX,
            is_small_write: false,
            is_call_due: false,
            has_ended: false,
            has_shut_down: false,
            is_broken: false,
        };
        session.run(socket).await;
    }
    bell.close();
    shard.leave(key, peer, listener);
}

/// Waits for input. A cold connection leases its buffer only when there is something to read.
async fn receive(
    socket: Socket,
    shard: Rc<Shard>,
    warmth: Warmth,
    appetite: Appetite,
    cancel: CancelHandle,
) -> (io::Result<usize>, Vec<u8>) {
    if warmth == Warmth::Cold
        && let Err(error) = socket.clone().readable().await
    {
        return (Err(error), Vec::new());
    }
    let mut buffer = shard.lease();
    if appetite == Appetite::Large {
        buffer.reserve_exact(LARGE_READ_BYTES);
    }
    socket.read(buffer, cancel).await
}

impl Session {
    async fn run(&mut self, socket: Socket) {
        let mut canceller = Canceller::new();
        let mut reading = pin!(None);
        let mut writing = pin!(None);
        // Input that came while an answer was being sent.
        let mut aside: Option<(io::Result<usize>, Vec<u8>)> = None;
        loop {
            if writing.is_none() && !self.outbox.is_empty() {
                writing.set(Some(self.send(&socket)));
            }
            if reading.is_none() && aside.is_none() && !self.has_ended && self.connection.wants_input() {
                let (socket, shard) = (socket.clone(), self.shard.clone());
                reading.set(Some(receive(socket, shard, self.warmth, self.appetite, canceller.handle())));
            }
            self.set_alarm(writing.is_some());
            let mut is_first_poll = true;
            let event = poll_fn(|context| {
                let is_woken = !std::mem::take(&mut is_first_poll);
                self.is_call_due |= is_woken;
                // The next read is put into the ring together with the write: one system call for both. What comes
                // while an answer is on its way is set aside.
                if aside.is_none()
                    && let Some(read) = reading.as_mut().as_pin_mut()
                    && let Poll::Ready(received) = read.poll(context)
                {
                    reading.set(None);
                    aside = Some(received);
                }
                // The kernel takes a small answer at once, so its completion alone wakes nobody; it is seen when
                // something else happens.
                let is_unseen = self.is_small_write && !is_woken && aside.is_none();
                if !is_unseen
                    && let Some(write) = writing.as_mut().as_pin_mut()
                    && let Poll::Ready((result, buffer)) = write.poll(context)
                {
                    writing.set(None);
                    return Poll::Ready(Event::Sent(result, buffer));
                }
                if writing.is_none()
                    && let Some((result, buffer)) = aside.take()
                {
                    return Poll::Ready(Event::Received(result, buffer));
                }
                self.poll_bell(writing.is_some())
            })
            .await;
            self.shard.clock.tick();
            let is_idle_read = reading.is_some() && writing.is_none();
            match event {
                Event::Received(result, buffer) => self.received(result, buffer),
                Event::Sent(result, buffer) => self.sent(&result, buffer),
                Event::Drained => self.turn(Connection::handle_drain),
                Event::JudgedAnew => self.turn(Connection::handle_new_judge),
                Event::Woken => {}
                Event::Expired => {
                    if self.expired(writing.is_some(), is_idle_read) {
                        self.warmth = Warmth::Cold;
                        canceller = canceller.cancel();
                    }
                }
            }
            if writing.is_none() && std::mem::take(&mut self.is_call_due) && self.connection.has_call() {
                self.turn(Connection::handle_wake);
            }
            let is_written = writing.is_none() && self.outbox.is_empty();
            if self.is_broken || (is_written && self.is_over(&socket)) {
                break;
            }
        }
        self.close(&socket, reading.as_mut().as_pin_mut(), writing.as_mut().as_pin_mut()).await;
        if let Some((_, buffer)) = aside {
            self.shard.release(buffer);
        }
    }

    fn send(&mut self, socket: &Socket) -> impl Future<Output = (io::Result<()>, Vec<u8>)> + use<> {
        let timeout_ms = self.shard.send_timeout_ms(self.listener);
        let now_ms = self.shard.clock.now().ms;
        self.send_by_ms = now_ms.saturating_add(timeout_ms);
        self.look_at_ms = now_ms + WARM_MS;
        let (bell, shard) = (self.bell.clone(), self.shard.clone());
        let outbox = std::mem::take(&mut self.outbox);
        self.is_small_write = shard.driver == Driver::IoUring
            && outbox.len() <= SMALL_WRITE_BYTES_MAX
            && self.connection.directive() == Directive::Continue
            && !self.connection.has_call();
        socket.clone().write(outbox, move || {
            bell.note_progress(shard.clock.now().ms.saturating_add(timeout_ms));
        })
    }

    /// What the bell and the tools have to say.
    fn poll_bell(&mut self, is_writing: bool) -> Poll<Event> {
        if self.bell.take_expired() {
            return Poll::Ready(Event::Expired);
        }
        if self.bell.take_drain() {
            return Poll::Ready(Event::Drained);
        }
        if !is_writing && self.bell.take_judged_anew() {
            return Poll::Ready(Event::JudgedAnew);
        }
        if self.is_call_due && !is_writing && self.connection.has_call() {
            return Poll::Ready(Event::Woken);
        }
        Poll::Pending
    }

    fn received(&mut self, result: io::Result<usize>, mut buffer: Vec<u8>) {
        match result {
            Ok(bytes) if bytes > 0 => {
                let is_filled = bytes + PADDING >= buffer.capacity();
                self.appetite = if is_filled { Appetite::Large } else { Appetite::Small };
                self.turn(|connection, turn| connection.handle_bytes(&mut buffer, turn));
                self.warmth = Warmth::Warm;
                self.warm_until_ms = self.shard.clock.now().ms + WARM_MS;
            }
            Err(error) if error.raw_os_error() == Some(ECANCELED) => {}
            Ok(_) | Err(_) => {
                self.has_ended = true;
                self.turn(Connection::handle_end_of_input);
            }
        }
        if buffer.capacity() > 0 {
            self.shard.release(buffer);
        }
    }

    fn sent(&mut self, result: &io::Result<()>, buffer: Vec<u8>) {
        self.shard.release(buffer);
        self.send_by_ms = u64::MAX;
        match result {
            Ok(()) if self.connection.is_paused() => self.turn(Connection::handle_written),
            Ok(()) => {}
            Err(_) => self.is_broken = true,
        }
    }

    /// Handles a passed deadline; true when it is time to cool down.
    fn expired(&mut self, is_writing: bool, is_idle_read: bool) -> bool {
        let now_ms = self.shard.clock.now().ms;
        if is_writing {
            // Until the peer has read, nothing else of this connection moves: a tool that reports on would only pile up.
            if now_ms >= self.send_deadline_ms() {
                self.shard.count(Count::RespondTimedOut);
                self.is_broken = true;
            }
            return false;
        }
        if now_ms >= self.connection.poll_timeout() {
            self.turn(Connection::handle_timeout);
        }
        is_idle_read && self.warmth == Warmth::Warm && now_ms >= self.warm_until_ms
    }

    fn send_deadline_ms(&self) -> u64 {
        self.send_by_ms.max(self.bell.progress_ms())
    }

    fn set_alarm(&self, is_writing: bool) {
        let deadline_ms = match (is_writing, self.warmth) {
            (true, _) if self.is_small_write => self.send_deadline_ms().min(self.look_at_ms),
            (true, _) => self.send_deadline_ms(),
            (false, Warmth::Warm) => self.connection.poll_timeout().min(self.warm_until_ms),
            (false, Warmth::Cold) => self.connection.poll_timeout(),
        };
        self.shard.wheel.set(&self.bell, deadline_ms);
    }

    /// Whether the socket may be closed now that nothing is left to write.
    fn is_over(&mut self, socket: &Socket) -> bool {
        match self.connection.directive() {
            Directive::Continue => false,
            Directive::ShutDown => {
                if !std::mem::replace(&mut self.has_shut_down, true) {
                    socket.shut_down_write();
                }
                self.has_ended
            }
            Directive::Close => true,
        }
    }

    /// Lets the connection take a turn. A panic ends this connection alone.
    fn turn(&mut self, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let Self { shard, connection, outbox, waker, .. } = self;
        if outbox.capacity() == 0 {
            *outbox = shard.lease();
        }
        let done = shard.attempt(waker, outbox, |turn| act(connection, turn));
        if outbox.is_empty() {
            shard.release(std::mem::take(outbox));
        }
        self.is_broken |= done.is_none();
    }

    /// Takes back what is still lent out. Ending both directions makes operations in flight complete.
    async fn close(
        &mut self,
        socket: &Socket,
        reading: Option<std::pin::Pin<&mut impl Future<Output = (io::Result<usize>, Vec<u8>)>>>,
        writing: Option<std::pin::Pin<&mut impl Future<Output = (io::Result<()>, Vec<u8>)>>>,
    ) {
        if reading.is_some() || writing.is_some() {
            socket.shut_down_both();
        }
        for buffer in [
            match reading {
                Some(reading) => reading.await.1,
                None => Vec::new(),
            },
            match writing {
                Some(writing) => writing.await.1,
                None => Vec::new(),
            },
            std::mem::take(&mut self.outbox),
        ] {
            if buffer.capacity() > 0 {
                self.shard.release(buffer);
            }
        }
        let Self { shard, connection, waker, .. } = self;
        let mut spare = Vec::new();
        if self.is_broken {
            shard.turn(waker, &mut spare, |turn| connection.note_broken(turn));
        }
        shard.attempt(waker, &mut spare, |turn| connection.release(turn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_task<F>(_: impl Fn(Rc<Shard>, Socket, Peer, usize) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connections_task_stays_small() {
        let bytes = size_of_task(serve);
        assert!(bytes <= 1_760, "{bytes} bytes; every idle connection holds that");
    }
}
