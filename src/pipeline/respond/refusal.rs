//! The one table of refusals: what happened, on which stage, and what the peer is told in HTTP and in JSON-RPC.
//! Codes of our own are the HTTP status; the reserved ranges are left to the specification.
//! Next: `mod.rs`, which writes it.

use super::{Challenge, Extra};
use crate::pipeline::authenticate::Unknown;
use crate::pipeline::event::Stage;
use crate::tools::Capability;
use crate::wire::http::chunked::ChunkedError;
use crate::wire::http::head::HeadError;
use crate::wire::json::JsonError;
use crate::wire::json::encode::{encode_integer, encode_str};
use crate::wire::jsonrpc::{
    EnvelopeError, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR,
};
use crate::wire::mcp::{
    Era, HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, RESOURCE_NOT_FOUND, Revision,
    UNSUPPORTED_PROTOCOL_VERSION,
};
use crate::wire::websocket::handshake::UpgradeError;

/// Why a request is answered "no". Carries only what the peer may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'r> {
    /// The head breaks HTTP's rules.
    Head(HeadError),
    /// The chunked body breaks HTTP's rules.
    Chunked(ChunkedError),
    /// The head or body did not arrive in time.
    RequestTimeout,
    /// Everything is served somewhere else.
    Elsewhere,
    /// The WebSocket handshake is not acceptable.
    Upgrade(UpgradeError),
    /// Not the MCP endpoint.
    Path,
    /// A method the endpoint does not take.
    HttpMethod,
    /// A host this server does not answer for.
    Host,
    /// A web page that may not call.
    Origin,
    /// The client accepts neither JSON nor event streams.
    Accept,
    /// The body is not `application/json`, or is encoded.
    ContentType,
    /// The body is over `max_message_size`.
    MessageSize,
    /// No credential.
    Unauthenticated,
    /// A credential that is not accepted.
    CredentialRefused,
    /// Credentials of which nobody knows which is meant.
    CredentialMalformed,
    /// The same where there are no headers.
    UnauthenticatedMessage,
    /// The address has shown too many credentials that do not hold.
    HeldOff {
        /// Until one is looked at again.
        retry_after_ms: u64,
    },
    /// No token left.
    RateLimited {
        /// Until one is there again.
        retry_after_ms: u64,
    },
    /// Not JSON within the limits.
    Json(JsonError),
    /// Not a JSON-RPC message.
    Envelope(EnvelopeError),
    /// A posted response in an era that has none.
    UnexpectedResponse,
    /// A header is missing or says something else than the body.
    HeaderMismatch(&'static str),
    /// Required metadata is missing or malformed.
    Metadata(&'static str),
    /// A revision that is not served.
    ProtocolVersion {
        /// As the client wrote it.
        requested: &'r str,
    },
    /// A legacy request without a session.
    SessionMissing,
    /// A legacy message on a connection that has not had its handshake.
    Uninitialized,
    /// A session id that is not ours or another principal's.
    SessionUnknown,
    /// No role allows it.
    Forbidden,
    /// The same, and a token with one of these scopes would do.
    InsufficientScope {
        /// One bit each, by index into `Resource::scopes`.
        scopes: u64,
    },
    /// No such method in this era.
    MethodNotFound(Era),
    /// No such tool.
    UnknownTool,
    /// No such prompt.
    UnknownPrompt,
    /// No such task, or another principal's.
    UnknownTask,
    /// No such resource.
    ResourceNotFound {
        /// As the client wrote it.
        uri: &'r str,
        /// The code differs.
        era: Era,
    },
    /// Parameters of the wrong shape.
    Params(&'static str),
    /// An argument that can not be used.
    Argument {
        /// Which one, and why.
        message: &'r str,
    },
    /// A state that is not ours, not this caller's, not this request's, or used up.
    RequestState,
    /// The client has not declared what the request needs.
    MissingCapability(Capability),
    /// The handler answers with an error of its own.
    Handler {
        /// Its code.
        code: i32,
        /// Its words.
        message: &'r str,
    },
    /// The handler's structured output is not what its schema promises.
    OutputInvalid,
    /// More streams than one principal may have.
    TooManyStreams,
    /// More requests of one connection than may wait for an answer.
    TooManyInFlight,
    /// A table is full.
    Overloaded,
    /// The tool took too long.
    TimedOut,
    /// Our fault.
    Internal,
}

impl From<Unknown> for Refusal<'_> {
    fn from(why: Unknown) -> Self {
        match why {
            Unknown::Missing => Self::Unauthenticated,
            Unknown::Ambiguous => Self::CredentialMalformed,
            Unknown::HeldOff { retry_after_ms } => Self::HeldOff { retry_after_ms },
            Unknown::Malformed | Unknown::NoSuchKey | Unknown::Expired | Unknown::Token(_) => {
                Self::CredentialRefused
            }
        }
    }
}

/// Who speaks of no version is taken for a client of before 2026-07-28, which may not be what was meant.
const SESSION_REQUIRED: &str =
    "Mcp-Session-Id is required, or MCP-Protocol-Version: 2026-07-28 and no session";

const CAPABILITY_MISSING: &str = "the request needs a capability that the client has not declared";

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where on the path.
    pub stage: Stage,
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC error code.
    pub code: i32,
    /// The stable word in `data.reason` and in the log.
    pub reason: &'static str,
    /// The sentence in `message`.
    pub message: &'static str,
}

