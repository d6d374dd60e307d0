//! Heap allocations on the request path, counted by an allocator of our own: none per call in steady state, and few
//! for a request that is refused. What rustls allocates for the same records is counted apart, by running it alone.
//! Never: a time.
//! Next: `fixture`, which drives the connection; `src/pipeline/connection` is what is measured.

#[path = "fixture/mod.rs"]
pub mod fixture;
#[path = "fixture/issuer.rs"]
pub mod issuer;
#[path = "fixture/secure.rs"]
pub mod secure;
#[path = "allocations/alone.rs"]
mod alone;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Arc;

use mcpring::pipeline::admit::RateKey;
use mcpring::pipeline::authenticate::tokens::keys::Algorithm;
use mcpring::pipeline::authenticate::tokens::revoked::Revocations;
use mcpring::pipeline::connection::Connection;
use mcpring::pipeline::event::Count;
use mcpring::pipeline::snapshot::{Security, Snapshot};
use mcpring::tools::Tool;
use mcpring::wire::json::{JsonLimits, PADDING, Scratch};
use mcpring::wire::mcp::Revision;

use alone::Alone;
use fixture::carried::{CUTS, Cut, carrying, echo_alone};
use fixture::messages::in_chunks;
use fixture::{Desk, KEY, answers, echo, post, rate, snapshot_with};
use issuer::{ISSUER, TestIssuer, accept, claims_with, issuer as accepted, key_set};
use secure::{Authority, Client};

/// Requests that are counted in each case, after as many as fill the caches.
const REQUESTS: u64 = 10_000;
const WARM_UP: u64 = 200;
/// What a refusal may cost: the text for the peer and the record for the log. It is no path that must be fast, but a
/// peer chooses to take it.
const REFUSAL_MAX: u64 = 5;

/// Counts what this thread allocates and holds.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD_BYTES: Cell<usize> = const { Cell::new(0) };
}

fn note(allocations: u64, more: usize, less: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    HELD_BYTES.set(HELD_BYTES.get().wrapping_add(more).wrapping_sub(less));
}

#[expect(unsafe_code, reason = "an allocator can not be written without")]
// SAFETY: every method is the system allocator's own, called with the very arguments; counting touches only cells.
unsafe impl GlobalAlloc for Counting {
    /// # Safety
    /// As of the system allocator.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    /// # Safety
    /// As of the system allocator.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, 0, layout.size());
        // SAFETY: `block` came from `System` by one of these methods, with that layout.
        unsafe { System.dealloc(block, layout) }
    }

    /// # Safety
    /// As of the system allocator.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    /// # Safety
    /// As of the system allocator.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size, layout.size());
        // SAFETY: `block` came from `System` by one of these methods, with that layout; the caller vouches for `size`.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what `act` allocates.
fn count<R>(act: impl FnOnce() -> R) -> (u64, R) {
    let before = ALLOCATIONS.get();
    let result = act();
    (ALLOCATIONS.get() - before, result)
}

/// A connection and what a shard does around it: buffers leased for each wake-up, given back after it.
struct Bench {
    desk: Desk,
    connection: Connection,
    outbox: Vec<u8>,
}

impl Bench {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        let mut desk = Desk::new(snapshot);
        let connection = desk.connect();
        Self { desk, connection, outbox: Vec::new() }
    }

    /// One wake-up with bytes; returns what it allocated. What it wants written stays in the outbox until the next.
    fn receive(&mut self, bytes: &[u8]) -> u64 {
        self.desk.now.ms += 1;
        self.desk.now.unix_ms += 1;
        let (allocations, ()) = count(|| {
            let pool = &mut self.desk.work.pool;
            if self.outbox.capacity() > 0 {
                pool.release(std::mem::take(&mut self.outbox));
            }
            let mut input = pool.lease();
            let mut outbox = pool.lease();
            input.extend_from_slice(bytes);
            self.desk.turn(&mut outbox, |turn| self.connection.handle_bytes(&mut input, turn));
            self.desk.work.pool.release(input);
            self.outbox = outbox;
        });
        allocations
    }

    /// Every lease comes back when the connection goes.
    fn close(mut self) {
        self.desk.work.pool.release(self.outbox);
        self.desk.release(self.connection);
        assert_eq!(self.desk.work.pool.leased(), 1, "only the workspace's own lease is out");
    }
}

