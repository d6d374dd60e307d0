//! What must hold whichever way the server is reached: every transport, both eras, with and without TLS.
//! Where transports differ, `OUTCOMES` says how.
//! Next: `together`, many clients at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::ways::{
    Era, Heard, MESSAGE_BYTES_MAX, Place, Talk, Transport, Way, change_tools, countdown, error_code,
    has_text, ways,
};

/// What a client is told, and whether it may go on.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// An error of this code, and what it says next is answered.
    Told(i64),
    /// The end, for a WebSocket with this code.
    Left(Option<u16>),
    /// What was under way is answered, then comes the end.
    Finished,
}

use Outcome::{Finished, Left, Told};

/// What becomes of a client by its transport.
struct Outcomes {
    transport: Transport,
    /// Its message is one byte too long.
    too_long: Outcome,
    /// Its message is not JSON.
    no_json: Outcome,
    /// It breaks the rules of the transport.
    no_frame: Outcome,
    /// It ends its half while a call is under way.
    half_closed: Outcome,
}

const fn row(
    transport: Transport,
    too_long: Outcome,
    no_json: Outcome,
    no_frame: Outcome,
    half_closed: Outcome,
) -> Outcomes {
    Outcomes { transport, too_long, no_json, no_frame, half_closed }
}

const OUTCOMES: [Outcomes; 7] = [
    //                          too long          no JSON        no frame          half closed
    row(Transport::Http, Told(413), Told(-32700), Told(400), Left(None)),
    row(Transport::Lines, Told(413), Told(-32700), Told(-32700), Finished),
    row(Transport::Prefixed, Told(413), Told(-32700), Left(None), Finished),
    row(Transport::WebSocket, Left(Some(1009)), Told(-32700), Left(Some(1003)), Left(Some(1000))),
    row(Transport::Pair, Told(413), Told(-32700), Told(404), Left(None)),
    row(Transport::Unix, Told(413), Told(-32700), Told(-32700), Finished),
    row(Transport::Stdio, Told(413), Told(-32700), Told(-32700), Finished),
];

fn outcomes(way: Way) -> &'static Outcomes {
    OUTCOMES.iter().find(|row| row.transport == way.transport).unwrap()
}

/// Runs one case in every way on one server, names all ways in which it fails, and returns the server's last counters.
fn in_every_way(case: fn(Talk, &Place)) -> Value {
    let place = Place::open();
    let failed: Vec<Way> = ways()
        .into_iter()
        .filter(|way| {
            let run = || case(Talk::open(&place, *way), &place);
            catch_unwind(AssertUnwindSafe(run)).inspect_err(|_| eprintln!("^ {way:?}")).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "fails in {} ways: {failed:#?}", failed.len());
    place.close()
}

/// What comes next is as the table says.
fn meets(mut talk: Talk, outcome: Outcome) {
    match outcome {
        Told(code) => {
            let refusal = talk.hear();
            assert_eq!(error_code(&refusal), code, "{refusal}");
            talk.echo("I may go on");
            talk.close();
        }
        Left(code) => {
            assert_eq!(talk.next(), Heard::End(code));
            talk.leave();
        }
        Finished => {
            let answer = talk.hear();
            assert!(has_text(&answer, "done"), "{answer}");
            assert_eq!(talk.next(), Heard::End(None));
            talk.leave();
        }
    }
}

#[test]
fn a_call_is_answered_and_a_goodbye_too() {
    in_every_way(|mut talk, _| {
        for text in ["one", "two \n \u{20ac}", ""] {
            talk.echo(text);
        }
        talk.call(2, json!({"name": "nobody", "arguments": {}}));
        assert_eq!(error_code(&talk.hear()), -32602);
        talk.close();
    });
}

#[test]
fn what_finishes_first_is_answered_first() {
    in_every_way(|mut talk, _| {
        talk.call(2, countdown(1000, 10_000));
        talk.echo("at once");
        talk.call(3, countdown(1, 10));
        let answer = talk.hear();
        assert!(answer["id"] == 3 && has_text(&answer, "done"), "{answer}");
        talk.cancel(2);
        talk.close();
    });
}

#[test]
fn progress_is_told_before_the_answer() {
    in_every_way(|mut talk, _| {
        let mut params = countdown(3, 10);
        params["_meta"]["progressToken"] = json!("t");
        talk.call(5, params);
        for step in 1..=3 {
            let report = talk.hear();
            let (method, params) = (&report["method"], &report["params"]);
            assert!(method == "notifications/progress" && params["progressToken"] == "t", "{report}");
            assert_eq!(
                (params["progress"].as_f64(), params["total"].as_f64()),
                (Some(step.into()), Some(3.0))
            );
        }
        let answer = talk.hear();
        assert!(answer["id"] == 5 && has_text(&answer, "done"), "{answer}");
        talk.close();
    });
}

#[test]
fn what_is_cancelled_is_not_heard_of_again() {
    let counters = in_every_way(|mut talk, _| {
        talk.begin(7, 1000, 50);
        talk.cancel(7);
        // Longer than to the next report of the other one.
        talk.call(8, countdown(1, 120));
        let mut answer = talk.hear();
        while answer["method"] == "notifications/progress" {
            answer = talk.hear();
        }
        assert!(answer["id"] == 8 && has_text(&answer, "done"), "{answer}");
        let is_http = talk.way.transport == Transport::Http;
        let rest = talk.close_hearing();
        // On a connection of its own there may be reports from before.
        let may_be = |told: &Value| is_http && told["method"] == "notifications/progress";
        assert!(rest.iter().all(may_be), "{rest:?}");
    });
    let shared = ways().iter().filter(|way| way.transport != Transport::Stdio).count();
    assert_eq!(counters["dispatch.cancelled"], shared, "{counters}");
}

#[test]
fn news_come_to_whoever_waits_for_them() {
    in_every_way(|mut talk, place| {
        if talk.way.era == Era::Modern {
            let filter = json!({"notifications": {"toolsListChanged": true}});
            let listen = talk.request(6, "subscriptions/listen", filter);
            talk.send(&listen);
            let first = talk.hear();
            assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
        }
        for _ in 0..2 {
            change_tools(talk.server(place));
            let told = talk.hear();
            assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
            if talk.way.era == Era::Modern {
                assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 6, "{told}");
            }
        }
        if talk.way.era == Era::Modern {
            talk.cancel(6);
        }
        talk.echo("still here");
        talk.close();
    });
}

