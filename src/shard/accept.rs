//! The accept loops of a shard: one for a socket of its own, one for a socket that it shares with the other shards.
//! Next: `serve`, one accepted socket's life.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;

use super::socket::Socket;
use super::timers::Bell;
use super::worker::Shard;
use crate::pipeline::event::Count;
use crate::pipeline::peer::Peer;

/// How long an accept loop rests after a failure such as EMFILE, instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What stops an accept loop.
pub(super) enum Stopper {
    /// A second handle of the shard's own socket.
    Handle(TcpListener),
    /// What the loop on a shared socket listens for.
    Bell(Rc<Bell>),
}

impl Stopper {
    pub(super) fn stop(&self) {
        match self {
            // An accept must never be cancelled; this makes it return.
            Self::Handle(socket) => {
                let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
            }
            // A shared socket is not shut down: it may be systemd's, which goes on listening.
            Self::Bell(bell) => bell.drain(),
        }
    }
}

/// Accepts on a socket of the shard's own.
pub(super) async fn accept(shard: Rc<Shard>, listener: monoio::net::TcpListener, index: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => shard.admit(Socket::new(stream), peer.into(), index),
            Err(_) if !shard.is_listening(index) => return,
            Err(_) => rest(&shard).await,
        }
    }
}

/// A listening socket that other shards accept on too. The runtime's type for it is that of a Unix socket, whatever its
/// family: only the wait is the runtime's.
pub(super) struct SharedListener {
    waiting: monoio::net::UnixListener,
    socket: OwnedFd,
}

impl SharedListener {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let second = socket.try_clone()?;
        Ok(Self { waiting: monoio::net::UnixListener::from_std(UnixListener::from(second))?, socket })
    }

    /// Waits until there may be a connection; nothing when the bell says to stop.
    async fn readable(&self, bell: &Bell) -> Option<io::Result<()>> {
        let mut readable = pin!(self.waiting.readable(false));
        poll_fn(|context| {
            bell.listen(context.waker().clone());
            if bell.take_drain() {
                return Poll::Ready(None);
            }
            readable.as_mut().poll(context).map(Some)
        })
        .await
    }
}

/// Accepts on a shared socket: waits until there is something, then sees whether it is still there.
pub(super) async fn accept_shared(shard: Rc<Shard>, listener: SharedListener, index: usize, bell: Rc<Bell>) {
    while let Some(readable) = listener.readable(&bell).await {
        let accepted = readable.and_then(|()| SockRef::from(&listener.socket).accept());
        match accepted.and_then(|(socket, from)| Ok((Socket::adopt(socket, shard.driver)?, from))) {
            Ok((socket, from)) => {
                let peer = from.as_socket().map_or(Peer::Local, Peer::Network);
                shard.admit(socket, peer, index);
            }
            // Another shard was quicker.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => rest(&shard).await,
        }
    }
}

async fn rest(shard: &Shard) {
    shard.count(Count::ListenFailed);
    monoio::time::sleep(ACCEPT_PAUSE).await;
}
