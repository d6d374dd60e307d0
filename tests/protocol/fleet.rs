//! Several shards, every request on a new connection to the next of them: nothing a client does may depend on where.
//! Next: the rule books by subject.

use serde_json::{Value, json};

use crate::client::{
    Modern, OTHER_KEY, Session, accept, all_capabilities, answering, catalog_snapshot, code, fleets, text,
};
use crate::offer::{catalog, snapshot_of};
use crate::shards::{Carry, Shards};

#[test]
fn a_question_is_answered_on_any_shard() {
    for (mut shards, _) in fleets() {
        for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let session = Session::start(&mut shards, revision, answering());
            for round in 0..9 {
                let call = shards.open(&session.call(round, "ask_twice", json!({})));
                for name in ["Ada", "Lovelace"] {
                    let question = shards.messages(call).pop().expect("a question");
                    assert_eq!(question["method"], "elicitation/create", "{question}");
                    let reply = session.reply(&question, accept(json!({"name": name})));
                    assert_eq!(shards.ask(&reply).status, 202);
                    assert_eq!(shards.ask(&reply).status, 202, "an answer that comes twice is forgotten");
                }
                let answer = shards.messages(call).pop().expect("an answer");
                assert_eq!(answer["id"], round);
                assert!(text(&answer).ends_with(" Ada Lovelace"), "{answer}");
                shards.cut(call);
            }
        }
        shards.pass(301_000);
        assert_eq!((shards.streams(), shards.running()), (0, 0));
    }
}

fn methods(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["method"].as_str()).collect()
}

#[test]
fn a_session_is_told_of_what_it_subscribed_to_wherever_it_listens() {
    for (mut shards, _) in fleets() {
        for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let session = Session::start(&mut shards, revision, json!({}));
            let uri = json!({"uri": "docs://motto"});
            assert_eq!(shards.ask(&session.request(1, "resources/subscribe", uri.clone())).status, 200);
            // A reader who comes again and again, each time to another shard, hears everything once.
            for round in 0..10 {
                let listening = shards.open(&session.get(None));
                assert!(
                    shards.stream(listening).0.contains("text/event-stream"),
                    "{revision}: the head comes at once"
                );
                shards.updated("docs://motto");
                shards.updated("me://name");
                let told = shards.messages(listening);
                assert_eq!(methods(&told), ["notifications/resources/updated"], "{revision} {round}");
                assert_eq!(told[0]["params"], uri);
                shards.cut(listening);
            }
            // What happens while nobody reads waits for the next reader.
            shards.updated("docs://motto");
            let listening = shards.open(&session.get(None));
            assert_eq!(shards.messages(listening).len(), 1, "{revision}");
            assert_eq!(shards.ask(&session.request(2, "resources/unsubscribe", uri)).status, 200);
            shards.updated("docs://motto");
            assert_eq!(shards.messages(listening).len(), 1, "{revision}");
            shards.cut(listening);
        }
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn a_reader_that_leaves_before_it_heard_anything_costs_nothing_and_loses_nothing() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        let uri = json!({"uri": "docs://motto"});
        shards.ask(&session.request(1, "resources/subscribe", uri));
        for _ in 0..9 {
            let listening = shards.open(&session.get(None));
            shards.cut(listening);
            shards.updated("docs://motto");
            let listening = shards.open(&session.get(None));
            assert_eq!(shards.messages(listening).len(), 1);
            shards.cut(listening);
            let listening = shards.open(&session.get(None));
            shards.cut(listening);
        }
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn lists_that_change_are_told_to_every_session_and_subscription() {
    for (mut shards, catalog) in fleets() {
        let session = Session::start(&mut shards, "2025-06-18", json!({}));
        let listening = shards.open(&session.get(None));
        let filter = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}});
        let tagged = shards.open(&Modern::new().request("s", "subscriptions/listen", filter));
        catalog.remove_tool("echo");
        shards.reload(&snapshot_of(&catalog, |_| {}));
        assert_eq!(methods(&shards.messages(listening)), ["notifications/tools/list_changed"]);
        assert_eq!(methods(&shards.messages(tagged))[1..], ["notifications/tools/list_changed"]);
        catalog.remove_prompt("asked");
        catalog.remove_resource("me://name");
        shards.reload(&snapshot_of(&catalog, |_| {}));
        let mut told: Vec<_> = methods(&shards.messages(listening)).into_iter().map(String::from).collect();
        told.sort();
        assert_eq!(told[..2], ["notifications/prompts/list_changed", "notifications/resources/list_changed"]);
        assert_eq!(methods(&shards.messages(tagged))[1..].len(), 2, "resources were not asked for");
    }
}

