//! Connections without headers: who speaks, how much, and how they end.
//! Next: `websockets`.

use serde_json::{Value, json};

use crate::client::answering;
use crate::fixture::{KEY, rate};
use crate::talk::{Kind, PIPES, Talk, call, modern, reason, request, reshape, shake, text};

#[test]
fn whoever_does_not_say_who_it_is_is_told_and_in_the_end_sent_away() {
    for kind in PIPES {
        for (wrong, reason_word) in [
            (json!("Bearer nobody"), "unauthenticated"),
            (json!(7), "unauthenticated"),
            (json!(""), "unauthenticated"),
            (Value::Null, "unauthenticated"),
        ] {
            let mut talk = Talk::new(kind);
            let mut message = call(1, "echo", json!({"message": "x"}), None);
            message["params"]["_meta"]["mcpring/authorization"] = wrong.clone();
            let answers = talk.say(&message);
            assert_eq!((&answers[0]["id"], reason(&answers[0])), (&json!(1), reason_word), "{wrong}");
            assert_eq!(answers[0]["error"]["code"], 401);
            assert!(!talk.is_over(), "a client may ask what is spoken before it says who it is");
            assert_eq!(text(&talk.say(&call(2, "echo", json!({"message": "y"}), Some(KEY)))[0]), "y");
        }
        let mut talk = Talk::new(kind);
        for _ in 0..2 {
            assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
            assert!(!talk.is_over());
        }
        assert_eq!(reason(&talk.say(&request(3, "ping", json!({})))[0]), "unauthenticated");
        assert!(talk.is_over());
    }
}

#[test]
fn a_stranger_sends_little() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        let long = call(1, "echo", json!({"message": "x".repeat(70_000)}), Some(KEY));
        let answers = talk.say(&long);
        assert_eq!(
            (answers.len(), &answers[0]["error"]["code"], &answers[0]["id"]),
            (1, &json!(413), &Value::Null)
        );
        assert_eq!(text(&talk.say(&call(2, "echo", json!({"message": "y"}), Some(KEY)))[0]), "y");
        assert_eq!(text(&talk.say(&long)[0]).len(), 70_000);
    }
}

#[test]
fn who_may_come_without_a_name_may_still_give_one() {
    for kind in PIPES {
        let mut talk = Talk::with(kind, |snapshot| {
            reshape(snapshot, |listener| {
                listener.admission = mcpring::pipeline::snapshot::Admission::AnonymousAllowed;
            });
        });
        let refused = talk.say(&call(1, "echo", json!({"message": "a"}), None));
        assert_eq!(reason(&refused[0]), "forbidden", "nobody has no roles here");
        assert_eq!(text(&talk.say(&call(2, "echo", json!({"message": "b"}), Some(KEY)))[0]), "b");
        assert_eq!(text(&talk.say(&call(3, "echo", json!({"message": "c"}), None))[0]), "c");
        let wrong = talk.say(&call(4, "echo", json!({"message": "d"}), Some("wrong")));
        assert_eq!(text(&wrong[0]), "d", "it is known by now");
    }
}

#[test]
fn the_last_line_needs_no_end_and_half_a_line_is_none() {
    for (tail, answers) in [("", 1), (" ", 1), ("}", 1), ("x", 0)] {
        let mut talk = Talk::new(Kind::Lines);
        let message = call(1, "echo", json!({"message": "last"}), Some(KEY)).to_string() + tail;
        assert!(talk.raw(message.as_bytes()).is_empty());
        talk.shards.end_input(talk.line);
        assert_eq!(talk.heard().len(), answers, "{tail:?}");
        assert!(talk.is_over());
    }
    let mut talk = Talk::new(Kind::Lines);
    assert!(talk.raw(call(1, "work", json!({"ms": 50}), Some(KEY)).to_string().as_bytes()).is_empty());
    talk.shards.end_input(talk.line);
    assert_eq!(talk.pass(60).len(), 1, "what it began is finished");
}

#[test]
fn garbage_of_strangers_is_not_read_for_long() {
    let mut talk = Talk::new(Kind::Lines);
    for _ in 0..3 {
        assert!(!talk.is_over());
        assert_eq!(talk.raw(b"{\n")[0]["error"]["code"], -32700);
    }
    assert!(talk.is_over());
}

#[test]
fn everybody_pays_for_each_message() {
    for kind in PIPES {
        let mut talk = Talk::with(kind, |snapshot| {
            snapshot.rate_limits = vec![rate(mcpring::pipeline::admit::RateKey::Ip, 1, 2)];
        });
        assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "a"}), Some(KEY)))[0]), "a");
        assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
        let refused = talk.say(&call(3, "echo", json!({"message": "b"}), None));
        assert_eq!((&refused[0]["id"], reason(&refused[0])), (&json!(3), "rate_limit_exceeded"));
        let record = talk.shards.desks[0].work.events.poll_record().expect("a refusal is recorded");
        assert_eq!(record.detail.as_deref(), Some("Ip"), "the log names the limit");
        assert!(refused[0]["error"]["data"]["retryAfterMs"].as_u64().unwrap() > 0);
        assert!(talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
        assert!(!talk.is_over());
        talk.pass(1000);
        assert_eq!(text(&talk.say(&call(4, "echo", json!({"message": "c"}), None))[0]), "c");
    }
}

