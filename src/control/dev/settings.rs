//! The configuration of `mcpring dev`: what a person who tries things would want, on loopback.
//! Next: `told`, what that person reads.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity};

use super::super::config::checked::{
    Config, Driver, HeaderPreset, Listener, ListenerSecurity, Log, LogFormat, Pin, Runtime, TlsProfile,
};
use super::super::config::default_limits;
use super::super::options::{DevOptions, Format, Shards};
use super::{Addresses, PATH};
use crate::pipeline::admit::{RateKey, RateLimit};
use crate::pipeline::authenticate::Method;
use crate::pipeline::authenticate::certificate::table::CertificateTable;
use crate::pipeline::authenticate::grants::Grants;
use crate::pipeline::authorize::{RoleRules, Shows};
use crate::pipeline::event::AccessLog;
use crate::pipeline::snapshot::{
    Admission, Limits, ListenerLimits, Server, Speech, Sse, Transports, WebSocket,
};
use crate::shard::listen::Options;
use crate::tools::DEMO_TOOLS;

const SOCKET: Options = Options { backlog: 1024, keepalive: Duration::from_secs(60), mode: 0o600 };

pub(super) fn build_config(options: &DevOptions, addresses: &Addresses) -> Config {
    let limits = build_limits();
    let listener = |name: &str, address: SocketAddr, speech: Speech| Listener {
        name: name.to_owned(),
        address: address.into(),
        socket: SOCKET,
        security: ListenerSecurity::Tls(0),
        speech,
        limits: ListenerLimits {
            connections_max: limits.connections_max,
            connections_per_ip_max: limits.connections_per_ip_max,
            message_bytes_max: limits.message_bytes_max,
            inflight_max: 128,
            send_timeout: limits.send_timeout,
        },
        path: PATH.to_owned(),
        hostnames: ["localhost", "127.0.0.1", "::1", "[::1]"].map(str::to_owned).to_vec(),
        origins: Vec::new(),
        admission: Admission::Authenticated,
        methods: vec![Method::ApiKey],
        headers: HeaderPreset::Strict,
        resource: None,
    };
    let http = addresses.http.iter().zip(["dev", "dev6"]);
    let http = http.map(|(&address, name)| listener(name, address, Speech::Http(all_transports())));
    let tcp = addresses.tcp.iter().map(|&address| listener("dev-tcp", address, Speech::Lines));
    let listeners = http.chain(tcp).collect();
    let log_format = match options.format {
        Format::Text => LogFormat::Auto,
        Format::Json => LogFormat::Json,
    };
    Config {
        file: None,
        server: Server {
            name: "mcpring".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instructions: None,
        },
        runtime: build_runtime(options.driver, options.shards),
        limits,
        listeners,
        stdio: None,
        tls: vec![TlsProfile::without_files("dev")],
        api_key: None,
        issuers: Vec::new(),
        revocations_file: None,
        certificates: CertificateTable::default(),
        roles: vec![RoleRules {
            name: "operator".to_owned(),
            allow: vec!["**".to_owned()],
            ..RoleRules::default()
        }],
        anonymous_roles: Vec::new(),
        grants: Grants::default(),
        shows: Shows::Usable,
        rate_limits: vec![RateLimit {
            name: "per_ip".to_owned(),
            key: RateKey::Ip,
            rate: 10_000,
            period: Duration::from_secs(1),
            burst: 10_000,
        }],
        native: DEMO_TOOLS.iter().map(ToString::to_string).collect(),
        log: Log { format: log_format, level: "info".to_owned(), access_log: AccessLog::Every },
    }
}

pub(super) fn build_runtime(driver: Driver, shards: Shards) -> Runtime {
    let cpus: Vec<usize> = match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        Err(_) => (0..thread::available_parallelism().map_or(1, usize::from)).collect(),
    };
    let shards = match shards {
        Shards::Auto => cpus.len(),
        Shards::Count(count) => count.get(),
    };
    Runtime {
        // More shards than CPUs is fine for trying things: nothing is pinned here.
        cpus: cpus.iter().copied().cycle().take(shards).collect(),
        pin: Pin::Floating,
        driver,
        blocking_threads: 4,
        ring_entries: 1024,
        shutdown_grace: Duration::from_secs(5),
    }
}

/// One person has one address, and a test suite may open a connection a request.
fn build_limits() -> Limits {
    Limits { connections_max: 1_000, connections_per_ip_max: 1_000, ..default_limits() }
}

fn all_transports() -> Transports {
    Transports {
        streamable_http: true,
        websocket: Some(WebSocket {
            subprotocols: vec!["mcp".to_owned()],
            frame_bytes_max: 1 << 20,
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
        }),
        sse: Some(Sse {
            heartbeat_interval: Duration::from_secs(30),
            retry: Duration::from_secs(5),
            connections_max: 1_000,
            event_buffer_size: 100,
        }),
    }
}
