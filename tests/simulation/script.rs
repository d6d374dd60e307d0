//! What simulated clients ask, and which answers they may get.
//! Next: `peer`, which sends it.

use mcpring::pipeline::seal::principal_digest;
use mcpring::pipeline::snapshot::Snapshot;
use mcpring::wire::mcp::Revision;
use mcpring::wire::mcp::session::Claims;

use crate::chance::Chance;
use crate::fixture::messages::in_chunks;
use crate::fixture::{Answer, post};
use crate::ledger::text;

/// Who may do everything.
pub(crate) const ALL: &str = "key_all";
/// Who may list and call `mark`.
pub(crate) const MARK: &str = "key_mark";
/// Who may do everything, in some generations.
pub(crate) const SOMETIMES: &str = "key_sometimes";
/// Nobody's.
pub(crate) const WRONG: &str = "key_wrong";

/// How a request is answered when nothing comes in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// By a tool, with its marker.
    Call,
    /// By a tool that may run out of time.
    SlowCall,
    /// With that status, decided from the head: no credential is asked for and no token spent.
    Head(u16),
    /// With that status, decided later.
    Body(u16),
}

/// A request and what may come of it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    /// Its JSON-RPC id, and its tool's argument.
    pub(crate) marker: u64,
    pub(crate) key: &'static str,
    pub(crate) expect: Expect,
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;

fn modern(key: &str, marker: u64, tool: &str, rest: &str, token: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{marker},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"marker":{marker}{rest}}},{META}{token}}}}}}}"#
    );
    let fields = format!(
        "Authorization: Bearer {key}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
    );
    post(&fields, &body)
}

fn legacy(key: &str, marker: u64, body: &str, snapshot: &Snapshot) -> Vec<u8> {
    let claims = Claims {
        revision: Revision::LATEST_LEGACY,
        issued_at_s: 1_795_400_000,
        expires_at_s: u64::MAX,
        shard: 0,
        capabilities: 0,
        principal: principal_digest(key),
        nonce: [1; 16],
    };
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&marker.to_be_bytes());
    let session = snapshot.sealer.seal(&claims, nonce).unwrap();
    post(&format!("X-API-Key: {key}\r\nMcp-Session-Id: {session}\r\n"), body)
}

/// Edits the text of a request.
fn edit(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    text.replace(from, to).into_bytes()
}

impl Request {
    /// Any request.
    pub(crate) fn any(chance: &mut Chance, marker: u64, snapshot: &Snapshot) -> Self {
        let key = *chance.pick(&[ALL, ALL, ALL, MARK, SOMETIMES, WRONG]);
        let mut request = match chance.below(10) {
            0..3 => {
                let bytes = modern(key, marker, "mark", "", "");
                Self { bytes, marker, key, expect: Expect::Call }
            }
            3 => Self::legacy(chance, marker, key, snapshot),
            4..6 => Self::slow(chance, marker, key),
            6 => Self {
                bytes: modern(key, marker, "private", "", ""),
                marker,
                key,
                expect: if key == MARK { Expect::Body(403) } else { Expect::Call },
            },
            7 => Self::broken_head(chance, marker),
            _ => Self::broken_body(chance, marker, key),
        };
        let is_old = request.bytes.windows(8).any(|window| window == b"HTTP/1.0");
        let is_post = !is_old && !matches!(request.expect, Expect::Head(_));
        if is_post && chance.is(20) {
            request.bytes = in_chunks(&request.bytes, 1 + chance.below(200));
        }
        if is_post && chance.is(5) {
            request.bytes = edit(&request.bytes, "Accept:", "Expect: 100-continue\r\nAccept:");
        }
        if is_post && chance.is(3) {
            request.bytes = edit(&request.bytes, "Host: localhost", "Connection: close\r\nHost: localhost");
        }
        request
    }