#[test]
fn the_level_that_a_session_sets_holds_on_every_shard() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        for (level, expect) in [(None, 3), (Some("debug"), 6), (Some("error"), 0), (Some("warning"), 3)] {
            if let Some(level) = level {
                let set = session.request(1, "logging/setLevel", json!({"level": level}));
                assert_eq!(shards.ask(&set).json()["result"], json!({}));
            }
            for round in 0..9 {
                let call = shards.open(&session.call(round, "report", json!({})));
                (0..3).for_each(|_| shards.pass(100));
                let messages = shards.messages(call);
                let logs = messages.iter().filter(|message| message["method"] == "notifications/message");
                assert_eq!(logs.count(), expect, "{level:?}: {messages:?}");
                assert_eq!(text(messages.last().unwrap()), "reported");
                shards.cut(call);
            }
        }
    }
}

#[test]
fn a_stream_cut_anywhere_goes_on_on_another_shard() {
    for (mut shards, _) in fleets() {
        for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let session = Session::start(&mut shards, revision, json!({}));
            let call = json!({"name": "report", "arguments": {}, "_meta": {"progressToken": "p"}});
            let whole = shards.open(&session.request("w", "tools/call", call.clone()));
            (0..3).for_each(|_| shards.pass(100));
            let whole = shards.messages(whole);
            assert_eq!(whole.len(), 7, "three reports, three warnings, the answer");
            // Cut after so many waits, once or again and again.
            for (cuts, hops) in [(0, 1), (1, 1), (2, 1), (3, 1), (0, 4), (1, 3)] {
                let mut line = shards.open(&session.request("w", "tools/call", call.clone()));
                let mut heard = shards.messages(line);
                let mut last = shards.last_id(line);
                (0..cuts).for_each(|_| shards.pass(100));
                for hop in 0..hops {
                    let more = shards.messages(line);
                    heard.extend(more[if hop == 0 { heard.len() } else { 0 }..].to_vec());
                    last = shards.last_id(line).or(last);
                    shards.cut(line);
                    shards.pass(100);
                    line = shards.open(&session.get(last.as_deref()));
                }
                (0..3).for_each(|_| shards.pass(100));
                heard.extend(shards.messages(line));
                assert_eq!(heard, whole, "{revision}: cut after {cuts}, {hops} times");
                assert!(shards.stream(line).0.starts_with("HTTP/1.1 200"));
                shards.cut(line);
            }
        }
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn every_place_of_a_finished_stream_can_be_gone_back_to_until_its_window_is_over() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        let line = shards.open(&session.call(1, "report", json!({})));
        (0..3).for_each(|_| shards.pass(100));
        let (_, events) = shards.stream(line);
        shards.cut(line);
        let ids: Vec<&String> = events.iter().filter_map(|event| event.id.as_ref()).collect();
        assert_eq!(ids.len(), 5, "the priming one, three warnings, the answer");
        for (at, id) in ids.iter().enumerate() {
            let again = shards.open(&session.get(Some(id)));
            let expect: Vec<_> = events.iter().skip(at + 2).filter_map(|event| event.message()).collect();
            assert_eq!(shards.messages(again), expect, "{at}");
            shards.cut(again);
        }
        shards.pass(301_000);
        // The stream is no more; the session's own is read instead, under one head.
        for id in ids {
            let again = shards.open(&session.get(Some(id)));
            assert_eq!(shards.messages(again), Vec::<Value>::new());
            assert!(shards.stream(again).0.starts_with("HTTP/1.1 200") && !shards.is_over(again));
            shards.cut(again);
        }
    }
}

#[test]
fn a_call_is_cancelled_from_anywhere_and_only_by_its_session() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-06-18", json!({}));
        let other = Session::start(&mut shards, "2025-06-18", json!({}));
        let resumable = Session::start(&mut shards, "2025-11-25", json!({}));
        for id in [json!(7), json!("seven")] {
            for _ in 0..9 {
                let call = shards.open(&session.call(id.clone(), "work", json!({"ms": 5000})));
                assert_eq!(shards.ask(&other.cancel(id.clone())).status, 202);
                assert_eq!(shards.running(), 1, "another session's word counts for nothing");
                assert_eq!(shards.ask(&session.cancel(json!("no such"))).status, 202);
                assert_eq!(shards.running(), 1);
                assert_eq!(shards.ask(&session.cancel(id.clone())).status, 202);
                assert_eq!(shards.running(), 0);
                assert!(shards.is_answered(call), "whoever waits is told that nothing will come");
                shards.cut(call);
                // The same when the call is read on another shard.
                let call = shards.open(&resumable.call(id.clone(), "work", json!({"ms": 5000})));
                let last = shards.last_id(call);
                shards.cut(call);
                let call = shards.open(&resumable.get(last.as_deref()));
                shards.ask(&resumable.cancel(id.clone()));
                assert!(shards.is_answered(call) && shards.running() == 0);
                assert_eq!(shards.messages(call), Vec::<Value>::new());
            }
        }
    }
}

