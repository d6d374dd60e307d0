//! `mcpring key` beside a server that runs: what it makes is let in, what it takes away is not.
//! Next: `rotation`, the files themselves.

use std::process::Stdio;

use crate::certificates::{config, now_s};
use crate::client::{Client, call_as, secure};
use crate::pki::{AGENT, Pki};
use crate::server::{CONFIG, Folder, KEY, Server, command};
use crate::wire::Wire;

/// Exit code, stdout, stderr.
fn key(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments = [&["key"], arguments, &["--config", "mcpring.toml"]].concat();
    let made = command(&folder.0, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (made.status.code(), text(&made.stdout), text(&made.stderr))
}

fn asks(server: &Server, key: &str) -> u16 {
    let request = call_as(&format!("X-API-Key: {key}\r\n"), "echo", r#"{"message":"hello"}"#);
    Client::plain(server.port("plain")).ask(&request).status
}

#[test]
fn keys_are_made_replaced_and_taken_away_while_the_server_runs() {
    let server = Server::start();
    let folder = &server.folder;
    let (code, first, said) = key(folder, &["add", "--id", "ci", "--roles", "all"]);
    assert_eq!(code, Some(0), "{said}");
    let first = first.trim();
    assert!(first.starts_with("mrk_") && first.len() == 54 && !said.contains(first), "{said}");
    server.wait_for("refreshed");
    assert_eq!(asks(&server, first), 200);
    let (_, second, said) = key(folder, &["rotate", "--name", "ci", "--overlap", "1h"]);
    let second = second.trim();
    server.wait_for("refreshed");
    assert_eq!((asks(&server, first), asks(&server, second)), (200, 200), "{said}");
    let (_, list, _) = key(folder, &["list"]);
    assert_eq!(list.lines().filter(|line| line.starts_with("ci ")).count(), 2, "{list}");
    for secret in [first, second] {
        assert!(list.contains(&secret[..10]) && !list.contains(secret), "{list}");
    }
    assert_eq!(key(folder, &["revoke", "--id", "ci", "--prefix", &first[..10]]).0, Some(0));
    server.wait_for("refreshed");
    assert_eq!((asks(&server, first), asks(&server, second)), (401, 200));
}

#[test]
fn says_what_is_wrong_and_changes_nothing() {
    let folder = Folder::new();
    let before = std::fs::read_to_string(folder.0.join("keys.toml")).unwrap();
    for (arguments, words) in [
        (&["add", "--id", "operator", "--roles", "all"][..], "rotate --id operator"),
        (&["add", "--id", "ci", "--roles", "none"], "defined roles: all"),
        (&["add", "--id", "a b", "--roles", "all"], "an id has"),
        (&["revoke", "--id", "ci"], "keys: operator, second"),
        (&["rotate", "--id", "ci"], "no such key"),
    ] {
        let (code, out, said) = key(&folder, arguments);
        assert_eq!((code, out.as_str()), (Some(78), ""), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_to_string(folder.0.join("keys.toml")).unwrap(), before);
}

#[test]
fn whoever_has_a_certificate_guesses_no_better_at_keys() {
    let (pki, folder) = (Pki::new(now_s()), Folder::new());
    folder.write("clients-ca.crt", &pki.root_pem());
    let accepting = CONFIG
        .replace("tls = \"main\"\nauth = [\"api_key\"]", "tls = \"main\"\nauth = [\"mtls\", \"api_key\"]")
        .replace("[auth.api_key]", "[auth]\nmax_failures = 2\n[auth.api_key]");
    folder.write(
        "mcpring.toml",
        &format!(
            "{accepting}\n[tls.main.client_auth]\nmode = \"required\"\nca_file = \"clients-ca.crt\"\n\
             allowed_names = [\"spiffe://example.com/agent/*\"]\n[[auth.mtls.roles_from]]\n\
             name = \"spiffe://example.com/agent/*\"\nroles = [\"all\"]\n"
        ),
    );
    let server = Server::start_in(folder, &[]);
    let shown = pki.client(AGENT, |_| ());
    let connect = || {
        let stream = secure(server.port("secure"), "localhost", config(&server, Some(&shown))).unwrap();
        Client::on(Wire::Tls(Box::new(stream)))
    };
    let ask = |client: &mut Client, credential: &str| {
        client.ask(&call_as(credential, "echo", r#"{"message":"hello"}"#)).status
    };
    let mut known = connect();
    assert_eq!(ask(&mut known, &format!("X-API-Key: {KEY}\r\n")), 200);
    for guess in ["X-API-Key: guess\r\n", "Authorization: Basic guess\r\n"] {
        assert_eq!(ask(&mut known, ""), 200, "the certificate alone is enough, and forgives nothing");
        assert_eq!(ask(&mut known, guess), 401, "{guess}");
    }
    assert_eq!(ask(&mut connect(), "X-API-Key: guess\r\n"), 429, "they were counted");
    assert_eq!(ask(&mut connect(), ""), 200);
}
