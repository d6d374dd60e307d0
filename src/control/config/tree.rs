//! The text as a tree in which every key and value knows its place; `--set` is laid over the file's tree.
//! Never: a meaning. Any TOML is a tree.
//! Next: `shape`, which holds it against the settings.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Where something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// 0 is the file, n the n-th `--set`.
    pub(super) source: usize,
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
}

/// A value and where it is.
#[derive(Debug)]
pub(super) struct Node {
    /// Of a table: its header; of anything else: all of it.
    pub(super) place: Place,
    /// What is written there.
    pub(super) value: Value,
}

/// TOML's values.
#[derive(Debug)]
pub(super) enum Value {
    /// `true`, `false`.
    Boolean(bool),
    /// Nothing when it does not fit.
    Integer(Option<i64>),
    /// No setting is one, so its value is not kept.
    Float,
    /// No setting is one.
    Date,
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

/// Keys and values.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// In the order of the file.
    pub(super) entries: Vec<Entry>,
}

/// One key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    /// Without quotes.
    pub(super) key: String,
    /// Where the key is.
    pub(super) place: Place,
    /// What it is set to.
    pub(super) node: Node,
}

impl Table {
    /// Reads a document. Errors are all syntax errors, each with its place.
    pub(super) fn decode(text: &str, source: usize) -> Result<Self, Vec<(Place, String)>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self::from_toml(table.get_ref(), &|span| place(source, span)));
        }
        let end = text.len();
        let located = errors.iter().map(|error| {
            let span = error.span().unwrap_or(end..end);
            (place(source, span), error.message().to_owned())
        });
        Err(located.collect())
    }

    /// Reads the argument of a `--set`. A value that is not TOML is a string: `server.name=probe`.
    pub(super) fn decode_override(text: &str, source: usize) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err("there is no `=` in it".to_owned());
        };
        if key.trim_start().starts_with('[') || text.contains('\n') {
            return Err("it is not one key and one value".to_owned());
        }
        if let Ok(table) = DeTable::parse(text) {
            return Ok(Self::from_toml(table.get_ref(), &|span| place(source, span)));
        }
        let quoted = format!("{key}={}", super::settings::quoted(value.trim()));
        // The key stands where it stood; the quotes have moved the end of the value.
        let value_start = key.len() + 1;
        let locate = |span: Range<usize>| {
            place(source, if span.start < value_start { span } else { value_start..text.len() })
        };
        match DeTable::parse(&quoted) {
            Ok(table) => Ok(Self::from_toml(table.get_ref(), &locate)),
            Err(error) => Err(error.message().to_owned()),
        }
    }

    /// Copies the parser's table into file order.
    fn from_toml(table: &DeTable<'_>, locate: &dyn Fn(Range<usize>) -> Place) -> Self {
        let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| Entry {
            key: key.get_ref().clone().into_owned(),
            place: locate(key.span()),
            node: Node::from_toml(value, locate),
        };
        let mut entries: Vec<Entry> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.place);
        Self { entries }
    }

    /// Lays `over` on top: tables merge, anything else is replaced.
    pub(super) fn overlay(&mut self, over: Self) {
        for entry in over.entries {
            match (self.entries.iter_mut().find(|below| below.key == entry.key), entry) {
                (
                    Some(Entry { node: Node { value: Value::Table(below), .. }, .. }),
                    Entry { place, node: Node { place: whole, value: Value::Table(above) }, .. },
                ) if place == whole => below.overlay(above),
                (Some(below), entry) => *below = entry,
                (None, entry) => self.entries.push(entry),
            }
        }
    }
}

impl Node {
    /// Copies one of the parser's values.
    fn from_toml(node: &Spanned<DeValue<'_>>, locate: &dyn Fn(Range<usize>) -> Place) -> Self {
        let list = |items: &DeArray<'_>| items.iter().map(|item| Self::from_toml(item, locate)).collect();
        let value = match node.get_ref() {
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Integer(value) => {
                Value::Integer(i64::from_str_radix(value.as_str(), value.radix()).ok())
            }
            DeValue::Float(_) => Value::Float,
            DeValue::Datetime(_) => Value::Date,
            DeValue::String(value) => Value::Text(value.clone().into_owned()),
            DeValue::Array(items) => Value::List(list(items)),
            DeValue::Table(table) => Value::Table(Table::from_toml(table, locate)),
        };
        Self { place: locate(node.span()), value }
    }
}

/// A span of one source.
fn place(source: usize, span: Range<usize>) -> Place {
    Place { source, start: span.start, end: span.end }
}
