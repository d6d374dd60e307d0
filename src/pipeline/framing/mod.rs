//! The stage that finds messages in bytes: where a request starts and ends, and whether it may come in at all.
//! The head is judged before the body is awaited, so a peer that is refused is never buffered for.
//! Never: a request that could be read in two ways; a decision about who is calling.
//! Next: `authenticate`.

pub mod messages;

use super::authenticate::Principal;
use super::hub::key::Key;
use super::respond::{Exchange, Refusal};
use super::snapshot::{Limits, Listener, Speech};
use crate::wire::http::chunked::{Chunked, ChunkedLimits};
use crate::wire::http::head::{BodyLength, Head, HeadLimits, HeadScan, Method};
use crate::wire::http::negotiation::{Acceptable, content_type_is_json};
use crate::wire::mcp::Revision;
use crate::wire::websocket::handshake;
use messages::Messages;

/// Longest request target. Bytes.
const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Most header fields.
const FIELDS_MAX: usize = 100;
/// Longest extension of one chunk, and all trailers together. Bytes.
const CHUNK_EXTENSION_BYTES_MAX: usize = 256;
const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// What chunk framing may add to any message, and beyond that to a byte of payload in 4.
const CHUNK_OVERHEAD_BYTES: u64 = 64 * 1024;
/// A refused body up to this size is skipped so that the connection lives; a longer one ends it. Bytes.
pub const DISCARD_BYTES_MAX: u64 = 64 * 1024;

/// Where a connection is in its stream of requests.
///
/// ```text
///  Head --head complete--> Body --body complete--> Busy --answered--> Head
///   |                       |                        ^
///   |                       +---- answered at once --+--> Head
///   +--refused--> Discard --skipped--> Head
///   +--upgraded--> Messages
/// ```
pub enum Framing {
    /// Waiting for the end of a head.
    Head(HeadScan),
    /// The head is accepted; its body is arriving.
    Body(Box<Upload>),
    /// The head was refused; so many bytes of its body are skipped.
    Discard(u64),
    /// A call runs. HTTP/1.1 answers in order, so nothing else is read.
    Busy,
    /// No HTTP, or no longer: messages follow one another.
    Messages(Box<Messages>),
}

/// An accepted head whose body is arriving. The head's bytes stay in front of the body's.
pub struct Upload {
    /// Bytes of the head.
    pub head_bytes: usize,
    /// How the body is delimited.
    pub coding: Coding,
    /// Who is sending it.
    pub caller: Caller,
    /// The snapshot's under which that was decided. Under another one a role's bit may be another role's.
    pub generation: u64,
}

/// How a body is delimited.
pub enum Coding {
    /// By its length.
    Length(usize),
    /// By its chunks.
    Chunked(Box<Chunked>),
}

/// What was decided from the head.
#[derive(Clone)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// How it is answered.
    pub exchange: Exchange,
    /// Whether the answer may be an event stream.
    pub delivery: Delivery,
    /// The stream whose channel the message is for, if it is for another connection's.
    pub channel: Option<Key>,
}

/// What forms of answer the client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// JSON only: notifications are dropped.
    Json,
    /// JSON, or an event stream when there is something to report on the way.
    JsonOrStream,
    /// Event streams only.
    Stream,
}

/// Limits of a head.
pub fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits {
        head_bytes_max: limits.head_bytes_max,
        fields_max: FIELDS_MAX,
        target_bytes_max: TARGET_BYTES_MAX,
    }
}

/// A decoder for a chunked body.
pub fn chunked(listener: &Listener) -> Chunked {
    let body_bytes_max = listener.limits.message_bytes_max as u64;
    Chunked::new(ChunkedLimits {
        body_bytes_max,
        extension_bytes_max: CHUNK_EXTENSION_BYTES_MAX,
        trailer_bytes_max: TRAILER_BYTES_MAX,
        overhead_bytes_max: CHUNK_OVERHEAD_BYTES + body_bytes_max / 4,
    })
}

/// What an acceptable head asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A message is in the body.
    Message(Delivery),
    /// Which methods there are.
    Options,
    /// What a legacy session is told.
    SessionStream,
    /// The end of a legacy session.
    SessionEnd,
    /// A WebSocket from here on.
    WebSocket,
    /// What the server has to tell anybody.
    Feed,
    /// A stream that carries all answers, in the way of 2024-11-05.
    EventChannel,
    /// A message for such a stream is in the body.
    Post(Key),
    /// What OAuth clients have to know.
    Metadata(Inquiry),
}

/// How the metadata is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// By whoever wants it.
    Plain,
    /// By a browser that first asks whether a page may.
    Preflight,
}

/// Where a feed is read.
pub const FEED_PATH: &str = "/events";
/// Where 2024-11-05 reads, and where it posts.
pub const EVENT_CHANNEL_PATH: &str = "/sse";
/// See [`EVENT_CHANNEL_PATH`].
pub const POST_PATH: &str = "/message";
/// The query of [`POST_PATH`] before the stream's name.
pub const POST_QUERY: &str = "sessionId=";

