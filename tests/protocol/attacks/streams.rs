//! Streams that are cut, sent away, or hidden in bodies.
//! Next: `shards`.

use std::sync::Barrier;
use std::sync::mpsc::channel;

use super::*;

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
fn what_a_thread_reports_is_heard_before_it_is_done() {
    let (has_said, may_end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (says, ends) = (Arc::clone(&has_said), Arc::clone(&may_end));
    let tool = Tool::blocking("threaded", "", move |_: Nothing, context| {
        context.progress(Progress { progress: 1.0, total: None, message: None });
        says.wait();
        ends.wait();
        said("done")
    });
    let mut desk = desk(snapshot(|snapshot| {
        let mut registry = Registry::default();
        registry.register(tool).expect("one tool");
        snapshot.policy = Policy::compile(&[role("operator", &["**"])], &registry).expect("one pattern");
        snapshot.registry = Arc::new(registry);
    }));
    let (sender, receiver) = channel::<Box<dyn FnOnce() + Send>>();
    desk.work.offload = Arc::new(move |_, work| sender.send(work).is_ok());
    let id = session(&mut desk, KEY, "2025-06-18");
    let mut connection = desk.connect();
    assert!(desk.feed(&mut connection, &within(&id, KEY, &call(1, "threaded"))).is_empty());
    let work = receiver.recv().expect("the tool asks for a thread");
    let thread = std::thread::spawn(work);
    has_said.wait();
    let heard = desk.pass(&mut connection, 0);
    may_end.wait();
    thread.join().expect("the thread ends");
    assert!(String::from_utf8_lossy(&heard).contains("notifications/progress"));
    assert!(String::from_utf8_lossy(&desk.pass(&mut connection, 0)).contains("done"));
}

#[test]
fn a_call_that_panics_when_it_is_given_up_harms_nobody() {
    let mut desk = desk(snapshot(|_| {}));
    let mut connection = desk.connect();
    let request = modern("2", "tools/call", r#""name":"guarded","arguments":{}"#, "Mcp-Name: guarded\r\n");
    assert!(desk.feed(&mut connection, &request).is_empty());
    desk.release(connection);
    assert_eq!((desk.running(), desk.work.hub.streams()), (0, 0));
}

#[test]
fn whoever_was_away_for_too_long_gets_what_is_left() {
    let mut desk = desk(snapshot(|snapshot| snapshot.limits.event_buffer_size = 8));
    let id = session(&mut desk, KEY, "2025-11-25");
    let mut connection = desk.connect();
    let place =
        last_event_id(&desk.feed(&mut connection, &bare("GET", &id, ""))).expect("the stream is primed");
    desk.release(connection);
    for _ in 0..20 {
        let change = Change::Lists(Lists { tools: true, ..Lists::default() });
        let (snapshot, now) = (desk.snapshot.clone(), desk.now);
        desk.work.receive(Parcel::Change(change), &snapshot, now);
    }
    for fields in ["".to_owned(), format!("Last-Event-ID: {place}\r\n")] {
        let mut connection = desk.connect();
        let sent = desk.feed(&mut connection, &bare("GET", &id, &fields));
        let text = String::from_utf8_lossy(&sent);
        assert_eq!(text.matches("list_changed").count(), 8, "{text}");
        assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    }
}
