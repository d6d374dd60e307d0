//! Streams of the legacy era: their first event, their ids, going on after a cut, taking over, letting go, missing some.
//! Next: `sessions`.

use serde_json::{Value, json};

use mcpring::pipeline::event::Count;
use mcpring::pipeline::snapshot::SlowReader;

use crate::client::{OTHER_KEY, Session, accept, answering, fleets, text};
use crate::offer::{catalog, snapshot_of};
use crate::shards::{Carry, Event, Shards, stream_of};

const REVISIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

#[test]
fn the_newest_legacy_revision_is_primed_and_told_when_to_come_back() {
    for (mut shards, _) in fleets() {
        for revision in REVISIONS {
            let session = Session::start(&mut shards, revision, json!({}));
            for request in [session.get(None), session.call(1, "work", json!({"ms": 100}))] {
                for _ in 0..3 {
                    let line = shards.open(&request);
                    let (head, events) = shards.stream(line);
                    if revision == "2025-11-25" {
                        assert!(head.contains("text/event-stream"), "{head}");
                        let first = &events[0];
                        assert!(first.id.is_some() && first.message().is_none(), "{events:?}");
                        assert_eq!(first.data.as_deref(), Some(""), "an event without data is none");
                        assert!(events.iter().any(|event| event.retry == Some(1000)), "{events:?}");
                    } else {
                        assert_eq!(events, Vec::new(), "{revision}: older clients choke on empty data");
                    }
                    shards.cut(line);
                }
                shards.pass(100);
            }
        }
    }
}

#[test]
fn ids_are_unique_in_a_session_and_lead_only_to_their_stream() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        let lines = [
            shards.open(&session.call("a", "report", json!({}))),
            shards.open(&session.call("b", "report", json!({}))),
            shards.open(&session.get(None)),
        ];
        (0..3).for_each(|_| shards.pass(100));
        let ids: Vec<Vec<String>> =
            lines.map(|line| shards.stream(line).1.into_iter().filter_map(|event| event.id).collect()).into();
        let mut all = ids.concat();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{ids:?}");
        for (id, name) in [(&ids[0][0], "a"), (&ids[1][0], "b")] {
            let line = shards.open(&session.get(Some(id)));
            let messages = shards.messages(line);
            assert_eq!((messages.len(), &messages[3]["id"]), (4, &json!(name)));
            assert!(messages.iter().all(|message| message.get("id").is_none_or(|id| id == name)));
            shards.cut(line);
        }
    }
}

#[test]
fn an_id_of_another_session_and_one_that_is_none_lead_to_the_own_stream() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        let call = shards.open(&session.call("secret", "report", json!({})));
        (0..3).for_each(|_| shards.pass(100));
        let id = shards.last_id(call).unwrap();
        let first = shards.stream(call).1[0].id.clone().unwrap();
        shards.cut(call);
        let strangers = [
            Session::start(&mut shards, "2025-11-25", json!({})),
            Session::start(&mut shards, "2025-06-18", json!({})),
            Session::start_as(OTHER_KEY, &mut shards, "2025-11-25", json!({})),
        ];
        let wrong = format!("ffff-0-{}.0", "0".repeat(32));
        for stranger in &strangers {
            stranger_subscribes(stranger, &mut shards);
            for id in [id.as_str(), &first, "nonsense", "0-0-0.0", &wrong, ""] {
                for _ in 0..3 {
                    let line = shards.open(&stranger.get(Some(id)));
                    let (head, _) = shards.stream(line);
                    assert!(
                        head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"),
                        "{id}: {head}"
                    );
                    assert_eq!(shards.messages(line), Vec::<Value>::new(), "{id}");
                    shards.updated("docs://motto");
                    assert_eq!(shards.messages(line).len(), 1, "{id}: it is the session's own");
                    shards.cut(line);
                }
            }
        }
    }
}

fn stranger_subscribes(session: &Session, shards: &mut Shards) {
    let uri = json!({"uri": "docs://motto"});
    assert_eq!(shards.ask(&session.request(1, "resources/subscribe", uri)).status, 200);
}

