//! MCP 2026-07-28 over Streamable HTTP: results, the header and metadata ladder, progress, authorization.
//! Next: `legacy`.

use serde_json::{Value, json};

use crate::fixture::{Answer, Desk, KEY, READER_KEY, answers, echo, modern, post, snapshot};

fn one(request: &[u8]) -> Answer {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let mut all = answers(&desk.feed(&mut connection, request));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn echo_returns_the_message_and_the_id_with_its_type() {
    for (id, expect) in
        [("1", json!(1)), ("\"1\"", json!("1")), ("-7", json!(-7)), ("\"a\\u00e9\\n\"", json!("a\u{e9}\n"))]
    {
        let answer = one(&echo(id, "h\\u00e9llo \\\"you\\\""));
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(body["id"], expect);
        assert_eq!(body["jsonrpc"], "2.0");
        let result = &body["result"];
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["content"], json!([{"type": "text", "text": "h\u{e9}llo \"you\""}]));
        assert_eq!(result["isError"], false);
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "mcpring");
    }
}

#[test]
fn discover_and_list_carry_what_the_revision_requires() {
    let result = one(&modern("1", "server/discover", "", "")).json()["result"].clone();
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(result["capabilities"], json!({"logging": {}, "tools": {"listChanged": true}}));
    assert_eq!(result["cacheScope"], "private");
    assert!(result["ttlMs"].as_u64().unwrap() > 0);
    let result = one(&modern("1", "tools/list", "", "")).json()["result"].clone();
    let names: Vec<&str> =
        result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["echo", "time", "countdown"]);
    for tool in result["tools"].as_array().unwrap() {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(!tool["description"].as_str().unwrap().is_empty());
    }
    assert!(result["ttlMs"].is_u64() && result["cacheScope"] == "private");
}

