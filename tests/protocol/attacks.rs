//! What a hostile, hasty or unlucky client tries with streams, sessions, tasks and states.
//! Next: `modern` and `legacy`, what a friendly one sees.

use std::sync::Arc;
use std::time::Duration;

use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::hub::listen::{Change, Lists};
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::snapshot::{Security, Snapshot};
use mcpring::pipeline::turn::Entropy;
use mcpring::tools::{Progress, Registry, Reply, Resource, TaskSupport, Tool, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::fixture::messages::answer;
use crate::fixture::{Answer, Desk, KEY, READER_KEY, answers, post, role, snapshot_with};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn said(text: &str) -> Result<Reply, ToolError> {
    let mut reply = Reply::new();
    reply.text(text);
    Ok(reply)
}

/// Tools that let go of their reader, that talk more than a stream keeps, and that rest.
fn tools() -> Registry {
    let mut registry = Registry::default();
    let tools = [
        Tool::deferred::<Nothing, _>("letting_go", "", |_, context| {
            Ok(async move {
                context.close_stream();
                context.sleep(Duration::from_secs(1)).await;
                said("back")
            })
        }),
        Tool::deferred::<Nothing, _>("talkative", "", |_, context| {
            Ok(async move {
                for step in 0..8u32 {
                    context.progress(Progress { progress: f64::from(step), total: None, message: None });
                }
                context.sleep(Duration::from_secs(1)).await;
                said("done")
            })
        }),
        Tool::deferred::<Nothing, _>("letting_go_twice", "", |_, context| {
            Ok(async move {
                for _ in 0..2 {
                    context.close_stream();
                    context.sleep(Duration::from_secs(1)).await;
                }
                said("back")
            })
        }),
        Tool::deferred::<Nothing, _>("outliving", "", |_, context| {
            Ok(async move {
                context.sleep(Duration::from_secs(10)).await;
                said("rested")
            })
        })
        .tasks(TaskSupport::Allowed),
        Tool::deferred::<Nothing, _>("resting", "", |_, context| {
            Ok(async move {
                context.sleep(Duration::from_secs(10)).await;
                said("rested")
            })
        }),
    ];
    for tool in tools {
        registry.register(tool).expect("names are unique");
    }
    registry.register_resource(Resource::text("note://one", "one", "text/plain", "1")).expect("one resource");
    registry
}

fn snapshot(change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let registry = tools();
        let rules = [role("operator", &["**"]), role("reader", &["**"])];
        snapshot.policy = Policy::compile(&rules, &registry).expect("the patterns are well-formed");
        snapshot.registry = Arc::new(registry);
        change(snapshot);
    })
}

/// Numbers that do not come again as soon as a desk's own do.
fn entropy(seed: u64) -> Entropy {
    let mut state = seed;
    Box::new(move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
    })
}

fn desk(snapshot: Arc<Snapshot>) -> Desk {
    Desk::of_fleet(snapshot, 0, 1, Arc::default(), entropy(7))
}

/// A session of that revision for the owner of that key.
fn session(desk: &mut Desk, key: &str, version: &str) -> String {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    );
    let mut connection = desk.connect();
    let answer =
        answers(&desk.feed(&mut connection, &post(&format!("X-API-Key: {key}\r\n"), &body))).remove(0);
    let line = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    line.expect("a handshake opens a session").to_owned()
}

fn within(session: &str, key: &str, body: &str) -> Vec<u8> {
    post(&format!("X-API-Key: {key}\r\nMcp-Session-Id: {session}\r\n"), body)
}

/// A request without a message.
fn bare(method: &str, session: &str, extra: &str) -> Vec<u8> {
    bare_by(KEY, method, session, extra)
}

fn bare_by(key: &str, method: &str, session: &str, extra: &str) -> Vec<u8> {
    format!(
        "{method} /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nX-API-Key: {key}\r\n\
         Mcp-Session-Id: {session}\r\n{extra}\r\n"
    )
    .into_bytes()
}

fn call(id: u32, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{{"progressToken":{id}}}}}}}"#
    )
}

fn is_open(connection: &Connection) -> bool {
    connection.directive() == Directive::Continue
}

