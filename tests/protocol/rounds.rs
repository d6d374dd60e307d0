//! Calls that ask: in rounds in the modern era, with requests of the server's in the legacy one, by the same handlers.
//! Next: `streams`.

use serde_json::{Value, json};

use crate::client::{Modern, OTHER_KEY, Session, accept, accepting, answering, code, fleets, lone, text};
use crate::shards::Shards;

fn ask(shards: &mut Shards, client: &Modern, params: &Value) -> Value {
    shards.ask(&client.request(1, "tools/call", params.clone())).json()
}

/// The request again with the state of its last answer and with answers.
fn again(params: &Value, asked: &Value, answers: Value) -> Value {
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let mut params = params.clone();
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = answers;
    params
}

fn ada() -> Value {
    accept(json!({"name": "Ada"}))
}

#[test]
fn a_state_is_worth_something_only_to_its_caller_for_its_request_in_its_time() {
    let params = json!({"name": "ask_once", "arguments": {"name": "x", "nested": {"a": [1, 2]}}});
    let client = Modern::with(answering());
    type Edit = fn(&mut Value, &mut Modern, &mut Shards);
    let table: [(&str, Edit, bool); 13] = [
        ("as it was given", |_, _, _| {}, true),
        (
            "with another id and other metadata",
            |_, client, _| client.meta = json!({"progressToken": 1}),
            true,
        ),
        ("to another principal", |_, client, _| client.key = OTHER_KEY, false),
        ("another argument", |params, _, _| params["arguments"]["name"] = json!("y"), false),
        (
            "another argument further in",
            |params, _, _| params["arguments"]["nested"]["a"][1] = json!(3),
            false,
        ),
        ("an argument more", |params, _, _| params["arguments"]["more"] = json!(1), false),
        ("another tool", |params, _, _| params["name"] = json!("ask"), false),
        (
            "tampered with",
            |params, _, _| {
                let state = params["requestState"].as_str().unwrap();
                let at = state.len() / 2;
                let other = if &state[at..=at] == "A" { "B" } else { "A" };
                params["requestState"] = json!(format!("{}{other}{}", &state[..at], &state[at + 1..]));
            },
            false,
        ),
        (
            "cut short",
            |params, _, _| {
                let state = params["requestState"].as_str().unwrap();
                params["requestState"] = json!(state[..state.len() - 1]);
            },
            false,
        ),
        ("empty", |params, _, _| params["requestState"] = json!(""), false),
        ("no text", |params, _, _| params["requestState"] = json!({"a": 1}), false),
        ("just in time", |_, _, shards| shards.pass(299_000), true),
        ("too late", |_, _, shards| shards.pass(301_000), false),
    ];
    for (what, edit, is_good) in table {
        let mut shards = lone(|_| {});
        let asked = ask(&mut shards, &client, &params);
        let mut params = again(&params, &asked, json!({"who": ada()}));
        let mut client = client.clone();
        edit(&mut params, &mut client, &mut shards);
        let answer = ask(&mut shards, &client, &params);
        if is_good {
            assert_eq!(text(&answer), "hello Ada", "{what}");
        } else {
            assert_eq!(answer["error"]["code"], -32602, "{what}: {answer}");
        }
        // What was refused has used nothing up, what was accepted cannot come again.
        let unedited = again(
            &json!({"name": "ask_once", "arguments": {"name": "x", "nested": {"a": [1, 2]}}}),
            &asked,
            json!({"who": ada()}),
        );
        let answer = ask(&mut shards, &Modern::with(answering()), &unedited);
        assert_eq!(answer.get("error").is_some(), is_good || what == "too late", "{what}: {answer}");
    }
}

#[test]
fn a_state_says_nothing_in_the_clear() {
    let mut shards = lone(|_| {});
    let client = Modern::with(answering());
    let params = json!({"name": "ask_twice", "arguments": {}});
    let asked = ask(&mut shards, &client, &params);
    let next = ask(&mut shards, &client, &again(&params, &asked, json!({"first": ada()})));
    let state = next["result"]["requestState"].as_str().unwrap();
    assert!(!state.contains("Ada") && state.bytes().all(|byte| byte.is_ascii_graphic()));
    let twin = ask(&mut shards, &client, &params);
    assert_ne!(asked["result"]["requestState"], twin["result"]["requestState"]);
}

