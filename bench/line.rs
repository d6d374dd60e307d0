//! The stages of the line, each on its own and all of them together, ready to be run and measured.
//! Every one has run before, so caches are warm and buffers have their size; what it needs for a run is laid out first.
//! Never: a clock, a number.
//! Next: `instructions.rs` counts them, `stages.rs` times them.

#[path = "../tests/fixture/mod.rs"]
pub mod fixture;
#[path = "../tests/fixture/secure.rs"]
pub mod secure;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mcpring::pipeline::admit::{Buckets, Payer};
use mcpring::pipeline::authenticate::{Facts, Memory, Method, Principal, Remembered, credential, identify};
use mcpring::pipeline::authorize::{Asker, Occasion, Policy, Rights, Target, authorize};
use mcpring::pipeline::connection::Connection;
use mcpring::pipeline::dispatch::{Dispatched, Visitor, dispatch};
use mcpring::pipeline::envelope::{self, Envelope, Request};
use mcpring::pipeline::framing::{Delivery, head_limits, judge};
use mcpring::pipeline::headers::{Headers, Sessions};
use mcpring::pipeline::hub::listen::Change;
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::peer::Peer;
use mcpring::pipeline::respond::{Body, Content, Exchange, answer, encode_head};
use mcpring::pipeline::snapshot::{Listener, Security, Snapshot};
use mcpring::pipeline::spent::Spent;
use mcpring::pipeline::turn::{Now, Turn};
use mcpring::tools::{Registry, Resource, Tool};
use mcpring::wire::http::date::DateCache;
use mcpring::wire::http::head::{self, Head, HeadScan, Persistence, Version, field_storage};
use mcpring::wire::json::{JsonLimits, PADDING, Scratch};
use mcpring::wire::lines::{LineStep, Lines};
use mcpring::wire::websocket::decode::{Decoder, MessageLimits, Step};

use fixture::carried::{Cut, carrying, echo_alone};
use fixture::{Desk, KEY, answers, echo, modern, role, snapshot, snapshot_with};
use secure::{Authority, Client};

/// Runs before the first that is measured.
const WARM_UP: usize = 100;

/// How the call is answered.
const EXCHANGE: Exchange = Exchange {
    carriage: mcpring::pipeline::respond::Carriage::Response,
    version: Version::Http11,
    persistence: Persistence::KeepAlive,
    body: Body::Sent,
};

/// What is measured.
pub trait Stage {
    /// Lays out what so many runs use up. Not measured.
    fn supply(&mut self, _runs: usize) {}

    /// Once through.
    fn run(&mut self);
}

impl<F: FnMut()> Stage for F {
    fn run(&mut self) {
        self();
    }
}

/// A stage that has been warmed and supplied for one run.
pub type Ready = Box<dyn Stage>;

/// What makes one.
pub type Build = fn() -> Ready;

fn ready(mut stage: impl Stage + 'static) -> Ready {
    for _ in 0..WARM_UP {
        stage.supply(1);
        stage.run();
    }
    stage.supply(1);
    Box::new(stage)
}

/// The call that goes down the line.
fn call() -> Vec<u8> {
    echo("1", "hello")
}

/// The same with a key that nobody has.
fn strange_call() -> Vec<u8> {
    let call = String::from_utf8(call()).expect("requests of the fixture are text");
    call.replace(KEY, "mrk_operator_sesame").into_bytes()
}

fn listener(snapshot: &Snapshot) -> &Listener {
    snapshot.listeners.first().expect("the fixture has a listener")
}

fn json_limits(snapshot: &Snapshot) -> JsonLimits {
    JsonLimits { depth_max: snapshot.limits.json_depth_max, nodes_max: snapshot.limits.json_nodes_max }
}

