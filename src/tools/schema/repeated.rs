//! Finds an object that names a member twice. Two readers may each believe another one (RFC 8259 4), so that what a
//! schema allowed is not what a tool gets.
//! Never: quadratic time for an object of many members; nesting is bounded where a message is decoded.
//! Next: `mod.rs`.

use super::Invalid;
use crate::wire::json::{Shape, Value};

/// Up to so many members are compared each with each, which needs no memory.
const COMPARED_MAX: usize = 24;

/// # Errors
/// Names the first member that stands twice.
pub(super) fn check(value: Value<'_, '_>) -> Result<(), Invalid> {
    match value.shape() {
        Shape::Object(_) => {
            refuse_repeated(value)?;
            value.members().filter(|(_, inner)| is_container(*inner)).try_for_each(|(_, inner)| check(inner))
        }
        Shape::Array(_) => value.elements().filter(|inner| is_container(*inner)).try_for_each(check),
        Shape::Null
        | Shape::Bool(_)
        | Shape::Signed(_)
        | Shape::Unsigned(_)
        | Shape::Float(_)
        | Shape::Text(_) => Ok(()),
    }
}

fn is_container(value: Value<'_, '_>) -> bool {
    matches!(value.shape(), Shape::Object(1..) | Shape::Array(1..))
}

fn refuse_repeated(object: Value<'_, '_>) -> Result<(), Invalid> {
    // Most calls have one argument.
    if matches!(object.shape(), Shape::Object(0 | 1)) {
        return Ok(());
    }
    let repeated = if matches!(object.shape(), Shape::Object(len) if len <= COMPARED_MAX) {
        let mut members = object.members();
        std::iter::from_fn(|| members.next().map(|(name, _)| (name, members.clone())))
            .find(|(name, rest)| rest.clone().any(|(other, _)| other == *name))
            .map(|(name, _)| name)
    } else {
        let mut names: Vec<&str> = object.members().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)).and_then(|pair| pair.first().copied())
    };
    match repeated {
        Some(name) => {
            Err(Invalid { path: String::new(), sentence: format!("member {name:?} is given twice") })
        }
        None => Ok(()),
    }
}
