//! JSON-RPC 2.0 envelopes: a decoded document to a message, and messages to bytes.
//! Never: a method's meaning; `params` stays what it is.
//! Next: `mcp` for what methods mean.

use super::json::Value;
use super::json::encode::{encode_integer, encode_str};

/// Longest string id that is accepted and echoed. Bytes.
pub const ID_BYTES_MAX: usize = 256;

/// The message could not be parsed.
pub const PARSE_ERROR: i32 = -32700;
/// Not a JSON-RPC message this endpoint takes.
pub const INVALID_REQUEST: i32 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// The parameters are not what the method takes.
pub const INVALID_PARAMS: i32 = -32602;
/// Our fault.
pub const INTERNAL_ERROR: i32 = -32603;

/// A request id with its JSON type. MCP allows strings and integers, never null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id<'i> {
    /// An integer of at most 64 bits.
    Integer(i128),
    /// A string, unescaped.
    Text(&'i str),
}

impl Id<'_> {
    /// Appends the id as JSON.
    pub fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(number) => encode_integer(out, number),
            Self::Text(text) => encode_str(out, text),
        }
    }
}

/// An id or token that outlives the message it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedId {
    /// An integer.
    Integer(i128),
    /// A string.
    Text(Box<str>),
}

impl OwnedId {
    /// A view.
    pub fn as_id(&self) -> Id<'_> {
        match self {
            Self::Integer(number) => Id::Integer(*number),
            Self::Text(text) => Id::Text(text),
        }
    }
}

impl From<Id<'_>> for OwnedId {
    fn from(id: Id<'_>) -> Self {
        match id {
            Id::Integer(number) => Self::Integer(number),
            Id::Text(text) => Self::Text(text.into()),
        }
    }
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub enum Message<'t, 'i> {
    /// Wants exactly one answer with the same id.
    Request {
        /// Its id.
        id: Id<'i>,
        /// Its method.
        method: &'i str,
        /// Its parameters: an object, if any.
        params: Option<Value<'t, 'i>>,
    },
    /// Wants no answer.
    Notification {
        /// Its method.
        method: &'i str,
        /// Its parameters: an object, if any.
        params: Option<Value<'t, 'i>>,
    },
    /// An answer to a request of ours.
    Response {
        /// The id of that request.
        id: Id<'i>,
        /// What it gave.
        outcome: Outcome<'t, 'i>,
    },
}

/// How a request of ours was answered.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'t, 'i> {
    /// With a result.
    Result(Value<'t, 'i>),
    /// With an error.
    Error(Value<'t, 'i>),
}

/// What is wrong with an envelope; all are -32600.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeError {
    /// An array: batches ended with revision 2025-03-26.
    Batch,
    /// No message, or more than a batch may have.
    BatchSize,
    /// Neither object nor array.
    NotAnObject,
    /// A member of the envelope stands twice.
    DuplicateMember,
    /// `jsonrpc` is not "2.0".
    Version,
    /// `id` is null, fractional, too long or of another type.
    Id,
    /// `method` is not a string.
    Method,
    /// `params` is not an object.
    Params,
    /// Neither request, notification nor response, or two of them at once.
    Shape,
}

impl EnvelopeError {
    /// A sentence for the peer.
    pub fn message(self) -> &'static str {
        match self {
            Self::Batch => "batches are not part of this protocol revision",
            Self::BatchSize => "a batch has 1 to 64 messages",
            Self::NotAnObject => "a message is a JSON object",
            Self::DuplicateMember => "a member of the envelope stands twice",
            Self::Version => "jsonrpc must be \"2.0\"",
            Self::Id => "id must be a string or an integer",
            Self::Method => "method must be a string",
            Self::Params => "params must be an object",
            Self::Shape => "a message is a request, a notification or a response",
        }
    }
}

#[derive(Default)]
struct Members<'t, 'i> {
    version: Option<Value<'t, 'i>>,
    id: Option<Value<'t, 'i>>,
    method: Option<Value<'t, 'i>>,
    params: Option<Value<'t, 'i>>,
    result: Option<Value<'t, 'i>>,
    error: Option<Value<'t, 'i>>,
}

impl<'t, 'i> Members<'t, 'i> {
    fn decode(root: Value<'t, 'i>) -> Result<Self, EnvelopeError> {
        let mut members = Self::default();
        for (key, value) in root.members() {
            let slot = match key {
                "jsonrpc" => &mut members.version,
                "id" => &mut members.id,
                "method" => &mut members.method,
                "params" => &mut members.params,
                "result" => &mut members.result,
                "error" => &mut members.error,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(EnvelopeError::DuplicateMember);
            }
        }
        Ok(members)
    }
}

/// Reads an envelope. The error comes with the id when that could be read, so that the answer can carry it.
///
/// # Errors
/// See [`EnvelopeError`].
pub fn decode<'t, 'i>(root: Value<'t, 'i>) -> Result<Message<'t, 'i>, (EnvelopeError, Option<Id<'i>>)> {
    if root.is_array() {
        return Err((EnvelopeError::Batch, None));
    }
    if !root.is_object() {
        return Err((EnvelopeError::NotAnObject, None));
    }
    let members = Members::decode(root).map_err(|error| (error, None))?;
    let id = match members.id {
        None => None,
        Some(value) => Some(decode_id(value).ok_or((EnvelopeError::Id, None))?),
    };
    if members.version.and_then(Value::as_str) != Some("2.0") {
        return Err((EnvelopeError::Version, id));
    }
    let fail = |error| Err((error, id));
    let outcome = match (members.result, members.error) {
        (Some(_), Some(_)) => return fail(EnvelopeError::Shape),
        (Some(result), None) => Some(Outcome::Result(result)),
        (None, Some(error)) => Some(Outcome::Error(error)),
        (None, None) => None,
    };
    match (members.method, outcome) {
        (Some(_), Some(_)) => fail(EnvelopeError::Shape),
        (Some(method), None) => {
            let Some(method) = method.as_str() else { return fail(EnvelopeError::Method) };
            if members.params.is_some_and(|params| !params.is_object()) {
                return fail(EnvelopeError::Params);
            }
            Ok(match id {
                Some(id) => Message::Request { id, method, params: members.params },
                None => Message::Notification { method, params: members.params },
            })
        }
        (None, Some(outcome)) => match id {
            Some(id) => Ok(Message::Response { id, outcome }),
            None => fail(EnvelopeError::Id),
        },
        (None, None) => fail(EnvelopeError::Shape),
    }
}