/// A request's head, and its body with room behind it. Their bytes live as long as the process does.
fn halves(request: Vec<u8>) -> (Head<'static, 'static>, Vec<u8>) {
    let limits = head_limits(&snapshot().limits);
    let request: &'static [u8] = request.leak();
    let end = HeadScan::default().find_end(request, &limits).expect("a sound head").expect("a whole head");
    let (head, body) = request.split_at(end);
    let storage = Box::leak(Box::new(field_storage()));
    let head = head::decode(head, storage, &limits).expect("a sound head");
    (head, body.to_vec())
}

/// The call when it has been understood.
fn understood(snapshot: &Snapshot, principal: &Principal) -> Request<'static, 'static> {
    let (head, mut body) = halves(call());
    let body_bytes = body.len();
    body.resize(body_bytes + PADDING, 0);
    let document =
        Scratch::default().decode(body.leak(), body_bytes, json_limits(snapshot)).expect("a body of JSON");
    let root = Box::leak(Box::new(document)).root();
    let spent = Spent::default();
    match envelope::decode(root, &Headers::decode(&head), principal, sessions(snapshot, &spent)) {
        Ok(Envelope::Request(request)) => request,
        Ok(Envelope::Notification(_) | Envelope::Response { .. }) | Err(_) => {
            panic!("the fixture sends requests")
        }
    }
}

fn sessions<'s>(snapshot: &'s Snapshot, spent: &'s Spent) -> Sessions<'s> {
    Sessions { sealer: &snapshot.sealer, spent, now_s: 0, ttl_s: 1 }
}

fn operator() -> Principal {
    let facts = Arc::new(Facts::of(Method::ApiKey));
    Principal { id: "operator".into(), roles: 1, expires_at_s: u64::MAX, facts }
}

/// Finds the end of the head, decodes it, judges it.
pub fn framing() -> Ready {
    let snapshot = snapshot();
    let call = call();
    ready(move || {
        let limits = head_limits(&snapshot.limits);
        let end = HeadScan::default().find_end(black_box(&call), &limits).expect("sound").expect("whole");
        let mut storage = field_storage();
        let head = head::decode(call.get(..end).unwrap_or_default(), &mut storage, &limits).expect("sound");
        assert!(judge(black_box(&head), listener(&snapshot)).is_ok());
    })
}

/// Decodes a WebSocket message of 256 bytes in one masked frame. Its mask is ASCII as its text is, so that the text may
/// stay as the run before has left it, masked or not.
pub fn websocket_message() -> Ready {
    const BYTES: usize = 256;
    let mut frame = vec![0x81, 0x80 | 126, 1, 0, 1, 2, 3, 4];
    frame.resize(8 + BYTES, b'x');
    let mut decoder = Decoder::new(MessageLimits::default());
    ready(move || {
        let step = decoder.decode(black_box(&mut frame));
        assert_eq!(step, Ok(Step::Message { start: 8, bytes: BYTES, consumed: 8 + BYTES }));
    })
}

/// Finds a message of as many bytes in a line.
pub fn lines_message() -> Ready {
    let mut line = vec![b'x'; 256];
    line.push(b'\n');
    let mut lines = Lines::default();
    ready(move || {
        let step = lines.find(black_box(&line), 1024);
        assert_eq!(step, Ok(LineStep::Message { start: 0, bytes: 256, consumed: 257 }));
    })
}

/// The key is the one this connection was last let in with.
pub fn authenticate_remembered() -> Ready {
    authentication(call(), true)
}

/// There is no such key.
pub fn authenticate_unknown() -> Ready {
    authentication(strange_call(), false)
}

fn authentication(request: Vec<u8>, is_known: bool) -> Ready {
    let desk = Desk::new(snapshot());
    let (head, _) = halves(request);
    let (mut remembered, mut tokens) = (Remembered::default(), Default::default());
    ready(move || {
        let listener = listener(&desk.snapshot);
        let memory = Memory { remembered: &mut remembered, tokens: &mut tokens, certificate: None };
        let shown = credential(listener, black_box(&head));
        let who = identify(&desk.snapshot, listener, shown, desk.now, memory);
        assert_eq!(black_box(&who).is_ok(), is_known);
    })
}

