//! What a schema may ask of the validator: size, nesting, number of subschemas, and no reference out of itself.
//! MCP 2026-07-28, JSON Schema: depth, number and time should be bounded; addresses are never followed.
//! Next: `mod.rs`, which compiles what passes.

use serde_json::Value as Json;

use super::SchemaError;

/// Length of a schema's text.
pub(super) const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Nesting.
pub(super) const SCHEMA_DEPTH_MAX: usize = 48;
/// Objects and booleans in it, each of which may be a schema.
pub(super) const SUBSCHEMAS_MAX: usize = 4096;

pub(super) fn check_text(text: &str) -> Result<(), SchemaError> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(SchemaError(format!("{} bytes; at most {SCHEMA_BYTES_MAX}", text.len())));
    }
    Ok(())
}

pub(super) fn check(schema: &Json) -> Result<(), SchemaError> {
    let mut left: Vec<(&Json, usize)> = vec![(schema, 1)];
    let mut subschemas = 0_usize;
    while let Some((value, depth)) = left.pop() {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(SchemaError(format!("nested deeper than {SCHEMA_DEPTH_MAX}")));
        }
        match value {
            Json::Object(members) => {
                subschemas += 1;
                for name in ["$ref", "$dynamicRef", "$recursiveRef"] {
                    refuse_remote(name, members.get(name))?;
                }
                left.extend(members.values().map(|inner| (inner, depth + 1)));
            }
            Json::Bool(_) => subschemas += 1,
            Json::Array(elements) => left.extend(elements.iter().map(|inner| (inner, depth + 1))),
            Json::Null | Json::Number(_) | Json::String(_) => {}
        }
        if subschemas > SUBSCHEMAS_MAX {
            return Err(SchemaError(format!("more than {SUBSCHEMAS_MAX} subschemas")));
        }
    }
    Ok(())
}

fn refuse_remote(name: &str, reference: Option<&Json>) -> Result<(), SchemaError> {
    match reference.and_then(Json::as_str) {
        Some(reference) if !reference.starts_with('#') => Err(SchemaError(format!(
            "{name} {reference:?} leads out of the schema; only references that begin with # are followed"
        ))),
        Some(_) | None => Ok(()),
    }
}
