//! What the reference servers get wrong or leave open, a row each: origins, eras, shapes, ids, media types.
//! Next: `lists`.

use serde_json::{Value, json};

use crate::client::{Modern, OTHER_KEY, Session, accepting, code, fleets, lone};
use crate::fixture::{KEY, READER_KEY, post};

const V: &str = "MCP-Protocol-Version: 2026-07-28\r\n";

fn key() -> String {
    format!("Authorization: Bearer {KEY}\r\n")
}

/// A request line with fields and no body.
fn bare(line: &str, fields: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}{fields}\r\n", key())
        .into_bytes()
}

#[test]
fn an_origin_is_judged_whatever_the_host() {
    let mut shards = lone(|_| {});
    let good = String::from_utf8(Modern::new().request(1, "tools/list", json!({}))).unwrap();
    let session = Session::start(&mut shards, "2025-11-25", json!({}));
    let [get, delete] =
        [session.get(None), session.delete()].map(|request| String::from_utf8(request).unwrap());
    for (host, origin, status) in [
        ("localhost:3000", None, 200),
        ("localhost:3000", Some("https://localhost"), 200),
        ("localhost:3000", Some("HTTPS://LOCALHOST"), 200),
        ("localhost:3000", Some("http://evil.example.com"), 403),
        ("localhost:3000", Some("https://localhost.evil.example.com"), 403),
        ("localhost:3000", Some("https://localhost:1"), 403),
        ("localhost:3000", Some("null"), 403),
        ("localhost:3000", Some(""), 403),
        ("evil.example.com", Some("https://localhost"), 421),
        ("evil.example.com", None, 421),
    ] {
        let origin = origin.map(|origin| format!("\r\nOrigin: {origin}")).unwrap_or_default();
        let edited = |request: &str| {
            let (before, rest) = request.split_once("Host: ").unwrap();
            let (_, after) = rest.split_once("\r\n").unwrap();
            format!("{before}Host: {host}{origin}\r\n{after}").into_bytes()
        };
        let answer = shards.ask(&edited(&good));
        assert_eq!(answer.status, status, "{host} {origin}");
        if status != 200 {
            assert!(answer.json().get("id").is_none_or(Value::is_null), "nobody has read an id");
            // MCP 2025-11-25, Streamable HTTP: on all connections, not only where a message is posted.
            assert_eq!(shards.ask(&edited(&get)).status, status, "GET {host} {origin}");
            assert_eq!(shards.ask(&edited(&delete)).status, status, "DELETE {host} {origin}");
        }
    }
}

#[test]
fn the_modern_era_takes_one_request_or_notification_and_nothing_else() {
    let mut shards = lone(|_| {});
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for (body, status, error) in [
        (format!("[{request}]"), 400, Some(-32600)),
        ("[]".to_owned(), 400, Some(-32600)),
        (r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1e2,"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":true,"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":[],"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"id":1,"method":"tools/list"}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#.to_owned(), 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":7}"#.to_owned(), 400, Some(-32600)),
        (format!("{request}{request}"), 400, Some(-32700)),
        (format!("\u{feff}{request}"), 400, Some(-32700)),
        ("7".to_owned(), 400, Some(-32600)),
        ("nonsense".to_owned(), 400, Some(-32700)),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#.to_owned(),
            202,
            None,
        ),
        (r#"{"jsonrpc":"2.0","method":"notifications/whatever"}"#.to_owned(), 202, None),
    ] {
        let answer = shards.ask(&post(&format!("{}{V}", key()), &body));
        assert_eq!(answer.status, status, "{body}");
        match error {
            Some(error) => assert_eq!(code(&answer), error, "{body}"),
            None => assert!(answer.body.is_empty(), "{body}"),
        }
    }
    // Header rules of notifications are undefined, so only a contradiction is refused.
    let note = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
    for (method, status) in [("notifications/x", 202), ("tools/list", 400)] {
        let fields = format!("{}{V}Mcp-Method: {method}\r\n", key());
        assert_eq!(shards.ask(&post(&fields, note)).status, status, "{method}");
    }
}

