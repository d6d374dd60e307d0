//! The configuration after all checks: complete, consistent, in the units the program uses.
//! Never: an `Option` that means "not configured", a string that still has to be parsed.
//! Next: `control/publish.rs` turns it into sockets and a `Snapshot`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guests::ClientAuth;
use super::profile::{CipherSuite, KeyExchange, OnChange, Stapling, TicketKey};
use crate::pipeline::admit::RateLimit;
use crate::pipeline::authenticate::Method;
use crate::pipeline::authenticate::certificate::table::CertificateTable;
use crate::pipeline::authenticate::grants::Grants;
use crate::pipeline::authenticate::tokens::Issuer;
use crate::pipeline::authorize::{RoleRules, Shows};
use crate::pipeline::event::AccessLog;
use crate::pipeline::snapshot::{Admission, Limits, ListenerLimits, Server, Speech};
use crate::shard::address::Address;
use crate::shard::listen::Options;

/// The whole file, checked.
#[derive(Debug)]
pub struct Config {
    /// The file it came from; none for `mcpring dev`.
    pub file: Option<PathBuf>,
    /// Identity.
    pub server: Server,
    /// Threads, cores and the event driver; fixed until a restart.
    pub runtime: Runtime,
    /// Sizes, counts and deadlines.
    pub limits: Limits,
    /// Of the network and of this machine, in file order.
    pub listeners: Vec<Listener>,
    /// The one client of `mcpring stdio`; `mcpring run` leaves it alone.
    pub stdio: Option<Stdio>,
    /// Referenced by name from `Listener::security`.
    pub tls: Vec<TlsProfile>,
    /// Where API keys are.
    pub api_key: Option<ApiKeys>,
    /// Whose tokens are accepted, in file order.
    pub issuers: Vec<Jwt>,
    /// TOML file with `[[revoked]]`.
    pub revocations_file: Option<PathBuf>,
    /// Roles of client certificates.
    pub certificates: CertificateTable,
    /// Roles in file order; at most 64.
    pub roles: Vec<RoleRules>,
    /// Indices into `roles` of a caller without a credential.
    pub anonymous_roles: Vec<usize>,
    /// Roles that names, scopes and subjects give.
    pub grants: Grants,
    /// What lists show.
    pub shows: Shows,
    /// Token buckets.
    pub rate_limits: Vec<RateLimit>,
    /// Names of native tools that are served.
    pub native: Vec<String>,
    /// Where and how much is logged.
    pub log: Log,
}

impl Config {
    /// The files and folders whose change is looked after: what they hold is loaded again.
    pub fn watched(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for profile in self.tls.iter().filter(|profile| profile.on_change == OnChange::Reload) {
            for pair in &profile.certificates {
                paths.extend([pair.cert_file.clone(), pair.key_file.clone()]);
            }
            if let TicketKey::Shared(source) = &profile.ticket_key {
                paths.extend(source.file());
            }
            if let Some(auth) = &profile.client_auth {
                paths.push(auth.ca_file.clone());
                paths.extend(auth.lists.watched());
            }
        }
        if let Some(keys) = &self.api_key {
            paths.push(keys.keys_file.clone());
            paths.extend(keys.pepper.file());
        }
        for issuer in &self.issuers {
            if let KeySource::File(file) = &issuer.source {
                paths.push(file.clone());
            }
        }
        paths.extend(self.revocations_file.clone());
        paths
    }
}

/// `[runtime]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// CPU numbers, one a shard.
    pub cpus: Vec<usize>,
    /// Whether each shard is tied to its CPU.
    pub pin: Pin,
    /// Which driver.
    pub driver: Driver,
    /// Threads for tools that block.
    pub blocking_threads: usize,
    /// Submission queue size of the ring.
    pub ring_entries: u32,
    /// How long a drain may take.
    pub shutdown_grace: Duration,
}

/// `runtime.pin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// sched_setaffinity for each shard.
    Pinned,
    /// The scheduler decides.
    Floating,
}

/// `runtime.driver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// io_uring, else epoll with one warning.
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// epoll.
    Epoll,
}

/// `[listeners.NAME]` of a kind that accepts connections.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Table name.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// How its socket is opened.
    pub socket: Options,
    /// Index into `Config::tls`, or plaintext.
    pub security: ListenerSecurity,
    /// What is spoken there.
    pub speech: Speech,
    /// What its connections may cost.
    pub limits: ListenerLimits,
    /// MCP endpoint path of HTTP.
    pub path: String,
    /// Host allow-list, lower case.
    pub hostnames: Vec<String>,
    /// Origin allow-list, lower case.
    pub origins: Vec<String>,
    /// Who may call.
    pub admission: Admission,
    /// How a caller may prove who it is, in the order in which it is tried.
    pub methods: Vec<Method>,
    /// Security header preset.
    pub headers: HeaderPreset,
    /// What clients ask tokens for, where tokens are accepted and clients can be told.
    pub resource: Option<ResourceUrl>,
}

