//! `[listeners.NAME]` as written: the settings of all kinds of listeners, in one table.
//! Never: which kind reads which setting; that is `check/listeners/kinds.rs`.
//! Next: `check/listeners`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::checked::{Framing, HeaderPreset};
use super::super::quantity::{Size, Time};

/// `[listeners.NAME]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["kind"]))]
pub(in super::super) struct Listener {
    /// What is spoken there.
    #[schemars(with = "Kind")]
    pub(in super::super) kind: Option<Kind>,
    /// Where it listens: IP address and port, such as `"127.0.0.1:8443"`, `"[::]:8443"` (IPv4 and IPv6) or
    /// `"0.0.0.0:8443"`; `"unix:/run/mcpring/mcp.sock"`; or `"systemd:NAME"` for a socket that systemd passes under that
    /// `FileDescriptorName`.
    #[schemars(with = "String", extend("x-default" = "required, but for kind \"stdio\"", "x-form" = "address"))]
    pub(in super::super) address: Option<String>,
    /// The TLS profile, by the name of its `[tls.NAME]` table. Without one the listener speaks plaintext, which is
    /// refused on addresses other than loopback and Unix sockets.
    #[schemars(with = "String", extend("x-default" = "none", "x-form" = "name of a TLS profile"))]
    pub(in super::super) tls: Option<String>,
    /// The path of the MCP endpoint. Kind `http`.
    #[schemars(extend("x-form" = "path"))]
    pub(in super::super) path: String,
    /// What an `http` listener offers. What is not listed is not there.
    #[schemars(length(min = 1, max = 3))]
    pub(in super::super) transports: Vec<Transport>,
    /// WebSocket, when `transports` has it.
    pub(in super::super) websocket: WebSocket,
    /// The streams of Server-Sent Events, when `transports` has `sse`.
    pub(in super::super) sse: Sse,
    /// The ways to authenticate that this listener accepts. Kinds `http` and `tcp`.
    pub(in super::super) auth: Vec<Method>,
    /// Whether a caller must authenticate. `false` lets callers in with `rbac.anonymous_roles`, and is refused on
    /// addresses other than loopback and Unix sockets.
    pub(in super::super) auth_required: bool,
    /// Host names that requests may carry in `Host`, without port. Others are refused. Kind `http`.
    #[schemars(
        with = "Vec<String>",
        length(min = 1),
        extend("x-default" = "the host of server.public_url, and on loopback localhost, 127.0.0.1 and ::1", "x-form" = "host names")
    )]
    pub(in super::super) hostnames: Option<Vec<String>>,
    /// Origins that browsers may send, such as `"https://app.example.com"`. Others are refused; a request without an
    /// Origin passes. Kind `http`.
    #[schemars(
        with = "Vec<String>",
        extend("x-default" = "the origin of server.public_url", "x-form" = "origins")
    )]
    pub(in super::super) origins: Option<Vec<String>>,
    /// The security headers of every response. Kind `http`.
    pub(in super::super) headers: HeaderPreset,
    /// How a `tcp` listener finds messages in its bytes.
    #[schemars(with = "Framing", extend("x-default" = "newline"))]
    pub(in super::super) framing: Option<Framing>,
    /// One message of a `tcp` listener. A longer one is answered with 413. At most `limits.max_message_size`.
    #[schemars(
        with = "Size",
        extend("x-minimum" = "1KiB", "x-maximum" = "256MiB", "x-default" = "limits.max_message_size")
    )]
    pub(in super::super) max_frame_size: Option<Size>,
    /// One message of an `http` or `stdio` listener. A longer one is answered with 413. At most
    /// `limits.max_message_size`.
    #[schemars(
        with = "Size",
        extend("x-minimum" = "1KiB", "x-maximum" = "256MiB", "x-default" = "limits.max_message_size")
    )]
    pub(in super::super) max_message_size: Option<Size>,
    /// Open connections of this listener.
    #[schemars(
        with = "u64",
        range(min = 1, max = 1_000_000),
        extend("x-default" = "limits.max_connections", "x-unit" = "connections")
    )]
    pub(in super::super) max_connections: Option<u64>,
    /// Open connections of one client address (IPv6: of one /64 network) to this listener. Peers of a Unix socket have
    /// no address: only `max_connections` bounds them.
    #[schemars(
        with = "u64",
        range(min = 1, max = 1_000_000),
        extend("x-default" = "limits.max_connections_per_ip", "x-unit" = "connections")
    )]
    pub(in super::super) max_connections_per_ip: Option<u64>,
    /// Requests of one connection that may be under way, where answers come as they finish.
    #[schemars(
        with = "u64",
        range(min = 1, max = 100_000),
        extend("x-default" = "limits.max_inflight_per_connection", "x-unit" = "requests")
    )]
    pub(in super::super) max_inflight_per_connection: Option<u64>,
    /// How long the server waits for a client to take what it was sent.
    #[schemars(
        with = "Time",
        extend("x-minimum" = "10ms", "x-maximum" = "1h", "x-default" = "limits.send_timeout")
    )]
    pub(in super::super) send_timeout: Option<Time>,
    /// How long a TCP connection may be silent before the kernel asks whether its peer is still there; `"0s"` never
    /// asks.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "9h", "x-reload" = "restart"))]
    pub(in super::super) tcp_keepalive: Time,
    /// How many connections the kernel keeps waiting for each shard.
    #[schemars(range(min = 1, max = 65535), extend("x-reload" = "restart", "x-unit" = "connections"))]
    pub(in super::super) backlog: u32,
    /// Who may connect to a Unix socket: the mode of its file.
    #[schemars(extend("x-reload" = "restart", "x-form" = "octal mode"))]
    pub(in super::super) socket_mode: String,
    /// Permits plaintext on an address other than loopback.
    pub(in super::super) allow_plaintext_network: bool,
    /// Permits callers without a credential on an address other than loopback.
    pub(in super::super) allow_anonymous_network: bool,
    /// Says that this file is for `mcpring stdio` alone, so that `mcpring run` refuses it. Kind `stdio`.
    #[schemars(with = "bool", extend("x-default" = "false"))]
    pub(in super::super) enabled: Option<bool>,
    /// The descriptor that requests come from. Kind `stdio`.
    #[schemars(with = "u32", range(min = 0, max = 1023), extend("x-default" = "0", "x-reload" = "restart", "x-unit" = "descriptor"))]
    pub(in super::super) input_fd: Option<u32>,
    /// The descriptor that answers go to. Kind `stdio`.
    #[schemars(with = "u32", range(min = 0, max = 1023), extend("x-default" = "1", "x-reload" = "restart", "x-unit" = "descriptor"))]
    pub(in super::super) output_fd: Option<u32>,
    /// The descriptor that the log goes to. Kind `stdio`.
    #[schemars(with = "u32", range(min = 0, max = 1023), extend("x-default" = "2", "x-reload" = "restart", "x-unit" = "descriptor"))]
    pub(in super::super) error_fd: Option<u32>,
    /// How much is read from and written to the standard streams at once. Kind `stdio`.
    #[schemars(
        with = "Size",
        extend("x-minimum" = "4KiB", "x-maximum" = "1MiB", "x-default" = "64KiB", "x-reload" = "restart")
    )]
    pub(in super::super) buffer_size: Option<Size>,
    /// Who the client on the standard streams is. Kind `stdio`.
    #[schemars(with = "String", length(min = 1, max = 64), extend("x-default" = "local", "x-form" = "name"))]
    pub(in super::super) principal: Option<String>,
    /// The roles of that client. Kind `stdio`.
    #[schemars(with = "Vec<String>", extend("x-default" = "none, so that it may do nothing", "x-form" = "names of roles"))]
    pub(in super::super) roles: Option<Vec<String>>,
}

