//! Any bytes, cut anyhow, to several connections of one shard, with time, changes, drains and ends in between: no panic,
//! every lease comes back, every answer is well-formed, nobody sends for ever unanswered, deadlines lead somewhere, and
//! streams, questions and sessions are forgotten in the end. What the server hands out (a session, a place in a stream, a
//! state, a question) comes back in later requests, so that all of them are reached.
//! The input is a script of steps; see [`World::step`]. Its first byte says how many peers there are and what they speak.
//! Next: `src/pipeline/connection`.
#![no_main]

#[path = "../../fixture/mod.rs"]
pub mod fixture;

use std::sync::{Arc, OnceLock};

use fixture::carried::{Cut, TEXT, echo_alone};
use fixture::messages::{answer, in_chunks};
use fixture::{Desk, KEY, echo, listener, modern, post, role, snapshot_with};
use libfuzzer_sys::fuzz_target;
use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::hub::Held;
use mcpring::pipeline::hub::listen::{Change, Lists};
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::snapshot::{Listener, Security, Snapshot};
use mcpring::tools::{Capability, Context, Resource, Tool};

/// What a peer may send after the last bytes that came back, far above what the small limits below allow.
const UNANSWERED_BYTES_MAX: usize = 64 * 1024;
/// How many timeouts handled at their deadlines lead an open connection without a call to its end.
const TIMEOUTS_MAX: usize = 8;

struct Peer {
    connection: Connection,
    sent: Vec<u8>,
    received: Vec<u8>,
    unanswered_bytes: usize,
    has_ended: bool,
}

/// What the server has handed out last.
#[derive(Default)]
struct Handed {
    session: String,
    place: String,
    state: String,
    question: String,
}

impl Handed {
    fn note(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let find = |before: &str, after: char, into: &mut String| {
            if let Some((_, rest)) = text.rsplit_once(before)
                && let Some((found, _)) = rest.split_once(after)
            {
                *into = found.to_owned();
            }
        };
        find("mcp-session-id: ", '\r', &mut self.session);
        find("\nid: ", '\n', &mut self.place);
        find("\"requestState\":\"", '"', &mut self.state);
        if text.contains("elicitation/create") {
            find("\"jsonrpc\":\"2.0\",\"id\":\"", '"', &mut self.question);
        }
    }

    fn in_session(&self) -> String {
        format!("Authorization: Bearer {KEY}\r\nMcp-Session-Id: {}\r\n", self.session)
    }

