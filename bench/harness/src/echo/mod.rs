//! The floor: servers that count the bytes of a request and send fixed bytes back, nothing else.
//! What any server costs above this is its own doing; what it costs here is the kernel's.
//! Never: parsing; that is what the others are compared for.
//! Next: [`ring`], over io_uring; [`ready`], over epoll.

pub mod ring;
pub mod ready;

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;

/// Connections an echo server takes at most.
pub const CONNECTIONS_MAX: u16 = 16384;

/// Largest request an echo server takes in one piece, in bytes.
pub const REQUEST_BYTES_MAX: usize = 4096;

/// What is echoed.
#[derive(Debug, Clone)]
pub struct Echo {
    /// Bytes of one request.
    pub request_bytes: usize,
    /// The answer to each.
    pub answer: Vec<u8>,
}

/// Binds a listener; connections accepted from it inherit TCP_NODELAY.
///
/// # Errors
/// When the address is taken.
pub fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}