/// A token from the bucket of the address and one from that of all.
pub fn admit() -> Ready {
    let mut buckets = Buckets::new(1, 7);
    buckets.follow(&snapshot().rate_limits);
    let mut now_ms = 1_000_000;
    ready(move || {
        now_ms += 1;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(black_box(buckets.admit(black_box(address), Payer::Known, now_ms)).is_ok());
    })
}

/// Parses the body, understands the message, holds it against the headers. One copy of the body is in it, because
/// parsing uses the bytes up.
pub fn envelope() -> Ready {
    let snapshot = snapshot();
    let principal = operator();
    let (head, body) = halves(call());
    let spent = Spent::default();
    let mut scratch = Scratch::default();
    let mut padded = vec![0; body.len() + PADDING];
    ready(move || {
        padded.get_mut(..body.len()).unwrap_or_default().copy_from_slice(&body);
        let headers = Headers::decode(black_box(&head));
        let document =
            scratch.decode(&mut padded, body.len(), json_limits(&snapshot)).expect("a body of JSON");
        let message = envelope::decode(document.root(), &headers, &principal, sessions(&snapshot, &spent));
        assert!(black_box(&message).is_ok());
        scratch.recycle(document);
    })
}

/// The policy, for that request of somebody's on the first listener.
fn rights<'a>(snapshot: &'a Snapshot, principal: &'a Principal, request: &'a Request<'a, 'a>) -> Rights<'a> {
    let listener = snapshot.listeners.first().expect("there is a listener");
    let asker = Asker { principal, peer: Peer::Local, listener, now: Now::default() };
    snapshot.policy.rights(asker, Occasion::Request(request))
}

/// Whether the operator may call `echo`.
pub fn authorization() -> Ready {
    let snapshot = snapshot();
    let principal = operator();
    let request = understood(&snapshot, &principal);
    ready(move || {
        let rights = rights(&snapshot, &principal, &request);
        let target = authorize(&rights, &snapshot.registry, black_box(&request));
        assert!(black_box(target).is_ok());
    })
}

/// Holds arguments against a schema of five properties.
pub fn validate_five() -> Ready {
    let schema = r#"{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":100},"count":{"type":"integer","minimum":1,"maximum":1000},"ratio":{"type":"number"},"kind":{"enum":["a","b","c"]},"tags":{"type":"array","items":{"type":"string"},"maxItems":8}},"required":["name","count"],"additionalProperties":false}"#;
    let tool =
        Tool::immediate::<serde_json::Value>("five", "Takes five.", |_, _| Ok(())).input_schema(schema);
    let mut body = br#"{"name":"a name","count":7,"ratio":0.5,"kind":"b","tags":["x","y"]}"#.to_vec();
    let body_bytes = body.len();
    body.resize(body_bytes + PADDING, 0);
    let limits = json_limits(&snapshot());
    let document = Scratch::default().decode(body.leak(), body_bytes, limits).expect("arguments of JSON");
    let arguments = Box::leak(Box::new(document)).root();
    ready(move || assert!(black_box(&tool).validate(Some(black_box(arguments))).is_ok()))
}

