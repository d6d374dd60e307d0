//! One call as a tool sees it: its arguments, what it is about, who is calling, and when.
//! Next: `context`, for tools that take their time.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::ToolError;
use crate::wire::json::Value;
use crate::wire::json::value::SpareTape;

/// What a call is about, beside its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'c> {
    /// A tool is called.
    Tool,
    /// A resource is read.
    Resource {
        /// The URI as the client wrote it.
        uri: &'c str,
        /// What a template's variables stand for; empty for a resource with a fixed URI.
        variables: &'c [(String, String)],
    },
    /// A prompt is filled in.
    Prompt,
    /// Values for an argument of a prompt or template are suggested.
    Completion {
        /// What was typed so far.
        value: &'c str,
    },
}

/// A call that has been authenticated, admitted and authorized.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    arguments: Option<Value<'c, 'c>>,
    spare: &'c SpareTape,
    principal: &'c str,
    unix_ms: u64,
    subject: Subject<'c>,
}

impl<'c> Call<'c> {
    pub(crate) fn new(
        arguments: Option<Value<'c, 'c>>,
        spare: &'c SpareTape,
        principal: &'c str,
        unix_ms: u64,
        subject: Subject<'c>,
    ) -> Self {
        Self { arguments, spare, principal, unix_ms, subject }
    }

    /// Reads the arguments into `T`. Strings of `T` may borrow (`&'c str`), which costs no allocation.
    ///
    /// # Errors
    /// A [`ToolError`] in words for the model when an argument is missing or of the wrong type.
    pub fn parse<T: Deserialize<'c>>(&self) -> Result<T, ToolError> {
        match self.arguments {
            Some(arguments) => arguments
                .parse(self.spare)
                .map_err(|error| ToolError::new(format!("invalid arguments: {}", describe(&error)))),
            None => serde_json::from_str("{}")
                .map_err(|error| ToolError::new(format!("invalid arguments: {error}"))),
        }
    }

    /// The id of who is calling.
    pub fn principal(&self) -> &'c str {
        self.principal
    }

    /// The wall clock when the call arrived.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.unix_ms)
    }

    pub(crate) fn subject(&self) -> Subject<'c> {
        self.subject
    }

    /// The arguments as they were decoded.
    pub(super) fn arguments(&self) -> Option<Value<'c, 'c>> {
        self.arguments
    }
}

/// The part of simd-json's message that speaks of the arguments rather than of the parser.
fn describe(error: &simd_json::Error) -> String {
    use simd_json::ErrorType;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's list; its own names serve for the rest"
    )]
    let expected = match error.error() {
        ErrorType::Serde(message) => return message.clone(),
        ErrorType::ExpectedArray => "an array",
        ErrorType::ExpectedBoolean => "true or false",
        ErrorType::ExpectedFloat | ErrorType::ExpectedNumber => "a number",
        ErrorType::ExpectedInteger | ErrorType::ExpectedSigned | ErrorType::ExpectedUnsigned => {
            "an integer within the range of its type"
        }
        ErrorType::ExpectedMap => "an object",
        ErrorType::ExpectedNull => "null",
        ErrorType::ExpectedString => "a string",
        other => return format!("{other:?}"),
    };
    format!("{expected} was expected")
}
