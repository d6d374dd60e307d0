//! One line of the log, as JSON or as text, written straight into a buffer.
//! Whatever a peer may have chosen passes through `escape`: no control character, line separator or direction
//! override reaches a terminal or a log reader as itself.
//! Never: a secret; records hold none.
//! Next: `writer`.

use std::io::Write as _;

use tracing::Level;

use super::super::moment;
use crate::pipeline::event::{Outcome, Record, Stage};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-24T07:44:15.123Z WARN  refused stage=admit ...`
    Text,
    /// One JSON object a line.
    Json,
}

/// A line of the control plane, or of a tool that logs through `tracing`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// How serious.
    pub level: Level,
    /// What the level filter matches on.
    pub target: String,
    /// A stable word.
    pub event: String,
    /// The rest, in order.
    pub fields: Vec<(&'static str, serde_json::Value)>,
}

impl Entry {
    /// An entry of the control plane, now.
    pub fn new(level: Level, event: &str) -> Self {
        Self {
            at_ms: moment::unix_now_ms(),
            level,
            target: "mcpring::control".to_owned(),
            event: event.to_owned(),
            fields: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Appends the line.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) {
        let mut line = Line::begin(format, self.at_ms, self.level, &self.event, out);
        for (name, value) in &self.fields {
            line.value(name, value);
        }
        line.end();
    }
}

/// The level of an outcome.
pub fn level_of(outcome: Outcome) -> Level {
    match outcome {
        Outcome::Answered => Level::INFO,
        Outcome::Refused | Outcome::Fault => Level::WARN,
        Outcome::Bug => Level::ERROR,
    }
}

/// What the level filter matches a record of this stage on, `mcpring::tls`.
pub fn target_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Listen => "mcpring::listen",
        Stage::Tls => "mcpring::tls",
        Stage::Framing => "mcpring::framing",
        Stage::Authenticate => "mcpring::authenticate",
        Stage::Admit => "mcpring::admit",
        Stage::Envelope => "mcpring::envelope",
        Stage::Authorize => "mcpring::authorize",
        Stage::Dispatch => "mcpring::dispatch",
        Stage::Respond => "mcpring::respond",
    }
}

/// Appends the line of a record.
pub fn encode_record(record: &Record, format: Format, out: &mut Vec<u8>) {
    let event = match record.outcome {
        Outcome::Answered => "request",
        Outcome::Refused => "refused",
        Outcome::Fault => "fault",
        Outcome::Bug => "bug",
    };
    let mut line = Line::begin(format, record.at_ms, level_of(record.outcome), event, out);
    line.text("stage", record.stage.name());
    line.text("reason", record.reason);
    line.display("peer", &record.peer);
    line.text("listener", &record.listener);
    if let Some(principal) = &record.principal {
        line.text("principal", principal);
    }
    if !record.method.is_empty() {
        line.text("method", record.method);
    }
    if let Some(tool) = &record.tool {
        line.text("tool", tool);
    }
    if record.status != 0 {
        line.number("status", u64::from(record.status));
    }
    if record.elapsed_us != 0 {
        line.number("elapsed_us", record.elapsed_us);
    }
    if let Some(detail) = &record.detail {
        line.text("detail", detail);
    }
    line.end();
}

/// A line being written.
struct Line<'a> {
    format: Format,
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    fn begin(format: Format, at_ms: u64, level: Level, event: &str, out: &'a mut Vec<u8>) -> Self {
        match format {
            Format::Json => {
                out.extend_from_slice(b"{\"ts\":\"");
                moment::encode_millis(out, at_ms);
                out.extend_from_slice(b"\",\"level\":\"");
                out.extend_from_slice(level.as_str().to_ascii_lowercase().as_bytes());
                out.push(b'"');
                let mut line = Self { format, out };
                line.text("event", event);
                line
            }
            Format::Text => {
                moment::encode_millis(out, at_ms);
                // Writing to a Vec never fails.
                let _ = write!(out, " {:<5} ", level.as_str());
                escape(event, out);
                Self { format, out }
            }
        }
    }

    fn name(&mut self, name: &str) {
        match self.format {
            Format::Json => {
                self.out.extend_from_slice(b",\"");
                escape(name, self.out);
                self.out.extend_from_slice(b"\":");
            }
            Format::Text => {
                self.out.push(b' ');
                escape(name, self.out);
                self.out.push(b'=');
            }
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        // In a text line, what looks like `a=b c=d` must not pass for two fields.
        let is_plain = |char: char| char.is_ascii_graphic() && !matches!(char, '"' | '\\' | '=');
        let is_word = !text.is_empty() && text.chars().all(is_plain);
        match self.format {
            Format::Text if is_word => self.out.extend_from_slice(text.as_bytes()),
            Format::Text | Format::Json => {
                self.out.push(b'"');
                escape(text, self.out);
                self.out.push(b'"');
            }
        }
    }

    fn display(&mut self, name: &str, value: &impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        let _ = write!(self.out, "{number}");
    }

    fn value(&mut self, name: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => self.text(name, text),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => {
                self.name(name);
                // serde_json has escaped quotes and C0; in its output the rest can only stand inside strings.
                harden(&value.to_string(), self.out);
            }
        }
    }

    fn end(self) {
        match self.format {
            Format::Json => self.out.extend_from_slice(b"}\n"),
            Format::Text => self.out.push(b'\n'),
        }
    }
}

/// Appends the inside of a JSON string, ASCII controls, C1, line separators and direction marks as `\uXXXX`.
fn escape(text: &str, out: &mut Vec<u8>) {
    for char in text.chars() {
        match char {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            _ => push(char, out),
        }
    }
}

fn harden(json: &str, out: &mut Vec<u8>) {
    json.chars().for_each(|char| push(char, out));
}

fn push(char: char, out: &mut Vec<u8>) {
    if is_deceptive(char) {
        let mut units = [0; 2];
        for unit in char.encode_utf16(&mut units) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    } else {
        let mut bytes = [0; 4];
        out.extend_from_slice(char.encode_utf8(&mut bytes).as_bytes());
    }
}

/// Characters that move, hide or reorder what a reader sees.
fn is_deceptive(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pipeline::peer::Peer;

    fn record() -> Record {
        Record {
            at_ms: 1_795_338_843_250,
            outcome: Outcome::Refused,
            stage: Stage::Admit,
            reason: "rate_limit_exceeded",
            peer: Peer::Network("[2001:db8::1]:51234".parse().unwrap()),
            listener: "https".into(),
            principal: Some("ci".into()),
            method: "tools/call",
            tool: Some(Arc::from("native/echo")),
            status: 429,
            elapsed_us: 12,
            detail: Some("per_ip".into()),
        }
    }

    fn encoded(record: &Record, format: Format) -> String {
        let mut out = Vec::new();
        encode_record(record, format, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_a_record_in_both_formats() {
        assert_eq!(
            encoded(&record(), Format::Json),
            concat!(
                r#"{"ts":"2026-11-22T09:14:03.250Z","level":"warn","event":"refused","stage":"admit","#,
                r#""reason":"rate_limit_exceeded","peer":"[2001:db8::1]:51234","listener":"https","principal":"ci","#,
                r#""method":"tools/call","tool":"native/echo","status":429,"elapsed_us":12,"detail":"per_ip"}"#,
                "\n"
            )
        );
        assert_eq!(
            encoded(&record(), Format::Text),
            "2026-11-22T09:14:03.250Z WARN  refused stage=admit reason=rate_limit_exceeded \
             peer=[2001:db8::1]:51234 listener=https principal=ci method=tools/call tool=native/echo status=429 \
             elapsed_us=12 detail=per_ip\n"
        );
        let bare = Record { principal: None, method: "", tool: None, status: 0, detail: None, ..record() };
        assert!(encoded(&bare, Format::Json).ends_with("\"listener\":\"https\",\"elapsed_us\":12}\n"));
        let unmeasured = Record { elapsed_us: 0, ..bare };
        assert!(encoded(&unmeasured, Format::Json).ends_with("\"listener\":\"https\"}\n"));
    }

    #[test]
    fn names_level_and_event_by_outcome() {
        for (outcome, words) in [
            (Outcome::Answered, r#""level":"info","event":"request""#),
            (Outcome::Refused, r#""level":"warn","event":"refused""#),
            (Outcome::Fault, r#""level":"warn","event":"fault""#),
            (Outcome::Bug, r#""level":"error","event":"bug""#),
        ] {
            assert!(encoded(&Record { outcome, ..record() }, Format::Json).contains(words));
        }
    }

    #[test]
    fn lets_no_peer_forge_a_line_or_a_field() {
        for text in [
            "a\nb",
            "a\r\n{\"ts\":1}",
            "\u{1b}[2J",
            "\u{7f}",
            "\u{85}",
            "\u{9b}31m",
            "\u{2028}",
            "\u{202e}",
            "\u{2066}",
            "\u{0}",
            "\"",
            "\\",
            "\\\"",
            "x\" principal=\"root",
            "a status=200",
            "\u{e0041}",
            "\u{feff}",
            "",
        ] {
            let record = Record { detail: Some(text.into()), ..record() };
            for format in [Format::Json, Format::Text] {
                let line = encoded(&record, format);
                let body = line.strip_suffix('\n').unwrap();
                assert!(!body.chars().any(is_deceptive), "{body}");
                assert_eq!(line.matches('\n').count(), 1);
            }
            let json: serde_json::Value = serde_json::from_str(&encoded(&record, Format::Json)).unwrap();
            assert_eq!(json["detail"], text);
            assert_eq!(json["principal"], "ci");
            let text_line = encoded(&record, Format::Text);
            let (_, detail) = text_line.trim_end().split_once(" detail=").unwrap();
            assert_eq!(serde_json::from_str::<String>(detail).unwrap(), text, "quoted as a whole");
        }
    }

    #[test]
    fn writes_nested_values_that_parse_and_cannot_deceive() {
        let entry = Entry::new(Level::INFO, "ready")
            .with("listeners", serde_json::json!([{"name": "a\u{2028}\u{9b}", "url": "https://x/"}]))
            .with("pid", 7);
        let mut out = Vec::new();
        entry.encode(Format::Json, &mut out);
        let line = String::from_utf8(out).unwrap();
        assert!(!line.trim_end().chars().any(is_deceptive));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["listeners"][0]["name"], "a\u{2028}\u{9b}");
        assert_eq!((json["event"].as_str(), json["pid"].as_u64()), (Some("ready"), Some(7)));
    }
}
