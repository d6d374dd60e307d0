//! Several shards and peers that speak every transport at once: lines, messages behind lengths, WebSockets, feeds, the pair
//! of 2024-11-05 and HTTP; with and without TLS, in both eras, known and unknown. Input is cut anywhere; reloads, changes
//! and a drain come in between.
//! Next: `talker`, one peer; `heard`, the laws for what it is told; `quiet`, how a run ends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::hub::listen::{Change, Lists};
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::snapshot::{Listener, Security, SlowReader, Snapshot, Speech};
use mcpring::pipeline::spent::Spent;
use rustls::client::ClientConfig;

use crate::asking::{self, URI};
use crate::chance::Chance;
use crate::client::{Authority, Client};
use crate::fixture::carried::{Cut, all_transports, frame, opening};
use crate::fixture::{Desk, KEY, identities, key, listener, role, snapshot_with};
use crate::heard::{Cancelled, Heard};
use crate::ledger::Shared;
use crate::line::Line;
use crate::reader::Purpose;
use crate::script::{ALL, MARK, SOMETIMES, WRONG};
use crate::talker::{KINDS, Kind, Talker};

const TALKERS_MAX: usize = 14;
const LINES_MAX: usize = 20;
/// Requests of one peer without an answer.
const OPEN_MAX: usize = 8;

pub(crate) struct Throng {
    pub(crate) chance: Chance,
    pub(crate) desks: Vec<Desk>,
    /// Parcels on their way to each shard.
    pub(crate) inboxes: Vec<VecDeque<Parcel>>,
    pub(crate) ledger: Shared,
    pub(crate) talkers: Vec<Talker>,
    /// Requests of HTTP, each with the marker it carries and the peer it is posted for.
    pub(crate) lines: Vec<(Line, u64, u64)>,
    pub(crate) heard: Heard,
    pub(crate) is_draining: bool,
    server: Arc<rustls::ServerConfig>,
    client: Arc<ClientConfig>,
    /// Of messages and of peers.
    marker: u64,
    inflight_max: usize,
}

/// In the order of their indices: each kind plain and over TLS.
fn listeners(server: &Arc<rustls::ServerConfig>, inflight_max: usize) -> Vec<Arc<Listener>> {
    let speeches = [Speech::Http(all_transports()), Speech::Lines, Speech::Prefixed];
    let securities = [Security::Plain, Security::Tls(server.clone())];
    let each = speeches.iter().flat_map(|speech| securities.iter().map(move |security| (speech, security)));
    each.map(|(speech, security)| {
        let mut listener =
            Listener { speech: speech.clone(), ..listener(&format!("{speech:?}"), security.clone()) };
        listener.limits.inflight_max = inflight_max;
        Arc::new(listener)
    })
    .collect()
}

fn publish(
    generation: u64,
    ledger: &Shared,
    listeners: Vec<Arc<Listener>>,
    slow_reader: SlowReader,
) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let registry = asking::tools(ledger);
        let roles = [role("all", &["**"]), role("mark", &["tools/list", "tools/call:native/mark"])];
        snapshot.generation = generation;
        snapshot.listeners = listeners;
        snapshot.policy = Policy::compile(&roles, &registry).unwrap();
        snapshot.registry = Arc::new(registry);
        let mut keys = vec![key(ALL, ALL, 1), key(MARK, MARK, 2)];
        if generation % 2 == 1 {
            keys.push(key(SOMETIMES, SOMETIMES, 1));
        }
        snapshot.identities = identities(keys, 0);
        let limits = &mut snapshot.limits;
        limits.header_timeout = Duration::from_secs(600);
        limits.body_timeout = Duration::from_secs(600);
        limits.idle_timeout = Duration::from_secs(600);
        limits.tls_handshake_timeout = Duration::from_secs(600);
        limits.request_timeout = Duration::from_secs(20);
        limits.input_timeout = Duration::from_secs(5);
        limits.keepalive_interval = Duration::from_secs(1);
        limits.event_buffer_size = 30;
        limits.slow_reader = slow_reader;
    })
}

