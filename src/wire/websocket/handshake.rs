//! The opening handshake, a server's half (RFC 6455 4.2): judges the request and computes what the answer must hold.
//! Never: a word about who may connect, an extension, the answer's bytes.
//! Next: `wire/http/head` for how the request was read, `decode.rs` for what follows the answer.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::http::head::{BodyLength, Head, Method, Version};

/// What every key is hashed with (RFC 6455 1.3).
const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Sixteen bytes in base64.
const KEY_BYTES: usize = 24;
/// The only version there is, as `Sec-WebSocket-Version` has it.
pub const VERSION: &str = "13";

/// A request that may be answered with 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade<'p> {
    /// The value of `Sec-WebSocket-Accept`, which is ASCII.
    pub accept: [u8; 28],
    /// The value of `Sec-WebSocket-Protocol`.
    pub subprotocol: &'p str,
}

/// Why a request is not answered with 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// A method other than GET.
    #[error("upgrade by a method other than GET")]
    NotGet,
    /// HTTP/1.0.
    #[error("upgrade in HTTP/1.0")]
    OldHttp,
    /// A body.
    #[error("upgrade with a body")]
    Body,
    /// No `Upgrade` that names `websocket`.
    #[error("Upgrade does not name websocket")]
    NoUpgrade,
    /// No `Connection` that names `Upgrade`.
    #[error("Connection does not name Upgrade")]
    NoConnection,
    /// Not exactly one `Sec-WebSocket-Version` that is 13: the answer is 426 and names [`VERSION`].
    #[error("WebSocket version not supported")]
    UnsupportedVersion,
    /// Not exactly one `Sec-WebSocket-Key` with 16 bytes in base64.
    #[error("malformed Sec-WebSocket-Key")]
    BadKey,
    /// None of the served subprotocols is offered.
    #[error("no served subprotocol is offered")]
    NoSubprotocol,
}

impl UpgradeError {
    /// The status code of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::NotGet => 405,
            // RFC 6455 4.2.2: 426 with the versions that are understood.
            Self::UnsupportedVersion => 426,
            Self::OldHttp
            | Self::Body
            | Self::NoUpgrade
            | Self::NoConnection
            | Self::BadKey
            | Self::NoSubprotocol => 400,
        }
    }
}

/// Whether this GET asks for a WebSocket, well or badly.
///
/// Costs a request without `Upgrade` one comparison.
pub fn is_upgrade(head: &Head<'_, '_>) -> bool {
    // RFC 9110 7.8: Upgrade MUST be ignored in an HTTP/1.0 request.
    head.known.upgrade.is_some()
        && head.method == Method::Get
        && head.version == Version::Http11
        && names(head, "upgrade", b"websocket")
}

/// Judges an opening request; of the `served` subprotocols the first that is offered is chosen.
///
/// # Errors
/// For the first rule of RFC 6455 4.2.1 that is broken, and when no served subprotocol is offered.
pub fn judge<'p>(head: &Head<'_, '_>, served: &[&'p str]) -> Result<Upgrade<'p>, UpgradeError> {
    if head.method != Method::Get {
        return Err(UpgradeError::NotGet);
    }
    if head.version != Version::Http11 {
        return Err(UpgradeError::OldHttp);
    }
    match head.body {
        BodyLength::None | BodyLength::Length(0) => {}
        BodyLength::Length(_) | BodyLength::Chunked => return Err(UpgradeError::Body),
    }
    if !names(head, "upgrade", b"websocket") {
        return Err(UpgradeError::NoUpgrade);
    }
    if !names(head, "connection", b"upgrade") {
        return Err(UpgradeError::NoConnection);
    }
    if only(head, "sec-websocket-version") != Some(VERSION.as_bytes()) {
        return Err(UpgradeError::UnsupportedVersion);
    }
    let key = only(head, "sec-websocket-key").filter(|key| is_key(key)).ok_or(UpgradeError::BadKey)?;
    let offered =
        |served: &&&str| head.elements("sec-websocket-protocol").any(|offered| offered == served.as_bytes());
    let subprotocol = served.iter().find(offered).ok_or(UpgradeError::NoSubprotocol)?;
    Ok(Upgrade { accept: accept(key), subprotocol })
}

/// The value of `Sec-WebSocket-Accept` for a key as it was sent (RFC 6455 4.2.2).
///
/// SHA-1 protects nothing here: it shows that the answer was made for this request.
pub fn accept(key: &[u8]) -> [u8; 28] {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    let mut accept = [0; 28];
    let written = STANDARD.encode_slice(hash.finish(), &mut accept);
    debug_assert_eq!(written, Ok(accept.len()), "20 bytes are 28 in base64");
    accept
}

/// RFC 6455 4.2.1: base64 that decodes to 16 bytes; what it decodes to is of no use.
fn is_key(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    key.len() == KEY_BYTES && STANDARD.decode_slice(key, &mut nonce) == Ok(16)
}

/// Whether an element of the field's list is `token`, in any case.
fn names(head: &Head<'_, '_>, field: &str, token: &[u8]) -> bool {
    head.elements(field).any(|element| element.eq_ignore_ascii_case(token))
}

/// The value of a field that stands on exactly one line.
fn only<'a>(head: &Head<'_, 'a>, field: &str) -> Option<&'a [u8]> {
    let mut values = head.values(field);
    values.next().filter(|_| values.next().is_none())
}
