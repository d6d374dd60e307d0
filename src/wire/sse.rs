//! Server-sent events, encoding only (WHATWG HTML 9.2.5 and 9.2.6).
//! Never: a field that ends early because a value held a line break.
//! Next: `pipeline/respond`, which sends events.

/// Why an event is not encoded: its id or name would break out of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line break or NUL in an event's id or name")]
pub struct UnsafeEventField;

/// Appends one event; `data` with line breaks becomes several data lines, which the peer joins again with LF.
///
/// # Errors
/// When `id` or `event` holds CR, LF or NUL; `out` is then unchanged.
pub fn encode_event(
    out: &mut Vec<u8>,
    id: Option<&str>,
    event: Option<&str>,
    data: &[u8],
) -> Result<(), UnsafeEventField> {
    // HTML 9.2.6: an id with NUL is ignored by the peer, so resuming from it would fail silently.
    if id.into_iter().chain(event).any(|value| memchr::memchr3(b'\r', b'\n', 0, value.as_bytes()).is_some()) {
        return Err(UnsafeEventField);
    }
    if let Some(id) = id {
        encode_line(out, b"id: ", id.as_bytes());
    }
    if let Some(event) = event {
        encode_line(out, b"event: ", event.as_bytes());
    }
    encode_lines(out, b"data: ", data);
    out.push(b'\n');
    Ok(())
}

/// Appends a comment, which peers ignore; keeps an idle stream alive.
pub fn encode_comment(out: &mut Vec<u8>, comment: &[u8]) {
    encode_lines(out, b": ", comment);
    out.push(b'\n');
}

/// Appends the time in milliseconds after which a peer that lost the stream may connect again.
pub fn encode_retry(out: &mut Vec<u8>, retry_ms: u64) {
    encode_line(out, b"retry: ", itoa::Buffer::new().format(retry_ms).as_bytes());
    out.push(b'\n');
}

fn encode_line(out: &mut Vec<u8>, field: &[u8], value: &[u8]) {
    out.extend_from_slice(field);
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// HTML 9.2.6: CRLF, CR and LF each end a line.
fn encode_lines(out: &mut Vec<u8>, field: &[u8], value: &[u8]) {
    let mut rest = value;
    while let Some((line, end)) =
        memchr::memchr2(b'\r', b'\n', rest).and_then(|end| rest.split_at_checked(end))
    {
        encode_line(out, field, line);
        rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..)).unwrap_or_default();
    }
    encode_line(out, field, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: Option<&str>, event: Option<&str>, data: &str, expect: &str) {
        let mut out = b"before".to_vec();
        assert_eq!(encode_event(&mut out, id, event, data.as_bytes()), Ok(()));
        assert_eq!(String::from_utf8(out), Ok(format!("before{expect}")));
    }

    #[test]
    fn writes_each_field_on_its_line() {
        check(None, None, "{}", "data: {}\n\n");
        check(Some("7"), None, "{}", "id: 7\ndata: {}\n\n");
        check(Some("7"), Some("message"), "{}", "id: 7\nevent: message\ndata: {}\n\n");
        check(Some(""), None, "", "id: \ndata: \n\n");
        check(None, None, " a", "data:  a\n\n");
    }

    #[test]
    fn splits_data_at_every_line_end() {
        check(None, None, "a\nb", "data: a\ndata: b\n\n");
        check(None, None, "a\r\nb\rc", "data: a\ndata: b\ndata: c\n\n");
        check(None, None, "a\n\nid: 1", "data: a\ndata: \ndata: id: 1\n\n");
        check(None, None, "\n", "data: \ndata: \n\n");
        check(None, None, "a\n\r", "data: a\ndata: \ndata: \n\n");
    }

    #[test]
    fn refuses_a_field_that_would_break_out_of_its_line() {
        for bad in ["a\nb", "a\rb", "a\0b", "\n"] {
            let mut out = Vec::new();
            assert_eq!(encode_event(&mut out, Some(bad), None, b""), Err(UnsafeEventField), "{bad:?}");
            assert_eq!(encode_event(&mut out, Some("1"), Some(bad), b""), Err(UnsafeEventField), "{bad:?}");
            assert_eq!(out, b"");
        }
    }

    #[test]
    fn writes_comments_and_retries() {
        let mut out = Vec::new();
        encode_comment(&mut out, b"");
        encode_comment(&mut out, b"a\ndata: b");
        encode_retry(&mut out, 1500);
        assert_eq!(out, b": \n\n: a\n: data: b\n\nretry: 1500\n\n");
    }
}
