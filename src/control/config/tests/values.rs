//! What a file means: values, defaults, overrides, and that no setting is without effect.
//! Next: `environment`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::checked::{
    Driver, HeaderPreset, ListenerSecurity, LogFormat, Pin, Resumption, SecretSource, TlsVersion,
};
use super::super::settings::{Presence, Setting, Shape, settings};
use super::*;
use crate::pipeline::admit::RateKey;
use crate::pipeline::event::AccessLog;
use crate::pipeline::snapshot::Admission;

/// The checked form of `GOOD` with overrides.
fn good(overrides: &[&str]) -> Config {
    load_text(GOOD, overrides).unwrap_or_else(|problems| panic!("{overrides:?}\n{problems}")).config
}

#[test]
fn reads_what_a_good_file_says() {
    let config = good(&[]);
    assert_eq!(config.file, None);
    assert_eq!((config.server.name.as_str(), &config.server.instructions), ("demo", &None));
    assert_eq!(config.server.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(config.runtime.cpus, [0]);
    assert_eq!(config.limits.message_bytes_max, 1 << 20);

    let names: Vec<_> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["https", "local"]);
    let (https, local) = (&config.listeners[0], &config.listeners[1]);
    assert_eq!(https.address.to_string(), "[::]:8443");
    assert_eq!(https.security, ListenerSecurity::Tls(0));
    assert_eq!(https.admission, Admission::Authenticated);
    assert_eq!(
        (https.path.as_str(), https.headers, https.socket.backlog),
        ("/mcp", HeaderPreset::Strict, 4096)
    );
    assert_eq!(https.hostnames, ["mcp.example.com"]);
    assert_eq!(https.origins, ["https://mcp.example.com"]);
    assert_eq!(local.security, ListenerSecurity::Plain);
    assert_eq!(local.admission, Admission::AnonymousAllowed);
    assert_eq!(local.hostnames, ["localhost", "127.0.0.1", "::1", "mcp.example.com"]);

    assert_eq!(config.tls[0].certificates[0].cert_file, Path::new("server.crt"));
    assert_eq!(config.tls[0].certificates[0].key_file, Path::new("/etc/server.key"));
    let api_key = config.api_key.unwrap();
    assert_eq!(api_key.header, "x-api-key");
    assert_eq!(api_key.pepper, SecretSource::Env("MCPRING_PEPPER".to_owned()));
    assert_eq!(api_key.keys_file, PathBuf::from("keys.toml"));

    // In the order of the file, which is not that of the alphabet.
    assert_eq!((config.roles[0].name.as_str(), config.roles[1].name.as_str()), ("reader", "agent"));
    assert_eq!(config.roles[1].deny, ["tools/call:native/countdown"]);
    assert_eq!(config.anonymous_roles, [0]);
    let limit = &config.rate_limits[0];
    assert_eq!((limit.name.as_str(), limit.key, limit.rate, limit.burst), ("per_ip", RateKey::Ip, 100, 20));
    assert_eq!(limit.period, Duration::from_secs(60));
    assert_eq!(config.native, ["echo", "time"]);
}

#[test]
fn fills_in_the_documented_defaults() {
    let config = good(&[]);
    let runtime = &config.runtime;
    assert_eq!((runtime.pin, runtime.driver, runtime.ring_entries), (Pin::Pinned, Driver::Auto, 4096));
    assert_eq!(runtime.shutdown_grace, Duration::from_secs(30));
    let limits = &config.limits;
    assert_eq!((limits.connections_max, limits.connections_per_ip_max), (10_000, 10));
    assert_eq!(
        (limits.head_bytes_max, limits.json_depth_max, limits.json_nodes_max),
        (16 << 10, 64, 200_000)
    );
    let timeouts = [
        limits.tls_handshake_timeout,
        limits.header_timeout,
        limits.body_timeout,
        limits.send_timeout,
        limits.idle_timeout,
        limits.request_timeout,
    ];
    assert_eq!(timeouts.map(|timeout| timeout.as_secs()), [5, 5, 30, 30, 120, 60]);
    let tls = &config.tls[0];
    assert_eq!((tls.min_version, tls.resumption), (TlsVersion::Tls13, Resumption::Tickets));
    let log = &config.log;
    assert_eq!((log.format, log.level.as_str(), log.access_log), (LogFormat::Auto, "info", AccessLog::Every));
}

