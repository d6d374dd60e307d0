//! The fields that the request path asks for by name, picked out in one walk over the head.
//! Never: a value in two fields at once, a doubled singleton, a comparison that depends on case.
//! Next: `mod.rs`, which joins what is found here with the request line.

use super::{BodyLength, Expectation, HeadError, Persistence, Version};

/// Values of the fields known by name, white space trimmed.
///
/// Known values are ASCII, so that no later comparison can be fooled by a byte two readers decode differently. The
/// exception is `user_agent`, whose grammar allows more (RFC 9110 10.1.5). No `Debug`: two of these are secrets.
#[derive(Clone, Copy, Default)]
pub struct Known<'a> {
    /// Origin
    pub origin: Option<&'a [u8]>,
    /// Authorization
    pub authorization: Option<&'a [u8]>,
    /// X-API-Key
    pub x_api_key: Option<&'a [u8]>,
    /// Content-Type
    pub content_type: Option<&'a [u8]>,
    /// Content-Encoding
    pub content_encoding: Option<&'a [u8]>,
    /// The first Accept line; [`super::Head::accept`] walks them all.
    pub accept: Option<&'a [u8]>,
    /// How many Accept lines there are.
    pub accept_lines: usize,
    /// MCP-Protocol-Version
    pub mcp_protocol_version: Option<&'a [u8]>,
    /// Mcp-Method
    pub mcp_method: Option<&'a [u8]>,
    /// Mcp-FieldName
    pub mcp_name: Option<&'a [u8]>,
    /// Mcp-Session-Id
    pub mcp_session_id: Option<&'a [u8]>,
    /// Last-Event-ID
    pub last_event_id: Option<&'a [u8]>,
    /// The first X-Request-Id
    pub x_request_id: Option<&'a [u8]>,
    /// The first Upgrade line
    pub upgrade: Option<&'a [u8]>,
    /// The first User-Agent; may hold bytes over 0x7f.
    pub user_agent: Option<&'a [u8]>,
}

/// Everything one walk over the fields finds.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) content_length: Option<&'a [u8]>,
    pub(super) transfer_encoding: Option<&'a [u8]>,
    pub(super) known: Known<'a>,
    expect: Option<&'a [u8]>,
    close_asked: bool,
    keep_alive_asked: bool,
}

impl<'a> Fields<'a> {
    /// Walks over `fields`; `all_ascii` when it is already known that they are.
    pub(super) fn take_all(
        &mut self,
        fields: &[httparse::Header<'a>],
        all_ascii: bool,
    ) -> Result<(), HeadError> {
        for field in fields {
            let Some(name) = FieldName::decode(field.name) else { continue };
            if !all_ascii && !field.value.is_ascii() && name != FieldName::UserAgent {
                return Err(HeadError::NonAsciiField);
            }
            self.take(name, field.value)?;
        }
        Ok(())
    }

    fn take(&mut self, name: FieldName, value: &'a [u8]) -> Result<(), HeadError> {
        let known = &mut self.known;
        match name {
            FieldName::Host => once(&mut self.host, value),
            FieldName::ContentLength => once(&mut self.content_length, value),
            FieldName::TransferEncoding => match once(&mut self.transfer_encoding, value) {
                Err(HeadError::DoubledField) => Err(HeadError::BadTransferEncoding),
                taken => taken,
            },
            FieldName::Expect => once(&mut self.expect, value),
            FieldName::Connection => {
                self.take_connection(value);
                Ok(())
            }
            FieldName::Accept => {
                known.accept_lines += 1;
                first(&mut known.accept, value)
            }
            FieldName::Origin => once(&mut known.origin, value),
            FieldName::Authorization => once(&mut known.authorization, value),
            FieldName::XApiKey => once(&mut known.x_api_key, value),
            FieldName::ContentType => once(&mut known.content_type, value),
            FieldName::ContentEncoding => once(&mut known.content_encoding, value),
            FieldName::McpProtocolVersion => once(&mut known.mcp_protocol_version, value),
            FieldName::McpMethod => once(&mut known.mcp_method, value),
            FieldName::McpName => once(&mut known.mcp_name, value),
            FieldName::McpSessionId => once(&mut known.mcp_session_id, value),
            FieldName::LastEventId => once(&mut known.last_event_id, value),
            FieldName::XRequestId => first(&mut known.x_request_id, value),
            FieldName::Upgrade => first(&mut known.upgrade, value),
            FieldName::UserAgent => first(&mut known.user_agent, value),
        }
    }

    /// RFC 9110 7.6.1: Connection is a list and may span lines.
    fn take_connection(&mut self, value: &[u8]) {
        for option in elements(value) {
            self.close_asked |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive_asked |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// RFC 9112 9.3.
    pub(super) fn persistence(&self, version: Version) -> Persistence {
        match version {
            _ if self.close_asked => Persistence::Close,
            Version::Http11 => Persistence::KeepAlive,
            Version::Http10 if self.keep_alive_asked => Persistence::KeepAlive,
            Version::Http10 => Persistence::Close,
        }
    }

    /// RFC 9110 10.1.1: ignored in HTTP/1.0 and without a body; anything but `100-continue` may be refused.
    pub(super) fn expectation(&self, version: Version, body: BodyLength) -> Result<Expectation, HeadError> {
        match (self.expect, version, body) {
            (None, _, _) | (Some(_), Version::Http10, _) => Ok(Expectation::None),
            (Some(value), Version::Http11, _) if !value.eq_ignore_ascii_case(b"100-continue") => {
                Err(HeadError::UnknownExpectation)
            }
            (Some(_), Version::Http11, BodyLength::None | BodyLength::Length(0)) => Ok(Expectation::None),
            (Some(_), Version::Http11, BodyLength::Length(_) | BodyLength::Chunked) => {
                Ok(Expectation::Continue)
            }
        }
    }
}

fn once<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), HeadError> {
    if slot.replace(value).is_some() { Err(HeadError::DoubledField) } else { Ok(()) }
}

fn first<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), HeadError> {
    slot.get_or_insert(value);
    Ok(())
}

/// The elements of a comma-separated list, white space trimmed; empty ones included.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim)
}

