//! The stage that reads the message: JSON-RPC, the era it speaks, and its metadata held against the headers.
//! Never: a legacy reading of a malformed modern message; a decision from a header the body contradicts.
//! Next: `authorize`, which asks whether the caller may do what was read here.

use super::authenticate::Principal;
use super::headers::{Headers, Sessions, Setting};
use super::respond::Refusal;
use crate::tools::{Capabilities, Capability, LogLevel};
use crate::wire::json::{Elements, Value};
use crate::wire::jsonrpc::{self, EnvelopeError, Id, Message, Outcome};
use crate::wire::mcp::meta::{Meta, TASKS_EXTENSION, TOKEN_BYTES_MAX};
use crate::wire::mcp::session::Claims;
use crate::wire::mcp::{Era, Method, Revision, name};

/// A message that has been understood.
#[derive(Clone, Copy, Debug)]
pub enum Envelope<'t, 'i> {
    /// Wants an answer.
    Request(Request<'t, 'i>),
    /// Wants none: 202.
    Notification(Notification<'t, 'i>),
    /// An answer to a request of ours.
    Response {
        /// The id of that request.
        id: Id<'i>,
        /// What it gave.
        outcome: Outcome<'t, 'i>,
        /// Who answers.
        session: Claims,
    },
}

/// A notification that has been understood.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'t, 'i> {
    /// What it tells, if we know.
    pub method: Option<Method>,
    /// Its parameters.
    pub params: Option<Value<'t, 'i>>,
    /// Who tells it, in the legacy era.
    pub session: Option<Claims>,
}

/// A request that has been understood.
#[derive(Clone, Copy, Debug)]
pub struct Request<'t, 'i> {
    /// To be echoed.
    pub id: Id<'i>,
    /// The revision it is answered in.
    pub revision: Revision,
    /// What is asked for.
    pub method: Method,
    /// Its parameters.
    pub params: Option<Value<'t, 'i>>,
    /// Where progress notifications go, if they are wanted: a string or an integer.
    pub progress_token: Option<Id<'i>>,
    /// The session it belongs to, in the legacy era.
    pub session: Option<Claims>,
    /// What the client says it can do.
    pub capabilities: Capabilities,
    /// The least severe log message it wants, in the modern era.
    pub log_level: Option<LogLevel>,
}

/// A refusal with the id it answers, when that could be read.
pub type Refused<'i> = (Refusal<'i>, Option<Id<'i>>);

/// Reads the message.
///
/// # Errors
/// The refusal and the id it belongs to.
// MCP wire reference 3.3, precedence: shape, era, metadata, version, headers, method.
pub fn decode<'t, 'i>(
    root: Value<'t, 'i>,
    headers: &Headers<'_>,
    principal: &Principal,
    sessions: Sessions<'_>,
) -> Result<Envelope<'t, 'i>, Refused<'i>> {
    let message = jsonrpc::decode(root).map_err(|(error, id)| (Refusal::Envelope(error), id))?;
    match message {
        Message::Request { id, method, params } => request(id, method, params, headers, principal, sessions)
            .map(Envelope::Request)
            .map_err(|refusal| (refusal, Some(id))),
        Message::Notification { method, params } => {
            notification(method, params, headers, principal, sessions)
                .map(Envelope::Notification)
                .map_err(|refusal| (refusal, None))
        }
        Message::Response { id, outcome } => match headers.era() {
            Era::Modern => Err((Refusal::UnexpectedResponse, Some(id))),
            Era::Legacy => session(headers, principal, sessions)
                .map(|session| Envelope::Response { id, outcome, session })
                .map_err(|refusal| (refusal, None)),
        },
    }
}

/// The messages of a batch; nothing when the body is one message.
///
/// # Errors
/// When it is a batch and its session's revision has none, or when it is empty.
// MCP 2025-03-26, Streamable HTTP: batches must be received; 2025-06-18 took them back.
pub fn decode_batch<'t, 'i>(
    root: Value<'t, 'i>,
    headers: &Headers<'_>,
    principal: &Principal,
    sessions: Sessions<'_>,
) -> Result<Option<Elements<'t, 'i>>, Refusal<'i>> {
    if !root.is_array() {
        return Ok(None);
    }
    const NO_BATCH: Refusal<'static> = Refusal::Envelope(EnvelopeError::Batch);
    if headers.era() == Era::Modern || !headers.have_session() {
        return Err(NO_BATCH);
    }
    let claims = session(headers, principal, sessions)?;
    if claims.revision != Revision::V20250326 {
        return Err(NO_BATCH);
    }
    if root.elements().next().is_none() {
        return Err(Refusal::Envelope(EnvelopeError::BatchSize));
    }
    Ok(Some(root.elements()))
}

