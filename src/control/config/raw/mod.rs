//! The file as written: one struct a table, one field a setting. These types are the only list of settings:
//! the JSON Schema, the shape check and the settings reference are all made from them.
//! Never: a meaning beyond shape, range and default; what settings mean together is `check`.
//! Next: `schema`, which reads the types, then `check`, which reads their values.

mod client_auth;
mod listeners;
mod tokens;
mod tls;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checked::{Driver, LogFormat, SlowReader};
use super::quantity::{Size, Time};
pub(super) use client_auth::{ClientAuth, Crl, Mtls, Ocsp};
pub(super) use listeners::{Kind, Listener, Method, Sse, Transport, WebSocket};
pub(super) use tls::{Certificate, Tls};
pub(super) use tokens::Jwt;

/// Names that an operator chooses are labels elsewhere, so they are short and plain.
const NAME_PATTERN: &str = "^[A-Za-z0-9_-]{1,64}$";

/// mcpring.toml
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    /// The version of this file's format.
    #[schemars(range(min = 1, max = 1))]
    pub(super) version: u64,
    /// What the server says it is.
    pub(super) server: Server,
    /// Threads, CPUs and the event driver.
    pub(super) runtime: Runtime,
    /// What one peer, one message and the whole process may cost.
    pub(super) limits: Limits,
    /// Lists, streams, sessions and tasks of the protocol.
    pub(super) mcp: Mcp,
    /// Where the server listens, one table a listener.
    #[schemars(extend("propertyNames" = { "pattern": NAME_PATTERN }))]
    pub(super) listeners: BTreeMap<String, Listener>,
    /// TLS profiles, one table a profile; listeners name them.
    #[schemars(extend("propertyNames" = { "pattern": NAME_PATTERN }))]
    pub(super) tls: BTreeMap<String, Tls>,
    /// How callers prove who they are.
    pub(super) auth: Auth,
    /// What callers may do, one table a role. At most 64.
    #[schemars(extend("propertyNames" = { "pattern": NAME_PATTERN }, "maxProperties" = 64))]
    pub(super) roles: BTreeMap<String, Role>,
    /// How roles are given.
    pub(super) rbac: Rbac,
    /// Token buckets, one table a limit. Every request must get a token from each.
    #[schemars(extend("propertyNames" = { "pattern": NAME_PATTERN }))]
    pub(super) rate_limits: BTreeMap<String, RateLimit>,
    /// The tools built into the server.
    pub(super) native: Native,
    /// Where and how much is logged.
    pub(super) log: Log,
}

/// `[server]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    /// The name in `serverInfo`.
    #[schemars(length(min = 1, max = 64))]
    pub(super) name: String,
    /// The URL under which clients reach the server. Its host and origin are the default `hostnames` and
    /// `origins` of every listener.
    #[schemars(with = "String", extend("x-default" = "none", "x-form" = "URL"))]
    pub(super) public_url: Option<String>,
    /// What a model should know before it uses the tools; part of `server/discover` and `initialize`.
    #[schemars(with = "String", length(min = 1, max = 16384), extend("x-default" = "none"))]
    pub(super) instructions: Option<String>,
}

/// `[runtime]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Runtime {
    /// How many shards (threads that serve connections) there are; `"auto"` is one for each CPU in `cpus`.
    #[schemars(extend("x-reload" = "restart"))]
    pub(super) shards: Shards,
    /// The CPUs the shards run on: `"all"` that this process may use, or a list such as `"0,2-4"`.
    #[schemars(extend("x-reload" = "restart", "x-form" = "CPU list"))]
    pub(super) cpus: String,
    /// Whether each shard is tied to its CPU.
    #[schemars(extend("x-reload" = "restart"))]
    pub(super) pin: bool,
    /// How the shards wait for the kernel.
    #[schemars(extend("x-reload" = "restart"))]
    pub(super) driver: Driver,
    /// Entries of each shard's submission queue.
    #[schemars(range(min = 16, max = 32768), extend("x-reload" = "restart", "x-unit" = "entries"))]
    pub(super) ring_entries: u32,
    /// Threads for tools that block, for all shards together.
    #[schemars(range(min = 1, max = 1024), extend("x-reload" = "restart", "x-unit" = "threads"))]
    pub(super) blocking_threads: u64,
    /// How long requests in flight may take to finish after SIGTERM.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "1h"))]
    pub(super) shutdown_grace: Time,
}

