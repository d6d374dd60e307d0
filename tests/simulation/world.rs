//! One shard's workspace and all connections on it. Chance decides who takes a turn, what arrives of what was sent, how
//! much time passes, when a reload comes; after every turn the laws are checked.
//! Next: `src/shard/serve.rs`, whose part the simulation plays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcpring::pipeline::admit::{RateKey, RateLimit};
use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::buffers::LARGE_READ_BYTES;
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::event::Count;
use mcpring::pipeline::snapshot::{Security, Snapshot};
use mcpring::pipeline::turn::Turn;
use rustls::client::ClientConfig;

use crate::chance::Chance;
use crate::client::{Authority, Client};
use crate::fixture::{Desk, identities, key, listener, rate, role, snapshot_with};
use crate::ledger::{Shared, registry};
use crate::peer::{Excuse, Peer};
use crate::script::{ALL, Expect, KeyWas, MARK, Request, SOMETIMES};

const HEADER_TIMEOUT_MS: u64 = 1000;
/// Longer than any call runs: five steps of 2.5 s.
const CALL_MS_MAX: u32 = 13_000;

pub(crate) struct World {
    chance: Chance,
    desk: Desk,
    ledger: Shared,
    peers: Vec<Peer>,
    server: Arc<rustls::ServerConfig>,
    client: Arc<ClientConfig>,
    marker: u64,
    /// When the present buckets were made, and what had been let in before.
    buckets_since: (u64, u64),
}

/// What the control plane might publish as that generation.
fn publish(
    generation: u64,
    chance: &mut Chance,
    server: &Arc<rustls::ServerConfig>,
    ledger: &Shared,
    rate_limits: Vec<RateLimit>,
) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        snapshot.generation = generation;
        snapshot.listeners.push(Arc::new(listener("secure", Security::Tls(server.clone()))));
        snapshot.registry = Arc::new(registry(ledger));
        // The order of roles is no promise of the configuration: their bits mean something else each time.
        let mut roles = [
            role("all", &["**"]),
            role("mark", &["tools/list", "tools/call:native/mark"]),
            role("nothing", &[]),
        ];
        chance.shuffle(&mut roles);
        let bit = |name: &str| 1 << roles.iter().position(|role| role.name == name).unwrap();
        let mut keys = vec![key(ALL, ALL, bit("all")), key(MARK, MARK, bit("mark"))];
        if is_known(generation) {
            keys.push(key(SOMETIMES, SOMETIMES, bit("all")));
        }
        snapshot.policy = Policy::compile(&roles, &snapshot.registry).unwrap();
        snapshot.identities = identities(keys, 0);
        snapshot.rate_limits = rate_limits;
        let limits = &mut snapshot.limits;
        limits.header_timeout = Duration::from_millis(HEADER_TIMEOUT_MS);
        limits.tls_handshake_timeout = Duration::from_secs(2);
        limits.body_timeout = Duration::from_secs(3);
        limits.idle_timeout = Duration::from_secs(10);
        limits.request_timeout = Duration::from_secs(4);
        limits.head_bytes_max = *chance.pick(&[4096, 16_384]);
        limits.message_bytes_max = *chance.pick(&[100_000, 1_000_000]);
    })
}

/// Whether `SOMETIMES` is a key in that generation.
fn is_known(generation: u64) -> bool {
    generation % 2 == 1
}

fn rate_limits(chance: &mut Chance) -> Vec<RateLimit> {
    let (tokens, burst) = *chance.pick(&[(40, 15), (100, 10)]);
    vec![rate(RateKey::Ip, 25, 8), rate(RateKey::Global, tokens, burst)]
}

impl World {
    pub(crate) fn new(seed: u64, authority: &Authority) -> Self {
        let mut chance = Chance::new(seed);
        let ledger = Shared::default();
        let server = authority.server();
        let limits = rate_limits(&mut chance);
        let snapshot = publish(1, &mut chance, &server, &ledger, limits);
        let desk = Desk::new(snapshot);
        let buckets_since = (desk.now.ms, 0);
        let client = authority.client(&[&rustls::version::TLS13]);
        let peers = Vec::new();
        Self { chance, desk, ledger, peers, server, client, marker: 0, buckets_since }
    }