/// A subscription, and one change that it is told of: put on the stream, read from it, written as an event.
pub fn stream_event() -> Ready {
    const URI: &str = "docs://motto";
    let snapshot = snapshot_with(Security::Plain, |snapshot| {
        let mut registry = Registry::default();
        let resource = Resource::text(URI, "motto", "text/plain", "Fast, then faster.");
        registry.register_resource(resource).expect("the resource is well-formed");
        let rules = [role("operator", &["**"])];
        snapshot.policy = Policy::compile(&rules, &registry).expect("the patterns are well-formed");
        snapshot.registry = Arc::new(registry);
    });
    let mut desk = Desk::new(snapshot);
    let mut connection = desk.connect();
    let filter = format!(r#""notifications":{{"resourceSubscriptions":["{URI}"]}}"#);
    let opened = desk.feed(&mut connection, &modern("1", "subscriptions/listen", &filter, ""));
    assert!(opened.starts_with(b"HTTP/1.1 200"));
    let parcel = Parcel::Change(Change::Resource(URI.into()));
    let mut outbox = Vec::new();
    ready(move || {
        outbox.clear();
        desk.work.receive(black_box(&parcel).clone(), &desk.snapshot, desk.now);
        desk.turn(&mut outbox, |turn| connection.handle_wake(turn));
        assert!(!black_box(&outbox).is_empty());
    })
}

/// Runs `echo` and writes its result.
struct Dispatch {
    desk: Desk,
    connection: Connection,
    request: Request<'static, 'static>,
    target: Target,
    principal: Principal,
    outbox: Vec<u8>,
}

impl Stage for Dispatch {
    /// Takes the results of earlier runs away, as answering does.
    fn supply(&mut self, _runs: usize) {
        let connection = &mut self.connection;
        self.outbox.clear();
        self.desk.turn(&mut self.outbox, |turn| {
            let snapshot = turn.snapshot.clone();
            answer(turn, listener(&snapshot), 200, EXCHANGE, &[]);
            connection.handle_bytes(&mut Vec::new(), turn);
        });
    }

    fn run(&mut self) {
        let (request, target, principal) = (&self.request, self.target, &self.principal);
        let (peer, headers) = (SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), Headers::default());
        let ran = self.desk.turn(&mut self.outbox, |turn| {
            let listener = listener(turn.snapshot);
            let delivery = Delivery::JsonOrStream;
            let visitor = Visitor { principal, peer: peer.into(), listener, delivery, headers: &headers };
            dispatch(black_box(request), black_box(target), &visitor, turn)
        });
        assert!(matches!(ran, Ok(Dispatched::Answered(_))));
    }
}

/// Runs `echo` and writes its result.
pub fn dispatching() -> Ready {
    let mut desk = Desk::new(snapshot());
    let principal = operator();
    let request = understood(&desk.snapshot, &principal);
    let rights = rights(&desk.snapshot, &principal, &request);
    let target =
        authorize(&rights, &desk.snapshot.registry, &request).expect("the operator may do everything");
    let connection = desk.connect();
    ready(Dispatch { desk, connection, request, target, principal, outbox: Vec::new() })
}

/// Writes the head of the answer and puts the body behind it.
pub fn respond() -> Ready {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let all = answers(&desk.feed(&mut connection, &call()));
    let body = all.first().expect("the call is answered").body.clone();
    let mut date = DateCache::default();
    date.refresh(desk.now.unix_s());
    let mut out = Vec::new();
    ready(move || {
        out.clear();
        let content = Content::Json(black_box(&body).len());
        encode_head(&mut out, (listener(&desk.snapshot), date.as_bytes()), 200, EXCHANGE, content, &[]);
        out.extend_from_slice(&body);
        black_box(&out);
    })
}

/// A connection and what arrives on it: the whole line in one wake-up, with the leases a shard takes around it.
struct Whole {
    desk: Desk,
    connection: Connection,
    arriving: Box<dyn FnMut() -> Vec<u8>>,
    /// Next is last.
    arrived: Vec<Vec<u8>>,
    outbox: Vec<u8>,
    expect: &'static [u8],
}

impl Whole {
    fn receive(&mut self, bytes: &[u8]) {
        let mut input = self.desk.work.pool.lease();
        let mut outbox = self.desk.work.pool.lease();
        input.extend_from_slice(bytes);
        let connection = &mut self.connection;
        self.desk.turn(&mut outbox, |turn: &mut Turn<'_>| connection.handle_bytes(&mut input, turn));
        self.desk.work.pool.release(input);
        self.desk.work.pool.release(std::mem::replace(&mut self.outbox, outbox));
    }
}

impl Stage for Whole {
    fn supply(&mut self, runs: usize) {
        self.arrived.clear();
        self.arrived.extend((0..runs).map(|_| (self.arriving)()));
        // TLS records must arrive in the order they were made.
        self.arrived.reverse();
        self.desk.now.ms += 1;
        self.desk.now.unix_ms += 1;
    }

