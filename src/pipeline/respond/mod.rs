//! The stage that writes the answer: HTTP heads, event streams, and the one table of what a peer is told when it is refused.
//! The log says more than the peer hears; the two texts never mix.
//! Never: a reason an attacker could use (an unknown key and a wrong one read the same).
//! Next: `event`, what the operator is told.

mod challenge;
mod goodbye;
mod refusal;

use crate::wire::http::head::{Persistence, Version};
use crate::wire::json::encode::encode_integer;
use crate::wire::jsonrpc::{self, Id, encode_error};
use crate::wire::websocket::encode as websocket;
use crate::wire::websocket::frame::Opcode;
use crate::wire::websocket::handshake::Upgrade;
use crate::wire::{prefixed, sse};

pub use challenge::Challenge;
pub use goodbye::Goodbye;
pub use refusal::{Refusal, Row};

use super::framing::Inquiry;
use super::snapshot::{Listener, Speech};
use super::turn::Turn;

/// What the answer has to know about how the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// How messages are carried; the rest is HTTP's.
    pub carriage: Carriage,
    /// Of the request; the answer is always HTTP/1.1.
    pub version: Version,
    /// Whether the connection goes on after the answer.
    pub persistence: Persistence,
    /// Whether the answer carries a body or only speaks of one.
    pub body: Body,
}

/// How messages to the peer are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// In the response to its request, as JSON or as events.
    Response,
    /// As an event of one stream that carries everything.
    Event,
    /// One a line.
    Line,
    /// After its length.
    Prefixed,
    /// One a WebSocket frame.
    Frame,
}

impl Carriage {
    /// Whether what is carried is all of one connection's, so that nothing of a request shows but its id.
    pub fn is_multiplexed(self) -> bool {
        self != Self::Response
    }

    /// Whether no request of HTTP's came first, which would have named the sender.
    pub fn begins_nameless(self) -> bool {
        matches!(self, Self::Line | Self::Prefixed)
    }
}

/// RFC 9110 9.3.2: the answer to HEAD has the fields of a body and no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Sent.
    Sent,
    /// Left out.
    Omitted,
}

impl Exchange {
    /// For a request whose head could not be read.
    pub const BROKEN: Self = Self {
        carriage: Carriage::Response,
        version: Version::Http11,
        persistence: Persistence::Close,
        body: Body::Sent,
    };

    /// For everything that goes over a connection of this kind.
    pub fn multiplexed(carriage: Carriage) -> Self {
        Self { carriage, persistence: Persistence::KeepAlive, ..Self::BROKEN }
    }
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing; 202 and 204.
    Nothing,
    /// A JSON body of so many bytes.
    Json(usize),
    /// An event stream of unknown length.
    EventStream,
}

/// A field that only some answers have.
#[derive(Clone, Copy, Debug)]
pub enum Extra<'e> {
    /// The methods the target knows.
    Allow,
    /// Where it is.
    Location,
    /// The version of WebSocket that is spoken.
    WebSocketVersion,
    /// How to authenticate.
    Challenge(Challenge),
    /// Seconds to wait.
    RetryAfter(u64),
    /// The legacy session's id.
    Session(&'e str),
    /// Any page may read this.
    Public(Inquiry),
}

