//! Listeners of every kind and on every sort of address: several at once, Unix sockets, sockets that are passed, limits of
//! their own.
//! Next: `stdio`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::client::{Client, echo, message};
use crate::server::{CONFIG, Folder, KEY, Server, command};

/// `CONFIG` with these tables as well.
fn folder(more: &str) -> Folder {
    let folder = Folder::new();
    let more = more.replace("FOLDER", folder.0.to_str().unwrap());
    folder.write("mcpring.toml", &format!("{CONFIG}\n{more}"));
    folder
}

fn unix(folder: &Folder) -> PathBuf {
    folder.0.join("s")
}

const UNIX: &str = "[listeners.local]\nkind = \"http\"\naddress = \"unix:FOLDER/s\"\nauth = [\"api_key\"]\n";

#[test]
fn all_kinds_are_served_at_once() {
    let more = format!(
        "{UNIX}\n[listeners.lines]\nkind = \"tcp\"\naddress = \"127.0.0.1:0\"\nauth = [\"api_key\"]\n\
         [listeners.prefixed]\nkind = \"tcp\"\naddress = \"127.0.0.1:0\"\nframing = \"length32\"\ntls = \"main\"\nauth = [\"api_key\"]\n\
         [listeners.redirect]\nkind = \"redirect\"\naddress = \"127.0.0.1:0\"\n\
         [server]\npublic_url = \"https://mcp.example.com/base\"\n"
    );
    let server = Server::start_in(folder(&more), &[]);
    let certificate = server.folder.certificate_file("localhost");
    assert_eq!(Client::plain(server.port("plain")).ask(&echo("http")).text(), "http");
    assert_eq!(Client::tls(server.port("secure"), "localhost", &certificate).ask(&echo("tls")).text(), "tls");
    assert_eq!(Client::unix(&unix(&server.folder)).ask(&echo("unix")).text(), "unix");
    let mut lines = Client::plain(server.port("lines"));
    let mut prefixed = Client::tls(server.port("prefixed"), "localhost", &certificate);
    for id in 1..4 {
        // The first message says who it is; the rest need not.
        let message = message(id, "carried", (id == 1).then_some(KEY));
        for answer in [lines.line(&message), prefixed.prefixed(&message)] {
            assert_eq!(answer["id"], id, "{answer}");
            assert_eq!(answer["result"]["content"][0]["text"], "carried", "{answer}");
        }
    }
    let answer = Client::plain(server.port("redirect")).ask(&echo("elsewhere"));
    assert_eq!(answer.status, 308);
    assert!(answer.head.contains("location: https://mcp.example.com/base\r\n"), "{}", answer.head);
}

#[test]
fn a_unix_socket_is_served_by_every_shard_through_reloads_and_goes_with_the_server() {
    for driver in ["io_uring", "epoll"] {
        let set = format!("runtime.driver={driver}");
        let mut server =
            Server::start_in(folder(UNIX), &["--set", &set, "--set", "limits.max_connections_per_ip=2"]);
        let path = unix(&server.folder);
        let facts = std::fs::metadata(&path).unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, 0o660);
        // Peers without an address are not one address.
        let mut clients: Vec<Client> = (0..20).map(|_| Client::unix(&path)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.ask(&echo(&number.to_string())).text(), number.to_string());
        }
        server.signal(Signal::HUP);
        server.wait_for("reloaded");
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), facts.ino());
        assert_eq!(clients[0].ask(&echo("kept")).text(), "kept");
        assert_eq!(Client::unix(&path).ask(&echo("new")).text(), "new");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0));
        assert!(!path.exists());
    }
}

