//! What a batch could hide or get for nothing.
//! Next: `bounds`.

use mcpring::pipeline::admit::RateKey;
use mcpring::pipeline::event::Count;

use super::*;
use crate::fixture::rate;

fn batch(messages: &[String]) -> String {
    format!("[{}]", messages.join(","))
}

#[test]
fn every_message_of_a_batch_pays_also_one_that_wants_no_answer() {
    let cancel =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#.to_owned();
    let answer = r#"{"jsonrpc":"2.0","id":"0-0-00000000000000000000000000000000","result":{}}"#.to_owned();
    for message in [cancel, answer] {
        let mut desk = desk(snapshot(|snapshot| snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 10)]));
        let id = session(&mut desk, KEY, "2025-03-26");
        let mut connection = desk.connect();
        let messages = vec![message; 20];
        let sent = desk.feed(&mut connection, &within(&id, KEY, &batch(&messages)));
        assert!(sent.starts_with(b"HTTP/1.1 202 "));
        // Ten tokens: the handshake, the batch with its first message, and eight more.
        assert_eq!(desk.work.events.total(Count::AdmitRefused), 11);
        let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        assert_eq!(answers(&desk.feed(&mut connection, &within(&id, KEY, ping))).remove(0).status, 429);
    }
}

#[test]
fn what_is_refused_in_a_batch_is_recorded() {
    let mut desk = desk(snapshot(|snapshot| {
        let rules = [role("operator", &["tools/list", "server/discover"]), role("reader", &["**"])];
        snapshot.policy = Policy::compile(&rules, &snapshot.registry).expect("the patterns are well-formed");
    }));
    let id = session(&mut desk, KEY, "2025-03-26");
    let mut connection = desk.connect();
    let messages = [call(1, "resting"), call(2, "resting"), "7".to_owned()];
    desk.feed(&mut connection, &within(&id, KEY, &batch(&messages)));
    let mut reasons = Vec::new();
    while let Some(record) = desk.work.events.poll_record() {
        reasons.push((record.reason, record.method));
    }
    let forbidden = ("forbidden", "tools/call");
    assert_eq!(reasons, [forbidden, forbidden, ("invalid_request", "")]);
}

#[test]
fn every_call_of_a_batch_is_answered_also_when_the_first_fails() {
    let mut desk = desk(snapshot(|snapshot| snapshot.limits.request_timeout = Duration::from_secs(2)));
    let id = session(&mut desk, KEY, "2025-03-26");
    let mut connection = desk.connect();
    let messages = [call(1, "resting"), call(2, "resting"), call(3, "resting")];
    let mut sent = desk.feed(&mut connection, &within(&id, KEY, &batch(&messages)));
    for _ in 0..3 {
        sent.extend(desk.pass(&mut connection, 1000));
    }
    let mut answered: Vec<u64> =
        answers(&sent).remove(0).events().iter().filter_map(|event| event["id"].as_u64()).collect();
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3]);
}
