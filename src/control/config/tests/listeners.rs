//! Listeners of every kind: what they become, what they refuse and why.
//! Next: `values`.

use std::time::Duration;

use super::super::checked::Listener;
use super::*;
use crate::pipeline::snapshot::{Speech, Sse, Transports, WebSocket};

/// `GOOD` with one more listener.
fn with(listener: &str) -> String {
    format!("{GOOD}\n[listeners.more]\n{listener}\n")
}

fn more(listener: &str) -> Listener {
    let loaded = load_text(&with(listener), &[]).unwrap_or_else(|problems| panic!("{listener}\n{problems}"));
    assert!(loaded.warnings.is_empty(), "{listener}\n{}", loaded.warnings);
    loaded.config.listeners.into_iter().find(|listener| listener.name == "more").unwrap()
}

fn transports(listener: &str) -> Transports {
    let Speech::Http(transports) = more(listener).speech else { panic!("{listener}") };
    transports
}

const TCP: &str = "kind = \"tcp\"\naddress = \"127.0.0.1:9000\"\nauth = [\"api_key\"]\n";
const HTTP: &str = "kind = \"http\"\naddress = \"127.0.0.1:9000\"\nauth = [\"api_key\"]\n";
const STDIO: &str = "kind = \"stdio\"\nroles = [\"agent\"]\n";
const REDIRECT: &str = "kind = \"redirect\"\naddress = \"[::]:8081\"\n";

#[test]
fn reads_what_is_spoken() {
    let plain = transports(HTTP);
    assert!(plain.streamable_http && plain.websocket.is_none() && plain.sse.is_none());
    let all = transports(&format!("{HTTP}transports = [\"websocket\", \"sse\"]"));
    assert!(!all.streamable_http);
    let WebSocket { subprotocols, frame_bytes_max, ping_interval, pong_timeout } = all.websocket.unwrap();
    assert_eq!((subprotocols, frame_bytes_max), (vec!["mcp".to_owned()], 1 << 20));
    assert_eq!((ping_interval, pong_timeout), (Duration::from_secs(30), Duration::from_secs(10)));
    let Sse { heartbeat_interval, retry, connections_max, event_buffer_size } = all.sse.unwrap();
    assert_eq!((heartbeat_interval, retry), (Duration::from_secs(30), Duration::from_secs(5)));
    assert_eq!((connections_max, event_buffer_size), (1000, 100));
    assert!(matches!(more(TCP).speech, Speech::Lines));
    assert!(matches!(more(&format!("{TCP}framing = \"length32\"")).speech, Speech::Prefixed));
    let Speech::Redirect { location } = more(REDIRECT).speech else { panic!("a redirect redirects") };
    assert_eq!(location, "https://mcp.example.com");
}

#[test]
fn reads_every_setting_of_the_tables_of_transports() {
    let changed = |setting: &str| {
        let base = format!("{HTTP}transports = [\"websocket\", \"sse\"]\n");
        let (table, line) = setting.split_once('.').unwrap();
        let text = format!("{base}[listeners.more.{table}]\n{line}");
        format!("{:?}", transports(&text)) != format!("{:?}", transports(&base))
    };
    for setting in [
        "websocket.subprotocols = [\"mcp\", \"mcp2\"]",
        "websocket.max_frame_size = \"2KiB\"",
        "websocket.ping_interval = \"31s\"",
        "websocket.pong_timeout = \"9s\"",
        "sse.heartbeat_interval = \"9s\"",
        "sse.retry = \"9s\"",
        "sse.max_connections = 9",
        "sse.event_buffer_size = 9",
    ] {
        assert!(changed(setting), "{setting}");
    }
    // The defaults of a small server and of frequent pings.
    let text = format!(
        "{HTTP}max_message_size = \"4KiB\"\ntransports = [\"websocket\"]\n[listeners.more.websocket]\nping_interval = \"2s\""
    );
    let websocket = transports(&text).websocket.unwrap();
    assert_eq!((websocket.frame_bytes_max, websocket.pong_timeout), (4 << 10, Duration::from_secs(1)));
}

#[test]
fn a_listeners_own_limits_go_before_those_of_all() {
    let own = more(&format!(
        "{TCP}max_connections = 7\nmax_connections_per_ip = 3\nmax_frame_size = \"2KiB\"\nmax_inflight_per_connection = 5\nsend_timeout = \"1s\""
    ));
    let limits = own.limits;
    assert_eq!((limits.connections_max, limits.connections_per_ip_max), (7, 3));
    assert_eq!((limits.message_bytes_max, limits.inflight_max), (2 << 10, 5));
    assert_eq!(limits.send_timeout, Duration::from_secs(1));
    let limits = more(TCP).limits;
    assert_eq!((limits.connections_max, limits.connections_per_ip_max), (10_000, 10));
    assert_eq!((limits.message_bytes_max, limits.inflight_max), (1 << 20, 128));
    assert_eq!(limits.send_timeout, Duration::from_secs(30));
}