/// Allocations of [`REQUESTS`] wake-ups after the warm-up, each with `input`; the last answer has status `expect`.
fn steady(snapshot: Arc<Snapshot>, pieces: &[&[u8]], expect: u16) -> u64 {
    let mut bench = Bench::new(snapshot);
    let mut allocations = 0;
    for round in 0..WARM_UP + REQUESTS {
        for piece in pieces {
            let counted = bench.receive(piece);
            allocations += if round < WARM_UP { 0 } else { counted };
        }
    }
    let last = answers(&bench.outbox);
    assert!(last.iter().all(|answer| answer.status == expect), "{last:?}");
    bench.close();
    allocations
}

fn generous() -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |_| {})
}

/// A legacy call within a session, with the handshake that opened it already made.
fn in_session() -> Vec<u8> {
    let mut desk = Desk::new(generous());
    let mut connection = desk.connect();
    let revision = Revision::LATEST_LEGACY.name();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{}}}}}}"#
    );
    let key = format!("X-API-Key: {KEY}\r\n");
    let all = answers(&desk.feed(&mut connection, &post(&key, &body)));
    let head = &all.first().expect("the handshake is answered").head;
    let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("a session");
    post(
        &format!("{key}MCP-Protocol-Version: {revision}\r\nMcp-Session-Id: {session}\r\n"),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"message":"x"}}}"#,
    )
}

