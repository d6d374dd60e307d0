//! Tokens against the real server: keys fetched from an issuer and exchanged under traffic, tokens taken back, and the
//! commands that make, explain and revoke them.
//! Next: `tests/protocol/attacks/tokens`, what no server may accept.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use mcpring::pipeline::authenticate::tokens::keys::Algorithm;
use serde_json::{Value, json};

use crate::client::{Client, bearer, call_as};
use crate::issuer::{AUDIENCE, TestIssuer, claims_at};
use crate::server::{CONFIG, Folder, Server, command};

/// An issuer's web server: its metadata and its keys.
struct Web {
    port: u16,
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Web {
    fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let web = Self { port, keys: Arc::new(Mutex::new(keys)), asked: Arc::default() };
        let (keys, asked) = (web.keys.clone(), web.asked.clone());
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for peer in listener.incoming() {
                let mut peer = peer.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if peer.read(&mut byte).unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                let issuer = format!("http://127.0.0.1:{port}");
                let body = if head.starts_with(b"GET /.well-known/openid-configuration ") {
                    json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string()
                } else {
                    asked.fetch_add(1, Ordering::SeqCst);
                    json!({"keys": *keys.lock().unwrap()}).to_string()
                };
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
                let _ = peer.write_all(answer.as_bytes());
            }
        });
        web
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn config(issuer: &str, source: &str) -> String {
    let accepting = CONFIG.replacen("auth = [\"api_key\"]", "auth = [\"jwt\", \"api_key\"]", 1);
    format!(
        "{accepting}\n[server]\npublic_url = \"https://mcp.example.com/mcp\"\n[auth]\nrevocations_file = \"revoked.toml\"\n\
         [auth.jwt.corp]\nissuer = \"{issuer}\"\naudiences = [\"{AUDIENCE}\"]\n{source}\n"
    )
    .replace("[listeners.plain]", "[listeners.plain]\nhostnames = [\"localhost\", \"127.0.0.1\"]")
}

fn start(issuer: &str, source: &str) -> Server {
    let folder = Folder::new();
    folder.write("mcpring.toml", &config(issuer, source));
    folder.write("revoked.toml", "");
    Server::start_in(folder, &[])
}

fn token(signer: &TestIssuer, issuer: &str, id: &str) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = claims_at(now_s);
    claims["iss"] = issuer.into();
    claims["jti"] = id.into();
    claims["roles"] = json!(["all"]);
    signer.good(&claims)
}

fn echo_as(token: &str) -> Vec<u8> {
    call_as(&bearer(token), "echo", r#"{"message":"hello"}"#)
}

#[test]
fn keys_are_exchanged_under_traffic_and_nobody_notices() {
    let old = TestIssuer { key_id: "old".into(), ..TestIssuer::new(Algorithm::Es256) };
    let new = TestIssuer { key_id: "new".into(), ..TestIssuer::new(Algorithm::EdDsa) };
    let web = Web::start(vec![old.public()]);
    let issuer = web.issuer();
    let server = start(&issuer, "discovery = true");
    server.wait_for("keys_renewed");
    let port = server.port("plain");
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let by_old = echo_as(&token(&old, &issuer, "old"));
    let by_new = echo_as(&token(&new, &issuer, "new"));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::plain(port);
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(client.ask(&by_old).status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // The issuer publishes the next key beside the present one; the first token with it has the set read again.
        web.keys.lock().unwrap().push(new.public());
        let mut client = Client::plain(port);
        assert_eq!(client.ask(&by_new).status, 401);
        server.wait_for("keys_renewed");
        while client.ask(&by_new).status != 200 {}
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 10);
    // Strange keys do not have the issuer asked again and again.
    let stranger = TestIssuer { key_id: "strange".into(), ..TestIssuer::new(Algorithm::EdDsa) };
    let strange = echo_as(&token(&stranger, &issuer, "strange"));
    let asked = web.asked.load(Ordering::SeqCst);
    let mut client = Client::plain(port);
    for _ in 0..200 {
        assert_eq!(client.ask(&strange).status, 401);
    }
    assert!(web.asked.load(Ordering::SeqCst) <= asked + 1);
}

#[test]
fn an_issuer_that_is_away_is_told_of_and_asked_again() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let issuer = format!("http://127.0.0.1:{unused}");
    let server = start(&issuer, &format!("jwks_url = \"{issuer}/keys\""));
    let problem = server.wait_for("problem");
    let text = problem.to_string();
    assert!(text.contains("W0610") && text.contains("auth.jwt.corp: cannot fetch"), "{text}");
    assert!(text.contains("tokens of this issuer are refused until it succeeds (next try in 5 s)"), "{text}");
    let mut client = Client::plain(server.port("plain"));
    assert_eq!(client.ask(&echo_as(&token(&signer, &issuer, "a"))).status, 401);
}

#[test]
fn a_token_is_made_explained_and_taken_back() {
    let folder = Folder::new();
    let issuer = "https://idp.example.com";
    folder.write("mcpring.toml", &config(issuer, "jwks_file = \"jwks.json\""));
    folder.write("revoked.toml", "");
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    folder.secret("sign.pem", &pair.serialize_pem());
    let run = |arguments: &[&str], input: &str| {
        let mut child = command(&folder.0, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let mint = [
        "token",
        "mint",
        "--key",
        "sign.pem",
        "--issuer",
        issuer,
        "--audience",
        AUDIENCE,
        "--subject",
        "alice",
        "--role",
        "all",
        "--jwks",
        "jwks.json",
    ];
    let token = run(&mint, "").trim().to_owned();
    let inspect = ["token", "inspect", "--config", "mcpring.toml"];
    let said = run(&inspect, &token);
    assert!(said.contains("accepted  as \"corp|alice\" until "), "{said}");
    assert!(run(&inspect, &token[..token.len() - 4]).contains("refused   token_"));
    let server = Server::start_in(folder, &[]);
    let mut client = Client::plain(server.port("plain"));
    assert_eq!(client.ask(&echo_as(&token)).status, 200);
    let revoke = ["token", "revoke", "--file", "revoked.toml", "--issuer", issuer, "--subject", "alice"];
    assert!(command(&server.folder.0, &revoke).stdout(Stdio::null()).status().unwrap().success());
    // The list is watched.
    server.wait_for("refreshed");
    let refused = client.ask(&echo_as(&token));
    assert_eq!(refused.status, 401);
    let told = "resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\"";
    assert!(refused.head.contains(told), "{}", refused.head);
    let place = "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metadata = client.ask(place.as_bytes()).json();
    assert_eq!(metadata["resource"], "https://mcp.example.com/mcp");
    assert_eq!(metadata["authorization_servers"], json!([issuer]));
}
