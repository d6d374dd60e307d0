//! Every setting as a value: its shape, range, default and meaning, read from the annotated schema.
//! The shape check walks it, the settings reference prints it.
//! Next: `shape`.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::quantity::{Size, Time};
use super::schema;

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number, bounds included.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A string; its form is checked later. Bounds count characters.
    Text {
        /// Shortest.
        chars_min: usize,
        /// Longest.
        chars_max: usize,
    },
    /// A duration with its unit.
    Time {
        /// Shortest.
        min: Time,
        /// Longest.
        max: Time,
    },
    /// A size with its unit.
    Size {
        /// Smallest.
        min: Size,
        /// Largest.
        max: Size,
    },
    /// One of some words.
    Words(Vec<Word>),
    /// One word, or something else.
    WordOr(String, Box<Shape>),
    /// A list of values of one shape.
    List {
        /// What is in it.
        items: Box<Shape>,
        /// Fewest.
        items_min: usize,
        /// Most.
        items_max: usize,
    },
    /// A table with these settings and no others.
    Table {
        /// In alphabetical order.
        settings: Vec<Setting>,
        /// How many of them must be written.
        settings_min: usize,
        /// How many of them may be written.
        settings_max: usize,
    },
    /// A table of tables whose names the operator chooses.
    Named(Box<Shape>),
    /// A table whose keys come from elsewhere: scopes, subjects, patterns.
    Keyed(Box<Shape>),
}

/// A word that is allowed somewhere.
#[derive(Debug)]
pub(super) struct Word {
    /// As written.
    pub(super) word: String,
    /// What it does.
    pub(super) meaning: String,
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Setting {
    /// As written.
    pub(super) key: String,
    /// One or two sentences.
    pub(super) meaning: String,
    /// What its value may be.
    pub(super) shape: Shape,
    /// Whether it must be written.
    pub(super) presence: Presence,
    /// What the number counts or the string holds, when its shape does not say.
    pub(super) unit: String,
    /// Whether a reload is enough.
    pub(super) reload: Reload,
}

/// Whether a setting must be written.
#[derive(Debug)]
pub(super) enum Presence {
    /// It must.
    Required,
    /// It is this when absent, as TOML.
    Default(String),
    /// It depends on others when absent, in these words.
    Depends(String),
    /// A table: its settings have defaults of their own.
    Table,
}

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// On SIGHUP.
    Live,
    /// When the process starts again.
    Restart,
}

/// The whole file as one table.
pub(super) fn settings() -> Shape {
    Shape::read(&schema::annotated())
}