impl Throng {
    pub(crate) fn new(seed: u64, authority: &Authority) -> Self {
        let mut chance = Chance::new(seed);
        let ledger = Shared::default();
        let server = authority.server();
        let inflight_max = *chance.pick(&[2, 5, 128]);
        let snapshot = publish(1, &ledger, listeners(&server, inflight_max), SlowReader::Drop);
        let shards = *chance.pick(&[1, 2, 3, 8]);
        let spent = Arc::new(Spent::default());
        let desks = (0..shards).map(|shard| {
            let mut random = Chance::new(chance.next());
            let entropy =
                Box::new(move |bytes: &mut [u8]| bytes.fill_with(|| random.next().to_le_bytes()[0]));
            Desk::of_fleet(snapshot.clone(), u16::try_from(shard).unwrap(), shards, spent.clone(), entropy)
        });
        Self {
            desks: desks.collect(),
            inboxes: (0..shards).map(|_| VecDeque::new()).collect(),
            chance,
            ledger,
            talkers: Vec::new(),
            lines: Vec::new(),
            heard: Heard::default(),
            is_draining: false,
            server,
            client: authority.client(&[&rustls::version::TLS13]),
            marker: 0,
            inflight_max,
        }
    }

    pub(crate) fn run(mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
        if self.chance.is(70) {
            self.settle();
        }
        self.end();
    }

    fn step(&mut self) {
        if self.talkers.len() < TALKERS_MAX && self.chance.is(6) {
            self.connect();
        }
        if self.talkers.is_empty() {
            return;
        }
        let at = self.chance.below(self.talkers.len());
        match self.chance.below(100) {
            0..30 => self.speak(at),
            30..33 => self.ask_over_http(),
            33..37 => self.open_a_gate(),
            37..40 => {
                let millis = self.chance.next() % *self.chance.pick(&[20, 20, 200, 2000]);
                self.advance(millis);
            }
            40 if self.chance.is(50) => self.reload(),
            41 | 42 if self.chance.is(60) => self.leave(at),
            43 => self.tell_a_change(),
            44..50 => {
                let shard = self.chance.below(self.desks.len());
                self.pump(shard);
            }
            _ => {}
        }
        for _ in 0..4 {
            if !self.talkers.is_empty() {
                let at = self.chance.below(self.talkers.len());
                let most = *self.chance.pick(&[1, 60, 400, usize::MAX, usize::MAX]);
                self.move_talker(at, most);
            }
        }
        if !self.lines.is_empty() {
            let at = self.chance.below(self.lines.len());
            let most = *self.chance.pick(&[60, usize::MAX]);
            self.move_line(at, most);
        }
    }

