//! The request head: request line and fields, decoded once into a value that borrows from the buffer.
//! Never: an allocation, a lenient reading, a decision about what a path or a field permits.
//! Next: `scan` finds where a head ends, `target` and `length` hold the rules with the most attacks behind them.

mod scan;
mod target;
mod known;
mod length;
mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem::MaybeUninit;

pub use error::HeadError;
pub use known::Known;
pub use length::BodyLength;
pub use scan::HeadScan;

use known::Fields;
use target::Target;

/// The most field lines any head may have; [`HeadLimits::fields_max`] can only lower it.
pub const FIELDS_MAX: usize = 100;
/// The longest method looked at. Registered ones end at 17 bytes (UPDATEREDIRECTREF).
const METHOD_BYTES_MAX: usize = 24;
/// What a request line holds besides its target: method, two spaces, `HTTP/1.1`.
const REQUEST_LINE_REST_BYTES_MAX: usize = METHOD_BYTES_MAX + 2 + 8;

/// Room for the fields of one head, left uninitialised so that it costs nothing to make.
pub type FieldStorage<'a> = [MaybeUninit<httparse::Header<'a>>; FIELDS_MAX];

/// Makes the room that [`decode`] needs, on the caller's stack.
pub const fn field_storage<'a>() -> FieldStorage<'a> {
    [const { MaybeUninit::uninit() }; FIELDS_MAX]
}

/// What one head may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// All bytes of the head, from the request line to the empty line.
    pub head_bytes_max: usize,
    /// Field lines; values over [`FIELDS_MAX`] mean [`FIELDS_MAX`].
    pub fields_max: usize,
    /// Bytes of the request target.
    pub target_bytes_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head_bytes_max: 16 * 1024, fields_max: FIELDS_MAX, target_bytes_max: 8 * 1024 }
    }
}

impl HeadLimits {
    fn fields(&self) -> usize {
        self.fields_max.min(FIELDS_MAX)
    }
}

/// The request method (RFC 9110 9.1); names are case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `TRACE`
    Trace,
    /// `CONNECT`: named for completeness, its target form is always refused.
    Connect,
    /// Any other token; [`Head::method_name`] has it.
    Other,
}

impl Method {
    fn decode(name: &str) -> Self {
        match name {
            "POST" => Self::Post,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "TRACE" => Self::Trace,
            "CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// The protocol version of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Whether the peer wants the connection to live on after the answer (RFC 9112 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// More requests may follow.
    KeepAlive,
    /// The connection ends with this answer.
    Close,
}

/// Whether the peer waits for an interim answer before it sends the body (RFC 9110 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The body comes unasked, or there is none.
    None,
    /// `100 Continue` is awaited.
    Continue,
}

/// One decoded request head: `'a` is the buffer, `'b` the room for its fields.
pub struct Head<'b, 'a> {
    /// The method.
    pub method: Method,
    /// The method as sent, for logs and for methods without a variant.
    pub method_name: &'a str,
    /// The path as sent: dot segments and percent encoding untouched. `*` only with OPTIONS.
    pub path: &'a str,
    /// What follows the first `?` of the target, as sent.
    pub query: Option<&'a str>,
    /// The version.
    pub version: Version,
    /// The Host: always present in HTTP/1.1, syntax checked, as sent.
    pub host: Option<&'a str>,
    /// How the body is delimited.
    pub body: BodyLength,
    /// Whether the connection may live on.
    pub persistence: Persistence,
    /// Whether an interim answer is awaited.
    pub expectation: Expectation,
    /// The fields that the rest of the path asks for by name.
    pub known: Known<'a>,
    fields: &'b [httparse::Header<'a>],
}

impl<'a> Head<'_, 'a> {
    /// Every field line in order, white space around values trimmed.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The values of every line named `name`, compared without case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The first value of the field `name`, compared without case.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The elements of every line named `name`, whose value is a list (RFC 9110 5.6.1); empty ones are left out.
    pub fn elements(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name).flat_map(known::elements).filter(|element| !element.is_empty())
    }

    /// Whether more than one line is named `name`.
    pub fn has_twice(&self, name: &str) -> bool {
        self.values(name).nth(1).is_some()
    }

    /// The values of all Accept lines; stops looking when the last one was found.
    pub fn accept(&self) -> impl Iterator<Item = &'a [u8]> {
        self.values("accept").take(self.known.accept_lines)
    }
}