#[test]
fn what_is_no_message_is_answered_and_the_connection_goes_on() {
    let mut talk = Talk::new(Kind::Lines);
    assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "a"}), Some(KEY)))[0]), "a");
    for (line, code, id) in [
        ("{", -32700, Value::Null),
        ("{}", -32600, Value::Null),
        ("7", -32600, Value::Null),
        ("[]", -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"1.0","id":9,"method":"ping"}"#, -32600, json!(9)),
        (r#"{"jsonrpc":"2.0","id":9,"method":"nope"}"#, -32600, json!(9)),
    ] {
        let heard = talk.raw(format!("{line}\n").as_bytes());
        assert_eq!(
            (heard.len(), &heard[0]["error"]["code"], &heard[0]["id"]),
            (1, &json!(code), &id),
            "{line}"
        );
    }
    // An answer to nothing is no reason to answer.
    assert!(talk.raw(b"{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n").is_empty());
    assert!(talk.raw(b"\n \r\n\t\n").is_empty());
    assert_eq!(text(&talk.say(&call(1, "echo", json!({"message": "b"}), None))[0]), "b");
    let mut old = call(2, "echo", json!({"message": "b"}), None);
    old["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("1999-01-01");
    assert_eq!(talk.say(&old)[0]["error"]["code"], -32022);
}

#[test]
fn a_message_at_the_limit_is_taken_and_one_byte_more_is_not() {
    for kind in PIPES {
        let mut talk = Talk::with(kind, |snapshot| {
            reshape(snapshot, |listener| listener.limits.message_bytes_max = 4096)
        });
        let of = |bytes: usize| {
            let bare = call(1, "echo", json!({"message": ""}), Some(KEY)).to_string().len();
            call(1, "echo", json!({"message": "x".repeat(bytes - bare)}), Some(KEY))
        };
        assert_eq!(talk.say(&of(4096))[0]["id"], 1);
        let refused = talk.say(&of(4097));
        assert_eq!((refused.len(), &refused[0]["error"]["code"]), (1, &json!(413)));
        assert_eq!(talk.say(&of(4096))[0]["id"], 1);
        // In pieces, with the next one right behind.
        let mut bytes = talk.encode(&of(5000).to_string());
        bytes.extend(talk.encode(&of(1000).to_string()));
        let mut heard = Vec::new();
        for piece in bytes.chunks(100) {
            heard.extend(talk.raw(piece));
        }
        assert_eq!((heard.len(), &heard[0]["error"]["code"], &heard[1]["id"]), (2, &json!(413), &json!(1)));
        // One that does not end is not waited for.
        let endless = match kind {
            Kind::Lines => vec![b'x'; 30_000],
            Kind::Prefixed | Kind::Frames | Kind::Events => u32::MAX.to_be_bytes().to_vec(),
        };
        for piece in endless.chunks(1000) {
            talk.raw(piece);
        }
        assert!(talk.is_over(), "{kind:?}");
    }
}

#[test]
fn a_peer_that_ends_its_half_gets_what_is_in_flight() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        assert!(talk.say(&call(1, "work", json!({"ms": 100}), Some(KEY))).is_empty());
        let listen = json!({"notifications": {"toolsListChanged": true}});
        assert_eq!(talk.say(&modern("l", "subscriptions/listen", listen, None)).len(), 1);
        talk.shards.end_input(talk.line);
        assert!(!talk.is_over());
        let heard = talk.pass(120);
        assert_eq!((heard.len(), &heard[0]["id"]), (1, &json!(1)));
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", answering());
        assert_eq!(talk.say(&request(1, "tools/call", json!({"name": "ask"}))).len(), 1);
        talk.shards.end_input(talk.line);
        let heard = talk.heard();
        assert_eq!(
            (heard.len(), &heard[0]["result"]["isError"]),
            (1, &json!(true)),
            "nobody can answer any more"
        );
        assert!(talk.is_over());
        let mut talk = Talk::new(kind);
        talk.shards.end_input(talk.line);
        assert!(talk.is_over());
    }
}

#[test]
fn who_asks_nothing_is_not_kept_and_who_waits_is() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        talk.pass(121_000);
        assert!(talk.is_over(), "idle");
        let mut talk = Talk::new(kind);
        shake(&mut talk, "2025-11-25", json!({}));
        (0..10).for_each(|_| drop(talk.pass(121_000)));
        assert!(!talk.is_over(), "its session may be told something");
        let mut talk = Talk::new(kind);
        talk.raw(if kind == Kind::Lines { b"{\"json" } else { &[0, 0, 0, 9, b'{'] });
        talk.pass(31_000);
        assert!(talk.is_over(), "half a message");
    }
}

#[test]
fn messages_cut_anywhere_are_the_same_messages() {
    for kind in PIPES {
        let mut talk = Talk::new(kind);
        let mut bytes = talk.encode(&call(1, "echo", json!({"message": "a\u{20ac}"}), Some(KEY)).to_string());
        for id in 2..6 {
            bytes.extend(talk.encode(&call(id, "work", json!({"ms": 0}), None).to_string()));
        }
        let all: Vec<_> = talk.raw(&bytes).into_iter().chain(talk.pass(10)).collect();
        assert_eq!(all.len(), 5);
        for step in [1, 2, 3, 7, 64, 300] {
            let mut talk = Talk::new(kind);
            let mut heard = Vec::new();
            for piece in bytes.chunks(step) {
                heard.extend(talk.raw(piece));
            }
            heard.extend(talk.pass(10));
            let sorted = |mut answers: Vec<Value>| {
                answers.sort_by_key(|answer| answer["id"].as_u64());
                answers
            };
            assert_eq!(sorted(heard), sorted(all.clone()), "{kind:?} {step}");
        }
    }
}
