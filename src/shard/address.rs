//! Where a listener listens: an address of the network, a path of this machine, a socket that systemd holds, or the
//! standard streams.
//! Next: `listen`, which makes sockets of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP: `127.0.0.1:8443`.
    Tcp(SocketAddr),
    /// A Unix socket: `unix:/run/mcpring/mcp.sock`.
    Unix(PathBuf),
    /// A socket that systemd passes under this name: `systemd:https`.
    Systemd(String),
    /// One client, connected from the start.
    Streams,
}

impl Address {
    /// Whether only this machine can reach it. What systemd passes is not known before it is there, so it counts as
    /// reachable from everywhere.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => match address.ip().to_canonical() {
                IpAddr::V4(ip) => ip.is_loopback(),
                IpAddr::V6(ip) => ip.is_loopback(),
            },
            Self::Unix(_) | Self::Streams => true,
            Self::Systemd(_) => false,
        }
    }

    /// Whether two listeners could not have both. Port 0 is a port of the kernel's choice, so it is always free.
    pub fn collides(&self, other: &Self) -> bool {
        let is_free = matches!(self, Self::Tcp(address) if address.port() == 0);
        self == other && !is_free
    }

    /// The TCP address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Systemd(_) | Self::Streams => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Systemd(name) => write!(formatter, "systemd:{name}"),
            Self::Streams => formatter.write_str("stdio"),
        }
    }
}
