//! What a call gives back: content blocks written straight into a reused buffer, and a structured value beside them.
//! The same writer serves every kind; `contents`, `messages` and `completions` are what authors of those hold.
//! Next: `block` for what a block looks like, `error` for the other outcome.

use serde::Serialize;

use super::ToolError;
use super::block::{self, Annotations, Block, Body, Data};

/// The content of a result, as it is written.
#[derive(Debug, Default)]
pub struct Reply {
    items: Vec<u8>,
    structured: Option<Vec<u8>>,
    description: Option<String>,
    is_error: bool,
    total: Option<u64>,
    has_more: Option<bool>,
}

impl Reply {
    /// An empty reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty reply that writes into `memory`.
    pub(crate) fn with_memory(mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self { items: memory, ..Self::default() }
    }

    /// The memory to reuse, with the blocks still in it.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.items
    }

    /// The blocks (of a resource its contents, of a prompt its messages, of a completion its values), JSON separated
    /// by commas.
    pub(crate) fn items(&self) -> &[u8] {
        &self.items
    }

    /// The structured value, JSON.
    pub(crate) fn structured_json(&self) -> Option<&[u8]> {
        self.structured.as_deref()
    }

    /// What a prompt's messages are about.
    pub(crate) fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether the content tells of a failure.
    pub(crate) fn is_error(&self) -> bool {
        self.is_error
    }

    /// How many values there are in all, for a completion.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether there are more values than these, for a completion.
    pub(crate) fn has_more(&self) -> Option<bool> {
        self.has_more
    }

    pub(super) fn describe(&mut self, description: Option<String>) {
        self.description = description;
    }

    pub(super) fn count(&mut self, total: u64, has_more: bool) {
        self.total = Some(total);
        self.has_more = Some(has_more);
    }

    /// Appends one item that `write` encodes.
    pub(super) fn item(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        if !self.items.is_empty() {
            self.items.push(b',');
        }
        write(&mut self.items);
        self
    }

    /// Appends a block of text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.item(|out| block::encode_text(out, text))
    }

    /// Appends a picture, given as the bytes of its file.
    pub fn image(&mut self, bytes: &[u8], mime: &str) -> &mut Self {
        self.item(|out| block::encode_media(out, "image", Data::Bytes(bytes), mime))
    }

    /// Appends a picture that is base64 already.
    pub fn image_base64(&mut self, data: &str, mime: &str) -> &mut Self {
        self.item(|out| block::encode_media(out, "image", Data::Base64(data), mime))
    }

    /// Appends a sound, given as the bytes of its file.
    pub fn audio(&mut self, bytes: &[u8], mime: &str) -> &mut Self {
        self.item(|out| block::encode_media(out, "audio", Data::Bytes(bytes), mime))
    }

    /// Appends a sound that is base64 already.
    pub fn audio_base64(&mut self, data: &str, mime: &str) -> &mut Self {
        self.item(|out| block::encode_media(out, "audio", Data::Base64(data), mime))
    }

    /// Appends a resource of text, contained.
    pub fn embedded_text(&mut self, uri: &str, mime: &str, text: &str) -> &mut Self {
        self.item(|out| block::encode_embedded(out, uri, mime, Body::Text(text)))
    }

    /// Appends a resource of bytes, contained.
    pub fn embedded_blob(&mut self, uri: &str, mime: &str, bytes: &[u8]) -> &mut Self {
        self.item(|out| block::encode_embedded(out, uri, mime, Body::Blob(bytes)))
    }

    /// Appends a resource that the client may read.
    pub fn resource_link(&mut self, uri: &str, name: &str, mime: Option<&str>) -> &mut Self {
        self.item(|out| block::encode_link(out, uri, name, mime))
    }

    /// Appends a block made before.
    pub fn push(&mut self, block: &Block) -> &mut Self {
        self.item(|out| out.extend_from_slice(block.as_json()))
    }

    /// Puts hints on the block appended last.
    pub fn annotate(&mut self, annotations: &Annotations) -> &mut Self {
        block::annotate(&mut self.items, annotations);
        self
    }

    /// Sets the structured value, and appends it as text when there is no block yet, for clients that read only text.
    ///
    /// # Errors
    /// An internal error when `value` can not be written as JSON.
    // MCP 2026-07-28, tools: a structured result should be repeated in a text block.
    pub fn structured(&mut self, value: &impl Serialize) -> Result<&mut Self, ToolError> {
        let json = serde_json::to_string(value)
            .map_err(|error| ToolError::internal(format!("the result can not be written: {error}")))?;
        if self.items.is_empty() {
            self.text(&json);
        }
        self.structured = Some(json.into_bytes());
        Ok(self)
    }

    /// Says that the content tells of a failure. Shorter, and enough for most: return [`ToolError::new`].
    pub fn fail(&mut self) -> &mut Self {
        self.is_error = true;
        self
    }
}

/// What a typed tool may return.
pub trait IntoReply {
    /// Whether a structured value may be in it. A tool of a type without one can not have an output schema.
    const MAY_HAVE_STRUCTURE: bool = true;

    /// Writes it into `reply`.
    ///
    /// # Errors
    /// When it can not be written as JSON.
    fn into_reply(self, reply: &mut Reply) -> Result<(), ToolError>;

    /// JSON Schema of the structured value, when there is one.
    fn output_schema() -> Option<String> {
        None
    }
}

impl IntoReply for Reply {
    fn into_reply(self, reply: &mut Reply) -> Result<(), ToolError> {
        *reply = self;
        Ok(())
    }
}

impl IntoReply for () {
    const MAY_HAVE_STRUCTURE: bool = false;

    fn into_reply(self, _: &mut Reply) -> Result<(), ToolError> {
        Ok(())
    }
}

impl IntoReply for String {
    const MAY_HAVE_STRUCTURE: bool = false;

    fn into_reply(self, reply: &mut Reply) -> Result<(), ToolError> {
        reply.text(&self);
        Ok(())
    }
}

impl IntoReply for &'static str {
    const MAY_HAVE_STRUCTURE: bool = false;

    fn into_reply(self, reply: &mut Reply) -> Result<(), ToolError> {
        reply.text(self);
        Ok(())
    }
}

impl IntoReply for Block {
    const MAY_HAVE_STRUCTURE: bool = false;

    fn into_reply(self, reply: &mut Reply) -> Result<(), ToolError> {
        reply.push(&self);
        Ok(())
    }
}

impl IntoReply for Vec<Block> {
    const MAY_HAVE_STRUCTURE: bool = false;

    fn into_reply(self, reply: &mut Reply) -> Result<(), ToolError> {
        for block in &self {
            reply.push(block);
        }
        Ok(())
    }
}

/// A result of a type of its own, which is told to clients as the tool's output schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structured<T>(pub T);

impl<T: Serialize + schemars::JsonSchema> IntoReply for Structured<T> {
    fn into_reply(self, reply: &mut Reply) -> Result<(), ToolError> {
        reply.structured(&self.0).map(|_| ())
    }

    fn output_schema() -> Option<String> {
        Some(super::schema::derive::output::<T>())
    }
}
