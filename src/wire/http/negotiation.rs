//! What a body is and what an answer may be: Content-Type and Accept.
//! Never: a list of types beyond the two that MCP speaks.
//! Next: `pipeline/framing.rs`, the reader.

/// Whether `value` names JSON: `application/json`, alone or with `charset=utf-8`.
pub fn content_type_is_json(value: &[u8]) -> bool {
    // What the official clients send; the general case costs ten times as much.
    if value == b"application/json" {
        return true;
    }
    let mut parts = split_outside_quotes(value, b';');
    if !parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"application/json")) {
        return false;
    }
    let mut charset_seen = false;
    for parameter in parts {
        // RFC 9110 5.6.6: a parameter may be empty, as after a trailing ';'.
        if parameter.is_empty() {
            continue;
        }
        // RFC 8259 8.1: JSON between systems is UTF-8. Other parameters might change the meaning and are refused.
        let is_utf8 = parameter
            .split_at_checked(b"charset=".len())
            .is_some_and(|(name, text)| name.eq_ignore_ascii_case(b"charset=") && is_utf8_name(text));
        if !is_utf8 || charset_seen {
            return false;
        }
        charset_seen = true;
    }
    true
}

fn is_utf8_name(text: &[u8]) -> bool {
    let bare = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    bare.eq_ignore_ascii_case(b"utf-8")
}

/// Which of the two kinds of answer a peer accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptable {
    /// `application/json`
    pub json: bool,
    /// `text/event-stream`
    pub event_stream: bool,
}

impl Acceptable {
    /// Reads the only Accept line of a request. What the official clients send is known by heart.
    pub fn decode_line(line: &[u8]) -> Self {
        if line == b"application/json, text/event-stream" || line == b"text/event-stream, application/json" {
            return Self { json: true, event_stream: true };
        }
        Self::decode([line])
    }

    /// Reads all Accept lines of a request (RFC 9110 12.5.1). Without any media range everything is acceptable.
    ///
    /// The most specific range decides, so `text/event-stream;q=0, */*` leaves JSON only. Ranges that cannot be
    /// read are passed over: a preference is not worth a refusal.
    pub fn decode<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut json = Preference::default();
        let mut event_stream = Preference::default();
        let mut range_seen = false;
        for range in lines.into_iter().flat_map(|line| split_outside_quotes(line, b',')) {
            if range.is_empty() {
                continue;
            }
            range_seen = true;
            let mut parts = split_outside_quotes(range, b';');
            let name = parts.next().unwrap_or_default();
            let Some(wanted) = weight_is_positive(parts) else { continue };
            json.take(name, b"application/json", b"application/*", wanted);
            event_stream.take(name, b"text/event-stream", b"text/*", wanted);
        }
        Self { json: !range_seen || json.wanted, event_stream: !range_seen || event_stream.wanted }
    }
}

/// The most specific range seen for one media type.
#[derive(Default)]
struct Preference {
    /// 0 for none, 1 for `*/*`, 2 for `type/*`, 3 for the type itself.
    precedence: u8,
    wanted: bool,
}

impl Preference {
    fn take(&mut self, name: &[u8], exact: &[u8], any_subtype: &[u8], wanted: bool) {
        let precedence = if name.eq_ignore_ascii_case(exact) {
            3
        } else if name.eq_ignore_ascii_case(any_subtype) {
            2
        } else if name == b"*/*" {
            1
        } else {
            return;
        };
        if precedence > self.precedence {
            self.precedence = precedence;
            self.wanted = wanted;
        } else if precedence == self.precedence {
            self.wanted |= wanted;
        }
    }
}

/// RFC 9110 12.4.2: `q` is between 0 and 1 with up to three decimals, and 0 means "not acceptable".
/// `None` when it is something else.
fn weight_is_positive<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<bool> {
    for parameter in parameters {
        let [b'q' | b'Q', b'=', weight @ ..] = parameter else { continue };
        return match weight {
            [b'0'] => Some(false),
            [b'1'] => Some(true),
            [b'0', b'.', decimals @ ..] if decimals.len() <= 3 && decimals.iter().all(u8::is_ascii_digit) => {
                Some(decimals.iter().any(|digit| *digit != b'0'))
            }
            [b'1', b'.', decimals @ ..]
                if decimals.len() <= 3 && decimals.iter().all(|digit| *digit == b'0') =>
            {
                Some(true)
            }
            _ => None,
        };
    }
    Some(true)
}

/// The parts of `value` between `separator`s, white space trimmed, quoted strings (RFC 9110 5.6.4) left whole.
fn split_outside_quotes(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |byte| {
            let is_end = !quoted && *byte == separator;
            if escaped {
                escaped = false;
            } else if quoted && *byte == b'\\' {
                escaped = true;
            } else if *byte == b'"' {
                quoted = !quoted;
            }
            is_end
        })
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_json_by_its_content_type() {
        let check = |value: &str, expect: bool| {
            assert_eq!(content_type_is_json(value.as_bytes()), expect, "{value}");
        };
        check("application/json", true);
        check("Application/JSON", true);
        check("application/json;charset=utf-8", true);
        check("application/json ; Charset=UTF-8 ", true);
        check("application/json; charset=\"utf-8\"", true);
        check("application/json;", true);
        check("", false);
        check("application/json; charset=latin1", false);
        check("application/json; charset=utf-8; charset=utf-8", false);
        check("application/json; charset", false);
        check("application/json; charset = utf-8", false);
        check("application/json; profile=x", false);
        check("application/json, text/plain", false);
        check("application/jsonx", false);
        check("application/json-rpc", false);
        check("application/ json", false);
        check("text/json", false);
        check("text/plain; a=\";application/json\"", false);
    }

    #[test]
    fn reads_what_a_peer_accepts() {
        let check = |lines: &[&str], json: bool, event_stream: bool| {
            let found = Acceptable::decode(lines.iter().map(|line| line.as_bytes()));
            assert_eq!(found, Acceptable { json, event_stream }, "{lines:?}");
        };
        check(&[], true, true);
        check(&[""], true, true);
        check(&[" , "], true, true);
        check(&["*/*"], true, true);
        check(&["application/json, text/event-stream"], true, true);
        check(&["application/json", "text/event-stream"], true, true);
        check(&["APPLICATION/Json"], true, false);
        check(&["text/event-stream"], false, true);
        check(&["application/*"], true, false);
        check(&["text/*;q=0.1"], false, true);
        check(&["text/html"], false, false);
        check(&["text/html, */*;q=0.8"], true, true);
        check(&["*/*;q=0"], false, false);
        check(&["*/*", "text/event-stream;q=0"], true, false);
        check(&["text/event-stream; Q=0.000, */*"], true, false);
        check(&["*/*;q=0, application/json"], true, false);
        check(&["application/*;q=0, application/json;q=0.001"], true, false);
        check(&["application/json;q=0, application/*"], false, false);
        check(&["application/json;charset=utf-8;q=0.5"], true, false);
        check(&["application/json;q=1.000"], true, false);
        check(&["application/json;q=2"], false, false);
        check(&["application/json;q=1.001"], false, false);
        check(&["application/json;q=0.0001"], false, false);
        check(&["application/json;q="], false, false);
        check(&["application/json;a=\", text/event-stream\""], true, false);
        check(&["application/json;a=\"\\\", text/event-stream, \""], true, false);
        check(&["application/json;a=\"unclosed, text/event-stream"], true, false);
    }
}
