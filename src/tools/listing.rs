//! A thing's entry in its list, written once for each kind of reader; what readers are told alike is kept once.
//! Never: a protocol revision; the pipeline knows which revision is which reader.
//! Next: `words`, which writes them.

use std::sync::Arc;

use super::Tool;
use super::words;

/// What a reader knows of the structured output of tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKnown {
    /// Nothing.
    None,
    /// That it may be an object.
    Objects,
    /// That it may be any value.
    All,
}

/// An entry of a list, JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    all: Arc<[u8]>,
    objects: Arc<[u8]>,
    none: Arc<[u8]>,
}

impl Listing {
    /// An entry that says the same to everybody.
    pub(super) fn same(json: Vec<u8>) -> Self {
        let all: Arc<[u8]> = json.into();
        Self { objects: all.clone(), none: all.clone(), all }
    }

    /// The entry of a tool, whose output schema is told to whom it can mean something.
    pub(super) fn of_tool(tool: &Tool) -> Self {
        let Some(schema) = tool.output_schema_text() else {
            return Self::same(words::list_tool(tool, None));
        };
        let all: Arc<[u8]> = words::list_tool(tool, Some(schema)).into();
        let none: Arc<[u8]> = words::list_tool(tool, None).into();
        let objects = if tool.has_object_output() { all.clone() } else { none.clone() };
        Self { all, objects, none }
    }

    /// What a reader is told.
    pub fn json(&self, known: OutputKnown) -> &[u8] {
        match known {
            OutputKnown::All => &self.all,
            OutputKnown::Objects => &self.objects,
            OutputKnown::None => &self.none,
        }
    }
}
