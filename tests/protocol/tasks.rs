//! The tasks extension: made, followed, answered, cancelled, told of, forgotten; nothing of it to anybody else.
//! Next: `listens`.

use serde_json::{Value, json};

use crate::client::{
    Modern, OTHER_KEY, Session, accept, accepting, all_capabilities, answering, code, fleets, lone, text,
};
use crate::shards::Shards;

fn client() -> Modern {
    Modern::with(all_capabilities())
}

fn make(shards: &mut Shards, tool: &str, arguments: Value) -> Value {
    let made = shards.ask(&client().call("t", tool, arguments)).json();
    assert_eq!(made["result"]["resultType"], "task", "{made}");
    made["result"].clone()
}

fn look(shards: &mut Shards, id: &Value) -> Value {
    let answer = shards.ask(&client().request("g", "tasks/get", json!({"taskId": id})));
    assert_eq!(answer.status, 200);
    let seen = answer.json();
    assert_eq!(seen["result"]["resultType"], "complete", "{seen}");
    seen["result"].clone()
}

#[test]
fn a_task_is_flat_and_can_be_looked_at_as_soon_as_it_is_known() {
    for (mut shards, _) in fleets() {
        let made = make(&mut shards, "work", json!({"ms": 1000}));
        assert_eq!(made["status"], "working");
        assert_eq!((&made["ttlMs"], &made["pollIntervalMs"]), (&json!(3_600_000), &json!(500)));
        assert_eq!(made["createdAt"], "2026-11-23T02:13:20Z");
        assert!(made.get("task").is_none() && made.get("requestState").is_none(), "{made}");
        let seen = look(&mut shards, &made["taskId"]);
        for member in ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"] {
            assert_eq!(seen[member], made[member], "{member}");
        }
        shards.pass(1000);
        let seen = look(&mut shards, &made["taskId"]);
        assert_eq!(
            (&seen["status"], &seen["lastUpdatedAt"]),
            (&json!("completed"), &json!("2026-11-23T02:13:21Z"))
        );
        assert_eq!(seen["result"]["content"][0]["text"], "worked");
        assert!(seen.get("inputRequests").is_none() && seen.get("error").is_none());
    }
}

#[test]
fn how_a_task_ends_is_told_as_what_it_is() {
    let mut shards = lone(|_| {});
    let failed = make(&mut shards, "work_fails", json!({}));
    let seen = look(&mut shards, &failed["taskId"]);
    assert_eq!((&seen["status"], &seen["result"]["isError"]), (&json!("completed"), &json!(true)), "{seen}");
    let broken = make(&mut shards, "work_breaks", json!({}));
    let seen = look(&mut shards, &broken["taskId"]);
    assert_eq!((&seen["status"], &seen["error"]["code"]), (&json!("failed"), &json!(1234)), "{seen}");
    assert!(seen.get("result").is_none());
    // Wrong arguments are told at once.
    let answer = shards.ask(&client().call(1, "work", json!({"ms": "x"}))).json();
    assert_eq!(
        (&answer["result"]["resultType"], &answer["result"]["isError"]),
        (&json!("complete"), &json!(true))
    );
}

#[test]
fn only_who_declares_tasks_has_them() {
    let mut shards = lone(|_| {});
    let id = make(&mut shards, "work", json!({"ms": 1000}))["taskId"].clone();
    let plain = Modern::with(answering());
    let needed = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    for (method, params) in [
        ("tasks/get", json!({"taskId": id})),
        ("tasks/update", json!({"taskId": id, "inputResponses": {}})),
        ("tasks/cancel", json!({"taskId": id})),
        ("tasks/get", json!({"taskId": "nope"})),
        ("subscriptions/listen", json!({"notifications": {"taskIds": [id]}})),
        ("tools/call", json!({"name": "work_breaks", "arguments": {}})),
    ] {
        let answer = shards.ask(&plain.request(1, method, params));
        assert_eq!((answer.status, code(&answer)), (400, -32021), "{method}");
        assert_eq!(answer.json()["error"]["data"]["requiredCapabilities"], needed, "{method}");
    }
    // A tool that may also answer does; `params.task` is no declaration.
    let params = json!({"name": "work", "arguments": {"ms": 0}, "task": {"ttl": 1}});
    let line = shards.open(&plain.request(1, "tools/call", params));
    shards.pass(1);
    assert_eq!(text(&shards.answer(line).json()), "worked");
    // The legacy era has none.
    let session = Session::start(&mut shards, "2025-11-25", all_capabilities());
    for method in ["tasks/get", "tasks/list", "tasks/result", "tasks/cancel"] {
        assert_eq!(code(&shards.ask(&session.request(1, method, json!({"taskId": id})))), -32601, "{method}");
    }
}