/// A listener's endpoint, as OAuth clients name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceUrl {
    /// Scheme, host and port.
    pub origin: String,
    /// The rest.
    pub path: String,
}

/// `[listeners.NAME]` of kind `stdio`.
#[derive(Clone, Debug)]
pub struct Stdio {
    /// Table name.
    pub name: String,
    /// Where requests come from.
    pub input_fd: u32,
    /// Where answers go.
    pub output_fd: u32,
    /// Where the log goes.
    pub error_fd: u32,
    /// Bytes of one read or write.
    pub buffer_bytes: usize,
    /// Who the client is.
    pub principal: String,
    /// Indices into `Config::roles`.
    pub roles: Vec<usize>,
    /// What it may cost.
    pub limits: ListenerLimits,
}

/// `listeners.NAME.framing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// A message a line.
    Newline,
    /// A message after its length, four bytes, most significant first.
    Length32,
}

/// `listeners.NAME.tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerSecurity {
    /// Loopback, or `allow_plaintext_network = true`.
    Plain,
    /// Index into `Config::tls`.
    Tls(usize),
}

/// `mcp.slow_reader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SlowReader {
    /// Its stream is closed; it may come back for what is left.
    Close,
    /// It goes on without what it has missed.
    Drop,
}

/// `listeners.NAME.headers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderPreset {
    /// The strict set for an API.
    Strict,
    /// No security headers, by its own word.
    None,
}

/// `[tls.NAME]`.
#[derive(Clone, Debug)]
pub struct TlsProfile {
    /// Table name.
    pub name: String,
    /// Lowest protocol version.
    pub min_version: TlsVersion,
    /// Chosen by SNI; the first is the fallback. Never empty.
    pub certificates: Vec<Certificate>,
    /// Offered in this order; at least one of TLS 1.3, and of TLS 1.2 where that is permitted.
    pub cipher_suites: Vec<CipherSuite>,
    /// Accepted, never empty; the client's order decides.
    pub key_exchange: Vec<KeyExchange>,
    /// Session tickets.
    pub resumption: Resumption,
    /// How long a ticket key is in use.
    pub ticket_rotation: Duration,
    /// Where ticket keys come from.
    pub ticket_key: TicketKey,
    /// Whether the files are watched.
    pub on_change: OnChange,
    /// How long before a certificate expires to warn, longest first.
    pub expiry_warnings: Vec<Duration>,
    /// Certificates that are valid for longer in all are warned of; `Duration::MAX` warns of none.
    pub certificate_age_max: Duration,
    /// Proofs against revocation.
    pub stapling: Stapling,
    /// What is wanted of clients; none when they are not asked for a certificate.
    pub client_auth: Option<ClientAuth>,
}

/// `tls.NAME.min_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 with ECDHE suites, and 1.3.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 only.
    #[serde(rename = "1.3")]
    Tls13,
}

/// `tls.NAME.session_resumption`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resumption {
    /// Tickets whose keys all shards share.
    Tickets,
    /// Every handshake is full.
    Off,
}

/// `[[tls.NAME.certificates]]`.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Leaf first, then intermediates, PEM.
    pub cert_file: PathBuf,
    /// PEM; refused when group or others can read it.
    pub key_file: PathBuf,
}

/// `[auth.api_key]`.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    /// Header beside `Authorization: Bearer`, lower case.
    pub header: String,
    /// Where the pepper is.
    pub pepper: SecretSource,
    /// What new keys begin with.
    pub prefix: String,
    /// TOML file with `[[keys]]`.
    pub keys_file: PathBuf,
}

/// `[auth.jwt.NAME]`.
#[derive(Clone, Debug)]
pub struct Jwt {
    /// What its tokens are held against, without keys.
    pub rules: Issuer,
    /// Where the keys come from.
    pub source: KeySource,
    /// Whom to trust when asking there; none for the authorities of this machine.
    pub ca_file: Option<PathBuf>,
    /// How often the keys are read again.
    pub refresh: Duration,
    /// How long they are used beyond that.
    pub stale_if_error: Duration,
    /// Verified tokens that each shard remembers.
    pub tokens_max: usize,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A key set.
    Url(String),
    /// The issuer's metadata, which names the key set.
    Discovery,
    /// A file with a key set.
    File(PathBuf),
}

/// Where a secret is read from; its content is never in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
    /// `$CREDENTIALS_DIRECTORY/NAME`.
    Credential(String),
}

impl SecretSource {
    /// The file it is in, if it is in one.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Env(_) => None,
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => {
                std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(name))
            }
        }
    }
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// Line format.
    pub format: LogFormat,
    /// A valid `tracing` filter, for example `info,mcpring::tls=debug`.
    pub level: String,
    /// Whether every request is logged, not only refusals and faults.
    pub access_log: AccessLog,
}

/// `log.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Readable lines.
    Text,
    /// One JSON object a line.
    Json,
}
