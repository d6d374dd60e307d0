//! What a start asks of the machine: a driver, descriptors, addresses. Each refusal says what to change.
//! Never: a retry; what fails here fails the start or the reload.
//! Next: `process`, which calls these in order.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::config::checked::{Config, Driver, Listener, Pin, Runtime};
use super::files::reason;
use super::inherited::Passed;
use super::problem::{Exit, Problem};
use crate::shard::address::Address;
use crate::shard::driver::{self, Driver as ShardDriver};
use crate::shard::fleet::{Settings, Socket};
use crate::shard::listen::{self, Bound, Listening, SocketFile};

/// The driver of this process, and the warning to show when it is not the one hoped for.
pub fn choose_driver(runtime: &Runtime) -> Result<(ShardDriver, Option<Problem>), Problem> {
    let probed = match runtime.driver {
        Driver::Epoll => return Ok((ShardDriver::Epoll, None)),
        Driver::Auto | Driver::IoUring => driver::probe(runtime.ring_entries),
    };
    let Err(error) = probed else { return Ok((ShardDriver::IoUring, None)) };
    let sysctl = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match runtime.driver {
        Driver::IoUring => Err(ring_refused("E0410", &error, sysctl.trim()).exit(Exit::Unavailable)),
        Driver::Auto | Driver::Epoll => {
            Ok((ShardDriver::Epoll, Some(ring_refused("W0410", &error, sysctl.trim()))))
        }
    }
}

/// Cause and fix of a refused ring, from its error and `kernel.io_uring_disabled`.
fn ring_refused(code: &'static str, error: &io::Error, sysctl: &str) -> Problem {
    let is_warning = code.starts_with('W');
    let using = if is_warning { "; using epoll" } else { "" };
    let made = |what: String| {
        let what = format!("{what}{using}");
        if is_warning { Problem::warning(code, what) } else { Problem::error(code, what) }
    };
    let cause = format!("io_uring is not available here (io_uring_setup: {})", reason(error));
    let problem = match (error.raw_os_error().map(rustix::io::Errno::from_raw_os_error), sysctl) {
        (Some(rustix::io::Errno::PERM), "1" | "2") => made(format!(
            "io_uring is switched off on this host (sysctl kernel.io_uring_disabled = {sysctl})"
        ))
        .help("sysctl -w kernel.io_uring_disabled=0"),
        (Some(rustix::io::Errno::PERM), _) => made(cause)
            .note("Docker, containerd and Kubernetes block io_uring in their default seccomp profile")
            .help("docker run --security-opt seccomp=/usr/share/mcpring/seccomp-io_uring.json ..."),
        (Some(rustix::io::Errno::NOMEM), _) => made(cause)
            .note("the rings count against the limit on locked memory (ulimit -l)")
            .help("LimitMEMLOCK=infinity in the unit, or a smaller runtime.ring_entries"),
        (Some(rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL), _) => {
            made(cause).note("Linux 6.1 or newer is needed").help("a newer kernel")
        }
        _ => made(cause),
    };
    if is_warning {
        problem.help("runtime.driver = \"epoll\" hides this warning")
    } else {
        problem.help("runtime.driver = \"auto\" falls back to epoll")
    }
}

/// Raises the soft limit on open files to the hard one; returns what is left for connections.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.map_or(u64::MAX, connections_within)
}

/// Listeners, rings, files and standard streams take part of the descriptors.
fn connections_within(descriptors: u64) -> u64 {
    descriptors.saturating_sub(64 + descriptors / 20).max(1)
}

/// Lowers `wanted` to what the descriptors allow, with a warning when that is less.
pub fn bound_connections(wanted: usize, usable: u64) -> (usize, Option<Problem>) {
    match usize::try_from(usable) {
        Ok(usable) if usable < wanted => {
            let needed = wanted + wanted / 20 + 128;
            let what =
                format!("limits.max_connections = {wanted} is more than the limit on open files allows");
            let warning = Problem::warning("W0412", what)
                .note(format!("running with {usable} connections"))
                .help(format!("LimitNOFILE={needed} in the unit, or `ulimit -n {needed}`"));
            (usable, Some(warning))
        }
        Ok(_) | Err(_) => (wanted, None),
    }
}

