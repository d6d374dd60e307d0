//! What a prompt gives back: messages, each by a role.
//! Next: `prompt`, whose functions return it.

use super::{Block, Reply, Role};
use crate::wire::json::encode::encode_str;

/// The messages of a prompt.
///
/// ```
/// use mcpring::tools::{Block, Messages, Role};
///
/// let messages = Messages::new()
///     .user("What is in this picture?")
///     .push(Role::User, &Block::image(b"\x89PNG...", "image/png"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    description: Option<String>,
    messages: Vec<(Role, Block)>,
}

impl Messages {
    /// No message yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the messages are about; the prompt's own description stands when absent.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The user says so.
    #[must_use]
    pub fn user(self, text: &str) -> Self {
        self.push(Role::User, &Block::text(text))
    }

    /// The model says so.
    #[must_use]
    pub fn assistant(self, text: &str) -> Self {
        self.push(Role::Assistant, &Block::text(text))
    }

    /// A message of one block.
    #[must_use]
    pub fn push(mut self, role: Role, block: &Block) -> Self {
        self.messages.push((role, block.clone()));
        self
    }

    pub(super) fn fill(self, reply: &mut Reply) {
        for (role, block) in &self.messages {
            reply.item(|out| {
                out.extend_from_slice(b"{\"role\":");
                encode_str(out, role.name());
                out.extend_from_slice(b",\"content\":");
                out.extend_from_slice(block.as_json());
                out.push(b'}');
            });
        }
        reply.describe(self.description);
    }
}
