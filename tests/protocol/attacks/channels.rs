//! What hostile, hasty or unlucky peers try on connections that carry everything.
//! Next: `crate::channels`, what friendly ones see.

use mcpring::pipeline::admit::RateKey;
use mcpring::pipeline::hub::key::Key;
use serde_json::{Value, json};

use crate::client::answering;
use crate::fixture::{KEY, rate};
use crate::offer::catalog;
use crate::shards::{Carry, Shards};
use crate::talk::{KINDS, Kind, PIPES, Talk, call, get, reason, request, reshape, serving, shake, text};

fn work(id: u64, ms: u64) -> Value {
    request(id, "tools/call", json!({"name": "work", "arguments": {"ms": ms}}))
}

#[test]
fn a_batch_runs_no_more_at_once_than_its_messages_would_alone() {
    for kind in KINDS {
        let mut talk =
            Talk::with(kind, |snapshot| reshape(snapshot, |listener| listener.limits.inflight_max = 3));
        shake(&mut talk, "2025-03-26", json!({}));
        assert!(talk.say(&work(1, 100)).is_empty());
        let batch: Vec<Value> = (2..10).map(|id| work(id, 100)).collect();
        let mut heard = talk.say(&json!(batch));
        assert_eq!(talk.shards.running(), 3, "{kind:?}");
        heard.extend(talk.pass(150));
        let answers = heard.iter().find_map(Value::as_array).expect("one batch, one array");
        let refused: Vec<&Value> = answers.iter().filter(|answer| answer.get("error").is_some()).collect();
        assert_eq!((answers.len(), refused.len()), (8, 6), "{kind:?}: {heard:?}");
        assert!(refused.iter().all(|answer| reason(answer) == "too_many_in_flight"));
    }
}

#[test]
fn answers_in_a_batch_are_taken_however_many_requests_wait() {
    for kind in KINDS {
        let mut talk =
            Talk::with(kind, |snapshot| reshape(snapshot, |listener| listener.limits.inflight_max = 1));
        shake(&mut talk, "2025-03-26", answering());
        let question = talk.say(&request(1, "tools/call", json!({"name": "ask_all"}))).remove(0);
        assert!(question.get("method").is_some(), "{question}");
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}});
        let heard = talk.say(&json!([answer]));
        assert!(heard.iter().all(|message| message.get("error").is_none()), "{kind:?}: {heard:?}");
    }
}

#[test]
fn an_event_stream_carries_everything_although_its_request_was_the_last_of_its_connection() {
    for (version, fields) in [("1.1", "Connection: close\r\n"), ("1.0", ""), ("1.1", "")] {
        let mut shards = Shards::new(1, Carry::InOrder, &serving(Kind::Events, &catalog(), |_| {}));
        let opening = String::from_utf8(get("/sse", fields)).unwrap();
        let line = shards.open(opening.replace("HTTP/1.1", &format!("HTTP/{version}")).as_bytes());
        let received = String::from_utf8_lossy(shards.received(line)).into_owned();
        let (_, rest) = received.split_once("data: ").expect("an endpoint");
        let path = rest.lines().next().unwrap().to_owned();
        for id in 1..=3 {
            let message = call(id, "echo", json!({"message": format!("m{id}")}), None).to_string();
            let length = message.len();
            let post = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Authorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n{message}"
            );
            assert_eq!(shards.ask(post.as_bytes()).status, 202, "{version} {fields} {id}");
        }
        assert!(!shards.is_over(line), "{version} {fields}");
        let received = String::from_utf8_lossy(shards.received(line)).into_owned();
        assert!((1..=3).all(|id| received.contains(&format!("m{id}"))), "{version} {fields}: {received}");
    }
}

#[test]
fn posts_to_shards_that_are_not_there_leave_nothing_behind() {
    for count in [1, 3] {
        let mut shards = Shards::new(count, Carry::InOrder, &serving(Kind::Events, &catalog(), |_| {}));
        for shard in [0, 1, 2, 3, 500, u16::MAX] {
            for _ in 0..count {
                let path = format!("/message?sessionId={}", Key { shard, slot: 0, nonce: 1 }.encode());
                let post = format!(
                    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                     Authorization: Bearer {KEY}\r\nContent-Length: 2\r\n\r\n{{}}"
                );
                assert_eq!(shards.ask(post.as_bytes()).status, 404, "{count} {shard}");
            }
        }
        shards.cut_all();
        assert_eq!(shards.streams(), 0, "{count}");
    }
}