#[test]
fn a_second_reader_takes_the_place_of_the_first() {
    for (mut shards, _) in fleets() {
        for revision in REVISIONS {
            let session = Session::start(&mut shards, revision, json!({}));
            stranger_subscribes(&session, &mut shards);
            let mut before = shards.open(&session.get(None));
            for round in 0..9 {
                let line = shards.open(&session.get(None));
                assert!(shards.is_answered(before), "{revision} {round}: one stream, one reader");
                assert!(!shards.is_answered(line));
                shards.updated("docs://motto");
                assert_eq!(shards.messages(line).len(), 1, "{revision} {round}");
                before = line;
            }
            shards.cut(before);
        }
    }
}

#[test]
fn a_call_goes_on_under_a_reader_that_comes_while_the_first_still_reads() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", answering());
        let line = shards.open(&session.call(1, "ask", json!({})));
        let question = shards.messages(line).pop().unwrap();
        let again = shards.open(&session.get(shards.stream(line).1[0].id.as_deref()));
        assert!(shards.is_answered(line));
        assert_eq!(
            shards.messages(again),
            std::slice::from_ref(&question),
            "a question comes again to who has not had it"
        );
        shards.ask(&session.reply(&question, accept(json!({"name": "Ada"}))));
        assert_eq!(text(&shards.messages(again)[1]), "hello Ada");
        assert!(shards.is_answered(again));
    }
}

#[test]
fn a_call_may_let_its_reader_go_and_be_answered_later() {
    for (mut shards, _) in fleets() {
        for revision in REVISIONS {
            let session = Session::start(&mut shards, revision, json!({}));
            let line = shards.open(&session.call(1, "cut", json!({})));
            if revision == "2025-11-25" {
                assert!(shards.is_answered(line), "the stream ends");
                assert_eq!(shards.messages(line), Vec::<Value>::new());
                let line = shards.open(&session.get(shards.last_id(line).as_deref()));
                assert!(!shards.is_answered(line));
                shards.pass(100);
                assert_eq!(text(&shards.messages(line).pop().unwrap()), "after the cut");
            } else {
                assert!(!shards.is_answered(line), "{revision}: this client would not come back");
                shards.pass(100);
                let answer = shards.messages(line).pop().unwrap_or_else(|| shards.answer(line).json());
                assert_eq!(text(&answer), "after the cut");
            }
        }
    }
}

#[test]
fn a_reader_on_another_shard_is_let_go_too() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        for _ in 0..3 {
            let line = shards.open(&session.call(1, "cut_late", json!({})));
            let id = shards.last_id(line);
            shards.cut(line);
            let line = shards.open(&session.get(id.as_deref()));
            assert!(!shards.is_answered(line));
            shards.pass(100);
            assert!(shards.is_answered(line), "the stream ends");
            let line = shards.open(&session.get(id.as_deref()));
            shards.pass(100);
            assert_eq!(text(&shards.messages(line).pop().unwrap()), "after the cut");
            assert!(shards.is_answered(line));
        }
    }
}

#[test]
fn a_stream_that_is_silent_gives_a_sign_of_life() {
    for (mut shards, _) in fleets().into_iter().take(2) {
        let session = Session::start(&mut shards, "2025-06-18", json!({}));
        let lines = [shards.open(&session.get(None)), shards.open(&session.get(None))];
        let line = lines[1];
        assert!(shards.is_answered(lines[0]));
        let before = shards.received(line).len();
        shards.pass(14_000);
        assert_eq!(shards.received(line).len(), before);
        shards.pass(2_000);
        let sign = String::from_utf8_lossy(&shards.received(line)[before..]).into_owned();
        assert!(sign.contains("\r\n:"), "{sign:?}");
        assert_eq!(shards.stream(line).1, Vec::<Event>::new());
        for _ in 0..20 {
            shards.pass(15_000);
        }
        assert!(!shards.is_over(line), "a stream that is read has no end");
    }
}

#[test]
fn a_reader_that_missed_messages_is_told_once_or_goes_on_as_the_setting_says() {
    for (count, slow_reader) in
        [(1, SlowReader::Close), (3, SlowReader::Close), (1, SlowReader::Drop), (3, SlowReader::Drop)]
    {
        let served = snapshot_of(&catalog(), |snapshot| {
            snapshot.limits.event_buffer_size = 4;
            snapshot.limits.slow_reader = slow_reader;
        });
        for revision in REVISIONS {
            let mut shards = Shards::new(count, Carry::InOrder, &served);
            let total = |shards: &Shards, count| {
                shards.desks.iter().map(|desk| desk.work.events.total(count)).sum::<u64>()
            };
            let session = Session::start(&mut shards, revision, json!({}));
            stranger_subscribes(&session, &mut shards);
            let line = shards.open(&session.get(None));
            shards.updated("docs://motto");
            let id = shards.last_id(line);
            shards.cut(line);
            (0..10).for_each(|_| shards.updated("docs://motto"));
            let line = shards.open(&session.get(id.as_deref()));
            assert_eq!(total(&shards, Count::HubEventDropped), 6, "{revision}");
            assert_eq!(total(&shards, Count::RespondMissed), 1, "{revision}");
            // Whoever has just come was away and not slow: it goes on from what is left.
            assert_eq!(shards.messages(line).len(), 4, "{revision} on {count}");
            assert!(!shards.is_answered(line));
        }
    }
}

