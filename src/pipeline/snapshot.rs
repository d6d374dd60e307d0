//! What the control plane has decided, as one immutable value: a shard reads it, nobody changes it.
//! A reload makes a new one; a shard picks it up between two requests, so one request sees one snapshot.
//! Never: a file, a lock, a setting that is "not configured" (the checked configuration has filled all in).
//! Next: the stages that read it, `framing` first.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::admit::RateLimit;
use super::authenticate::certificate::judge::Judge;
use super::authenticate::{Identities, Method, Principal};
use super::authorize::Policy;
use super::event::AccessLog;
use super::failing::FailureRules;
use super::seal::Sealer;
use crate::tools::Registry;
use crate::wire::json::encode::encode_str;
use crate::wire::mcp::meta::SERVER_INFO;

/// Everything the request path may know. Shared by all shards.
pub struct Snapshot {
    /// Rises by one with every reload; what was remembered under an older one is forgotten.
    pub generation: u64,
    /// Who this server says it is.
    pub server: Server,
    /// [`Server::modern_ending`] of `server`.
    pub modern_ending: Bytes,
    /// Sizes, counts and deadlines.
    pub limits: Limits,
    /// The listeners by index; a connection remembers its index for life, so a reload only appends.
    pub listeners: Vec<Arc<Listener>>,
    /// Everybody who may be known.
    pub identities: Arc<Identities>,
    /// Roles, compiled.
    pub policy: Policy,
    /// Token buckets that every request must pass.
    pub rate_limits: Vec<RateLimit>,
    /// The native tools.
    pub registry: Arc<Registry>,
    /// What is recorded.
    pub access_log: AccessLog,
    /// Seals and opens legacy session ids.
    pub sealer: Arc<Sealer>,
}

impl Snapshot {
    /// Whether some listener judges certificates by something else than under an older snapshot.
    pub fn judges_unlike(&self, old: &Self) -> bool {
        let version = |listener: &Arc<Listener>| listener.judge.as_ref().map(|judge| judge.version);
        self.listeners.iter().zip(&old.listeners).any(|(new, old)| version(new) != version(old))
    }
}

/// The server's identity in `serverInfo`.
#[derive(Clone, Debug)]
pub struct Server {
    /// `serverInfo.name`.
    pub name: String,
    /// `serverInfo.version`.
    pub version: String,
    /// `instructions` of `server/discover` and `initialize`, when the operator wrote any.
    pub instructions: Option<String>,
}

impl Server {
    /// `{"name":…,"version":…}`.
    pub fn encode_info(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":");
        encode_str(out, &self.name);
        out.extend_from_slice(b",\"version\":");
        encode_str(out, &self.version);
        out.push(b'}');
    }

    /// What every modern result ends with, made once: `_meta` with the server's name, and the closing braces.
    pub fn modern_ending(&self) -> Bytes {
        let mut ending = b",\"_meta\":{".to_vec();
        encode_str(&mut ending, SERVER_INFO);
        ending.push(b':');
        self.encode_info(&mut ending);
        ending.extend_from_slice(b"}}}");
        ending.into()
    }
}

/// Bounds on what one peer or one message may cost. Bytes, counts and durations.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of the whole process.
    pub connections_max: usize,
    /// Connections of one address (IPv6 by /64).
    pub connections_per_ip_max: usize,
    /// One JSON-RPC message, bytes.
    pub message_bytes_max: usize,
    /// Request line and fields together, bytes.
    pub head_bytes_max: usize,
    /// Nesting of arrays and objects.
    pub json_depth_max: usize,
    /// Values and keys in one message.
    pub json_nodes_max: usize,
    /// First byte to finished handshake.
    pub tls_handshake_timeout: Duration,
    /// First byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// End of the head to the end of the body.
    pub body_timeout: Duration,
    /// How long one write may wait for the peer.
    pub send_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long a tool may run.
    pub request_timeout: Duration,
    /// How long a client may take to answer what a tool asks.
    pub input_timeout: Duration,
    /// Messages a stream keeps for its reader.
    pub event_buffer_size: usize,
    /// Streams of the whole process.
    pub streams_max: usize,
    /// `subscriptions/listen` streams of one principal, on each shard.
    pub listens_per_principal_max: usize,
    /// What happens to a reader that has missed messages.
    pub slow_reader: SlowReader,
    /// How long a stream that lost its reader is kept for it.
    pub resume_window: Duration,
    /// What a client that lost a stream is asked to wait before it comes back.
    pub retry_interval: Duration,
    /// How long a stream may be silent before it gives a sign of life.
    pub keepalive_interval: Duration,
    /// How long a legacy session lives.
    pub session_ttl: Duration,
    /// Tasks of the whole process.
    pub tasks_max: usize,
    /// How long a task is kept, finished or not.
    pub task_ttl: Duration,
    /// Entries of one page of a list.
    pub page_size: usize,
    /// When an address that shows credentials which do not hold is slowed and blocked.
    pub failures: FailureRules,
    /// Verified tokens that each shard remembers.
    pub tokens_max: usize,
}

/// What happens to a reader whose stream has dropped messages before it fetched them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowReader {
    /// Its stream ends, which tells it.
    Close,
    /// It goes on without them.
    Drop,
}