#[test]
fn an_ended_session_is_unknown_everywhere_and_its_calls_and_streams_end() {
    for (mut shards, _) in fleets() {
        for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let session = Session::start(&mut shards, revision, answering());
            let call = shards.open(&session.call(1, "ask", json!({})));
            let asked = shards.messages(call).pop().expect("a question");
            let listening = shards.open(&session.get(None));
            assert!(!shards.is_answered(listening));
            assert_eq!(shards.ask(&session.delete()).status, 204);
            assert!(shards.is_answered(listening) && shards.is_answered(call), "{revision}");
            assert_eq!(shards.running(), 0);
            let gone = [
                session.request(2, "ping", json!({})),
                session.request(2, "tools/list", json!({})),
                session.call(2, "ask", json!({})),
                session.reply(&asked, accept(json!({"name": "late"}))),
                session.cancel(1),
                session.get(None),
                session.get(shards.last_id(call).as_deref()),
                session.delete(),
            ];
            for request in gone.iter().cycle().take(gone.len() * 3) {
                let answer = shards.ask(request);
                assert_eq!(answer.status, 404, "{revision}: {}", String::from_utf8_lossy(request));
            }
        }
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn a_session_that_ends_while_it_is_being_read_leaves_nothing_behind() {
    for (mut shards, _) in fleets() {
        for reader in 0..4 {
            for ender in 0..4 {
                let session = Session::start(&mut shards, "2025-11-25", json!({}));
                shards.turn_to(reader);
                let listening = shards.connect();
                shards.turn_to(ender);
                let ending = shards.connect();
                // Neither has heard of the other yet.
                shards.send_only(listening, &session.get(None));
                shards.send_only(ending, &session.delete());
                shards.settle();
                assert_eq!(shards.answer(ending).status, 204);
                assert!(shards.is_answered(listening), "read on {reader}, ended on {ender}");
            }
        }
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn a_task_is_followed_answered_and_cancelled_from_anywhere() {
    for (mut shards, _) in fleets() {
        let client = Modern::with(all_capabilities());
        let task = |id: &Value| json!({"taskId": id});
        for round in 0..9 {
            let made = shards.ask(&client.call(round, "work_asks", json!({}))).json();
            let id = made["result"]["taskId"].clone();
            assert_eq!(made["result"]["resultType"], "task", "{made}");
            let filter = json!({"notifications": {"taskIds": [id]}});
            let listening = shards.open(&client.request("l", "subscriptions/listen", filter));
            for (key, name) in [("first", "Ada"), ("last", "Lovelace")] {
                let seen = shards.ask(&client.request(1, "tasks/get", task(&id))).json();
                assert_eq!(seen["result"]["status"], "input_required", "{seen}");
                assert_eq!(seen["result"]["inputRequests"][key]["method"], "elicitation/create", "{seen}");
                let answers =
                    json!({"taskId": id, "inputResponses": {key: accept(json!({"name": name})), "x": {}}});
                let taken = shards.ask(&client.request(2, "tasks/update", answers)).json();
                assert_eq!(taken["result"]["resultType"], "complete", "{taken}");
            }
            let seen = shards.ask(&client.request(3, "tasks/get", task(&id))).json();
            assert_eq!(seen["result"]["status"], "completed", "{seen}");
            assert_eq!(seen["result"]["result"]["content"][0]["text"], "worked for Ada Lovelace");
            let told = shards.messages(listening);
            let statuses: Vec<&str> =
                told.iter().filter_map(|message| message["params"]["status"].as_str()).collect();
            assert_eq!(statuses.last(), Some(&"completed"), "{told:?}");
            assert!(told.iter().all(|message| {
                message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "l"
            }));
            shards.cut(listening);
            let made = shards.ask(&client.call(round, "work", json!({"ms": 50_000}))).json();
            let id = made["result"]["taskId"].clone();
            assert_eq!(shards.running(), 1);
            assert_eq!(shards.ask(&client.request(4, "tasks/cancel", task(&id))).status, 200);
            let seen = shards.ask(&client.request(5, "tasks/get", task(&id))).json();
            assert_eq!((&seen["result"]["status"], shards.running()), (&json!("cancelled"), 0));
            let stranger = Modern { key: OTHER_KEY, ..client.clone() };
            for method in ["tasks/get", "tasks/cancel"] {
                assert_eq!(code(&shards.ask(&stranger.request(6, method, task(&id)))), -32602);
            }
        }
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn a_state_may_be_brought_to_any_shard_and_a_single_use_one_only_once() {
    for (mut shards, _) in fleets() {
        let client = Modern::with(answering());
        for round in 0..9 {
            let asked = shards.ask(&client.call(round, "ask_once", json!({"name": "x"}))).json();
            let again = json!({"name": "ask_once", "arguments": {"name": "x"},
                "requestState": asked["result"]["requestState"],
                "inputResponses": {"who": accept(json!({"name": "Ada"}))}});
            assert_eq!(
                text(&shards.ask(&client.request(100, "tools/call", again.clone())).json()),
                "hello Ada"
            );
            for _ in 0..9 {
                assert_eq!(code(&shards.ask(&client.request(101, "tools/call", again.clone()))), -32602);
            }
        }
    }
}

#[test]
fn a_session_outlives_a_restart_with_other_shards() {
    let served = catalog_snapshot();
    let mut before = Shards::new(8, Carry::InOrder, &served);
    before.turn_to(7);
    let session = Session::start(&mut before, "2025-11-25", answering());
    let call = before.open(&session.call(1, "ask", json!({})));
    let (question, id) = (before.messages(call).pop().expect("a question"), before.last_id(call));
    let client = Modern::with(all_capabilities());
    before.turn_to(7);
    let task = before.ask(&client.call(1, "work", json!({"ms": 1}))).json()["result"]["taskId"].clone();
    for count in [1, 2, 3] {
        let mut after = Shards::new(count, Carry::InOrder, &served);
        assert_eq!(after.ask(&session.request(2, "ping", json!({}))).status, 200);
        assert_eq!(after.ask(&session.reply(&question, accept(json!({"name": "Ada"})))).status, 202);
        assert_eq!(after.ask(&session.cancel(1)).status, 202);
        let uri = json!({"uri": "docs://motto"});
        assert_eq!(after.ask(&session.request(3, "resources/subscribe", uri)).status, 200);
        for last in [None, id.as_deref(), id.as_deref()] {
            let line = after.open(&session.get(last));
            assert!(after.stream(line).0.starts_with("HTTP/1.1 200"), "{count}");
            after.updated("docs://motto");
            assert_eq!(after.messages(line).len(), 1, "{count}");
            after.cut(line);
        }
        for method in ["tasks/get", "tasks/cancel"] {
            assert_eq!(code(&after.ask(&client.request(4, method, json!({"taskId": task})))), -32602);
        }
        assert_eq!(after.ask(&session.delete()).status, 204);
        assert_eq!(after.ask(&session.request(5, "ping", json!({}))).status, 404);
    }
}

#[test]
fn a_fleet_without_room_refuses_and_serves_again_when_there_is_some() {
    for count in [1, 2, 8] {
        let catalog = catalog();
        let served = snapshot_of(&catalog, |snapshot| snapshot.limits.streams_max = 3 * count);
        let mut shards = Shards::new(count, Carry::InOrder, &served);
        let client = Modern::with(all_capabilities());
        let filter = json!({"notifications": {}});
        let open: Vec<usize> = (0..3 * count)
            .map(|id| shards.open(&client.request(id, "subscriptions/listen", filter.clone())))
            .collect();
        assert_eq!(shards.streams(), 3 * count);
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        for _ in 0..count {
            for request in [
                client.request(1, "subscriptions/listen", filter.clone()),
                Modern::new().call(1, "work", json!({"ms": 1000})),
                session.call(1, "work", json!({"ms": 1000})),
            ] {
                let answer = shards.ask(&request);
                assert_eq!((answer.status, code(&answer)), (503, 503));
                assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
            }
            let line = shards.open(&session.get(None));
            assert!(shards.is_answered(line), "nobody waits for a stream there is no room for");
        }
        assert_eq!(shards.running(), 0, "what is refused does not run");
        open.into_iter().for_each(|line| shards.cut(line));
        for _ in 0..count {
            let line = shards.open(&session.get(None));
            assert!(!shards.is_answered(line));
            shards.cut(line);
        }
    }
}
