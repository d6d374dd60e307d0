//! What schemas accept and refuse, what the refusal says, what a valid call costs, and agreement of both readers.
//! Next: `mod.rs`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::header::{HeaderKind, collect};
use super::{Invalid, Schema, check_unique, parse};
use crate::wire::json::{JsonLimits, PADDING, Scratch, Value};

/// Decodes `text` and hands it to `look`.
fn decoded<R>(text: &str, look: impl FnOnce(Value<'_, '_>) -> R) -> R {
    let mut scratch = Scratch::default();
    let mut padded = text.as_bytes().to_vec();
    padded.resize(text.len() + PADDING, 0);
    let limits = JsonLimits { depth_max: 64, nodes_max: 100_000 };
    let document = scratch.decode(&mut padded, text.len(), limits).unwrap();
    look(document.root())
}

fn checked(schema: &Json, instance: &str) -> Result<(), Invalid> {
    let schema = Schema::compile(&schema.to_string()).unwrap();
    decoded(instance, |value| schema.check(value))
}

fn five() -> Json {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 64},
            "count": {"type": "integer", "minimum": 1, "maximum": 1000},
            "ratio": {"type": "number", "exclusiveMinimum": 0},
            "kind": {"enum": ["round", "flat"]},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 8}
        },
        "required": ["name", "count", "kind"],
        "additionalProperties": false
    })
}

const FIVE: &str = r#"{"name":"ring","count":7,"ratio":0.5,"kind":"round","tags":["a","b"]}"#;

