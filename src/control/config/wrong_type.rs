//! Explains a value of the wrong type: what was needed, what was found, and the line to write instead, made from the
//! value where that is possible.
//! Next: `shape`, which calls it.

use serde_json::Value as Json;

use super::problem::Code;
use super::quantity::{Size, Time};
use super::report::Report;
use super::settings::{Presence, Setting, Shape, quoted};
use super::tree::{Node, Value};

/// Reports the type; there is never a value left to use.
pub(super) fn report(
    report: &mut Report,
    node: &Node,
    setting: &Setting,
    shape: &Shape,
    path: &str,
) -> Option<Json> {
    let message = format!("`{path}` must be {}, not {}", wanted(setting, shape), found(&node.value));
    let literal = report.text_at(node.place).to_owned();
    let instead = corrected(&node.value, &literal, shape).unwrap_or_else(|| example(setting, shape));
    let problem = report.problem_at(Code::WrongType, Some(node.place), message);
    let size = Size::decode(instead.trim_matches('"')).filter(|_| matches!(shape, Shape::Size { .. }));
    let bytes = size.map(|size| format!("  ({} bytes)", size.0)).unwrap_or_default();
    let help = match shape {
        Shape::Table { settings_max: 1, .. } => format!("write {} = {instead}", setting.key),
        Shape::Table { .. } | Shape::Named(_) => format!("write [{path}] and its settings below it"),
        Shape::Boolean
        | Shape::Integer { .. }
        | Shape::Text { .. }
        | Shape::Time { .. }
        | Shape::Size { .. }
        | Shape::Words(_)
        | Shape::WordOr(..)
        | Shape::Keyed(_)
        | Shape::List { .. } => match path.ends_with(']') {
            true => format!("write {instead} in its place"),
            false => format!("write {} = {instead}{bytes}", setting.key),
        },
    };
    problem.help(help);
    None
}

/// What was needed.
fn wanted(setting: &Setting, shape: &Shape) -> String {
    match shape {
        Shape::Boolean => "true or false".to_owned(),
        Shape::Integer { .. } => "a whole number".to_owned(),
        Shape::Text { .. } if setting.unit.is_empty() => "a string".to_owned(),
        Shape::Text { .. } => format!("a string ({})", setting.unit),
        Shape::Time { .. } => "a duration such as \"30s\"".to_owned(),
        Shape::Size { .. } => "a size such as \"10MiB\"".to_owned(),
        Shape::Words(_) => format!("one of the words {}", shape.range()),
        Shape::WordOr(word, _) => format!("{} or a whole number", quoted(word)),
        Shape::List { .. } => "a list".to_owned(),
        Shape::Table { .. } | Shape::Named(_) | Shape::Keyed(_) => "a table".to_owned(),
    }
}

/// What was found.
fn found(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::Float => "a float",
        Value::Date => "a date",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// What was probably meant; `literal` is the value as written.
fn corrected(value: &Value, literal: &str, shape: &Shape) -> Option<String> {
    let amount = match value {
        Value::Integer(Some(amount)) => u64::try_from(*amount).ok(),
        Value::Integer(None)
        | Value::Boolean(_)
        | Value::Float
        | Value::Date
        | Value::Text(_)
        | Value::List(_)
        | Value::Table(_) => None,
    };
    match (shape, value) {
        (Shape::Size { min, max }, _) => {
            amount.map(Size).filter(|size| (min..=max).contains(&size)).map(|size| quoted(&size.to_string()))
        }
        (Shape::Time { min, max }, _) => {
            let time = amount.and_then(|amount| Time::decode(&format!("{amount}s")));
            time.filter(|time| (min..=max).contains(&time)).map(|time| quoted(&time.to_string()))
        }
        (Shape::Integer { min, max }, Value::Text(text)) => {
            let number = text.replace(['_', ',', '\''], "").trim().parse::<i64>().ok()?;
            (min..=max).contains(&&number).then(|| number.to_string())
        }
        (Shape::Boolean, Value::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some("true".to_owned()),
            "false" | "no" | "off" | "0" => Some("false".to_owned()),
            _ => None,
        },
        (Shape::Boolean, Value::Integer(Some(number @ 0..=1))) => Some((*number == 1).to_string()),
        (Shape::Words(words), Value::Boolean(_) | Value::Integer(_) | Value::Float) => {
            words.iter().find(|word| word.word == literal).map(|word| quoted(&word.word))
        }
        (Shape::Text { .. }, Value::Boolean(_) | Value::Integer(_) | Value::Float | Value::Date) => {
            Some(quoted(literal))
        }
        (Shape::List { .. }, Value::Text(text)) => Some(format!("[{}]", quoted(text))),
        _ => None,
    }
}

/// A value that would do.
pub(super) fn example(setting: &Setting, shape: &Shape) -> String {
    if let Presence::Default(value) = &setting.presence
        && std::ptr::eq(shape, &raw const setting.shape)
    {
        return value.clone();
    }
    match (setting.key.as_str(), shape) {
        ("address", _) => quoted("127.0.0.1:8443"),
        ("certificates", _) => "[{ cert_file = \"server.crt\", key_file = \"server.key\" }]".to_owned(),
        ("pepper", _) => "{ env = \"MCPRING_PEPPER\" }".to_owned(),
        ("keys_file", _) => quoted("api-keys.toml"),
        ("cert_file", _) => quoted("server.crt"),
        ("key_file", _) => quoted("server.key"),
        (_, Shape::Boolean) => "true".to_owned(),
        (_, Shape::Integer { min, .. }) => min.max(&1).to_string(),
        (_, Shape::Text { .. }) => quoted("..."),
        (_, Shape::Time { .. }) => quoted("30s"),
        (_, Shape::Size { .. }) => quoted("64KiB"),
        (_, Shape::Words(words)) => words.first().map(|word| quoted(&word.word)).unwrap_or_default(),
        (_, Shape::WordOr(word, _)) => quoted(word),
        (_, Shape::List { items, .. }) => format!("[{}]", example(setting, items)),
        (_, Shape::Table { .. } | Shape::Named(_)) => "{ ... }".to_owned(),
        (_, Shape::Keyed(inner)) => format!("{{ \"...\" = {} }}", example(setting, inner)),
    }
}