#[test]
fn several_rounds_run_what_is_remembered_once() {
    for (mut shards, _) in fleets() {
        let client = Modern::with(answering());
        let params = json!({"name": "ask_twice", "arguments": {}});
        for number in 0..5 {
            let asked = ask(&mut shards, &client, &params);
            let question = &asked["result"]["inputRequests"]["first"];
            assert_eq!(
                (&question["method"], &question["params"]["mode"]),
                (&json!("elicitation/create"), &json!("form"))
            );
            assert!(question.get("id").is_none() && question.get("jsonrpc").is_none());
            assert!(asked["result"].get("ttlMs").is_none(), "nothing to be kept");
            // Without the needed answer it asks again.
            let asked = ask(&mut shards, &client, &again(&params, &asked, json!({"unknown": ada()})));
            assert!(asked["result"]["inputRequests"]["first"].is_object(), "{asked}");
            let asked = ask(
                &mut shards,
                &client,
                &again(&params, &asked, json!({"first": ada(), "last": ada(), "x": {}})),
            );
            let open = asked["result"]["inputRequests"].as_object().unwrap();
            assert_eq!(
                open.keys().collect::<Vec<_>>(),
                ["last"],
                "an answer to what was not asked is ignored"
            );
            let last = accept(json!({"name": "Lovelace"}));
            let answer = ask(&mut shards, &client, &again(&params, &asked, json!({"last": last})));
            assert_eq!(text(&answer), format!("{number} Ada Lovelace"));
        }
    }
}

#[test]
fn answers_that_are_none_are_refused_or_told() {
    let client = Modern::with(answering());
    let params = json!({"name": "ask", "arguments": {}});
    for (answers, expect) in [
        (json!({"who": 7}), None),
        (json!({"who": null}), None),
        (json!({"who": [ada()]}), None),
        (json!([ada()]), None),
        (json!("x"), None),
        (json!({"who": {}}), None),
        (json!({"who": {"action": "maybe"}}), None),
        (json!({"who": {"action": "accept"}}), None),
        (json!({"who": accept(json!({"name": 7}))}), None),
        (json!({"who": accept(json!({}))}), None),
        (json!({"who": {"action": "decline"}}), Some(true)),
        (json!({"who": {"action": "cancel"}}), Some(true)),
        (json!({"who": ada()}), Some(false)),
    ] {
        let mut shards = lone(|_| {});
        let asked = ask(&mut shards, &client, &params);
        let answer = ask(&mut shards, &client, &again(&params, &asked, answers.clone()));
        match expect {
            None => assert_eq!(answer["error"]["code"], -32602, "{answers}: {answer}"),
            Some(is_error) => assert_eq!(answer["result"]["isError"], is_error, "{answers}: {answer}"),
        }
    }
}

#[test]
fn prompts_and_resources_ask_too_and_nothing_else_does() {
    let mut shards = lone(|_| {});
    let client = Modern::with(answering());
    for (method, params) in
        [("prompts/get", json!({"name": "asked"})), ("resources/read", json!({"uri": "ask://name"}))]
    {
        let asked = shards.ask(&client.request(1, method, params.clone())).json();
        let params = again(&params, &asked, json!({"who": ada()}));
        let answer = shards.ask(&client.request(2, method, params.clone())).json();
        assert!(answer["result"].to_string().contains("Ada"), "{method}: {answer}");
        assert_eq!(answer["result"]["resultType"], "complete");
        let stranger = Modern { key: OTHER_KEY, ..client.clone() };
        assert_eq!(code(&shards.ask(&stranger.request(2, method, params))), -32602, "{method}");
        let session = Session::start(&mut shards, "2025-11-25", answering());
        let params =
            if method == "prompts/get" { json!({"name": "asked"}) } else { json!({"uri": "ask://name"}) };
        let line = shards.open(&session.request(3, method, params));
        let question = shards.messages(line).pop().expect("a question");
        shards.ask(&session.reply(&question, ada()));
        assert!(shards.messages(line).pop().unwrap()["result"].to_string().contains("Ada"), "{method}");
    }
}