#[test]
fn the_body_of_a_get_or_delete_is_never_read_as_a_request() {
    for method in ["GET", "DELETE"] {
        let mut desk = desk(snapshot(|_| {}));
        let id = session(&mut desk, KEY, "2025-11-25");
        let smuggled = within(&id, KEY, r#"{"jsonrpc":"2.0","id":666,"method":"ping"}"#);
        let mut bytes = bare(method, &id, &format!("Content-Length: {}\r\n", smuggled.len()));
        bytes.extend_from_slice(&smuggled);
        let mut connection = desk.connect();
        let mut sent = desk.feed(&mut connection, &bytes);
        // The session ends, and with it its stream; only then is more of the connection read.
        let mut other = desk.connect();
        desk.feed(&mut other, &bare("DELETE", &id, ""));
        sent.extend(desk.pass(&mut connection, 0));
        let text = String::from_utf8_lossy(&sent);
        assert!(!text.contains("666"), "{method}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{method}: {text}");
        if is_open(&connection) {
            let next = session(&mut desk, KEY, "2025-11-25");
            let ping = within(&next, KEY, r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#);
            assert_eq!(answers(&desk.feed(&mut connection, &ping)).remove(0).json()["id"], 7);
        }
    }
}

#[test]
fn a_stream_lasts_although_it_is_the_last_answer_of_its_connection() {
    for (version, fields) in
        [("1.1", "Connection: close\r\n"), ("1.0", ""), ("1.1", "Transfer-Encoding: chunked\r\n")]
    {
        let mut desk = desk(snapshot(|_| {}));
        let id = session(&mut desk, KEY, "2025-11-25");
        let request = String::from_utf8(bare("GET", &id, fields))
            .unwrap()
            .replace("HTTP/1.1", &format!("HTTP/{version}"));
        let mut connection = desk.connect();
        let sent = desk.feed(&mut connection, request.as_bytes());
        assert!(String::from_utf8_lossy(&sent).contains("connection: close"), "{version} {fields}");
        assert!(is_open(&connection), "{version} {fields}");
        let mut other = desk.connect();
        desk.feed(&mut other, &bare("DELETE", &id, ""));
        desk.pass(&mut connection, 0);
        assert!(!is_open(&connection), "{version} {fields}");
    }
}

#[test]
fn whoever_is_sent_away_gets_an_answer_all_the_same() {
    for (revision, tool) in [
        ("2025-03-26", "letting_go"),
        ("2025-06-18", "letting_go"),
        ("2025-11-25", "letting_go"),
        ("2025-03-26", "talkative"),
        ("2025-06-18", "talkative"),
        ("2025-11-25", "talkative"),
    ] {
        let mut desk = desk(snapshot(|snapshot| snapshot.limits.event_buffer_size = 4));
        let id = session(&mut desk, KEY, revision);
        let mut connection = desk.connect();
        let mut sent = desk.feed(&mut connection, &within(&id, KEY, &call(9, tool)));
        sent.extend(desk.pass(&mut connection, 1500));
        let (whole, rest) = answer(&sent).unwrap_or_else(|| panic!("{revision} {tool}: no whole answer"));
        assert!(whole.is_some() && rest.is_empty(), "{revision} {tool}");
        if is_open(&connection) {
            let ping = within(&id, KEY, r#"{"jsonrpc":"2.0","id":10,"method":"ping"}"#);
            assert_eq!(answers(&desk.feed(&mut connection, &ping)).remove(0).json()["id"], 10);
        }
    }
    let mut desk = desk(snapshot(|snapshot| snapshot.limits.event_buffer_size = 4));
    let mut connection = desk.connect();
    let params = r#""name":"talkative","arguments":{},"_meta":{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{{params}}}}}"#);
    let fields = format!(
        "X-API-Key: {KEY}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: talkative\r\n"
    );
    let mut sent = desk.feed(&mut connection, &post(&fields, &body));
    sent.extend(desk.pass(&mut connection, 1500));
    assert!(answer(&sent).is_some_and(|(whole, rest)| whole.is_some() && rest.is_empty()));
}

/// Two shards that share what is spent and exchange parcels.
struct Pair([Desk; 2]);

impl Pair {
    fn new(snapshot: &Arc<Snapshot>) -> Self {
        let spent = Arc::default();
        let desk = |shard: u16| {
            Desk::of_fleet(snapshot.clone(), shard, 2, Arc::clone(&spent), entropy(u64::from(shard)))
        };
        Self([desk(0), desk(1)])
    }

    /// Carries parcels until there are none.
    fn exchange(&mut self) {
        loop {
            let mut is_quiet = true;
            for from in 0..2 {
                self.0[from].attend();
                while let Some((to, parcel)) = self.0[from].work.hub.poll_parcel() {
                    is_quiet = false;
                    let desk = &mut self.0[usize::from(to)];
                    desk.work.receive(parcel, &desk.snapshot, desk.now);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        for desk in &mut self.0 {
            desk.now.ms += millis;
            desk.now.unix_ms += millis;
        }
        self.exchange();
    }
}

fn last_event_id(sent: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(sent);
    text.lines().rev().find_map(|line| line.strip_prefix("id: ").map(str::to_owned))
}

#[test]
fn a_reader_on_another_shard_that_is_sent_away_gets_the_answer_when_it_comes_back() {
    let mut pair = Pair::new(&snapshot(|_| {}));
    let id = session(&mut pair.0[0], KEY, "2025-11-25");
    let mut poster = pair.0[0].connect();
    let sent = pair.0[0].feed(&mut poster, &within(&id, KEY, &call(9, "letting_go_twice")));
    let place = last_event_id(&sent).expect("the stream is primed");
    let mut heard = String::new();
    for _ in 0..3 {
        let mut reader = pair.0[1].connect();
        let get = bare("GET", &id, &format!("Last-Event-ID: {place}\r\n"));
        let mut sent = pair.0[1].feed(&mut reader, &get);
        pair.exchange();
        for _ in 0..6 {
            pair.pass(500);
            sent.extend(pair.0[1].pass(&mut reader, 0));
            pair.exchange();
        }
        heard = String::from_utf8_lossy(&sent).into_owned();
        assert!(heard.ends_with("0\r\n\r\n"), "neither the answer nor a farewell: {heard}");
        pair.0[1].release(reader);
        pair.exchange();
    }
    assert!(heard.contains("back"), "{heard}");
}

#[test]
fn a_drain_ends_every_stream_and_lets_none_begin() {
    let mut pair = Pair::new(&snapshot(|_| {}));
    let id = session(&mut pair.0[0], KEY, "2025-11-25");
    let mut readers = [pair.0[0].connect(), pair.0[1].connect()];
    for (shard, reader) in readers.iter_mut().enumerate().rev() {
        let other = session(&mut pair.0[0], KEY, "2025-11-25");
        pair.0[shard].feed(reader, &bare("GET", &other, ""));
        pair.exchange();
        pair.0[shard].pass(reader, 0);
    }
    let mut late = pair.0[0].connect();
    let (early, rest) = (&bare("GET", &id, "")[..20], &bare("GET", &id, "")[20..]);
    pair.0[0].feed(&mut late, early);
    // Shard 0 has ended before shard 1 hears of the drain.
    let now = pair.0[0].now;
    pair.0[0].work.drain(now);
    while pair.0[0].work.hub.poll_parcel().is_some() {}
    pair.0[1].work.drain(now);
    for (shard, mut reader) in readers.into_iter().enumerate() {
        let desk = &mut pair.0[shard];
        desk.turn(&mut Vec::new(), |turn| reader.handle_drain(turn));
        desk.pass(&mut reader, 0);
        assert!(!is_open(&reader), "shard {shard}");
    }
    pair.0[0].turn(&mut Vec::new(), |turn| late.handle_drain(turn));
    let answer = answers(&pair.0[0].feed(&mut late, rest)).remove(0);
    assert_eq!(answer.status, 503);
    assert!(!is_open(&late));
}

#[test]
fn a_batch_of_nothing_but_cancelled_calls_has_a_well_formed_answer() {
    let mut desk = desk(snapshot(|_| {}));
    let id = session(&mut desk, KEY, "2025-03-26");
    let batch = format!("[{},{}]", call(1, "resting"), call(2, "resting"));
    let request = String::from_utf8(within(&id, KEY, &batch)).unwrap();
    let request = request.replace("application/json, text/event-stream", "application/json");
    let mut connection = desk.connect();
    assert!(desk.feed(&mut connection, request.as_bytes()).is_empty());
    let cancel = |call: u32| {
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{call}}}}}"#)
    };
    let mut other = desk.connect();
    desk.feed(&mut other, &within(&id, KEY, &format!("[{},{}]", cancel(1), cancel(2))));
    let answer = answers(&desk.pass(&mut connection, 0)).remove(0);
    assert_eq!((answer.status, answer.body.len()), (202, 0));
}

#[test]
fn nobody_fills_the_table_of_streams_for_all() {
    for stay in [false, true] {
        let mut desk = desk(snapshot(|snapshot| snapshot.limits.streams_max = 8));
        let mut crowd = Vec::new();
        for _ in 0..8 {
            let id = session(&mut desk, READER_KEY, "2025-11-25");
            let mut connection = desk.connect();
            let sent = desk.feed(&mut connection, &bare_by(READER_KEY, "GET", &id, ""));
            assert!(sent.starts_with(b"HTTP/1.1 200 "));
            if stay { crowd.push(connection) } else { desk.release(connection) }
        }
        let id = session(&mut desk, KEY, "2025-11-25");
        let mut served = Vec::new();
        for _ in 0..3 {
            let mut connection = desk.connect();
            let sent = desk.feed(&mut connection, &within(&id, KEY, &call(9, "letting_go")));
            assert!(sent.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&sent));
            served.push(connection);
        }
        // Those that gave way are told.
        let mut ended = 0;
        for reader in &mut crowd {
            ended += usize::from(desk.pass(reader, 0).ends_with(b"0\r\n\r\n"));
        }
        assert_eq!(ended, if stay { 3 } else { 0 });
        let id = session(&mut desk, READER_KEY, "2025-11-25");
        let mut connection = desk.connect();
        let sent = desk.feed(&mut connection, &bare_by(READER_KEY, "GET", &id, ""));
        let status = if stay { "503" } else { "200" };
        assert_eq!(String::from_utf8_lossy(&sent).get(9..12), Some(status), "{stay}");
        assert!(desk.work.hub.streams() <= 8);
    }
}

fn start_task(desk: &mut Desk, key: &str) -> Answer {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"outliving","arguments":{{}},{meta}}}}}"#
    );
    let fields = format!(
        "X-API-Key: {key}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: outliving\r\n"
    );
    let mut connection = desk.connect();
    answers(&desk.feed(&mut connection, &post(&fields, &body))).remove(0)
}