/// Appends a response head.
pub fn encode_head(
    out: &mut Vec<u8>,
    fixed: (&Listener, &[u8; 29]),
    status: u16,
    exchange: Exchange,
    content: Content,
    extras: &[Extra<'_>],
) {
    let (listener, date) = fixed;
    out.extend_from_slice(status_line(status));
    let is_public = extras.iter().any(|extra| matches!(extra, Extra::Public(_)));
    match listener.resource.as_ref().filter(|_| is_public) {
        Some(resource) => out.extend_from_slice(&resource.header_block),
        None => out.extend_from_slice(&listener.header_block),
    }
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(date);
    match content {
        // RFC 9110 8.6: no Content-Length in 204; 202 has an empty body and says so.
        Content::Nothing if status == 204 => out.extend_from_slice(b"\r\n"),
        Content::Nothing => out.extend_from_slice(b"\r\ncontent-length: 0\r\n"),
        Content::Json(length) => {
            out.extend_from_slice(b"\r\ncontent-type: application/json\r\ncontent-length: ");
            encode_integer(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Content::EventStream => {
            // MCP 2026-07-28, Streamable HTTP: proxies must not hold events back.
            out.extend_from_slice(b"\r\ncontent-type: text/event-stream\r\nx-accel-buffering: no\r\n");
            if exchange.version == Version::Http11 {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            }
        }
    }
    match (exchange.persistence, exchange.version) {
        (Persistence::Close, _) => out.extend_from_slice(b"connection: close\r\n"),
        (Persistence::KeepAlive, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (Persistence::KeepAlive, Version::Http11) => {}
    }
    for extra in extras {
        encode_extra(out, listener, *extra);
    }
    out.extend_from_slice(b"\r\n");
}

fn encode_extra(out: &mut Vec<u8>, listener: &Listener, extra: Extra<'_>) {
    match extra {
        Extra::Location => {
            if let Speech::Redirect { location } = &listener.speech {
                out.extend_from_slice(b"location: ");
                out.extend_from_slice(location);
                out.extend_from_slice(b"\r\n");
            }
        }
        Extra::WebSocketVersion => out
            .extend_from_slice(b"sec-websocket-version: 13\r\nupgrade: websocket\r\nconnection: upgrade\r\n"),
        Extra::Allow => out.extend_from_slice(b"allow: POST, OPTIONS\r\n"),
        Extra::Challenge(challenge) => challenge.encode(out, listener.resource.as_deref()),
        Extra::RetryAfter(seconds) => {
            out.extend_from_slice(b"retry-after: ");
            encode_integer(out, seconds);
            out.extend_from_slice(b"\r\n");
        }
        Extra::Session(id) => {
            out.extend_from_slice(b"mcp-session-id: ");
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Extra::Public(Inquiry::Plain) => {}
        Extra::Public(Inquiry::Preflight) => out.extend_from_slice(
            b"access-control-allow-methods: GET\r\naccess-control-allow-headers: *\r\naccess-control-max-age: 3600\r\n",
        ),
    }
}

/// Answers a request with the body the turn holds.
pub fn answer(
    turn: &mut Turn<'_>,
    listener: &Listener,
    status: u16,
    exchange: Exchange,
    extras: &[Extra<'_>],
) {
    if exchange.carriage.is_multiplexed() {
        return send_message(turn, exchange);
    }
    let work = &mut *turn.work;
    let content = Content::Json(work.body.len());
    encode_head(&mut work.answers, (listener, work.date.as_bytes()), status, exchange, content, extras);
    if exchange.body == Body::Sent {
        work.answers.extend_from_slice(&work.body);
    }
    work.body.clear();
}

/// Sends the turn's body as one message of a connection that carries many.
pub fn send_message(turn: &mut Turn<'_>, exchange: Exchange) {
    let work = &mut *turn.work;
    let (out, body) = (&mut work.answers, &mut work.body);
    match exchange.carriage {
        Carriage::Line => {
            // What a tool wrote may be laid out over lines. JSON has no line break but between its tokens.
            if memchr::memchr2(b'\n', b'\r', body).is_some() {
                for byte in body.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
                    *byte = b' ';
                }
            }
            out.extend_from_slice(body);
            out.push(b'\n');
        }
        // No answer is empty, and none is as long as 32 bits can count.
        Carriage::Prefixed => drop(prefixed::encode(out, body)),
        Carriage::Frame => {
            websocket::encode_head(out, Opcode::Text, body.len());
            out.extend_from_slice(body);
        }
        Carriage::Response | Carriage::Event => return send_named(turn, exchange, None, Some("message")),
    }
    body.clear();
}

/// Answers with a status and nothing else, where there are statuses.
pub fn answer_empty(
    turn: &mut Turn<'_>,
    listener: &Listener,
    status: u16,
    exchange: Exchange,
    extras: &[Extra<'_>],
) {
    if exchange.carriage.is_multiplexed() {
        return;
    }
    let work = &mut *turn.work;
    let fixed = (listener, work.date.as_bytes());
    encode_head(&mut work.answers, fixed, status, exchange, Content::Nothing, extras);
}

/// Answers with what OAuth clients have to know.
// RFC 9728 3.2. The answer says that any page may read it: nothing in it is secret, and no credential was looked at.
pub fn answer_metadata(turn: &mut Turn<'_>, listener: &Listener, exchange: Exchange, inquiry: Inquiry) {
    let extras = [Extra::Public(inquiry)];
    let Some(resource) = listener.resource.as_ref().filter(|_| inquiry == Inquiry::Plain) else {
        return answer_empty(turn, listener, 204, exchange, &extras);
    };
    turn.work.body.clear();
    turn.work.body.extend_from_slice(&resource.metadata);
    answer(turn, listener, 200, exchange, &extras);
}

/// Answers "no" from the table.
pub fn refuse(
    turn: &mut Turn<'_>,
    listener: &Listener,
    exchange: Exchange,
    refusal: &Refusal<'_>,
    id: Option<Id<'_>>,
) -> Row {
    let row = refusal.row();
    turn.work.body.clear();
    encode_refusal(&mut turn.work.body, refusal, id);
    let extra = refusal.extra();
    answer(turn, listener, row.status, exchange, extra.as_slice());
    row
}

/// Appends the JSON-RPC error of a refusal.
pub fn encode_refusal(out: &mut Vec<u8>, refusal: &Refusal<'_>, id: Option<Id<'_>>) {
    let mut data = Vec::new();
    refusal.encode_data(&mut data);
    encode_error(out, id, refusal.row().code, refusal.message(), &data);
}

/// Appends the error object alone.
pub fn encode_error_object(out: &mut Vec<u8>, refusal: &Refusal<'_>) {
    let mut data = Vec::new();
    refusal.encode_data(&mut data);
    jsonrpc::encode_error_object(out, refusal.row().code, refusal.message(), &data);
}

/// Appends the head of an event stream.
pub fn open_stream(turn: &mut Turn<'_>, listener: &Listener, exchange: Exchange, extras: &[Extra<'_>]) {
    let work = &mut *turn.work;
    let fixed = (listener, work.date.as_bytes());
    encode_head(&mut work.answers, fixed, 200, exchange, Content::EventStream, extras);
}

/// Appends the turn's body as one event of an open stream.
pub fn send_event(turn: &mut Turn<'_>, exchange: Exchange, id: Option<&str>) {
    send_named(turn, exchange, id, None);
}

/// The same with a name.
pub fn send_named(turn: &mut Turn<'_>, exchange: Exchange, id: Option<&str>, name: Option<&str>) {
    let work = &mut *turn.work;
    let mut event = std::mem::take(&mut work.content);
    event.clear();
    // Ids and names are ours, so nothing can be unsafe in them.
    let _ = sse::encode_event(&mut event, id, name, &work.body);
    work.body.clear();
    send_raw(turn, exchange, &event);
    turn.work.content = event;
}

/// Appends what keeps a quiet stream alive and says nothing.
pub fn send_comment(turn: &mut Turn<'_>, exchange: Exchange) {
    match exchange.carriage {
        Carriage::Response | Carriage::Event => {
            let mut comment = Vec::new();
            sse::encode_comment(&mut comment, b"");
            send_raw(turn, exchange, &comment);
        }
        Carriage::Frame => websocket::encode_ping(&mut turn.work.answers, b""),
        Carriage::Line | Carriage::Prefixed => {}
    }
}

/// Answers a ping.
pub fn send_pong(turn: &mut Turn<'_>, exchange: Exchange, payload: &[u8]) {
    if exchange.carriage == Carriage::Frame {
        websocket::encode_pong(&mut turn.work.answers, payload);
    }
}

/// Appends the last word of a connection that ends because of `goodbye`.
pub fn close(turn: &mut Turn<'_>, exchange: Exchange, goodbye: Goodbye) {
    match exchange.carriage {
        Carriage::Event => close_stream(turn, exchange),
        Carriage::Frame => {
            let (code, reason) = goodbye.close_code();
            websocket::encode_close(&mut turn.work.answers, Some(code), reason);
        }
        Carriage::Response | Carriage::Line | Carriage::Prefixed => {}
    }
}

/// Appends bytes of an open stream.
pub fn send_raw(turn: &mut Turn<'_>, exchange: Exchange, bytes: &[u8]) {
    match exchange.version {
        Version::Http11 => encode_chunk(&mut turn.work.answers, bytes),
        Version::Http10 => turn.work.answers.extend_from_slice(bytes),
    }
}

/// Appends the end of an event stream.
pub fn close_stream(turn: &mut Turn<'_>, exchange: Exchange) {
    if exchange.version == Version::Http11 {
        turn.work.answers.extend_from_slice(b"0\r\n\r\n");
    }
}

/// Appends the answer that makes a connection a WebSocket.
// RFC 6455 4.2.2.
pub fn switch(turn: &mut Turn<'_>, listener: &Listener, upgrade: &Upgrade<'_>) {
    let work = &mut *turn.work;
    let out = &mut work.answers;
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ",
    );
    out.extend_from_slice(&upgrade.accept);
    out.extend_from_slice(b"\r\nsec-websocket-protocol: ");
    out.extend_from_slice(upgrade.subprotocol.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&listener.header_block);
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(work.date.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// RFC 9112 7.1.
fn encode_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut digits = [0; 16];
    let mut left = bytes.len();
    let mut start = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b"0123456789abcdef".get(left & 15).copied().unwrap_or(b'0');
        start = at;
        left >>= 4;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn status_line(status: u16) -> &'static [u8] {
    match status {
        100 => b"HTTP/1.1 100 Continue\r\n",
        200 => b"HTTP/1.1 200 OK\r\n",
        202 => b"HTTP/1.1 202 Accepted\r\n",
        204 => b"HTTP/1.1 204 No Content\r\n",
        308 => b"HTTP/1.1 308 Permanent Redirect\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\n",
        401 => b"HTTP/1.1 401 Unauthorized\r\n",
        403 => b"HTTP/1.1 403 Forbidden\r\n",
        404 => b"HTTP/1.1 404 Not Found\r\n",
        405 => b"HTTP/1.1 405 Method Not Allowed\r\n",
        406 => b"HTTP/1.1 406 Not Acceptable\r\n",
        408 => b"HTTP/1.1 408 Request Timeout\r\n",
        413 => b"HTTP/1.1 413 Content Too Large\r\n",
        414 => b"HTTP/1.1 414 URI Too Long\r\n",
        415 => b"HTTP/1.1 415 Unsupported Media Type\r\n",
        417 => b"HTTP/1.1 417 Expectation Failed\r\n",
        421 => b"HTTP/1.1 421 Misdirected Request\r\n",
        426 => b"HTTP/1.1 426 Upgrade Required\r\n",
        429 => b"HTTP/1.1 429 Too Many Requests\r\n",
        431 => b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
        501 => b"HTTP/1.1 501 Not Implemented\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        504 => b"HTTP/1.1 504 Gateway Timeout\r\n",
        505 => b"HTTP/1.1 505 HTTP Version Not Supported\r\n",
        _ => b"HTTP/1.1 500 Internal Server Error\r\n",
    }
}