#[test]
fn a_socket_of_this_machine_needs_neither_tls_nor_a_port() {
    let local = more(
        "kind = \"tcp\"\naddress = \"unix:/run/mcp.sock\"\nauth_required = false\nsocket_mode = \"0600\"",
    );
    assert_eq!((local.address.to_string().as_str(), local.socket.mode), ("unix:/run/mcp.sock", 0o600));
    assert_eq!(
        more("kind = \"http\"\naddress = \"unix:/run/mcp.sock\"\nauth = [\"api_key\"]").hostnames[0],
        "localhost"
    );
    let passed = more("kind = \"tcp\"\naddress = \"systemd:tcp\"\ntls = \"public\"\nauth = [\"api_key\"]");
    assert_eq!(passed.address.to_string(), "systemd:tcp");
}

#[test]
fn reads_the_client_of_the_standard_streams() {
    let stdio = |more: &str| load_text(&with(&format!("{STDIO}{more}")), &[]).unwrap().config.stdio.unwrap();
    let standard = stdio("");
    assert_eq!((standard.input_fd, standard.output_fd, standard.error_fd), (0, 1, 2));
    assert_eq!((standard.buffer_bytes, standard.principal.as_str()), (64 << 10, "local"));
    assert_eq!(standard.roles, [1]);
    let other = stdio(
        "input_fd = 3\noutput_fd = 3\nerror_fd = 5\nbuffer_size = \"8KiB\"\nprincipal = \"ide\"\nmax_message_size = \"1KiB\"",
    );
    assert_eq!((other.input_fd, other.output_fd, other.error_fd), (3, 3, 5));
    assert_eq!((other.buffer_bytes, other.principal.as_str()), (8 << 10, "ide"));
    assert_eq!(other.limits.message_bytes_max, 1 << 10);
    assert!(load_text(GOOD, &[]).unwrap().config.stdio.is_none());
}