/// How each shard runs.
pub fn build_settings(runtime: &Runtime, driver: ShardDriver) -> Vec<Settings> {
    runtime
        .cpus
        .iter()
        .map(|&cpu| {
            let cpu = match runtime.pin {
                Pin::Pinned => Some(cpu),
                Pin::Floating => None,
            };
            Settings { cpu, driver, ring_entries: runtime.ring_entries }
        })
        .collect()
}

/// Opens one listener's sockets for every shard: one set, or several where systemd has passed several of one name.
pub fn bind(listener: &Listener, passed: &Passed, shards: usize) -> Result<Vec<Bound>, Problem> {
    let options = listener.socket;
    let bound = match &listener.address {
        Address::Tcp(address) => listen::bind(*address, options, shards).map(|bound| vec![bound]),
        Address::Unix(path) => listen::bind_unix(path, options, shards).map(|bound| vec![bound]),
        Address::Systemd(name) => {
            if passed.find(name).next().is_none() {
                return Err(not_passed(&listener.name, name, &passed.names()));
            }
            passed.find(name).map(|socket| listen::adopt(name, socket, options, shards)).collect()
        }
        Address::Streams => {
            let sockets = passed.take_client().map(Listening::Connected).into_iter().collect();
            Ok(vec![Bound { address: Address::Streams, sockets, file: None }])
        }
    };
    bound.map_err(|error| match &listener.address {
        Address::Tcp(address) => bind_refused(&listener.name, *address, &error),
        Address::Unix(path) => path_refused(&listener.name, path, &error),
        Address::Systemd(_) | Address::Streams => {
            let (listener, name) = (&listener.name, &listener.address);
            let what = format!("listener `{listener}` can not accept on {name}");
            Problem::error("E0409", format!("{what}: {}", reason(&error)))
                .help("write ListenStream= in the socket unit")
        }
    })
}

/// Sockets by slot, and where they accept.
#[derive(Default)]
pub struct Opened {
    /// In the order that was wanted.
    pub addresses: Vec<Address>,
    /// By slot.
    pub sockets: Vec<(usize, Vec<Listening>)>,
    /// By slot.
    pub files: BTreeMap<usize, SocketFile>,
}

