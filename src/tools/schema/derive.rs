//! Schemas of Rust types, by schemars.
//! Next: `mod.rs`, which compiles them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

/// The schema of arguments: how `A` is read. A type that says nothing of itself takes any object.
pub(in crate::tools) fn input<A: JsonSchema>() -> String {
    let mut schema = schemars::SchemaGenerator::default().into_root_schema_for::<A>();
    schema.remove("title");
    if schema.get("type").is_none() && schema.get("$ref").is_none() {
        schema.insert("type".to_owned(), Json::from("object"));
    }
    Json::from(schema).to_string()
}

/// The schema of a result: how `T` is written.
pub(in crate::tools) fn output<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = schemars::SchemaGenerator::new(settings).into_root_schema_for::<T>();
    schema.remove("title");
    Json::from(schema).to_string()
}
