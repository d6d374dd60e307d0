//! Mutual TLS with the real binary: every kind of certificate on every transport, lists that change while a connection is
//! open, tickets that outlive a certificate, responders that answer well, badly, late or not at all.
//! Next: `pki`, the certificates; `responder`, who answers about them.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustix::process::Signal;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::client::{call_as, message, secure};
use crate::pki::{AGENT, Pki, Shown};
use crate::responder::{ListPlace, Mood, Responder};
use crate::server::{Folder, Server};

const CONFIG: &str = r#"
[runtime]
shards = 2

[limits]
max_connections_per_ip = 200

[listeners.http]
kind = "http"
address = "127.0.0.1:0"
tls = "main"
auth = ["mtls"]
transports = ["streamable_http", "websocket"]

[listeners.tcp]
kind = "tcp"
address = "127.0.0.1:0"
tls = "main"
auth = ["mtls"]

[tls.main]
certificates = [{ cert_file = "localhost.crt", key_file = "localhost.key" }]

[tls.main.client_auth]
mode = "required"
ca_file = "clients-ca.crt"
allowed_names = ["spiffe://example.com/agent/*", "*.agents.example.com", "cn:robot"]
max_client_certificate_age = "72h"
LISTS

[[auth.mtls.roles_from]]
name = "spiffe://example.com/agent/*"
roles = ["all"]

[[auth.mtls.roles_from]]
name = "*.agents.example.com"
roles = ["all"]

[[auth.mtls.roles_from]]
name = "cn:robot"
roles = ["all"]

[roles.all]
allow = ["**"]

[native]
enable = ["echo", "countdown"]

[log]
format = "json"
"#;

const LISTS: &str = r#"
[tls.main.client_auth.crl]
files = ["lists/*.crl"]
"#;

pub(crate) fn now_s() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn folder(pki: &Pki, lists: &str) -> Folder {
    let folder = Folder::new();
    folder.write("clients-ca.crt", &pki.root_pem());
    std::fs::create_dir(folder.0.join("lists")).unwrap();
    put_lists(&folder, &pki.lists(&[pki.revoked_serial()]));
    folder.write("mcpring.toml", &CONFIG.replace("LISTS", lists));
    folder
}

fn put_lists(folder: &Folder, (der, pem): &(Vec<u8>, String)) {
    std::fs::write(folder.0.join("lists/root.crl"), der).unwrap();
    std::fs::write(folder.0.join("lists/branch.crl"), pem).unwrap();
}

/// A client that shows a certificate whether or not the server would have it, or none.
pub(crate) fn config(server: &Server, shown: Option<&Shown>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let certificate = server.folder.certificate_file("localhost");
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(shown.key.clone()));
            let key = any_supported_type(&key).unwrap();
            let certified = CertifiedKey::new(shown.chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    config.resumption = Resumption::disabled();
    config
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Http,
    Tcp,
    WebSocket,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Http, Self::Tcp, Self::WebSocket];

    fn listener(self) -> &'static str {
        match self {
            Self::Http | Self::WebSocket => "http",
            Self::Tcp => "tcp",
        }
    }

    fn request(self) -> Vec<u8> {
        match self {
            Self::Http => call_as("", "echo", r#"{"message":"here"}"#),
            Self::Tcp => format!("{}\n", message(1, "here", None)).into_bytes(),
            Self::WebSocket => b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp\r\n\r\n".to_vec(),
        }
    }

    /// Whether that is the answer to it.
    fn is_let_in(self, answer: &[u8]) -> bool {
        let text = String::from_utf8_lossy(answer);
        match self {
            Self::Http => text.starts_with("HTTP/1.1 200"),
            Self::Tcp => text.contains("\"result\""),
            Self::WebSocket => text.starts_with("HTTP/1.1 101"),
        }
    }
}