const fn row(stage: Stage, status: u16, code: i32, reason: &'static str, message: &'static str) -> Row {
    Row { stage, status, code, reason, message }
}

/// A message has no `WWW-Authenticate` that could say it.
const CREDENTIAL_REQUIRED: &str =
    "a valid credential is required: params._meta[\"mcpring/authorization\"] = \"Bearer KEY\"";

impl Refusal<'_> {
    /// Its row.
    #[expect(
        clippy::too_many_lines,
        reason = "one table, a row for each refusal, is what a reader looks for"
    )]
    pub fn row(&self) -> Row {
        use Stage::{Admit, Authenticate, Authorize, Dispatch, Envelope};
        let own =
            |stage, status: u16, reason, message| row(stage, status, i32::from(status), reason, message);
        let framing = |status, reason, message| own(Stage::Framing, status, reason, message);
        // MCP wire reference 3.3: ordinary parameter errors travel on 200.
        let invalid = |reason, message| row(Dispatch, 200, INVALID_PARAMS, reason, message);
        let internal = |reason, message| row(Dispatch, 200, INTERNAL_ERROR, reason, message);
        let envelope = |code, reason, message| row(Envelope, 400, code, reason, message);
        match *self {
            Self::Head(error) => {
                framing(error.status(), "malformed_request", "the request head is not acceptable")
            }
            Self::Chunked(error) => {
                framing(error.status(), "malformed_body", "the chunked body is not acceptable")
            }
            Self::RequestTimeout => framing(408, "request_timeout", "the request did not arrive in time"),
            Self::Elsewhere => framing(308, "elsewhere", "this is served somewhere else"),
            Self::Upgrade(error) => framing(error.status(), "bad_upgrade", upgrade_words(error)),
            Self::Path => framing(404, "not_found", "there is nothing at this path"),
            Self::HttpMethod => framing(405, "method_not_allowed", "this method is not allowed here"),
            Self::Host => framing(421, "host_not_allowed", "this server does not answer for that host"),
            Self::Origin => framing(403, "origin_not_allowed", "this origin may not call"),
            Self::Accept => framing(406, "not_acceptable", "accept application/json or text/event-stream"),
            Self::ContentType => framing(415, "unsupported_media_type", "send application/json"),
            Self::MessageSize => framing(413, "message_too_large", "the message is too large"),
            Self::CredentialMalformed => {
                own(Authenticate, 400, "invalid_request", "a request carries one credential, once")
            }
            Self::Unauthenticated | Self::CredentialRefused => {
                own(Authenticate, 401, "unauthenticated", "a valid credential is required")
            }
            Self::UnauthenticatedMessage => own(Authenticate, 401, "unauthenticated", CREDENTIAL_REQUIRED),
            Self::HeldOff { .. } => {
                own(Authenticate, 429, "too_many_failures", "too many credentials from here did not hold")
            }
            Self::RateLimited { .. } => own(Admit, 429, "rate_limit_exceeded", "too many requests"),
            Self::Json(error) => json_row(error),
            Self::Envelope(error) => envelope(INVALID_REQUEST, "invalid_request", error.message()),
            Self::UnexpectedResponse => {
                envelope(INVALID_REQUEST, "unexpected_response", "this revision has no client responses")
            }
            Self::HeaderMismatch(message) => envelope(HEADER_MISMATCH, "header_mismatch", message),
            Self::Metadata(message) => envelope(INVALID_PARAMS, "metadata_missing", message),
            Self::ProtocolVersion { .. } => envelope(
                UNSUPPORTED_PROTOCOL_VERSION,
                "unsupported_protocol_version",
                "this protocol version is not served",
            ),
            Self::SessionMissing => own(Envelope, 400, "session_required", SESSION_REQUIRED),
            Self::Uninitialized => envelope(
                INVALID_REQUEST,
                "not_initialized",
                "send initialize first, or name the revision in params._meta",
            ),
            Self::SessionUnknown => own(Envelope, 404, "session_unknown", "the session is unknown or over"),
            Self::Forbidden => own(Authorize, 403, "forbidden", "no role of the caller allows this"),
            Self::InsufficientScope { .. } => {
                own(Authorize, 403, "insufficient_scope", "the token needs another scope for this")
            }
            // MCP 2026-07-28 wants 404; to a legacy client that would mean that its session is over.
            Self::MethodNotFound(era) => {
                let status = if era == Era::Modern { 404 } else { 200 };
                row(Dispatch, status, METHOD_NOT_FOUND, "method_not_found", "no such method")
            }
            Self::UnknownTool => invalid("unknown_tool", "no such tool"),
            Self::UnknownPrompt => invalid("unknown_prompt", "no such prompt"),
            Self::UnknownTask => invalid("unknown_task", "no such task"),
            // MCP 2026-07-28, resources: -32002 is the legacy code and must not be used.
            Self::ResourceNotFound { era, .. } => {
                let code = if era == Era::Modern { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
                row(Dispatch, 200, code, "resource_not_found", "no such resource")
            }
            Self::Params(message) => invalid("invalid_params", message),
            Self::Argument { .. } => invalid("invalid_params", "an argument can not be used"),
            Self::RequestState => invalid("request_state", "requestState is not valid for this request"),
            Self::MissingCapability(_) => {
                row(Dispatch, 400, MISSING_CLIENT_CAPABILITY, "missing_client_capability", CAPABILITY_MISSING)
            }
            Self::Handler { code, .. } => row(Dispatch, 200, code, "handler_error", "the handler failed"),
            Self::OutputInvalid => {
                internal("output_invalid", "the tool's structured output is not as promised")
            }
            Self::TooManyStreams => own(Dispatch, 429, "too_many_streams", "too many open subscriptions"),
            Self::TooManyInFlight => own(
                Dispatch,
                429,
                "too_many_in_flight",
                "too many requests of this connection are not answered yet",
            ),
            Self::Overloaded => own(Dispatch, 503, "overloaded", "the server has no room for this now"),
            Self::TimedOut => own(Dispatch, 504, "request_timed_out", "the tool took too long"),
            Self::Internal => internal("internal_error", "internal error"),
        }
    }

    /// The words for the peer: the row's, unless there are some for this request.
    pub fn message(&self) -> &str {
        if let Self::Handler { message, .. } | Self::Argument { message } = self {
            message
        } else {
            self.row().message
        }
    }

    /// The header field that goes with it.
    pub fn extra(&self) -> Option<Extra<'static>> {
        match self.row().status {
            308 => Some(Extra::Location),
            400 if *self == Self::CredentialMalformed => Some(Extra::Challenge(Challenge::Malformed)),
            401 if *self == Self::CredentialRefused => Some(Extra::Challenge(Challenge::Refused)),
            401 => Some(Extra::Challenge(Challenge::Missing)),
            403 => {
                let Self::InsufficientScope { scopes } = self else { return None };
                Some(Extra::Challenge(Challenge::Scope(*scopes)))
            }
            426 => Some(Extra::WebSocketVersion),
            405 => Some(Extra::Allow),
            429 => {
                let (Self::RateLimited { retry_after_ms } | Self::HeldOff { retry_after_ms }) = self else {
                    return None;
                };
                Some(Extra::RetryAfter(retry_after_ms.div_ceil(1000).max(1)))
            }
            503 => Some(Extra::RetryAfter(1)),
            _ => None,
        }
    }

    /// Appends the error's `data` as JSON.
    pub fn encode_data(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"reason\":");
        encode_str(out, self.row().reason);
        if let Self::ProtocolVersion { requested } = self {
            // MCP 2026-07-28, error codes: both members are required for -32022.
            out.extend_from_slice(b",\"supported\":[");
            for (at, revision) in Revision::MODERN.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                encode_str(out, revision.name());
            }
            out.extend_from_slice(b"],\"requested\":");
            encode_str(out, requested);
        }
        if let Self::ResourceNotFound { uri, .. } = self {
            out.extend_from_slice(b",\"uri\":");
            encode_str(out, uri);
        }
        if let Self::MissingCapability(capability) = self {
            out.extend_from_slice(b",\"requiredCapabilities\":");
            out.extend_from_slice(required(*capability));
        }
        if let Self::RateLimited { retry_after_ms } | Self::HeldOff { retry_after_ms } = self {
            out.extend_from_slice(b",\"retryAfterMs\":");
            encode_integer(out, *retry_after_ms);
        }
        out.push(b'}');
    }
}