/// Opens the listeners named by configuration index, or none of them.
pub fn open(
    config: &Config,
    wanted: &[(usize, usize)],
    passed: &Passed,
    shards: usize,
) -> Result<Opened, Vec<Problem>> {
    let (mut opened, mut problems) = (Opened::default(), Vec::new());
    for &(index, slot) in wanted {
        let Some(listener) = config.listeners.get(index) else { continue };
        match bind(listener, passed, shards) {
            Ok(bound) => {
                opened.addresses.extend(bound.first().map(|bound| bound.address.clone()));
                for bound in bound {
                    opened.sockets.push((slot, bound.sockets));
                    opened.files.extend(bound.file.map(|file| (slot, file)));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(opened) } else { Err(problems) }
}

fn not_passed(listener: &str, name: &str, passed: &[&str]) -> Problem {
    let what = format!("systemd has passed no socket of the name \"{name}\" for listener `{listener}`");
    let problem = Problem::error("E0408", what).exit(Exit::Unavailable);
    match passed {
        [] => problem
            .note("this process was started without sockets ($LISTEN_FDS)")
            .help("start the socket unit: systemctl start mcpring.socket"),
        _ => problem
            .note(format!("passed: {}", passed.join(", ")))
            .help(format!("write FileDescriptorName={name} in the socket unit")),
    }
}

fn path_refused(name: &str, path: &Path, error: &io::Error) -> Problem {
    let cannot = format!("cannot listen on unix:{} for listener `{name}`", path.display());
    let problem = |code, why: &str, exit| Problem::error(code, format!("{cannot}: {why}")).exit(exit);
    let folder = path.parent().unwrap_or(path).display();
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        problem("E0401", "a server answers there, or the file is not a socket", Exit::Unavailable)
            .help(format!("stop it, or change listeners.{name}.address"))
    } else if kind == io::ErrorKind::PermissionDenied {
        problem("E0402", &reason(error), Exit::Permission).help(format!(
            "this user must be able to write to {folder}; RuntimeDirectory= in the unit makes one"
        ))
    } else if kind == io::ErrorKind::NotFound {
        problem("E0403", "its folder does not exist", Exit::Unavailable)
            .help(format!("mkdir -p {folder}, or RuntimeDirectory= in the unit"))
    } else {
        problem("E0404", &reason(error), Exit::Unavailable)
    }
}

fn bind_refused(name: &str, address: SocketAddr, error: &io::Error) -> Problem {
    let cannot = format!("cannot listen on {address} for listener `{name}`");
    let problem = |code, why: &str, exit| Problem::error(code, format!("{cannot}: {why}")).exit(exit);
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        let problem = problem("E0401", "address already in use", Exit::Unavailable);
        let problem = match super::holder::find(address.port()) {
            Some(holder) => problem.note(format!("held by {holder}")),
            None => problem,
        };
        problem.help(format!("stop it, or change listeners.{name}.address"))
    } else if kind == io::ErrorKind::PermissionDenied && address.port() < 1024 {
        problem("E0402", "ports below 1024 need CAP_NET_BIND_SERVICE", Exit::Permission)
            .help("the packaged systemd unit grants it; in Docker use 8443 and publish 443:8443")
    } else if kind == io::ErrorKind::PermissionDenied {
        problem("E0402", &reason(error), Exit::Permission)
    } else if kind == io::ErrorKind::AddrNotAvailable {
        problem("E0403", "this machine does not have the address", Exit::Unavailable)
            .help("[::] and 0.0.0.0 stand for all addresses; `ip address` lists them")
    } else {
        problem("E0404", &reason(error), Exit::Unavailable)
    }
}

/// Turns sockets by listener into sockets by shard. `bound` pairs the listener's index with its sockets.
pub fn share_out(bound: Vec<(usize, Vec<Listening>)>, shards: usize) -> Vec<Vec<Socket>> {
    let mut by_shard: Vec<Vec<Socket>> = (0..shards).map(|_| Vec::new()).collect();
    for (listener, sockets) in bound {
        for (shard, socket) in by_shard.iter_mut().zip(sockets) {
            shard.push(Socket { listener, socket });
        }
    }
    by_shard
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn names_cause_and_fix_of_a_refused_ring() {
        use rustix::io::Errno;
        for (errno, sysctl, first, help) in [
            (
                Errno::PERM,
                "0",
                "io_uring is not available here (io_uring_setup: Operation not permitted)",
                "docker run",
            ),
            (
                Errno::PERM,
                "2",
                "io_uring is switched off on this host (sysctl kernel.io_uring_disabled = 2)",
                "sysctl -w",
            ),
            (
                Errno::PERM,
                "1",
                "io_uring is switched off on this host (sysctl kernel.io_uring_disabled = 1)",
                "sysctl -w",
            ),
            (
                Errno::NOMEM,
                "0",
                "io_uring is not available here (io_uring_setup: Cannot allocate memory)",
                "LimitMEMLOCK",
            ),
            (
                Errno::NOSYS,
                "",
                "io_uring is not available here (io_uring_setup: Function not implemented)",
                "a newer",
            ),
            (
                Errno::INVAL,
                "0",
                "io_uring is not available here (io_uring_setup: Invalid argument)",
                "a newer",
            ),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            let warning = ring_refused("W0410", &error, sysctl);
            assert_eq!(warning.what, format!("{first}; using epoll"));
            assert!(warning.help[0].starts_with(help), "{warning}");
            assert_eq!(warning.help[1], "runtime.driver = \"epoll\" hides this warning");
            let refusal = ring_refused("E0410", &error, sysctl);
            assert_eq!(refusal.what, first);
            assert_eq!(refusal.severity, super::super::problem::Severity::Error);
        }
    }

    #[test]
    fn serves_as_many_connections_as_descriptors_allow() {
        assert_eq!(connections_within(1024), 909);
        assert_eq!(connections_within(0), 1);
        assert_eq!(bound_connections(900, 909), (900, None));
        assert_eq!(bound_connections(10_000, u64::MAX), (10_000, None));
        let (connections, warning) = bound_connections(10_000, 909);
        let warning = warning.unwrap();
        assert_eq!(connections, 909);
        assert_eq!(warning.notes, ["running with 909 connections"]);
        assert!(warning.help[0].starts_with("LimitNOFILE=10628"));
    }

    #[test]
    fn words_why_an_address_is_refused() {
        let address = "127.0.0.1:443".parse().unwrap();
        for (kind, code, exit) in [
            (io::ErrorKind::PermissionDenied, "E0402", Exit::Permission),
            (io::ErrorKind::AddrNotAvailable, "E0403", Exit::Unavailable),
            (io::ErrorKind::OutOfMemory, "E0404", Exit::Unavailable),
        ] {
            let problem = bind_refused("https", address, &io::Error::from(kind));
            assert_eq!((problem.code, problem.exit), (code, exit));
            assert!(problem.what.starts_with("cannot listen on 127.0.0.1:443 for listener `https`: "));
        }
    }

    #[test]
    fn words_why_a_path_or_a_name_is_refused() {
        let path = Path::new("/run/mcpring/mcp.sock");
        for (kind, code, exit, help) in [
            (io::ErrorKind::AddrInUse, "E0401", Exit::Unavailable, "change listeners.local.address"),
            (io::ErrorKind::PermissionDenied, "E0402", Exit::Permission, "write to /run/mcpring"),
            (io::ErrorKind::NotFound, "E0403", Exit::Unavailable, "mkdir -p /run/mcpring"),
        ] {
            let problem = path_refused("local", path, &io::Error::from(kind));
            assert_eq!((problem.code, problem.exit), (code, exit));
            assert!(problem.help[0].contains(help), "{problem}");
        }
        let problem = not_passed("https", "web", &[]);
        assert!(problem.notes[0].contains("without sockets"), "{problem}");
        let problem = not_passed("https", "web", &["http", "tcp"]);
        assert_eq!(problem.notes, ["passed: http, tcp"]);
        assert_eq!(problem.help, ["write FileDescriptorName=web in the socket unit"]);
    }

    #[test]
    fn names_the_holder_of_an_address() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let problem = bind_refused("https", address, &io::Error::from(io::ErrorKind::AddrInUse));
        assert_eq!((problem.code, problem.exit), ("E0401", Exit::Unavailable));
        assert!(problem.notes[0].ends_with(&format!("(pid {})", std::process::id())), "{problem}");
        assert_eq!(problem.help, ["stop it, or change listeners.https.address"]);
    }

    #[test]
    fn gives_each_shard_one_socket_of_each_listener() {
        let socket = || Listening::Own(TcpListener::bind("127.0.0.1:0").unwrap());
        let sockets = |count: usize| (0..count).map(|_| socket()).collect();
        let shared = share_out(vec![(4, sockets(2)), (7, sockets(2))], 2);
        let indices: Vec<Vec<usize>> =
            shared.iter().map(|shard| shard.iter().map(|socket| socket.listener).collect()).collect();
        assert_eq!(indices, [[4, 7], [4, 7]]);
    }
}
