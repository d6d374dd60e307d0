//! What handlers give and get: arguments checked, output held to its promise, resources, prompts, completions, reports.
//! Next: `rounds`.

use serde_json::{Value, json};

use crate::client::{Modern, Session, accepting, code, fleets, lone, text};

#[test]
fn arguments_that_do_not_fit_name_the_place() {
    let mut shards = lone(|_| {});
    let session = Session::start(&mut shards, "2025-06-18", json!({}));
    for (arguments, place) in [
        (json!({"list": [], "count": 0}), "/count"),
        (json!({"list": [], "count": 11}), "/count"),
        (json!({"list": [], "count": 1.5}), "/count"),
        (json!({"list": [], "count": "1"}), "/count"),
        (json!({"list": [], "count": null}), "/count"),
        (json!({"list": {}, "count": 1}), "/list"),
        (json!({"list": [{"name": "a"}, {"name": 7}], "count": 1}), "/list/1/name"),
        (json!({"list": [{"name": "a"}, {}], "count": 1}), "/list/1"),
        (json!({"list": []}), "count"),
        (json!({}), "list"),
    ] {
        let answers = [
            shards.ask(&Modern::new().call(1, "nested", arguments.clone())),
            shards.ask(&session.call(1, "nested", arguments.clone())),
        ];
        for answer in answers {
            let answer = answer.json();
            assert_eq!(answer["result"]["isError"], true, "{arguments}: {answer}");
            assert!(text(&answer).contains(place), "{arguments}: {answer}");
        }
    }
    let fits = json!({"list": [{"name": "a"}], "count": 10, "more": true});
    assert_eq!(text(&shards.ask(&Modern::new().call(1, "nested", fits)).json()), "fits");
}

#[test]
fn structured_output_is_what_the_revision_and_the_schema_allow() {
    for (revision, object, list) in [
        (None, json!({"celsius": 21.5}), json!([1, 2])),
        (Some("2025-11-25"), json!({"celsius": 21.5}), Value::Null),
        (Some("2025-06-18"), json!({"celsius": 21.5}), Value::Null),
        (Some("2025-03-26"), Value::Null, Value::Null),
        (Some("2024-11-05"), Value::Null, Value::Null),
    ] {
        let mut shards = lone(|_| {});
        let session = revision.map(|revision| Session::start(&mut shards, revision, json!({})));
        let mut ask = |method: &str, params: Value| match &session {
            Some(session) => shards.ask(&session.request(1, method, params)).json(),
            None => shards.ask(&Modern::new().request(1, method, params)).json(),
        };
        for (tool, expect) in [("weather", object), ("numbers", list)] {
            let result = ask("tools/call", json!({"name": tool}))["result"].clone();
            assert_eq!(result["structuredContent"], expect, "{revision:?} {tool}");
            assert_eq!(result["content"][0]["type"], "text", "{revision:?} {tool}: for who knows only text");
        }
        let broken = ask("tools/call", json!({"name": "broken"}));
        assert_eq!(broken["error"]["code"], -32603, "{revision:?}: {broken}");
        assert!(!broken.to_string().contains("warm"), "{broken}");
    }
}

#[test]
fn what_a_handler_broke_is_told_to_the_operator() {
    let mut shards = lone(|_| {});
    let session = Session::start(&mut shards, "2025-06-18", json!({}));
    let mut details = |request: &[u8]| {
        let line = shards.open(request);
        (0..3).for_each(|_| shards.pass(1000));
        shards.cut(line);
        let events = &shards.desks[0].work.events;
        let records: Vec<_> = std::iter::from_fn(|| events.poll_record()).collect();
        let told = records.iter().map(|record| (record.reason, record.detail.as_deref().map(String::from)));
        told.collect::<Vec<_>>()
    };
    let cut = format!("{}...", "é".repeat(150));
    for (tool, arguments, reason, words) in [
        ("broken", json!({}), "output_invalid", "/celsius: \"warm\" is not of type \"number\""),
        (
            "unkept",
            json!({}),
            "output_invalid",
            "the tool has an output schema and gave no structured output",
        ),
        ("wordy", json!({"ms": 0}), "handler_error", &cut),
        ("wordy", json!({"ms": 100}), "handler_error", &cut),
    ] {
        let expect = [(reason, Some(words.to_owned()))];
        assert_eq!(details(&Modern::new().call(1, tool, arguments.clone())), expect, "{tool}");
        assert_eq!(details(&session.call(1, tool, arguments)), expect, "{tool}");
    }
    // Nothing of it clings to the next refusal.
    let unknown = details(&Modern::new().call(1, "no such", json!({})));
    assert_eq!(unknown, [("unknown_tool", Some("no such".to_owned()))]);
}