    /// A run of so many steps, to the end of every connection.
    pub(crate) fn run(mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
        if self.chance.is(50) {
            self.settle();
        }
        for at in 0..self.peers.len() {
            if self.peers[at].excuse == Excuse::None {
                self.peers[at].excuse = Excuse::Drained;
            }
            self.turn(at, Connection::handle_drain);
        }
        self.settle();
        for peer in &self.peers {
            assert!(!peer.is_open(), "a drained connection without a call stays open");
        }
        while let Some(at) = self.peers.len().checked_sub(1) {
            self.end_of_input(at);
            self.finish_writes(at);
            self.close(at);
        }
        let events = &self.desk.work.events;
        let [completed, panicked, late, cancelled, failed] = [
            Count::DispatchCompleted,
            Count::DispatchPanicked,
            Count::DispatchTimedOut,
            Count::DispatchCancelled,
            Count::ShardPanicked,
        ]
        .map(|count| events.total(count));
        assert_eq!((panicked, failed), (0, 0));
        assert_eq!(
            self.ledger.lock().unwrap().total(),
            completed + late + cancelled,
            "every call has one end"
        );
        assert_eq!(self.desk.work.pool.leased(), 1, "every lease is back but the workspace's own");
    }

    fn step(&mut self) {
        let most = 12;
        if self.peers.is_empty() || (self.peers.len() < most && self.chance.is(5)) {
            self.connect();
        }
        let at = self.chance.below(self.peers.len());
        match self.chance.below(200) {
            0..40 => self.send(at),
            40..110 => self.deliver(at),
            110..150 => self.finish_writes(at),
            150..165 => self.wake(at),
            165..180 => self.pass_time(),
            180..190 => self.open_a_gate(),
            190 if self.chance.is(40) => self.reload(),
            191 if self.chance.is(50) => self.leave(at),
            192 if self.chance.is(10) => self.burst(at),
            193 if self.chance.is(20) => self.garble(at),
            _ => {}
        }
        for at in (0..self.peers.len()).rev() {
            if self.peers[at].connection.poll_timeout() <= self.desk.now.ms && self.chance.is(40) {
                self.time_out(at);
            }
            self.close_if_over(at);
        }
    }

    fn connect(&mut self) {
        let is_secure = self.chance.is(40);
        let address = [127, 0, 0, 1 + u8::try_from(self.chance.below(3)).unwrap()];
        let connection = self.desk.connect_to(usize::from(is_secure), SocketAddr::from((address, 9)));
        let client = is_secure.then(|| Client::new(&self.client));
        self.peers.push(Peer::new(connection, client));
    }

    fn key_was(&self, key: &str) -> KeyWas {
        match key {
            ALL | MARK => KeyWas::Good,
            SOMETIMES if is_known(self.desk.snapshot.generation) => KeyWas::Good,
            _ => KeyWas::Bad,
        }
    }

    fn send(&mut self, at: usize) {
        if self.peers[at].is_client_done || self.peers[at].unanswered.len() > 12 {
            return;
        }
        self.marker += 1;
        let request = Request::any(&mut self.chance, self.marker, &self.desk.snapshot);
        let key_was = self.key_was(request.key);
        self.peers[at].send(request, key_was);
    }

    /// So many small requests that their answers pass what may pile up in one turn.
    fn burst(&mut self, at: usize) {
        let bytes = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
        if !self.peers[at].is_client_done {
            for _ in 0..500 {
                let (bytes, expect) = (bytes.clone(), Expect::Head(404));
                self.peers[at].send(Request { bytes, marker: 0, key: ALL, expect }, KeyWas::Good);
            }
        }
    }

    fn deliver(&mut self, at: usize) {
        let now_ms = self.desk.now.ms;
        let peer = &mut self.peers[at];
        if peer.wire.is_empty() || !peer.may_read() {
            return;
        }
        let bytes = self.chance.cut(peer.wire.len()).min(LARGE_READ_BYTES);
        let was_open = peer.is_open();
        let taken = peer.take_from_wire(bytes, now_ms);
        let mut input = self.desk.work.pool.lease();
        input.extend_from_slice(&taken);
        self.turn(at, |connection, turn| connection.handle_bytes(&mut input, turn));
        self.desk.work.pool.release(input);
        if was_open {
            self.peers[at].note_delivered();
        }
    }

