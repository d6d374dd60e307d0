//! Streams whose readers do not read, over real sockets and shards: what they cost is bounded, and each is told.
//! Next: `tests/protocol/readers.rs`, the same one message at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::event::Count;
use mcpring::pipeline::hub::listen::Change;
use mcpring::pipeline::snapshot::{Listener, ListenerLimits, Security, SlowReader, Snapshot};
use mcpring::shard::driver::{Driver, probe};
use mcpring::shard::fleet::{Fleet, Settings, Socket};
use mcpring::shard::listen::{Options, bind};
use mcpring::tools::{Registry, Resource};
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};

use crate::fixture::{KEY, listener, listener_limits, modern, post, role, snapshot_with};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const SHARDS: usize = 2;
const OPTIONS: Options = Options { backlog: 4096, keepalive: Duration::ZERO, mode: 0o600 };
/// Messages a stream keeps.
const KEPT: usize = 16;
/// What is told last.
const LAST: &str = "docs://last";
/// More than the messages that were measured could need if they were kept, and less than one in ten of them.
const GROWTH_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A resource with a name so long that a message of it weighs two kilobytes.
fn long_uri() -> String {
    format!("docs://{}", "a".repeat(2000))
}

fn snapshot(change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let mut registry = Registry::default();
        for uri in [long_uri().as_str(), LAST] {
            registry.register_resource(Resource::text(uri, "r", "text/plain", "R")).unwrap();
        }
        snapshot.policy = Policy::compile(&[role("all", &["**"])], &registry).unwrap();
        snapshot.registry = Arc::new(registry);
        let limits = &mut snapshot.limits;
        limits.connections_max = 10_000;
        limits.connections_per_ip_max = 10_000;
        limits.listens_per_principal_max = 10_000;
        limits.event_buffer_size = KEPT;
        limits.send_timeout = Duration::from_secs(600);
        change(snapshot);
        // Its one listener is bounded as the process is.
        let limits = ListenerLimits {
            connections_max: snapshot.limits.connections_max,
            connections_per_ip_max: snapshot.limits.connections_per_ip_max,
            send_timeout: snapshot.limits.send_timeout,
            ..listener_limits()
        };
        snapshot.listeners = vec![Arc::new(Listener { limits, ..listener("test", Security::Plain) })];
    })
}

/// Two shards in this process.
struct Running {
    fleet: Fleet,
    address: SocketAddr,
}

impl Running {
    fn start(snapshot: &Arc<Snapshot>) -> Self {
        let bound = bind("127.0.0.1:0".parse().unwrap(), OPTIONS, SHARDS).unwrap();
        let address = bound.address.tcp().unwrap();
        let driver = if probe(256).is_ok() { Driver::IoUring } else { Driver::Epoll };
        let settings = (0..SHARDS).map(|_| Settings { cpu: None, driver, ring_entries: 256 }).collect();
        let sockets = bound.sockets.into_iter().map(|socket| vec![Socket { listener: 0, socket }]).collect();
        Self { fleet: Fleet::start(settings, snapshot, sockets, 1).unwrap(), address }
    }

    fn total(&self, count: Count) -> u64 {
        self.fleet.events().iter().map(|events| events.total(count)).sum()
    }

    /// Lets the shards get on until something is so.
    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "{what}: {} {} {}",
                self.total(Count::RespondTimedOut),
                self.total(Count::ListenClosed),
                self.total(Count::ListenAccepted)
            );
            std::thread::yield_now();
        }
    }

    fn tell(&self, uri: &str) {
        let change = Change::Resource(uri.into());
        self.wait("a mailbox stays full", |running| running.fleet.tell(&change).is_ok());
    }

    /// Tells changes until so many messages have been dropped.
    fn tell_until(&self, dropped: u64) {
        let start = Instant::now();
        while self.total(Count::HubEventDropped) < dropped {
            assert!(start.elapsed() < PATIENCE, "too few are dropped");
            self.tell(&long_uri());
        }
    }

    fn end(self) {
        self.fleet.drain();
        self.wait("the shards do not end", |running| running.fleet.is_finished());
        assert_eq!((self.total(Count::ShardPanicked), self.total(Count::ShardLeaked)), (0, 0));
    }
}

/// A client with so little room that the kernel takes little on its behalf.
fn client(address: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until those bytes have come; all that has.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 16 * 1024]);
    while !text.contains(end) {
        let bytes = match stream.read(&mut buffer) {
            // A read with a time limit is not begun again by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        assert!(bytes > 0, "closed before {end:?}: {}", &text[text.len().saturating_sub(200)..]);
        text.push_str(std::str::from_utf8(&buffer[..bytes]).unwrap());
    }
    text
}