fn request<'t, 'i>(
    id: Id<'i>,
    method_name: &'i str,
    params: Option<Value<'t, 'i>>,
    headers: &Headers<'_>,
    principal: &Principal,
    sessions: Sessions<'_>,
) -> Result<Request<'t, 'i>, Refusal<'i>> {
    if params.is_some_and(has_doubled_member) {
        return Err(Refusal::Params("a member of params stands twice"));
    }
    let meta = Meta::decode(params);
    if meta.has_duplicates {
        return Err(Refusal::Metadata("a key of _meta stands twice"));
    }
    let method = Method::decode(method_name);
    let capabilities;
    let (mut log_level, mut claims) = (None, None);
    let revision = if meta.protocol_version.is_some() {
        let revision = modern(&meta, headers)?;
        headers_match(method_name, method, params, headers)?;
        capabilities = meta.client_capabilities.map(decode_capabilities).unwrap_or_default();
        log_level = decode_level(&meta)?;
        revision
    } else if method == Some(Method::Initialize) {
        let offered = params.and_then(|params| params.member("capabilities"));
        capabilities = offered.map(decode_capabilities).unwrap_or_default();
        initialize(params, headers)?
    } else if method == Some(Method::Ping) && headers.setting == Setting::Connection {
        // MCP 2025-11-25, lifecycle: pings may come before the handshake.
        capabilities = Capabilities::default();
        Revision::LATEST_LEGACY
    } else {
        match (headers.protocol_version, headers.revision()) {
            (_, Some(revision)) if revision.era() == Era::Modern => {
                return Err(Refusal::Metadata(
                    "params._meta needs io.modelcontextprotocol/protocolVersion and clientCapabilities",
                ));
            }
            (Some(_), None) => {
                return Err(Refusal::HeaderMismatch("MCP-Protocol-Version is not served here"));
            }
            (Some(_), Some(_)) | (None, _) => {
                let session = session(headers, principal, sessions)?;
                capabilities = Capabilities::from_bits(session.capabilities);
                claims = Some(session);
                session.revision
            }
        }
    };
    let method = method
        .filter(|method| method.is_request_in(revision.era()))
        .ok_or(Refusal::MethodNotFound(revision.era()))?;
    let progress_token = progress_token(&meta)?;
    Ok(Request { id, revision, method, params, progress_token, session: claims, capabilities, log_level })
}

/// Whether a member of `params` that decides something stands twice: two readers could then see two requests.
fn has_doubled_member(params: Value<'_, '_>) -> bool {
    const DECIDING: [&str; 15] = [
        "name",
        "arguments",
        "_meta",
        "cursor",
        "protocolVersion",
        "capabilities",
        "uri",
        "ref",
        "argument",
        "context",
        "level",
        "notifications",
        "taskId",
        "requestState",
        "inputResponses",
    ];
    let mut seen = [false; DECIDING.len()];
    params.members().any(|(key, _)| {
        let slot = DECIDING.iter().position(|deciding| *deciding == key).and_then(|at| seen.get_mut(at));
        slot.is_some_and(|slot| std::mem::replace(slot, true))
    })
}

/// A request that says which revision it speaks is modern, however wrong the rest may be.
fn modern<'i>(meta: &Meta<'_, 'i>, headers: &Headers<'_>) -> Result<Revision, Refusal<'i>> {
    let Some(requested) = meta.protocol_version.and_then(Value::as_str) else {
        return Err(Refusal::Metadata("io.modelcontextprotocol/protocolVersion must be a string"));
    };
    match headers.protocol_version {
        None if headers.are_absent() => {}
        None => return Err(Refusal::HeaderMismatch("MCP-Protocol-Version is missing")),
        Some(header) if header != requested.as_bytes() => {
            return Err(Refusal::HeaderMismatch("MCP-Protocol-Version differs from _meta"));
        }
        Some(_) => {}
    }
    if !meta.client_capabilities.is_some_and(Value::is_object) {
        return Err(Refusal::Metadata("io.modelcontextprotocol/clientCapabilities must be an object"));
    }
    Revision::decode(requested)
        .filter(|revision| revision.era() == Era::Modern)
        .ok_or(Refusal::ProtocolVersion { requested })
}