    /// What the server wrote has reached the client, and the next write, if any, begins.
    fn finish_writes(&mut self, at: usize) {
        if let Some(written) = self.peers[at].writing.take() {
            self.peers[at].receive(&written);
            self.desk.work.pool.release(written);
            self.turn(at, Connection::handle_written);
        }
    }

    fn wake(&mut self, at: usize) {
        let peer = &self.peers[at];
        let is_woken = peer.take_wake() || self.chance.is(20);
        if is_woken && peer.writing.is_none() && peer.connection.has_call() {
            self.turn(at, Connection::handle_wake);
        }
    }

    fn pass_time(&mut self) {
        let most = match self.chance.below(1000) {
            0..2 => 12_000,
            2..12 => 1500,
            12..60 => 100,
            _ => 4,
        };
        let millis = self.chance.next() % most;
        self.desk.now.ms += millis;
        self.desk.now.unix_ms += millis;
    }

    fn time_out(&mut self, at: usize) {
        self.turn(at, Connection::handle_timeout);
        let connection = &self.peers[at].connection;
        let is_progress =
            connection.poll_timeout() > self.desk.now.ms || connection.directive() == Directive::Close;
        assert!(is_progress, "a deadline that has passed was handled and passed again");
    }

    fn open_a_gate(&mut self) {
        let mut ledger = self.ledger.lock().unwrap();
        let gates = ledger.closed_gates();
        if !gates.is_empty() {
            ledger.open(*self.chance.pick(&gates));
        }
    }

    fn reload(&mut self) {
        let generation = self.desk.snapshot.generation + 1;
        let limits = rate_limits(&mut self.chance);
        if limits != self.desk.snapshot.rate_limits {
            let admitted = let_in(&self.desk);
            self.buckets_since = (self.desk.now.ms, admitted);
        }
        let snapshot = publish(generation, &mut self.chance, &self.server, &self.ledger, limits);
        self.desk.reload(snapshot);
        for sent in self.peers.iter_mut().flat_map(|peer| &mut peer.unanswered) {
            if sent.request.key == SOMETIMES {
                sent.key_was = KeyWas::Both;
            }
        }
    }

    /// The client goes: with or without a goodbye, with or without what it has sent.
    fn leave(&mut self, at: usize) {
        let is_abrupt = self.chance.is(50);
        let peer = &mut self.peers[at];
        match &mut peer.client {
            Some(client) if self.chance.is(60) && !client.tls.is_handshaking() => {
                client.tls.send_close_notify();
                peer.is_client_done = true;
                peer.flush_client();
            }
            Some(_) | None if is_abrupt => self.end_of_input(at),
            Some(_) | None => peer.is_client_done = true,
        }
    }

    fn end_of_input(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if !peer.has_ended {
            (peer.is_client_done, peer.has_ended) = (true, true);
            peer.wire.clear();
            self.turn(at, Connection::handle_end_of_input);
        }
    }

    /// Something on the way changes a byte.
    fn garble(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if peer.client.is_some() && !peer.wire.is_empty() {
            let at = self.chance.below(peer.wire.len());
            peer.wire[at] ^= 1 << self.chance.below(8);
            peer.excuse = Excuse::Garbled;
        }
    }

    /// Lets a connection take a turn, as its task would, and checks the laws.
    fn turn(&mut self, at: usize, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let peer = &mut self.peers[at];
        let was_due = peer.connection.poll_timeout() <= self.desk.now.ms;
        if peer.outbox.capacity() == 0 {
            peer.outbox = self.desk.work.pool.lease();
        }
        let Peer { connection, outbox, waker, .. } = peer;
        self.desk.turn_woken_by(waker, outbox, |turn| act(connection, turn));
        if peer.outbox.is_empty() {
            self.desk.work.pool.release(std::mem::take(&mut peer.outbox));
        } else if peer.writing.is_none() {
            peer.writing = Some(std::mem::take(&mut peer.outbox));
        }
        let is_due = peer.connection.poll_timeout() <= self.desk.now.ms;
        assert!(!is_due || was_due || peer.connection.directive() == Directive::Close);
        peer.check_answers(&self.ledger, self.desk.now.ms, HEADER_TIMEOUT_MS);
        // What a connection may hold: a request, a record, an answer on its way and the next.
        assert!(self.desk.work.pool.leased() <= 2 + 4 * self.peers.len());
        self.check_tokens();
    }