/// `listeners.NAME.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Kind {
    /// Streamable HTTP, WebSocket and Server-Sent Events, by `transports`.
    Http,
    /// One JSON-RPC message after another, by `framing`.
    Tcp,
    /// One client on descriptors of this process; served by `mcpring stdio`.
    Stdio,
    /// Plain HTTP that sends everybody to `server.public_url` with 308.
    Redirect,
}

/// An entry of `listeners.NAME.transports`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(in super::super) enum Transport {
    /// Streamable HTTP at `path`.
    #[serde(rename = "streamable_http")]
    StreamableHttp,
    /// WebSocket at `path`.
    #[serde(rename = "websocket")]
    WebSocket,
    /// The server's notifications at `/events`, and the transport of 2024-11-05 at `/sse` and `/message`.
    #[serde(rename = "sse")]
    Sse,
}

/// An entry of `listeners.NAME.auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Method {
    /// A key of `[auth.api_key]`.
    ApiKey,
    /// A token of an issuer in `[auth.jwt]`.
    Jwt,
    /// The certificate that the connection was opened with: `client_auth` of the TLS profile, roles by `[auth.mtls]`.
    Mtls,
}

/// `[listeners.NAME.websocket]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct WebSocket {
    /// Subprotocols, of which a client must offer one.
    #[schemars(length(min = 1, max = 16), extend("x-form" = "subprotocols"))]
    pub(in super::super) subprotocols: Vec<String>,
    /// The payload of one frame. A longer one ends the connection with 1009. Bounded by `max_message_size`.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "256MiB"))]
    pub(in super::super) max_frame_size: Size,
    /// How long a peer may be silent before it is pinged.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(in super::super) ping_interval: Time,
    /// How long it may then take to answer. Shorter than `ping_interval`.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub(in super::super) pong_timeout: Time,
}

/// `[listeners.NAME.sse]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Sse {
    /// How long a stream may be silent before a comment is sent on it.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(in super::super) heartbeat_interval: Time,
    /// What a client that has lost its stream is asked to wait before it comes back.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub(in super::super) retry: Time,
    /// Streams of this listener, on each shard.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-unit" = "streams"))]
    pub(in super::super) max_connections: u64,
    /// Messages that a stream keeps for a reader that is slow or has lost its connection.
    #[schemars(range(min = 8, max = 100_000), extend("x-unit" = "messages"))]
    pub(in super::super) event_buffer_size: u64,
}