    fn legacy(chance: &mut Chance, marker: u64, key: &'static str, snapshot: &Snapshot) -> Self {
        let (body, expect) = match chance.below(4) {
            0 => (format!(r#"{{"jsonrpc":"2.0","id":{marker},"method":"ping"}}"#), Expect::Body(200)),
            1 => (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(), Expect::Body(202)),
            2 => (
                format!(
                    r#"{{"jsonrpc":"2.0","id":{marker},"method":"tools/call","params":{{"name":"mark","arguments":{{"marker":{marker}}}}}}}"#
                ),
                Expect::Call,
            ),
            _ => (format!(r#"{{"jsonrpc":"2.0","id":{marker},"method":"tools/list"}}"#), Expect::Body(200)),
        };
        Self { bytes: legacy(key, marker, &body, snapshot), marker, key, expect }
    }

    fn slow(chance: &mut Chance, marker: u64, key: &'static str) -> Self {
        let token = *chance.pick(&["", r#","progressToken":"p""#, r#","progressToken":-1"#]);
        let bytes = if chance.is(50) {
            modern(key, marker, "gate", "", token)
        } else {
            let rest = format!(
                r#","steps":{},"interval_ms":{}"#,
                1 + chance.below(5),
                *chance.pick(&[1, 20, 300, 2500])
            );
            modern(key, marker, "steps", &rest, token)
        };
        let bytes = match chance.below(4) {
            0 => edit(&bytes, "application/json, text/event-stream", "application/json"),
            1 => edit(&bytes, "application/json, text/event-stream", "text/event-stream"),
            2 if chance.is(30) => edit(&bytes, "HTTP/1.1", "HTTP/1.0"),
            _ => bytes,
        };
        Self { bytes, marker, key, expect: if key == MARK { Expect::Body(403) } else { Expect::SlowCall } }
    }

    /// Refused before anyone asks who it is.
    fn broken_head(chance: &mut Chance, marker: u64) -> Self {
        let good = modern(ALL, marker, "mark", "", "");
        let (from, to, status) = *chance.pick(&[
            ("POST /mcp", "OPTIONS /mcp", 204),
            ("POST /mcp", "GET /mcp", 405),
            ("POST /mcp", "POST /other", 404),
            ("Host: localhost:8443", "Host: elsewhere", 421),
            ("Host: localhost:8443", "Host: localhost\r\nOrigin: https://elsewhere", 403),
            ("application/json, text/event-stream", "text/html", 406),
            ("Content-Type: application/json", "Content-Type: text/plain", 415),
            ("Content-Length: ", "Content-Length: 99999", 413),
            ("Host: localhost:8443", "Host: localhost\r\nTransfer-Encoding: chunked", 400),
            ("Host: localhost:8443", "Host: localhost\r\n folded", 400),
            ("Host: localhost:8443\r\n", "", 400),
            ("HTTP/1.1", "HTTP/3.1", 505),
        ]);
        let expect = Expect::Head(status);
        Self { bytes: edit(&good, from, to), marker, key: ALL, expect }
    }

    /// Refused for what it says.
    fn broken_body(chance: &mut Chance, marker: u64, key: &'static str) -> Self {
        let good = modern(key, marker, "mark", "", "");
        let (from, to, status) = *chance.pick(&[
            ("\"2.0\"", "\"1.0\"", 400),
            ("\"tools/call\"", "\"tools/nope\"", 400),
            ("\"mark\"", "\"gate\"", 400),
            ("{\"jsonrpc\"", "[\"jsonrpc\"", 400),
            ("\"id\":", "\"id\":1,\"id\":", 400),
            ("\"marker\":", "\"marker\" ", 400),
            ("2026-07-28\"", "2026-07-29\"", 400),
        ]);
        let text = String::from_utf8(good).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (fields, _) = head.split_once("Content-Length").unwrap();
        let body = body.replacen(from, to, 1);
        let bytes = format!("{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
        Self { bytes, marker, key, expect: Expect::Body(status) }
    }

    /// Holds an answer against what was asked; `calls` of it reached a tool.
    pub(crate) fn check(&self, answer: &Answer, key_was: KeyWas, calls: u64) {
        let status = answer.status;
        let is_admitted = match (self.expect, status) {
            (_, 408 | 429) => false,
            (Expect::Head(expect), _) => {
                assert_eq!(status, expect, "{self}");
                false
            }
            (_, 401) => {
                assert_ne!(key_was, KeyWas::Good, "{self}");
                false
            }
            _ => true,
        };
        if !is_admitted {
            assert_eq!(calls, 0, "called although answered {status}: {self}");
            return;
        }
        assert_ne!(key_was, KeyWas::Bad, "let in with status {status}: {self}");
        match self.expect {
            Expect::Head(_) => {}
            Expect::Body(expect) => {
                assert_eq!(status, expect, "{self}\n{answer:?}");
                assert_eq!(calls, 0, "{self}");
            }
            Expect::SlowCall if status == 504 => assert_eq!(calls, 1, "{self}"),
            Expect::Call | Expect::SlowCall => {
                assert_eq!((status, calls), (200, 1), "{self}\n{answer:?}");
                self.check_result(answer);
            }
        }
    }

    fn check_result(&self, answer: &Answer) {
        let events =
            if answer.head.contains("text/event-stream") { answer.events() } else { vec![answer.json()] };
        let (last, reports) = events.split_last().expect("an answer says something");
        assert_eq!(last["id"], self.marker, "{self}");
        // A slow call that has opened its stream tells of its end there.
        if last.get("error").is_some() {
            assert_eq!((last["error"]["code"].as_i64(), self.expect), (Some(504), Expect::SlowCall));
        } else {
            assert_eq!(last["result"]["content"][0]["text"], text(self.marker), "{self}");
        }
        let mut before = 0.0;
        for report in reports {
            assert_eq!(report["method"], "notifications/progress");
            let progress = report["params"]["progress"].as_f64().unwrap();
            assert!(progress > before, "progress rises");
            before = progress;
        }
    }
}

/// What a key was worth from a request's first byte to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyWas {
    Good,
    Bad,
    Both,
}

impl std::fmt::Display for Request {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?} of {} as\n{}", self.expect, self.key, String::from_utf8_lossy(&self.bytes))
    }
}
