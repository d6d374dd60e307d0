//! `mcpring stdio`: every sort of end, the log apart from the answers, signals, and a client that does not read.
//! Next: nothing; the way back is `serving`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::client::message;
use crate::listeners::is_close_on_exec;
use crate::server::{Folder, Server, command};

const CONFIG: &str = r#"
[listeners.stdio]
kind = "stdio"
roles = ["all"]
send_timeout = "200ms"

[roles.all]
allow = ["**"]

[native]
enable = ["echo", "countdown"]

[log]
format = "json"
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("mcpring.toml", CONFIG);
    folder
}

/// A server with pipes for its streams.
struct Piped {
    server: Server,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Piped {
    fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        if arguments.is_empty() {
            std::fs::remove_file(folder.0.join("mcpring.toml")).unwrap();
        }
        let mut command = command(&folder.0, &[&["stdio"], arguments].concat());
        // Without a file there is none to be found.
        command.env("XDG_CONFIG_HOME", &folder.0).env_remove("MCPRING_CONFIG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Server::start_by(folder, command);
        let child: &mut Child = server.child();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { server, to, from }
    }

    fn send(&mut self, message: &str) {
        writeln!(self.to.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The next line of stdout; nothing at its end.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        (!line.is_empty())
            .then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    fn ask(&mut self, id: u64) -> Value {
        self.send(&message(id, "said", None));
        let answer = self.line().unwrap();
        assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&id.into(), &"said".into()));
        answer
    }
}

fn countdown(id: u64, steps: u64, interval_ms: u64) -> String {
    let arguments = format!(r#"{{"steps":{steps},"interval_ms":{interval_ms}}}"#);
    message(id, "x", None).replace(r#""echo""#, r#""countdown""#).replace(r#"{"message":"x"}"#, &arguments)
}

#[test]
fn the_end_of_input_ends_it_once_everything_is_answered() {
    let mut piped = Piped::start(&["--config", "mcpring.toml"]);
    piped.ask(1);
    piped.send(&countdown(2, 3, 20));
    piped.send(&message(3, "said", None));
    drop(piped.to.take());
    let mut ids: Vec<u64> =
        std::iter::from_fn(|| piped.line()).filter_map(|line| line["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [2, 3]);
    assert_eq!(piped.server.wait().code(), Some(0));
    let rest = piped.server.rest();
    assert!(rest.iter().any(|line| line["event"] == "request" && line["principal"] == "local"), "{rest:?}");
}

#[test]
fn no_network_socket_is_open_and_nothing_would_be_inherited() {
    let mut piped = Piped::start(&["--config", "mcpring.toml"]);
    piped.ask(1);
    let process = format!("/proc/{}", piped.server.pid());
    let mut inodes = Vec::new();
    for entry in std::fs::read_dir(format!("{process}/fd")).unwrap() {
        let entry = entry.unwrap();
        let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let target = std::fs::read_link(entry.path()).unwrap().display().to_string();
        inodes.extend(target.strip_prefix("socket:[").map(|inode| inode.trim_end_matches(']').to_owned()));
        let flags = std::fs::read_to_string(format!("{process}/fdinfo/{number}")).unwrap();
        assert!(number <= 2 || is_close_on_exec(&flags), "{number} {target}: {flags}");
    }
    for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        let Ok(text) = std::fs::read_to_string(format!("{process}/net/{table}")) else { continue };
        let open: Vec<&str> =
            text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(9)).collect();
        assert!(inodes.iter().all(|inode| !open.contains(&inode.as_str())), "{table}: {inodes:?}");
    }
    let unix = std::fs::read_to_string(format!("{process}/net/unix")).unwrap();
    for line in unix.lines().filter(|line| inodes.iter().any(|inode| line.contains(inode.as_str()))) {
        // `__SO_ACCEPTCON`: nothing is accepted, neither here.
        assert_eq!(line.split_whitespace().nth(3), Some("00000000"), "{line}");
    }
}

#[test]
fn sigterm_drains_and_sighup_reloads_or_is_ignored() {
    for arguments in [&["--config", "mcpring.toml"][..], &[]] {
        let mut piped = Piped::start(arguments);
        piped.ask(1);
        piped.server.signal(Signal::HUP);
        if !arguments.is_empty() {
            piped.server.wait_for("reloaded");
        }
        piped.ask(2);
        piped.send(&countdown(3, 3, 20));
        piped.ask(4);
        piped.server.signal(Signal::TERM);
        piped.server.wait_for("draining");
        assert_eq!(piped.line().unwrap()["id"], 3);
        assert_eq!(piped.line(), None);
        assert_eq!(piped.server.wait().code(), Some(0));
    }
}

#[test]
fn a_client_that_stops_reading_ends_it_with_an_error() {
    let mut piped = Piped::start(&["--config", "mcpring.toml"]);
    let mut to = piped.to.take().unwrap();
    let flood = std::thread::spawn(move || {
        let line = message(1, &"x".repeat(1000), None);
        while writeln!(to, "{line}").is_ok() {}
    });
    piped.server.wait_for("client_stuck");
    assert_eq!(piped.server.wait().code(), Some(1));
    flood.join().unwrap();
}

#[test]
fn a_client_that_closes_its_output_does_not_kill_it() {
    let mut piped = Piped::start(&["--config", "mcpring.toml"]);
    drop(std::mem::replace(&mut piped.from, BufReader::new(null())));
    piped.send(&message(1, "unheard", None));
    piped.server.wait_for("client_broken");
    assert_eq!(piped.server.wait().code(), Some(1), "an exit code, not SIGPIPE");
}

/// Some other process's stdout, which is at its end.
fn null() -> ChildStdout {
    let mut child = std::process::Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    child.wait().unwrap();
    stdout
}

#[test]
fn files_and_a_socket_are_ends_too() {
    let folder = folder();
    folder.write("in", &format!("{}\n{}\n", message(1, "a", None), message(2, "b", None)));
    let mut from_file = command(&folder.0, &["stdio", "--config", "mcpring.toml"]);
    from_file.stdin(File::open(folder.0.join("in")).unwrap());
    from_file.stdout(File::create(folder.0.join("out")).unwrap());
    assert!(from_file.stderr(Stdio::null()).status().unwrap().success());
    let text = std::fs::read_to_string(folder.0.join("out")).unwrap();
    let mut ids: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let set = ["stdio", "--config", "mcpring.toml", "--set", "listeners.stdio.output_fd=0"];
    let mut over_socket = command(&folder.0, &set);
    over_socket.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = over_socket.spawn().unwrap();
    drop(over_socket);
    writeln!(ours, "{}", message(1, "over a socket", None)).unwrap();
    ours.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    assert!(text.contains("over a socket") && text.ends_with('\n'), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn streams_that_can_not_be_used_are_said() {
    let folder = folder();
    for (set, code, word) in [
        ("listeners.stdio.input_fd=77", 69, "E0420"),
        ("listeners.stdio.roles=[\"nobody\"]", 78, "E0204"),
        ("listeners.stdio.kind=http", 78, "E0216"),
    ] {
        let output =
            command(&folder.0, &["stdio", "--config", "mcpring.toml", "--set", set]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{set}: {text}");
        assert!(text.contains(word), "{set}: {text}");
        assert!(output.stdout.is_empty(), "{set}");
    }
    folder.write("none.toml", "[native]\nenable = [\"echo\"]\n");
    for (arguments, word) in
        [(["stdio", "--config", "none.toml"], "E0201"), (["run", "--config", "mcpring.toml"], "E0219")]
    {
        let output = command(&folder.0, &arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains(word), "{text}");
    }
}