#[test]
fn a_task_is_nobody_elses_and_its_name_is_exact() {
    for (mut shards, _) in fleets() {
        let id = make(&mut shards, "work_asks", json!({}))["taskId"].clone();
        let text = id.as_str().unwrap().to_owned();
        let other = Modern { key: OTHER_KEY, ..client() };
        let last = if text.ends_with('0') { "1" } else { "0" };
        let near = format!("{}{last}", &text[..text.len() - 1]);
        for (who, name) in [
            (&other, json!(text)),
            (&client(), json!(near)),
            (&client(), json!(text.to_uppercase() + "x")),
            (&client(), json!(format!("{text}-0"))),
            (&client(), json!(format!("ffff-0-{}", "0".repeat(32)))),
            (&client(), json!(format!("7-0-{}", "0".repeat(32)))),
            (&client(), json!("")),
            (&client(), json!("x".repeat(5000))),
        ] {
            for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
                let params =
                    json!({"taskId": name, "inputResponses": {"first": accept(json!({"name": "Eve"}))}});
                let answer = shards.ask(&who.request(1, method, params));
                assert_eq!(code(&answer), -32602, "{method} {name}");
            }
        }
        assert_eq!(look(&mut shards, &id)["status"], "input_required", "none of that did anything");
        for params in [json!({}), json!({"taskId": 7})] {
            assert_eq!(code(&shards.ask(&client().request(1, "tasks/get", params))), -32602);
        }
        // Mcp-Name repeats the id.
        let request = String::from_utf8(client().request(1, "tasks/get", json!({"taskId": id}))).unwrap();
        let answer = shards.ask(request.replace(&format!("Mcp-Name: {text}"), "Mcp-Name: x").as_bytes());
        assert_eq!((answer.status, code(&answer)), (400, -32020));
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn answers_are_taken_once_and_in_part() {
    for (mut shards, _) in fleets() {
        let id = make(&mut shards, "work_asks", json!({}))["taskId"].clone();
        let mut update = |answers: Value| {
            let params = json!({"taskId": id, "inputResponses": answers});
            let answer = shards.ask(&client().request("u", "tasks/update", params)).json();
            let open = look(&mut shards, &id)["inputRequests"].clone();
            (answer, open)
        };
        let (answer, open) = update(json!({"unknown": {}, "last": accept(json!({"name": "early"}))}));
        assert_eq!(answer["result"]["resultType"], "complete");
        assert!(answer["result"].get("taskId").is_none(), "an acknowledgement is empty: {answer}");
        assert_eq!(open.as_object().unwrap().keys().collect::<Vec<_>>(), ["first"]);
        let (_, open) = update(json!({"first": accept(json!({"name": "Ada"}))}));
        assert_eq!(open.as_object().unwrap().keys().collect::<Vec<_>>(), ["last"], "keys are not used again");
        let (_, open) = update(json!({"first": accept(json!({"name": "Eve"}))}));
        assert_eq!(open.as_object().unwrap().len(), 1);
        for wrong in [json!(7), json!([]), Value::Null] {
            assert_eq!(update(wrong.clone()).0["error"]["code"], -32602, "{wrong}");
        }
        update(json!({"last": accept(json!({"name": "Lovelace"}))}));
        assert_eq!(look(&mut shards, &id)["result"]["content"][0]["text"], "worked for Ada Lovelace");
    }
}

#[test]
fn a_cancelled_task_stays_cancelled_and_a_finished_one_finished() {
    for (mut shards, _) in fleets().into_iter().take(3) {
        let cancel = |id: &Value| client().request("c", "tasks/cancel", json!({"taskId": id}));
        let id = make(&mut shards, "work", json!({"ms": 1000}))["taskId"].clone();
        for _ in 0..2 {
            let answer = shards.ask(&cancel(&id)).json();
            assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        }
        assert_eq!(shards.running(), 0, "its handler is dropped");
        shards.pass(1000);
        assert_eq!(look(&mut shards, &id)["status"], "cancelled");
        let id = make(&mut shards, "work", json!({"ms": 0}))["taskId"].clone();
        shards.pass(1);
        assert_eq!(shards.ask(&cancel(&id)).status, 200);
        assert_eq!(look(&mut shards, &id)["status"], "completed");
        let id = make(&mut shards, "work_asks", json!({}))["taskId"].clone();
        shards.ask(&cancel(&id));
        let seen = look(&mut shards, &id);
        assert!(seen.get("inputRequests").is_none() && seen["status"] == "cancelled", "{seen}");
    }
}

#[test]
fn tasks_are_forgotten_when_their_time_is_up_finished_or_not() {
    for (mut shards, _) in fleets().into_iter().take(3) {
        let done = make(&mut shards, "work", json!({"ms": 0}))["taskId"].clone();
        let asks = make(&mut shards, "work_asks", json!({}))["taskId"].clone();
        shards.pass(3_599_000);
        assert_eq!(look(&mut shards, &done)["status"], "completed");
        assert_eq!(
            look(&mut shards, &asks)["status"],
            "input_required",
            "a task has its own time for questions"
        );
        shards.pass(2_000);
        for id in [done, asks] {
            assert_eq!(code(&shards.ask(&client().request(1, "tasks/get", json!({"taskId": id})))), -32602);
        }
        shards.pass(1000);
        assert_eq!(shards.running(), 0);
    }
}

#[test]
fn an_answer_about_a_task_comes_in_any_form_and_to_nobody_who_has_gone() {
    for (mut shards, _) in fleets() {
        let id = make(&mut shards, "work", json!({"ms": 1000}))["taskId"].clone();
        let request = client().request(1, "tasks/get", json!({"taskId": id}));
        for _ in 0..9 {
            let answer = shards.ask(&accepting(&request, "application/json"));
            assert_eq!(answer.json()["result"]["status"], "working");
            let line = shards.open(&accepting(&request, "text/event-stream"));
            assert_eq!(shards.messages(line)[0]["result"]["status"], "working");
            assert!(shards.is_answered(line));
            let line = shards.connect();
            shards.send_only(line, &request);
            shards.cut_only(line);
            shards.settle();
        }
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn a_tool_that_asks_first_answers_with_its_question_and_then_with_a_task() {
    for (mut shards, _) in fleets() {
        let params = json!({"name": "ask_then_work", "arguments": {}});
        let asked = shards.ask(&client().request(1, "tools/call", params.clone())).json();
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let mut again = params;
        again["requestState"] = asked["result"]["requestState"].clone();
        again["inputResponses"] = json!({"who": accept(json!({"name": "Ada"}))});
        let made = shards.ask(&client().request(2, "tools/call", again)).json();
        assert_eq!(made["result"]["resultType"], "task", "{made}");
        shards.pass(100);
        let seen = look(&mut shards, &made["result"]["taskId"]);
        assert_eq!(seen["result"]["content"][0]["text"], "worked for Ada");
    }
}

#[test]
fn there_are_only_so_many_tasks_and_finished_ones_make_room() {
    let mut shards = lone(|snapshot| snapshot.limits.tasks_max = 3);
    let first = make(&mut shards, "work_fails", json!({}))["taskId"].clone();
    for _ in 0..3 {
        make(&mut shards, "work", json!({"ms": 50_000}));
    }
    assert_eq!(code(&shards.ask(&client().request(1, "tasks/get", json!({"taskId": first})))), -32602);
    let answer = shards.ask(&client().call(1, "work", json!({"ms": 50_000})));
    assert_eq!((answer.status, code(&answer)), (503, 503));
    assert_eq!(shards.running(), 3, "what is refused does not run");
}
