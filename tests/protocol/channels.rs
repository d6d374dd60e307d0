//! Connections that carry everything: both eras over lines, prefixed messages, WebSocket frames and the pair of 2024-11-05.
//! Next: `pipes`, what is so without headers; `websockets`; `feeds`.

use serde_json::json;

use crate::client::answering;
use crate::fixture::{KEY, READER_KEY};
use crate::offer::catalog;
use crate::talk::{
    KINDS, Kind, Talk, call, cancelled, modern, reason, request, reshape, serving, shake, text, with_key,
};

#[test]
fn a_modern_client_says_who_it_is_once() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let answers = talk.say(&call(1, "echo", json!({"message": "one"}), Some(KEY)));
        assert_eq!((answers.len(), text(&answers[0])), (1, "one"), "{kind:?}");
        let answers = talk.say(&call("two", "echo", json!({"message": "line\nbreak"}), None));
        assert_eq!((&answers[0]["id"], text(&answers[0])), (&json!("two"), "line\nbreak"));
        let answers = talk.say(&modern(3, "server/discover", json!({}), None));
        assert_eq!(answers[0]["result"]["resultType"], "complete");
        assert!(!talk.is_over());
    }
}

#[test]
fn a_legacy_client_shakes_hands_and_the_session_is_the_connections() {
    for kind in KINDS {
        for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
            let mut talk = Talk::new(kind);
            // MCP 2025-11-25, lifecycle: a ping may come first, anything else not.
            assert_eq!(
                talk.say(&with_key(request("p", "ping", json!({})), Some(KEY)))[0]["result"],
                json!({})
            );
            assert_eq!(reason(&talk.say(&request("l", "tools/list", json!({})))[0]), "not_initialized");
            shake(&mut talk, revision, json!({}));
            let answers =
                talk.say(&request(1, "tools/call", json!({"name": "echo", "arguments": {"message": "hi"}})));
            assert_eq!(text(&answers[0]), "hi");
            assert!(answers[0]["result"].get("resultType").is_none());
            let again = json!({"protocolVersion": revision, "capabilities": {}});
            assert_eq!(talk.say(&request(2, "initialize", again))[0]["error"]["code"], -32602);
            // Modern requests may stand beside it.
            assert_eq!(
                talk.say(&call(3, "echo", json!({"message": "m"}), None))[0]["result"]["resultType"],
                "complete"
            );
        }
    }
}

#[test]
fn requests_are_answered_as_they_finish() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call("slow", "work", json!({"ms": 200}), Some(KEY))).is_empty());
        assert!(talk.say(&call("quick", "work", json!({"ms": 100}), None)).is_empty());
        assert_eq!(text(&talk.say(&call("now", "echo", json!({"message": "n"}), None))[0]), "n");
        assert_eq!(talk.pass(120)[0]["id"], "quick");
        assert_eq!(talk.pass(120)[0]["id"], "slow");
        assert_eq!(talk.shards.streams(), usize::from(kind == Kind::Events), "an inbox where there is one");
    }
}

#[test]
fn reports_come_before_their_answer_in_both_eras() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let mut report = call("r", "report", json!({}), Some(KEY));
        report["params"]["_meta"]["progressToken"] = json!("t");
        report["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("warning");
        let mut heard = talk.say(&report);
        (0..4).for_each(|_| heard.extend(talk.pass(100)));
        let methods: Vec<_> =
            heard.iter().map(|message| message["method"].as_str().unwrap_or("answer")).collect();
        let once = ["notifications/progress", "notifications/message"];
        assert_eq!(methods, [&once[..], &once, &once, &["answer"]].concat());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-06-18", json!({}));
        assert_eq!(
            talk.say(&request(1, "logging/setLevel", json!({"level": "debug"})))[0]["result"],
            json!({})
        );
        let mut heard =
            talk.say(&request(2, "tools/call", json!({"name": "report", "_meta": {"progressToken": 5}})));
        (0..4).for_each(|_| heard.extend(talk.pass(100)));
        assert_eq!(heard.len(), 10, "{heard:?}");
    }
}

#[test]
fn what_is_cancelled_is_not_heard_of_again() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        assert!(talk.say(&call(2, "work", json!({"ms": 100}), None)).is_empty());
        assert!(talk.say(&cancelled(1)).is_empty());
        assert!(talk.say(&cancelled("nobody")).is_empty());
        assert_eq!(talk.shards.running(), 1);
        let heard = talk.pass(150);
        assert_eq!((heard.len(), &heard[0]["id"]), (1, &json!(2)));
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", json!({}));
        assert!(
            talk.say(&request(1, "tools/call", json!({"name": "work", "arguments": {"ms": 100}}))).is_empty()
        );
        assert!(talk.say(&cancelled(1)).is_empty());
        assert!(talk.pass(150).is_empty());
        assert_eq!(talk.shards.running(), 0);
    }
}

#[test]
fn one_handler_asks_in_both_eras() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let mut ask = call(1, "ask", json!({}), Some(KEY));
        ask["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = answering();
        let asked = talk.say(&ask).remove(0)["result"].take();
        assert_eq!(asked["resultType"], "input_required");
        ask["id"] = json!(2);
        ask["params"]["requestState"] = asked["requestState"].clone();
        ask["params"]["inputResponses"] = json!({"who": {"action": "accept", "content": {"name": "Ada"}}});
        assert_eq!(text(&talk.say(&ask)[0]), "hello Ada");
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", answering());
        let question = talk.say(&request(1, "tools/call", json!({"name": "ask"}))).remove(0);
        assert_eq!(question["method"], "elicitation/create");
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"name": "Bob"}}});
        assert_eq!(text(&talk.say(&answer)[0]), "hello Bob");
        assert_eq!(talk.shards.streams(), 1 + usize::from(kind == Kind::Events), "the session's own");
    }
}

