//! Every way to reach the server: a transport, an era, with or without TLS; and what a client can do whichever it is.
//! Next: `talk` for what is said, `pipes`, `posts`, `pair` and `frames` for how it is carried.

mod frames;
mod pair;
mod pipes;
mod posts;
mod talk;

use std::process::Stdio;
use std::sync::Arc;

use rustix::process::Signal;
use rustls::ClientConfig;
use serde_json::Value;

use crate::client::{Client, secure, socket, trust};
use crate::server::{CONFIG, Folder, Server, command};
use crate::wire::Wire;
pub(crate) use pair::Pair;
pub(crate) use posts::Events;
pub(crate) use talk::{Talk, countdown, error_code, has_text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Streamable HTTP, each request on a connection of its own.
    Http,
    /// TCP, by line ends.
    Lines,
    /// TCP, by lengths.
    Prefixed,
    WebSocket,
    /// `GET /sse` and `POST /message`, each message on a connection of its own.
    Pair,
    /// A Unix socket, by line ends.
    Unix,
    /// `mcpring stdio`, a process for each client.
    Stdio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28.
    Modern,
    /// The newest revision with a handshake that knows the transport.
    Legacy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) era: Era,
    pub(crate) security: Security,
}

const TRANSPORTS: [Transport; 7] = [
    Transport::Http,
    Transport::Lines,
    Transport::Prefixed,
    Transport::WebSocket,
    Transport::Pair,
    Transport::Unix,
    Transport::Stdio,
];

/// What makes no sense, and why.
const LEFT_OUT: &[(Transport, Option<Era>, Option<Security>, &str)] = &[
    (
        Transport::Pair,
        Some(Era::Modern),
        None,
        "a transport of 2024-11-05, which later revisions do not have",
    ),
    (
        Transport::Unix,
        None,
        Some(Security::Tls),
        "the kernel is all there is between two processes of one machine",
    ),
    (Transport::Stdio, None, Some(Security::Tls), "the client has started the server and holds its streams"),
];

/// All that make sense.
pub(crate) fn ways() -> Vec<Way> {
    let eras = [Era::Modern, Era::Legacy];
    let securities = [Security::Plain, Security::Tls];
    let of = |transport| {
        let each = eras.into_iter().flat_map(move |era| securities.map(|security| (era, security)));
        each.map(move |(era, security)| Way { transport, era, security })
    };
    TRANSPORTS.into_iter().flat_map(of).filter(Way::makes_sense).collect()
}

impl Way {
    fn makes_sense(&self) -> bool {
        !LEFT_OUT.iter().any(|(transport, era, security, _)| {
            *transport == self.transport
                && era.is_none_or(|era| era == self.era)
                && security.is_none_or(|security| security == self.security)
        })
    }
}

/// What a client hears next.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Message(Value),
    /// The server has ended the connection, a WebSocket with this code.
    End(Option<u16>),
}

/// One client, whichever the transport. Dropping it is how a careless one ends.
pub(crate) trait Peer {
    /// Sends what stands in the place of a message.
    fn send(&mut self, message: &[u8]);
    /// The next message.
    fn next(&mut self) -> Heard;
    /// Sends what the transport itself does not allow.
    fn break_rules(&mut self);
    /// Gives up on a request, in a way the transport has beside the notification; false if it has none.
    fn hang_up(&mut self, _id: &Value) -> bool {
        false
    }
    /// Sends nothing more, and may read on.
    fn end_half(&mut self);
    /// Says goodbye as the transport has it; what is still owed is then heard, and the end.
    fn close(&mut self) {
        self.end_half();
    }
    /// Sends the first half of a message.
    fn send_half(&mut self, message: &[u8]);
    /// Dies.
    fn tear(self: Box<Self>);
}

/// How to connect to one listener.
#[derive(Clone)]
pub(crate) struct Dial {
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

impl Dial {
    pub(crate) fn connect(&self) -> Client {
        Client::on(match &self.tls {
            None => Wire::Tcp(socket(self.port)),
            // Its tickets are shared, as one program's are.
            Some(config) => Wire::Tls(Box::new(secure(self.port, "localhost", (**config).clone()).unwrap())),
        })
    }
}

/// Longest message, everywhere.
pub(crate) const MESSAGE_BYTES_MAX: usize = 100 << 10;

/// The tools, and the same without one.
const TOOLS: [&str; 2] =
    ["enable = [\"echo\", \"time\", \"countdown\"]", "enable = [\"echo\", \"countdown\"]"];

/// Listeners for every way but STDIO.
const LISTENERS: &str = r#"
[listeners.lines]
kind = "tcp"
address = "127.0.0.1:0"
auth = ["api_key"]

[listeners.lines_tls]
kind = "tcp"
address = "127.0.0.1:0"
tls = "main"
auth = ["api_key"]

[listeners.prefixed]
kind = "tcp"
address = "127.0.0.1:0"
framing = "length32"
auth = ["api_key"]

[listeners.prefixed_tls]
kind = "tcp"
address = "127.0.0.1:0"
framing = "length32"
tls = "main"
auth = ["api_key"]

[listeners.unix]
kind = "tcp"
address = "unix:FOLDER/s"
auth = ["api_key"]
"#;

const STDIO: &str = r#"
[limits]
max_message_size = "100KiB"

[listeners.stdio]
kind = "stdio"
roles = ["all"]

[roles.all]
allow = ["**"]

[native]
enable = ["echo", "time", "countdown"]

[log]
format = "json"
"#;

/// A server that can be reached in all ways.
pub(crate) struct Place {
    pub(crate) server: Server,
    tls: Arc<ClientConfig>,
}

impl Place {
    pub(crate) fn open() -> Self {
        Self::with("", &[])
    }

