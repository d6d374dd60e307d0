//! Streams that are open while keys are taken away or roles change.
//! Next: `bounds`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use mcpring::pipeline::authenticate::keys::KeyEntry;

use super::*;
use crate::fixture::{identities, key};

fn keys(snapshot: &mut Snapshot, keys: Vec<KeyEntry>) {
    snapshot.identities = identities(keys, 0);
}

fn listen(desk: &mut Desk, connection: &mut Connection) -> Vec<u8> {
    let params = r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["note://one"]}"#;
    let request = modern("1", "subscriptions/listen", params, "");
    desk.feed(connection, &request)
}

fn tell(desk: &mut Desk, change: Change) {
    let (snapshot, now) = (desk.snapshot.clone(), desk.now);
    desk.work.receive(Parcel::Change(change), &snapshot, now);
}

const TOOLS: Change = Change::Lists(Lists { tools: true, prompts: false, resources: false });

#[test]
fn a_stream_ends_with_the_key_of_its_reader() {
    for wakes in [true, false] {
        let mut desk = desk(snapshot(|_| {}));
        let id = session(&mut desk, KEY, "2025-11-25");
        let mut readers = [desk.connect(), desk.connect(), desk.connect()];
        let [subscriber, notified, caller] = &mut readers;
        listen(&mut desk, subscriber);
        desk.feed(notified, &bare("GET", &id, ""));
        assert!(desk.feed(caller, &modern_resting()).is_empty());
        desk.reload(snapshot(|snapshot| {
            snapshot.generation = 2;
            keys(snapshot, vec![key("reader", READER_KEY, 2)]);
        }));
        if wakes {
            tell(&mut desk, TOOLS);
        }
        let [subscriber, notified, caller] = &mut readers;
        for reader in [subscriber, notified] {
            let sent = desk.pass(reader, if wakes { 0 } else { 15_000 });
            assert_eq!(String::from_utf8_lossy(&sent), "0\r\n\r\n");
        }
        // What was let in is answered.
        assert!(String::from_utf8_lossy(&desk.pass(caller, 10_000)).contains("rested"));
        assert_eq!(desk.work.hub.streams(), 1, "the session's own, which nobody reads");
    }
}

fn modern_resting() -> Vec<u8> {
    modern("2", "tools/call", r#""name":"resting","arguments":{}"#, "Mcp-Name: resting\r\n")
}

#[test]
fn a_stream_ends_when_its_readers_key_expires() {
    let mut desk = desk(snapshot(|snapshot| {
        let mut expiring = key("operator", KEY, 1);
        expiring.expires_at_s = 1_795_400_000 + 20;
        keys(snapshot, vec![expiring]);
    }));
    let mut reader = desk.connect();
    listen(&mut desk, &mut reader);
    assert!(!desk.pass(&mut reader, 15_000).ends_with(b"0\r\n\r\n"), "still good");
    assert!(desk.pass(&mut reader, 15_000).ends_with(b"0\r\n\r\n"));
    assert_eq!(desk.work.hub.streams(), 0);
}

#[test]
fn nobody_is_told_of_a_resource_it_may_not_read_any_more() {
    for may_read in [true, false] {
        let mut desk = desk(snapshot(|_| {}));
        let mut reader = desk.connect();
        assert!(String::from_utf8_lossy(&listen(&mut desk, &mut reader)).contains("note://one"));
        desk.reload(snapshot(|snapshot| {
            snapshot.generation = 2;
            let allow = if may_read { "**" } else { "tools/**" };
            let rules = [role("operator", &[allow]), role("reader", &["**"])];
            snapshot.policy =
                Policy::compile(&rules, &snapshot.registry).expect("the patterns are well-formed");
        }));
        desk.pass(&mut reader, 15_000);
        tell(&mut desk, Change::Resource("note://one".into()));
        tell(&mut desk, TOOLS);
        let sent = desk.pass(&mut reader, 0);
        let text = String::from_utf8_lossy(&sent);
        assert_eq!(text.contains("note://one"), may_read, "{text}");
        assert!(text.contains("list_changed"), "{text}");
    }
}

#[test]
fn a_reload_has_every_reader_look_again() {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }
    let mut desk = desk(snapshot(|_| {}));
    let id = session(&mut desk, KEY, "2025-11-25");
    let mut reader = desk.connect();
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut input = bare("GET", &id, "");
    desk.turn_woken_by(&waker, &mut Vec::new(), |turn| reader.handle_bytes(&mut input, turn));
    assert!(!woken.0.load(Ordering::Acquire));
    desk.reload(snapshot(|snapshot| snapshot.generation = 2));
    assert!(woken.0.load(Ordering::Acquire));
}