impl Limits {
    pub(super) fn keepalive_ms(&self) -> u64 {
        millis(self.keepalive_interval)
    }

    pub(super) fn retry_ms(&self) -> u64 {
        millis(self.retry_interval)
    }
}

/// Whole milliseconds, as deadlines are kept.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One listener: an address, what it speaks and how it is defended.
#[derive(Clone)]
pub struct Listener {
    /// The name of its table in the configuration; the label in logs and counters.
    pub name: Arc<str>,
    /// Where TLS ends; `Plain` only on loopback or by its own word.
    pub security: Security,
    /// Who judges certificates of clients, where TLS asks for them.
    pub judge: Option<Arc<Judge>>,
    /// What is spoken there.
    pub speech: Speech,
    /// What one of its connections may cost, beside what holds for all.
    pub limits: ListenerLimits,
    /// The MCP endpoint of HTTP, compared byte for byte.
    pub path: String,
    /// Host names (lower case, no port) a request may name; the DNS-rebinding guard.
    pub hostnames: Vec<String>,
    /// Origins (lower case, serialised) a browser may send; an absent Origin is allowed.
    pub origins: Vec<String>,
    /// Who may call.
    pub admission: Admission,
    /// How a caller may prove who it is, in the order in which it is tried.
    pub methods: Vec<Method>,
    /// The header that may carry an API key beside `Authorization: Bearer`, lower case.
    pub key_header: String,
    /// Security header lines for every response, each ending in CRLF, made once.
    pub header_block: Bytes,
    /// What OAuth clients are told, where tokens are accepted.
    pub resource: Option<Arc<Resource>>,
}

/// This server as an OAuth 2.0 protected resource. RFC 9728.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Where the metadata is, as the request line names it.
    pub paths: Vec<String>,
    /// Where it is, whole.
    pub url: String,
    /// The metadata, JSON.
    pub metadata: Bytes,
    /// Scopes that can be asked for, in the order of `Grants::scopes`.
    pub scopes: Vec<String>,
    /// Header lines of the metadata's response: as for every other, but that it may be kept, and read by any page.
    pub header_block: Bytes,
}

impl Listener {
    /// Whether a caller may prove in this way who it is.
    pub fn accepts(&self, method: Method) -> bool {
        self.methods.contains(&method)
    }

    /// Whether it looks at what a request carries.
    pub fn takes_credentials(&self) -> bool {
        self.accepts(Method::ApiKey) || self.accepts(Method::Jwt)
    }
}

/// What is spoken on a listener: how messages are found in its bytes.
#[derive(Clone, Debug)]
pub enum Speech {
    /// HTTP/1.1 with these transports.
    Http(Transports),
    /// A JSON-RPC message a line.
    Lines,
    /// A JSON-RPC message after its length, four bytes, big endian.
    Prefixed,
    /// HTTP/1.1 that sends everybody elsewhere.
    Redirect {
        /// The value of `Location`.
        location: Bytes,
    },
}

/// What an HTTP listener offers. One that is not offered is not there: 404.
#[derive(Clone, Debug, Default)]
pub struct Transports {
    /// Streamable HTTP at the listener's path.
    pub streamable_http: bool,
    /// WebSocket at the same path.
    pub websocket: Option<WebSocket>,
    /// `GET /events`, and `GET /sse` with `POST /message`.
    pub sse: Option<Sse>,
}

/// `listeners.NAME.websocket`.
#[derive(Clone, Debug)]
pub struct WebSocket {
    /// Subprotocols, of which a client must offer one.
    pub subprotocols: Vec<String>,
    /// Payload of one frame, bytes.
    pub frame_bytes_max: usize,
    /// How long a peer may be silent before it is pinged.
    pub ping_interval: Duration,
    /// How long it may then take to answer.
    pub pong_timeout: Duration,
}

/// `listeners.NAME.sse`.
#[derive(Clone, Debug)]
pub struct Sse {
    /// How long a stream may be silent before a comment is sent on it.
    pub heartbeat_interval: Duration,
    /// What a client that lost its stream is asked to wait.
    pub retry: Duration,
    /// Streams of this listener, on each shard.
    pub connections_max: usize,
    /// Messages a stream keeps.
    pub event_buffer_size: usize,
}

/// What one connection of a listener may cost.
#[derive(Clone, Debug)]
pub struct ListenerLimits {
    /// Connections of the listener.
    pub connections_max: usize,
    /// Connections of one address (IPv6 by /64) to the listener.
    pub connections_per_ip_max: usize,
    /// One JSON-RPC message, bytes.
    pub message_bytes_max: usize,
    /// Requests of one connection that are not answered yet, where they are answered as they finish.
    pub inflight_max: usize,
    /// How long one write may wait for the peer.
    pub send_timeout: Duration,
}

/// What a listener does with bytes before it reads them.
#[derive(Clone)]
pub enum Security {
    /// Bytes are plaintext.
    Plain,
    /// Bytes are TLS records.
    Tls(Arc<rustls::ServerConfig>),
}

/// Whether a caller has to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Whoever is at the other end is this one: it was started by, or started, this process.
    Resident(Principal),
    /// A credential is required: 401 without one.
    Authenticated,
    /// A caller without a credential is the anonymous principal with the roles of `rbac.anonymous_roles`;
    /// a wrong credential is still refused.
    AnonymousAllowed,
}
