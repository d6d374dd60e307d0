//! What a tool gives back: content blocks written straight into a reused buffer, or an error for the model to read.
//! Next: `tool`.

use crate::wire::json::encode::encode_str;

/// The content of a tool's result, as it is written.
#[derive(Debug, Default)]
pub struct Reply {
    content: Vec<u8>,
}

impl Reply {
    /// An empty reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty reply that writes into `memory`.
    pub(crate) fn with_memory(mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self { content: memory }
    }

    /// The blocks, separated by commas; also the memory to reuse.
    pub(crate) fn into_content(self) -> Vec<u8> {
        self.content
    }

    /// Appends a text block.
    pub fn text(&mut self, text: &str) {
        if !self.content.is_empty() {
            self.content.push(b',');
        }
        self.content.extend_from_slice(b"{\"type\":\"text\",\"text\":");
        encode_str(&mut self.content, text);
        self.content.push(b'}');
    }
}

/// Why a tool could not do what it was asked; answered as a result with `isError`, so that the model can read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    message: String,
}

impl ToolError {
    /// An error in words the caller may see.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// The words.
    pub fn message(&self) -> &str {
        &self.message
    }
}