#[test]
fn resources_prompts_and_completions_say_what_was_asked() {
    for (mut shards, _) in fleets().into_iter().take(2) {
        let session = Session::start(&mut shards, "2025-06-18", json!({}));
        let mut both = |method: &str, params: Value| {
            let modern = shards.ask(&Modern::new().request(1, method, params.clone())).json();
            let line = shards.open(&session.request(1, method, params));
            let legacy = match shards.messages(line).pop() {
                Some(message) => message,
                None => shards.answer(line).json(),
            };
            shards.cut(line);
            [modern["result"].clone(), legacy["result"].clone()]
        };
        for result in both("resources/read", json!({"uri": "notes://rings"})) {
            let contents = json!([{"uri": "notes://rings", "mimeType": "text/markdown", "text": "# Rings"}]);
            assert_eq!(result["contents"], contents);
        }
        for (arguments, said) in [
            (json!({"code": "x"}), "Be kind: x"),
            (json!({"code": "x", "tone": "stern", "unknown": "y"}), "Be stern: x"),
        ] {
            for result in both("prompts/get", json!({"name": "review", "arguments": arguments})) {
                let message = json!({"role": "user", "content": {"type": "text", "text": said}});
                assert_eq!(result["messages"], json!([message]));
            }
        }
        let prompt = json!({"type": "ref/prompt", "name": "review"});
        let template = json!({"type": "ref/resource", "uri": "notes://{topic}"});
        for (reference, argument, value, known, expect) in [
            (&prompt, "tone", "k", json!({}), json!(["kind", "keen"])),
            (&prompt, "tone", "ke", json!({}), json!(["keen"])),
            (&prompt, "tone", "ru", json!({"code": "rust"}), json!(["rust"])),
            (&prompt, "tone", "zz", json!({}), json!([])),
            (&prompt, "code", "k", json!({}), json!([])),
            (&prompt, "no such", "k", json!({}), json!([])),
            (&template, "topic", "ri", json!({}), json!(["rings"])),
        ] {
            let params = json!({"ref": reference, "argument": {"name": argument, "value": value},
                "context": {"arguments": known}});
            for result in both("completion/complete", params) {
                assert_eq!(result["completion"]["values"], expect, "{argument} {value}");
            }
        }
    }
}

#[test]
fn a_prompt_says_which_argument_it_misses() {
    let mut shards = lone(|_| {});
    let session = Session::start(&mut shards, "2025-06-18", json!({}));
    for given in [json!({"name": "review"}), json!({"name": "review", "arguments": {"tone": "kind"}})] {
        for request in [
            Modern::new().request(1, "prompts/get", given.clone()),
            session.request(1, "prompts/get", given.clone()),
        ] {
            let answer = shards.ask(&request);
            assert_eq!((answer.status, code(&answer)), (200, -32602), "{given}");
            let error = answer.json()["error"].clone();
            assert_eq!(error["message"], "argument \"code\" is required");
            assert_eq!(error["data"]["reason"], "invalid_params");
        }
    }
}

/// The methods of what came before the answer, and the levels of logs.
fn reports(messages: &[Value]) -> (usize, Vec<&str>) {
    let progress = messages.iter().filter(|message| message["method"] == "notifications/progress").count();
    let levels = messages.iter().filter(|message| message["method"] == "notifications/message");
    (progress, levels.filter_map(|message| message["params"]["level"].as_str()).collect())
}

#[test]
fn a_modern_caller_is_told_what_it_asked_to_be_told() {
    for (meta, progress, levels) in [
        (json!({}), 0, vec![]),
        (json!({"progressToken": "p"}), 3, vec![]),
        (json!({"progressToken": 7}), 3, vec![]),
        (json!({"io.modelcontextprotocol/logLevel": "debug"}), 0, ["debug", "warning"].repeat(3)),
        (json!({"io.modelcontextprotocol/logLevel": "warning"}), 0, vec!["warning"; 3]),
        (json!({"io.modelcontextprotocol/logLevel": "error"}), 0, vec![]),
        (json!({"io.modelcontextprotocol/logLevel": "info", "progressToken": "p"}), 3, vec!["warning"; 3]),
    ] {
        for (mut shards, _) in fleets().into_iter().take(2) {
            let client = Modern { meta: meta.clone(), ..Modern::new() };
            let line = shards.open(&client.call("r", "report", json!({})));
            (0..3).for_each(|_| shards.pass(100));
            if progress + levels.len() == 0 {
                assert_eq!(
                    text(&shards.answer(line).json()),
                    "reported",
                    "nothing to report is one JSON body"
                );
            } else {
                let (head, events) = shards.stream(line);
                assert!(head.contains("x-accel-buffering: no"), "{head}");
                assert!(events.iter().all(|event| event.id.is_none() && event.retry.is_none()), "{events:?}");
                let messages = shards.messages(line);
                assert_eq!(reports(&messages), (progress, levels.clone()), "{meta}");
                let mut steps = messages.iter().filter_map(|message| message["params"]["progress"].as_u64());
                assert!(progress == 0 || (1..=3).all(|step| steps.next() == Some(step)));
                for message in messages.iter().filter(|message| message["params"]["progress"].is_u64()) {
                    assert_eq!(message["params"]["progressToken"], meta["progressToken"], "its type is kept");
                }
                assert_eq!(
                    (text(messages.last().unwrap()), shards.is_answered(line)),
                    ("reported".into(), true)
                );
            }
            // Who takes only JSON is not told, and answered.
            let line = shards.open(&accepting(&client.call(1, "report", json!({})), "application/json"));
            (0..3).for_each(|_| shards.pass(100));
            assert_eq!(text(&shards.answer(line).json()), "reported");
        }
    }
    let mut shards = lone(|_| {});
    for token in [json!(1.5), json!({}), json!(true), json!("x".repeat(10_000))] {
        let client = Modern { meta: json!({"progressToken": token}), ..Modern::new() };
        assert_eq!(code(&shards.ask(&client.call(1, "report", json!({})))), -32602, "{token}");
    }
}

#[test]
fn a_caller_that_goes_away_ends_its_call_in_the_modern_era_only() {
    for (mut shards, _) in fleets().into_iter().take(2) {
        let work = json!({"ms": 1000});
        let line = shards.open(&Modern::new().call(1, "work", work.clone()));
        assert_eq!(shards.running(), 1);
        shards.cut(line);
        assert_eq!((shards.running(), shards.streams()), (0, 0));
        for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let session = Session::start(&mut shards, revision, json!({}));
            let line = shards.open(&session.call(1, "work", work.clone()));
            shards.cut(line);
            assert_eq!(shards.running(), 1, "{revision}: a lost connection is no cancellation");
            shards.pass(1000);
            assert_eq!(shards.running(), 0);
        }
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0);
    }
}
