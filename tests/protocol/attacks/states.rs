//! States of calls that asked, brought back by the wrong hands or for the wrong call.
//! Next: `mod.rs`.

use super::*;

/// Capabilities of a client that can be asked.
const ASKED: &str = r#"{"elicitation":{"form":{}}}"#;

#[test]
fn a_state_is_worth_nothing_for_other_arguments_however_they_are_written() {
    const AGREED: &str = r#""inputResponses":{"agreed":{"action":"accept","content":{"ok":true}}}"#;
    for (first, second, is_same) in [
        (r#""arguments":{"amount":5}"#, r#""arguments":{"amount":5}"#, true),
        (r#""arguments":{"amount":5}"#, r#""arguments":{"amount":500}"#, false),
        (r#""z\u0000\"v\"\u0000arguments":{"amount":500}"#, r#""z":"v","arguments":{"amount":500}"#, false),
    ] {
        let mut desk = desk(snapshot(|_| {}));
        let asked = modern_call(&mut desk, KEY, "paying", ASKED, first).json();
        let state = asked["result"]["requestState"].as_str().unwrap_or_else(|| panic!("{asked}"));
        let params = format!(r#"{second},{AGREED},"requestState":"{state}""#);
        let answer = modern_call(&mut desk, KEY, "paying", ASKED, &params).json();
        assert_eq!(answer["error"]["data"]["reason"] == "request_state", !is_same, "{answer}");
        let stolen = modern_call(&mut desk, READER_KEY, "paying", ASKED, &params).json();
        assert_eq!(stolen["error"]["data"]["reason"], "request_state");
    }
}

#[test]
fn a_request_that_is_refused_uses_no_state_up() {
    let mut desk = desk(snapshot(|snapshot| {
        let mut registry = Registry::default();
        let paying = Tool::deferred::<Amount, _>("paying", "", |_, context| {
            Ok(async move {
                let Agreement { ok } = context.elicit("agreed", "Is that right?").await?.accepted()?;
                said(&ok.to_string())
            })
        });
        registry.register(paying.single_use_state()).expect("one tool");
        snapshot.policy = Policy::compile(&[role("operator", &["**"])], &registry).expect("one pattern");
        snapshot.registry = Arc::new(registry);
    }));
    let first = r#""arguments":{"amount":5}"#;
    let asked = modern_call(&mut desk, KEY, "paying", ASKED, first).json();
    let state = asked["result"]["requestState"].as_str().unwrap_or_else(|| panic!("{asked}"));
    let agreed = r#"{"agreed":{"action":"accept","content":{"ok":true}}}"#;
    for (responses, is_done) in [("[]", false), (r#"{"agreed":7}"#, false), (agreed, true), (agreed, false)] {
        let params = format!(r#"{first},"inputResponses":{responses},"requestState":"{state}""#);
        let answer = modern_call(&mut desk, KEY, "paying", ASKED, &params).json();
        assert_eq!(answer.get("result").is_some(), is_done, "{responses}: {answer}");
    }
}

#[test]
fn no_modern_stream_carries_a_question() {
    let mut desk = desk(snapshot(|_| {}));
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{ASKED},"progressToken":1}}"#
    );
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"impatient","arguments":{{}},{meta}}}}}"#
    );
    let fields = format!(
        "X-API-Key: {KEY}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: impatient\r\n"
    );
    let mut connection = desk.connect();
    let sent = desk.feed(&mut connection, &post(&fields, &body));
    let events = answers(&sent).remove(0).events();
    let kinds: Vec<_> = events.iter().map(|event| event["method"].as_str().unwrap_or("answer")).collect();
    assert_eq!(kinds, ["notifications/progress", "answer"]);
}