#[test]
fn changes_are_told_to_whoever_asked_in_either_era() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let listen = json!({"notifications": {"resourceSubscriptions": ["docs://motto"]}});
        let heard = talk.say(&modern("l", "subscriptions/listen", listen, Some(KEY)));
        assert_eq!(heard[0]["method"], "notifications/subscriptions/acknowledged");
        talk.shards.updated("docs://motto");
        let heard = talk.heard();
        assert_eq!((heard.len(), &heard[0]["params"]["uri"]), (1, &json!("docs://motto")));
        assert_eq!(heard[0]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
        assert!(talk.say(&cancelled("l")).is_empty());
        talk.shards.updated("docs://motto");
        assert!(talk.heard().is_empty());
        shake(&mut talk, "2025-11-25", json!({}));
        assert!(
            talk.say(&request(2, "resources/subscribe", json!({"uri": "docs://motto"})))[0]["result"]
                .is_object()
        );
        talk.shards.updated("docs://motto");
        assert_eq!(talk.heard()[0]["method"], "notifications/resources/updated");
        assert!(
            talk.say(&request(3, "resources/unsubscribe", json!({"uri": "docs://motto"})))[0]["result"]
                .is_object()
        );
        talk.shards.updated("docs://motto");
        assert!(talk.heard().is_empty());
        talk.shards.cut_all();
        assert_eq!(talk.shards.streams(), 0);
    }
}

#[test]
fn tasks_are_looked_at_from_another_connection() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        let mut work = call(1, "work", json!({"ms": 100}), Some(KEY));
        work["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = tasks.clone();
        let id = talk.say(&work)[0]["result"]["taskId"].clone();
        assert!(talk.pass(150).is_empty());
        let mut get = modern(2, "tasks/get", json!({"taskId": id}), Some(KEY));
        get["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = tasks;
        talk.connect();
        assert_eq!(talk.say(&get)[0]["result"]["status"], "completed");
    }
}

#[test]
fn a_batch_is_answered_as_one_where_there_are_batches() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-03-26", json!({}));
        let work = |id| request(id, "tools/call", json!({"name": "work", "arguments": {"ms": 50}}));
        let batch =
            json!([request(1, "ping", json!({})), work(2), work(3), {"jsonrpc": "2.0", "method": "x"}]);
        assert!(talk.say(&batch).is_empty());
        let heard = talk.pass(60);
        let ids: Vec<_> =
            heard[0].as_array().expect("an array").iter().map(|answer| answer["id"].clone()).collect();
        assert_eq!((heard.len(), ids), (1, vec![json!(1), json!(2), json!(3)]));
        let heard = talk.say(&json!([request(1, "ping", json!({}))]));
        assert!(heard[0].is_array());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-06-18", json!({}));
        assert_eq!(talk.say(&batch)[0]["error"]["code"], -32600);
        assert!(!talk.is_over());
    }
}

#[test]
fn only_so_many_requests_wait_for_an_answer() {
    for kind in KINDS {
        let mut talk =
            Talk::with(kind, |snapshot| reshape(snapshot, |listener| listener.limits.inflight_max = 2));
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        assert!(talk.say(&call(2, "work", json!({"ms": 100}), None)).is_empty());
        let refused = talk.say(&call(3, "work", json!({"ms": 100}), None));
        assert_eq!((&refused[0]["id"], reason(&refused[0])), (&json!(3), "too_many_in_flight"));
        assert!(talk.say(&cancelled(1)).is_empty());
        assert!(talk.say(&call(4, "work", json!({"ms": 100}), None)).is_empty());
        let ids: Vec<_> = talk.pass(200).into_iter().map(|answer| answer["id"].clone()).collect();
        assert_eq!(ids.len(), 2, "{ids:?}");
    }
}

#[test]
fn a_server_that_stops_finishes_what_it_has_begun() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        talk.shards.drain();
        assert!(!talk.is_over());
        assert_eq!(reason(&talk.say(&call(2, "work", json!({"ms": 100}), None))[0]), "overloaded");
        assert_eq!(talk.pass(120)[0]["id"], 1);
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", json!({}));
        talk.shards.drain();
        assert!(talk.is_over(), "nothing is owed");
    }
}

#[test]
fn whoever_is_let_in_may_be_sent_away_or_may_less_after_a_reload() {
    for kind in KINDS {
        let all = catalog();
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        let gone = serving(kind, &all, |snapshot| {
            snapshot.generation = 2;
            let keys = vec![crate::fixture::key("reader", READER_KEY, 2)];
            snapshot.identities = crate::fixture::identities(keys, 0);
        });
        talk.shards.reload(&gone);
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "a"}), Some(KEY)))[0]), "a");
        let less = serving(kind, &all, |snapshot| {
            snapshot.generation = 2;
            let keys = vec![crate::fixture::key("operator", KEY, 2)];
            snapshot.identities = crate::fixture::identities(keys, 0);
        });
        talk.shards.reload(&less);
        assert_eq!(reason(&talk.say(&call(2, "echo", json!({"message": "a"}), None))[0]), "forbidden");
    }
}
