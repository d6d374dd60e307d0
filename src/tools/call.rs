//! One call as a tool sees it: its arguments, who is calling, and when.
//! Next: `context`, for tools that take their time.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::ToolError;
use crate::wire::json::Value;
use crate::wire::json::value::SpareTape;

/// A call that has been authenticated, admitted and authorized.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    arguments: Option<Value<'c, 'c>>,
    spare: &'c SpareTape,
    principal: &'c str,
    unix_ms: u64,
}

impl<'c> Call<'c> {
    pub(crate) fn new(
        arguments: Option<Value<'c, 'c>>,
        spare: &'c SpareTape,
        principal: &'c str,
        unix_ms: u64,
    ) -> Self {
        Self { arguments, spare, principal, unix_ms }
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
}

/// The part of simd-json's message that speaks of the arguments rather than of the parser.
fn describe(error: &simd_json::Error) -> String {
    if let simd_json::ErrorType::Serde(message) = error.error() {
        message.clone()
    } else {
        format!("{:?}", error.error())
    }
}