/// RFC 9110 5.6.3: OWS is spaces and tabs.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let is_dark = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_dark).unwrap_or(value.len());
    let end = value.iter().rposition(is_dark).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// The field names looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldName {
    Accept,
    Authorization,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Expect,
    Host,
    LastEventId,
    McpMethod,
    McpName,
    McpProtocolVersion,
    McpSessionId,
    Origin,
    TransferEncoding,
    Upgrade,
    UserAgent,
    XApiKey,
    XRequestId,
}

impl FieldName {
    /// The length tells most names apart, so that nearly every field costs one comparison or none.
    fn decode(name: &str) -> Option<Self> {
        let name = name.as_bytes();
        match name.len() {
            4 => is(name, b"host").then_some(Self::Host),
            6 if is(name, b"accept") => Some(Self::Accept),
            6 if is(name, b"origin") => Some(Self::Origin),
            6 => is(name, b"expect").then_some(Self::Expect),
            7 => is(name, b"upgrade").then_some(Self::Upgrade),
            8 => is(name, b"mcp-name").then_some(Self::McpName),
            9 => is(name, b"x-api-key").then_some(Self::XApiKey),
            10 if is(name, b"connection") => Some(Self::Connection),
            10 if is(name, b"user-agent") => Some(Self::UserAgent),
            10 => is(name, b"mcp-method").then_some(Self::McpMethod),
            12 if is(name, b"content-type") => Some(Self::ContentType),
            12 => is(name, b"x-request-id").then_some(Self::XRequestId),
            13 if is(name, b"authorization") => Some(Self::Authorization),
            13 => is(name, b"last-event-id").then_some(Self::LastEventId),
            14 if is(name, b"content-length") => Some(Self::ContentLength),
            14 => is(name, b"mcp-session-id").then_some(Self::McpSessionId),
            16 => is(name, b"content-encoding").then_some(Self::ContentEncoding),
            17 => is(name, b"transfer-encoding").then_some(Self::TransferEncoding),
            20 => is(name, b"mcp-protocol-version").then_some(Self::McpProtocolVersion),
            _ => None,
        }
    }
}

/// Compares a field name without case.
///
/// `lower` holds lower-case letters and hyphens only; for those, setting bit 5 of a token character is an exact
/// case fold. The fixed length and the missing early exit let the compiler compare whole words.
fn is<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    let (name_words, name_rest) = name.as_chunks::<8>();
    let (lower_words, lower_rest) = lower.as_chunks::<8>();
    const CASE: u64 = u64::from_ne_bytes([0x20; 8]);
    let words = name_words.iter().zip(lower_words).fold(0, |differing, (one, other)| {
        differing | ((u64::from_ne_bytes(*one) | CASE) ^ u64::from_ne_bytes(*other))
    });
    let rest = name_rest
        .iter()
        .zip(lower_rest)
        .fold(0, |differing, (one, other)| differing | ((one | 0x20) ^ other));
    words | u64::from(rest) == 0
}