fn subscribed(address: SocketAddr) -> TcpStream {
    let mut stream = client(address);
    let filter = format!(r#""notifications":{{"resourceSubscriptions":["{}","{LAST}"]}}"#, long_uri());
    stream.write_all(&modern("1", "subscriptions/listen", &filter, "")).unwrap();
    read_until(&mut stream, "acknowledged");
    stream
}

fn in_session(address: SocketAddr) -> TcpStream {
    let mut stream = client(address);
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    stream.write_all(&post(&format!("X-API-Key: {KEY}\r\n"), initialize)).unwrap();
    let answer = read_until(&mut stream, "serverInfo");
    let session = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    let fields = format!("X-API-Key: {KEY}\r\nMcp-Session-Id: {session}\r\n");
    for uri in [long_uri().as_str(), LAST] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{{"uri":"{uri}"}}}}"#
        );
        stream.write_all(&post(&fields, &body)).unwrap();
        read_until(&mut stream, r#""result":{}"#);
    }
    let get = "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";
    stream.write_all(format!("{get}{fields}\r\n").as_bytes()).unwrap();
    read_until(&mut stream, "retry: ");
    stream
}

fn open(running: &Running, streams: usize) -> Vec<TcpStream> {
    let open = |at| if at % 2 == 0 { subscribed(running.address) } else { in_session(running.address) };
    (0..streams).map(open).collect()
}

/// What is measured is the process's, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// The client begins to read, and no longer slowly.
fn hurry(client: &TcpStream) {
    sockopt::set_socket_recv_buffer_size(client, 1024 * 1024).unwrap();
}

#[test]
fn a_thousand_streams_that_are_not_read_cost_no_more_for_a_hundred_thousand_messages() {
    const STREAMS: usize = 1000;
    let _alone = alone();
    let running = Running::start(&snapshot(|snapshot| snapshot.limits.slow_reader = SlowReader::Drop));
    let mut clients = open(&running, STREAMS);
    // Until every connection has grown to what it may have.
    running.tell_until(20_000);
    let before = resident_bytes();
    running.tell_until(120_000);
    // A stream keeps sixteen messages and a connection what it is sending; what came since was 200 MB.
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth < GROWTH_MAX_BYTES, "{growth} bytes more");
    running.tell(LAST);
    // Side by side: the kernel has megabytes for each of them.
    std::thread::scope(|scope| {
        for client in clients.iter_mut().take(50) {
            scope.spawn(|| {
                hurry(client);
                read_until(client, LAST);
            });
        }
    });
    assert!(running.total(Count::RespondMissed) >= 50, "who reads again is counted");
    drop(clients);
    running.end();
}

#[test]
fn slow_readers_that_may_not_stay_are_told_by_the_end_of_their_stream() {
    const STREAMS: usize = 40;
    let _alone = alone();
    let running = Running::start(&snapshot(|snapshot| snapshot.limits.slow_reader = SlowReader::Close));
    let mut clients = open(&running, STREAMS);
    // Each has missed a thousand or so; while it does not read, that is.
    running.tell_until(40_000);
    for client in &mut clients {
        hurry(client);
        // The end may come after what has been read already.
        let (mut text, mut buffer) = (b"\r\n".to_vec(), [0; 16 * 1024]);
        while !text.ends_with(b"\r\n0\r\n\r\n") {
            match client.read(&mut buffer) {
                Ok(0) => panic!("closed without an end"),
                Ok(bytes) => text.extend_from_slice(&buffer[..bytes]),
                Err(error) => panic!("not told that it has missed messages: {error}"),
            }
        }
    }
    assert!(running.total(Count::RespondMissed) >= STREAMS as u64);
    drop(clients);
    running.end();
}

#[test]
fn readers_that_never_read_are_cut_off_and_counted() {
    const STREAMS: usize = 20;
    let _alone = alone();
    let running = Running::start(&snapshot(|snapshot| {
        snapshot.limits.slow_reader = SlowReader::Drop;
        snapshot.limits.send_timeout = Duration::from_millis(200);
    }));
    let clients = open(&running, STREAMS);
    running.wait("somebody is served on", |running| {
        running.tell(&long_uri());
        running.total(Count::RespondTimedOut) == STREAMS as u64
    });
    running.wait("a connection stays", |running| {
        running.total(Count::ListenClosed) == running.total(Count::ListenAccepted)
    });
    drop(clients);
    running.end();
}