#[test]
fn a_stranger_without_tokens_is_sent_away_too() {
    for kind in PIPES {
        let mut talk = Talk::with(kind, |snapshot| snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 1)]);
        let guess = |id: u64| call(id, "echo", json!({"message": "x"}), Some(&format!("guess-{id}")));
        for id in 1..=3 {
            assert!(!talk.is_over(), "{kind:?} {id}");
            talk.say(&guess(id));
        }
        assert!(talk.is_over(), "{kind:?}: it may guess for ever");
    }
}

#[test]
fn a_stranger_that_sends_too_much_is_sent_away_and_pays() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        for at in 1..=3 {
            assert!(!talk.is_over(), "{kind:?} {at}");
            talk.raw(&talk.encode(&"x".repeat(70_000)));
        }
        assert!(talk.is_over(), "{kind:?}");
        let mut talk = Talk::with(kind, |snapshot| snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 1)]);
        assert_eq!(talk.raw(&talk.encode(&"x".repeat(70_000)))[0]["error"]["code"], 413);
        let refused = talk.say(&call(1, "echo", json!({"message": "x"}), Some(KEY)));
        assert_eq!(reason(&refused[0]), "rate_limit_exceeded", "{kind:?}");
    }
}

#[test]
fn what_is_written_in_many_parts_leaves_no_lease_that_was_not_taken() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        let before = talk.shards.desks[0].work.pool.leased();
        for id in 0..8u64 {
            let mut flood = call(id, "flood", json!({"messages": 4, "bytes": 60_000}), Some(KEY));
            flood["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("warning");
            assert!(talk.say(&flood).is_empty());
        }
        let mut heard = Vec::new();
        (0..30).for_each(|_| heard.extend(talk.pass(5)));
        assert_eq!(heard.iter().filter(|message| message.get("result").is_some()).count(), 8, "{kind:?}");
        assert_eq!(talk.shards.desks[0].work.pool.leased(), before, "{kind:?}");
    }
}

#[test]
fn half_a_message_before_the_end_of_input_costs_no_answer() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 60_000}), Some(KEY))).is_empty());
        let half = talk.encode("{\"jsonrpc\":");
        talk.raw(&half[..half.len() - 1]);
        talk.shards.end_input(talk.line);
        let mut heard = Vec::new();
        (0..7).for_each(|_| heard.extend(talk.pass(10_000)));
        assert_eq!((heard.len(), talk.is_over()), (1, true), "{kind:?}: what is in flight is finished");
    }
}

#[test]
fn blank_lines_in_pieces_buy_a_stranger_no_time() {
    let mut talk = Talk::new(Kind::Lines);
    for _ in 0..40 {
        talk.pass(9_000);
        talk.raw(b" ");
        talk.pass(1);
        talk.raw(b"\n");
    }
    assert!(talk.is_over(), "six minutes without a word");
}

#[test]
fn a_message_that_is_posted_pays_once() {
    let mut talk = Talk::with(Kind::Events, |snapshot| snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 4)]);
    for id in 1..=3 {
        let heard = talk.say(&call(id, "echo", json!({"message": "x"}), None));
        assert_eq!(text(&heard[0]), "x", "{id}");
    }
}

#[test]
fn whoever_has_ended_its_half_is_not_waited_for_with_a_new_question() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", answering());
        let asked = talk.say(&request(1, "tools/call", json!({"name": "ask_then_work"})));
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(talk.say(&request(2, "tools/call", json!({"name": "ask_all"})))[0].get("method").is_some());
        talk.shards.end_input(talk.line);
        talk.heard();
        assert!(talk.is_over(), "{kind:?}");
        assert_eq!(talk.shards.running(), 0, "{kind:?}");
    }
}

#[test]
fn one_id_in_both_eras_is_two_requests() {
    for kind in KINDS {
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", json!({}));
        assert!(talk.say(&work(1, 100)).is_empty());
        assert!(talk.say(&call(1, "work", json!({"ms": 200}), None)).is_empty());
        let heard = [talk.pass(120), talk.pass(120)].concat();
        assert_eq!(heard.len(), 2, "{kind:?}: {heard:?}");
    }
}
