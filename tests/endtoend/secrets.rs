//! What must stay secret: planted credentials, the pepper and private keys are looked for in everything that a server
//! writes and answers, at its most talkative, while clients put them where they belong and where they do not.
//! Next: `every`.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use rustix::process::Signal;

use crate::client::{Client, bearer, call_as, echo, post, socket};
use crate::server::{CONFIG, Folder, KEY, PEPPER, SECOND_KEY, Server, command};

/// What a stranger tries; near enough to a key that a log with it would be as bad.
const GUESS: &str = "mrk_c0ffee_planted-guess-that-nobody-may-repeat";

/// Everything that nobody may read again.
fn planted(folder: &Folder) -> Vec<String> {
    let mut secrets: Vec<String> = [KEY, SECOND_KEY, PEPPER, GUESS].map(str::to_owned).to_vec();
    for key in ["localhost.key", "other.key"] {
        let pem = std::fs::read_to_string(folder.0.join(key)).unwrap();
        let lines = pem.lines().filter(|line| !line.starts_with("-----") && line.len() > 8);
        secrets.extend(lines.map(str::to_owned));
    }
    let keys = std::fs::read_to_string(folder.0.join("keys.toml")).unwrap();
    secrets.extend(
        keys.lines()
            .filter_map(|line| line.strip_prefix("hash = "))
            .map(|hash| hash.trim_matches('"').to_owned()),
    );
    secrets
}

fn assert_unread(text: &str, secrets: &[String], place: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret:?} is in {place}:\n{text}");
    }
}

/// Requests with a secret in every place a client may put one.
fn requests(secret: &str) -> Vec<Vec<u8>> {
    let call = |credential: &str| call_as(credential, "echo", r#"{"message":"hi"}"#);
    let meta = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"mcpring/authorization":"Bearer {secret}"}}}}}}"#
    );
    vec![
        call(&bearer(secret)),
        call(&format!("X-API-Key: {secret}\r\n")),
        call(&format!("Authorization: Basic {secret}\r\n")),
        call(&format!("Authorization: {secret}\r\n")),
        call(&format!("{}X-API-Key: {secret}\r\n", bearer(secret))),
        call(&format!("Cookie: token={secret}\r\n")),
        post("", &meta),
        format!("GET /mcp?token={secret} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
        format!("GET /{secret} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
        format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: {secret}\r\nContent-Length: 2\r\n\r\n{{}}").into_bytes(),
        format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\nAuthorization: Bearer {secret}\r\nContent-Length: 2\r\n\r\n{{}}").into_bytes(),
        // No HTTP at all, and half of it.
        format!("{secret}\r\n\r\n").into_bytes(),
        format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\u{1}\r\n\r\n").into_bytes(),
    ]
}

#[test]
fn no_credential_pepper_or_private_key_is_ever_written_or_answered() {
    let folder = Folder::new();
    // Nobody is sent away for what is tried here.
    let config = CONFIG.replace("[auth.api_key]", "[auth]\nmax_failures = 200\n\n[auth.api_key]");
    folder.write("mcpring.toml", &format!("{config}level = \"trace\"\naccess_log = true\n"));
    let secrets = planted(&folder);
    let mut server = Server::start_in(folder, &[]);
    let (plain, secure) = (server.port("plain"), server.port("secure"));
    let certificate = server.folder.certificate_file("localhost");
    for secret in [KEY, GUESS] {
        for request in requests(secret) {
            let mut stream = socket(plain);
            stream.write_all(&request).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            // Some are cut off.
            let _ = stream.read_to_end(&mut answer);
            assert_unread(&String::from_utf8_lossy(&answer), &secrets, "an answer");
            // Over TLS the same is said to somebody who does not listen.
            Client::tls(secure, "localhost", &certificate).send(&request);
        }
    }
    assert_eq!(Client::plain(plain).ask(&echo("still there")).text(), "still there");
    server.signal(Signal::HUP);
    let mut lines = server.until("reloaded");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    lines.extend(server.rest());
    let told = |line: &&serde_json::Value| {
        ["request", "refused", "fault"].contains(&line["event"].as_str().unwrap_or_default())
    };
    let requests = lines.iter().filter(told).count();
    assert!(requests >= 40, "a log that says nothing gives nothing away: {lines:#?}");
    for line in lines {
        assert_unread(&line.to_string(), &secrets, "the log");
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    let folder = Folder::new();
    let secrets = planted(&folder);
    // Keys in clear where a hash belongs, a key file that is no PEM, a pepper that is too short.
    let broken = [
        ("keys.toml", format!("[[keys]]\nid = \"a\"\nhash = \"{KEY}\"\nroles = [\"all\"]\n")),
        ("keys.toml", format!("[[keys]]\nid = \"{KEY}\"\nhash = {KEY}\n")),
        ("localhost.key", format!("-----BEGIN PRIVATE KEY-----\n{GUESS}\n")),
        ("pepper", GUESS[..12].to_owned()),
    ];
    for (file, text) in broken {
        let kept = std::fs::read(folder.0.join(file)).unwrap();
        std::fs::write(folder.0.join(file), text).unwrap();
        for arguments in [["validate", "mcpring.toml"].as_slice(), &["run", "--config", "mcpring.toml"]] {
            let mut command = command(&folder.0, arguments);
            let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
            assert!(!output.status.success(), "{file}: {arguments:?}");
            for said in [&output.stdout, &output.stderr] {
                let said = String::from_utf8_lossy(said);
                assert_unread(&said, &secrets, "what is said of a broken file");
                assert!(!said.contains(&GUESS[..12]), "{said}");
            }
        }
        std::fs::write(folder.0.join(file), kept).unwrap();
    }
}