#[test]
fn a_file_that_a_killed_server_left_is_replaced_and_a_live_servers_is_not() {
    let mut server = Server::start_in(folder(UNIX), &[]);
    let output = command(&server.folder.0, &["run", "--config", "mcpring.toml"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("E0401") && text.contains("a server answers there"), "{text}");
    assert_eq!(Client::unix(&unix(&server.folder)).ask(&echo("unharmed")).text(), "unharmed");
    server.signal(Signal::KILL);
    server.wait();
    let path = unix(&server.folder);
    assert!(path.exists());
    let again = command(&server.folder.0, &["run", "--config", "mcpring.toml"]);
    let second = Server::start_by(Folder::new(), again);
    assert_eq!(Client::unix(&path).ask(&echo("replaced")).text(), "replaced");
    drop(second);
}

#[test]
fn a_removed_unix_listener_takes_its_file_with_it() {
    let server = Server::start_in(folder(UNIX), &[]);
    let path = unix(&server.folder);
    assert_eq!(Client::unix(&path).ask(&echo("before")).text(), "before");
    server.folder.write("mcpring.toml", CONFIG);
    server.signal(Signal::HUP);
    server.wait_for("reloaded");
    assert!(!path.exists());
}

/// What systemd would start: these sockets are descriptors 3 and 4.
fn activated(folder: &Folder, tcp: &TcpListener, unix: &UnixListener, names: &str) -> Command {
    let run = command(&folder.0, &["run", "--config", "mcpring.toml"]);
    let script = format!(
        "exec 3<&0 4>&1 </dev/null >&2; export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names}; exec \"$0\" \"$@\""
    );
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(run.get_program()).args(run.get_args()).current_dir(&folder.0);
    shell.stdin(Stdio::from(OwnedFd::from(tcp.try_clone().unwrap())));
    shell.stdout(Stdio::from(OwnedFd::from(unix.try_clone().unwrap())));
    shell
}

const PASSED: &str = "[listeners.web]\nkind = \"http\"\naddress = \"systemd:web\"\ntls = \"main\"\nauth = [\"api_key\"]\nhostnames = [\"localhost\"]\n\
    [listeners.near]\nkind = \"http\"\naddress = \"systemd:near\"\nallow_plaintext_network = true\nauth = [\"api_key\"]\nhostnames = [\"localhost\"]\n";

#[test]
fn sockets_that_are_passed_are_taken_by_name_and_outlive_the_server() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let place = Folder::new();
    let near = UnixListener::bind(unix(&place)).unwrap();
    for _ in 0..2 {
        let folder = folder(PASSED);
        let command = activated(&folder, &tcp, &near, "web:near");
        let mut server = Server::start_by(folder, command);
        assert_eq!(server.port("web"), port);
        let certificate = server.folder.certificate_file("localhost");
        let served = || {
            for _ in 0..8 {
                assert_eq!(Client::tls(port, "localhost", &certificate).ask(&echo("web")).text(), "web");
                assert_eq!(Client::unix(&unix(&place)).ask(&echo("near")).text(), "near");
            }
        };
        served();
        server.signal(Signal::HUP);
        server.wait_for("reloaded");
        served();
        let flags = std::fs::read_to_string(format!("/proc/{}/fdinfo/3", server.pid())).unwrap();
        assert!(is_close_on_exec(&flags), "{flags}");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0));
        assert!(unix(&place).exists(), "the file is not the server's");
    }
}

/// Whether the text of a file in /proc/PID/fdinfo says so.
pub(crate) fn is_close_on_exec(fdinfo: &str) -> bool {
    let flags = fdinfo.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    u32::from_str_radix(flags, 8).unwrap() & 0o2_000_000 != 0
}

#[test]
fn a_name_that_was_not_passed_is_said() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder(PASSED);
    let near = UnixListener::bind(unix(&folder)).unwrap();
    let output = activated(&folder, &tcp, &near, "web:other").stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("E0408") && text.contains("\"near\"") && text.contains("web, other"), "{text}");
}

#[test]
fn a_full_listener_refuses_and_the_others_do_not() {
    let text = CONFIG.replacen("kind = \"http\"", "kind = \"http\"\nmax_connections = 2", 1);
    let folder = Folder::new();
    folder.write("mcpring.toml", &text);
    let server = Server::start_in(folder, &[]);
    let mut held: Vec<Client> = (0..2).map(|_| Client::plain(server.port("plain"))).collect();
    for client in &mut held {
        assert_eq!(client.ask(&echo("in")).text(), "in");
    }
    assert!(Client::plain(server.port("plain")).is_closed());
    let certificate = server.folder.certificate_file("localhost");
    for _ in 0..4 {
        assert_eq!(Client::tls(server.port("secure"), "localhost", &certificate).ask(&echo("x")).text(), "x");
    }
    server.signal(Signal::USR1);
    let counters = server.wait_for("counters");
    assert_eq!(
        (&counters["listen.refused_total"], &counters["listen.refused_address"]),
        (&1.into(), &0.into())
    );
}
