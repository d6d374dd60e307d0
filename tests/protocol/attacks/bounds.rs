//! Tables that somebody tries to fill for all.
//! Next: `states`.

use mcpring::tools::{Contents, ResourceTemplate};

use super::*;

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
    let capabilities = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    modern_call(desk, key, "outliving", capabilities, r#""arguments":{}"#)
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

#[test]
fn no_subscription_keeps_a_long_name() {
    let mut desk = desk(snapshot(|snapshot| {
        let mut registry = tools();
        let template = ResourceTemplate::new("note://{+path}", "any", "text/plain", |_, _| async {
            Ok(Contents::text("1"))
        });
        registry.register_template(template).expect("one template");
        let rules = [role("operator", &["**"]), role("reader", &["**"])];
        snapshot.policy = Policy::compile(&rules, &registry).expect("the patterns are well-formed");
        snapshot.registry = Arc::new(registry);
    }));
    for (length, is_kept) in [(2000, true), (3000, false), (900_000, false)] {
        let uri = format!("note://{}", "x".repeat(length));
        let id = session(&mut desk, KEY, "2025-11-25");
        let mut connection = desk.connect();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{{"uri":"{uri}"}}}}"#
        );
        let answer = answers(&desk.feed(&mut connection, &within(&id, KEY, &body))).remove(0).json();
        assert_eq!(answer["result"].is_object(), is_kept, "{length}");
        let params = format!(r#""notifications":{{"resourceSubscriptions":["{uri}"]}}"#);
        let sent = desk.feed(&mut connection, &modern("1", "subscriptions/listen", &params, ""));
        assert_eq!(String::from_utf8_lossy(&sent).contains("acknowledged"), is_kept, "{length}");
    }
}
