//! Decodes and checks one HTTP answer: status, framing (length or chunks) and the JSON-RPC result in it, which
//! may come as plain JSON or as a server-sent event.
//! Never: leniency; an answer that cannot be proved right counts as an error.
//! Next: [`crate::load`], which checks every answer with this.

use std::fmt;

use serde_json::Value;

use crate::scenario::Expected;

/// Why an answer is wrong.
#[derive(Debug)]
pub struct Wrong(String);

impl Wrong {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// How the length of a body is told.
#[derive(Debug, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// What of an answer's head matters here.
#[derive(Debug)]
struct Head {
    bytes: usize,
    status: u16,
    framing: Framing,
    event_stream: bool,
}

/// Checks the answer at the start of `bytes`; `None` while it is incomplete, else how many bytes it took.
///
/// # Errors
/// When the answer is malformed or is not the one expected.
pub fn check(bytes: &[u8], expected: &Expected) -> Result<Option<usize>, Wrong> {
    let Some((head, body, total)) = split(bytes)? else { return Ok(None) };
    if head.status != 200 {
        return Err(Wrong::new(format!("status {}: {}", head.status, String::from_utf8_lossy(&body))));
    }
    let message = message(&body, head.event_stream, &expected.id)?;
    check_message(&message, expected)?;
    Ok(Some(total))
}

/// Checks a message that came without HTTP.
///
/// # Errors
/// When it is not the one expected.
pub fn check_body(body: &[u8], expected: &Expected) -> Result<(), Wrong> {
    check_message(&message(body, false, &expected.id)?, expected)
}

/// A complete answer taken apart.
#[derive(Debug)]
pub struct Parts {
    /// Header fields as name and value, in order.
    pub fields: Vec<(String, String)>,
    /// The body, decoded from its framing.
    pub body: Vec<u8>,
}

/// Takes a complete answer apart.
///
/// # Errors
/// When the bytes are not one complete answer.
pub fn parts(bytes: &[u8]) -> Result<Parts, Wrong> {
    let (_, body, _) = split(bytes)?.ok_or_else(|| Wrong::new("incomplete answer"))?;
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut fields);
    parsed.parse(bytes).map_err(|error| Wrong::new(format!("head: {error}")))?;
    let fields = parsed
        .headers
        .iter()
        .map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()))
        .collect();
    Ok(Parts { fields, body })
}

/// Whether `bytes` hold a complete answer, whatever it says.
///
/// # Errors
/// When the framing is malformed.
pub fn complete(bytes: &[u8]) -> Result<bool, Wrong> {
    Ok(split(bytes)?.is_some())
}

fn split(bytes: &[u8]) -> Result<Option<(Head, Vec<u8>, usize)>, Wrong> {
    let Some(head) = head(bytes)? else { return Ok(None) };
    let rest = bytes.get(head.bytes..).unwrap_or_default();
    let found = match head.framing {
        Framing::Length(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
        Framing::Chunked => dechunk(rest)?,
    };
    Ok(found.map(|(body, taken)| {
        let total = head.bytes + taken;
        (head, body, total)
    }))
}

fn head(bytes: &[u8]) -> Result<Option<Head>, Wrong> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut fields);
    let status = parsed.parse(bytes).map_err(|error| Wrong::new(format!("head: {error}")))?;
    let httparse::Status::Complete(length) = status else { return Ok(None) };
    let mut framing = None;
    let mut event_stream = false;
    for field in parsed.headers.iter() {
        let value = std::str::from_utf8(field.value).map_err(|_| Wrong::new("header is not text"))?;
        if field.name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse().map_err(|_| Wrong::new("bad Content-Length"))?;
            framing = Some(Framing::Length(length));
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Some(Framing::Chunked);
        } else if field.name.eq_ignore_ascii_case("content-type") {
            event_stream = value.starts_with("text/event-stream");
        }
    }
    let status = parsed.code.ok_or_else(|| Wrong::new("no status"))?;
    let framing = framing.ok_or_else(|| Wrong::new("neither Content-Length nor chunks"))?;
    Ok(Some(Head { bytes: length, status, framing, event_stream }))
}

/// Joins the chunks of a body (RFC 9112 7.1) and tells how many bytes they took.
fn dechunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Wrong> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let parsed = httparse::parse_chunk_size(rest).map_err(|_| Wrong::new("bad chunk size"))?;
        let httparse::Status::Complete((line, size)) = parsed else { return Ok(None) };
        let size = usize::try_from(size).map_err(|_| Wrong::new("chunk too large"))?;
        let Some(chunk) = rest.get(line..line + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(end) = rest.get(line + size..line + size + 2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err(Wrong::new("no line end after a chunk"));
        }
        at += line + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// Finds the JSON-RPC message with `id`: the body itself, or the event that carries it.
fn message(body: &[u8], event_stream: bool, id: &Value) -> Result<Value, Wrong> {
    if !event_stream {
        return serde_json::from_slice(body).map_err(|error| Wrong::new(format!("body: {error}")));
    }
    let text = std::str::from_utf8(body).map_err(|_| Wrong::new("event stream is not text"))?;
    text.lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .find(|message| message.get("id") == Some(id))
        .ok_or_else(|| Wrong::new("no event carries the answer"))
}

fn check_message(message: &Value, expected: &Expected) -> Result<(), Wrong> {
    let right = message.get("jsonrpc").and_then(Value::as_str) == Some("2.0")
        && message.get("id") == Some(&expected.id)
        && message.get("error").is_none()
        && message.pointer("/result/isError").and_then(Value::as_bool) != Some(true)
        && message.pointer("/result/content/0/text").and_then(Value::as_str) == Some(&expected.text);
    if right { Ok(()) } else { Err(Wrong::new(format!("not the expected result: {message}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}}"#;

    fn expected() -> Expected {
        Expected { id: 1.into(), text: "hello".into() }
    }

    fn plain(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn chunked(parts: &[&str]) -> String {
        let mut text =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
                .to_owned();
        for part in parts {
            text.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
        }
        text.push_str("0\r\n\r\n");
        text
    }

    #[test]
    fn accepts_the_expected_answer_and_only_when_complete() {
        let event = format!("data: {BODY}\n\n");
        let (first, second) = event.split_at(20);
        for text in [plain("200 OK", BODY), chunked(&["data: \n\n", first, second])] {
            for cut in 0..text.len() {
                assert_eq!(check(&text.as_bytes()[..cut], &expected()).unwrap(), None, "cut at {cut}");
            }
            assert_eq!(check(text.as_bytes(), &expected()).unwrap(), Some(text.len()));
        }
    }

    #[test]
    fn refuses_what_is_not_the_answer() {
        let wrong = [
            plain("429 Too Many Requests", BODY),
            plain("200 OK", &BODY.replace("\"id\":1", "\"id\":\"1\"")),
            plain("200 OK", &BODY.replace("hello", "other")),
            plain("200 OK", &BODY.replace("\"result\"", "\"error\"")),
            plain("200 OK", &BODY.replace("\"content\"", "\"isError\":true,\"content\"")),
            format!("HTTP/1.1 200 OK\r\n\r\n{BODY}"),
            chunked(&["data: {}\n\n"]),
        ];
        for text in wrong {
            assert!(check(text.as_bytes(), &expected()).is_err(), "{text}");
        }
    }
}
