//! Any bytes as a message: no panic, no way past a limit, nothing accepted that another parser would not accept, and
//! an id that comes back as it was sent.
//! Next: `src/wire/json`, `src/wire/jsonrpc.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::wire::json::{JsonError, JsonLimits, PADDING, Scratch};
use mcpring::wire::jsonrpc::{ID_BYTES_MAX, Id, Message, decode};
use mcpring::wire::mcp::meta::Meta;

/// Small, so that short inputs reach every limit.
const LIMITS: JsonLimits = JsonLimits { depth_max: 8, nodes_max: 40 };

/// Nesting and the number of values and keys in text that is JSON.
fn measure(text: &[u8]) -> (usize, usize) {
    let (mut depth, mut deepest, mut nodes) = (0_usize, 0, 0);
    let (mut in_string, mut is_escaped, mut in_scalar) = (false, false, false);
    for byte in text {
        if in_string {
            in_string = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            continue;
        }
        let is_scalar = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        nodes += usize::from(matches!(byte, b'"' | b'[' | b'{') || (is_scalar && !in_scalar));
        deepest = deepest.max(depth);
        in_scalar = is_scalar;
    }
    (deepest, nodes)
}

fn assert_same_id(id: Id<'_>, sent: &serde_json::Value) {
    let mut encoded = Vec::new();
    id.encode(&mut encoded);
    let returned: serde_json::Value = serde_json::from_slice(&encoded).expect("an encoded id is JSON");
    match id {
        Id::Text(text) => {
            assert!(text.len() <= ID_BYTES_MAX);
            assert_eq!(returned.as_str(), Some(text));
        }
        Id::Integer(_) => assert!(returned.is_i64() || returned.is_u64()),
    }
    // Another parser reads -0 as a double.
    let is_minus_zero = sent.is_f64() && sent.as_f64() == Some(0.0) && returned.as_i64() == Some(0);
    assert!(returned == *sent || is_minus_zero, "{returned} for {sent}");
}

fuzz_target!(|input: &[u8]| {
    let mut padded = input.to_vec();
    // What follows the message must not matter, not even if it would go on with it.
    padded.resize(input.len() + PADDING, b'1');
    let other = serde_json::from_slice::<serde_json::Value>(input);
    let mut scratch = Scratch::default();
    let document = match (scratch.decode(&mut padded, input.len(), LIMITS), &other) {
        (Ok(document), Ok(_)) => document,
        (Ok(_), Err(error)) => panic!("accepted what is not JSON: {error}"),
        (Err(error), Ok(_)) => {
            let (depth, nodes) = measure(input);
            let is_small = depth < LIMITS.depth_max && nodes <= LIMITS.nodes_max / 2;
            assert!(!is_small || error == JsonError::Number, "{error:?} for JSON within the limits");
            return;
        }
        (Err(_), Err(_)) => return,
    };
    let (depth, nodes) = measure(input);
    assert!(depth <= LIMITS.depth_max, "{depth} deep");
    assert!(nodes <= LIMITS.nodes_max, "{nodes} nodes");
    let sent = other.expect("checked above");
    match decode(document.root()) {
        Ok(Message::Request { id, method, params }) => {
            assert_same_id(id, &sent["id"]);
            assert_eq!(sent["method"], method);
            assert_eq!(sent.get("params").is_some(), params.is_some());
            let meta = Meta::decode(params);
            assert!(meta.protocol_version.is_none() || sent["params"]["_meta"].is_object());
        }
        Ok(Message::Notification { method, params }) => {
            assert_eq!((sent.get("id"), &sent["method"]), (None, &method.into()));
            let _ = Meta::decode(params);
        }
        Ok(Message::Response { id, .. }) => assert_same_id(id, &sent["id"]),
        Err((_, Some(id))) => assert_same_id(id, &sent["id"]),
        Err((_, None)) => {}
    }
    scratch.recycle(document);
});