    /// A request that brings something back.
    fn request(&self, choice: u8) -> Vec<u8> {
        let Self { place, state, question, .. } = self;
        let legacy = |body: &str| post(&self.in_session(), body);
        let bare = |method: &str, rest: &str| {
            let fields = self.in_session();
            format!(
                "{method} /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{fields}{rest}\r\n"
            )
            .into_bytes()
        };
        let round = |rest: &str| {
            let params = format!(r#""name":"ask","arguments":{{}}{rest}"#);
            let asking = modern("30", "tools/call", &params, "Mcp-Name: ask\r\n");
            // The fixture's clients offer nothing; the length of the body grows with what this one does.
            let text = String::from_utf8(asking).expect("requests of the fixture are text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head ends");
            let body = body.replace("Capabilities\":{}", "Capabilities\":{\"elicitation\":{\"url\":{}}}");
            let (fields, _) = head.split_once("Content-Length").expect("a length");
            format!("{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        let initialize = |revision: &str| {
            post(
                &format!("Authorization: Bearer {KEY}\r\n"),
                &format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{"elicitation":{{"url":{{}}}}}},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
                ),
            )
        };
        const ASK: &str =
            r#"{"jsonrpc":"2.0","id":20,"method":"tools/call","params":{"name":"ask","arguments":{}}}"#;
        match choice % 14 {
            0 => initialize("2025-11-25"),
            1 => initialize("2025-03-26"),
            2 => bare("GET", ""),
            3 => bare("GET", &format!("Last-Event-ID: {place}\r\n")),
            4 => bare("DELETE", ""),
            5 => legacy(ASK),
            6 => legacy(&format!(r#"{{"jsonrpc":"2.0","id":"{question}","result":{{"action":"accept"}}}}"#)),
            7 => legacy(&format!(
                r#"[{{"jsonrpc":"2.0","id":1,"method":"ping"}},{ASK},{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"countdown","arguments":{{"steps":2,"interval_ms":9}}}}}}]"#
            )),
            8 => legacy(
                r#"{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"docs://a"}}"#,
            ),
            9 => legacy(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":20}}"#),
            10 => round(""),
            11 => round(&format!(
                r#","requestState":"{state}","inputResponses":{{"page":{{"action":"accept"}}}}"#
            )),
            12 => modern(
                "31",
                "subscriptions/listen",
                r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["docs://a"]}"#,
                "",
            ),
            _ => legacy(r#"{"jsonrpc":"2.0","id":4,"method":"logging/setLevel","params":{"level":"debug"}}"#),
        }
    }
}

struct World {
    /// How messages are carried, unless by HTTP.
    cut: Option<Cut>,
    handed: Handed,
    desk: Desk,
    peers: Vec<Peer>,
    present: usize,
}

/// The script, read from the front; zero when it is over.
struct Script<'s>(&'s [u8]);

impl<'s> Script<'s> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, most: usize) -> &'s [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Requests as clients send them.
fn request(choice: u8) -> Vec<u8> {
    let call = |tool: &str, arguments: &str, meta: &str| {
        let params = format!(r#""name":"{tool}","arguments":{{{arguments}}}"#);
        modern("1", "tools/call", &params, &format!("Mcp-Name: {tool}\r\n{meta}"))
    };
    let keyed = |body: &str| post(&format!("Authorization: Bearer {KEY}\r\n"), body);
    match choice % 12 {
        0 => echo("1", "hello"),
        1 => in_chunks(&echo("\"two\"", "chunks"), 50),
        2 => modern("3", "tools/list", "", ""),
        3 => call("countdown", r#""steps":3,"interval_ms":50"#, ""),
        4 => call("time", "", ""),
        5 => keyed(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#,
        ),
        6 => keyed(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        7 => post("Authorization: Bearer wrong\r\n", "{}"),
        8 => post(&format!("Authorization: Bearer {KEY}\r\nExpect: 100-continue\r\n"), "[]"),
        9 => b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        10 => in_chunks(&post("Authorization: Bearer wrong\r\n", "{\"a\":[1,2,3]}"), 4),
        _ => modern("5", "server/discover", "", "Connection: close\r\n"),
    }
}

impl World {
    fn new(snapshot: Arc<Snapshot>, cut: Option<Cut>, connections: usize) -> Self {
        let mut desk = Desk::new(snapshot);
        let peers = (0..connections)
            .map(|_| Peer {
                connection: desk.connect(),
                sent: Vec::new(),
                received: Vec::new(),
                unanswered_bytes: 0,
                has_ended: false,
            })
            .collect();
        let mut world = Self { cut, handed: Handed::default(), desk, peers, present: 0 };
        if let Some(cut) = cut {
            for at in 0..connections {
                world.present = at;
                world.feed(&cut.opening());
                // The last one leaves it to chance whether it ever says who it is.
                if at + 1 < connections || connections == 1 {
                    world.feed(&cut.encode(echo_alone("0", "first", Some(KEY)).as_bytes()));
                }
            }
        }
        world
    }

    /// A request of HTTP's as it goes over these connections: nothing but its body.
    fn carried(&self, request: Vec<u8>) -> Vec<u8> {
        let Some(cut) = self.cut else { return request };
        let body = request.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |end| end + 4);
        let mut body = request[body..].to_vec();
        if cut == Cut::Lines {
            body.retain(|byte| *byte != b'\n');
        }
        cut.encode(&body)
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 14 {
            0 => {
                let length = usize::from(script.byte()) + 1;
                self.feed(script.bytes(length));
            }
            1 => self.feed(&self.carried(request(script.byte()))),
            2 => self.feed_cut(&self.carried(request(script.byte())), usize::from(script.byte())),
            3 => {
                // A whole request with one byte changed.
                let mut request = self.carried(request(script.byte()));
                let at = usize::from(script.byte()) * 2 % request.len();
                request[at] = script.byte();
                self.feed(&request);
            }
            4 => self.feed(&script.bytes(4).repeat(1000)),
            5 => self.pass(u64::from(script.byte()) * 16),
            6 => self.reach_deadline(),
            7 => self.turn(Connection::handle_drain),
            8 => {
                if !std::mem::replace(&mut self.peer().has_ended, true) {
                    self.turn(Connection::handle_end_of_input);
                }
            }
            9 => self.present = usize::from(script.byte()) % self.peers.len(),
            10 => self.feed(&self.carried(self.handed.request(script.byte()))),
            11 => {
                // The same with one byte changed.
                let mut request = self.carried(self.handed.request(script.byte()));
                let at = (usize::from(script.byte()) * 256 + usize::from(script.byte())) % request.len();
                request[at] = script.byte();
                self.feed(&request);
            }
            12 => self.tell(script.byte()),
            _ => self.desk.work.hub.handle_time(self.desk.now),
        }
        assert!(self.desk.work.pool.leased() <= 1 + self.peers.len(), "more leases than connections");
    }

    /// Something has changed, so many times, and the others may look.
    fn tell(&mut self, choice: u8) {
        let lists = Lists { tools: true, prompts: false, resources: false };
        let change = if choice % 2 == 0 { Change::Resource("docs://a".into()) } else { Change::Lists(lists) };
        for _ in 0..choice / 8 {
            self.desk.work.receive(Parcel::Change(change.clone()), &self.desk.snapshot, self.desk.now);
        }
        self.pass(0);
    }

    fn peer(&mut self) -> &mut Peer {
        &mut self.peers[self.present]
    }

    fn turn(&mut self, act: impl FnOnce(&mut Connection, &mut mcpring::pipeline::turn::Turn<'_>)) {
        let peer = &mut self.peers[self.present];
        let mut outbox = Vec::new();
        self.desk.turn(&mut outbox, |turn| act(&mut peer.connection, turn));
        self.receive(&outbox);
        // Writes finish at once.
        let peer = &mut self.peers[self.present];
        if peer.connection.is_paused() {
            self.turn(Connection::handle_written);
        }
    }

    /// Reads as the shard does: not when no input is wanted, not after the end.
    fn feed(&mut self, bytes: &[u8]) {
        let peer = &mut self.peers[self.present];
        let is_over = peer.has_ended || peer.connection.directive() == Directive::Close;
        if is_over || !peer.connection.wants_input() || bytes.is_empty() {
            return;
        }
        peer.sent.extend_from_slice(bytes);
        let is_asking = self.cut.is_none() && !peer.connection.has_call();
        if peer.connection.directive() == Directive::Continue && is_asking {
            peer.unanswered_bytes += bytes.len();
        }
        let mut input = self.desk.work.pool.lease();
        input.extend_from_slice(bytes);
        self.turn(|connection, turn| connection.handle_bytes(&mut input, turn));
        self.desk.work.pool.release(input);
        let peer = self.peer();
        let is_open = peer.connection.directive() == Directive::Continue;
        // A channel need not answer what is no request, but it keeps nothing of it.
        let most = peer.unanswered_bytes.max(peer.connection.held_bytes());
        assert!(!is_open || most <= UNANSWERED_BYTES_MAX, "held without bound");
    }

    fn feed_cut(&mut self, bytes: &[u8], every: usize) {
        for piece in bytes.chunks(every + 1) {
            self.feed(piece);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.handed.note(bytes);
            let peer = self.peer();
            peer.unanswered_bytes = 0;
            peer.received.extend_from_slice(bytes);
        }
    }

    fn pass(&mut self, millis: u64) {
        self.desk.now.ms += millis;
        self.desk.now.unix_ms += millis;
        let before = self.present;
        for at in 0..self.peers.len() {
            self.present = at;
            self.turn(Connection::handle_timeout);
            self.turn(Connection::handle_wake);
            let peer = self.peer();
            let is_closed = peer.connection.directive() == Directive::Close;
            let deadline_ms = peer.connection.poll_timeout();
            assert!(is_closed || deadline_ms > self.desk.now.ms, "a deadline that has passed stays");
        }
        self.present = before;
    }

    /// Who waits for a call of its own has no deadline but the call's.
    fn reach_deadline(&mut self) {
        let connection = &self.peers[self.present].connection;
        let deadline_ms = connection.poll_timeout();
        if connection.directive() != Directive::Close && deadline_ms != u64::MAX {
            self.pass(deadline_ms.saturating_sub(self.desk.now.ms));
        }
    }

    fn end(mut self) {
        for at in 0..self.peers.len() {
            self.present = at;
            let mut timeouts = 0;
            while self.peer().connection.directive() != Directive::Close && !self.peer().connection.has_call()
            {
                self.reach_deadline();
                timeouts += 1;
                assert!(timeouts <= TIMEOUTS_MAX, "a connection that no deadline ends");
            }
        }
        for peer in self.peers {
            self.desk.release(peer.connection);
            if let Some(cut) = self.cut {
                check_messages(cut, &peer.received);
            } else if !peer.sent.windows(4).any(|window| window == b"HEAD") {
                // The answer to HEAD looks like one with a body.
                check_answers(&peer.received);
            }
        }
        // Questions time out, then calls end, then streams that nobody came back for are forgotten.
        for _ in 0..4 {
            self.desk.now.ms += 24 * 3600 * 1000;
            self.desk.turn(&mut Vec::new(), |_| {});
            self.desk.work.hub.handle_time(self.desk.now);
        }
        assert_eq!((self.desk.work.hub.held(), self.desk.running()), (Held::default(), 0));
        assert_eq!(self.desk.work.pool.leased(), 1, "every lease is back but the workspace's own");
    }
}

/// Whole answers, the last one perhaps cut off, and nothing after one that says it is the last.
fn check_answers(mut bytes: &[u8]) {
    let mut was_last = false;
    while !bytes.is_empty() {
        assert!(!was_last, "an answer after the last");
        assert!(bytes.starts_with(b"HTTP/1.1 "), "not an answer");
        let Some((one, rest)) = answer(bytes) else { break };
        was_last = one.is_some_and(|one| one.is_last());
        bytes = rest;
    }
}

/// Whole messages, all of them JSON.
fn check_messages(cut: Cut, bytes: &[u8]) {
    let head = match cut {
        Cut::Frames => bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes.len(), |end| end + 4),
        Cut::Lines | Cut::Prefixed => 0,
    };
    let mut rest = &bytes[head..];
    while !rest.is_empty() {
        let (first, message, after) = cut.decode(rest).expect("a whole message");
        if first == TEXT {
            serde_json::from_slice::<serde_json::Value>(message).expect("a message is JSON");
        }
        rest = after;
    }
}

/// What is served, and how.
fn serving(cut: Option<Cut>) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let mut registry = fixture::registry();
        let ask = Tool::asynchronous("ask", "Asks.", |_: serde_json::Value, context: Context| async move {
            context.elicit_url("page", "Open this?", "https://localhost/").await?.accepted()?;
            Ok("opened")
        });
        let ask = ask.input_schema(r#"{"type":"object"}"#).requires(Capability::ElicitationUrl);
        registry.register(ask.single_use_state()).expect("the tool is well-formed");
        let resource = Resource::text("docs://a", "a", "text/plain", "A");
        registry.register_resource(resource).expect("the resource is well-formed");
        snapshot.policy = Policy::compile(&[role("operator", &["**"]), role("reader", &[])], &registry)
            .expect("the patterns are well-formed");
        snapshot.registry = Arc::new(registry);
        if let Some(cut) = cut {
            let mut listener = Listener { speech: cut.speech(), ..listener("test", Security::Plain) };
            listener.limits.message_bytes_max = 2048;
            snapshot.listeners = vec![Arc::new(listener)];
        }
        snapshot.limits.event_buffer_size = 8;
        snapshot.limits.head_bytes_max = 1024;
        snapshot.limits.message_bytes_max = 2048;
        snapshot.limits.json_depth_max = 8;
        snapshot.limits.json_nodes_max = 100;
    })
}

fuzz_target!(|input: &[u8]| {
    const CUTS: [Option<Cut>; 4] = [None, Some(Cut::Lines), Some(Cut::Prefixed), Some(Cut::Frames)];
    // Compiling schemas costs more than a whole script.
    static SERVING: [OnceLock<Arc<Snapshot>>; 4] = [const { OnceLock::new() }; 4];
    let mut script = Script(input);
    let first = script.byte();
    let at = usize::from(first / 3 % 4);
    let snapshot = SERVING[at].get_or_init(|| serving(CUTS[at])).clone();
    let mut world = World::new(snapshot, CUTS[at], usize::from(first % 3) + 1);
    while !script.0.is_empty() {
        world.step(&mut script);
    }
    world.end();
});
