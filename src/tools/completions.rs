//! Suggestions for an argument: what an author's function returns, and how it becomes a reply.
//! Next: `prompt` and `resource`, which have completers.

use std::collections::BTreeMap;

use super::action::Action;
use super::call::Subject;
use super::{Call, Reply, ToolError};
use crate::wire::json::encode::encode_str;

/// MCP 2026-07-28, completion: at most 100 values in one answer.
pub const COMPLETIONS_MAX: usize = 100;

/// The arguments of a prompt, or those a client knows already when it asks for suggestions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    values: BTreeMap<String, String>,
}

impl Arguments {
    /// Reads an object whose members are all strings.
    pub(super) fn read(call: &Call<'_>) -> Result<Self, ToolError> {
        let mut values = BTreeMap::new();
        let Some(arguments) = call.arguments() else { return Ok(Self { values }) };
        for (name, value) in arguments.members() {
            let Some(value) = value.as_str() else {
                return Err(ToolError::invalid_params(format!("argument {name:?} must be a string")));
            };
            if values.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(ToolError::invalid_params(format!("argument {name:?} is given twice")));
            }
        }
        Ok(Self { values })
    }

    /// The value of an argument; none when it was left out.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of an argument; empty when it was left out.
    pub fn text(&self, name: &str) -> &str {
        self.value(name).unwrap_or_default()
    }

    /// All that were given, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Values for one argument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    values: Vec<String>,
    total: Option<u64>,
}

impl Completions {
    /// These values, best first; what passes [`COMPLETIONS_MAX`] is counted and left out.
    pub fn new(values: Vec<String>) -> Self {
        Self { values, total: None }
    }

    /// How many there are in all, when more than are given here.
    #[must_use]
    pub fn total(mut self, total: u64) -> Self {
        self.total = Some(total);
        self
    }

    fn fill(&self, reply: &mut Reply) {
        for value in self.values.iter().take(COMPLETIONS_MAX) {
            reply.item(|out| encode_str(out, value));
        }
        let given = u64::try_from(self.values.len()).unwrap_or(u64::MAX);
        let total = self.total.unwrap_or(given).max(given);
        let shown = u64::try_from(self.values.len().min(COMPLETIONS_MAX)).unwrap_or(u64::MAX);
        reply.count(total, total > shown);
    }
}

impl From<Vec<String>> for Completions {
    fn from(values: Vec<String>) -> Self {
        Self::new(values)
    }
}

/// An argument's name and what suggests values for it.
pub(super) struct Completer {
    pub(super) argument: String,
    pub(super) action: Action,
}

impl Completer {
    pub(super) fn new<C: Into<Completions>>(
        argument: &str,
        suggest: impl Fn(&str, &Arguments) -> C + Send + Sync + 'static,
    ) -> Self {
        let action = Action::immediate(move |call, reply| {
            let Subject::Completion { value, .. } = call.subject() else {
                return Err(ToolError::internal("a completer was called for something else"));
            };
            suggest(value, &Arguments::read(call)?).into().fill(reply);
            Ok(())
        });
        Self { argument: argument.to_owned(), action }
    }
}

/// The one for that argument.
pub(super) fn find<'c>(completers: &'c [Completer], argument: &str) -> Option<&'c Action> {
    completers.iter().find(|completer| completer.argument == argument).map(|completer| &completer.action)
}
