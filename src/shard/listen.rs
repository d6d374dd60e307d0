//! Listening sockets: TCP is bound once a shard with SO_REUSEPORT, so that the kernel spreads connections; a Unix socket
//! and what systemd passes is one socket that all shards accept on.
//! Next: `serve`, what happens to an accepted socket.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::address::Address;

/// How often the kernel asks a peer that does not answer, and how many times, before the connection is over.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// How a socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// As given to listen(2).
    pub backlog: u32,
    /// Silence after which the kernel probes a TCP connection; zero is never.
    pub keepalive: Duration,
    /// Mode of the file of a Unix socket.
    pub mode: u32,
}

/// What a shard is given to serve.
pub enum Listening {
    /// A socket of this shard's own.
    Own(TcpListener),
    /// A handle of a listening socket that all shards have; non-blocking.
    Shared(OwnedFd),
    /// No listening socket at all: the one connection there will be.
    Connected(UnixStream),
}

/// The sockets of one listener.
pub struct Bound {
    /// Where it accepts, with the port the kernel chose for port 0.
    pub address: Address,
    /// One a shard.
    pub sockets: Vec<Listening>,
    /// The file of a Unix socket; it goes when this is dropped.
    pub file: Option<SocketFile>,
}

/// Binds `address` once for each of `shards`, non-blocking, IPv6 dual stack for `[::]`. Port 0 is resolved by the
/// first bind and shared by the rest.
///
/// # Errors
/// EADDRINUSE when another program has the address, EACCES for ports below 1024 without the capability.
pub fn bind(address: SocketAddr, options: Options, shards: usize) -> io::Result<Bound> {
    // Without SO_REUSEPORT first: with it, a second server of the same user would quietly take half the connections.
    drop(open(address, Options { backlog: 1, ..options }, Sharing::Exclusive)?);
    let first = open(address, options, Sharing::Shards)?;
    let address = first.local_addr()?;
    let mut sockets = vec![Listening::Own(first)];
    while sockets.len() < shards {
        sockets.push(Listening::Own(open(address, options, Sharing::Shards)?));
    }
    Ok(Bound { address: Address::Tcp(address), sockets, file: None })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Exclusive,
    Shards,
}

fn open(address: SocketAddr, options: Options, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Shards {
        socket.set_reuse_port(true)?;
    }
    prepare_tcp(&socket, options)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog(options))?;
    Ok(socket.into())
}

/// Accepted sockets inherit both (tcp(7)), which saves system calls for each.
fn prepare_tcp(socket: &Socket, options: Options) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    if options.keepalive.is_zero() {
        return socket.set_keepalive(false);
    }
    let interval = PROBE_INTERVAL.min(options.keepalive).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(options.keepalive.max(Duration::from_secs(1)));
    socket.set_tcp_keepalive(&keepalive.with_interval(interval).with_retries(PROBES))
}

fn backlog(options: Options) -> i32 {
    i32::try_from(options.backlog).unwrap_or(i32::MAX)
}

/// The file of a Unix socket, removed when this is dropped, unless something else stands in its place by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // Gone already is as good.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|facts| (facts.dev(), facts.ino()))
}

/// Binds a Unix socket for all `shards`. The file of a server that is no more is replaced.
///
/// # Errors
/// EADDRINUSE when a server answers there or the file is no socket; ENOENT when its folder is missing.
pub fn bind_unix(path: &Path, options: Options, shards: usize) -> io::Result<Bound> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // unix(7): the file gets the socket's own mode less the umask, so it is never open to more than it will be.
    fchmod(&socket, Mode::from_raw_mode(options.mode))?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        outcome => outcome?,
    }
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    fs::set_permissions(path, fs::Permissions::from_mode(options.mode))?;
    socket.listen(backlog(options))?;
    Ok(Bound { address: Address::Unix(path.to_owned()), sockets: share(&socket, shards)?, file: Some(file) })
}

/// Whether a file is a socket that nobody accepts on.
fn is_left_over(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|facts| facts.file_type().is_socket());
    let refused =
        || UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    is_socket && refused()
}

/// Takes over a listening stream socket that somebody else has opened, TCP or Unix.
///
/// # Errors
/// When it is not one.
pub fn adopt(name: &str, socket: &OwnedFd, options: Options, shards: usize) -> io::Result<Bound> {
    let socket = SockRef::from(socket);
    let is_stream = socket.r#type()? == Type::STREAM;
    if !is_stream || !socket.is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a listening stream socket"));
    }
    let local = socket.local_addr()?;
    let address = match local.as_socket() {
        Some(address) => {
            prepare_tcp(&socket, options)?;
            Address::Tcp(address)
        }
        None => match local.as_pathname() {
            Some(path) => Address::Unix(path.to_owned()),
            None => Address::Systemd(name.to_owned()),
        },
    };
    socket.set_nonblocking(true)?;
    Ok(Bound { address, sockets: share(&socket, shards)?, file: None })
}