/// The same over a connection that carries everything: `together` calls in each wake-up.
fn steady_carried(cut: Cut, pieces: &[&[u8]], together: usize) -> u64 {
    let mut bench = Bench::new(carrying(cut, Security::Plain));
    for first in introduce(cut) {
        bench.receive(&first);
    }
    let mut allocations = 0;
    for round in 0..WARM_UP + REQUESTS {
        for piece in pieces {
            let counted = bench.receive(piece);
            allocations += if round < WARM_UP { 0 } else { counted };
        }
    }
    let mut rest = bench.outbox.as_slice();
    for _ in 0..together {
        let (_, message, after) = cut.decode(rest).expect("a whole answer");
        assert!(message.starts_with(br#"{"jsonrpc":"2.0","id":1,"result""#), "{}", message.escape_ascii());
        rest = after;
    }
    assert!(rest.is_empty(), "an answer nobody asked for");
    bench.close();
    allocations
}

/// What is said before the calls that are counted: an opening, and a call that says who calls.
fn introduce(cut: Cut) -> Vec<Vec<u8>> {
    vec![cut.opening(), cut.encode(echo_alone("0", "first", Some(KEY)).as_bytes())]
}

/// Allocations over TLS of calls after whatever `first` says: of the whole connection, and of rustls alone for records
/// of the same sizes.
fn over_tls(snapshot: impl FnOnce(Security) -> Arc<Snapshot>, first: &[Vec<u8>], call: &[u8]) -> (u64, u64) {
    let authority = Authority::default();
    let server = authority.server();
    let mut bench = Bench::new(snapshot(Security::Tls(server.clone())));
    let mut client = Client::new(&authority.client(&[&rustls::version::TLS13]));
    while client.tls.is_handshaking() {
        bench.receive(&client.take_ciphertext());
        client.receive(&bench.outbox).expect("the handshake goes on");
    }
    for first in first {
        client.send(first);
        bench.receive(&client.take_ciphertext());
        client.receive(&bench.outbox).expect("records of the server");
    }
    let written = bench.desk.work.events.total(Count::RespondWritten);
    let mut whole = 0;
    let mut answer_bytes = 0;
    for round in 0..WARM_UP + REQUESTS {
        client.send(call);
        let counted = bench.receive(&client.take_ciphertext());
        whole += if round < WARM_UP { 0 } else { counted };
        let answer = client.receive(&bench.outbox).expect("records of the server");
        answer_bytes = answer.len();
        assert!(answer.windows(8).any(|text| text == b"\"result\""), "{}", answer.escape_ascii());
    }
    assert_eq!(bench.desk.work.events.total(Count::RespondWritten) - written, WARM_UP + REQUESTS);
    bench.close();
    (whole, of_rustls(&authority, server, call, answer_bytes))
}

/// What rustls alone allocates for such calls and answers.
fn of_rustls(
    authority: &Authority,
    server: Arc<rustls::ServerConfig>,
    call: &[u8],
    answer_bytes: usize,
) -> u64 {
    let mut client = Client::new(&authority.client(&[&rustls::version::TLS13]));
    let mut alone = Alone::new(server);
    while client.tls.is_handshaking() {
        alone.receive(&mut client.take_ciphertext());
        client.receive(&alone.outbox).expect("the handshake goes on");
    }
    alone.receive(&mut client.take_ciphertext());
    client.receive(&alone.outbox).expect("a ticket");
    let answer = vec![b'a'; answer_bytes];
    let mut rustls = 0;
    for round in 0..WARM_UP + REQUESTS {
        client.send(call);
        let mut input = client.take_ciphertext();
        let (counted, ()) = count(|| {
            alone.receive(&mut input);
            alone.send(&answer);
        });
        rustls += if round < WARM_UP { 0 } else { counted };
        assert_eq!(client.receive(&alone.outbox).expect("records of the server").len(), answer_bytes);
    }
    rustls
}

/// The most this thread held beyond the start while a peer sends `first` and then `piece` for as long as the
/// connection wants more. Bytes.
fn most_held(snapshot: Arc<Snapshot>, first: &[u8], piece: &[u8]) -> usize {
    let mut bench = Bench::new(snapshot);
    // Takes the leases of a wake-up once, so that they are not counted.
    bench.receive(b"");
    let before = HELD_BYTES.get();
    bench.receive(first);
    let mut most = HELD_BYTES.get().saturating_sub(before);
    for _ in 0..500 {
        if bench.connection.wants_input() {
            bench.receive(piece);
        }
        most = most.max(HELD_BYTES.get().saturating_sub(before));
    }
    bench.close();
    most
}

/// Of one request, when [`REQUESTS`] made so many.
fn each(allocations: u64) -> f64 {
    let exact = |number: u64| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    exact(allocations) / exact(REQUESTS)
}

/// One line for each case; the failures are counted.
#[derive(Default)]
struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    fn line(&mut self, what: &str, number: String, is_kept: bool) {
        println!("{} {what}: {number}", if is_kept { "ok    " } else { "FAILED" });
        if is_kept {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// Allocations of [`REQUESTS`] requests against what each may cost.
    fn allocations(&mut self, what: &str, allocations: u64, each_max: u64) {
        let number = format!("{} allocations a request, at most {each_max}", each(allocations));
        self.line(what, number, allocations <= each_max * REQUESTS);
    }

    /// Allocations of [`REQUESTS`] requests over TLS: of the whole connection and of rustls alone.
    fn over_tls(&mut self, what: &str, (whole, rustls): (u64, u64)) {
        self.allocations(&format!("{what} over TLS, ours"), whole.abs_diff(rustls), 0);
        println!("       {what} over TLS, rustls' own: {} allocations a request", each(rustls));
    }

    fn held(&mut self, what: &str, bytes: usize, max: usize) {
        self.line(what, format!("{bytes} bytes held, at most {max}"), bytes <= max);
    }
}

/// What calls cost.
fn report_calls(report: &mut Report) {
    let call = echo("1", "hello");
    let (front, back) = call.split_at(100);
    let chunked = in_chunks(&call, 64);
    report.allocations("tools/call", steady(generous(), &[&call], 200), 0);
    report.allocations("tools/call in two reads", steady(generous(), &[front, back], 200), 0);
    report.allocations("eight in one read", steady(generous(), &[&call.repeat(8)], 200), 0);
    report.allocations("tools/call in chunks", steady(generous(), &[&chunked], 200), 1);
    report.allocations("tools/call in a legacy session", steady(generous(), &[&in_session()], 200), 0);
    let plain_or_tls = |security| snapshot_with(security, |_| {});
    report.over_tls("tools/call", over_tls(plain_or_tls, &[], &call));
    report_tokens(report, &call);
    for cut in CUTS {
        let call = cut.encode(echo_alone("1", "hello", None).as_bytes());
        let (front, back) = call.split_at(100);
        report.allocations(&format!("tools/call in {cut:?}"), steady_carried(cut, &[&call], 1), 0);
        let halves = steady_carried(cut, &[front, back], 1);
        report.allocations(&format!("tools/call in {cut:?} in two reads"), halves, 0);
        let eight = steady_carried(cut, &[&call.repeat(8)], 8);
        report.allocations(&format!("eight in {cut:?} in one read"), eight, 0);
        let counted = over_tls(|security| carrying(cut, security), &introduce(cut), &call);
        report.over_tls(&format!("tools/call in {cut:?}"), counted);
    }
}

/// What a token costs once it was verified: by a connection that knows it, and by one that knows another.
fn report_tokens(report: &mut Report, call: &[u8]) {
    let issuer = TestIssuer::new(Algorithm::EdDsa);
    let bearers = || {
        snapshot_with(Security::Plain, |snapshot| {
            let issuers = vec![accepted("corp", ISSUER, key_set(&[issuer.public()]))];
            accept(snapshot, issuers, Revocations::default());
            snapshot.rate_limits = generous().rate_limits.clone();
        })
    };
    let call = String::from_utf8_lossy(call);
    let with = |id: &str| {
        let token = issuer.good(&claims_with("jti", id.into()));
        call.replace(KEY, &token).into_bytes()
    };
    let (one, two) = (with("one"), with("two"));
    report.allocations("tools/call with a token", steady(bearers(), &[&one], 200), 0);
    // Two callers behind one proxy: a connection remembers one of them, the shard's cache has both.
    report.allocations("tools/call with two tokens in turn", steady(bearers(), &[&one, &two], 200), 0);
}

/// What checking arguments against a schema of five properties costs.
fn report_validation(report: &mut Report) {
    let schema = r#"{"type":"object","properties":{"name":{"type":"string","minLength":1},"count":{"type":"integer",
        "minimum":1},"ratio":{"type":"number"},"kind":{"enum":["round","flat"]},"tags":{"type":"array","items":{"type":
        "string"}}},"required":["name","count","kind"],"additionalProperties":false}"#;
    let tool =
        Tool::immediate::<serde_json::Value>("five", "Takes five.", |_, _| Ok(())).input_schema(schema);
    let arguments = br#"{"name":"ring","count":7,"ratio":0.5,"kind":"round","tags":["a","b"]}"#;
    let mut padded = arguments.to_vec();
    padded.resize(arguments.len() + PADDING, 0);
    let mut scratch = Scratch::default();
    let limits = JsonLimits { depth_max: 64, nodes_max: 1000 };
    let document = scratch.decode(&mut padded, arguments.len(), limits).expect("the arguments are JSON");
    tool.validate(Some(document.root())).expect("the arguments satisfy the schema");
    let (allocations, ()) = count(|| {
        for _ in 0..REQUESTS {
            tool.validate(Some(document.root())).expect("the arguments satisfy the schema");
        }
    });
    report.allocations("validation of five properties", allocations, 0);
}