#[test]
fn a_refusal_names_the_place_and_the_reason() {
    for (instance, expect) in [
        (FIVE, ""),
        ("{}", "/name: is required"),
        (r#"{"name":"","count":1,"kind":"flat"}"#, "/name: \"\" is shorter than 1 character"),
        (r#"{"name":"a","count":0,"kind":"flat"}"#, "/count: 0 is less than the minimum of 1"),
        (r#"{"name":"a","count":1.5,"kind":"flat"}"#, "/count: 1.5 is not of type \"integer\""),
        (r#"{"name":"a","count":1.0,"kind":"flat"}"#, ""),
        (r#"{"name":"a","count":18446744073709551615,"kind":"flat"}"#, "is greater than the maximum of 1000"),
        (r#"{"name":"a","count":1,"kind":"square"}"#, "/kind: \"square\" is not one of"),
        (r#"{"name":"a","count":1,"kind":"flat","tags":["a",2]}"#, "/tags/1: 2 is not of type \"string\""),
        (r#"{"name":"a","count":1,"kind":"flat","ratio":0}"#, "/ratio: 0 is less than or equal to"),
        (r#"{"name":"a","count":1,"kind":"flat","more":1}"#, "('more' was unexpected)"),
        ("[]", "[] is not of type \"object\""),
        ("null", "null is not of type \"object\""),
    ] {
        let told = checked(&five(), instance).err().map(|invalid| invalid.to_string()).unwrap_or_default();
        assert!(told.contains(expect) && told.is_empty() == expect.is_empty(), "{instance}: {told}");
    }
}

#[test]
fn a_value_that_fits_no_alternative_is_told_what_would_fit() {
    let coloured = json!({"properties": {"kind": {"oneOf": [
        {"type": "string", "enum": ["red", "green"]},
        {
            "type": "object",
            "properties": {"blue": {
                "type": "object",
                "properties": {"depth": {"type": "integer"}},
                "required": ["depth"]
            }},
            "required": ["blue"],
            "additionalProperties": false
        }
    ]}}});
    let documented = json!({"oneOf": [{"const": "up"}, {"type": "string", "const": "down"}]});
    let several =
        json!({"anyOf": [{"type": "string", "maxLength": 1}, {"type": "string", "pattern": "^ab"}]});
    for (schema, instance, expect) in [
        (&coloured, r#"{"kind":"pink"}"#, r#"/kind: "pink" is not one of "red", "green""#),
        (
            &coloured,
            r#"{"kind":{"blue":{"depth":"x"}}}"#,
            r#"/kind/blue/depth: "x" is not of type "integer""#,
        ),
        (&coloured, r#"{"kind":{"blue":{}}}"#, "/kind/blue/depth: is required"),
        (&documented, "\"left\"", r#""left" is not one of "up", "down""#),
        (&several, "\"xy\"", "\"xy\" is longer than 1 character; or"),
        (&json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), "7", r#"7 is not of type "string"; or"#),
        (&json!({"anyOf": [false, false]}), "7", "False schema does not allow 7; or"),
    ] {
        let told = checked(schema, instance).unwrap_err().to_string();
        assert!(told.contains(expect), "{instance}: {told}");
    }
    let misspelt = json!({"properties": {"a": {"type": "strnig"}}});
    let told =
        Schema::compile(&misspelt.to_string()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        told.contains("/properties/a/type: \"strnig\" is not one of \"array\"")
            && told.contains("\"string\""),
        "{told}"
    );
}

#[test]
fn a_quoted_value_is_cut() {
    let long = format!("{{\"name\":\"{}\",\"count\":1,\"kind\":\"flat\"}}", "\u{e9}".repeat(10_000));
    assert!(checked(&five(), &long).unwrap_err().to_string().len() < 400);
}

#[test]
fn the_whole_language_is_understood() {
    for (schema, valid, invalid) in [
        (json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}), "1", "1.5"),
        (json!({"type": "array", "uniqueItems": true}), "[1,[2],{\"a\":1}]", "[1,1.0]"),
        (json!({"const": {"a": [1, null]}}), "{\"a\":[1.0,null]}", "{\"a\":[1]}"),
        (json!({"pattern": "^a+$"}), "\"aaa\"", "\"aab\""),
        (json!({"propertyNames": {"maxLength": 2}}), "{\"ab\":1}", "{\"abc\":1}"),
        (json!({"patternProperties": {"^x": {"type": "null"}}}), "{\"x1\":null}", "{\"x1\":1}"),
        (json!({"dependentRequired": {"a": ["b"]}}), "{\"a\":1,\"b\":2}", "{\"a\":1}"),
        (json!({"if": {"type": "integer"}, "then": {"multipleOf": 2}}), "4", "5"),
        (
            json!({"unevaluatedProperties": false, "allOf": [{"properties": {"a": {}}}]}),
            "{\"a\":1}",
            "{\"b\":1}",
        ),
        (json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "boolean"}}}), "true", "0"),
        (
            json!({"properties": {"next": {"$ref": "#"}}, "required": ["v"]}),
            "{\"v\":1,\"next\":{\"v\":2}}",
            "{\"v\":1,\"next\":{\"v\":2,\"next\":{}}}",
        ),
        (json!({"maxLength": 1}), "\"\u{1f980}\"", "\"ab\""),
        (
            json!({"type": "integer", "maximum": 9_007_199_254_740_991_u64}),
            "9007199254740991",
            "9007199254740992",
        ),
        (json!(true), "1", ""),
        (json!(false), "", "1"),
    ] {
        assert!(valid.is_empty() || checked(&schema, valid).is_ok(), "{schema} {valid}");
        assert!(invalid.is_empty() || checked(&schema, invalid).is_err(), "{schema} {invalid}");
    }
}

#[test]
fn a_schema_that_can_not_be_used_is_refused_with_its_reason() {
    let mut deep = json!({});
    for _ in 0..60 {
        deep = json!({"properties": {"a": deep}});
    }
    let wide = json!({"anyOf": vec![json!({}); 5000]});
    for (schema, expect) in [
        ("{".to_owned(), "not JSON"),
        (json!({"type": "objekt"}).to_string(), "/type: "),
        (json!({"properties": {"a": {"minimum": "x"}}}).to_string(), "/properties/a/minimum"),
        (json!({"$ref": "https://example.com/a.json"}).to_string(), "leads out of the schema"),
        (json!({"properties": {"a": {"$ref": "other.json"}}}).to_string(), "leads out of the schema"),
        (json!({"items": {"$dynamicRef": "file:///etc/passwd"}}).to_string(), "leads out of the schema"),
        (json!({"$schema": "https://example.com/dialect"}).to_string(), "example.com"),
        (json!({"$ref": "#/$defs/gone"}).to_string(), "/$defs/gone"),
        (json!({"pattern": "("}).to_string(), "pattern"),
        (json!({"pattern": "(?=a)a"}).to_string(), "pattern"),
        (json!({"pattern": "(a{1000}){1000}"}).to_string(), "pattern"),
        (deep.to_string(), "nested deeper"),
        (wide.to_string(), "more than 4096 subschemas"),
        (format!("{{\"title\":\"{}\"}}", "x".repeat(300_000)), "at most 262144"),
    ] {
        let told = Schema::compile(&schema).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains(expect), "{}: {told}", schema.get(..80).unwrap_or(&schema));
    }
}

#[test]
fn a_member_given_twice_is_refused_wherever_it_stands() {
    let many: String = (0..100).map(|at| format!("\"k{at}\":0,")).collect();
    for (instance, is_refused) in [
        (FIVE.to_owned(), false),
        (r#"{"a":1,"b":{"a":2}}"#.to_owned(), false),
        (r#"{"a":1,"a":1}"#.to_owned(), true),
        (r#"{"a":1,"\u0061":1}"#.to_owned(), true),
        (r#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#.to_owned(), true),
        (format!("{{{many}\"k\":0}}"), false),
        (format!("{{{many}\"k50\":0}}"), true),
    ] {
        assert_eq!(decoded(&instance, check_unique).is_err(), is_refused, "{instance}");
    }
}

#[test]
fn headers_are_found_where_properties_lead() {
    let schema = json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "limits": {"type": "object", "properties": {"rows": {"type": "integer", "x-mcp-header": "Rows"}}},
        "x-mcp-header": {"type": "boolean"},
        "sample": {"const": {"x-mcp-header": ""}}
    }});
    let mut found: Vec<_> = collect(&schema)
        .unwrap()
        .into_iter()
        .map(|header| (header.name, header.path.join("/"), header.kind))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        found,
        [
            ("Region".into(), "region".into(), HeaderKind::String),
            ("Rows".into(), "limits/rows".into(), HeaderKind::Integer),
        ]
    );
}

#[test]
fn a_header_declared_elsewhere_or_badly_is_refused() {
    let inside = |property: Json| json!({"type": "object", "properties": {"a": property}});
    let marked = json!({"type": "string", "x-mcp-header": "A"});
    for schema in [
        inside(json!({"type": "number", "x-mcp-header": "A"})),
        inside(json!({"type": ["string", "null"], "x-mcp-header": "A"})),
        inside(json!({"x-mcp-header": "A"})),
        inside(json!({"type": "string", "x-mcp-header": ""})),
        inside(json!({"type": "string", "x-mcp-header": "A B"})),
        inside(json!({"type": "string", "x-mcp-header": "A\r\n"})),
        inside(json!({"type": "string", "x-mcp-header": "\u{e9}"})),
        inside(json!({"type": "string", "x-mcp-header": 7})),
        inside(json!({"type": "array", "items": marked})),
        inside(json!({"anyOf": [marked]})),
        inside(json!({"prefixItems": [marked]})),
        inside(json!({"not": marked})),
        json!({"type": "object", "$defs": {"a": marked}}),
        json!({"type": "string", "x-mcp-header": "A"}),
        json!({"properties": {"a": marked, "b": {"type": "string", "x-mcp-header": "a"}}}),
    ] {
        assert!(collect(&parse(&schema.to_string()).unwrap()).is_err(), "{schema}");
    }
}

#[test]
fn a_valid_call_of_five_properties_is_checked_within_its_budget() {
    let schema = Schema::compile(&five().to_string()).unwrap();
    decoded(FIVE, |value| {
        let round = || {
            let start = Instant::now();
            for _ in 0..1000 {
                assert!(black_box(&schema).check(black_box(value)).is_ok());
                assert!(check_unique(black_box(value)).is_ok());
            }
            start.elapsed()
        };
        let best = (0..50).map(|_| round()).min().unwrap_or(Duration::MAX);
        println!("validation of five properties: {} ns", best.as_nanos() / 1000);
        // A thousand rounds; the budget is 1 us in an optimised build, and this also catches a blow-up in others.
        let budget_us = if cfg!(debug_assertions) { 100 } else { 1 };
        assert!(best < Duration::from_millis(budget_us), "{best:?}");
    });
}

/// Any JSON near to what [`five`] speaks of.
fn instances() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3_i64..1003).prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-2.0..2.0_f64).prop_map(Json::from),
        Just(Json::from(0.0)),
        "[a-z\u{e9}]{0,3}".prop_map(Json::from),
        prop_oneof![Just("round"), Just("flat")].prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 32, 6, |inner| {
        let name =
            prop_oneof![Just("name"), Just("count"), Just("ratio"), Just("kind"), Just("tags"), Just("more")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::hash_map(name, inner, 0..6).prop_map(|members| {
                Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn both_readers_agree_with_each_other(instance in instances(), which in 0_usize..4) {
        let schema = match which {
            0 => five(),
            1 => json!({"properties": {"tags": {"uniqueItems": true, "contains": {"type": "number"}}}}),
            2 => json!({"additionalProperties": {"type": ["number", "null"]}, "minProperties": 1}),
            _ => json!({"not": {"required": ["name"]}, "propertyNames": {"enum": ["count", "kind", "name"]}}),
        };
        let schema = Schema::compile(&schema.to_string()).unwrap();
        let text = instance.to_string();
        let on_tape = decoded(&text, |value| schema.check(value)).map_err(|invalid| invalid.to_string());
        prop_assert_eq!(on_tape.is_ok(), schema.check_text(text.as_bytes()).is_ok(), "{}", text);
    }
}