impl Shape {
    /// Reads one annotated schema.
    fn read(schema: &Json) -> Self {
        let text = |key: &str| schema.get(key).and_then(Json::as_str);
        if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
            let word = choices.iter().find_map(|choice| choice.get("const")?.as_str()).unwrap_or_default();
            let other = choices.iter().find(|choice| choice.get("type").is_some()).unwrap_or(schema);
            return Self::WordOr(word.to_owned(), Box::new(Self::read(other)));
        }
        match (text("type"), text("x-unit")) {
            (Some("boolean"), _) => Self::Boolean,
            (Some("integer"), _) => {
                let bound = |key: &str| schema.get(key).and_then(Json::as_i64);
                Self::Integer {
                    min: bound("minimum").unwrap_or(0),
                    max: bound("maximum").unwrap_or(i64::MAX),
                }
            }
            (Some("array"), _) => Self::List {
                items: Box::new(Self::read(schema.get("items").unwrap_or(&Json::Null))),
                items_min: count(schema, "minItems", 0),
                items_max: count(schema, "maxItems", 1024),
            },
            (Some("object"), _) => Self::read_table(schema),
            (_, Some("duration")) => Self::Time {
                min: text("x-minimum").and_then(Time::decode).unwrap_or(Time::from_millis(0)),
                max: text("x-maximum").and_then(Time::decode).unwrap_or(Time(Duration::MAX)),
            },
            (_, Some("size")) => Self::Size {
                min: text("x-minimum").and_then(Size::decode).unwrap_or(Size(0)),
                max: text("x-maximum").and_then(Size::decode).unwrap_or(Size(u64::MAX)),
            },
            _ if schema.get("enum").is_some() => Self::Words(words(schema)),
            _ => Self::Text {
                chars_min: count(schema, "minLength", 0),
                chars_max: count(schema, "maxLength", 4096),
            },
        }
    }

    /// Reads the schema of a table.
    fn read_table(schema: &Json) -> Self {
        if let Some(inner) = schema.get("additionalProperties").filter(|inner| inner.is_object()) {
            let inner = Box::new(Self::read(inner));
            let is_table = matches!(*inner, Self::Table { .. });
            return if is_table { Self::Named(inner) } else { Self::Keyed(inner) };
        }
        let none = Map::new();
        let required: Vec<&str> = schema.as_object().into_iter().flat_map(schema::required).collect();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let setting = |(key, property): (&String, &Json)| {
            Setting::read(key, property, required.contains(&key.as_str()))
        };
        Self::Table {
            settings: properties.iter().map(setting).collect(),
            settings_min: count(schema, "minProperties", 0),
            settings_max: count(schema, "maxProperties", usize::MAX),
        }
    }

    /// The settings of this table, or of the tables in it.
    pub(super) fn inner(&self) -> &[Setting] {
        match self {
            Self::Table { settings, .. } => settings,
            Self::Named(inner)
            | Self::Keyed(inner)
            | Self::List { items: inner, .. }
            | Self::WordOr(_, inner) => inner.inner(),
            Self::Boolean
            | Self::Integer { .. }
            | Self::Text { .. }
            | Self::Time { .. }
            | Self::Size { .. }
            | Self::Words(_) => &[],
        }
    }

    /// The bounds, in words; empty when there are none.
    pub(super) fn range(&self) -> String {
        let span =
            |min: &dyn ToString, max: &dyn ToString| format!("{} to {}", min.to_string(), max.to_string());
        match self {
            Self::Integer { min, max } => span(min, max),
            Self::Time { min, max } => span(min, max),
            Self::Size { min, max } => span(min, max),
            Self::Words(words) => words.iter().map(|word| quoted(&word.word)).collect::<Vec<_>>().join(", "),
            Self::WordOr(word, other) => format!("{}, or {}", quoted(word), other.range()),
            Self::Text { chars_min: 0, .. }
            | Self::Boolean
            | Self::Table { .. }
            | Self::Named(_)
            | Self::Keyed(_) => String::new(),
            Self::Text { chars_min, chars_max } => format!("{} characters", span(chars_min, chars_max)),
            Self::List { items, items_min: 0, .. } => items.range(),
            Self::List { items_min, items_max, .. } => format!("{} entries", span(items_min, items_max)),
        }
    }
}

impl Setting {
    /// Reads the annotated schema of one property.
    pub(super) fn read(key: &str, schema: &Json, required: bool) -> Self {
        let text = |key: &str| schema.get(key).and_then(Json::as_str).unwrap_or_default();
        let presence = match (schema.get("default"), text("x-default")) {
            _ if required => Presence::Required,
            (_, words) if !words.is_empty() => Presence::Depends(words.to_owned()),
            (Some(default), _) => Presence::Default(default.to_string()),
            (None, _) => Presence::Table,
        };
        let unit = [text("x-form"), text("x-unit")].into_iter().find(|unit| !unit.is_empty());
        Self {
            key: key.to_owned(),
            meaning: text("description").to_owned(),
            shape: Shape::read(schema),
            presence,
            unit: unit.unwrap_or_default().to_owned(),
            reload: if text("x-reload") == "restart" { Reload::Restart } else { Reload::Live },
        }
    }

    /// The default in words.
    pub(super) fn default(&self) -> &str {
        match &self.presence {
            Presence::Required => "required",
            Presence::Default(words) | Presence::Depends(words) => words,
            Presence::Table => "",
        }
    }

    /// What an editor shows: meaning, words, unit, default, range, restart.
    pub(super) fn description(&self) -> String {
        let mut parts = vec![self.meaning.clone()];
        if let Shape::Words(words) = &self.shape {
            parts.extend(words.iter().map(|word| format!("{}: {}", quoted(&word.word), word.meaning)));
        }
        let facts =
            [("Unit", self.unit.as_str()), ("Default", self.default()), ("Range", &self.shape.range())];
        let known = facts.iter().filter(|(_, fact)| !fact.is_empty());
        parts.extend(known.map(|(name, fact)| format!("{name}: {fact}.")));
        if self.reload == Reload::Restart {
            parts.push("A change needs a restart.".to_owned());
        }
        parts.join(" ")
    }
}

/// A bound that counts something.
fn count(schema: &Json, key: &str, absent: usize) -> usize {
    schema.get(key).and_then(Json::as_u64).and_then(|count| usize::try_from(count).ok()).unwrap_or(absent)
}

/// The words of an `enum`, in the order of the type.
fn words(schema: &Json) -> Vec<Word> {
    let meaning = |word: &str| schema.get("x-meanings")?.get(word)?.as_str();
    let words = schema.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    words
        .map(|word| Word { word: word.to_owned(), meaning: meaning(word).unwrap_or_default().to_owned() })
        .collect()
}

/// As TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
