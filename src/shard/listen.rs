//! Listening sockets: bound once a shard with SO_REUSEPORT, so that the kernel spreads connections.
//! Next: `serve`, what happens to an accepted socket.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Binds `address` once for each of `shards`, non-blocking, IPv6 dual stack for `[::]`. Port 0 is resolved by the
/// first bind and shared by the rest.
///
/// # Errors
/// EADDRINUSE when another program has the address, EACCES for ports below 1024 without the capability.
pub fn bind(address: SocketAddr, backlog: u32, shards: usize) -> io::Result<Vec<TcpListener>> {
    // Without SO_REUSEPORT first: with it, a second server of the same user would quietly take half the connections.
    drop(open(address, 1, Sharing::Exclusive)?);
    let mut sockets: Vec<TcpListener> = Vec::with_capacity(shards);
    for _ in 0..shards.max(1) {
        let address = match sockets.first() {
            Some(first) => first.local_addr()?,
            None => address,
        };
        sockets.push(open(address, backlog, Sharing::Shards)?);
    }
    Ok(sockets)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Exclusive,
    Shards,
}

fn open(address: SocketAddr, backlog: u32, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Shards {
        socket.set_reuse_port(true)?;
    }
    // Accepted sockets inherit it (tcp(7)), which saves a system call each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn all_shards_share_the_port_that_the_first_got() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 16, 3).unwrap();
        let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports.iter().all(|port| *port == ports[0] && *port != 0));
        TcpStream::connect(("127.0.0.1", ports[0])).unwrap();
    }

    #[test]
    fn an_address_in_use_is_an_error_even_for_the_same_user() {
        let first = bind("127.0.0.1:0".parse().unwrap(), 16, 2).unwrap();
        let taken = bind(first[0].local_addr().unwrap(), 16, 2).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
