//! Laws of a connection: how its input is cut changes nothing in what comes back, a pipeline is answered in order, and
//! no bytes make it panic or keep a buffer.
//! Next: `src/pipeline/connection`.

use std::sync::Arc;

use mcpring::pipeline::connection::Directive;
use mcpring::pipeline::snapshot::Snapshot;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::messages::in_chunks;
use crate::fixture::{Desk, KEY, READER_KEY, answers, echo, modern, post, snapshot};

/// A request that is answered at once and leaves the connection open.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let keyed = |body: &str| post(&format!("Authorization: Bearer {KEY}\r\n"), body);
    prop_oneof![
        ("[a-z ]{0,200}", any::<i32>()).prop_map(|(text, id)| echo(&id.to_string(), &text)),
        ("[a-z]{0,100}", 1_usize..60).prop_map(|(text, size)| in_chunks(&echo("\"id\"", &text), size)),
        Just(modern("2", "tools/list", "", "")),
        Just(modern("3", "server/discover", "", "")),
        Just(modern("4", "no/such", "", "")),
        Just(modern("5", "tools/call", r#""name":"none","arguments":{}"#, "Mcp-Name: none\r\n")),
        Just(keyed(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)),
        Just(keyed(r#"{"jsonrpc":"2.0","id":1"#)),
        Just(keyed("[]")),
    ]
}

/// Requests that are refused, break the protocol, or end the connection; and bytes that are none.
fn doubtful() -> impl Strategy<Value = Vec<u8>> {
    let refused = |fields: &str| post(fields, "{\"some\":\"body\"}");
    prop_oneof![
        Just(refused("")),
        Just(refused("Authorization: Bearer wrong\r\n")),
        Just(in_chunks(&refused("Authorization: Bearer wrong\r\n"), 3)),
        Just(refused(&format!("Authorization: Bearer {READER_KEY}\r\nOrigin: https://evil.example\r\n"))),
        Just(refused(&format!("Authorization: Bearer {KEY}\r\nExpect: 100-continue\r\n"))),
        Just(refused(&format!("Authorization: Bearer {KEY}\r\nTransfer-Encoding: chunked\r\n"))),
        Just(modern("6", "server/discover", "", "Connection: close\r\n")),
        Just(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        Just(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        Just(b"POST /mcp HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        vec(any::<u8>(), 0..60),
        (valid(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut request, at, byte)| {
            let at = at.index(request.len());
            request[at] = byte;
            request
        }),
    ]
}

fn sequence() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![2 => valid(), 1 => doubtful()], 1..8).prop_map(|requests| requests.concat())
}

/// What comes back when the input arrives in the pieces between `cuts`, and what the shard is told to do then.
pub(crate) fn exchange(serving: Arc<Snapshot>, input: &[u8], cuts: &[usize]) -> (Vec<u8>, Directive) {
    let mut desk = Desk::new(serving);
    let mut connection = desk.connect();
    let mut received = Vec::new();
    let mut arrived = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        let cut = cut.clamp(arrived, input.len());
        received.extend(desk.feed(&mut connection, &input[arrived..cut]));
        arrived = cut;
        let mut outbox = Vec::new();
        while connection.is_paused() {
            desk.turn(&mut outbox, |turn| connection.handle_written(turn));
        }
        received.extend(outbox);
    }
    let directive = connection.directive();
    desk.release(connection);
    assert_eq!(desk.work.pool.leased(), 1, "every lease is back but the workspace's own");
    (received, directive)
}

proptest! {
    #[test]
    fn cutting_the_input_changes_nothing_that_comes_back(
        input in sequence(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        step in 1_usize..100,
    ) {
        let whole = exchange(snapshot(), &input, &[]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let text = String::from_utf8_lossy(&input);
        // RFC 9110 10.1.1: whether a client is told to go on depends on whether its body is already there.
        let shown = |(bytes, directive): &(Vec<u8>, Directive)| {
            let answers = String::from_utf8_lossy(bytes).replace("HTTP/1.1 100 Continue\r\n\r\n", "");
            format!("{directive:?} {answers}")
        };
        for cuts in [cuts, (0..input.len()).step_by(step).collect()] {
            prop_assert_eq!(shown(&exchange(snapshot(), &input, &cuts)), shown(&whole), "{} at {:?}", text, cuts);
        }
    }

    #[test]
    fn a_pipeline_is_answered_in_order(
        texts in vec("[a-z]{0,40}", 1..40),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let requests = texts.iter().enumerate().map(|(id, text)| echo(&id.to_string(), text));
        let input = requests.collect::<Vec<_>>().concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        let (received, directive) = exchange(snapshot(), &input, &cuts);
        let answers = answers(&received);
        prop_assert_eq!((answers.len(), directive), (texts.len(), Directive::Continue));
        for (id, (answer, text)) in answers.iter().zip(&texts).enumerate() {
            let body = answer.json();
            prop_assert_eq!((answer.status, body["id"].as_u64()), (200, u64::try_from(id).ok()));
            prop_assert_eq!(body["result"]["content"][0]["text"].as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn every_valid_request_of_a_pipeline_has_one_answer(requests in vec(valid(), 1..12)) {
        let (received, directive) = exchange(snapshot(), &requests.concat(), &[]);
        prop_assert_eq!((answers(&received).len(), directive), (requests.len(), Directive::Continue));
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_a_buffer(
        before in prop::option::of(valid()),
        bytes in vec(any::<u8>(), 0..2000),
        cuts in vec(0_usize..2500, 0..5),
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let input = [before.clone().unwrap_or_default(), bytes].concat();
        let (received, _) = exchange(snapshot(), &input, &cuts);
        prop_assert!(received.is_empty() || received.starts_with(b"HTTP/1.1 "));
        prop_assert!(before.is_none() || !received.is_empty());
    }
}
