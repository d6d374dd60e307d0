//! The revisions with a handshake: sessions sealed into their ids, bound to their principal.
//! Next: `http`.

use serde_json::{Value, json};

use crate::fixture::{Answer, Desk, KEY, READER_KEY, answers, post, snapshot};

fn send(desk: &mut Desk, fields: &str, body: &str) -> Answer {
    let mut connection = desk.connect();
    answers(&desk.feed(&mut connection, &post(fields, body))).remove(0)
}

fn initialize(desk: &mut Desk, version: &str, key: &str) -> (Answer, String) {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    );
    let answer = send(desk, &format!("Authorization: bearer {key}\r\n"), &body);
    let session =
        answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap_or("").to_owned();
    (answer, session)
}

fn in_session(desk: &mut Desk, session: &str, version: &str, body: &str) -> Answer {
    let version =
        if version.is_empty() { String::new() } else { format!("MCP-Protocol-Version: {version}\r\n") };
    send(desk, &format!("X-API-Key: {KEY}\r\nMcp-Session-Id: {session}\r\n{version}"), body)
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;

#[test]
fn the_handshake_agrees_on_a_revision_and_opens_a_session() {
    for (asked, answered) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let mut desk = Desk::new(snapshot());
        let (answer, session) = initialize(&mut desk, asked, KEY);
        let result = answer.json()["result"].clone();
        assert_eq!(result["protocolVersion"], answered, "{asked}");
        assert_eq!(result["serverInfo"], json!({"name": "mcpring", "version": "0.1.0"}));
        assert!(result.get("resultType").is_none());
        let ready = in_session(
            &mut desk,
            &session,
            answered,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        );
        assert_eq!((ready.status, ready.body.len()), (202, 0));
        let ping = in_session(&mut desk, &session, answered, r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
        assert_eq!(ping.json(), json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
        let list = in_session(&mut desk, &session, "", LIST).json();
        assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 3);
        assert!(list["result"].get("ttlMs").is_none());
        let call = in_session(
            &mut desk,
            &session,
            answered,
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}"#,
        );
        assert_eq!(
            call.json()["result"],
            json!({"content": [{"type": "text", "text": "hi"}], "isError": false})
        );
    }
}

#[test]
fn a_session_is_needed_and_worth_nothing_to_anyone_else() {
    let mut desk = Desk::new(snapshot());
    let (_, session) = initialize(&mut desk, "2025-11-25", KEY);
    let reader = |session: &str| format!("X-API-Key: {READER_KEY}\r\nMcp-Session-Id: {session}\r\n");
    let operator = |rest: &str| format!("X-API-Key: {KEY}\r\n{rest}");
    let forged = session.replace(&session[10..11], if &session[10..11] == "A" { "B" } else { "A" });
    for (fields, status, reason) in [
        (operator(""), 400, "session_required"),
        (operator("Mcp-Session-Id: nonsense\r\n"), 404, "session_unknown"),
        (operator(&format!("Mcp-Session-Id: {forged}\r\n")), 404, "session_unknown"),
        (reader(&session), 404, "session_unknown"),
        (
            operator(&format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2019-01-01\r\n")),
            400,
            "header_mismatch",
        ),
        (
            operator(&format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2026-07-28\r\n")),
            400,
            "metadata_missing",
        ),
    ] {
        let answer = send(&mut desk, &fields, LIST);
        assert_eq!(
            (answer.status, &answer.json()["error"]["data"]["reason"]),
            (status, &json!(reason)),
            "{fields}"
        );
    }
    let discover = in_session(
        &mut desk,
        &session,
        "2025-11-25",
        r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#,
    );
    assert_eq!((discover.status, &discover.json()["error"]["code"]), (200, &json!(-32601)));
    let posted = in_session(&mut desk, &session, "2025-11-25", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(posted.status, 202);
}

#[test]
fn a_session_opens_on_every_shard_and_after_the_one_that_made_it_is_gone() {
    let mut first = Desk::new(snapshot());
    let (_, session) = initialize(&mut first, "2025-06-18", KEY);
    let mut other = Desk::new(snapshot());
    let list: Value = in_session(&mut other, &session, "2025-06-18", LIST).json();
    assert!(list["result"]["tools"].is_array());
}
