//! The `Mcp-Name` and `Mcp-Param-*` header values: plain text, or base64 between markers.
//! Next: `pipeline/envelope.rs`, which compares them with the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::wire::json::Value;

const PREFIX: &[u8] = b"=?base64?";
const SUFFIX: &[u8] = b"?=";

/// Whether a header value says the same as `expected`. Strict base64: bad padding or alphabet is no match.
// MCP 2026-07-28, Streamable HTTP, value encoding.
pub fn matches(header: &[u8], expected: &str) -> bool {
    let Some(inner) = header.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return header == expected.as_bytes();
    };
    // Decoding needs memory in proportion to the header, which framing has bounded.
    STANDARD.decode(inner).is_ok_and(|decoded| decoded == expected.as_bytes())
}

/// Whether a header value says the same as an argument: a string, an integer compared as a number, or a boolean.
pub fn matches_value(header: &[u8], value: Value<'_, '_>) -> bool {
    if let Some(text) = value.as_str() {
        return matches(header, text);
    }
    let text = std::str::from_utf8(header).unwrap_or_default();
    match (value.as_bool(), value.as_integer()) {
        (Some(value), _) => text == if value { "true" } else { "false" },
        (None, Some(value)) => text.parse::<i128>().is_ok_and(|number| number == value),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_plain_and_encoded_values_strictly() {
        for (header, expected, same) in [
            ("echo", "echo", true),
            ("echo", "Echo", false),
            ("", "", true),
            ("=?base64?ZWNobw==?=", "echo", true),
            ("=?base64?ZWNobw?=", "echo", false),
            ("=?base64?ZWNob!==?=", "echo", false),
            ("=?BASE64?ZWNobw==?=", "echo", false),
            ("=?base64?w6k=?=", "\u{e9}", true),
            ("=?base64?", "=?base64?", true),
            ("=?base64?=", "=?base64?=", true),
            ("=?base64??=", "", true),
        ] {
            assert_eq!(matches(header.as_bytes(), expected), same, "{header} {expected}");
        }
    }
}
