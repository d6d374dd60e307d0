//! Batches of 2025-03-26: every message answered as if it had come alone, and paid for as if it had.
//! Next: `tasks`.

use serde_json::{Value, json};

use mcpring::pipeline::admit::RateKey;

use crate::client::{Modern, Session, accept, accepting, answering, code, fleets, lone, text};
use crate::fixture::rate;

fn ping(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "ping"})
}

fn call(id: impl Into<Value>, name: &str, arguments: Value) -> Value {
    let params = json!({"name": name, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params})
}

fn note() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/x"})
}

#[test]
fn what_is_done_at_once_comes_in_one_array() {
    let initialize = json!({"jsonrpc": "2.0", "id": "i", "method": "initialize",
        "params": {"protocolVersion": "2025-03-26", "capabilities": {}}});
    // Ids in order, each with the code of its error.
    for (batch, status, expect) in [
        (json!([ping(1)]), 200, json!([[1, null]])),
        (json!([ping("b"), ping(1), ping("b")]), 200, json!([["b", null], [1, null], ["b", null]])),
        (json!([note(), ping(1), note()]), 200, json!([[1, null]])),
        (json!([note()]), 202, json!(null)),
        (json!([note(), {"jsonrpc": "2.0", "id": "x", "result": {}}]), 202, json!(null)),
        (json!([]), 400, json!(-32600)),
        (json!([initialize]), 200, json!([["i", -32600]])),
        (json!([ping(1), initialize, ping(2)]), 200, json!([[1, null], ["i", -32600], [2, null]])),
        (
            json!([7, ping(1), [ping(2)], null]),
            200,
            json!([[null, -32600], [1, null], [null, -32600], [null, -32600]]),
        ),
        (json!([{"jsonrpc": "2.0", "id": 3}, ping(1)]), 200, json!([[3, -32600], [1, null]])),
        (json!([ping(Value::Null), ping(1.5)]), 200, json!([[null, -32600], [null, -32600]])),
        (json!([call(1, "nope", json!({})), ping(2)]), 200, json!([[1, -32602], [2, null]])),
        (
            Value::Array((0..64).map(ping).collect()),
            200,
            Value::Array((0..64).map(|id| json!([id, null])).collect()),
        ),
        (Value::Array((0..65).map(ping).collect()), 400, json!(-32600)),
    ] {
        let mut shards = lone(|_| {});
        let session = Session::start(&mut shards, "2025-03-26", json!({}));
        for accept in ["application/json, text/event-stream", "application/json"] {
            let answer = shards.ask(&accepting(&session.post(&batch), accept));
            assert_eq!(answer.status, status, "{batch}");
            if expect.is_null() {
                assert!(answer.body.is_empty(), "{batch}");
            } else if let Some(expect) = expect.as_array() {
                let answers = answer.json();
                let answers = answers.as_array().unwrap();
                let short = |one: &Value| json!([one.get("id"), one["error"]["code"]]);
                assert_eq!(answers.iter().map(short).collect::<Vec<_>>(), *expect, "{batch}");
            } else {
                assert_eq!(code(&answer), expect.as_i64().unwrap(), "{batch}");
            }
        }
    }
}

#[test]
fn other_revisions_have_no_batches() {
    let mut shards = lone(|_| {});
    for revision in ["2025-06-18", "2025-11-25", "2024-11-05"] {
        let session = Session::start(&mut shards, revision, json!({}));
        let answer = shards.ask(&session.post(&json!([ping(1)])));
        assert_eq!((answer.status, code(&answer)), (400, -32600), "{revision}");
    }
    let session = Session::start(&mut shards, "2025-03-26", json!({}));
    let modern = String::from_utf8(Modern::new().request(1, "tools/list", json!({}))).unwrap();
    let (_, body) = modern.split_once("\r\n\r\n").unwrap();
    let answer = shards.ask(&session.post(&json!([serde_json::from_str::<Value>(body).unwrap()])));
    assert!(
        answer.status == 400 || answer.json()[0]["error"]["code"].is_i64(),
        "a modern message has no batch"
    );
}

