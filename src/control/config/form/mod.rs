//! Strings that have a form: addresses, CPU lists, paths, host names, origins, header names. One function a form:
//! text in, value or reason out.
//! Next: `check`, which asks for each.

mod address;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::nearest::nearest;
pub(super) use address::{address, socket_mode};

/// Why a text does not have its form, and what would.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Stands at the caret.
    pub(super) reason: String,
    /// What to type.
    pub(super) help: String,
}

/// Most CPUs a list may name; the kernel's own bound on most builds is 8192.
const CPU_MAX: usize = 8191;

/// Header fields with a meaning of their own, which can not carry a key.
const RESERVED_HEADERS: &[&str] = &[
    "accept",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "origin",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// As the filter spells them.
const LOG_LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Shortens the making of a `Malformed`.
fn malformed<T>(reason: impl Into<String>, help: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed { reason: reason.into(), help: help.into() })
}

/// The CPUs of a list such as `0,2-4`; nothing for `all`.
pub(super) fn cpus(text: &str) -> Result<Option<Vec<usize>>, Malformed> {
    if text == "all" {
        return Ok(None);
    }
    let help = "write \"all\", or CPU numbers such as \"0,2-4\"";
    let mut cpus = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>()) else {
            return malformed(format!("{part:?} is not a CPU or a range of CPUs"), help);
        };
        if first > last || last > CPU_MAX {
            return malformed(format!("{part:?} is not a range of CPUs from 0 to {CPU_MAX}"), help);
        }
        cpus.extend(first..=last);
    }
    let mut sorted = cpus.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != cpus.len() {
        return malformed("a CPU is named twice", help);
    }
    Ok(Some(cpus))
}

/// The path of an endpoint: what the request line must hold, byte for byte.
pub(super) fn endpoint_path(text: &str) -> Result<String, Malformed> {
    // RFC 3986 3.3: the characters of a path segment, without percent encoding.
    let is_path_char = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c);
    if !text.starts_with('/') {
        return malformed(
            "it does not start with `/`",
            format!("write \"/{}\"", text.trim_start_matches('/')),
        );
    }
    if let Some(c) = text.chars().find(|c| !is_path_char(*c)) {
        return malformed(
            format!("{c:?} can not be in a path"),
            "write \"/mcp\"; query and fragment are not part of it",
        );
    }
    if text.contains("//") || text.split('/').any(|segment| segment == "." || segment == "..") {
        return malformed("clients would send it in another form", "write it without `//`, `/./` and `/../`");
    }
    Ok(text.to_owned())
}

/// A host name or IP address without a port, in lower case, IPv6 without brackets.
pub(super) fn hostname(text: &str) -> Result<String, Malformed> {
    if let Some(ip) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return ip.parse::<Ipv6Addr>().map(|ip| ip.to_string()).or_else(|_| no_hostname(text));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    if text.contains("://") || text.contains('/') {
        return malformed("it is a URL or a path", "write the host alone, such as \"mcp.example.com\"");
    }
    if let Some((host, _)) = text.rsplit_once(':') {
        return malformed("ports are not compared", format!("write \"{host}\""));
    }
    let text = text.to_ascii_lowercase();
    let is_label_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    // RFC 1123 2.1 and RFC 1035 2.3.4; the underscore is common in container networks.
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(is_label_char)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    // WHATWG URL: a host whose last label is a number is an IPv4 address, and this one is none.
    let is_number = last.chars().all(|c| c.is_ascii_digit());
    if text.len() > 253 || is_number || !text.split('.').all(is_label) {
        return no_hostname(&text);
    }
    Ok(text)
}

/// The answer for what can not be a host name.
fn no_hostname(text: &str) -> Result<String, Malformed> {
    if text.contains('*') {
        return malformed("this version compares whole names", "list each name");
    }
    if !text.is_ascii() {
        return malformed("it is not ASCII", "write the name as DNS has it, \"xn--...\"");
    }
    malformed("it is not a host name", "write a name such as \"mcp.example.com\"")
}

/// Where a URL points.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublicUrl {
    /// Serialised, lower case.
    pub(super) origin: String,
    /// As `hostname` returns it.
    pub(super) host: String,
    /// Written, or the scheme's own.
    pub(super) port: u16,
    /// What follows the origin.
    pub(super) path: String,
}

/// An absolute http or https URL without user, query and fragment.
pub(super) fn public_url(text: &str) -> Result<PublicUrl, Malformed> {
    let (url, path) = split_url(text)?;
    if path.contains(['?', '#']) || !path.chars().all(|c| c.is_ascii_graphic()) {
        return malformed("it has more than a path behind the host", format!("write \"{}\"", url.origin));
    }
    Ok(PublicUrl { path: path.to_owned(), ..url })
}

