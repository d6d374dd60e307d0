//! The schema of a form: what schemars says of a struct, brought to the flat dialect that clients show to users.
//! Never: nesting, references, `null`; an optional member is one that is not required.
//! Next: `elicit`, the caller.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Keywords that a client's form understands, beside `type` and the lists of choices.
const KEPT: &[&str] = &[
    "title",
    "description",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    // MCP 2025-11-25, elicitation: how older clients are told the titles of choices.
    "enumNames",
];

/// MCP 2026-07-28, elicitation: formats of strings.
const FORMATS: &[&str] = &["email", "uri", "date", "date-time"];

/// Without references, so that a member says all of itself.
pub(super) fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

/// The schema to send.
///
/// # Errors
/// What of it no form can show.
pub(super) fn flatten(schema: &Value) -> Result<Value, String> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return if schema.get("type").and_then(Value::as_str) == Some("object") {
            Ok(json!({"type": "object", "properties": {}}))
        } else {
            Err("a form is a struct with named members".into())
        };
    };
    let mut flat = Map::new();
    for (name, property) in properties {
        let own = member(property).ok_or_else(|| {
            format!("member {name:?} is no string, number, boolean, choice or list of choices")
        })?;
        flat.insert(name.clone(), own);
    }
    let mut form = Map::new();
    form.insert("type".into(), "object".into());
    form.insert("properties".into(), flat.into());
    if let Some(required) = schema.get("required") {
        form.insert("required".into(), required.clone());
    }
    Ok(form.into())
}

fn member(property: &Value) -> Option<Value> {
    let property = present(property)?;
    let mut flat = Map::new();
    if let Some(choices) = choices(property) {
        flat.insert("type".into(), "string".into());
        flat.extend(choices);
    } else {
        let kind = kind(property)?;
        flat.insert("type".into(), kind.into());
        match kind {
            "array" => {
                let items = property.get("items")?;
                let choices = choices(items)?;
                let mut own = Map::from_iter([("type".to_owned(), Value::from("string"))]);
                // MCP 2026-07-28, elicitation: a list of titled choices is `anyOf` inside `items`.
                own.extend(
                    choices.into_iter().map(|(name, value)| {
                        (if name == "oneOf" { "anyOf".to_owned() } else { name }, value)
                    }),
                );
                if own.contains_key("anyOf") {
                    own.remove("type");
                }
                flat.insert("items".into(), own.into());
            }
            "string" => {
                let format = property.get("format").filter(|format| FORMATS.iter().any(|own| format == own));
                flat.extend(format.map(|format| ("format".to_owned(), format.clone())));
            }
            "number" | "integer" | "boolean" => {}
            _ => return None,
        }
    }
    for name in KEPT {
        // `null` stands for what is absent.
        if let Some(value) = property.get(*name).filter(|value| !value.is_null()) {
            flat.insert((*name).to_owned(), value.clone());
        }
    }
    Some(flat.into())
}

/// What an optional member is when it is there.
fn present(property: &Value) -> Option<&Map<String, Value>> {
    let object = property.as_object()?;
    let Some(options) = object.get("anyOf").and_then(Value::as_array) else { return Some(object) };
    let mut real = options.iter().filter(|option| option.get("type").and_then(Value::as_str) != Some("null"));
    match (real.next(), real.next()) {
        (Some(only), None) => only.as_object(),
        _ => None,
    }
}

fn kind(property: &Map<String, Value>) -> Option<&str> {
    match property.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => {
            let mut real = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            let kind = real.next()?;
            real.next().is_none().then_some(kind)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The choices of an enum, as `enum` or, where they carry words, as `oneOf` of titled constants.
fn choices(property: &(impl Lookup + ?Sized)) -> Option<Map<String, Value>> {
    if let Some(plain) = property.look("enum").and_then(Value::as_array) {
        let words: Vec<Value> = plain.iter().filter(|value| !value.is_null()).cloned().collect();
        return words
            .iter()
            .all(Value::is_string)
            .then(|| Map::from_iter([("enum".to_owned(), words.into())]));
    }
    let mut titled = Vec::new();
    for option in property.look("oneOf")?.as_array()? {
        if let Some(plain) = option.get("enum").and_then(Value::as_array) {
            titled.extend(plain.iter().map(|word| json!({"const": word, "title": word})));
            continue;
        }
        let word = option.get("const").filter(|word| word.is_string())?;
        let title = option.get("title").or_else(|| option.get("description")).unwrap_or(word);
        titled.push(json!({"const": word, "title": title}));
    }
    Some(Map::from_iter([("oneOf".to_owned(), titled.into())]))
}

/// Members of a schema, whether it is held as a map or as a value.
trait Lookup {
    fn look(&self, name: &str) -> Option<&Value>;
}

impl Lookup for Map<String, Value> {
    fn look(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

impl Lookup for Value {
    fn look(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_flat() {
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        struct Form {
            /// Words.
            #[schemars(length(max = 9), email)]
            mail: String,
            count: Option<u8>,
            plain: Plain,
            told: Option<Told>,
            many: Vec<Plain>,
            sure: bool,
        }
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        enum Plain {
            A,
            B,
        }
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        enum Told {
            /// The first.
            A,
            /// The second.
            B,
        }
        let schema =
            |generator: schemars::SchemaGenerator| Value::from(generator.into_root_schema_for::<Form>());
        let flat = flatten(&schema(schemars::SchemaGenerator::new(settings()))).unwrap();
        assert_eq!(flat["required"], json!(["mail", "plain", "many", "sure"]));
        let shown: Vec<_> = flat["properties"].as_object().unwrap().keys().collect();
        assert_eq!(shown, ["mail", "count", "plain", "told", "many", "sure"], "as the struct has them");
        assert_eq!(
            flat["properties"],
            json!({
                "mail": {"type": "string", "format": "email", "description": "Words.", "maxLength": 9},
                "count": {"type": "integer", "minimum": 0, "maximum": 255},
                "plain": {"type": "string", "enum": ["A", "B"]},
                "told": {"type": "string", "oneOf": [{"const": "A", "title": "The first."}, {"const": "B", "title": "The second."}]},
                "many": {"type": "array", "items": {"type": "string", "enum": ["A", "B"]}},
                "sure": {"type": "boolean"}
            })
        );
        for nested in [
            json!({"type": "object", "properties": {"a": {"type": "object"}}}),
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}),
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}}),
            json!({"type": "object", "properties": {"a": true}}),
            json!({"type": "string"}),
        ] {
            assert!(flatten(&nested).is_err(), "{nested}");
        }
    }
}