    /// With these tables as well.
    pub(crate) fn with(more: &str, arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let text = CONFIG.replace("\"256KiB\"", "\"100KiB\"").replace(
            "kind = \"http\"",
            "kind = \"http\"\ntransports = [\"streamable_http\", \"websocket\", \"sse\"]",
        );
        let listeners = LISTENERS.replace("FOLDER", folder.0.to_str().unwrap());
        folder.write("mcpring.toml", &format!("{text}{listeners}{more}"));
        let server = Server::start_in(folder, arguments);
        let tls = Arc::new(trust(&server.folder.certificate_file("localhost")));
        Self { server, tls }
    }

    /// A plain listener by its name, or the one with TLS that stands beside it.
    pub(crate) fn dial(&self, listener: &str, security: Security) -> Dial {
        match (listener, security) {
            (_, Security::Plain) => Dial { port: self.server.port(listener), tls: None },
            ("plain", Security::Tls) => {
                Dial { port: self.server.port("secure"), tls: Some(self.tls.clone()) }
            }
            (_, Security::Tls) => {
                let port = self.server.port(&format!("{listener}_tls"));
                Dial { port, tls: Some(self.tls.clone()) }
            }
        }
    }

    /// A connection; for STDIO the process as well.
    fn reach(&self, way: Way) -> (Box<dyn Peer>, Option<Server>) {
        let dial = |listener| self.dial(listener, way.security);
        let peer: Box<dyn Peer> = match way.transport {
            Transport::Http => Box::new(posts::Posts::new(dial("plain"), way.era)),
            Transport::Lines => {
                Box::new(pipes::Pipe::new(dial("lines").connect(), pipes::Framing::Lines, true))
            }
            Transport::Prefixed => {
                Box::new(pipes::Pipe::new(dial("prefixed").connect(), pipes::Framing::Prefixed, true))
            }
            Transport::WebSocket => Box::new(frames::Frames::new(dial("plain").connect())),
            Transport::Pair => Box::new(Pair::new(dial("plain"))),
            Transport::Unix => {
                let client = Client::unix(&self.server.folder.0.join("s"));
                Box::new(pipes::Pipe::new(client, pipes::Framing::Lines, true))
            }
            Transport::Stdio => {
                let (client, server) = spawn();
                return (Box::new(pipes::Pipe::new(client, pipes::Framing::Lines, false)), Some(server));
            }
        };
        (peer, None)
    }

    /// Ends it; the counters at its end. Nothing may be left that has to be cut off.
    pub(crate) fn close(self) -> Value {
        self.server.signal(Signal::TERM);
        ended(self.server)
    }
}

/// A process on pipes.
fn spawn() -> (Client, Server) {
    let folder = Folder::new();
    folder.write("mcpring.toml", STDIO);
    let mut command = command(&folder.0, &["stdio", "--config", "mcpring.toml"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = Server::start_by(folder, command);
    let child = server.child();
    let (to, from) = (child.stdin.take(), child.stdout.take().unwrap());
    (Client::on(Wire::Pipes { to, from }), server)
}

/// Waits for a server that ends, and reads its last words.
pub(crate) fn ended(mut server: Server) -> Value {
    assert_eq!(server.wait().code(), Some(0));
    let rest = server.rest();
    let last = |event: &str| rest.iter().rfind(|line| line["event"] == event).cloned();
    if let Some(stopped) = last("stopped") {
        assert!(stopped.get("connections_cut").is_none_or(|cut| *cut == 0), "{stopped}");
    }
    last("counters").unwrap_or_default()
}

/// Takes a tool away, or puts it back, by a reload.
pub(crate) fn change_tools(server: &Server) {
    let path = server.folder.0.join("mcpring.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let [all, fewer] = TOOLS;
    let changed = if text.contains(all) { text.replace(all, fewer) } else { text.replace(fewer, all) };
    assert_ne!(text, changed);
    std::fs::write(path, changed).unwrap();
    server.signal(Signal::HUP);
    server.wait_for("reloaded");
}

#[test]
fn what_is_left_out_would_be_there_otherwise() {
    assert_eq!(ways().len(), TRANSPORTS.len() * 4 - 6);
    for (transport, era, security, why) in LEFT_OUT {
        let is_meant = |way: &Way| {
            way.transport == *transport
                && era.is_none_or(|era| era == way.era)
                && security.is_none_or(|security| security == way.security)
        };
        assert!(!ways().iter().any(is_meant), "{transport:?}: {why}");
        assert!(ways().iter().any(|way| way.transport == *transport), "{transport:?} in no way at all");
    }
}