/// A URL that is asked for something that has to be true: https, or http on loopback.
pub(super) fn fetched_url(text: &str) -> Result<String, Malformed> {
    let (url, path) = split_url(text)?;
    if path.contains('#') || !path.chars().all(|c| c.is_ascii_graphic()) {
        return malformed(
            "it has a fragment, or a character that no URL has",
            format!("write \"{}\"", url.origin),
        );
    }
    let is_loopback = url.host == "localhost" || url.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if url.origin.starts_with("http://") && !is_loopback {
        return malformed(
            "whoever is on the way could answer",
            text.replacen("http://", "write \"https://", 1) + "\"",
        );
    }
    Ok(text.to_owned())
}

/// A serialised origin (RFC 6454 6.2) in lower case: scheme, host, and the port unless it is the scheme's own.
pub(super) fn origin(text: &str) -> Result<String, Malformed> {
    if text == "*" || text == "null" {
        return malformed("it would admit pages of anybody", "list the origins you trust");
    }
    let (url, path) = split_url(text)?;
    if !path.is_empty() || text.len() != url.origin.len() {
        return malformed("browsers send another form", format!("write \"{}\"", url.origin));
    }
    Ok(url.origin)
}

/// Splits a URL into its origin and what follows.
fn split_url(text: &str) -> Result<(PublicUrl, &str), Malformed> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return malformed("the scheme is missing", format!("write \"https://{text}\""));
    };
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => {
            return malformed(
                format!("{scheme:?} is not http or https"),
                format!("write \"https://{rest}\""),
            );
        }
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return malformed("it names a user", "leave out what stands before `@`");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse::<u16>() {
            Ok(port) if port != 0 => (host, port),
            Ok(_) | Err(_) => {
                return malformed(format!("{port:?} is not a port"), format!("write \"{scheme}://{host}\""));
            }
        },
        Some(_) | None => (authority, own_port),
    };
    let is_bare_v6 = host.parse::<Ipv6Addr>().is_ok();
    if is_bare_v6 {
        return malformed("IPv6 addresses need brackets", format!("write \"{scheme}://[{host}]\""));
    }
    let host = hostname(host)?;
    let shown = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() };
    let origin =
        if port == own_port { format!("{scheme}://{shown}") } else { format!("{scheme}://{shown}:{port}") };
    Ok((PublicUrl { origin, host, port, path: String::new() }, path))
}

/// A header name in lower case.
pub(super) fn header_name(text: &str) -> Result<String, Malformed> {
    // RFC 9110 5.6.2: token.
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let name = text.to_ascii_lowercase();
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_token) {
        return malformed("it is not a header name", "write header = \"X-API-Key\"");
    }
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return malformed("that header has a meaning of its own", "write header = \"X-API-Key\"");
    }
    Ok(name)
}

/// A WebSocket subprotocol.
pub(super) fn subprotocol(text: &str) -> Result<String, Malformed> {
    // RFC 6455 4.1: the characters of a token.
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_token) {
        return malformed("it is not a token", "write \"mcp\"");
    }
    Ok(text.to_owned())
}

/// A filter for log lines.
pub(super) fn log_filter(text: &str) -> Result<String, Malformed> {
    // The filter itself would take a misspelt level for the name of a module, and log nothing.
    let is_known = |part: &str| LOG_LEVELS.contains(&part) || part.contains("::") || part.contains('=');
    if let Some(part) = text.split(',').map(str::trim).find(|part| !is_known(part)) {
        let near = nearest(part, LOG_LEVELS.iter().copied()).unwrap_or("info");
        return malformed(format!("{part:?} is not a level"), format!("write level = \"{near}\""));
    }
    match crate::control::log::decode_filter(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => {
            malformed(problem.to_string(), "write level = \"info\" or \"info,mcpring::pipeline=debug\"")
        }
    }
}

/// The name of an environment variable or of a credential: one path segment.
pub(super) fn source_name(text: &str) -> Result<String, Malformed> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if text.is_empty() || text == "." || text == ".." || !text.chars().all(is_name) {
        return malformed(
            "it is not a name",
            "use letters, digits, `_`, `-` and `.`; the secret itself is never written here",
        );
    }
    Ok(text.to_owned())
}

/// What keys begin with: one word that a scanner can look for.
pub(super) fn key_prefix(text: &str) -> Result<String, Malformed> {
    let is_plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !(2..=16).contains(&text.len()) || !is_plain {
        return malformed(
            "it is not one short word",
            "write 2 to 16 lower-case letters and digits, such as \"mrk\"",
        );
    }
    Ok(text.to_owned())
}

/// A pattern of a role, as far as its characters go; its meaning is the policy's.
pub(super) fn pattern(text: &str) -> Result<String, Malformed> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return malformed("it is empty or has spaces", "write \"tools/call:native/*\" or \"tools/list\"");
    }
    Ok(text.to_owned())
}

/// The names of this machine for itself, as `hostname` writes them.
pub(super) fn loopback_names() -> [String; 3] {
    ["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()]
}