#[test]
fn a_message_at_the_limit_is_taken() {
    in_every_way(|mut talk, _| {
        for bytes in [MESSAGE_BYTES_MAX - 1, MESSAGE_BYTES_MAX] {
            let (message, text) = talk.request_of(bytes);
            talk.send(&message);
            assert!(has_text(&talk.hear(), &text));
        }
        talk.close();
    });
}

#[test]
fn one_byte_more_is_refused() {
    in_every_way(|mut talk, _| {
        let (message, _) = talk.request_of(MESSAGE_BYTES_MAX + 1);
        talk.send(&message);
        let outcome = outcomes(talk.way).too_long;
        meets(talk, outcome);
    });
}

#[test]
fn what_is_not_json_is_said_to_be_none() {
    in_every_way(|mut talk, _| {
        talk.send_bytes(br#"{"jsonrpc":"2.0","id":1,"method":"#);
        let outcome = outcomes(talk.way).no_json;
        meets(talk, outcome);
    });
}

#[test]
fn whoever_breaks_the_rules_of_the_transport_is_refused() {
    in_every_way(|mut talk, _| {
        talk.break_rules();
        let outcome = outcomes(talk.way).no_frame;
        meets(talk, outcome);
    });
}

#[test]
fn whoever_ends_its_half_gets_what_its_transport_allows() {
    in_every_way(|mut talk, _| {
        let outcome = outcomes(talk.way).half_closed;
        talk.call(3, countdown(1, if matches!(outcome, Finished) { 40 } else { 10_000 }));
        talk.end_half();
        meets(talk, outcome);
    });
}

#[test]
fn half_a_message_is_none() {
    in_every_way(|mut talk, _| {
        talk.end_inside();
        let outcome = match outcomes(talk.way).half_closed {
            Finished => Left(None),
            as_ever @ (Told(_) | Left(_)) => as_ever,
        };
        meets(talk, outcome);
    });
}

#[test]
fn whoever_dies_in_the_middle_of_a_message_leaves_nothing_behind() {
    let counters = in_every_way(|mut talk, place| {
        let way = talk.way;
        talk.begin(4, 1000, 20);
        talk.tear_inside();
        let mut next = Talk::open(place, way);
        next.echo("unharmed");
        next.close();
    });
    // A legacy session outlives its connections, and so do its calls.
    let is_cancelled = |way: &Way| {
        way.transport != Transport::Stdio && (way.transport, way.era) != (Transport::Http, Era::Legacy)
    };
    let cancelled = ways().into_iter().filter(is_cancelled).count();
    assert_eq!(counters["dispatch.cancelled"], cancelled, "{counters}");
    assert_eq!(counters["shard.leaked"], 0, "{counters}");
    assert_eq!(counters["shard.panicked"], 0, "{counters}");
}