fn decode_id<'i>(value: Value<'_, 'i>) -> Option<Id<'i>> {
    if let Some(text) = value.as_str() {
        return (text.len() <= ID_BYTES_MAX).then_some(Id::Text(text));
    }
    value.as_integer().map(Id::Integer)
}

/// Appends the start of a successful answer, up to and with `"result":`. Close it with `}`.
pub fn encode_result_start(out: &mut Vec<u8>, id: Id<'_>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    id.encode(out);
    out.extend_from_slice(b",\"result\":");
}

/// Appends an error answer. An id that could not be read is left out. `data` is JSON, or empty for none.
pub fn encode_error(out: &mut Vec<u8>, id: Option<Id<'_>>, code: i32, message: &str, data: &[u8]) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",");
    if let Some(id) = id {
        out.extend_from_slice(b"\"id\":");
        id.encode(out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"error\":");
    encode_error_object(out, code, message, data);
    out.push(b'}');
}

/// Appends an error object. `data` is JSON, or empty for none.
pub fn encode_error_object(out: &mut Vec<u8>, code: i32, message: &str, data: &[u8]) {
    out.extend_from_slice(b"{\"code\":");
    encode_integer(out, code);
    out.extend_from_slice(b",\"message\":");
    encode_str(out, message);
    if !data.is_empty() {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::super::json::{JsonLimits, PADDING, Scratch};
    use super::*;

    fn check(text: &str, expect: &str) {
        let mut padded = text.as_bytes().to_vec();
        padded.resize(text.len() + PADDING, 0);
        let mut scratch = Scratch::default();
        let limits = JsonLimits { depth_max: 64, nodes_max: 1000 };
        let document = scratch.decode(&mut padded, text.len(), limits).unwrap();
        let seen = match decode(document.root()) {
            Ok(Message::Request { id, method, params }) => {
                format!("request {id:?} {method} {}", params.is_some())
            }
            Ok(Message::Notification { method, .. }) => format!("notification {method}"),
            Ok(Message::Response { id, .. }) => format!("response {id:?}"),
            Err((error, id)) => format!("{error:?} {id:?}"),
        };
        assert_eq!(seen, expect, "{text}");
    }

    #[test]
    fn tells_messages_apart_and_refuses_the_rest() {
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, "request Integer(1) m false");
        check(r#"{"method":"m","params":{},"id":"1","jsonrpc":"2.0"}"#, "request Text(\"1\") m true");
        check(
            r#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"m"}"#,
            "request Integer(18446744073709551615) m false",
        );
        check(
            r#"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"m"}"#,
            "request Integer(-9223372036854775808) m false",
        );
        check(r#"{"jsonrpc":"2.0","method":"m"}"#, "notification m");
        check(r#"{"jsonrpc":"2.0","id":"x","result":{}}"#, "response Text(\"x\")");
        check(r#"{"jsonrpc":"2.0","id":2,"error":{}}"#, "response Integer(2)");
        check("[]", "Batch None");
        check("3", "NotAnObject None");
        check(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "Id None");
        check(r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "Id None");
        check(r#"{"jsonrpc":"2.0","id":1.0,"method":"m"}"#, "Id None");
        check(r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, "Id None");
        check(r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, "Id None");
        check(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, "DuplicateMember None");
        check(r#"{"jsonrpc":"2.0","method":"a","method":"b","id":2}"#, "DuplicateMember None");
        check(r#"{"jsonrpc":"2.0","params":{},"params":{},"method":"m","id":2}"#, "DuplicateMember None");
        check(r#"{"id":1,"method":"m"}"#, "Version Some(Integer(1))");
        check(r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, "Version Some(Integer(1))");
        check(r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, "Version Some(Integer(1))");
        check(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "Method Some(Integer(1))");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#, "Params Some(Integer(1))");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#, "Params Some(Integer(1))");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#, "Shape Some(Integer(1))");
        check(r#"{"jsonrpc":"2.0","id":1,"error":{},"result":{}}"#, "Shape Some(Integer(1))");
        check(r#"{"jsonrpc":"2.0","id":1}"#, "Shape Some(Integer(1))");
        check(r#"{"jsonrpc":"2.0","result":{}}"#, "Id None");
        check(&format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"m"}}"#, "x".repeat(257)), "Id None");
    }

    #[test]
    fn ids_come_back_with_type_and_text() {
        for (id, expect) in [
            (Id::Integer(7), "7"),
            (Id::Integer(-1), "-1"),
            (Id::Integer(i128::from(u64::MAX)), "18446744073709551615"),
            (Id::Text("7"), "\"7\""),
            (Id::Text("a\"\n"), "\"a\\\"\\n\""),
            (Id::Text(""), "\"\""),
        ] {
            let mut out = Vec::new();
            id.encode(&mut out);
            assert_eq!(out, expect.as_bytes());
        }
    }
}