#[test]
fn reading_and_deleting_belong_to_legacy_sessions() {
    let mut shards = lone(|_| {});
    let session = Session::start(&mut shards, "2025-11-25", json!({}));
    let named = format!("Mcp-Session-Id: {}\r\n", session.id);
    for line in ["GET /mcp", "DELETE /mcp", "PUT /mcp", "PATCH /mcp"] {
        for fields in [String::new(), V.to_owned(), format!("{V}{named}"), format!("{V}Last-Event-ID: 1\r\n")]
        {
            let answer = shards.ask(&bare(line, &fields));
            assert_eq!(answer.status, 405, "{line} {fields}");
            assert!(answer.head.contains("\r\nallow: POST"), "{}", answer.head);
        }
    }
    let odd = bare("GET /mcp", &format!("{named}MCP-Protocol-Version: 2019-01-01\r\n"));
    assert_eq!(shards.ask(&odd).status, 400);
    let json_only =
        String::from_utf8(session.get(None)).unwrap().replace("text/event-stream", "application/json");
    assert_eq!(shards.ask(json_only.as_bytes()).status, 406);
    // MCP 2026-07-28: a session id and a place in a stream are ignored, and none is made.
    let headers = format!("{named}Last-Event-ID: x\r\n");
    let answer = shards.ask(&Modern { headers, ..Modern::new() }.request(1, "tools/list", json!({})));
    assert_eq!(answer.status, 200);
    assert!(!answer.head.contains("mcp-session-id"), "{}", answer.head);
}

