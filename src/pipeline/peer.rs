//! The other end of a connection: an address of the network, or a process of this machine.
//! Next: `snapshot`, what the listener it came to says of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP.
    Network(SocketAddr),
    /// Over a Unix socket or the standard streams.
    Local,
}

impl Peer {
    /// The address by which limits are kept; a process of this machine counts as loopback.
    pub fn address(self) -> IpAddr {
        match self {
            Self::Network(address) => address.ip(),
            Self::Local => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Network(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(formatter),
            Self::Local => formatter.write_str("local"),
        }
    }
}
