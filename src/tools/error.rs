//! Why a tool could not do what it was asked, and how that is told to the client.
//! Next: `ask` for the errors of a question to the user.

use super::ask::{AskError, Capability};

/// JSON-RPC 2.0, 5.1: internal error.
const INTERNAL: i32 = -32603;

/// Why a call failed.
///
/// [`ToolError::new`] is for the model: the call succeeds as a request and its result says `isError`. The others
/// are errors of the protocol, which a client program sees and a model does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    message: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Protocol(i32),
    InvalidParams,
    NotFound,
    MissingCapability(Capability),
}

/// A [`ToolError`] taken apart by who must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The model: a result with `isError`.
    Message(String),
    /// The client: a JSON-RPC error.
    Protocol {
        /// Its code.
        code: i32,
        /// Its message.
        message: String,
    },
    /// The client: its parameters are wrong.
    InvalidParams(String),
    /// The client: there is no such resource.
    NotFound,
    /// The client: it lacks what the tool can not do without.
    MissingCapability(Capability),
}

impl ToolError {
    /// An error in words for the model, which may try again.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Message }
    }

    /// A JSON-RPC error. MCP 2026-07-28, error codes: own codes belong outside -32768 to -32000.
    pub fn protocol(code: i32, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Protocol(code) }
    }

    /// The JSON-RPC error -32602: what was asked for makes no sense.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::InvalidParams }
    }

    /// The JSON-RPC error -32603: it is the server's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::protocol(INTERNAL, message)
    }

    /// There is no such resource; each revision has its own code for it.
    pub fn not_found() -> Self {
        Self { message: "not found".into(), kind: Kind::NotFound }
    }

    /// The tool can not work for a client without `capability`.
    pub fn missing(capability: Capability) -> Self {
        let message = format!("the client does not offer {}", capability.name());
        Self { message, kind: Kind::MissingCapability(capability) }
    }

    /// The words.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_failure(self) -> Failure {
        match self.kind {
            Kind::Message => Failure::Message(self.message),
            Kind::Protocol(code) => Failure::Protocol { code, message: self.message },
            Kind::InvalidParams => Failure::InvalidParams(self.message),
            Kind::NotFound => Failure::NotFound,
            Kind::MissingCapability(capability) => Failure::MissingCapability(capability),
        }
    }
}

impl From<AskError> for ToolError {
    fn from(error: AskError) -> Self {
        match &error {
            AskError::Unsupported(capability) => Self::missing(*capability),
            AskError::Invalid(_) => Self::invalid_params(error.to_string()),
            AskError::Unaskable(_) | AskError::TooMany => Self::internal(error.to_string()),
            AskError::Declined | AskError::Cancelled | AskError::TimedOut | AskError::Refused { .. } => {
                Self::new(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_to_whom_it_concerns() {
        let refused = AskError::Refused { code: -1, message: "no".into() };
        for (error, expect) in [
            (ToolError::new("m"), Failure::Message("m".into())),
            (ToolError::protocol(7, "m"), Failure::Protocol { code: 7, message: "m".into() }),
            (ToolError::internal("m"), Failure::Protocol { code: -32603, message: "m".into() }),
            (ToolError::invalid_params("m"), Failure::InvalidParams("m".into())),
            (ToolError::not_found(), Failure::NotFound),
            (AskError::Unsupported(Capability::Roots).into(), Failure::MissingCapability(Capability::Roots)),
            (AskError::Declined.into(), Failure::Message("the user declined".into())),
            (refused.into(), Failure::Message("the client refused: no".into())),
            (
                AskError::Invalid("x".into()).into(),
                Failure::InvalidParams("the answer is malformed: x".into()),
            ),
        ] {
            assert_eq!(error.into_failure(), expect);
        }
    }
}