    /// No more was let in than the bucket for all had tokens.
    fn check_tokens(&self) {
        let (since_ms, before) = self.buckets_since;
        let admitted = let_in(&self.desk) - before;
        let limits = &self.desk.snapshot.rate_limits;
        for limit in limits.iter().filter(|limit| limit.key == RateKey::Global) {
            let most = limit.burst + limit.rate * (self.desk.now.ms - since_ms) / 1000;
            assert!(admitted <= most, "{admitted} let in, {most} allowed");
        }
    }

    /// As a socket's task: nothing left to write, so FIN; or the end.
    fn close_if_over(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if peer.is_client_done && peer.wire.is_empty() && peer.may_read() && self.chance.is(30) {
            self.end_of_input(at);
        }
        let peer = &mut self.peers[at];
        if peer.writing.is_some() {
            return;
        }
        match peer.connection.directive() {
            Directive::Continue => {}
            Directive::ShutDown => {
                peer.has_shut_down = true;
                peer.check_answers(&self.ledger, self.desk.now.ms, HEADER_TIMEOUT_MS);
                peer.check_end();
                if peer.has_ended {
                    self.close(at);
                } else if self.chance.is(10) {
                    peer.is_client_done = true;
                }
            }
            Directive::Close => self.close(at),
        }
    }

    fn close(&mut self, at: usize) {
        let mut peer = self.peers.swap_remove(at);
        peer.has_shut_down = true;
        peer.check_answers(&self.ledger, self.desk.now.ms, HEADER_TIMEOUT_MS);
        peer.check_end();
        for buffer in [Some(peer.outbox), peer.writing].into_iter().flatten() {
            if buffer.capacity() > 0 {
                self.desk.work.pool.release(buffer);
            }
        }
        self.desk.release(peer.connection);
    }

    /// What is not yet done: connections, bytes on their way, requests without an answer.
    fn left_to_do(&self) -> (usize, usize, usize) {
        let sum = |of: fn(&Peer) -> usize| self.peers.iter().map(of).sum();
        (self.peers.len(), sum(|peer| peer.wire.len()), sum(Peer::unanswered))
    }

    /// Lets everything arrive and every call end; what was asked is then answered.
    fn settle(&mut self) {
        let (mut left, mut quiet_ms) = (self.left_to_do(), 0);
        loop {
            // Many calls may wait behind one another, so the bound is on the time without any progress.
            let now_left = self.left_to_do();
            quiet_ms = if now_left == left { quiet_ms + 1 } else { 0 };
            left = now_left;
            assert!(quiet_ms <= CALL_MS_MAX, "a connection does not come to rest: {left:?} left to do");
            while let Some(gate) = {
                let gates = self.ledger.lock().unwrap().closed_gates();
                gates.first().copied()
            } {
                self.ledger.lock().unwrap().open(gate);
            }
            for at in (0..self.peers.len()).rev() {
                self.deliver(at);
                self.finish_writes(at);
                self.wake(at);
                self.close_if_over(at);
            }
            let is_busy = |peer: &Peer| {
                peer.writing.is_some()
                    || peer.connection.has_call()
                    || (!peer.wire.is_empty() && !peer.has_ended)
            };
            if !self.peers.iter().any(is_busy) {
                break;
            }
            // Calls wait for the clock, and no deadline of anything else is near.
            self.desk.now.ms += 1;
            self.desk.now.unix_ms += 1;
            for at in 0..self.peers.len() {
                let is_due = self.peers[at].connection.poll_timeout() <= self.desk.now.ms;
                if is_due {
                    self.time_out(at);
                }
            }
        }
        for peer in &self.peers {
            peer.check_end();
        }
    }
}

/// Requests that had a token in every bucket; who was refused paid from the buckets of its address only.
fn let_in(desk: &Desk) -> u64 {
    let total = |count| desk.work.events.total(count);
    total(Count::AuthenticateAccepted) + total(Count::AuthenticateAnonymous)
}
