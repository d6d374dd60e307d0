//! Any bytes, cut anyhow, to several connections of one shard, with time, drains and ends in between: no panic, every
//! lease comes back, every answer is well-formed, nobody sends for ever unanswered, and deadlines lead somewhere.
//! The input is a script of steps; see [`World::step`].
//! Next: `src/pipeline/connection`.
#![no_main]

#[path = "../../fixture/mod.rs"]
pub mod fixture;

use std::sync::Arc;

use fixture::messages::{answer, in_chunks};
use fixture::{Desk, KEY, echo, modern, post, snapshot_with};
use libfuzzer_sys::fuzz_target;
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::snapshot::{Security, Snapshot};

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

struct World {
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
    fn new(snapshot: Arc<Snapshot>, connections: usize) -> Self {
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
        Self { desk, peers, present: 0 }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 10 {
            0 => {
                let length = usize::from(script.byte()) + 1;
                self.feed(script.bytes(length));
            }
            1 => self.feed(&request(script.byte())),
            2 => self.feed_cut(&request(script.byte()), usize::from(script.byte())),
            3 => {
                // A whole request with one byte changed.
                let mut request = request(script.byte());
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
            _ => self.present = usize::from(script.byte()) % self.peers.len(),
        }
        assert!(self.desk.work.pool.leased() <= 1 + self.peers.len(), "more leases than connections");
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
        if peer.connection.directive() == Directive::Continue && !peer.connection.has_call() {
            peer.unanswered_bytes += bytes.len();
        }
        let mut input = self.desk.work.pool.lease();
        input.extend_from_slice(bytes);
        self.turn(|connection, turn| connection.handle_bytes(&mut input, turn));
        self.desk.work.pool.release(input);
        let peer = self.peer();
        let is_open = peer.connection.directive() == Directive::Continue;
        assert!(!is_open || peer.unanswered_bytes <= UNANSWERED_BYTES_MAX, "held without bound");
    }

    fn feed_cut(&mut self, bytes: &[u8], every: usize) {
        for piece in bytes.chunks(every + 1) {
            self.feed(piece);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
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

    fn reach_deadline(&mut self) {
        let peer = &mut self.peers[self.present];
        if peer.connection.directive() != Directive::Close {
            let now_ms = self.desk.now.ms;
            self.pass(peer.connection.poll_timeout().saturating_sub(now_ms));
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
            // The answer to HEAD looks like one with a body.
            if !peer.sent.windows(4).any(|window| window == b"HEAD") {
                check_answers(&peer.received);
            }
        }
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

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    let snapshot = snapshot_with(Security::Plain, |snapshot| {
        snapshot.limits.head_bytes_max = 1024;
        snapshot.limits.message_bytes_max = 2048;
        snapshot.limits.json_depth_max = 8;
        snapshot.limits.json_nodes_max = 100;
    });
    let mut world = World::new(snapshot, usize::from(script.byte() % 3) + 1);
    while !script.0.is_empty() {
        world.step(&mut script);
    }
    world.end();
});
