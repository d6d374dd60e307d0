//! Server-sent events, encoding only (WHATWG HTML 9.2.5 and 9.2.6).
//! Never: a field that ends early because a value held a line break.

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