    fn connect(&mut self) {
        let kind = *self.chance.pick(&KINDS);
        let is_secure = self.chance.is(30);
        let name = *self.chance.pick(&[ALL, ALL, ALL, ALL, MARK, SOMETIMES, WRONG]);
        let is_legacy = self.chance.is(40);
        let shard = self.chance.below(self.desks.len());
        let index = match kind {
            Kind::Both(Cut::Lines) => 2,
            Kind::Both(Cut::Prefixed) => 4,
            Kind::Both(Cut::Frames) | Kind::Pair | Kind::Feed => 0,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let connection = self.desks[shard].connect_to(index + usize::from(is_secure), address);
        let client = is_secure.then(|| Client::new(&self.client));
        let mut talker = Talker::new(connection, shard, kind, (name, is_legacy), client);
        self.marker += 1;
        talker.number = self.marker;
        let bytes = match kind {
            Kind::Both(Cut::Lines | Cut::Prefixed) => Vec::new(),
            Kind::Both(Cut::Frames) => opening(""),
            Kind::Pair => asking::get("/sse"),
            Kind::Feed => asking::get("/events"),
        };
        let text = String::from_utf8(bytes).unwrap();
        talker.send(text.replace(KEY, name).as_bytes());
        self.talkers.push(talker);
    }

    /// The peer says something, if it may.
    fn speak(&mut self, at: usize) {
        let talker = &self.talkers[at];
        let is_mute = talker.has_ended || talker.is_refused || talker.kind == Kind::Feed || !talker.is_open();
        let is_shaking = talker.is_legacy && talker.has_introduced && !talker.is_shaken;
        let is_early = talker.kind == Kind::Pair && (talker.endpoint.is_none() || is_shaking);
        let (number, name, is_legacy) = (talker.number, talker.key, talker.is_legacy);
        let (is_introduced, kind) = (talker.has_introduced, talker.kind);
        if is_mute || is_early || self.heard.open(number).len() >= OPEN_MAX {
            return;
        }
        self.marker += 1;
        let marker = self.marker;
        self.talkers[at].has_introduced = true;
        if is_legacy && !is_introduced {
            self.heard.ask(marker, number, name, "initialize");
            let revision = *self.chance.pick(&["2025-11-25", "2025-06-18", "2025-03-26"]);
            return self.say(at, &asking::initialize_body(marker, revision), true, marker);
        }
        // Whoever must say who it is does so first.
        let roll = if is_introduced { self.chance.below(20) } else { 19 };
        match roll {
            0 if !is_legacy => {
                self.heard.ask(marker, number, name, "listen");
                self.say(at, &asking::listen_body(marker), false, marker);
            }
            1 | 2 => self.give_up(at),
            3 if is_legacy => {
                self.heard.ask(marker, number, name, "ping");
                let body = format!(r#"{{"jsonrpc":"2.0","id":{marker},"method":"ping"}}"#);
                self.say(at, &body, false, marker);
            }
            4 => self.say(at, r#"{"jsonrpc":"2.0","id":"#, false, 0),
            5 => self.say(at, r#"{"jsonrpc":"2.0","method":"notifications/none"}"#, false, 0),
            6 if kind == Kind::Both(Cut::Frames) => self.talkers[at].send(&frame(0x89, b"still there")),
            7 if kind == Kind::Both(Cut::Lines) => self.talkers[at].send(b"\r\n  \n"),
            _ => {
                let tool = *self.chance.pick(&["mark", "mark", "gate", "steps", "private", "ask", "burst"]);
                self.heard.ask(marker, number, name, tool);
                let body = if is_legacy {
                    asking::legacy_call(marker, tool)
                } else {
                    asking::call_body(marker, tool)
                };
                self.say(at, &body, !is_introduced, marker);
            }
        }
    }

    /// Sends a message the way this peer's messages go.
    fn say(&mut self, at: usize, body: &str, is_first: bool, marker: u64) {
        let talker = &mut self.talkers[at];
        match talker.kind {
            Kind::Both(cut) => {
                let body = match cut {
                    Cut::Lines | Cut::Prefixed if is_first => asking::with_key(body, talker.key),
                    Cut::Lines | Cut::Prefixed | Cut::Frames => body.to_owned(),
                };
                if cut == Cut::Frames && self.chance.is(20) {
                    let (front, back) = body.as_bytes().split_at(self.chance.below(body.len()));
                    talker.send(&frame(0x01, front));
                    talker.send(&frame(0x89, b"between"));
                    talker.send(&frame(0x80, back));
                } else {
                    talker.send(&cut.encode(body.as_bytes()));
                }
            }
            Kind::Pair => {
                let endpoint = talker.endpoint.clone().expect("it has come");
                let (name, number) = (talker.key, talker.number);
                let request = format!(
                    "POST {endpoint} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                     Authorization: Bearer {name}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                self.open_line(request.into_bytes(), Purpose::Note(0), marker, number);
            }
            Kind::Feed => {}
        }
    }

    /// The peer does not want an answer any more.
    fn give_up(&mut self, at: usize) {
        let open = self.heard.open(self.talkers[at].number);
        if open.is_empty() {
            return;
        }
        let marker = *self.chance.pick(&open);
        let asked = self.heard.asked.get_mut(&marker).expect("it is open");
        // MCP 2025-11-25, cancellation: the handshake must not be cancelled.
        if asked.tool != "initialize" && asked.cancelled == Cancelled::No {
            asked.cancelled = Cancelled::Sent;
            self.say(at, &asking::cancel(marker), false, 0);
        }
    }

    fn ask_over_http(&mut self) {
        if self.lines.len() < LINES_MAX {
            self.marker += 1;
            let tool = *self.chance.pick(&["mark", "gate", "steps", "burst"]);
            self.heard.ask(self.marker, 0, ALL, tool);
            let request = asking::call(self.marker, tool);
            self.open_line(request, Purpose::Answer(self.marker), self.marker, 0);
        }
    }

    fn open_line(&mut self, bytes: Vec<u8>, purpose: Purpose, marker: u64, number: u64) {
        let shard = self.chance.below(self.desks.len());
        let connection = self.desks[shard].connect();
        self.lines.push((Line::new(connection, shard, bytes, purpose, None, false), marker, number));
    }

    fn open_a_gate(&mut self) {
        let mut ledger = self.ledger.lock().unwrap();
        let gates = ledger.closed_gates();
        if !gates.is_empty() {
            ledger.open(*self.chance.pick(&gates));
        }
    }

    pub(crate) fn advance(&mut self, millis: u64) {
        for desk in &mut self.desks {
            desk.now.ms += millis;
            desk.now.unix_ms += millis;
        }
    }

    fn reload(&mut self) {
        let generation = self.desks[0].snapshot.generation + 1;
        let slow = *self.chance.pick(&[SlowReader::Close, SlowReader::Drop]);
        let snapshot = publish(generation, &self.ledger, listeners(&self.server, self.inflight_max), slow);
        self.desks.iter_mut().for_each(|desk| desk.reload(snapshot.clone()));
    }

    fn tell_a_change(&mut self) {
        let change = if self.chance.is(50) {
            Change::Resource(URI.into())
        } else {
            Change::Lists(Lists { tools: true, prompts: false, resources: false })
        };
        for inbox in &mut self.inboxes {
            inbox.push_back(Parcel::Change(change.clone()));
        }
    }

    /// The peer goes, at once or when everything it sent has arrived.
    fn leave(&mut self, at: usize) {
        let is_whole = self.talkers[at].has_arrived();
        if !self.talkers[at].has_ended && (is_whole || self.chance.is(50)) {
            self.talkers[at].is_gone = !is_whole || self.chance.is(50);
            self.end_input(at);
            if self.talkers[at].is_gone {
                self.finish(at);
            }
        }
    }

    pub(crate) fn end_input(&mut self, at: usize) {
        self.talkers[at].has_ended = true;
        self.talkers[at].lose_wire();
        self.turn(at, Connection::handle_end_of_input);
    }

    /// Something of what is on its way arrives.
    pub(crate) fn move_talker(&mut self, at: usize, most: usize) {
        if let Some(mut input) = self.talkers[at].next_input(most) {
            self.turn(at, |connection, turn| connection.handle_bytes(&mut input, turn));
        }
        if self.talkers[at].is_woken() {
            self.turn(at, Connection::handle_wake);
        }
        let shard = self.talkers[at].shard;
        if self.talkers[at].connection.poll_timeout() <= self.desks[shard].now.ms {
            self.turn(at, Connection::handle_timeout);
        }
        if let Some(written) = self.talkers[at].writing.take() {
            let messages = self.talkers[at].receive(&written);
            self.desks[shard].work.pool.release(written);
            for message in messages {
                self.hear(at, &message);
            }
            self.turn(at, Connection::handle_written);
        }
        let talker = &self.talkers[at];
        if talker.has_arrived() && talker.is_drained() && talker.kind != Kind::Pair {
            self.heard.seal(talker.number);
        }
        if talker.is_drained() && (talker.connection.directive() != Directive::Continue || talker.is_refused)
        {
            self.finish(at);
        }
    }

    fn hear(&mut self, at: usize, message: &serde_json::Value) {
        let talker = &mut self.talkers[at];
        let (number, kind) = (talker.number, talker.kind);
        let is_handshake = message["result"]["protocolVersion"].is_string();
        talker.is_shaken |= is_handshake;
        if let Some(question) = self.heard.take(number, Some(kind), message, &self.ledger)
            && self.chance.is(70)
            && !self.talkers[at].has_ended
        {
            self.say(at, &asking::answer(&question, "yes"), false, 0);
        }
    }

    /// Something of a request of HTTP's arrives, or of its answer.
    pub(crate) fn move_line(&mut self, at: usize, most: usize) {
        if let Some(mut input) = self.lines[at].0.next_input(most) {
            self.turn_line(at, |connection, turn| connection.handle_bytes(&mut input, turn));
        }
        if self.lines[at].0.is_woken() {
            self.turn_line(at, Connection::handle_wake);
        }
        if let Some(written) = self.lines[at].0.writing.take() {
            let (line, _, _) = &mut self.lines[at];
            let events = line.incoming.take(&written);
            self.desks[line.shard].work.pool.release(written);
            if matches!(line.purpose, Purpose::Answer(_)) {
                for message in events.into_iter().filter_map(|event| event.data) {
                    self.heard.take(0, None, &message, &self.ledger);
                }
            }
            self.turn_line(at, Connection::handle_written);
        }
        let line = &self.lines[at].0;
        if line.incoming.is_whole() || line.connection.directive() != Directive::Continue {
            self.finish_line(at);
        }
    }
}