/// What "no" costs.
fn report_refusals(report: &mut Report) {
    let call = String::from_utf8(echo("1", "hello")).expect("text");
    let wrong = call.replace(KEY, "wrong");
    report.allocations("refused with 401", steady(generous(), &[wrong.as_bytes()], 401), REFUSAL_MAX);
    let spent = snapshot_with(Security::Plain, |snapshot| {
        snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 1), rate(RateKey::Global, 1, 1)];
    });
    // One token a second and a request each millisecond: nearly all are refused, the last one is.
    report.allocations("refused with 429", steady(spent, &[call.as_bytes()], 429), REFUSAL_MAX);
    let other = call.replace("\"name\":\"echo\"", "\"name\":\"nope\"");
    report.allocations("refused for its headers", steady(generous(), &[other.as_bytes()], 400), REFUSAL_MAX);
}

/// What a peer can make a connection hold.
fn report_held(report: &mut Report) {
    const BLOCK: usize = 16 * 1024;
    let limit = generous().limits.message_bytes_max;
    let call = String::from_utf8(echo("1", "hello")).expect("text");
    let (head, _) = call.split_once("\r\n\r\n").expect("a head ends");
    let (head, _) = head.split_once("Content-Length").expect("the last field");
    let spaces = vec![b' '; BLOCK];
    let declared = format!("{head}Content-Length: {limit}\r\n\r\n");
    // A vector that grows doubles; the limit is on what is in it.
    let body = most_held(generous(), declared.as_bytes(), &spaces);
    report.held("by a body of the longest length", body, 2 * (limit + 2 * BLOCK));
    let open = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let whole = [b"4000\r\n".as_slice(), &spaces, b"\r\n"].concat();
    let chunks = most_held(generous(), open.as_bytes(), &whole);
    report.held("by chunks without end", chunks, 2 * (limit + limit / 4 + 5 * BLOCK));
    let tiny = b"1\r\na\r\n".repeat(2000);
    let chunks = most_held(generous(), open.as_bytes(), &tiny);
    report.held("by tiny chunks without end", chunks, 2 * (limit / 4 + limit / 8 + 5 * BLOCK));
    report.held("by a head without end", most_held(generous(), head.as_bytes(), &spaces), 6 * BLOCK);
    let slow = call.replace("\"echo\"", "\"countdown\"").replace("Mcp-Name: echo", "Mcp-Name: countdown");
    let slow = slow.replace(r#"{"message":"hello"}"#, r#"{"steps":9,"interval_ms":9999}"#);
    let (head, body) = slow.split_once("\r\n\r\n").expect("a head ends");
    let (head, _) = head.split_once("Content-Length").expect("the last field");
    let slow = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let behind = most_held(generous(), slow.as_bytes(), &call.as_bytes().repeat(25));
    report.held("behind a call that runs", behind, 6 * BLOCK);
    let short = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(400);
    let answers = most_held(generous(), &short, b"");
    report.held("by answers to one read", answers, 2 * (256 * 1024 + BLOCK) + BLOCK);
    let tls = snapshot_with(Security::Tls(Authority::default().server()), |_| {});
    // RFC 8446 4, 5.1: a ClientHello that says it has 16 MiB, in records of 16 KiB.
    let mut hello = vec![0u8; BLOCK + 5];
    if let Some(start) = hello.first_chunk_mut::<9>() {
        *start = [22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    }
    let more = [[22, 3, 1, 0x40, 0].as_slice(), &spaces].concat();
    report.held("by a ClientHello without end", most_held(tls, &hello, &more), 16 * BLOCK);
}

fn main() -> ExitCode {
    let mut report = Report::default();
    report_calls(&mut report);
    report_validation(&mut report);
    report_refusals(&mut report);
    report_held(&mut report);
    let Report { passed, failed } = report;
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