#[test]
fn an_answer_is_had_however_many_reports_were_missed() {
    for (count, slow_reader) in
        [(1, SlowReader::Close), (3, SlowReader::Close), (1, SlowReader::Drop), (3, SlowReader::Drop)]
    {
        let served = snapshot_of(&catalog(), |snapshot| {
            snapshot.limits.event_buffer_size = 3;
            snapshot.limits.slow_reader = slow_reader;
        });
        let mut shards = Shards::new(count, Carry::InOrder, &served);
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        let line = shards.open(&session.request(
            1,
            "tools/call",
            json!({"name": "report", "arguments": {}, "_meta": {"progressToken": 1}}),
        ));
        let mut id = shards.last_id(line);
        shards.cut(line);
        (0..3).for_each(|_| shards.pass(100));
        let mut heard = Vec::new();
        for _ in 0..3 {
            let line = shards.open(&session.get(id.as_deref()));
            heard.extend(shards.messages(line));
            id = shards.last_id(line).or(id);
            if heard.last().is_some_and(|last| last.get("result").is_some()) {
                break;
            }
            assert!(shards.is_answered(line), "it is told that it missed something");
        }
        assert_eq!(text(heard.last().expect("an answer")), "reported", "{count} {slow_reader:?}");
    }
}

#[test]
fn much_that_waits_comes_whole_and_in_order_piece_by_piece() {
    for (mut shards, _) in fleets() {
        let session = Session::start(&mut shards, "2025-11-25", json!({}));
        for (messages, bytes) in [(90, 5_000), (10, 60_000), (90, 10)] {
            let line = shards.open(&session.call(1, "flood", json!({"messages": messages, "bytes": bytes})));
            let mut id = shards.last_id(line);
            shards.cut(line);
            (0..110).for_each(|_| shards.pass(1));
            let mut heard = Vec::new();
            for _ in 0..3 {
                let line = shards.open(&session.get(id.as_deref()));
                heard = shards.messages(line);
                assert_eq!(heard.len(), messages + 1, "{messages} of {bytes}");
                assert!(shards.is_answered(line));
                id = shards.stream(line).1[0].id.clone();
            }
            for (at, message) in heard[..messages].iter().enumerate() {
                let said = message["params"]["data"].as_str().unwrap();
                assert_eq!((said.len(), said.parse::<usize>().unwrap()), (bytes, at));
            }
            assert_eq!(text(&heard[messages]), "flooded");
        }
    }
}

#[test]
fn a_stream_cut_at_any_byte_goes_on_from_the_last_id_that_came() {
    let params = json!({"name": "report", "arguments": {}, "_meta": {"progressToken": "p"}});
    for (mut shards, _) in fleets().into_iter().take(2) {
        for revision in REVISIONS {
            let session = Session::start(&mut shards, revision, json!({}));
            let line = shards.open(&session.request(1, "tools/call", params.clone()));
            (0..3).for_each(|_| shards.pass(100));
            let received = shards.received(line).to_vec();
            let whole = shards.messages(line);
            let mut resumed = 0;
            for end in 0..=received.len() {
                let (_, events) = stream_of(&received[..end]);
                let Some(id) = events.iter().rev().find_map(|event| event.id.clone()) else { continue };
                let mut heard: Vec<Value> = events.iter().filter_map(Event::message).collect();
                let line = shards.open(&session.get(Some(&id)));
                heard.extend(shards.messages(line));
                assert_eq!(heard, whole, "{revision}: cut after {end} bytes");
                assert!(shards.is_answered(line));
                shards.cut(line);
                resumed += 1;
            }
            assert!(resumed > 500, "{revision}: {resumed}");
        }
    }
}
