//! Schemas of Rust types, by schemars.
//! Next: `mod.rs`, which compiles them.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value as Json;

/// The schema of arguments: how `A` is read. A type that says nothing of itself takes any object.
pub(in crate::tools) fn input<A: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(bound_integer));
    let mut schema = schemars::SchemaGenerator::new(settings).into_root_schema_for::<A>();
    schema.remove("title");
    if schema.get("type").is_none() && schema.get("$ref").is_none() {
        schema.insert("type".to_owned(), Json::from("object"));
    }
    Json::from(schema).to_string()
}

/// Says in numbers what `format` says of an integer of 32 bits: a validator does not look at formats, and the reader
/// of the arguments could not say which of them does not fit. Schemars bounds 8 and 16 bits itself; 64 bits are more
/// than every client reads exactly.
fn bound_integer(schema: &mut Schema) {
    let (least, most) = match schema.get("format").and_then(Json::as_str) {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("uint32") => (0, i64::from(u32::MAX)),
        Some(_) | None => return,
    };
    let members = schema.ensure_object();
    members.entry("minimum").or_insert_with(|| Json::from(least));
    members.entry("maximum").or_insert_with(|| Json::from(most));
}

/// The schema of a result: how `T` is written.
pub(in crate::tools) fn output<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = schemars::SchemaGenerator::new(settings).into_root_schema_for::<T>();
    schema.remove("title");
    Json::from(schema).to_string()
}