/// Judges a head by the endpoint's rules.
///
/// # Errors
/// The first rule it breaks.
pub fn judge(head: &Head<'_, '_>, listener: &Listener) -> Result<Asked, Refusal<'static>> {
    let Speech::Http(transports) = &listener.speech else { return Err(Refusal::Elsewhere) };
    // Host and Origin are judged apart: a page that rebinds its name has a good Origin for a bad Host, and a foreign
    // page a bad Origin for a good Host.
    if !head.host.is_some_and(|host| is_served(host, &listener.hostnames)) {
        return Err(Refusal::Host);
    }
    // It is public: a client in a browser reads it before it knows where to get a token. RFC 9728 3.
    if listener.resource.as_ref().is_some_and(|resource| resource.paths.iter().any(|path| path == head.path))
    {
        return judge_metadata(head);
    }
    if head.known.origin.is_some_and(|origin| !is_listed(origin, &listener.origins)) {
        return Err(Refusal::Origin);
    }
    if head.path == "*" && head.method == Method::Options {
        return Ok(Asked::Options);
    }
    if head.path != listener.path {
        return match transports.sse {
            Some(_) => judge_events(head, listener),
            None => Err(Refusal::Path),
        };
    }
    if transports.websocket.is_some() && handshake::is_upgrade(head) {
        return Ok(Asked::WebSocket);
    }
    if !transports.streamable_http {
        return Err(Refusal::Path);
    }
    match head.method {
        Method::Post => {}
        Method::Options => return Ok(Asked::Options),
        // MCP 2026-07-28, Streamable HTTP: GET and DELETE are no part of it; they belong to legacy sessions.
        Method::Get if is_legacy(head) => {
            let accepts = Acceptable::decode(head.accept()).event_stream;
            return if accepts { Ok(Asked::SessionStream) } else { Err(Refusal::Accept) };
        }
        Method::Delete if is_legacy(head) => return Ok(Asked::SessionEnd),
        Method::Get
        | Method::Delete
        | Method::Head
        | Method::Put
        | Method::Patch
        | Method::Trace
        | Method::Connect
        | Method::Other => return Err(Refusal::HttpMethod),
    }
    let acceptable = match (head.known.accept_lines, head.known.accept) {
        (1, Some(line)) => Acceptable::decode_line(line),
        _ => Acceptable::decode(head.accept()),
    };
    let delivery = match (acceptable.json, acceptable.event_stream) {
        (true, false) => Delivery::Json,
        (true, true) => Delivery::JsonOrStream,
        (false, true) => Delivery::Stream,
        (false, false) => return Err(Refusal::Accept),
    };
    judge_body(head, listener)?;
    Ok(Asked::Message(delivery))
}

fn judge_metadata(head: &Head<'_, '_>) -> Result<Asked, Refusal<'static>> {
    match head.method {
        Method::Get | Method::Head => Ok(Asked::Metadata(Inquiry::Plain)),
        Method::Options => Ok(Asked::Metadata(Inquiry::Preflight)),
        Method::Post
        | Method::Delete
        | Method::Put
        | Method::Patch
        | Method::Trace
        | Method::Connect
        | Method::Other => Err(Refusal::HttpMethod),
    }
}

/// The rules of a body that is a message.
fn judge_body(head: &Head<'_, '_>, listener: &Listener) -> Result<(), Refusal<'static>> {
    if !head.known.content_type.is_some_and(content_type_is_json) || head.known.content_encoding.is_some() {
        return Err(Refusal::ContentType);
    }
    match head.body {
        BodyLength::Length(bytes) if bytes > listener.limits.message_bytes_max as u64 => {
            Err(Refusal::MessageSize)
        }
        BodyLength::None | BodyLength::Length(_) | BodyLength::Chunked => Ok(()),
    }
}

/// The endpoints of server-sent events that are no part of Streamable HTTP.
fn judge_events(head: &Head<'_, '_>, listener: &Listener) -> Result<Asked, Refusal<'static>> {
    let asked = match (head.path, head.method) {
        (FEED_PATH | EVENT_CHANNEL_PATH | POST_PATH, Method::Options) => return Ok(Asked::Options),
        (FEED_PATH, Method::Get) => Asked::Feed,
        (EVENT_CHANNEL_PATH, Method::Get) => Asked::EventChannel,
        (POST_PATH, Method::Post) => {
            judge_body(head, listener)?;
            let name = head.query.and_then(|query| query.strip_prefix(POST_QUERY));
            return name.and_then(Key::decode).map(Asked::Post).ok_or(Refusal::SessionUnknown);
        }
        (FEED_PATH | EVENT_CHANNEL_PATH | POST_PATH, _) => return Err(Refusal::HttpMethod),
        _ => return Err(Refusal::Path),
    };
    if Acceptable::decode(head.accept()).event_stream { Ok(asked) } else { Err(Refusal::Accept) }
}

/// Whether a request without a body can be about a session.
fn is_legacy(head: &Head<'_, '_>) -> bool {
    let is_modern =
        |version: &[u8]| Revision::MODERN.iter().any(|modern| modern.name().as_bytes() == version);
    head.known.mcp_session_id.is_some() && !head.known.mcp_protocol_version.is_some_and(is_modern)
}

/// Whether a `Host` names this server; the port does not matter behind a forwarder.
fn is_served(host: &str, hostnames: &[String]) -> bool {
    let name = match host.rfind(':') {
        // An IPv6 literal's own colons are inside its brackets.
        Some(colon) if !host.ends_with(']') => host.get(..colon).unwrap_or(host),
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    hostnames.iter().any(|served| served.eq_ignore_ascii_case(name))
}

fn is_listed(origin: &[u8], origins: &[String]) -> bool {
    origins.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_served_by_name_whatever_its_port_or_case() {
        let hostnames = ["localhost".to_owned(), "::1".to_owned(), "mcp.example.com".to_owned()];
        for (host, served) in [
            ("localhost", true),
            ("LOCALHOST:8443", true),
            ("[::1]:8443", true),
            ("[::1]", true),
            ("mcp.example.com.", true),
            ("mcp.example.com.:443", true),
            ("evil.example.com", false),
            ("localhost.evil.example.com", false),
            ("evil.localhost", false),
            ("", false),
            ("[::2]:1", false),
        ] {
            assert_eq!(is_served(host, &hostnames), served, "{host}");
        }
    }
}