#[test]
fn what_takes_its_time_comes_on_one_stream_each_answer_once() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-03-26", answering());
        let batch = json!([
            call("late", "work", json!({"ms": 100})),
            ping("now"),
            call("asks", "ask", json!({})),
            note(),
            call("wrong", "nope", json!({})),
        ]);
        let line = shards.open(&session.post(&batch));
        let question =
            shards.messages(line).into_iter().find(|message| message["method"].is_string()).unwrap();
        shards.ask(&session.reply(&question, accept(json!({"name": "Ada"}))));
        shards.pass(100);
        let messages = shards.messages(line);
        let mut ids: Vec<&str> = messages
            .iter()
            .filter(|one| one.get("method").is_none())
            .map(|one| one["id"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, ["asks", "late", "now", "wrong"]);
        assert!(shards.is_answered(line), "after the last answer the stream ends");
        assert_eq!(text(messages.iter().find(|one| one["id"] == "asks").unwrap()), "hello Ada");
        // Cut before the first answer, it goes on elsewhere.
        let line = shards.open(&session.post(&json!([ping(1), call(2, "work", json!({"ms": 100}))])));
        let id = shards.last_id(line);
        shards.cut(line);
        shards.pass(100);
        let line = shards.open(&session.get(id.as_deref()));
        assert_eq!(shards.messages(line).len(), 1);
        assert_eq!(text(&shards.messages(line)[0]), "worked");
        // One that is given up has no answer, and nobody waits for it.
        let line = shards.open(&session.post(&json!([ping(1), call(2, "work", json!({"ms": 9000}))])));
        shards.ask(&session.cancel(2));
        assert!(shards.is_answered(line) && shards.running() == 0);
        assert_eq!(shards.messages(line).len(), 1);
    }
}

#[test]
fn who_takes_only_json_gets_one_array_when_all_is_done() {
    for (mut shards, _) in fleets().into_iter().take(2) {
        let session = Session::start(&mut shards, "2025-03-26", answering());
        let batch = json!([
            call(1, "work", json!({"ms": 100})),
            ping(2),
            call(3, "report", json!({})),
            call(4, "ask", json!({}))
        ]);
        let line = shards.open(&accepting(&session.post(&batch), "application/json"));
        (0..3).for_each(|_| shards.pass(100));
        let answers = shards.answer(line).json();
        let mut ids: Vec<i64> =
            answers.as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4]);
        // Its caller gone, nobody can come back for it.
        let line = shards.open(&accepting(&session.post(&batch), "application/json"));
        shards.cut(line);
        assert_eq!(shards.running(), 0);
    }
}

#[test]
fn every_message_of_a_batch_pays() {
    for (batch, paid, answers) in [
        (vec![ping(1), ping(2), ping(3)], 3, 3),
        (vec![ping(1), note(), note()], 3, 1),
        (vec![note(), note(), note()], 3, 0),
        (vec![json!(7), json!(7), ping(1)], 3, 3),
        (vec![ping(1), json!({"jsonrpc": "2.0", "id": "x", "result": {}}), ping(2)], 3, 2),
    ] {
        // The handshake and its notification have paid two; then there is enough for the batch and one more.
        for (tokens, is_left) in [(paid + 1, true), (paid, false)] {
            let mut shards = lone(|snapshot| snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 2 + tokens)]);
            let session = Session::start(&mut shards, "2025-03-26", json!({}));
            let answer = shards.ask(&session.post(&Value::Array(batch.clone())));
            if answers > 0 {
                let codes = answer
                    .json()
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|one| one["error"]["code"] == 429)
                    .count();
                assert_eq!((answer.json().as_array().unwrap().len(), codes), (answers, 0), "{batch:?}");
            }
            let next = shards.ask(&session.request(9, "ping", json!({}))).status;
            assert_eq!(next == 200, is_left, "{batch:?} with {tokens} tokens");
        }
    }
    // What is not paid for is not done.
    let mut shards = lone(|snapshot| snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 5)]);
    let session = Session::start(&mut shards, "2025-03-26", json!({}));
    let line = shards.open(&session.call("w", "work", json!({"ms": 9000})));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "w"}});
    let answer = shards.ask(&session.post(&json!([ping(1), ping(2), ping(3), cancel]))).json();
    assert_eq!((&answer[1]["error"], &answer[2]["error"]["code"]), (&Value::Null, &json!(429)), "{answer}");
    assert_eq!(shards.running(), 1);
    shards.cut(line);
}