/// What is wrong with one more listener: its text, the code, a word of the frame.
const WRONG: &[(&str, &str, &str, &str)] = &[
    // What a kind needs.
    ("kind = \"tcp\"\nauth = [\"api_key\"]", "", "E0105", "address = \"127.0.0.1:9000\""),
    ("kind = \"redirect\"", "", "E0105", "address = \"[::]:8080\""),
    ("kind = \"tcp\"\naddress = \"[::]:9000\"\nauth = [\"api_key\"]", "", "E0503", "allow_plaintext_network"),
    (
        "kind = \"tcp\"\naddress = \"systemd:tcp\"\nauth = [\"api_key\"]",
        "",
        "E0503",
        "allow_plaintext_network",
    ),
    ("kind = \"tcp\"\naddress = \"127.0.0.1:9000\"", "", "E0208", "api_key"),
    (
        "kind = \"tcp\"\naddress = \"[::]:9000\"\ntls = \"public\"\nauth_required = false",
        "",
        "E0501",
        "anybody may call",
    ),
    // What belongs to another kind.
    (TCP, "path = \"/mcp\"", "E0216", "only kind \"http\" reads it"),
    (TCP, "transports = [\"sse\"]", "E0216", "framing ="),
    (TCP, "max_message_size = \"1MiB\"", "E0216", "write max_frame_size"),
    (TCP, "input_fd = 0", "E0216", "only kind \"stdio\""),
    (TCP, "[listeners.more.websocket]", "E0216", "only kind \"http\""),
    (HTTP, "framing = \"newline\"", "E0216", "only kind \"tcp\""),
    (HTTP, "max_frame_size = \"1MiB\"", "E0216", "max_message_size"),
    (STDIO, "address = \"127.0.0.1:1\"", "E0216", "descriptors"),
    (STDIO, "auth = [\"api_key\"]", "E0216", "principal"),
    (STDIO, "tls = \"public\"", "E0216", "leaves this machine"),
    (STDIO, "max_connections = 1", "E0216", "one client"),
    (REDIRECT, "tls = \"public\"", "E0216", "plain HTTP"),
    (REDIRECT, "auth = [\"api_key\"]", "E0216", "serves nothing"),
    (REDIRECT, "transports = [\"sse\"]", "E0216", "nothing but the redirect"),
    // What contradicts itself.
    (HTTP, "transports = [\"sse\", \"sse\"]", "E0209", "remove one"),
    (HTTP, "[listeners.more.websocket]", "E0209", "add \"websocket\" to transports"),
    (HTTP, "[listeners.more.sse]\nretry = \"1s\"", "E0209", "add \"sse\" to transports"),
    (HTTP, "transports = [\"sse\"]\npath = \"/events\"", "E0209", "path = \"/mcp\""),
    (
        HTTP,
        "transports = [\"websocket\"]\n[listeners.more.websocket]\npong_timeout = \"30s\"",
        "E0209",
        "not shorter than ping_interval",
    ),
    (
        HTTP,
        "transports = [\"websocket\"]\n[listeners.more.websocket]\nmax_frame_size = \"2MiB\"",
        "E0209",
        "messages have at most 1048576",
    ),
    (
        HTTP,
        "max_connections = 10\ntransports = [\"sse\"]\n[listeners.more.sse]\nmax_connections = 11",
        "E0209",
        "connections are at most 10",
    ),
    (HTTP, "transports = [\"sse\"]\n[listeners.more.sse]\nevent_buffer_size = 7", "E0104", "8 to 100000"),
    (
        HTTP,
        "transports = [\"websocket\"]\n[listeners.more.websocket]\nsubprotocols = [\"a b\"]",
        "E0106",
        "\"mcp\"",
    ),
    (HTTP, "max_connections = 10001", "E0209", "limits.max_connections is 10000"),
    (HTTP, "max_connections_per_ip = 11", "E0209", "limits.max_connections_per_ip is 10"),
    (HTTP, "max_message_size = \"2MiB\"", "E0209", "limits.max_message_size is 1048576"),
    (TCP, "max_frame_size = \"2MiB\"", "E0209", "limits.max_message_size is 1048576"),
    (TCP, "socket_mode = \"0600\"", "W0214", "only the file of a Unix socket"),
    (STDIO, "error_fd = 1", "E0209", "answers go to"),
    (STDIO, "error_fd = 0", "E0209", "requests come from"),
    (STDIO, "enabled = true", "E0209", "needs no switch"),
    (STDIO, "roles = [\"agent\"]", "E0100", ""),
    ("kind = \"stdio\"", "", "W0215", "add roles = [\"reader\"]"),
    ("kind = \"stdio\"\nroles = [\"agnt\"]", "", "E0204", "did you mean \"agent\"?"),
    (
        STDIO,
        "[listeners.again]\nkind = \"stdio\"\nroles = [\"agent\"]",
        "E0209",
        "[listeners.more] serves the standard",
    ),
    ("kind = \"redirect\"\naddress = \"[::]:443\"", "", "E0209", "redirects to its own port"),
    // The same place twice.
    (
        TCP,
        "[listeners.again]\nkind = \"redirect\"\naddress = \"127.0.0.1:9000\"",
        "E0202",
        "[listeners.more]",
    ),
    (
        "kind = \"tcp\"\naddress = \"unix:/run/s\"\nauth = [\"api_key\"]",
        "[listeners.again]\nkind = \"tcp\"\naddress = \"unix:/run/s\"\nauth = [\"api_key\"]",
        "E0202",
        "choose another address",
    ),
    (
        "kind = \"tcp\"\naddress = \"systemd:s\"\ntls = \"public\"\nauth = [\"api_key\"]",
        "[listeners.again]\nkind = \"tcp\"\naddress = \"systemd:s\"\ntls = \"public\"\nauth = [\"api_key\"]",
        "E0202",
        "choose another address",
    ),
];

#[test]
fn says_what_is_wrong_with_a_listener_once_and_what_to_write() {
    for (listener, more, code, word) in WRONG {
        let text = with(&format!("{}\n{more}", listener.trim_end()));
        let found = problems(&text, &[]);
        assert_eq!(codes(&found), [*code], "{listener}\n{more}\n{found}");
        let text = found.to_text(Colour::Plain);
        assert!(text.contains(word), "{listener}\n{more}\n{found}");
        assert!(found.iter().all(|problem| !problem.advice().is_empty()), "{found}");
    }
}

#[test]
fn a_redirect_needs_a_url_to_lead_to() {
    let text = with(REDIRECT).replace("public_url = \"https://mcp.example.com\"", "");
    let text = text.replace("auth = [\"api_key\"]", "auth = [\"api_key\"]\nhostnames = [\"a.example\"]");
    let found = problems(&text, &[]);
    assert_eq!(codes(&found), ["E0217"], "{found}");
}

#[test]
fn a_file_for_standard_streams_alone_is_whole() {
    let text = "[listeners.stdio]\nkind = \"stdio\"\nenabled = true\nroles = [\"all\"]\n[roles.all]\nallow = [\"**\"]\n[native]\nenable = [\"echo\"]\n";
    let loaded = load_text(text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty() && loaded.config.listeners.is_empty());
    assert_eq!(loaded.config.stdio.unwrap().roles, [0]);
}