/// Says something and listens: what came back, or how the connection ended.
pub(crate) fn attempt(server: &Server, way: Way, shown: Option<&Shown>) -> Result<(), String> {
    let mut stream = secure(server.port(way.listener()), "localhost", config(server, shown))
        .map_err(|error| error.to_string())?;
    // The server may have closed already.
    let _ = stream.write_all(&way.request());
    let mut answer = vec![0; 4096];
    match stream.read(&mut answer) {
        Ok(0) => Err("closed".to_owned()),
        Ok(bytes) if way.is_let_in(&answer[..bytes]) => Ok(()),
        Ok(bytes) => panic!("{way:?}: {}", String::from_utf8_lossy(&answer[..bytes])),
        Err(error) => Err(error.to_string()),
    }
}

/// The next record that a certificate was refused.
pub(crate) fn refusal(server: &Server) -> Value {
    loop {
        let line = server.next_line();
        if line["stage"] == "tls" {
            return line;
        }
    }
}

#[test]
fn every_kind_of_certificate_is_judged_alike_on_every_transport() {
    let pki = Pki::new(now_s());
    let mut server = Server::start_in(folder(&pki, LISTS), &[]);
    let mut refusals = std::collections::BTreeMap::<&str, u64>::new();
    for shown in pki.every_kind() {
        for way in Way::ALL {
            let outcome = attempt(&server, way, Some(&shown));
            match shown.refused {
                None => assert_eq!(outcome, Ok(()), "{} by {way:?}", shown.name),
                Some(reason) => {
                    let told = outcome.expect_err(shown.name);
                    // The peer learns that it was its certificate, and not what about it.
                    assert!(told.contains("CertificateUnknown"), "{} by {way:?}: {told}", shown.name);
                    let record = refusal(&server);
                    assert_eq!(record["reason"], reason, "{} by {way:?}: {record}", shown.name);
                    assert_eq!(record["listener"], way.listener());
                    assert!(record.to_string().contains("serial"), "{record}");
                    assert!(
                        record["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1")),
                        "{record}"
                    );
                    *refusals.entry(reason).or_default() += 1;
                }
            }
        }
    }
    for way in Way::ALL {
        let told = attempt(&server, way, None).expect_err("no certificate");
        assert!(told.contains("CertificateRequired"), "{told}");
        assert_eq!(refusal(&server)["reason"], "certificate_missing");
        *refusals.entry("certificate_missing").or_default() += 1;
    }
    server.signal(Signal::TERM);
    server.wait();
    let rest = server.rest();
    let counters = rest.iter().find(|line| line["event"] == "counters").unwrap();
    for (reason, count) in refusals {
        assert_eq!(counters[format!("tls.{reason}")], count, "{reason} in {counters}");
    }
}

#[test]
fn lists_out_of_date_or_missing_let_nobody_in() {
    let pki = Pki::new(now_s());
    let server = Server::start_in(folder(&pki, LISTS), &[]);
    let good = pki.client(AGENT, |_| {});
    assert_eq!(attempt(&server, Way::Tcp, Some(&good)), Ok(()));
    put_lists(&server.folder, &pki.stale_lists());
    reload(&server);
    attempt(&server, Way::Tcp, Some(&good)).unwrap_err();
    assert_eq!(refusal(&server)["reason"], "crl_expired");
    std::fs::remove_file(server.folder.0.join("lists/root.crl")).unwrap();
    reload(&server);
    attempt(&server, Way::Tcp, Some(&good)).unwrap_err();
    assert_eq!(refusal(&server)["reason"], "crl_missing");
    // What can not be read keeps what was read before.
    std::fs::write(server.folder.0.join("lists/root.crl"), "no list").unwrap();
    server.signal(Signal::HUP);
    server.wait_for("reload_refused");
    put_lists(&server.folder, &pki.lists(&[]));
    reload(&server);
    assert_eq!(attempt(&server, Way::Tcp, Some(&good)), Ok(()));
}

