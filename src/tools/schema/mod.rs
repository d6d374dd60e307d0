//! JSON Schemas of arguments and results: checked and compiled once when something is registered, then applied to every
//! call straight on the decoded message.
//! Never: a file or address that a schema refers to; a pattern that takes more than linear time.
//! Next: `tape` for how a message is read, `bounds` for what is refused, `header` for mirrored arguments.

mod alternatives;
mod bounds;
pub(super) mod derive;
pub(super) mod header;
mod repeated;
mod tape;
#[cfg(test)]
mod tests;

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::json::SerdeJson;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value as Json;

use crate::wire::json::Value;
use tape::{Place, Tape};

/// Why a schema is not accepted, in words for the author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(pub(super) String);

/// Why a value does not satisfy a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// JSON Pointer, RFC 6901, to the value at fault; empty for the whole.
    pub path: String,
    /// What is wrong with it, a sentence without its full stop.
    pub sentence: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.sentence)
        } else {
            write!(f, "{}: {}", self.path, self.sentence)
        }
    }
}

impl std::error::Error for Invalid {}

/// Longest sentence about one value, bytes: a value that is quoted in it may be as long as a message.
const SENTENCE_BYTES_MAX: usize = 300;

/// Largest program of one pattern, bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// A compiled schema.
pub(super) struct Schema {
    on_tape: Validator<Tape>,
    on_text: Validator<SerdeJson>,
    /// What is wrong with `{}`, which absent arguments stand for.
    on_empty: Option<Invalid>,
    is_object: bool,
}

impl Schema {
    /// # Errors
    /// When `text` is no JSON Schema that can be used without asking anyone.
    pub(super) fn compile(text: &str) -> Result<Self, SchemaError> {
        let schema = parse(text)?;
        let patterns =
            || PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let told = |error: ValidationError<'_>| SchemaError(describe_schema(&error));
        let on_tape = jsonschema::options_for::<Tape>()
            .offline()
            .with_pattern_options(patterns())
            .build(&schema)
            .map_err(told)?;
        let on_text =
            jsonschema::options().offline().with_pattern_options(patterns()).build(&schema).map_err(told)?;
        let empty = Json::Object(serde_json::Map::new());
        let on_empty = on_text.validate(&empty).err().map(|error| describe(&error));
        Ok(Self { on_tape, on_text, on_empty, is_object: is_object(&schema) })
    }

    /// Whether it says that its values are objects.
    pub(super) fn is_object(&self) -> bool {
        self.is_object
    }

    /// Checks a decoded value. Allocates nothing when it is valid.
    pub(super) fn check(&self, value: Value<'_, '_>) -> Result<(), Invalid> {
        let place = Place::Value(value);
        if self.on_tape.is_valid(place) {
            return Ok(());
        }
        self.on_tape.validate(place).map_err(|error| describe(&error))
    }

    /// Checks absent arguments.
    pub(super) fn check_empty(&self) -> Result<(), Invalid> {
        self.on_empty.clone().map_or(Ok(()), Err)
    }

    /// Checks JSON text.
    pub(super) fn check_text(&self, json: &[u8]) -> Result<(), String> {
        let value: Json = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        self.on_text.validate(&value).map_err(|error| describe(&error).to_string())
    }
}

/// Whether a value's objects name each member once. A validator and a reader may each pick another of two.
pub(super) fn check_unique(value: Value<'_, '_>) -> Result<(), Invalid> {
    repeated::check(value)
}

/// The schema, when it is JSON within the bounds.
pub(super) fn parse(text: &str) -> Result<Json, SchemaError> {
    bounds::check_text(text)?;
    let schema: Json =
        serde_json::from_str(text).map_err(|error| SchemaError(format!("not JSON: {error}")))?;
    bounds::check(&schema)?;
    Ok(schema)
}

pub(super) fn is_object(schema: &Json) -> bool {
    schema.get("type").and_then(Json::as_str) == Some("object")
}

fn describe_schema(error: &ValidationError<'_>) -> String {
    describe(error).to_string()
}

fn describe(error: &ValidationError<'_>) -> Invalid {
    let mut path = error.instance_path().to_string();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's list; its own words serve for the rest"
    )]
    let sentence = match error.kind() {
        // The path says which one, so that it is found in a large object.
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            path.push('/');
            path.push_str(&name.replace('~', "~0").replace('/', "~1"));
            "is required".to_owned()
        }
        // The library's own words name the first two only.
        ValidationErrorKind::Enum { options } => shorten(alternatives::not_one_of(error.instance(), options)),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            return alternatives::describe(error, context);
        }
        _ => shorten(error.to_string()),
    };
    Invalid { path, sentence }
}

fn shorten(mut text: String) -> String {
    if text.len() > SENTENCE_BYTES_MAX {
        let end = (0..=SENTENCE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push_str("...");
    }
    text
}