/// MCP 2026-07-28, error codes: -32021 names what is missing as a ClientCapabilities object.
fn required(capability: Capability) -> &'static [u8] {
    match capability {
        Capability::ElicitationForm => b"{\"elicitation\":{\"form\":{}}}",
        Capability::ElicitationUrl => b"{\"elicitation\":{\"url\":{}}}",
        Capability::Sampling => b"{\"sampling\":{}}",
        Capability::SamplingTools => b"{\"sampling\":{\"tools\":{}}}",
        Capability::Roots => b"{\"roots\":{}}",
        Capability::Tasks => b"{\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}}",
    }
}

/// What is wrong with an opening handshake, and what is wanted.
fn upgrade_words(error: UpgradeError) -> &'static str {
    match error {
        UpgradeError::NotGet => "a WebSocket begins with GET",
        UpgradeError::OldHttp => "a WebSocket begins with HTTP/1.1",
        UpgradeError::Body => "a WebSocket's first request has no body",
        UpgradeError::NoUpgrade => "Upgrade must name websocket",
        UpgradeError::NoConnection => "Connection must name Upgrade",
        UpgradeError::UnsupportedVersion => "Sec-WebSocket-Version must be 13",
        UpgradeError::BadKey => "Sec-WebSocket-Key must be 16 bytes in base64",
        UpgradeError::NoSubprotocol => "Sec-WebSocket-Protocol must offer mcp",
    }
}

fn json_row(error: JsonError) -> Row {
    let parse = |reason, message| row(Stage::Envelope, 400, PARSE_ERROR, reason, message);
    match error {
        JsonError::Syntax => parse("parse_error", "the body is not JSON"),
        JsonError::Utf8 => parse("invalid_utf8", "the body is not UTF-8"),
        JsonError::Number => parse("number_out_of_range", "a number is malformed or out of range"),
        JsonError::Depth => {
            row(Stage::Envelope, 400, INVALID_REQUEST, "too_deep", "the message is nested too deep")
        }
        JsonError::Nodes => {
            row(Stage::Envelope, 400, INVALID_REQUEST, "too_many_values", "the message has too many values")
        }
    }
}
