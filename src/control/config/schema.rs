//! The JSON Schema of the file (draft 2020-12), made from the types in `raw`.
//! `annotated` carries `x-` words for this program (unit, range of a duration, restart); `public` has them written
//! into the descriptions instead, for editors.
//! Next: `settings`, the same as a table in Rust.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json};

use super::raw;
use super::settings::Setting;

/// The schema with the `x-` words; what `settings` is made from.
pub(super) fn annotated() -> Json {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<raw::File>().to_value();
    each_object(&mut schema, &mut tidy);
    schema
}

/// The schema for editors and other tools: every property says its unit, default and range.
pub(super) fn public() -> Json {
    let mut schema = annotated();
    each_object(&mut schema, &mut describe_properties);
    each_object(&mut schema, &mut |schema| schema.retain(|key, _| !key.starts_with("x-")));
    schema
}

/// Calls `change` on this schema and on every schema inside it, innermost first.
fn each_object(schema: &mut Json, change: &mut dyn FnMut(&mut Map<String, Json>)) {
    let Some(object) = schema.as_object_mut() else { return };
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            each_object(inner, change);
        }
    }
    if let Some(properties) = object.get_mut("properties").and_then(Json::as_object_mut) {
        properties.values_mut().for_each(|property| each_object(property, change));
    }
    change(object);
}

/// Turns what the derive makes into what the file is: no nulls (TOML has none), no Rust integer formats, words as
/// `enum`, no default where a value is required.
fn tidy(schema: &mut Map<String, Json>) {
    schema.remove("format");
    if schema.get("default").is_some_and(|default| default.is_null() || default.is_object()) {
        schema.remove("default");
    }
    if let Some(Json::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if let Some(Json::Array(choices)) = schema.remove("oneOf") {
        let word = |choice: &Json| choice.get("const").cloned();
        let meaning = |choice: &Json| {
            let description = choice.get("description").cloned().unwrap_or_default();
            Some((word(choice)?.as_str()?.to_owned(), description))
        };
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), choices.iter().filter_map(word).collect());
        schema.insert("x-meanings".to_owned(), Json::Object(choices.iter().filter_map(meaning).collect()));
    }
    let required: Vec<String> = required(schema).map(str::to_owned).collect();
    for key in &required {
        let property = schema.get_mut("properties").and_then(|properties| properties.get_mut(key));
        if let Some(property) = property.and_then(Json::as_object_mut) {
            property.remove("default");
        }
    }
}

/// Names of the properties an object must have.
pub(super) fn required(schema: &Map<String, Json>) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

/// Replaces the description of each property by one with unit, default, range and reload.
fn describe_properties(schema: &mut Map<String, Json>) {
    let required: Vec<String> = required(schema).map(str::to_owned).collect();
    let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) else { return };
    for (key, property) in properties {
        let setting = Setting::read(key, property, required.contains(key));
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), setting.description().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_everything_about_every_property() {
        let mut properties = 0;
        each_object(&mut public(), &mut |schema| {
            assert!(!schema.keys().any(|key| key.starts_with("x-")), "{schema:?}");
            assert!(schema.get("default").is_none_or(|default| !default.is_null()), "{schema:?}");
            if schema.get("type") == Some(&Json::from("object")) {
                // Either the names are free and the tables are not, or nothing else may be written.
                let rest = schema.get("additionalProperties").unwrap();
                assert!(rest.is_object() || *rest == Json::Bool(false), "{schema:?}");
            }
            for (key, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
                properties += 1;
                let description = property["description"].as_str().unwrap();
                assert!(description.ends_with('.'), "{key}: {description}");
                let kind = property.get("type").and_then(Json::as_str).unwrap_or("word or number");
                let is_leaf = kind != "object" && property.pointer("/items/properties").is_none();
                assert!(!is_leaf || description.contains(" Default: "), "{key}: {description}");
                let is_number = kind == "integer" || property.get("pattern").is_some();
                assert!(!is_number || description.contains(" Range: "), "{key}: {description}");
                let counts = is_number && key != "version";
                assert!(!counts || description.contains(" Unit: "), "{key}: {description}");
            }
        });
        assert!(properties > 60, "{properties}");
    }

    #[test]
    fn keeps_words_and_bounds_where_editors_look() {
        let schema = public();
        let at = |pointer: &str| schema.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(at("/$schema"), "https://json-schema.org/draft/2020-12/schema");
        let runtime = "/properties/runtime/properties";
        assert_eq!(at(&format!("{runtime}/driver/enum")), serde_json::json!(["auto", "io_uring", "epoll"]));
        assert_eq!(at(&format!("{runtime}/shards/anyOf/0/const")), "auto");
        assert_eq!(at(&format!("{runtime}/ring_entries/maximum")), 32768);
        let listener = "/properties/listeners/additionalProperties";
        assert_eq!(at(&format!("{listener}/required")), serde_json::json!(["kind"]));
        assert_eq!(
            at(&format!("{listener}/properties/auth/items/enum")),
            serde_json::json!(["api_key", "jwt", "mtls"])
        );
        assert_eq!(at("/properties/limits/properties/idle_timeout/default"), "2m");
    }
}