/// MCP 2026-07-28, Streamable HTTP, header validation.
fn headers_match(
    method_name: &str,
    method: Option<Method>,
    params: Option<Value<'_, '_>>,
    headers: &Headers<'_>,
) -> Result<(), Refusal<'static>> {
    match headers.method {
        None if headers.are_absent() => return Ok(()),
        None => return Err(Refusal::HeaderMismatch("Mcp-Method is missing")),
        Some(header) if header != method_name.as_bytes() => {
            return Err(Refusal::HeaderMismatch("Mcp-Method differs from the body"));
        }
        Some(_) => {}
    }
    let Some(member) = method.and_then(Method::named_by) else { return Ok(()) };
    let named = params.and_then(|params| params.member(member)).and_then(Value::as_str);
    match (named, headers.name) {
        (Some(_), None) => Err(Refusal::HeaderMismatch("Mcp-Name is missing")),
        (Some(body), Some(header)) if !name::matches(header, body) => {
            Err(Refusal::HeaderMismatch("Mcp-Name differs from the body"))
        }
        (Some(_), Some(_)) | (None, _) => Ok(()),
    }
}

/// The legacy handshake: what the client asks for if we serve it, else our newest legacy revision.
fn initialize<'i>(params: Option<Value<'_, 'i>>, headers: &Headers<'_>) -> Result<Revision, Refusal<'i>> {
    if headers.protocol_version.is_some() && headers.revision().is_none() {
        return Err(Refusal::HeaderMismatch("MCP-Protocol-Version is not served here"));
    }
    if let Setting::Session(_) = headers.setting {
        return Err(Refusal::Params("this connection has had its handshake"));
    }
    let requested = params.and_then(|params| params.member("protocolVersion")).and_then(Value::as_str);
    let Some(requested) = requested else { return Err(Refusal::Params("protocolVersion must be a string")) };
    let revision = Revision::decode(requested).filter(|revision| revision.era() == Era::Legacy);
    Ok(revision.unwrap_or(Revision::LATEST_LEGACY))
}

/// The legacy session a request belongs to.
fn session(
    headers: &Headers<'_>,
    principal: &Principal,
    sessions: Sessions<'_>,
) -> Result<Claims, Refusal<'static>> {
    sessions.open(headers, principal)
}

fn notification<'t, 'i>(
    method: &str,
    params: Option<Value<'t, 'i>>,
    headers: &Headers<'_>,
    principal: &Principal,
    sessions: Sessions<'_>,
) -> Result<Notification<'t, 'i>, Refusal<'static>> {
    let session = match headers.era() {
        // MCP 2026-07-28: header rules for notifications are not defined, so only a contradiction is refused.
        Era::Modern if headers.method.is_some_and(|header| header != method.as_bytes()) => {
            return Err(Refusal::HeaderMismatch("Mcp-Method differs from the body"));
        }
        Era::Modern => None,
        Era::Legacy => Some(session(headers, principal, sessions)?),
    };
    Ok(Notification { method: Method::decode(method), params, session })
}

fn progress_token<'i>(meta: &Meta<'_, 'i>) -> Result<Option<Id<'i>>, Refusal<'i>> {
    let Some(value) = meta.progress_token else { return Ok(None) };
    let token = match (value.as_str(), value.as_integer()) {
        (Some(text), _) if text.len() <= TOKEN_BYTES_MAX => Id::Text(text),
        (_, Some(number)) => Id::Integer(number),
        _ => return Err(Refusal::Params("progressToken must be a short string or an integer")),
    };
    Ok(Some(token))
}

fn decode_level(meta: &Meta<'_, '_>) -> Result<Option<LogLevel>, Refusal<'static>> {
    let Some(value) = meta.log_level else { return Ok(None) };
    let level = value.as_str().and_then(LogLevel::decode);
    level.map(Some).ok_or(Refusal::Metadata("io.modelcontextprotocol/logLevel must name a log level"))
}

/// What a client declares, of what we can use.
fn decode_capabilities(declared: Value<'_, '_>) -> Capabilities {
    let mut found = Capabilities::default();
    for (key, value) in declared.members().filter(|(_, value)| value.is_object()) {
        let has = |name| value.member(name).is_some_and(Value::is_object);
        match key {
            "elicitation" => {
                // MCP 2025-11-25, elicitation: an empty object means forms.
                if has("form") || !has("url") {
                    found = found.with(Capability::ElicitationForm);
                }
                if has("url") {
                    found = found.with(Capability::ElicitationUrl);
                }
            }
            "sampling" => {
                found = found.with(Capability::Sampling);
                if has("tools") {
                    found = found.with(Capability::SamplingTools);
                }
            }
            "roots" => found = found.with(Capability::Roots),
            "extensions" if has(TASKS_EXTENSION) => found = found.with(Capability::Tasks),
            _ => {}
        }
    }
    found
}
