//! The request target and the Host it must agree with.
//! Never: decoding of percent escapes, removal of dot segments, a second reading of the authority.
//! Next: `mod.rs`, which puts path, query and host into the head.

use std::net::Ipv6Addr;

use super::{HeadError, Method, Version};

/// A request target taken apart.
pub(super) struct Target<'a> {
    authority: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn decode(target: &'a str, method: Method) -> Result<Self, HeadError> {
        match (method, target.as_bytes()) {
            // RFC 9112 3.2.3: authority-form is CONNECT's alone, and this server is no tunnel.
            (Method::Connect, _) => Err(HeadError::BadTarget),
            // RFC 9112 3.2.1: origin-form.
            (_, [b'/', ..]) => Self::from_path(None, target),
            // RFC 9112 3.2.4: asterisk-form is for a server-wide OPTIONS only.
            (Method::Options, b"*") => Ok(Self { authority: None, path: "*", query: None }),
            (_, _) => Self::decode_absolute(target, method),
        }
    }

    /// RFC 9112 3.2.2: a server must accept absolute-form.
    fn decode_absolute(target: &'a str, method: Method) -> Result<Self, HeadError> {
        let (scheme, rest) = target.split_once("://").ok_or(HeadError::BadTarget)?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(HeadError::BadTarget);
        }
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at_checked(authority_end).ok_or(HeadError::BadTarget)?;
        if !is_host(authority) {
            return Err(HeadError::BadTarget);
        }
        let mut target = Self::from_path(Some(authority), path_and_query)?;
        if target.path.is_empty() {
            // RFC 9110 4.2.3: an empty path means "/"; RFC 9112 3.2.4: except that OPTIONS then means "*".
            target.path = match (method, target.query) {
                (Method::Options, None) => "*",
                (_, _) => "/",
            };
        }
        Ok(target)
    }

    fn from_path(authority: Option<&'a str>, path_and_query: &'a str) -> Result<Self, HeadError> {
        check_characters(path_and_query.as_bytes())?;
        Ok(match path_and_query.split_once('?') {
            Some((path, query)) => Self { authority, path, query: Some(query) },
            None => Self { authority, path: path_and_query, query: None },
        })
    }

    /// The one authority of the request: what Host says, which an absolute target must repeat.
    pub(super) fn host(
        &self,
        host: Option<&'a [u8]>,
        version: Version,
    ) -> Result<Option<&'a str>, HeadError> {
        let Some(host) = host else {
            return match version {
                // RFC 9112 3.2: Host is required in HTTP/1.1.
                Version::Http11 => Err(HeadError::MissingHost),
                Version::Http10 => Ok(self.authority),
            };
        };
        let host = str::from_utf8(host).ok().filter(|host| is_host(host)).ok_or(HeadError::BadHost)?;
        match self.authority {
            // RFC 9112 3.2.2 lets the target win over a differing Host; two names for one request are refused here.
            Some(authority) if !authority.eq_ignore_ascii_case(host) => Err(HeadError::AuthorityMismatch),
            Some(_) | None => Ok(Some(host)),
        }
    }
}

/// What a byte may be in a path or query (RFC 3986 3.3 and 3.4): no fragment, no white space, nothing outside ASCII.
const fn is_target_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';'
            | b'=' | b':' | b'@' | b'/' | b'?' | b'%'
    )
}

fn check_characters(path_and_query: &[u8]) -> Result<(), HeadError> {
    let is_escape =
        |after: &[u8]| matches!(after, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    // RFC 3986 2.1: an escape that is none would be read in as many ways as there are decoders.
    let valid = path_and_query.iter().all(|byte| is_target_byte(*byte))
        && path_and_query.split(|byte| *byte == b'%').skip(1).all(is_escape);
    if valid { Ok(()) } else { Err(HeadError::BadTarget) }
}

/// Checks `uri-host [ ":" port ]` (RFC 9110 7.2), narrower than RFC 3986 3.2.
///
/// Names have letters, digits, `-`, `.` and `_` only; escapes and punctuation, an empty host, an empty port and
/// a zone are refused: no resolver knows such names and every allow list would have to.
fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port));
    }
    let name_end = host.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(host.len());
    let Some((name, port)) = host.split_at_checked(name_end) else { return false };
    !name.is_empty() && (port.is_empty() || is_port(port))
}

/// What a name or an IPv4 address is made of.
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Checks `":" port`, a number of 16 bits.
fn is_port(port: &str) -> bool {
    // The parser of numbers takes a '+' as well.
    port.strip_prefix(':').is_some_and(|digits| !digits.starts_with('+') && digits.parse::<u16>().is_ok())
}