/// The settings that hold one value, with the names of `GOOD` for the names an operator chooses.
fn leaves() -> Vec<(String, Setting)> {
    fn collect(shape: Shape, path: &str, found: &mut Vec<(String, Setting)>) {
        let name = match path {
            "listeners" => ".https",
            "tls" => ".public",
            "auth.jwt" => ".corp",
            "roles" => ".agent",
            "rate_limits" => ".per_ip",
            _ => "",
        };
        if let Shape::Named(inner) = shape {
            return collect(*inner, &format!("{path}{name}"), found);
        }
        let Shape::Table { settings, .. } = shape else { panic!("{path} is no table") };
        for mut setting in settings {
            let path = super::super::report::child(path, &setting.key);
            if setting.shape.inner().is_empty() || matches!(setting.shape, Shape::List { .. }) {
                found.push((path, setting));
            } else {
                collect(std::mem::replace(&mut setting.shape, Shape::Boolean), &path, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(settings(), "", &mut found);
    found
}

/// What the base below says otherwise, or has no use for.
const BASE_DIFFERS: &[&str] = &["listeners.https.auth_required", "listeners.https.transports"];

#[test]
fn changes_nothing_when_a_default_is_written_out() {
    // The base has no setting with a default written, so each is really absent in it.
    let base = "[listeners.https]\nkind=\"http\"\naddress=\"127.0.0.1:1\"\nauth_required=false\n\
        transports=[\"streamable_http\",\"websocket\",\"sse\"]\n[tls.public]\ncertificates=[{cert_file=\"a\",key_file=\"b\"}]\n[roles.agent]\nallow=[]\n\
        [auth.api_key]\npepper={env=\"P\"}\nkeys_file=\"k\"\n\
        [auth.jwt.corp]\nissuer=\"i\"\naudiences=[\"a\"]\njwks_file=\"j\"\n[rate_limits.per_ip]\nkey=\"ip\"\nrate=1\n";
    let load =
        |overrides: &[&str]| load_text(base, overrides).unwrap_or_else(|problems| panic!("{problems}"));
    let absent = format!("{:?}", load(&[]).config);
    let mut checked = 0;
    for (path, setting) in leaves() {
        let Presence::Default(default) = &setting.presence else { continue };
        if !BASE_DIFFERS.contains(&path.as_str()) {
            assert_eq!(
                format!("{:?}", load(&[&format!("{path}={default}")]).config),
                absent,
                "{path}={default}"
            );
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

/// A value for every setting that is not the one of `GOOD`.
const OTHER_VALUES: &[&str] = &[
    "server.name=other",
    "server.public_url=https://other.example.com",
    "server.instructions=Be brief.",
    "runtime.shards=3",
    "runtime.cpus=1",
    "runtime.pin=false",
    "runtime.driver=epoll",
    "runtime.ring_entries=512",
    "runtime.blocking_threads=9",
    "runtime.shutdown_grace=1s",
    "limits.max_connections=9",
    "limits.max_connections_per_ip=9",
    "limits.max_message_size=2MiB",
    "limits.max_header_size=8KiB",
    "limits.max_inflight_per_connection=9",
    "limits.max_json_depth=9",
    "limits.max_json_nodes=999",
    "limits.tls_handshake_timeout=999ms",
    "limits.header_timeout=999ms",
    "limits.body_timeout=999ms",
    "limits.send_timeout=999ms",
    "limits.idle_timeout=999ms",
    "limits.request_timeout=999ms",
    "mcp.page_size=9",
    "mcp.session_ttl=2m",
    "mcp.input_timeout=9s",
    "mcp.event_buffer_size=9",
    "mcp.max_streams=9",
    "mcp.max_subscriptions=9",
    "mcp.slow_reader=drop",
    "mcp.resume_window=9s",
    "mcp.retry_interval=9s",
    "mcp.keepalive_interval=9s",
    "mcp.max_tasks=9",
    "mcp.task_ttl=9s",
    "listeners.https.address=127.0.0.1:9",
    "listeners.https.path=/other",
    "listeners.https.hostnames=[\"other.example\"]",
    "listeners.https.origins=[\"https://other.example\"]",
    "listeners.https.headers=none",
    "listeners.https.transports=[\"sse\"]",
    "listeners.https.max_message_size=9KiB",
    "listeners.https.max_connections=9",
    "listeners.https.max_connections_per_ip=9",
    "listeners.https.max_inflight_per_connection=9",
    "listeners.https.send_timeout=9s",
    "listeners.https.tcp_keepalive=9s",
    "listeners.https.backlog=9",
    "tls.public.session_resumption=off",
    "tls.public.cipher_suites=[\"TLS_AES_128_GCM_SHA256\"]",
    "tls.public.key_exchange=[\"SECP384R1\", \"X25519\"]",
    "tls.public.ticket_rotation=9m",
    "tls.public.ticket_key={ env = \"OTHER\" }",
    "tls.public.ticket_key={ file = \"OTHER\" }",
    "tls.public.ticket_key={ credential = \"OTHER\" }",
    "tls.public.reload_on_change=false",
    "tls.public.expiry_warning=[\"9d\"]",
    "tls.public.max_certificate_age=9d",
    "tls.public.ocsp_stapling=false",
    "tls.public.ocsp_responder=http://ocsp.example.com/",
    "tls.public.certificates=[{ cert_file = \"a\", key_file = \"b\" }]",
    "auth.api_key.header=X-Other",
    "auth.api_key.keys_file=other",
    "auth.api_key.pepper={ env = \"OTHER\" }",
    "auth.api_key.pepper={ file = \"OTHER\" }",
    "auth.api_key.pepper={ credential = \"OTHER\" }",
    "roles.agent.allow=[\"tools/list\"]",
    "roles.agent.deny=[]",
    "roles.agent.inherits=[\"reader\"]",
    "roles.agent.when=now > 0",
    "rbac.scope_roles={ \"mcp:read\" = [\"reader\"] }",
    "rbac.subjects={ \"corp|alice\" = [\"agent\"] }",
    "rbac.filter_lists=false",
    "auth.api_key.prefix=key",
    "auth.max_failures=9",
    "auth.failure_window=9s",
    "auth.block_for=9s",
    "rbac.anonymous_roles=[\"agent\"]",
    "rate_limits.per_ip.key=global",
    "rate_limits.per_ip.rate=9",
    "rate_limits.per_ip.period=9s",
    "rate_limits.per_ip.burst=9",
    "native.enable=[\"countdown\"]",
    "log.format=json",
    "log.level=debug",
    "log.access_log=false",
];

/// Settings that take effect together with another, or by refusing; those of other kinds are tried in `listeners`.
const EFFECTS_ELSEWHERE: &[&str] = &[
    "version",
    "auth.jwt.corp.issuer",
    "auth.jwt.corp.jwks_url",
    "auth.jwt.corp.discovery",
    "auth.jwt.corp.jwks_file",
    "auth.jwt.corp.ca_file",
    "auth.jwt.corp.audiences",
    "auth.jwt.corp.algorithms",
    "auth.jwt.corp.token_types",
    "auth.jwt.corp.leeway",
    "auth.jwt.corp.max_token_age",
    "auth.jwt.corp.required_claims",
    "auth.jwt.corp.subject_claim",
    "auth.jwt.corp.roles_claim",
    "auth.jwt.corp.scopes_claim",
    "auth.jwt.corp.jwks_refresh",
    "auth.jwt.corp.jwks_stale_if_error",
    "auth.jwt.corp.token_cache",
    "auth.revocations_file",
    "listeners.https.kind",
    "listeners.https.auth",
    "listeners.https.auth_required",
    "listeners.https.tls",
    "listeners.https.allow_plaintext_network",
    "listeners.https.socket_mode",
    "listeners.https.websocket.subprotocols",
    "listeners.https.websocket.max_frame_size",
    "listeners.https.websocket.ping_interval",
    "listeners.https.websocket.pong_timeout",
    "listeners.https.sse.heartbeat_interval",
    "listeners.https.sse.retry",
    "listeners.https.sse.max_connections",
    "listeners.https.sse.event_buffer_size",
    "listeners.https.framing",
    "listeners.https.max_frame_size",
    "listeners.https.enabled",
    "listeners.https.input_fd",
    "listeners.https.output_fd",
    "listeners.https.error_fd",
    "listeners.https.buffer_size",
    "listeners.https.principal",
    "listeners.https.roles",
    "listeners.https.allow_anonymous_network",
    "tls.public.min_version",
    "tls.public.allow_tls12",
    "tls.public.client_auth.mode",
    "tls.public.client_auth.ca_file",
    "tls.public.client_auth.identity_from",
    "tls.public.client_auth.allowed_names",
    "tls.public.client_auth.required_eku",
    "tls.public.client_auth.max_client_certificate_age",
    "tls.public.client_auth.min_rsa_bits",
    "tls.public.client_auth.crl.files",
    "tls.public.client_auth.crl.urls",
    "tls.public.client_auth.crl.refresh",
    "tls.public.client_auth.crl.depth",
    "tls.public.client_auth.crl.unknown",
    "tls.public.client_auth.crl.expired",
    "tls.public.client_auth.ocsp.enabled",
    "tls.public.client_auth.ocsp.responder",
    "tls.public.client_auth.ocsp.cache_ttl",
    "tls.public.client_auth.ocsp.on_failure",
    "auth.mtls.roles_from",
];

#[test]
fn has_no_setting_without_effect() {
    let before = format!("{:?}", good(&[]));
    for set in OTHER_VALUES {
        assert_ne!(format!("{:?}", good(&[set])), before, "{set}");
    }
    for together in [
        &["tls.public.min_version=1.2", "tls.public.allow_tls12=true"][..],
        &["listeners.https.auth_required=false", "listeners.https.allow_anonymous_network=true"],
        &[
            "listeners.local.address=0.0.0.0:1",
            "listeners.local.allow_anonymous_network=true",
            "listeners.local.allow_plaintext_network=true",
        ],
        &["listeners.local.tls=public"],
    ] {
        assert_ne!(format!("{:?}", good(together)), before, "{together:?}");
    }
    let tried: BTreeSet<&str> = OTHER_VALUES.iter().map(|set| set.split('=').next().unwrap()).collect();
    let tried: BTreeSet<String> =
        tried.into_iter().chain(EFFECTS_ELSEWHERE.iter().copied()).map(str::to_owned).collect();
    let all: BTreeSet<String> = leaves()
        .into_iter()
        .map(|(path, _)| {
            let secret = ["auth.api_key.pepper", "tls.public.ticket_key"]
                .into_iter()
                .find(|secret| path.strip_prefix(secret).is_some_and(|rest| rest.starts_with('.')));
            secret.map_or(path, str::to_owned)
        })
        .collect();
    assert_eq!(tried, all);
}

#[test]
fn lays_overrides_over_the_file() {
    let config = good(&["limits.max_connections=500", "server.name=probe", "limits.max_connections = 600"]);
    assert_eq!((config.limits.connections_max, config.server.name.as_str()), (600, "probe"));
    // A bare word is a string, also when it looks like something else.
    assert_eq!(good(&["server.name=5"]).server.name, "5");
    assert_eq!(good(&["tls.public.min_version=1.3"]).tls[0].min_version, TlsVersion::Tls13);
    assert_eq!(good(&["runtime.cpus=0-3"]).runtime.cpus, [0, 1, 2, 3]);
    assert_eq!(good(&["log.level=info,mcpring=debug"]).log.level, "info,mcpring=debug");
    assert_eq!(
        good(&["listeners.https.address=127.0.0.1:1"]).listeners[0].address.to_string(),
        "127.0.0.1:1"
    );
    // Tables merge, so a new one can be added; an inline table replaces.
    let config = good(&["rate_limits.all.key=global", "rate_limits.all.rate=7"]);
    assert_eq!((config.rate_limits[1].name.as_str(), config.rate_limits[1].rate), ("all", 7));
    let config = good(&["auth.api_key.pepper={ file = \"p\" }"]);
    assert_eq!(config.api_key.unwrap().pepper, SecretSource::File(PathBuf::from("p")));
    // The default follows a lower total.
    assert_eq!(good(&["limits.max_connections=3"]).limits.connections_per_ip_max, 3);
}

#[test]
fn spreads_shards_over_the_cpus() {
    let check = |overrides: &[&str], expect: &[usize]| assert_eq!(good(overrides).runtime.cpus, expect);
    check(&["runtime.cpus=4,0-2"], &[4, 0, 1, 2]);
    check(&["runtime.cpus=4,0-2", "runtime.shards=2"], &[4, 0]);
    check(&["runtime.cpus=4,5", "runtime.shards=5"], &[4, 5, 4, 5, 4]);
    assert!(!good(&["runtime.cpus=all"]).runtime.cpus.is_empty());
}

#[test]
fn writes_host_names_and_origins_as_requests_carry_them() {
    let config = good(&[
        "listeners.https.hostnames=[\"MCP.Example.com\", \"[::1]\", \"10.0.0.5\"]",
        "listeners.https.origins=[\"https://APP.example.com\", \"http://localhost:3000\", \"http://[::1]\"]",
        "server.public_url=https://Mcp.Example.com:443/base",
    ]);
    assert_eq!(config.listeners[0].hostnames, ["mcp.example.com", "::1", "10.0.0.5"]);
    let origins = &config.listeners[0].origins;
    assert_eq!(*origins, ["https://app.example.com", "http://localhost:3000", "http://[::1]"]);
    assert_eq!(config.listeners[1].origins, ["https://mcp.example.com"]);
}
