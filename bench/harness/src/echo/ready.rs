//! Echo over epoll: the readiness way of the same work, one read and one write a request.
//! Never: a second read to see that nothing is left; edge-triggered events come again.
//! Next: [`crate::load`], which is built the same way.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Result, bail};
use rustix::event::epoll;

use super::{CONNECTIONS_MAX, Echo, REQUEST_BYTES_MAX};

const LISTENER: u64 = u64::MAX;
const EVENTS_MAX: usize = 256;

struct Peer {
    socket: TcpStream,
    received: usize,
}

/// Echoes on `listener` until the process ends.
///
/// # Errors
/// When the kernel refuses the epoll instance or an answer does not fit the socket.
pub fn serve(listener: &TcpListener, echo: &Echo) -> Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    let mut accepted = 0;
    let mut buffer = vec![0; REQUEST_BYTES_MAX];
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let index = event.data.u64();
            if index == LISTENER {
                if peers.len() >= usize::from(CONNECTIONS_MAX) {
                    bail!("more than {CONNECTIONS_MAX} connections");
                }
                let (socket, _) = listener.accept()?;
                socket.set_nonblocking(true)?;
                let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&epoll, &socket, epoll::EventData::new_u64(accepted), flags)?;
                peers.insert(accepted, Peer { socket, received: 0 });
                accepted += 1;
            } else if let Some(peer) = peers.get_mut(&index)
                && !answer(peer, echo, &mut buffer)?
            {
                peers.remove(&index);
            }
        }
    }
}

/// Reads once and answers each whole request; `false` when the connection ended.
fn answer(peer: &mut Peer, echo: &Echo, buffer: &mut [u8]) -> Result<bool> {
    match peer.socket.read(buffer) {
        Ok(0) => return Ok(false),
        Ok(count) => peer.received += count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
        Err(_) => return Ok(false),
    }
    while peer.received >= echo.request_bytes {
        peer.received -= echo.request_bytes;
        match peer.socket.write(&echo.answer) {
            Ok(sent) if sent == echo.answer.len() => {}
            Ok(_) => bail!("short write"),
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}
