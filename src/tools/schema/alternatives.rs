//! What is wrong with a value that fits none of several schemas, which is how enums of Rust are described.
//! Alternatives of another type than the value's were not meant, so they are not spoken of when others are left.
//! Next: `mod.rs`, which asks.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value as Json;

use super::{Invalid, shorten};

/// The place and the words: those of the only alternative that was meant, a list of constants, or all there is.
pub(super) fn describe(error: &ValidationError<'_>, context: &[Vec<ValidationError<'static>>]) -> Invalid {
    let all: Vec<&ValidationError<'static>> = context.iter().filter_map(|branch| branch.first()).collect();
    let meant: Vec<_> = all.iter().copied().filter(|inner| !is_other_type(inner, error)).collect();
    let told = if meant.is_empty() { all } else { meant };
    if let [only] = told.as_slice() {
        return super::describe(only);
    }
    let path = error.instance_path().to_string();
    let constants: Option<Json> = told.iter().map(|inner| constant(inner)).collect();
    let sentence = match constants {
        Some(constants) if !told.is_empty() => not_one_of(error.instance(), &constants),
        Some(_) | None => told.iter().map(|inner| reason(inner, &path)).collect::<Vec<_>>().join("; or "),
    };
    Invalid { path, sentence: shorten(sentence) }
}

/// The value, and all it could have been.
pub(super) fn not_one_of(value: &Json, options: &Json) -> String {
    let listed = options.as_array().map(|options| options.iter().map(Json::to_string).collect::<Vec<_>>());
    format!("{value} is not one of {}", listed.unwrap_or_default().join(", "))
}

/// What keeps one alternative from fitting; its place only where it is further inside than `path`.
fn reason(inner: &ValidationError<'_>, path: &str) -> String {
    let told = super::describe(inner);
    if told.path == path { told.sentence } else { told.to_string() }
}

/// Whether `inner` says no more than that the whole value is of another type.
fn is_other_type(inner: &ValidationError<'_>, whole: &ValidationError<'_>) -> bool {
    matches!(inner.kind(), ValidationErrorKind::Type { .. }) && inner.instance_path() == whole.instance_path()
}

/// The value that alone would have been right.
fn constant(inner: &ValidationError<'_>) -> Option<Json> {
    if let ValidationErrorKind::Constant { expected_value } = inner.kind() {
        Some(Json::clone(expected_value))
    } else {
        None
    }
}
