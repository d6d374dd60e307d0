//! A server for one test: its folder with certificates and keys, its process, its log.
//! Next: `client`, the other end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mcpring::pipeline::authenticate::keys::KeyTable;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) const KEY: &str = "mrk_test_operator";
pub(crate) const SECOND_KEY: &str = "mrk_test_second";
pub(crate) const PEPPER: &str = "a pepper of at least sixteen bytes";

/// How long anything may take before the test gives up; nothing waits this long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Two listeners, one plain and one with TLS; one role that may do everything.
pub(crate) const CONFIG: &str = r#"
[runtime]
shards = 2

[limits]
max_connections_per_ip = 200
max_message_size = "256KiB"

[listeners.plain]
kind = "http"
address = "127.0.0.1:0"
auth = ["api_key"]

[listeners.secure]
kind = "http"
address = "127.0.0.1:0"
tls = "main"
auth = ["api_key"]

[tls.main]
certificates = [
  { cert_file = "localhost.crt", key_file = "localhost.key" },
  { cert_file = "other.crt", key_file = "other.key" },
]

[auth.api_key]
pepper = { file = "pepper" }
keys_file = "keys.toml"

[roles.all]
allow = ["**"]

[native]
enable = ["echo", "time", "countdown"]

[log]
format = "json"
"#;

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("mcpring-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.certificate("localhost", &["localhost", "127.0.0.1", "::1"]);
        folder.certificate("other", &["other.localhost"]);
        folder.secret("pepper", PEPPER);
        folder.keys(&[("operator", KEY), ("second", SECOND_KEY)]);
        folder.write("mcpring.toml", CONFIG);
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    pub(crate) fn secret(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(name, text);
        std::fs::set_permissions(self.0.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn certificate(&self, name: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        self.write(&format!("{name}.crt"), &made.cert.pem());
        self.secret(&format!("{name}.key"), &made.signing_key.serialize_pem());
    }

    pub(crate) fn keys(&self, keys: &[(&str, &str)]) {
        let mut text = String::new();
        for (id, key) in keys {
            let mac = KeyTable::mac(PEPPER.as_bytes(), key.as_bytes());
            let hash: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push_str(&format!("[[keys]]\nid = \"{id}\"\nhash = \"{hash}\"\nroles = [\"all\"]\n"));
        }
        self.secret("keys.toml", &text);
    }

    pub(crate) fn certificate_file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.crt"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in the system's temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binary with some arguments, in a folder.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    // The release binary is tried with the same tests.
    let binary =
        std::env::var_os("MCPRING_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_mcpring").into());
    let mut command = Command::new(binary);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// A running server.
pub(crate) struct Server {
    pub(crate) folder: Folder,
    child: Child,
    lines: mpsc::Receiver<Value>,
    ready: Value,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_in(Folder::new(), &[])
    }

    pub(crate) fn start_in(folder: Folder, arguments: &[&str]) -> Self {
        let arguments = [&["run", "--config", "mcpring.toml"], arguments].concat();
        let command = command(&folder.0, &arguments);
        Self::start_by(folder, command)
    }

    /// Starts what a command starts, and waits until it is ready.
    pub(crate) fn start_by(folder: Folder, mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { folder, child, lines, ready: Value::Null };
        server.ready = server.wait_for("ready");
        server
    }

    /// The next log line.
    pub(crate) fn next_line(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// The next log line of that event; anything before it is dropped.
    pub(crate) fn wait_for(&self, event: &str) -> Value {
        self.until(event).pop().unwrap()
    }

    /// Every line from now to the next of that event.
    pub(crate) fn until(&self, event: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    seen.push(line);
                    if seen.last().is_some_and(|line| line["event"] == event) {
                        return seen;
                    }
                }
                Err(error) => panic!("no {event}: {error}; seen: {seen:#?}"),
            }
        }
    }

    /// Every line from now to the end of the log.
    pub(crate) fn rest(&self) -> Vec<Value> {
        self.lines.iter().collect()
    }

    pub(crate) fn port(&self, listener: &str) -> u16 {
        port_in(&self.ready, listener)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is what most tests are about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A listener's port in a `ready` line.
pub(crate) fn port_in(ready: &Value, listener: &str) -> u16 {
    let listeners = ready["listeners"].as_array().unwrap();
    let found = listeners.iter().find(|one| one["name"] == listener).unwrap();
    let address: std::net::SocketAddr = found["address"].as_str().unwrap().parse().unwrap();
    address.port()
}
