//! A server's life: draining, ending, reloading under traffic, refusing what it can not run with.
//! Next: `serving`.

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::client::{Client, bearer, call, call_as, echo, secure, trust};
use crate::server::{CONFIG, Folder, KEY, SECOND_KEY, Server, command};

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_with_0() {
    let mut server = Server::start();
    let mut idle = Client::plain(server.port("plain"));
    assert_eq!(idle.ask(&echo("before")).text(), "before");
    let mut busy =
        Client::tls(server.port("secure"), "localhost", &server.folder.certificate_file("localhost"));
    busy.send(&call("countdown", r#"{"steps":5,"interval_ms":100}"#));
    // The answer to a second connection says that the first request has been read.
    assert_eq!(idle.ask(&echo("sync")).text(), "sync");
    server.signal(Signal::TERM);
    server.wait_for("draining");
    assert!(idle.is_closed());
    let answer = busy.answer().unwrap();
    assert_eq!(answer.text(), "done");
    assert!(busy.is_closed());
    assert_eq!(server.wait().code(), Some(0));
    let rest = server.rest();
    let stopped = rest.iter().find(|line| line["event"] == "stopped").unwrap();
    assert_eq!(stopped["connections_cut"], 0, "{rest:?}");
    let counters = rest.iter().find(|line| line["event"] == "counters").unwrap();
    assert_eq!(counters["dispatch.completed"], 3, "{counters}");
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let mut server = Server::start();
    let mut busy = Client::plain(server.port("plain"));
    busy.send(&call("countdown", r#"{"steps":1000,"interval_ms":10000}"#));
    let mut other = Client::plain(server.port("plain"));
    assert_eq!(other.ask(&echo("sync")).text(), "sync");
    server.signal(Signal::TERM);
    server.wait_for("draining");
    server.signal(Signal::TERM);
    assert_ne!(server.wait().code(), Some(0));
}

#[test]
fn a_reload_changes_certificate_and_keys_without_dropping_a_connection() {
    let server = Server::start();
    let port = server.port("secure");
    let old = server.folder.certificate_file("localhost");
    let mut client = Client::tls(port, "localhost", &old);
    let mut second = Client::plain(server.port("plain"));
    let as_second = call_as(&bearer(SECOND_KEY), "echo", r#"{"message":"second"}"#);
    assert_eq!(second.ask(&as_second).text(), "second");
    server.folder.certificate("localhost", &["localhost"]);
    server.folder.keys(&[("operator", KEY)]);
    server.signal(Signal::HUP);
    server.wait_for("reloaded");
    // The old connection lives; a new one sees the new certificate; the revoked key stops on its old connection.
    assert_eq!(client.ask(&echo("still here")).text(), "still here");
    let new = server.folder.certificate_file("localhost");
    assert_eq!(Client::tls(port, "localhost", &new).ask(&echo("new")).text(), "new");
    assert_eq!(second.ask(&as_second).status, 401);
}

#[test]
fn a_refused_reload_leaves_the_old_configuration_running_and_says_why() {
    let server = Server::start();
    let mut client = Client::plain(server.port("plain"));
    for broken in [
        CONFIG.replace("[native]", "[nativ]"),
        CONFIG.replace("localhost.crt", "missing.crt"),
        "this is not TOML = = =".to_owned(),
    ] {
        server.folder.write("mcpring.toml", &broken);
        server.signal(Signal::HUP);
        server.wait_for("reload_refused");
        assert_eq!(client.ask(&echo("unharmed")).text(), "unharmed");
        assert_eq!(Client::plain(server.port("plain")).ask(&echo("new")).text(), "new");
    }
    std::fs::write(server.folder.0.join("localhost.key"), "no key").unwrap();
    server.folder.write("mcpring.toml", CONFIG);
    server.signal(Signal::HUP);
    server.wait_for("reload_refused");
    assert!(
        secure(server.port("secure"), "localhost", trust(&server.folder.certificate_file("localhost")))
            .is_ok()
    );
}

#[test]
fn reloads_under_traffic_lose_no_answer() {
    let server = Server::start();
    let is_over = AtomicBool::new(false);
    let (plain, tls) = (server.port("plain"), server.port("secure"));
    let certificate = server.folder.certificate_file("localhost");
    std::thread::scope(|scope| {
        let traffic: Vec<_> = (0..4)
            .map(|number| {
                let (is_over, certificate) = (&is_over, &certificate);
                scope.spawn(move || {
                    let mut client = if number % 2 == 0 {
                        Client::plain(plain)
                    } else {
                        Client::tls(tls, "localhost", certificate)
                    };
                    let mut answered = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        let text = format!("{number} {answered}");
                        assert_eq!(client.ask(&echo(&text)).text(), text);
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        for _ in 0..20 {
            server.signal(Signal::HUP);
            server.wait_for("reloaded");
        }
        is_over.store(true, Ordering::Relaxed);
        for one in traffic {
            assert!(one.join().unwrap() > 0);
        }
    });
}

#[test]
fn a_reload_adds_and_removes_listeners() {
    let server = Server::start();
    let mut old = Client::plain(server.port("plain"));
    assert_eq!(old.ask(&echo("x")).text(), "x");
    server.folder.write(
        "mcpring.toml",
        &CONFIG.replacen("127.0.0.1:0", "[::1]:0", 1).replace("[listeners.plain]", "[listeners.fresh]"),
    );
    server.signal(Signal::HUP);
    let line = server.wait_for("reloaded");
    assert_eq!(old.ask(&echo("kept")).text(), "kept", "{line}");
    // The shards read their mail after the log line; until then the kernel may still take a connection.
    let is_refused = |_| std::net::TcpStream::connect(("127.0.0.1", server.port("plain"))).is_err();
    assert!((0..100_000).any(is_refused), "the removed listener still takes connections");
    assert_eq!(old.ask(&echo("still")).text(), "still");
}

fn run(folder: &Folder, arguments: &[&str]) -> Output {
    command(&folder.0, arguments).output().unwrap()
}

#[test]
fn refuses_to_start_with_the_exit_code_that_says_why() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("listeners.plain.address=\"{}\"", taken.local_addr().unwrap());
    for (arguments, code, word) in [
        (vec!["run", "--config", "missing.toml"], 78, "missing.toml"),
        (vec!["run", "--set", "limits.max_connections=no"], 78, "max_connections"),
        (vec!["run", "--set", &address], 69, "in use"),
        (vec!["run", "--nonsense"], 2, "nonsense"),
        (vec!["validate", "--set", "native.enable=[\"nope\"]", "mcpring.toml"], 78, "nope"),
        (vec!["run", "--check"], 0, ""),
        (vec!["validate", "mcpring.toml"], 0, ""),
    ] {
        let output = run(&folder, &arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(word), "{arguments:?}: {text}");
    }
    std::fs::set_permissions(
        folder.0.join("localhost.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let output = run(&folder, &["run"]);
    assert!(matches!(output.status.code(), Some(77 | 78)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("localhost.key"));
}

#[test]
fn five_planted_mistakes_are_all_named_with_their_line_and_a_way_out() {
    let folder = Folder::new();
    let broken = CONFIG
        .replace("max_connections_per_ip = 200", "max_conections_per_ip = 200")
        .replace("max_message_size = \"256KiB\"", "max_message_size = 262144")
        .replacen("auth = [\"api_key\"]", "auth = [\"api_kye\"]", 1)
        .replace("tls = \"main\"", "tls = \"mian\"")
        .replace("shards = 2", "shards = 0");
    folder.write("mcpring.toml", &broken);
    let output = run(&folder, &["validate", "mcpring.toml"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{text}");
    for mistake in ["max_conections_per_ip", "max_message_size", "api_kye", "mian", "shards"] {
        let line = broken.lines().position(|line| line.contains(mistake)).unwrap() + 1;
        assert!(text.contains(&format!("mcpring.toml:{line}:")), "{mistake} at line {line}: {text}");
    }
    assert_eq!(text.matches("error[E").count(), 5, "{text}");
    assert!(text.matches("help:").count() >= 5, "{text}");
}

#[test]
fn validate_refuses_what_no_start_would_accept() {
    let start = |change: &dyn Fn(&Folder), place: &str, word: &str| {
        let folder = Folder::new();
        change(&folder);
        for arguments in [vec!["validate", "mcpring.toml"], vec!["run", "--check"]] {
            let output = run(&folder, &arguments);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(78), "{arguments:?}: {text}");
            assert!(text.contains(word), "{arguments:?}: {text}");
            let is_run = arguments.contains(&"run");
            assert!(is_run || (text.contains(place) && text.contains("invalid (1 error")), "{text}");
        }
        assert_eq!(run(&folder, &["validate", "--no-environment"]).status.code(), Some(0));
    };
    let keys = "[[keys]]\nid = \"ci\"\nhash = \"SHA2-256(stdin)= 00\"\nroles = [\"all\"]\n";
    start(&|folder| folder.write("keys.toml", keys), "mcpring.toml:", "keys.toml:3: `hash` must be");
    start(&|folder| folder.write("localhost.crt", "nonsense"), "mcpring.toml:", "holds no certificate");
    let other = |folder: &Folder| folder.write("localhost.crt", &read(folder, "other.crt"));
    start(&other, "mcpring.toml:", "does not belong");
}

fn read(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.0.join(name)).unwrap()
}