#[test]
fn every_response_has_the_security_headers_and_a_date() {
    let requests =
        [echo("1", "x"), b"GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), b"x\r\n\r\n".to_vec()];
    for request in requests {
        let head = one(&request).head;
        for field in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "cache-control: no-store",
        ] {
            assert!(head.contains(field), "{field} in {head}");
        }
        assert!(head.contains("date: Mon, 23 Nov 2026"), "{head}");
    }
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A request by hand: version header, method header, name header, body.
fn by_hand(version: &str, method: &str, name: &str, body: &str) -> Answer {
    let mut fields = format!("X-API-Key: {KEY}\r\n");
    for (field, value) in [("MCP-Protocol-Version", version), ("Mcp-Method", method), ("Mcp-Name", name)] {
        if value != "-" {
            fields.push_str(&format!("{field}: {value}\r\n"));
        }
    }
    one(&post(&fields, body))
}

#[test]
fn the_ladder_refuses_in_the_order_of_the_specification() {
    let list = format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{{{META}}}}}"#);
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"x"}},{META}}}}}"#
    );
    let with = |meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{{"_meta":{meta}}}}}"#)
    };
    let v = "2026-07-28";
    let m = "tools/list";
    let unknown = format!(r#"{{"jsonrpc":"2.0","id":5,"method":"no/such","params":{{{META}}}}}"#);
    let ping = unknown.replace("no/such", "ping");
    let init = unknown.replace("no/such", "initialize");
    let old = with(
        r#"{"io.modelcontextprotocol/protocolVersion":"v999","io.modelcontextprotocol/clientCapabilities":{}}"#,
    );
    let legacy = old.replace("v999", "2025-11-25");
    let no_capabilities = with(r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#);
    let array_capabilities = with(
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
    );
    let twice = with(
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#,
    );
    let plain = r#"{"jsonrpc":"2.0","id":5,"method":"tools/list"}"#.to_owned();
    let tool = call.replace("\"echo\"", "\"nope\"");
    let table: &[(&str, &str, &str, &str, u16, i64)] = &[
        ("-", m, "-", &list, 400, -32020),
        ("2025-11-25", m, "-", &list, 400, -32020),
        (v, "-", "-", &list, 400, -32020),
        (v, "tools/call", "-", &list, 400, -32020),
        (v, "Tools/List", "-", &list, 400, -32020),
        (v, "tools/call", "-", &call, 400, -32020),
        (v, "tools/call", "time", &call, 400, -32020),
        (v, "tools/call", "=?base64?ZWNobw?=", &call, 400, -32020),
        (v, m, "-", &no_capabilities, 400, -32602),
        (v, m, "-", &array_capabilities, 400, -32602),
        (v, m, "-", &twice, 400, -32602),
        (v, m, "-", &plain, 400, -32602),
        (v, m, "-", &old, 400, -32020),
        ("v999", m, "-", &old, 400, -32022),
        ("2025-11-25", m, "-", &legacy, 400, -32022),
        (v, "no/such", "-", &unknown, 404, -32601),
        (v, "ping", "-", &ping, 404, -32601),
        (v, "initialize", "-", &init, 404, -32601),
        (v, "tools/call", "nope", &tool, 200, -32602),
    ];
    for (version, method, name, body, status, code) in table {
        let answer = by_hand(version, method, name, body);
        let json = answer.json();
        let seen = (answer.status, json["error"]["code"].as_i64().unwrap());
        assert_eq!(seen, (*status, *code), "{version} {method} {name} {body}: {json}");
        assert_eq!(json["id"], 5, "{json}");
        assert!(json["error"]["data"]["reason"].is_string());
    }
    assert_eq!(by_hand(v, "tools/call", "=?base64?ZWNobw==?=", &call).status, 200);
    let data = by_hand("v999", m, "-", &old).json()["error"]["data"].clone();
    assert_eq!((&data["supported"], &data["requested"]), (&json!(["2026-07-28"]), &json!("v999")));
}

#[test]
fn messages_that_are_not_requests_get_what_they_deserve() {
    let v = "2026-07-28";
    for (body, status, code) in [
        (r#"{"jsonrpc":"2.0","method":"notifications/whatever"}"#, 202, None),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400, Some(-32600)),
        ("[]", 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#, 400, Some(-32600)),
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"tools/list"}"#, 400, Some(-32600)),
        ("{", 400, Some(-32700)),
        ("", 400, Some(-32700)),
        ("\"", 400, Some(-32700)),
    ] {
        let answer = by_hand(v, "-", "-", body);
        assert_eq!(answer.status, status, "{body}");
        match code {
            Some(code) => assert_eq!(answer.json()["error"]["code"], code, "{body}"),
            None => assert!(answer.body.is_empty()),
        }
    }
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(by_hand(v, "-", "-", &deep).json()["error"]["data"]["reason"], "too_deep");
    let wide = format!("[{}1]", "1,".repeat(20_000));
    assert_eq!(by_hand(v, "-", "-", &wide).json()["error"]["data"]["reason"], "too_many_values");
}

#[test]
fn arguments_that_do_not_fit_are_a_result_the_model_can_read() {
    for (arguments, word) in
        [(r#"{"message":7}"#, "invalid arguments"), ("{}", "message"), (r#"{"other":"x"}"#, "message")]
    {
        let request = modern(
            "1",
            "tools/call",
            &format!(r#""name":"echo","arguments":{arguments}"#),
            "Mcp-Name: echo\r\n",
        );
        let answer = one(&request);
        let result = &answer.json()["result"];
        assert_eq!((answer.status, &result["isError"]), (200, &json!(true)), "{arguments}");
        assert!(result["content"][0]["text"].as_str().unwrap().contains(word), "{result}");
    }
    let request = modern("1", "tools/call", r#""name":"echo","arguments":[]"#, "Mcp-Name: echo\r\n");
    assert_eq!(one(&request).json()["error"]["code"], -32602);
    let request = modern("1", "tools/call", r#""name":7"#, "");
    assert_eq!(one(&request).json()["error"]["code"], -32602);
    let request = modern("1", "tools/list", r#""cursor":"x""#, "");
    assert_eq!(one(&request).json()["error"]["code"], -32602);
}

#[test]
fn a_caller_sees_and_calls_only_what_its_roles_allow() {
    let as_reader =
        |request: Vec<u8>| String::from_utf8(request).unwrap().replace(KEY, READER_KEY).into_bytes();
    let list = one(&as_reader(modern("1", "tools/list", "", ""))).json();
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 1);
    let time = modern("1", "tools/call", r#""name":"time""#, "Mcp-Name: time\r\n");
    assert_eq!(one(&as_reader(time)).json()["result"]["content"][0]["text"], "2026-11-23T02:13:20Z");
    for request in [
        echo("1", "x"),
        modern("1", "server/discover", "", ""),
        modern("1", "tools/call", r#""name":"nope""#, "Mcp-Name: nope\r\n"),
    ] {
        let answer = one(&as_reader(request));
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (403, &json!(403)));
        assert_eq!(answer.json()["id"], 1);
    }
}

fn countdown(steps: u32, token: &str, accept: &str) -> Vec<u8> {
    let meta = META.replace("{}}", &format!("{{}}{token}}}"));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"countdown","arguments":{{"steps":{steps},"interval_ms":100}},{meta}}}}}"#
    );
    let fields = format!(
        "X-API-Key: {KEY}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: countdown\r\n"
    );
    let request = String::from_utf8(post(&fields, &body)).unwrap();
    request.replace("application/json, text/event-stream", accept).into_bytes()
}

#[test]
fn a_tool_that_takes_long_reports_on_the_response_stream_and_answers_last() {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let request = countdown(3, r#","progressToken":"p1""#, "application/json, text/event-stream");
    // The next request is already there; it must wait for its turn.
    let mut bytes = desk.feed(&mut connection, &[request, echo("2", "after")].concat());
    assert!(bytes.is_empty());
    for _ in 0..3 {
        bytes.extend(desk.pass(&mut connection, 100));
    }
    let all = answers(&bytes);
    assert_eq!(all.len(), 2);
    assert!(
        all[0].head.contains("content-type: text/event-stream")
            && all[0].head.contains("x-accel-buffering: no")
    );
    let events = all[0].events();
    let progress: Vec<&Value> =
        events.iter().filter(|event| event["method"] == "notifications/progress").collect();
    assert_eq!(progress.len(), 3);
    for (at, event) in progress.iter().enumerate() {
        assert_eq!(event["params"], json!({"progressToken": "p1", "progress": at + 1, "total": 3}));
    }
    assert_eq!(events[3]["id"], 9);
    assert_eq!(events[3]["result"]["content"][0]["text"], "done");
    assert_eq!(all[1].json()["result"]["content"][0]["text"], "after");
}

#[test]
fn progress_that_nobody_asked_for_or_can_take_is_not_sent() {
    for (token, accept) in
        [("", "application/json, text/event-stream"), (r#","progressToken":1"#, "application/json")]
    {
        let mut desk = Desk::new(snapshot());
        let mut connection = desk.connect();
        let mut bytes = desk.feed(&mut connection, &countdown(2, token, accept));
        for _ in 0..2 {
            bytes.extend(desk.pass(&mut connection, 100));
        }
        let all = answers(&bytes);
        assert_eq!(all[0].json()["result"]["content"][0]["text"], "done");
    }
    // A client that takes only event streams gets one, with the answer alone.
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let request = String::from_utf8(echo("1", "x"))
        .unwrap()
        .replace("application/json, text/event-stream", "text/event-stream");
    let all = answers(&desk.feed(&mut connection, request.as_bytes()));
    assert_eq!(all[0].events()[0]["result"]["content"][0]["text"], "x");
}

#[test]
fn a_tool_past_its_time_is_answered_and_the_connection_lives() {
    let mut desk =
        Desk::new(crate::fixture::snapshot_with(mcpring::pipeline::snapshot::Security::Plain, |snapshot| {
            snapshot.limits.request_timeout = std::time::Duration::from_millis(250);
        }));
    let mut connection = desk.connect();
    let mut bytes = desk.feed(&mut connection, &countdown(50, "", "application/json"));
    for _ in 0..4 {
        bytes.extend(desk.pass(&mut connection, 100));
    }
    bytes.extend(desk.feed(&mut connection, &echo("2", "alive")));
    let all = answers(&bytes);
    assert_eq!((all[0].status, &all[0].json()["error"]["code"]), (504, &json!(504)));
    assert_eq!(all[1].json()["result"]["content"][0]["text"], "alive");
}

#[test]
fn a_panicking_tool_is_answered_with_an_internal_error() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}
    let mut desk =
        Desk::new(crate::fixture::snapshot_with(mcpring::pipeline::snapshot::Security::Plain, |snapshot| {
            let mut registry = mcpring::tools::Registry::default();
            registry
                .register(mcpring::tools::Tool::immediate::<Nothing>("boom", "Panics.", |_, _| {
                    panic!("on purpose")
                }))
                .unwrap();
            registry
                .register(mcpring::tools::Tool::deferred::<Nothing, _>(
                    "later",
                    "Panics later.",
                    |_, context| {
                        Ok(async move {
                            context.sleep(std::time::Duration::from_millis(10)).await;
                            panic!("on purpose")
                        })
                    },
                ))
                .unwrap();
            let rules = [mcpring::pipeline::authorize::RoleRules {
                name: "all".into(),
                allow: vec!["**".into()],
                ..Default::default()
            }];
            snapshot.policy = mcpring::pipeline::authorize::Policy::compile(&rules, &registry).unwrap();
            snapshot.registry = std::sync::Arc::new(registry);
        }));
    let mut connection = desk.connect();
    for name in ["boom", "later"] {
        let request =
            modern("3", "tools/call", &format!(r#""name":"{name}""#), &format!("Mcp-Name: {name}\r\n"));
        let mut bytes = desk.feed(&mut connection, &request);
        bytes.extend(desk.pass(&mut connection, 20));
        let answer = answers(&bytes).remove(0).json();
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        assert!(!answer.to_string().contains("on purpose"));
    }
}

#[test]
fn params_that_could_be_read_in_two_ways_are_refused() {
    for params in [
        r#""name":"time","name":"echo","arguments":{"message":"x"}"#,
        r#""name":"echo","arguments":{"message":"x"},"arguments":{"message":"y"}"#,
        r#""name":"echo","_meta":{},"arguments":{"message":"x"}"#,
    ] {
        let answer = one(&modern("1", "tools/call", params, "Mcp-Name: echo\r\n"));
        assert_eq!(answer.json()["error"]["code"], -32602, "{params}");
    }
}
