//! The stage that reads the message: JSON-RPC, the era it speaks, and its metadata held against the headers.
//! Never: a legacy reading of a malformed modern message; a decision from a header the body contradicts.
//! Next: `authorize`, which asks whether the caller may do what was read here.

use super::authenticate::Principal;
use super::respond::Refusal;
use super::seal::{Sealer, principal_digest};
use crate::wire::http::head::Head;
use crate::wire::json::Value;
use crate::wire::jsonrpc::{self, Id, Message};
use crate::wire::mcp::meta::{Meta, TOKEN_BYTES_MAX};
use crate::wire::mcp::session::Claims;
use crate::wire::mcp::{Era, Method, Revision, name};

/// What the transport's headers say about the message.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `MCP-Protocol-Version`
    pub protocol_version: Option<&'a [u8]>,
    /// `Mcp-Method`
    pub method: Option<&'a [u8]>,
    /// `Mcp-Name`
    pub name: Option<&'a [u8]>,
    /// `Mcp-Session-Id`
    pub session: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// From an HTTP head.
    pub fn decode(head: &Head<'_, 'a>) -> Self {
        Self {
            protocol_version: head.known.mcp_protocol_version,
            method: head.known.mcp_method,
            name: head.known.mcp_name,
            session: head.known.mcp_session_id,
        }
    }

    fn revision(&self) -> Option<Revision> {
        std::str::from_utf8(self.protocol_version?).ok().and_then(Revision::decode)
    }
}

/// A message that has been understood.
#[derive(Clone, Copy, Debug)]
pub enum Envelope<'t, 'i> {
    /// Wants an answer.
    Request(Request<'t, 'i>),
    /// Wants none: 202.
    Notification,
    /// An answer to a request we never made: 202, and forgotten.
    Response,
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
    sealer: &Sealer,
) -> Result<Envelope<'t, 'i>, Refused<'i>> {
    let message = jsonrpc::decode(root).map_err(|(error, id)| (Refusal::Envelope(error), id))?;
    match message {
        Message::Request { id, method, params } => request(id, method, params, headers, principal, sealer)
            .map(Envelope::Request)
            .map_err(|refusal| (refusal, Some(id))),
        Message::Notification { method, .. } => {
            notification(method, headers, principal, sealer).map_err(|refusal| (refusal, None))
        }
        Message::Response { id } => match era_of(headers) {
            Era::Modern => Err((Refusal::UnexpectedResponse, Some(id))),
            Era::Legacy => session(headers, principal, sealer)
                .map(|_| Envelope::Response)
                .map_err(|refusal| (refusal, None)),
        },
    }
}

fn request<'t, 'i>(
    id: Id<'i>,
    method_name: &'i str,
    params: Option<Value<'t, 'i>>,
    headers: &Headers<'_>,
    principal: &Principal,
    sealer: &Sealer,
) -> Result<Request<'t, 'i>, Refusal<'i>> {
    if params.is_some_and(has_doubled_member) {
        return Err(Refusal::Params("a member of params stands twice"));
    }
    let meta = Meta::decode(params);
    if meta.has_duplicates {
        return Err(Refusal::Metadata("a key of _meta stands twice"));
    }
    let method = Method::decode(method_name);
    let revision = if meta.protocol_version.is_some() {
        let revision = modern(&meta, headers)?;
        headers_match(method_name, params, headers)?;
        revision
    } else if method == Some(Method::Initialize) {
        initialize(params, headers)?
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
            (Some(_), Some(_)) | (None, _) => session(headers, principal, sealer)?.revision,
        }
    };
    let method =
        method.filter(|method| method.is_request_in(revision.era())).ok_or(Refusal::MethodNotFound)?;
    let progress_token = progress_token(&meta)?;
    Ok(Request { id, revision, method, params, progress_token })
}

/// Whether a member of `params` that decides something stands twice: two readers could then see two requests.
fn has_doubled_member(params: Value<'_, '_>) -> bool {
    const DECIDING: [&str; 5] = ["name", "arguments", "_meta", "cursor", "protocolVersion"];
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
    method: &str,
    params: Option<Value<'_, '_>>,
    headers: &Headers<'_>,
) -> Result<(), Refusal<'static>> {
    match headers.method {
        None => return Err(Refusal::HeaderMismatch("Mcp-Method is missing")),
        Some(header) if header != method.as_bytes() => {
            return Err(Refusal::HeaderMismatch("Mcp-Method differs from the body"));
        }
        Some(_) => {}
    }
    if method != Method::ToolsCall.name() {
        return Ok(());
    }
    let named = params.and_then(|params| params.member("name")).and_then(Value::as_str);
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
    let requested = params.and_then(|params| params.member("protocolVersion")).and_then(Value::as_str);
    let Some(requested) = requested else { return Err(Refusal::Params("protocolVersion must be a string")) };
    let revision = Revision::decode(requested).filter(|revision| revision.era() == Era::Legacy);
    Ok(revision.unwrap_or(Revision::LATEST_LEGACY))
}

/// The legacy session a request belongs to. One of another principal does not exist.
fn session(
    headers: &Headers<'_>,
    principal: &Principal,
    sealer: &Sealer,
) -> Result<Claims, Refusal<'static>> {
    let id = headers.session.ok_or(Refusal::SessionMissing)?;
    sealer
        .open(id)
        .filter(|claims| claims.principal == principal_digest(&principal.id))
        .ok_or(Refusal::SessionUnknown)
}

fn notification<'t, 'i>(
    method: &str,
    headers: &Headers<'_>,
    principal: &Principal,
    sealer: &Sealer,
) -> Result<Envelope<'t, 'i>, Refusal<'static>> {
    // MCP 2026-07-28: header rules for notifications are not defined, so only a contradiction is refused.
    if headers.method.is_some_and(|header| header != method.as_bytes()) {
        return Err(Refusal::HeaderMismatch("Mcp-Method differs from the body"));
    }
    match era_of(headers) {
        Era::Modern => {}
        Era::Legacy => {
            session(headers, principal, sealer)?;
        }
    }
    Ok(Envelope::Notification)
}

/// What the headers alone say; for messages that carry no metadata.
fn era_of(headers: &Headers<'_>) -> Era {
    headers.revision().map_or(Era::Legacy, Revision::era)
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
