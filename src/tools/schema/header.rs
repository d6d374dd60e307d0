//! Arguments that a client repeats in `Mcp-Param-*` headers, declared by `x-mcp-header` in the input schema.
//! MCP 2026-07-28, Streamable HTTP: which properties may carry the keyword.
//! Next: `pipeline`, which compares header and body.

use serde_json::Value as Json;

use super::SchemaError;

/// The keyword.
const KEYWORD: &str = "x-mcp-header";

/// Subschemas under names: the names are not keywords.
const NAMED: &[&str] = &["patternProperties", "$defs", "definitions", "dependentSchemas"];
/// One subschema.
const SINGLE: &[&str] = &[
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
];
/// Lists of subschemas.
const LISTED: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems", "items"];

/// What a mirrored argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderKind {
    /// Text.
    String,
    /// A whole number within 2^53.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// One mirrored argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParameterHeader {
    /// What follows `Mcp-Param-`.
    pub name: String,
    /// Names from the arguments down to the value.
    pub path: Vec<String>,
    /// What the value is.
    pub kind: HeaderKind,
}

/// # Errors
/// When the keyword stands where it may not, or its name is malformed or taken.
pub(in crate::tools) fn collect(schema: &Json) -> Result<Vec<ParameterHeader>, SchemaError> {
    let mut found = Vec::new();
    walk(schema, Some(Vec::new()), &mut found)?;
    Ok(found)
}

/// `path` is none where `properties` alone do not lead.
fn walk(
    schema: &Json,
    path: Option<Vec<String>>,
    found: &mut Vec<ParameterHeader>,
) -> Result<(), SchemaError> {
    let Json::Object(members) = schema else { return Ok(()) };
    if let Some(name) = members.get(KEYWORD) {
        let header = declared(name, members.get("type"), path.as_deref())?;
        if found.iter().any(|other| other.name.eq_ignore_ascii_case(&header.name)) {
            return Err(SchemaError(format!("{KEYWORD} {:?} is declared twice", header.name)));
        }
        found.push(header);
    }
    if let Some(Json::Object(properties)) = members.get("properties") {
        for (name, property) in properties {
            let deeper = path.clone().map(|mut path| {
                path.push(name.clone());
                path
            });
            walk(property, deeper, found)?;
        }
    }
    for keyword in NAMED {
        if let Some(Json::Object(inner)) = members.get(*keyword) {
            inner.values().try_for_each(|inner| walk(inner, None, found))?;
        }
    }
    for keyword in SINGLE {
        members.get(*keyword).map_or(Ok(()), |inner| walk(inner, None, found))?;
    }
    for keyword in LISTED {
        if let Some(Json::Array(inner)) = members.get(*keyword) {
            inner.iter().try_for_each(|inner| walk(inner, None, found))?;
        }
    }
    Ok(())
}

fn declared(
    name: &Json,
    kind: Option<&Json>,
    path: Option<&[String]>,
) -> Result<ParameterHeader, SchemaError> {
    let name = name.as_str().unwrap_or_default();
    let refused = |why: &str| Err(SchemaError(format!("{KEYWORD} {name:?} {why}")));
    // RFC 9110 5.6.2: a token.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return refused("must be a header name: letters, digits and !#$%&'*+-.^_`|~");
    }
    let kind = match kind.and_then(Json::as_str) {
        Some("string") => HeaderKind::String,
        Some("integer") => HeaderKind::Integer,
        Some("boolean") => HeaderKind::Boolean,
        Some(_) | None => {
            return refused("stands on a property whose type is not string, integer or boolean");
        }
    };
    match path {
        Some(path) if !path.is_empty() => {
            Ok(ParameterHeader { name: name.to_owned(), path: path.to_vec(), kind })
        }
        Some(_) | None => refused("stands where `properties` alone do not lead"),
    }
}