#[test]
fn a_client_is_asked_only_what_it_can_answer() {
    let required = |answer: &Value| answer["error"]["data"]["requiredCapabilities"].clone();
    let form = json!({"elicitation": {"form": {}}});
    for (tool, capabilities, missing) in [
        ("ask", json!({}), Some(form.clone())),
        ("ask_needs", json!({}), Some(form.clone())),
        ("ask_needs", json!({"elicitation": {"url": {}}}), Some(form.clone())),
        ("ask_needs", json!({"elicitation": true}), Some(form)),
        ("ask_needs", json!({"elicitation": {}}), None),
        ("ask_all", json!({"elicitation": {"form": {}}}), Some(json!({"elicitation": {"url": {}}}))),
        ("ask_all", json!({"elicitation": {"url": {}}}), None),
    ] {
        let mut shards = lone(|_| {});
        let answer = shards.ask(&Modern::with(capabilities.clone()).call(1, tool, json!({})));
        let json = answer.json();
        match missing {
            Some(missing) => {
                assert_eq!((answer.status, code(&answer)), (400, -32021), "{tool} {capabilities}");
                assert_eq!(required(&json), missing);
            }
            None => {
                assert_eq!(json["result"]["resultType"], "input_required", "{tool} {capabilities}: {json}")
            }
        }
        // The legacy era has no code for it: the model reads it.
        let session = Session::start(&mut shards, "2025-06-18", json!({}));
        let line = shards.open(&session.call(1, tool, json!({})));
        let answer = shards.messages(line).pop().unwrap_or_else(|| shards.answer(line).json());
        assert_eq!(answer["result"]["isError"], true, "{tool}: {answer}");
        // Nor can a client be asked that takes no stream.
        let session = Session::start(&mut shards, "2025-06-18", answering());
        let answer = shards.ask(&accepting(&session.call(1, tool, json!({})), "application/json")).json();
        assert_eq!(answer["result"]["isError"], true, "{tool}: {answer}");
    }
}

#[test]
fn every_kind_of_question_is_asked_in_the_words_of_its_era() {
    let answers = [
        ("elicitation/create", json!({"action": "accept"})),
        (
            "sampling/createMessage",
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}}),
        ),
        ("roots/list", json!({"roots": [{"uri": "file:///a"}, {"uri": "file:///b", "name": "b"}]})),
    ];
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", answering());
        let line = shards.open(&session.call(9, "ask_all", json!({})));
        for (method, result) in &answers {
            let question = shards.messages(line).pop().expect("a question");
            assert_eq!(question["method"], *method);
            let is_url = question["params"]["mode"] == "url";
            assert_eq!(question["params"]["elicitationId"].is_string(), is_url, "{question}");
            shards.ask(&session.reply(&question, result.clone()));
        }
        assert_eq!(text(&shards.messages(line).pop().unwrap()), "true hi 2");
        let client = Modern::with(answering());
        let params = json!({"name": "ask_all", "arguments": {}});
        let mut answer = ask(&mut shards, &client, &params);
        for (method, result) in &answers {
            let open = answer["result"]["inputRequests"].as_object().unwrap().clone();
            let (key, question) = open.iter().next().unwrap();
            assert_eq!(question["method"], *method);
            assert!(question["params"].get("elicitationId").is_none());
            answer = ask(&mut shards, &client, &again(&params, &answer, json!({key: result})));
        }
        assert_eq!(text(&answer), "true hi 2");
    }
}

#[test]
fn a_question_nobody_answers_ends_with_its_time_and_an_error_at_once() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", answering());
        let line = shards.open(&session.call(1, "ask", json!({})));
        shards.pass(299_000);
        assert_eq!(shards.running(), 1, "a question has its own time, not the handler's");
        shards.pass(2_000);
        let answer = shards.messages(line).pop().unwrap();
        assert_eq!((&answer["result"]["isError"], shards.running()), (&json!(true), 0), "{answer}");
        let line = shards.open(&session.call(2, "ask", json!({})));
        let question = shards.messages(line).pop().unwrap();
        let error =
            json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no\nway"}});
        assert_eq!(shards.ask(&session.post(&error)).status, 202);
        assert_eq!(shards.messages(line).pop().unwrap()["result"]["isError"], true);
        // Nobody else can answer.
        let line = shards.open(&session.call(3, "ask", json!({})));
        let question = shards.messages(line).pop().unwrap();
        for (key, revision) in [(session.key, "2025-11-25"), (OTHER_KEY, "2025-06-18")] {
            let stranger = Session::start_as(key, &mut shards, revision, answering());
            assert_eq!(shards.ask(&stranger.reply(&question, ada())).status, 202);
            assert_eq!(shards.running(), 1);
        }
        for id in [json!(1), json!("x"), json!(format!("{}0", question["id"].as_str().unwrap()))] {
            let odd = json!({"jsonrpc": "2.0", "id": id, "result": {}});
            assert_eq!(shards.ask(&session.post(&odd)).status, 202);
        }
        shards.ask(&session.reply(&question, ada()));
        assert_eq!(text(&shards.messages(line).pop().unwrap()), "hello Ada");
        shards.cut(line);
    }
}
