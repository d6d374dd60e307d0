//! What a setting is when the file does not say. The schema and the settings reference take it from here.
//! Next: `schema`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checked::{Driver, HeaderPreset, LogFormat, Resumption, SlowReader, TlsVersion};
use super::profile::KeyExchange;
use super::quantity::{Size, Time};
use super::raw::{
    ApiKey, Auth, File, Limits, Listener, Log, Mcp, Native, RateLimit, Rbac, Runtime, Server, Shards, Sse,
    Tls, Transport, WebSocket,
};

/// Seconds.
const DAY_S: u64 = 24 * 3600;

impl Default for File {
    fn default() -> Self {
        Self {
            version: 1,
            server: Server::default(),
            runtime: Runtime::default(),
            limits: Limits::default(),
            mcp: Mcp::default(),
            listeners: BTreeMap::new(),
            tls: BTreeMap::new(),
            auth: Auth::default(),
            roles: BTreeMap::new(),
            rbac: Rbac::default(),
            rate_limits: BTreeMap::new(),
            native: Native::default(),
            log: Log::default(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self { name: "mcpring".to_owned(), public_url: None, instructions: None }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            shards: Shards::Auto,
            cpus: "all".to_owned(),
            pin: true,
            driver: Driver::Auto,
            ring_entries: 4096,
            blocking_threads: 4,
            shutdown_grace: Time::from_secs(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_ip: 10,
            max_message_size: Size(10 << 20),
            max_header_size: Size(16 << 10),
            max_json_depth: 64,
            max_json_nodes: 200_000,
            max_inflight_per_connection: 128,
            tls_handshake_timeout: Time::from_secs(5),
            header_timeout: Time::from_secs(5),
            body_timeout: Time::from_secs(30),
            send_timeout: Time::from_secs(30),
            idle_timeout: Time::from_secs(120),
            request_timeout: Time::from_secs(60),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            api_key: None,
            jwt: BTreeMap::new(),
            revocations_file: None,
            mtls: None,
            max_failures: 20,
            failure_window: Time::from_secs(600),
            block_for: Time::from_secs(600),
        }
    }
}

impl Default for Mcp {
    fn default() -> Self {
        Self {
            page_size: 100,
            session_ttl: Time::from_secs(24 * 3600),
            input_timeout: Time::from_secs(300),
            event_buffer_size: 100,
            max_streams: 10_000,
            max_subscriptions: 64,
            slow_reader: SlowReader::Close,
            resume_window: Time::from_secs(300),
            retry_interval: Time::from_secs(1),
            keepalive_interval: Time::from_secs(15),
            max_tasks: 1000,
            task_ttl: Time::from_secs(3600),
        }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            kind: None,
            address: None,
            tls: None,
            path: "/mcp".to_owned(),
            transports: vec![Transport::StreamableHttp],
            websocket: WebSocket::default(),
            sse: Sse::default(),
            auth: Vec::new(),
            auth_required: true,
            hostnames: None,
            origins: None,
            headers: HeaderPreset::Strict,
            framing: None,
            max_frame_size: None,
            max_message_size: None,
            max_connections: None,
            max_connections_per_ip: None,
            max_inflight_per_connection: None,
            send_timeout: None,
            tcp_keepalive: Time::from_secs(60),
            backlog: 4096,
            socket_mode: "0660".to_owned(),
            allow_plaintext_network: false,
            allow_anonymous_network: false,
            enabled: None,
            input_fd: None,
            output_fd: None,
            error_fd: None,
            buffer_size: None,
            principal: None,
            roles: None,
        }
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            subprotocols: vec!["mcp".to_owned()],
            max_frame_size: Size(1 << 20),
            ping_interval: Time::from_secs(30),
            pong_timeout: Time::from_secs(10),
        }
    }
}

impl Default for Sse {
    fn default() -> Self {
        Self {
            heartbeat_interval: Time::from_secs(30),
            retry: Time::from_secs(5),
            max_connections: 1000,
            event_buffer_size: 100,
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            min_version: TlsVersion::Tls13,
            allow_tls12: false,
            cipher_suites: None,
            key_exchange: KeyExchange::DEFAULT.to_vec(),
            session_resumption: Resumption::Tickets,
            ticket_rotation: Time::from_secs(6 * 3600),
            ticket_key: None,
            reload_on_change: true,
            expiry_warning: [30 * DAY_S, 7 * DAY_S, DAY_S].map(Time::from_secs).to_vec(),
            max_certificate_age: None,
            ocsp_stapling: true,
            ocsp_responder: None,
            client_auth: None,
            certificates: Vec::new(),
        }
    }
}

impl Default for ApiKey {
    fn default() -> Self {
        Self { header: "X-API-Key".to_owned(), pepper: None, prefix: "mrk".to_owned(), keys_file: None }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { key: None, rate: None, period: Time::from_secs(60), burst: 20 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned(), access_log: true }
    }
}

impl Serialize for Shards {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Count(count) => serializer.serialize_u32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Shards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Count(u32),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Count(count) => Ok(Self::Count(count)),
            Written::Word(word) if word == "auto" => Ok(Self::Auto),
            Written::Word(_) => Err(D::Error::custom("neither \"auto\" nor a number")),
        }
    }
}

impl JsonSchema for Shards {
    fn schema_name() -> Cow<'static, str> {
        "Shards".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 1024 }],
            "x-unit": "shards",
        })
    }
}
