//! Legacy sessions: what is asked of every message, how long they last, who may use them, what subscribing means.
//! Next: `batches`.

use serde_json::json;

use crate::client::{Modern, OTHER_KEY, Session, code, fleets, lone};
use crate::fixture::{KEY, READER_KEY};

#[test]
fn a_session_ends_with_its_time_whatever_is_asked() {
    let mut shards = lone(|_| {});
    let session = Session::start(&mut shards, "2025-11-25", json!({}));
    let listening = shards.open(&session.get(None));
    shards.pass(23 * 3600 * 1000);
    assert_eq!(shards.ask(&session.request(1, "ping", json!({}))).status, 200);
    shards.cut(listening);
    shards.pass(3600 * 1000);
    for request in [
        session.request(1, "ping", json!({})),
        session.call(1, "echo", json!({"message": "x"})),
        session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
        session.post(&json!({"jsonrpc": "2.0", "id": "x", "result": {}})),
        session.get(None),
        session.delete(),
    ] {
        assert_eq!(shards.ask(&request).status, 404, "{}", String::from_utf8_lossy(&request));
    }
}

#[test]
fn a_session_is_nobody_elses_for_any_message() {
    for (mut shards, _) in fleets().into_iter().take(3) {
        let session = Session::start(&mut shards, "2025-03-26", json!({}));
        for key in [OTHER_KEY, READER_KEY] {
            let stolen = Session { key, ..session.clone() };
            for request in [
                stolen.request(1, "ping", json!({})),
                stolen.call(1, "time", json!({})),
                stolen.cancel(1),
                stolen.post(&json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}])),
                stolen.post(&json!({"jsonrpc": "2.0", "id": "x", "result": {}})),
                stolen.get(None),
                stolen.delete(),
            ] {
                assert_eq!(shards.ask(&request).status, 404, "{}", String::from_utf8_lossy(&request));
            }
        }
        assert_eq!(
            shards.ask(&session.request(1, "ping", json!({}))).status,
            200,
            "the theft has ended nothing"
        );
    }
}

#[test]
fn without_a_session_there_is_only_the_handshake() {
    let mut shards = lone(|_| {});
    let nobody = |body: serde_json::Value| {
        crate::fixture::post(&format!("Authorization: Bearer {KEY}\r\n"), &body.to_string())
    };
    for body in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": "x", "result": {}}),
        json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]),
    ] {
        assert_eq!(shards.ask(&nobody(body.clone())).status, 400, "{body}");
    }
    for params in [json!({}), json!({"protocolVersion": 7}), json!({"protocolVersion": null})] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        assert_eq!(code(&shards.ask(&nobody(body))), -32602, "{params}");
    }
}

#[test]
fn capabilities_say_what_there_is_in_both_eras() {
    let mut shards = lone(|_| {});
    let expect = json!({"logging": {}, "tools": {"listChanged": true}, "prompts": {"listChanged": true},
        "resources": {"subscribe": true, "listChanged": true}, "completions": {}});
    let discovered = shards.ask(&Modern::new().request(1, "server/discover", json!({}))).json();
    let mut modern = expect.clone();
    modern["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
    assert_eq!(discovered["result"]["capabilities"], modern);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
    let answer = shards.ask(&crate::fixture::post(&format!("X-API-Key: {KEY}\r\n"), &body.to_string()));
    assert_eq!(answer.json()["result"]["capabilities"], expect);
}

#[test]
fn a_session_subscribes_to_what_it_may_read() {
    for (mut shards, _) in fleets().into_iter().take(3) {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        let mut subscribe = |uri: serde_json::Value| {
            let answer = shards.ask(&session.request(1, "resources/subscribe", json!({"uri": uri}))).json();
            answer["error"]["code"].as_i64()
        };
        for (uri, error) in [
            (json!("docs://motto"), None),
            (json!("notes://anything"), None),
            (json!("docs://nope"), Some(-32002)),
            (json!("file:///etc/passwd"), Some(-32002)),
            (json!(7), Some(-32602)),
        ] {
            assert_eq!(subscribe(uri.clone()), error, "{uri}");
        }
        for level in [json!("loud"), json!(1), json!(null), json!("Info")] {
            let answer = shards.ask(&session.request(1, "logging/setLevel", json!({"level": level})));
            assert_eq!(code(&answer), -32602, "{level}");
        }
        let listening = shards.open(&session.get(None));
        for uri in ["docs://motto", "me://name", "notes://anything", "notes://else"] {
            shards.updated(uri);
        }
        let told: Vec<_> =
            shards.messages(listening).iter().map(|message| message["params"]["uri"].clone()).collect();
        assert_eq!(told, ["docs://motto", "notes://anything"]);
    }
}

#[test]
fn a_stream_is_not_read_beyond_its_session() {
    for (mut shards, _) in fleets() {
        for revision in ["2025-11-25", "2025-06-18"] {
            let session = Session::start(&mut shards, revision, json!({}));
            let uri = json!({"uri": "docs://motto"});
            shards.ask(&session.request(1, "resources/subscribe", uri));
            let lines = [shards.open(&session.get(None)), shards.open(&session.get(None))];
            shards.pass(24 * 3600 * 1000 - 1000);
            shards.updated("docs://motto");
            assert_eq!(shards.messages(lines[1]).len(), 1);
            (0..4).for_each(|_| shards.pass(5_000));
            assert!(shards.is_answered(lines[1]), "{revision}");
            shards.cut(lines[1]);
        }
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0);
    }
}