fn reload(server: &Server) {
    server.signal(Signal::HUP);
    server.wait_for("reloaded");
}

#[test]
fn a_revoked_certificate_stops_on_open_connections_and_with_its_ticket() {
    let pki = Pki::new(now_s());
    let server = Server::start_in(folder(&pki, LISTS), &[]);
    let serial = 42;
    let shown = pki.client(AGENT, |params| {
        params.serial_number = Some(rcgen::SerialNumber::from(serial));
    });
    let mut config = config(&server, Some(&shown));
    config.resumption = Resumption::default();
    let connect = || secure(server.port("tcp"), "localhost", config.clone()).unwrap();
    let ask = |stream: &mut rustls::StreamOwned<_, _>| {
        let _ = stream.write_all(&Way::Tcp.request());
        let mut answer = vec![0; 4096];
        stream.read(&mut answer)
    };
    let (mut idle, mut busy) = (connect(), connect());
    assert!(ask(&mut idle).unwrap() > 0);
    let long = message(2, "x", None).replace(
        r#""name":"echo","arguments":{"message":"x"}"#,
        r#""name":"countdown","arguments":{"steps":1000,"interval_ms":10000}"#,
    );
    busy.write_all(format!("{long}\n").as_bytes()).unwrap();
    assert!(ask(&mut busy).unwrap() > 0);
    let mut back = connect();
    assert!(ask(&mut back).unwrap() > 0);
    assert_eq!(back.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    put_lists(&server.folder, &pki.lists(&[serial]));
    let began = std::time::Instant::now();
    // What is written of them may come before the line that says that the reload is done.
    server.signal(Signal::HUP);
    // They are ended without asking anything: the one that waits for an answer, and those that do not.
    let mut rest = Vec::new();
    let _ = busy.read_to_end(&mut rest);
    for stream in [&mut idle, &mut back] {
        assert_eq!(stream.read(&mut [0; 4096]).unwrap(), 0);
    }
    assert!(began.elapsed().as_secs() < 1, "{:?}", began.elapsed());
    assert!(!String::from_utf8_lossy(&rest).contains("result"), "{rest:?}");
    for _ in 0..3 {
        assert_eq!(refusal(&server)["reason"], "certificate_revoked");
    }
    // The ticket is still good for TLS, and for nothing else.
    let mut again = connect();
    assert_eq!(ask(&mut again).unwrap(), 0);
    assert_eq!(again.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    assert_eq!(refusal(&server)["reason"], "certificate_revoked");
}

#[test]
fn a_list_that_is_replaced_or_fetched_anew_counts_without_a_signal() {
    let pki = Pki::new(now_s());
    let place = ListPlace::start(pki.lists(&[]).0);
    let lists = format!(
        "[tls.main.client_auth.crl]\nfiles = [\"lists/branch.crl\"]\nurls = [\"{}\"]\nrefresh = \"1s\"\n",
        place.url
    );
    let fetching = Server::start_in(folder(&pki, &lists), &[]);
    let watching = Server::start_in(folder(&pki, LISTS), &[]);
    fetching.wait_for("refreshed");
    let serial = 42;
    let shown = pki.client(AGENT, |params| params.serial_number = Some(rcgen::SerialNumber::from(serial)));
    for server in [&fetching, &watching] {
        assert_eq!(attempt(server, Way::Http, Some(&shown)), Ok(()));
        let mut open = secure(server.port("tcp"), "localhost", config(server, Some(&shown))).unwrap();
        open.write_all(&Way::Tcp.request()).unwrap();
        assert!(open.read(&mut [0; 4096]).unwrap() > 0);
        place.put(pki.lists(&[serial]).0);
        put_lists(&server.folder, &pki.lists(&[serial]));
        // Nothing is asked; it is told to go.
        assert_eq!(open.read(&mut [0; 4096]).unwrap(), 0);
        attempt(server, Way::Http, Some(&shown)).unwrap_err();
    }
}

const OCSP: &str = r#"
[tls.main.client_auth.ocsp]
enabled = true
cache_ttl = "1s"
"#;

/// A server that asks, a certificate of serial 42 that says whom, and who that is.
fn with_responder(settings: &str) -> (Server, Responder, Shown) {
    let pki = Pki::new(now_s());
    let folder = folder(&pki, settings);
    let config = std::fs::read_to_string(folder.0.join("mcpring.toml")).unwrap();
    let config = config.replace("[limits]", "[limits]\ntls_handshake_timeout = \"2s\"");
    folder.write("mcpring.toml", &config);
    let responder = Responder::start(&pki, &folder.0);
    let shown = pki.client(AGENT, |params| {
        params.serial_number = Some(rcgen::SerialNumber::from(42));
        params.custom_extensions.push(responder.extension());
    });
    (Server::start_in(folder, &[]), responder, shown)
}

#[test]
fn a_client_is_as_good_as_its_responder_says() {
    let answers = [
        (Mood::Good, None),
        (Mood::Revoked, Some("ocsp_revoked")),
        (Mood::Unknown, Some("ocsp_unknown")),
        (Mood::Expired, Some("ocsp_failed")),
        (Mood::WrongSigner, Some("ocsp_failed")),
        (Mood::Nonsense, Some("ocsp_failed")),
        (Mood::Dead, Some("ocsp_failed")),
        (Mood::Slow, Some("ocsp_failed")),
    ];
    std::thread::scope(|scope| {
        for (mood, reason) in answers {
            scope.spawn(move || {
                let (server, responder, shown) = with_responder(OCSP);
                responder.set(mood);
                for way in Way::ALL {
                    let outcome = attempt(&server, way, Some(&shown));
                    match reason {
                        None => assert_eq!(outcome, Ok(()), "{way:?}"),
                        Some(reason) => {
                            // The handshake is over by then: no alert, no answer, an orderly end.
                            assert_eq!(outcome, Err("closed".to_owned()), "{mood:?} by {way:?}");
                            assert_eq!(refusal(&server)["reason"], reason, "{mood:?} by {way:?}");
                        }
                    }
                }
            });
        }
    });
}

#[test]
fn without_an_answer_a_client_is_let_in_only_by_its_own_word() {
    let (server, responder, shown) = with_responder(&format!("{OCSP}on_failure = \"allow\"\n"));
    responder.set(Mood::Dead);
    assert_eq!(attempt(&server, Way::Http, Some(&shown)), Ok(()));
    let mut server = server;
    server.signal(Signal::TERM);
    server.wait();
    let rest = server.rest();
    let counters = rest.iter().find(|line| line["event"] == "counters").unwrap();
    assert_eq!(counters["tls.ocsp_allowed"], 1, "{counters}");
}

#[test]
fn an_answer_is_kept_for_its_time_and_asked_for_again_on_an_open_connection() {
    let (server, responder, shown) = with_responder(&OCSP.replace("1s", "3s"));
    let mut stream = secure(server.port("tcp"), "localhost", config(&server, Some(&shown))).unwrap();
    let mut ask = || {
        let _ = stream.write_all(&Way::Tcp.request());
        stream.read(&mut [0; 4096]).unwrap()
    };
    assert!(ask() > 0);
    for _ in 0..5 {
        assert_eq!(attempt(&server, Way::Http, Some(&shown)), Ok(()));
    }
    // Once for all, and at most once more at half its time.
    assert!(responder.asked() <= 2, "{}", responder.asked());
    responder.set(Mood::Revoked);
    let began = std::time::Instant::now();
    while ask() > 0 {
        assert!(began.elapsed().as_secs() < 30, "it is never asked for again");
        std::thread::yield_now();
    }
    assert_eq!(refusal(&server)["reason"], "ocsp_revoked");
}