    fn run(&mut self) {
        let bytes = self.arrived.pop().expect("runs are supplied");
        self.receive(&bytes);
        assert!(self.outbox.starts_with(self.expect));
    }
}

/// A connection on which `first` has been said, and then a call for every run.
fn whole(snapshot: Arc<Snapshot>, first: &[u8], call: Vec<u8>, expect: &'static [u8]) -> Ready {
    let mut desk = Desk::new(snapshot);
    let connection = desk.connect();
    let arriving = Box::new(move || call.clone());
    let mut line = Whole { desk, connection, arriving, arrived: Vec::new(), outbox: Vec::new(), expect };
    if !first.is_empty() {
        line.receive(first);
    }
    ready(line)
}

/// The same over TLS 1.3, from the record that arrives to the record that leaves.
fn whole_secure(
    snapshot: impl FnOnce(Security) -> Arc<Snapshot>,
    first: &[u8],
    call: Vec<u8>,
    expect: &[u8],
) -> Ready {
    let authority = Authority::default();
    let mut client = Client::new(&authority.client(&[&rustls::version::TLS13]));
    let mut desk = Desk::new(snapshot(Security::Tls(authority.server())));
    let connection = desk.connect();
    // An application data record; what is in it is for the client alone.
    let mut line = Whole {
        desk,
        connection,
        arriving: Box::new(Vec::new),
        arrived: Vec::new(),
        outbox: Vec::new(),
        expect: &[23, 3, 3],
    };
    while client.tls.is_handshaking() {
        line.receive(&client.take_ciphertext());
        client.receive(&line.outbox).expect("the handshake goes on");
    }
    let mut answer = Vec::new();
    for said in [first, &call] {
        client.send(said);
        line.receive(&client.take_ciphertext());
        answer = client.receive(&line.outbox).expect("records of the server");
    }
    assert!(answer.starts_with(expect));
    line.arriving = Box::new(move || {
        client.send(&call);
        client.take_ciphertext()
    });
    ready(line)
}

/// The whole call without TLS.
pub fn request_plain() -> Ready {
    whole(snapshot(), b"", call(), b"HTTP/1.1 200")
}

/// A whole request that is refused with 401, its log record included.
pub fn request_refused() -> Ready {
    whole(snapshot(), b"", strange_call(), b"HTTP/1.1 401")
}

/// The whole call over TLS 1.3.
pub fn request_tls() -> Ready {
    whole_secure(|security| snapshot_with(security, |_| {}), b"", call(), b"HTTP/1.1 200")
}

/// The same call, in a line.
pub fn lines_plain() -> Ready {
    whole(carrying(Cut::Lines, Security::Plain), &introduction(Cut::Lines), call_in(Cut::Lines), ANSWER)
}

/// The same over TLS.
pub fn lines_tls() -> Ready {
    whole_secure(
        |security| carrying(Cut::Lines, security),
        &introduction(Cut::Lines),
        call_in(Cut::Lines),
        ANSWER,
    )
}

/// The same call, in a WebSocket frame.
pub fn websocket_plain() -> Ready {
    whole(carrying(Cut::Frames, Security::Plain), &introduction(Cut::Frames), call_in(Cut::Frames), FRAME)
}

/// The same over TLS.
pub fn websocket_tls() -> Ready {
    whole_secure(
        |security| carrying(Cut::Frames, security),
        &introduction(Cut::Frames),
        call_in(Cut::Frames),
        FRAME,
    )
}

/// How an answer without a head begins.
const ANSWER: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result""#;
/// How a whole text frame of 126 bytes or more begins.
const FRAME: &[u8] = &[0x81, 126];

fn call_in(cut: Cut) -> Vec<u8> {
    cut.encode(echo_alone("1", "hello", None).as_bytes())
}

/// What comes before the first call: who calls.
fn introduction(cut: Cut) -> Vec<u8> {
    [cut.opening(), cut.encode(echo_alone("0", "first", Some(KEY)).as_bytes())].concat()
}