#[test]
fn every_wish_for_a_form_of_answer_is_met_or_refused() {
    for (accept, form) in [
        ("application/json, text/event-stream", Some("application/json")),
        ("text/event-stream, application/json", Some("application/json")),
        ("application/json", Some("application/json")),
        ("APPLICATION/JSON", Some("application/json")),
        ("text/event-stream", Some("text/event-stream")),
        ("*/*", Some("application/json")),
        ("application/*", Some("application/json")),
        ("text/*", Some("text/event-stream")),
        ("application/json;q=0.5, text/event-stream;q=0", Some("application/json")),
        ("application/json;q=0, text/event-stream", Some("text/event-stream")),
        ("text/html, */*;q=0.1", Some("application/json")),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/xml, image/*", None),
    ] {
        let mut shards = lone(|_| {});
        let request = Modern::new().call(1, "echo", json!({"message": "x"}));
        let answer = shards.ask(&accepting(&request, accept));
        match form {
            Some(form) => {
                assert_eq!(answer.status, 200, "{accept}");
                assert!(answer.head.contains(&format!("content-type: {form}")), "{accept}: {}", answer.head);
            }
            None => assert_eq!(answer.status, 406, "{accept}"),
        }
    }
}

#[test]
fn a_body_that_is_not_json_by_its_type_is_not_read() {
    for (content_type, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ("text/plain", 415),
        ("application/json-patch+json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ] {
        let mut shards = lone(|_| {});
        let request = String::from_utf8(Modern::new().request(1, "tools/list", json!({}))).unwrap();
        let request =
            request.replace("Content-Type: application/json", &format!("Content-Type: {content_type}"));
        assert_eq!(shards.ask(request.as_bytes()).status, status, "{content_type}");
    }
}

#[test]
fn headers_repeat_the_body_or_the_request_is_refused() {
    let mut shards = lone(|_| {});
    let call = String::from_utf8(Modern::new().call(5, "echo", json!({"message": "x"}))).unwrap();
    for (from, to, status, error) in [
        ("MCP-Protocol-Version: 2026-07-28\r\n", "", 400, -32020),
        ("MCP-Protocol-Version: 2026-07-28", "MCP-Protocol-Version: 2025-11-25", 400, -32020),
        ("Mcp-Method: tools/call\r\n", "", 400, -32020),
        ("Mcp-Method: tools/call", "Mcp-Method: TOOLS/CALL", 400, -32020),
        ("Mcp-Method: tools/call", "Mcp-Method: tools/list", 400, -32020),
        ("Mcp-Name: echo\r\n", "", 400, -32020),
        ("Mcp-Name: echo", "Mcp-Name: time", 400, -32020),
        ("Mcp-Name: echo", "Mcp-Name: Echo", 400, -32020),
        ("Mcp-Name: echo", "Mcp-Name: =?base64?ZWNobw?=", 400, -32020),
        ("Mcp-Name: echo", "Mcp-Name: =?BASE64?ZWNobw==?=", 400, -32020),
        ("Mcp-Name: echo", "Mcp-Name: =?base64?ZWNobw==", 400, -32020),
    ] {
        let answer = shards.ask(call.replace(from, to).as_bytes());
        assert_eq!((answer.status, code(&answer)), (status, error), "{to}");
        assert_eq!(answer.json()["id"], 5, "{to}");
    }
    for to in ["Mcp-Name: =?base64?ZWNobw==?=", "mcp-name:   echo  ", "MCP-NAME: echo"] {
        assert_eq!(shards.ask(call.replace("Mcp-Name: echo", to).as_bytes()).status, 200, "{to}");
    }
}

#[test]
fn arguments_in_headers_repeat_the_body() {
    let same: Value = json!({"region": "eu", "size": 7, "dry": true});
    let odd: Value = json!({"region": "d\u{fc}n"});
    let table: [(&Value, &str, bool); 14] = [
        (&same, "Mcp-Param-Region: eu\r\nMcp-Param-Size: 7\r\nMcp-Param-Dry: true\r\n", true),
        (
            &same,
            "mcp-param-region: eu\r\nMCP-PARAM-SIZE: 7\r\nMcp-Param-Dry: true\r\nMcp-Param-Else: x\r\n",
            true,
        ),
        (&same, "Mcp-Param-Region: us\r\nMcp-Param-Size: 7\r\nMcp-Param-Dry: true\r\n", false),
        (&same, "Mcp-Param-Region: eu\r\nMcp-Param-Size: 8\r\nMcp-Param-Dry: true\r\n", false),
        (&same, "Mcp-Param-Region: eu\r\nMcp-Param-Size: 7\r\nMcp-Param-Dry: TRUE\r\n", false),
        (&same, "Mcp-Param-Region: eu\r\nMcp-Param-Size: 7\r\n", false),
        (
            &same,
            "Mcp-Param-Region: eu\r\nMcp-Param-Region: eu\r\nMcp-Param-Size: 7\r\nMcp-Param-Dry: true\r\n",
            false,
        ),
        (&json!({}), "", true),
        (&json!({"region": null}), "Mcp-Param-Region: eu\r\n", false),
        (&json!({}), "Mcp-Param-Region: eu\r\n", false),
        (&json!({"region": ""}), "Mcp-Param-Region:\r\n", true),
        (&odd, "Mcp-Param-Region: =?base64?ZMO8bg==?=\r\n", true),
        (&odd, "Mcp-Param-Region: =?base64?ZMO8bg?=\r\n", false),
        (
            &json!({"region": "=?base64?eA==?="}),
            "Mcp-Param-Region: =?base64?PT9iYXNlNjQ/ZUE9PT89?=\r\n",
            true,
        ),
    ];
    for (arguments, headers, fits) in table {
        let mut shards = lone(|_| {});
        let client = Modern { headers: headers.to_owned(), ..Modern::new() };
        let answer = shards.ask(&client.call(1, "mirrored", arguments.clone()));
        if fits {
            assert_eq!(answer.json()["result"]["isError"], false, "{arguments} {headers}: {}", answer.json());
        } else {
            assert_eq!((answer.status, code(&answer)), (400, -32020), "{arguments} {headers}");
        }
        // The legacy era has no such headers.
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        assert_eq!(shards.ask(&session.call(1, "echo", json!({"message": "x"}))).status, 200);
    }
}

#[test]
fn what_is_unknown_has_the_code_of_its_era() {
    let unknown = [
        ("tools/call", json!({"name": "nope"}), -32602, -32602),
        ("prompts/get", json!({"name": "nope"}), -32602, -32602),
        ("prompts/get", json!({"name": "review"}), -32602, -32602),
        ("resources/read", json!({"uri": "docs://nope"}), -32602, -32002),
        ("resources/read", json!({"uri": "notes://nope"}), -32602, -32002),
        ("resources/read", json!({"uri": "notes://../rings"}), -32602, -32002),
        ("resources/read", json!({"uri": 7}), -32602, -32602),
        ("tools/call", json!({"name": "echo", "arguments": []}), -32602, -32602),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/tool"}, "argument": {"name": "a", "value": ""}}),
            -32602,
            -32602,
        ),
        ("no/such", json!({}), -32601, -32601),
        ("tasks/list", json!({}), -32601, -32601),
        ("tasks/result", json!({}), -32601, -32601),
        ("notifications/initialized", json!({}), -32601, -32601),
    ];
    for (mut shards, _) in fleets().into_iter().take(2) {
        for (method, params, modern, legacy) in &unknown {
            let answer = shards.ask(&Modern::new().request("q", method, params.clone()));
            assert_eq!(code(&answer), *modern, "{method} {params}");
            assert_eq!(answer.status, if *modern == -32601 { 404 } else { 200 }, "{method} {params}");
            assert_eq!(answer.json()["id"], "q");
            for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
                let session = Session::start(&mut shards, revision, json!({}));
                let line = shards.open(&session.request("q", method, params.clone()));
                let error = match shards.messages(line).pop() {
                    Some(message) => message["error"].clone(),
                    None => shards.answer(line).json()["error"].clone(),
                };
                assert_eq!(error["code"], *legacy, "{revision} {method} {params}");
                shards.cut(line);
            }
        }
        for method in [
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "resources/unsubscribe",
            "roots/list",
        ] {
            let answer = shards.ask(&Modern::new().request(1, method, json!({})));
            assert_eq!((answer.status, code(&answer)), (404, -32601), "{method}");
        }
        let bad_level = Modern { meta: json!({"io.modelcontextprotocol/logLevel": "loud"}), ..Modern::new() };
        let answer = shards.ask(&bad_level.request(1, "tools/list", json!({})));
        assert_eq!((answer.status, code(&answer)), (400, -32602));
    }
}

#[test]
fn whoever_may_not_is_told_so_and_learns_nothing_else() {
    let mut shards = lone(|_| {});
    let reader = Modern { key: READER_KEY, ..Modern::new() };
    for (method, params) in [
        ("resources/read", json!({"uri": "me://name"})),
        ("resources/read", json!({"uri": "docs://nope"})),
        ("prompts/get", json!({"name": "review"})),
        ("prompts/get", json!({"name": "nope"})),
        ("tools/call", json!({"name": "echo"})),
        ("tools/call", json!({"name": "nope"})),
        ("subscriptions/listen", json!({"notifications": {}})),
    ] {
        let answer = shards.ask(&reader.request(1, method, params.clone()));
        assert_eq!((answer.status, code(&answer)), (403, 403), "{method} {params}");
    }
    let motto = shards.ask(&reader.request(1, "resources/read", json!({"uri": "docs://motto"}))).json();
    assert_eq!(motto["result"]["contents"][0]["text"], "Fast, then faster.");
    let listed = shards.ask(&reader.request(1, "resources/list", json!({}))).json();
    assert_eq!(listed["result"]["resources"].as_array().unwrap().len(), 1, "{listed}");
    let other = Modern { key: OTHER_KEY, ..Modern::new() };
    let name = shards.ask(&other.request(1, "resources/read", json!({"uri": "me://name"}))).json();
    assert_eq!(name["result"]["contents"][0]["text"], "other");
}
