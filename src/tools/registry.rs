//! The tools that are served, found by name; the order of registration is the order of `tools/list`.
//! Next: `pipeline/dispatch.rs`, the caller.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::Tool;
use crate::wire::json::encode::encode_str;

/// Longest tool name. MCP 2026-07-28, tools: 1 to 128 characters.
pub const NAME_BYTES_MAX: usize = 128;

/// Why a tool was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Not 1 to 128 of `A-Z a-z 0-9 _ . -`.
    #[error("tool name {0:?}: use 1 to 128 of A-Z a-z 0-9 _ . -")]
    Name(String),
    /// Registered before.
    #[error("tool {0:?} is registered twice")]
    Duplicate(String),
    /// Asked for by name, but not there.
    #[error("no tool {name:?}; known are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// The tools this server offers. The names are ours, so a fixed hash serves: no caller can fill the table.
#[derive(Default)]
pub struct Registry {
    tools: Vec<Entry>,
    by_name: HashMap<String, usize, FixedState>,
}

struct Entry {
    tool: Tool,
    listing: Vec<u8>,
}

impl Registry {
    /// Adds a tool.
    ///
    /// # Errors
    /// When the name is malformed or taken.
    pub fn register(&mut self, tool: Tool) -> Result<(), RegistryError> {
        let name = tool.name();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
            return Err(RegistryError::Name(name.to_owned()));
        }
        if self.by_name.contains_key(name) {
            return Err(RegistryError::Duplicate(name.to_owned()));
        }
        self.by_name.insert(name.to_owned(), self.tools.len());
        self.tools.push(Entry { listing: encode_listing(&tool), tool });
        Ok(())
    }

    /// The index and the tool of that name.
    pub fn find(&self, name: &str) -> Option<(usize, &Tool)> {
        let index = *self.by_name.get(name)?;
        self.tools.get(index).map(|entry| (index, &entry.tool))
    }

    /// The tool of that index.
    pub fn tool(&self, index: usize) -> Option<&Tool> {
        self.tools.get(index).map(|entry| &entry.tool)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// All tools in order.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter().map(|entry| &entry.tool)
    }

    /// Each tool's entry in `tools/list`, as JSON, in order.
    pub fn listings(&self) -> impl Iterator<Item = &[u8]> {
        self.tools.iter().map(|entry| entry.listing.as_slice())
    }
}

fn encode_listing(tool: &Tool) -> Vec<u8> {
    let mut out = b"{\"name\":".to_vec();
    encode_str(&mut out, tool.name());
    out.extend_from_slice(b",\"description\":");
    encode_str(&mut out, tool.description());
    out.extend_from_slice(b",\"inputSchema\":");
    out.extend_from_slice(tool.input_schema().as_bytes());
    out.push(b'}');
    out
}