/// Shows what identifies the request; fields and query may hold secrets and stay out.
impl fmt::Debug for Head<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Head")
            .field("method", &self.method_name)
            .field("path", &self.path)
            .field("version", &self.version)
            .field("body", &self.body)
            .field("persistence", &self.persistence)
            .finish_non_exhaustive()
    }
}

/// Decodes exactly one head: `bytes` ends with the empty line that [`HeadScan::find_end`] found.
///
/// Refuses on its own whatever `find_end` refuses, so the order of the calls is no matter of safety.
///
/// # Errors
/// Every deviation from RFC 9112 that this server does not accept; see [`HeadError`].
pub fn decode<'b, 'a>(
    bytes: &'a [u8],
    storage: &'b mut FieldStorage<'a>,
    limits: &HeadLimits,
) -> Result<Head<'b, 'a>, HeadError> {
    if bytes.len() > limits.head_bytes_max {
        return Err(HeadError::HeadTooLarge);
    }
    // RFC 9112 2.2: one empty line before the request line is ignored, as in `HeadScan`.
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    if let Some(b'\r' | b'\n') = bytes.first() {
        return Err(HeadError::BadRequestLine);
    }
    let storage = storage.get_mut(..limits.fields()).unwrap_or_default();
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, storage) {
        Ok(httparse::Status::Complete(end)) if end == bytes.len() => {}
        Ok(httparse::Status::Complete(_) | httparse::Status::Partial) => return Err(HeadError::NotOneHead),
        Err(error) => return Err(explain(error, bytes)),
    }
    let oddities = oddities(bytes);
    if oddities & 1 != 0 {
        return Err(HeadError::BareLineEnd);
    }
    let httparse::Request { method: Some(method_name), path: Some(target), version: Some(minor), headers } =
        request
    else {
        return Err(HeadError::NotOneHead);
    };
    if method_name.len() > METHOD_BYTES_MAX {
        return Err(HeadError::MethodTooLong);
    }
    if target.len() > limits.target_bytes_max {
        return Err(HeadError::TargetTooLong);
    }
    let method = Method::decode(method_name);
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let target = Target::decode(target, method)?;
    let fields: &'b [httparse::Header<'a>] = headers;
    let mut found = Fields::default();
    found.take_all(fields, oddities == 0)?;
    let body = BodyLength::decode(found.transfer_encoding, found.content_length, version)?;
    Ok(Head {
        method,
        method_name,
        path: target.path,
        query: target.query,
        version,
        host: target.host(found.host, version)?,
        body,
        persistence: found.persistence(version),
        expectation: found.expectation(version, body)?,
        known: found.known,
        fields,
    })
}

/// What is odd in the bytes of a head; bit 0: a LF without CR, bit 7: a byte over 0x7f.
fn oddities(bytes: &[u8]) -> u8 {
    let odd = |before: u8, byte: u8| (byte & 0x80) | u8::from(byte == b'\n' && before != b'\r');
    let after = bytes.get(1..).unwrap_or_default();
    // No early exit and no counter: that is what lets the compiler look at many bytes at once.
    bytes.iter().zip(after).fold(0, |found, (before, byte)| found | odd(*before, *byte))
}

/// Turns the parser's error into ours, looking again only where it does not tell enough.
fn explain(error: httparse::Error, bytes: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::HeaderName => HeadError::BadFieldName,
        httparse::Error::HeaderValue => HeadError::BadFieldValue,
        httparse::Error::NewLine => HeadError::BareLineEnd,
        httparse::Error::Token | httparse::Error::Status => HeadError::BadRequestLine,
        httparse::Error::Version => match version_of(bytes) {
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => HeadError::VersionNotSupported,
            _ => HeadError::BadVersion,
        },
    }
}

/// The third word of the request line.
fn version_of(bytes: &[u8]) -> &[u8] {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default()
}
