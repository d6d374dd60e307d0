//! Messages that the clients of the simulated fleet send, and the tools they are for beside those of `ledger`.
//! Next: `fleet`, which sends them.

use mcpring::tools::{Capability, Context, Progress, Registry, Resource, Tool, ToolError};

use crate::fixture::{KEY, post};
use crate::ledger::{Shared, registry, text};
use crate::reader::Session;
use crate::script::ALL;

/// What sessions subscribe to.
pub(crate) const URI: &str = "docs://a";
/// Reports that a `burst` makes at once, more than a stream keeps.
const BURST: u32 = 40;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Marked {
    marker: u64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Word {
    word: String,
}

async fn ask(marked: Marked, context: Context) -> Result<String, ToolError> {
    let first: Word = context.elicit("first", "One word?").await?.accepted()?;
    Ok(format!("{} {}", text(marked.marker), first.word))
}

/// `ask` and `once` ask the user, the second with a state that serves once; `burst` outruns any reader.
pub(crate) fn tools(ledger: &Shared) -> Registry {
    let mut registry = registry(ledger);
    let asking = Tool::asynchronous("ask", "Asks.", ask).requires(Capability::ElicitationForm);
    let once = Tool::asynchronous("once", "Asks.", ask).requires(Capability::ElicitationForm);
    let burst = Tool::asynchronous("burst", "Reports.", |marked: Marked, context: Context| async move {
        for step in 1..=BURST {
            context.progress(Progress { progress: f64::from(step), total: None, message: None });
        }
        Ok(text(marked.marker))
    });
    for tool in [asking, once.single_use_state(), burst] {
        registry.register(tool).unwrap();
    }
    registry.register_resource(Resource::text(URI, "a", "text/plain", "A")).unwrap();
    registry
}

fn in_session(session: &Session) -> String {
    let Session { id, revision, .. } = session;
    format!("X-API-Key: {ALL}\r\nMcp-Session-Id: {id}\r\nMCP-Protocol-Version: {revision}\r\n")
}

pub(crate) fn initialize(revision: &str) -> Vec<u8> {
    post(&format!("X-API-Key: {ALL}\r\n"), &initialize_body(0, revision))
}

pub(crate) fn initialize_body(marker: u64, revision: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{marker},"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{"elicitation":{{}}}},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    )
}

/// A legacy message.
pub(crate) fn legacy(session: &Session, body: &str) -> Vec<u8> {
    post(&in_session(session), body)
}

/// The body of a legacy call.
pub(crate) fn legacy_call(marker: u64, tool: &str) -> String {
    let rest = if tool == "steps" { r#","steps":4,"interval_ms":150"# } else { "" };
    format!(
        r#"{{"jsonrpc":"2.0","id":{marker},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"marker":{marker}{rest}}},"_meta":{{"progressToken":{marker}}}}}}}"#
    )
}

pub(crate) fn subscribe(marker: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{marker},"method":"resources/subscribe","params":{{"uri":"{URI}"}}}}"#)
}

pub(crate) fn cancel(marker: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{marker}}}}}"#)
}

/// An answer to a legacy question.
pub(crate) fn answer(question: &str, word: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{question}","result":{{"action":"accept","content":{{"word":"{word}"}}}}}}"#
    )
}

/// `GET` or `DELETE` of a session.
pub(crate) fn bare(method: &str, session: &Session, last_id: Option<&str>) -> Vec<u8> {
    let last = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
    let fields = in_session(session);
    format!("{method} /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{fields}{last}\r\n")
        .into_bytes()
}

fn modern_body(marker: u64, method: &str, params: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{marker},"method":"{method}","params":{{{params},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{"elicitation":{{}}}},"progressToken":{marker}}}}}}}"#
    )
}

fn modern(marker: u64, method: &str, name: &str, params: &str) -> Vec<u8> {
    let body = modern_body(marker, method, params);
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    let fields =
        format!("X-API-Key: {ALL}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
    post(&fields, &body)
}

/// A modern call.
pub(crate) fn call(marker: u64, tool: &str) -> Vec<u8> {
    modern(marker, "tools/call", tool, &call_params(marker, tool))
}

fn call_params(marker: u64, tool: &str) -> String {
    let rest = if tool == "steps" { r#","steps":4,"interval_ms":150"# } else { "" };
    format!(r#""name":"{tool}","arguments":{{"marker":{marker}{rest}}}"#)
}

/// The same without HTTP.
pub(crate) fn call_body(marker: u64, tool: &str) -> String {
    modern_body(marker, "tools/call", &call_params(marker, tool))
}

/// The next round of a modern call that was first asked as `first`.
pub(crate) fn retry(marker: u64, first: u64, tool: &str, state: &str, word: &str) -> Vec<u8> {
    let params = format!(
        r#""name":"{tool}","arguments":{{"marker":{first}}},"requestState":"{state}","inputResponses":{{"first":{{"action":"accept","content":{{"word":"{word}"}}}}}}"#
    );
    modern(marker, "tools/call", tool, &params)
}

pub(crate) fn listen(marker: u64) -> Vec<u8> {
    modern(marker, "subscriptions/listen", "", &listen_params())
}

fn listen_params() -> String {
    format!(r#""notifications":{{"toolsListChanged":true,"resourceSubscriptions":["{URI}"]}}"#)
}

pub(crate) fn listen_body(marker: u64) -> String {
    modern_body(marker, "subscriptions/listen", &listen_params())
}

/// The same message with a credential in it, for connections without headers.
pub(crate) fn with_key(body: &str, key: &str) -> String {
    let credential = format!(r#""mcpring/authorization":"Bearer {key}""#);
    if body.contains("\"_meta\":{") {
        return body.replacen("\"_meta\":{", &format!("\"_meta\":{{{credential},"), 1);
    }
    body.replacen("\"params\":{", &format!("\"params\":{{\"_meta\":{{{credential}}},"), 1)
}

/// A GET of the fixture's operator.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    )
    .into_bytes()
}