/// `[limits]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Open connections of the whole process.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-unit" = "connections"))]
    pub(super) max_connections: u64,
    /// Open connections of one client address (IPv6: of one /64 network).
    #[schemars(range(min = 1, max = 1_000_000), extend("x-unit" = "connections"))]
    pub(super) max_connections_per_ip: u64,
    /// One JSON-RPC message. A longer one is answered with 413.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "256MiB"))]
    pub(super) max_message_size: Size,
    /// Request line and header fields together. A longer head is answered with 431.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "64KiB"))]
    pub(super) max_header_size: Size,
    /// How deep arrays and objects may be nested.
    #[schemars(range(min = 4, max = 256), extend("x-unit" = "levels"))]
    pub(super) max_json_depth: u64,
    /// Values and keys in one message.
    #[schemars(range(min = 16, max = 10_000_000), extend("x-unit" = "nodes"))]
    pub(super) max_json_nodes: u64,
    /// Requests of one connection that may be under way, where answers come as they finish.
    #[schemars(range(min = 1, max = 100_000), extend("x-unit" = "requests"))]
    pub(super) max_inflight_per_connection: u64,
    /// From the first byte of a connection to the end of its TLS handshake.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub(super) tls_handshake_timeout: Time,
    /// From the first byte of a request to the end of its header.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "5m"))]
    pub(super) header_timeout: Time,
    /// From the end of the header to the end of the body.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub(super) body_timeout: Time,
    /// How long the server waits for a client to take what it was sent.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub(super) send_timeout: Time,
    /// How long a connection may stay open without a request.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub(super) idle_timeout: Time,
    /// How long a tool may run.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "24h"))]
    pub(super) request_timeout: Time,
}

/// `[mcp]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mcp {
    /// Entries of one page of a list.
    #[schemars(range(min = 1, max = 10_000), extend("x-unit" = "entries"))]
    pub(super) page_size: u64,
    /// How long a session of the older revisions lives.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "7d"))]
    pub(super) session_ttl: Time,
    /// How long a client may take to answer what a tool asks it.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(super) input_timeout: Time,
    /// Messages that a stream keeps for a reader that is slow or has lost its connection. When it is full the oldest
    /// notifications go; answers and questions stay.
    #[schemars(range(min = 8, max = 100_000), extend("x-unit" = "messages"))]
    pub(super) event_buffer_size: u64,
    /// Streams of the whole process: calls that report, subscriptions, sessions.
    #[schemars(range(min = 8, max = 1_000_000), extend("x-unit" = "streams"))]
    pub(super) max_streams: u64,
    /// Open `subscriptions/listen` streams of one principal, on each shard.
    #[schemars(range(min = 1, max = 100_000), extend("x-unit" = "streams"))]
    pub(super) max_subscriptions: u64,
    /// What happens to a reader that has missed messages of its stream.
    pub(super) slow_reader: SlowReader,
    /// How long a stream whose reader has lost its connection waits for it to come back.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "24h"))]
    pub(super) resume_window: Time,
    /// What a client that has lost a stream is asked to wait before it comes back.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub(super) retry_interval: Time,
    /// How long a stream may be silent before a comment is sent on it.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(super) keepalive_interval: Time,
    /// Tasks of the whole process, running and finished.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-unit" = "tasks"))]
    pub(super) max_tasks: u64,
    /// How long a task is kept, finished or not.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "7d"))]
    pub(super) task_ttl: Time,
}

/// `[auth]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Auth {
    /// API keys.
    #[schemars(with = "ApiKey")]
    pub(super) api_key: Option<ApiKey>,
    /// Issuers of tokens (JWT), one table an issuer.
    #[schemars(extend("propertyNames" = { "pattern": NAME_PATTERN }))]
    pub(super) jwt: BTreeMap<String, Jwt>,
    /// TOML file with what was taken back before its time: tokens, subjects, keys of issuers. `mcpring token revoke`
    /// writes it.
    #[schemars(with = "String", length(min = 1), extend("x-default" = "none", "x-form" = "file"))]
    pub(super) revocations_file: Option<String>,
    /// Client certificates.
    #[schemars(with = "Mtls")]
    pub(super) mtls: Option<Mtls>,
    /// Credentials of one client address (IPv6: of one /64 network) that may not hold before it is blocked. From more than
    /// half of them on it has to wait longer after each. One that holds begins the count anew.
    #[schemars(range(min = 2, max = 200), extend("x-unit" = "failures"))]
    pub(super) max_failures: u32,
    /// How long after the last of them failures are forgotten.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(super) failure_window: Time,
    /// How long an address is blocked: none of its credentials is looked at, except where a connection was let in before.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "24h"))]
    pub(super) block_for: Time,
}

/// `[auth.api_key]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["pepper", "keys_file"]))]
pub(super) struct ApiKey {
    /// The header that may carry a key, beside `Authorization: Bearer`.
    #[schemars(extend("x-form" = "header name"))]
    pub(super) header: String,
    /// Where the secret is under which keys are stored: exactly one of `env`, `file` and `credential`.
    #[schemars(with = "Pepper")]
    pub(super) pepper: Option<Pepper>,
    /// What keys that `mcpring key` makes begin with, so that scanners for leaked secrets find them.
    #[schemars(extend("x-form" = "2 to 16 lower-case letters and digits"))]
    pub(super) prefix: String,
    /// TOML file with the keys.
    #[schemars(with = "String", length(min = 1), extend("x-form" = "file"))]
    pub(super) keys_file: Option<String>,
}

