//! Holds the tree against the settings: unknown keys, wrong types, words and ranges, absent keys.
//! What passes goes on as plain values; what does not is reported, left out and doubted, so that the checks after
//! this one still see the rest of the file.
//! Next: `check`, which asks what the settings mean together.

use serde_json::{Map, Value as Json};

use super::nearest::nearest;
use super::problem::Code;
use super::quantity::{Size, Time};
use super::recognised;
use super::report::{Report, child, entry};
use super::settings::{Presence, Setting, Shape, Word, quoted};
use super::tree::{Entry, Node, Place, Table, Value};
use super::wrong_type;

/// Longest key that an operator takes from elsewhere, bytes.
const KEY_BYTES_MAX: usize = 256;

/// Checks a whole file; `shape` is that of its top level. Returns what is left of it.
pub(super) fn check(table: &Table, shape: &Shape, report: &mut Report) -> Json {
    Walk { root: shape, report }.table(table, shape, "", None).unwrap_or_default()
}

/// A walk over one tree.
struct Walk<'a> {
    root: &'a Shape,
    report: &'a mut Report,
}

impl Walk<'_> {
    /// One value. Nothing when it can not be used.
    fn node(&mut self, node: &Node, setting: &Setting, shape: &Shape, path: &str) -> Option<Json> {
        let usable = match (shape, &node.value) {
            (Shape::Boolean, Value::Boolean(value)) => Some(Json::from(*value)),
            (Shape::Integer { min, max }, Value::Integer(value)) => {
                let fits = value.filter(|value| (min..=max).contains(&value));
                self.ranged(fits.map(Json::from), node, shape, path)
            }
            (Shape::WordOr(word, _), Value::Text(text)) if text == word => Some(Json::from(text.as_str())),
            (Shape::WordOr(_, other), Value::Integer(_)) => return self.node(node, setting, other, path),
            (Shape::List { .. }, Value::List(nodes)) => self.list(nodes, setting, shape, path),
            (Shape::Table { .. }, Value::Table(table)) => self.table(table, shape, path, Some(node.place)),
            (Shape::Named(inner), Value::Table(table)) => self.named(table, setting, inner, path),
            (Shape::Keyed(inner), Value::Table(table)) => self.keyed(table, setting, inner, path),
            (Shape::Text { .. } | Shape::Time { .. } | Shape::Size { .. } | Shape::Words(_), value) => {
                match self.as_text(node, value) {
                    Some(text) => self.text(&text, node, shape, path),
                    None => wrong_type::report(self.report, node, setting, shape, path),
                }
            }
            (
                Shape::Boolean
                | Shape::Integer { .. }
                | Shape::WordOr(..)
                | Shape::List { .. }
                | Shape::Table { .. }
                | Shape::Named(_)
                | Shape::Keyed(_),
                _,
            ) => wrong_type::report(self.report, node, setting, shape, path),
        };
        if usable.is_none() {
            self.report.doubt(path);
        }
        usable
    }

    /// The text of a value where text is wanted. In a `--set` quotes may be left out, so that
    /// `tls.public.min_version=1.3` is the word it looks like.
    fn as_text(&self, node: &Node, value: &Value) -> Option<String> {
        match value {
            Value::Text(text) => Some(text.clone()),
            Value::Boolean(_) | Value::Integer(_) | Value::Float | Value::Date if node.place.source > 0 => {
                Some(self.report.text_at(node.place).to_owned())
            }
            Value::Boolean(_)
            | Value::Integer(_)
            | Value::Float
            | Value::Date
            | Value::List(_)
            | Value::Table(_) => None,
        }
    }

    /// A string against a shape that is written as one.
    fn text(&mut self, text: &str, node: &Node, shape: &Shape, path: &str) -> Option<Json> {
        match shape {
            Shape::Time { min, max } => {
                let value = self.decoded(
                    Time::decode(text),
                    "a duration such as \"30s\"",
                    "ms, s, m, h, d",
                    node,
                    path,
                )?;
                self.ranged((*min..=*max).contains(&value).then(|| text.into()), node, shape, path)
            }
            Shape::Size { min, max } => {
                let value = self.decoded(
                    Size::decode(text),
                    "a size such as \"10MiB\"",
                    "B, KiB, MiB, GiB",
                    node,
                    path,
                )?;
                self.ranged((*min..=*max).contains(&value).then(|| text.into()), node, shape, path)
            }
            Shape::Words(words) if words.iter().any(|word| word.word == text) => Some(text.into()),
            Shape::Words(words) => self.unknown_word(text, words, node, path),
            Shape::Text { chars_min, chars_max } => {
                let fits = (*chars_min..=*chars_max).contains(&text.chars().count());
                self.ranged(fits.then(|| text.into()), node, shape, path)
            }
            Shape::Boolean
            | Shape::Integer { .. }
            | Shape::WordOr(..)
            | Shape::List { .. }
            | Shape::Table { .. }
            | Shape::Named(_)
            | Shape::Keyed(_) => None,
        }
    }

    /// Reports text that is no quantity.
    fn decoded<T>(
        &mut self,
        value: Option<T>,
        what: &str,
        units: &str,
        node: &Node,
        path: &str,
    ) -> Option<T> {
        if value.is_none() {
            let message = format!("`{path}` must be {what}");
            let problem = self.report.problem_at(Code::Malformed, Some(node.place), message);
            problem.help(format!("write a whole number and one unit of {units}, without a space"));
        }
        value
    }

    /// Reports a value beyond its bounds.
    fn ranged(&mut self, value: Option<Json>, node: &Node, shape: &Shape, path: &str) -> Option<Json> {
        if value.is_none() {
            let range = shape.range();
            let problem = self.report.problem_at(
                Code::OutOfRange,
                Some(node.place),
                format!("`{path}` is out of range"),
            );
            problem.label(format!("allowed: {range}")).help(format!("write a value within {range}"));
        }
        value
    }

    /// Reports a word that is none of the allowed ones.
    fn unknown_word(&mut self, text: &str, words: &[Word], node: &Node, path: &str) -> Option<Json> {
        let key = last_key(path);
        let all = words.iter().map(|word| quoted(&word.word)).collect::<Vec<_>>().join(", ");
        if let Some(known) = recognised::word(path, text) {
            let message = format!("`{path}` = {} is not read by this version", quoted(text));
            let problem = self.report.problem_at(known.code, Some(node.place), message);
            problem.label(known.reason).help(format!("write {}", known.help));
            return None;
        }
        let message = format!("`{path}` can not be {}", quoted(text));
        let problem = self.report.problem_at(Code::UnknownWord, Some(node.place), message);
        problem.label(format!("must be one of {all}"));
        match nearest(text, words.iter().map(|word| word.word.as_str())) {
            Some(word) => problem.help(format!("did you mean {key} = {}?", quoted(word))),
            None => problem.help(format!("write {key} = {}", all.replace(", ", " or "))),
        };
        None
    }

    /// A list. One entry that can not be used makes the list unusable, after all entries were looked at.
    fn list(&mut self, nodes: &[Node], setting: &Setting, shape: &Shape, path: &str) -> Option<Json> {
        let Shape::List { items, items_min, items_max } = shape else { return None };
        let mut usable = Some(Vec::new());
        for (index, node) in nodes.iter().enumerate() {
            let path = entry(path, index);
            self.report.locate(&path, node.place);
            match (self.node(node, setting, items, &path), &mut usable) {
                (Some(value), Some(values)) => values.push(value),
                (Some(_), None) => {}
                (None, _) => usable = None,
            }
        }
        if (*items_min..=*items_max).contains(&nodes.len()) {
            return usable.map(Json::Array);
        }
        let place = self.report.place(path);
        let problem = self.report.problem_at(
            Code::OutOfRange,
            place,
            format!(
                "`{path}` must have {} entries, not {}",
                shape.range().replace(" entries", ""),
                nodes.len()
            ),
        );
        problem.help("add what is missing, or leave the key out where it has a default");
        None
    }

    /// A table of tables.
    fn named(&mut self, table: &Table, setting: &Setting, inner: &Shape, path: &str) -> Option<Json> {
        let mut usable = Map::new();
        for Entry { key, place, node } in &table.entries {
            let path = child(path, key);
            self.report.locate(&path, *place);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if key.is_empty() || key.len() > 64 || !key.chars().all(is_name) {
                let message = format!("{} can not be a name in [{}]", quoted(key), setting.key);
                let problem = self.report.problem_at(Code::Malformed, Some(*place), message);
                problem.help("use letters, digits, `_` and `-`, at most 64");
                self.report.doubt(&path);
            } else if matches!(node.value, Value::Table(_)) {
                usable.extend(self.node(node, setting, inner, &path).map(|value| (key.clone(), value)));
            } else {
                self.not_a_named_table(key, *place, setting, inner, &path);
            }
        }
        Some(Json::Object(usable))
    }

    /// A table whose keys come from elsewhere.
    fn keyed(&mut self, table: &Table, setting: &Setting, inner: &Shape, path: &str) -> Option<Json> {
        let mut usable = Map::new();
        for Entry { key, place, node } in &table.entries {
            let path = child(path, key);
            self.report.locate(&path, *place);
            if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
                let message = format!("{} can not be a key of `{}`", quoted(key), setting.key);
                let problem = self.report.problem_at(Code::Malformed, Some(*place), message);
                problem.help(format!("write 1 to {KEY_BYTES_MAX} bytes of text"));
                self.report.doubt(&path);
            } else {
                usable.extend(self.node(node, setting, inner, &path).map(|value| (key.clone(), value)));
            }
        }
        Some(Json::Object(usable))
    }

    /// Reports a setting that stands one level too high: `[tls] min_version = ...`.
    fn not_a_named_table(&mut self, key: &str, place: Place, setting: &Setting, inner: &Shape, path: &str) {
        let message = format!("`{path}` must be a table with a name, [{}.NAME]", setting.key);
        let is_setting = inner.inner().iter().any(|setting| setting.key == key);
        let problem = self.report.problem_at(Code::WrongType, Some(place), message);
        if is_setting {
            problem.help(format!("write [{}.main] above it", setting.key));
        } else {
            problem.help(format!("write [{path}] and its settings below it"));
        }
        self.report.doubt(path);
    }

    /// A table with fixed keys.
    fn table(&mut self, table: &Table, shape: &Shape, path: &str, place: Option<Place>) -> Option<Json> {
        let Shape::Table { settings, settings_min, settings_max } = shape else { return None };
        let mut usable = Map::new();
        for Entry { key, place, node } in &table.entries {
            let Some(setting) = settings.iter().find(|setting| setting.key == *key) else {
                self.unknown_key(key, *place, settings, path);
                continue;
            };
            let path = child(path, key);
            let is_table = matches!(node.value, Value::Table(_));
            self.report.locate(&path, if is_table { *place } else { node.place });
            usable.extend(self.node(node, setting, &setting.shape, &path).map(|value| (key.clone(), value)));
        }
        if !(*settings_min..=*settings_max).contains(&table.entries.len()) {
            let names: Vec<_> = settings.iter().map(|setting| format!("`{}`", setting.key)).collect();
            let message = format!("`{path}` must have exactly one of {}", names.join(", "));
            let problem = self.report.problem_at(Code::OneOf, place, message);
            problem.help(format!("write {} = {{ env = \"NAME\" }}", last_key(path)));
            return None;
        }
        self.absent_keys(table, settings, path, place);
        Some(Json::Object(usable))
    }

    /// Reports required keys that are not there.
    fn absent_keys(&mut self, table: &Table, settings: &[Setting], path: &str, place: Option<Place>) {
        // What a listener of another kind must have is not known here.
        if self.report.is_doubtful(&child(path, "kind")) {
            return;
        }
        let required = settings.iter().filter(|setting| matches!(setting.presence, Presence::Required));
        for setting in required {
            let path = child(path, &setting.key);
            if table.entries.iter().any(|entry| entry.key == setting.key) || self.report.is_doubtful(&path) {
                continue;
            }
            let place = place.or_else(|| self.report.place(&path));
            let problem = self.report.problem_at(Code::Missing, place, format!("`{path}` is missing"));
            problem.label(setting.meaning.as_str());
            problem.help(format!("add {} = {}", setting.key, wrong_type::example(setting, &setting.shape)));
            self.report.doubt(&path);
        }
    }

    /// Reports a key that is no setting of this table.
    fn unknown_key(&mut self, key: &str, place: Place, settings: &[Setting], table: &str) {
        let path = child(table, key);
        self.report.doubt(&path);
        if let Some(known) = recognised::key(&path) {
            let verdict = if known.code == Code::NoMeaning {
                "has no meaning here"
            } else {
                "is not read by this version"
            };
            let message = format!("`{path}` {verdict}");
            self.report.problem_at(known.code, Some(place), message).label(known.reason).help(known.help);
            return;
        }
        let meant = nearest(key, settings.iter().map(|setting| setting.key.as_str()));
        if let Some(meant) = meant {
            self.report.doubt(&child(table, meant));
        }
        let elsewhere = homes(self.root, key, "");
        let message = format!("unknown key `{path}`");
        let problem = self.report.problem_at(Code::UnknownKey, Some(place), message);
        problem.label(if table.is_empty() {
            "not a table of this file"
        } else {
            "not a setting of this table"
        });
        match (meant, elsewhere.first()) {
            (Some(meant), _) => problem.help(format!("did you mean `{meant}`?")),
            (None, Some(home)) => problem.help(format!("`{key}` is a setting of [{home}]")),
            (None, None) => {
                let keys: Vec<_> = settings.iter().map(|setting| setting.key.as_str()).collect();
                problem.help(format!("known here: {}", keys.join(", ")))
            }
        };
    }
}

/// The tables that have a setting of this name.
fn homes(shape: &Shape, key: &str, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for setting in shape.inner() {
        let inner = child(path, &setting.key);
        if setting.key == key && !path.is_empty() {
            found.push(path.to_owned());
        }
        let below = if matches!(setting.shape, Shape::Named(_)) { format!("{inner}.NAME") } else { inner };
        found.extend(homes(&setting.shape, key, &below));
    }
    found
}

/// The key a path ends in, without index.
fn last_key(path: &str) -> &str {
    let key = path.rsplit('.').next().unwrap_or(path);
    key.split('[').next().unwrap_or(key)
}
