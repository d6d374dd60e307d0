//! The form of a listener's address and of the mode of a Unix socket.
//! Next: `check/listeners`, which asks for both.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use super::{Malformed, malformed};
use crate::shard::address::Address;

/// `sun_path` of unix(7), less the zero behind it.
const PATH_BYTES_MAX: usize = 107;
/// `FileDescriptorName=` of systemd.socket(5).
const NAME_BYTES_MAX: usize = 255;

/// IP address and port, `unix:/path`, or `systemd:NAME`.
pub(in super::super) fn address(text: &str) -> Result<Address, Malformed> {
    match text.split_once(':') {
        Some(("unix", path)) => unix_path(path).map(Address::Unix),
        Some(("systemd", name)) => systemd_name(name).map(Address::Systemd),
        Some(_) | None => tcp_address(text).map(Address::Tcp),
    }
}

/// A path that names one file, wherever the process is started.
fn unix_path(text: &str) -> Result<PathBuf, Malformed> {
    let path = Path::new(text);
    if text.starts_with('@') || text.contains('\0') {
        return malformed(
            "abstract sockets have no file mode, so anybody may connect",
            "write \"unix:/run/mcpring/mcp.sock\"",
        );
    }
    if !path.is_absolute() {
        return malformed("the path does not begin at the root", "write \"unix:/run/mcpring/mcp.sock\"");
    }
    if text.len() > PATH_BYTES_MAX {
        let reason = format!("the path has {} bytes, the kernel takes {PATH_BYTES_MAX}", text.len());
        return malformed(reason, "write a shorter path, such as \"unix:/run/mcpring/mcp.sock\"");
    }
    let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !is_plain || text.contains("//") || text.contains("/./") || text.ends_with('/') || text.ends_with("/.")
    {
        return malformed(
            "it does not name a file",
            "write it without `//`, `/./`, `/../` and a `/` at its end",
        );
    }
    Ok(path.to_owned())
}

/// The name of a socket that systemd passes.
fn systemd_name(text: &str) -> Result<String, Malformed> {
    // systemd.socket(5): no control characters and no colon.
    let is_name = |c: char| c.is_ascii_graphic() && c != ':';
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.chars().all(is_name) {
        return malformed(
            "it is not the name of a descriptor",
            "write \"systemd:https\", with FileDescriptorName=https in the socket unit",
        );
    }
    Ok(text.to_owned())
}

/// The mode of a socket file: three octal digits for owner, group and others, of which others get nothing of their own
/// accord.
pub(in super::super) fn socket_mode(text: &str) -> Result<u32, Malformed> {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| digits.len() == 3 && !digits.starts_with('+'));
    match mode {
        // unix(7): to connect takes the right to write.
        Some(mode) if mode & 0o200 != 0 && mode & 0o111 == 0 => Ok(mode),
        Some(_) => malformed("its owner must be able to write, and nobody executes it", "write \"0660\""),
        None => malformed("it is not a mode", "write \"0660\", or \"0600\" for this user alone"),
    }
}

/// IP address and port.
fn tcp_address(text: &str) -> Result<SocketAddr, Malformed> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return malformed("the port is missing", format!("write \"{}\"", SocketAddr::new(ip, 8443)));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_err() => {
            malformed(format!("{port:?} is not a port"), format!("write \"{host}:8443\""))
        }
        Some(("localhost", port)) => {
            malformed("a host name is not an address", format!("write \"127.0.0.1:{port}\""))
        }
        Some(("" | "*", port)) => malformed("the IP address is missing", format!("write \"[::]:{port}\"")),
        Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => {
            malformed("IPv6 addresses need brackets", format!("write \"[{host}]:{port}\""))
        }
        Some(_) | None => {
            malformed("it is not an IP address and a port", "write \"127.0.0.1:8443\" or \"[::]:8443\"")
        }
    }
}
