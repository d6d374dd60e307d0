//! What clients get: every credential on every listener, sizes at the limit, certificates by name, both drivers.
//! Next: `life`.

use rustls::version::TLS12;
use rustls::{ClientConfig, RootCertStore};

use crate::client::{Client, bearer, call, call_as, echo, post, secure, trust};
use crate::server::{CONFIG, Folder, KEY, Server};

fn clients(server: &Server) -> [Client; 2] {
    let certificate = server.folder.certificate_file("localhost");
    [Client::plain(server.port("plain")), Client::tls(server.port("secure"), "localhost", &certificate)]
}

#[test]
fn every_credential_is_judged_alike_with_and_without_tls() {
    let server = Server::start();
    for (mut client, has_hsts) in clients(&server).into_iter().zip([false, true]) {
        for (credential, status) in [
            (bearer(KEY), 200),
            (format!("X-API-Key: {KEY}\r\n"), 200),
            (String::new(), 401),
            (bearer("mrk_wrong"), 401),
            (format!("Authorization: Basic {KEY}\r\n"), 401),
            (bearer(KEY), 200),
        ] {
            let answer = client.ask(&call_as(&credential, "echo", r#"{"message":"hi"}"#));
            assert_eq!(answer.status, status, "{credential}");
            // RFC 6797 7.2: never over plain HTTP.
            assert_eq!(answer.head.contains("strict-transport-security"), has_hsts);
            assert!(answer.head.contains("x-content-type-options: nosniff"));
            assert!(!answer.head.to_lowercase().contains("\nserver:"));
        }
    }
}

#[test]
fn a_message_at_the_limit_passes_and_one_byte_more_is_refused_unread() {
    let server = Server::start();
    for mut client in clients(&server) {
        let overhead = echo("").len() - post_head_length();
        let message = "m".repeat(256 * 1024 - overhead);
        assert_eq!(client.ask(&echo(&message)).text(), message);
        let answer = client.ask(&echo(&format!("{message}x")));
        assert_eq!(answer.status, 413);
        assert!(client.is_closed());
    }
}

/// Bytes of `echo("")` before its body.
fn post_head_length() -> usize {
    let request = echo("");
    request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4
}

#[test]
fn requests_and_answers_keep_their_order_through_a_pipeline() {
    let server = Server::start();
    for mut client in clients(&server) {
        let requests: Vec<u8> = (0..100).flat_map(|number| echo(&format!("number {number}"))).collect();
        client.send(&requests);
        for number in 0..100 {
            assert_eq!(client.answer().unwrap().text(), format!("number {number}"));
        }
    }
}

#[test]
fn a_legacy_session_works_with_every_request_on_a_new_connection_and_shard() {
    let server = Server::start();
    let port = server.port("plain");
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let answer = Client::plain(port).ask(&post(&bearer(KEY), initialize));
    let session =
        answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
    let fields = format!("{}Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n", bearer(KEY));
    let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(Client::plain(port).ask(&post(&fields, ready)).status, 202);
    for id in 1..30 {
        let list = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
        let answer = Client::plain(port).ask(&post(&fields, &list)).json();
        assert_eq!(answer["id"], id);
        assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn progress_comes_as_events_while_the_tool_runs() {
    let server = Server::start();
    for mut client in clients(&server) {
        let request = String::from_utf8(call("countdown", r#"{"steps":3,"interval_ms":20}"#)).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let body = body.replace(r#""_meta":{"#, r#""_meta":{"progressToken":"t","#);
        let head: String = head
            .lines()
            .filter(|line| !line.starts_with("Content-Length"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let answer = client.ask(request.as_bytes());
        assert!(answer.head.contains("content-type: text/event-stream"));
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(text.matches("notifications/progress").count(), 3, "{text}");
        assert!(text.contains("\"done\""));
        assert_eq!(client.ask(&echo("next")).text(), "next");
    }
}

#[test]
fn the_certificate_follows_the_name_and_the_newest_key_exchange_is_agreed() {
    let server = Server::start();
    let port = server.port("secure");
    for (name, certificate) in [("localhost", "localhost"), ("other.localhost", "other")] {
        let file = server.folder.certificate_file(certificate);
        let stream = secure(port, name, trust(&file)).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(
            stream.conn.negotiated_key_exchange_group().unwrap().name(),
            rustls::NamedGroup::X25519MLKEM768
        );
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
}

#[test]
fn what_is_not_tls_13_gets_an_alert_and_no_service() {
    let server = Server::start();
    let port = server.port("secure");
    let old = ClientConfig::builder_with_protocol_versions(&[&TLS12])
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let error = secure(port, "localhost", old).unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    let mut plain = crate::client::socket(port);
    std::io::Write::write_all(&mut plain, &echo("x")).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut plain, &mut bytes).unwrap();
    // RFC 8446 6: a fatal alert record, then the end.
    assert_eq!(bytes.first(), Some(&21), "{bytes:?}");
    let mut alpn = trust(&server.folder.certificate_file("localhost"));
    alpn.alpn_protocols = vec![b"h2".to_vec()];
    assert!(secure(port, "localhost", alpn).is_err());
}

#[test]
fn tickets_of_one_shard_resume_on_another() {
    let server = Server::start();
    let config = std::sync::Arc::new(trust(&server.folder.certificate_file("localhost")));
    let mut resumed = 0;
    for round in 0..20 {
        let mut stream = secure(server.port("secure"), "localhost", (*config).clone()).unwrap();
        std::io::Write::write_all(&mut stream, &echo("x")).unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        if stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed) {
            resumed += 1;
        } else {
            assert_eq!(round, 0, "only the first handshake may be full");
        }
    }
    assert_eq!(resumed, 19);
}

#[test]
fn epoll_serves_the_same() {
    let server = Server::start_in(Folder::new(), &["--set", "runtime.driver=epoll"]);
    for mut client in clients(&server) {
        for number in 0..50 {
            assert_eq!(client.ask(&echo(&number.to_string())).text(), number.to_string());
        }
        assert_eq!(client.ask(&call("countdown", r#"{"steps":2,"interval_ms":5}"#)).text(), "done");
    }
}

#[test]
fn ipv6_and_two_listeners_at_once_are_served() {
    let folder = Folder::new();
    folder.write("mcpring.toml", &CONFIG.replacen("127.0.0.1:0", "[::1]:0", 1));
    let server = Server::start_in(folder, &[]);
    let stream = std::net::TcpStream::connect((std::net::Ipv6Addr::LOCALHOST, server.port("plain"))).unwrap();
    drop(stream);
    let certificate = server.folder.certificate_file("localhost");
    assert_eq!(Client::tls(server.port("secure"), "localhost", &certificate).ask(&echo("x")).text(), "x");
}

#[test]
fn one_address_gets_so_many_connections_and_no_more() {
    let server = Server::start_in(Folder::new(), &["--set", "limits.max_connections_per_ip=3"]);
    let port = server.port("plain");
    let mut held: Vec<Client> = (0..3).map(|_| Client::plain(port)).collect();
    for client in &mut held {
        assert_eq!(client.ask(&echo("in")).text(), "in");
    }
    let mut fourth = Client::plain(port);
    assert!(fourth.is_closed());
    drop(held);
    // The count goes down when the server has seen the ends; each try that is too early is closed at once.
    assert!((0..100_000).any(|_| Client::plain(port).served()), "the address stays refused");
}

impl Client {
    /// Whether this connection gets an answer; one that was refused at accept is closed instead.
    fn served(mut self) -> bool {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        let asked = catch_unwind(AssertUnwindSafe(|| {
            self.send(&echo("again"));
            self.answer().map(|answer| answer.text())
        }));
        matches!(asked, Ok(Some(text)) if text == "again")
    }
}
