//! Laws of a connection that carries everything: how its input is cut changes nothing in what comes back, every request
//! has one answer, no bytes make it panic or keep a buffer.
//! Next: `src/pipeline/connection/incoming.rs`.

use mcpring::pipeline::connection::Directive;
use mcpring::pipeline::snapshot::Security;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::connection::exchange;
use crate::fixture::carried::{CUTS, Cut, TEXT, carrying, echo_alone, frame};
use crate::fixture::{KEY, READER_KEY};

/// Longer than a message may be whose sender is unknown.
const LONG_BYTES: usize = 66_000;

fn cut_of_any() -> impl Strategy<Value = Cut> {
    prop::sample::select(CUTS.to_vec())
}

fn with_key(body: &str, key: &str) -> String {
    body.replacen(
        "\"params\":{",
        &format!(r#""params":{{"_meta":{{"mcpring/authorization":"Bearer {key}"}},"#),
        1,
    )
}

/// A message that may be refused, but ends nothing.
fn message() -> impl Strategy<Value = String> {
    let legacy = |rest: &str| format!(r#"{{"jsonrpc":"2.0",{rest}}}"#);
    let initialize = legacy(
        r#""id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}"#,
    );
    prop_oneof![
        6 => ("[a-z \u{e4}\u{20ac}\u{1f600}]{0,200}", any::<i32>())
            .prop_map(|(text, id)| echo_alone(&id.to_string(), &text, None)),
        2 => "[a-z]{0,40}".prop_map(|text| echo_alone("1", &text, Some(KEY))),
        1 => Just(echo_alone("2", "forbidden", Some(READER_KEY))),
        1 => Just(echo_alone("3", "nobody", Some("wrong"))),
        1 => Just(with_key(&initialize, KEY)),
        1 => Just(legacy(r#""id":4,"method":"ping""#)),
        1 => Just(legacy(r#""id":5,"method":"tools/list""#)),
        1 => Just(legacy(r#""id":6,"method":"no/such""#)),
        1 => Just(legacy(r#""method":"notifications/initialized""#)),
        1 => Just(legacy(r#""method":"notifications/cancelled","params":{"requestId":1}"#)),
        1 => Just(legacy(r#""id":7,"result":{}"#)),
        1 => Just(format!("[{},{}]", legacy(r#""id":8,"method":"ping""#), legacy(r#""id":9,"method":"ping""#))),
        1 => Just(r#"{"jsonrpc":"2.0","id":1"#.to_owned()),
        1 => Just("[]".to_owned()),
        1 => Just("x".repeat(LONG_BYTES)),
    ]
}

/// What lies between messages where there are frames or lines, and means nothing.
fn between(cut: Cut, choice: u8) -> Vec<u8> {
    match (cut, choice % 4) {
        (Cut::Frames, 0) => frame(0x89, b"are you there"),
        (Cut::Frames, 1) => frame(0x8a, b""),
        (Cut::Lines, 0) => b"\r\n \t\n".to_vec(),
        (Cut::Frames | Cut::Lines | Cut::Prefixed, _) => Vec::new(),
    }
}

/// A message as it goes over the wire; in frames, sometimes in two fragments with a control frame between them.
fn carried(cut: Cut, message: &str, choice: u8) -> Vec<u8> {
    let bytes = message.as_bytes();
    if cut != Cut::Frames || !choice.is_multiple_of(3) {
        return cut.encode(bytes);
    }
    let (front, back) = bytes.split_at(usize::from(choice).min(bytes.len()));
    [frame(TEXT & 0x7f, front), frame(0x89, b"ping"), frame(0x80, back)].concat()
}

/// A connection's whole input, which may be spoilt.
fn input() -> impl Strategy<Value = (Cut, Vec<u8>)> {
    let spoilt = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (cut_of_any(), any::<bool>(), vec((message(), any::<u8>()), 1..8), spoilt).prop_map(
        |(cut, is_introduced, messages, spoilt)| {
            let mut input = cut.opening();
            if is_introduced {
                input.extend(cut.encode(echo_alone("0", "first", Some(KEY)).as_bytes()));
            }
            for (message, choice) in messages {
                input.extend(between(cut, choice));
                input.extend(carried(cut, &message, choice));
            }
            if let Some((at, byte)) = spoilt {
                let at = at.index(input.len());
                input[at] = byte;
            }
            (cut, input)
        },
    )
}

proptest! {
    #[test]
    fn cutting_the_input_of_a_channel_changes_nothing_that_comes_back(
        (cut, input) in input(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        step in 1_usize..300,
    ) {
        let whole = exchange(carrying(cut, Security::Plain), &input, &[]);
        let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let shown = |(bytes, directive): &(Vec<u8>, Directive)| {
            format!("{directive:?} {}", bytes.escape_ascii()).replace("HTTP/1.1 100 Continue\\r\\n\\r\\n", "")
        };
        for cuts in [cuts, (0..input.len()).step_by(step).collect()] {
            let shown_whole = shown(&whole);
            prop_assert_eq!(
                shown(&exchange(carrying(cut, Security::Plain), &input, &cuts)), shown_whole,
                "{:?} {} at {:?}", cut, input.escape_ascii(), cuts
            );
        }
    }

    #[test]
    fn every_request_of_a_channel_has_one_answer(
        cut in cut_of_any(),
        texts in vec("[a-z]{0,40}", 1..40),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut input = cut.opening();
        for (id, text) in texts.iter().enumerate() {
            let key = (id == 0).then_some(KEY);
            input.extend(cut.encode(echo_alone(&id.to_string(), text, key).as_bytes()));
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(input.len())).collect();
        cuts.sort_unstable();
        let (received, directive) = exchange(carrying(cut, Security::Plain), &input, &cuts);
        prop_assert_eq!(directive, Directive::Continue);
        let head = if cut == Cut::Frames {
            received.windows(4).position(|end| end == b"\r\n\r\n").expect("the opening is answered") + 4
        } else {
            0
        };
        let mut rest = &received[head..];
        for (id, text) in texts.iter().enumerate() {
            let (_, message, after) = cut.decode(rest).expect("an answer is whole");
            let answer: serde_json::Value = serde_json::from_slice(message).expect("an answer is JSON");
            prop_assert_eq!(answer["id"].as_u64(), u64::try_from(id).ok());
            prop_assert_eq!(answer["result"]["content"][0]["text"].as_str(), Some(text.as_str()));
            rest = after;
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn no_bytes_make_a_channel_panic_or_keep_a_buffer(
        cut in cut_of_any(),
        before in any::<bool>(),
        bytes in vec(any::<u8>(), 0..2000),
        cuts in vec(0_usize..2500, 0..5),
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut input = cut.opening();
        if before {
            input.extend(cut.encode(echo_alone("0", "first", Some(KEY)).as_bytes()));
        }
        input.extend(bytes);
        let (received, _) = exchange(carrying(cut, Security::Plain), &input, &cuts);
        prop_assert!(!before || !received.is_empty());
    }
}