/// Where a secret is: `auth.api_key.pepper`, `tls.NAME.ticket_key`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct Pepper {
    /// An environment variable that holds it.
    #[schemars(with = "String", length(min = 1), extend("x-default" = "none", "x-form" = "variable name"))]
    pub(super) env: Option<String>,
    /// A file that holds it. Refused when its group or others may read it.
    #[schemars(with = "String", length(min = 1), extend("x-default" = "none", "x-form" = "file"))]
    pub(super) file: Option<String>,
    /// A systemd credential (`LoadCredential=`): a file of this name in `$CREDENTIALS_DIRECTORY`.
    #[schemars(with = "String", length(min = 1), extend("x-default" = "none", "x-form" = "credential name"))]
    pub(super) credential: Option<String>,
}

/// `[roles.NAME]`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Role {
    /// Roles that who holds this one holds too.
    #[schemars(extend("x-form" = "names of roles"))]
    pub(super) inherits: Vec<String>,
    /// What the role may do: `"<method>"` or `"<method>:native/<tool>"`, where `*` stands for any text within a
    /// segment and `**` for any text.
    #[schemars(extend("x-form" = "patterns"))]
    pub(super) allow: Vec<String>,
    /// What the role may not do, whatever another rule allows.
    #[schemars(extend("x-form" = "patterns"))]
    pub(super) deny: Vec<String>,
    /// A condition in CEL under which the role is held at all: of `request.method`, `.name`, `.ip` and `.listener`,
    /// `principal.id` and `.scopes`, `claims`, `arguments`, and `now` in Unix seconds. `request.ip in ["10.0.0.0/8"]` takes
    /// networks. When it can not be evaluated for a request, what the role denies is denied and what it allows is not allowed.
    #[schemars(with = "String", length(min = 1, max = 2048), extend("x-default" = "none", "x-form" = "CEL"))]
    pub(super) when: Option<String>,
}

/// `[rbac]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rbac {
    /// Roles of a caller without a credential, on a listener with `auth_required = false`.
    #[schemars(extend("x-form" = "names of roles"))]
    pub(super) anonymous_roles: Vec<String>,
    /// Roles by the scopes of a token.
    #[schemars(extend("x-form" = "names of roles by scope"))]
    pub(super) scope_roles: BTreeMap<String, Vec<String>>,
    /// Roles by principal, as the log names it, beside those it has otherwise: the id of an API key, `ISSUER|SUBJECT` of a
    /// token with the name of its `[auth.jwt.ISSUER]`, `cert|IDENTITY` of a client certificate.
    #[schemars(extend("x-form" = "names of roles by principal"))]
    pub(super) subjects: BTreeMap<String, Vec<String>>,
    /// Whether lists show a caller only what it may use; `false` shows everything to whoever may see the list.
    pub(super) filter_lists: bool,
}

impl Default for Rbac {
    fn default() -> Self {
        Self {
            anonymous_roles: Vec::new(),
            scope_roles: BTreeMap::new(),
            subjects: BTreeMap::new(),
            filter_lists: true,
        }
    }
}

/// `[rate_limits.NAME]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["key", "rate"]))]
pub(super) struct RateLimit {
    /// Whose requests are counted together.
    #[schemars(with = "RateKey")]
    pub(super) key: Option<RateKey>,
    /// Requests per `period`.
    #[schemars(with = "u64", range(min = 1, max = 1_000_000_000), extend("x-unit" = "requests"))]
    pub(super) rate: Option<u64>,
    /// The period of `rate`.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub(super) period: Time,
    /// Requests that may come at once beyond the steady rate.
    #[schemars(range(min = 1, max = 1_000_000_000), extend("x-unit" = "requests"))]
    pub(super) burst: u64,
}

/// `rate_limits.NAME.key`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RateKey {
    /// Each client address has its own bucket (IPv6: each /64 network).
    Ip,
    /// One bucket for all.
    Global,
}

/// `[native]`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Native {
    /// The built-in tools that are served: `"echo"`, `"time"`, `"countdown"`.
    #[schemars(extend("x-form" = "names of tools"))]
    pub(super) enable: Vec<String>,
}

/// `[log]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// How lines are written.
    #[schemars(extend("x-reload" = "restart"))]
    pub(super) format: LogFormat,
    /// What is logged: `"error"`, `"warn"`, `"info"`, `"debug"`, `"trace"`, also per module as in
    /// `"info,mcpring::pipeline=debug"`.
    #[schemars(extend("x-form" = "log filter"))]
    pub(super) level: String,
    /// Whether every request is logged; `false` logs only what was refused or failed.
    pub(super) access_log: bool,
}

/// `runtime.shards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shards {
    /// One for each CPU.
    Auto,
    /// So many.
    Count(u32),
}