#[test]
fn nobody_fills_the_table_of_tasks_for_all() {
    let mut desk = desk(snapshot(|snapshot| snapshot.limits.tasks_max = 4));
    for _ in 0..4 {
        assert_eq!(start_task(&mut desk, READER_KEY).json()["result"]["resultType"], "task");
    }
    assert_eq!(start_task(&mut desk, READER_KEY).status, 503);
    assert_eq!(desk.running(), 4);
    for _ in 0..2 {
        assert_eq!(start_task(&mut desk, KEY).json()["result"]["resultType"], "task");
        assert_eq!(desk.running(), 4, "whoever gives way stops working");
    }
    assert_eq!(start_task(&mut desk, KEY).status, 503);
}

#[test]
fn a_session_that_nobody_reads_is_forgotten_whatever_it_is_told() {
    let mut desk = desk(snapshot(|_| {}));
    let id = session(&mut desk, KEY, "2025-11-25");
    let mut connection = desk.connect();
    desk.feed(&mut connection, &bare("GET", &id, ""));
    desk.release(connection);
    for _ in 0..10 {
        desk.now.ms += 60_000;
        let change = Change::Lists(Lists { tools: true, ..Lists::default() });
        let (snapshot, now) = (desk.snapshot.clone(), desk.now);
        desk.work.receive(Parcel::Change(change), &snapshot, now);
        desk.work.hub.handle_time(now);
    }
    assert_eq!(desk.work.hub.streams(), 0);
}