/// A handle for each shard.
fn share(socket: &Socket, shards: usize) -> io::Result<Vec<Listening>> {
    (0..shards.max(1)).map(|_| socket.try_clone().map(|handle| Listening::Shared(handle.into()))).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::net::UnixListener;

    use super::*;

    const OPTIONS: Options = Options { backlog: 16, keepalive: Duration::from_secs(60), mode: 0o660 };

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn all_shards_share_the_port_that_the_first_got() {
        let bound = bind(any(), OPTIONS, 3).unwrap();
        let address = bound.address.tcp().unwrap();
        let ports: Vec<u16> = bound
            .sockets
            .iter()
            .map(|socket| match socket {
                Listening::Own(socket) => socket.local_addr().unwrap().port(),
                Listening::Shared(_) | Listening::Connected(_) => panic!("TCP is bound once a shard"),
            })
            .collect();
        assert_eq!(ports, [address.port(); 3]);
        assert_ne!(address.port(), 0);
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn an_address_in_use_is_an_error_even_for_the_same_user() {
        let first = bind(any(), OPTIONS, 2).unwrap();
        let taken = bind(first.address.tcp().unwrap(), OPTIONS, 2).err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn accepted_connections_inherit_keepalive_and_nodelay() {
        let bound = bind(any(), OPTIONS, 1).unwrap();
        let _client = TcpStream::connect(bound.address.tcp().unwrap()).unwrap();
        let Some(Listening::Own(listener)) = bound.sockets.first() else { panic!("one socket") };
        listener.set_nonblocking(false).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.keepalive().unwrap() && accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        let never = open(any(), Options { keepalive: Duration::ZERO, ..OPTIONS }, Sharing::Shards).unwrap();
        assert!(!SockRef::from(&never).keepalive().unwrap());
    }

    /// A path for a socket, in a folder that goes with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("mcpring-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn path(&self) -> PathBuf {
            self.0.join("s")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_socket_file_has_its_mode_and_goes_with_its_listener() {
        let scratch = Scratch::new("mode");
        for mode in [0o600, 0o660, 0o666] {
            let bound = bind_unix(&scratch.path(), Options { mode, ..OPTIONS }, 2).unwrap();
            assert_eq!(fs::metadata(scratch.path()).unwrap().permissions().mode() & 0o777, mode);
            assert_eq!(bound.sockets.len(), 2);
            UnixStream::connect(scratch.path()).unwrap();
            drop(bound);
            assert!(!scratch.path().exists());
        }
    }

    #[test]
    fn a_file_that_was_left_behind_is_replaced_and_anything_else_is_not() {
        let scratch = Scratch::new("stale");
        let path = scratch.path();
        drop(UnixListener::bind(&path).unwrap());
        let bound = bind_unix(&path, OPTIONS, 1).unwrap();
        let live = bind_unix(&path, OPTIONS, 1).err().unwrap();
        assert_eq!(live.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        // Somebody else has taken the name: what is theirs stays.
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(bound);
        UnixStream::connect(&path).unwrap();
        drop(other);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a text").unwrap();
        assert_eq!(bind_unix(&path, OPTIONS, 1).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a text");
    }

    #[test]
    fn adopts_listening_sockets_of_both_families_and_nothing_else() {
        let tcp = TcpListener::bind(any()).unwrap();
        let address = tcp.local_addr().unwrap();
        let bound = adopt("https", &tcp.into(), OPTIONS, 3).unwrap();
        assert_eq!((bound.address, bound.sockets.len()), (Address::Tcp(address), 3));
        let scratch = Scratch::new("adopt");
        let unix = UnixListener::bind(scratch.path()).unwrap();
        let bound = adopt("local", &unix.into(), OPTIONS, 1).unwrap();
        assert_eq!(bound.address, Address::Unix(scratch.path()));
        assert!(bound.file.is_none(), "the file is systemd's");
        let (pair, _other) = UnixStream::pair().unwrap();
        assert!(adopt("pair", &pair.into(), OPTIONS, 1).is_err());
        let udp = std::net::UdpSocket::bind(any()).unwrap();
        assert!(adopt("udp", &udp.into(), OPTIONS, 1).is_err());
    }
}
