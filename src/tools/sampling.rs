//! Asking the client's model for a message.
//! MCP 2026-07-28 deprecates sampling; it still works with clients that offer it.
//! Next: `elicit` for asking the user.

use std::future::Future;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ask::{Ask, AskError};
use super::elicit::malformed;
use super::{Block, Context, Role};

/// A request to the client's model.
///
/// ```
/// use mcpring::tools::Sampling;
///
/// let request = Sampling::new(200).system("You are terse.").user("Name a colour.").temperature(0.2);
/// ```
#[derive(Clone, Debug)]
pub struct Sampling {
    messages: Vec<Value>,
    params: Map<String, Value>,
}

impl Sampling {
    /// A request whose answer has at most `tokens_max` tokens.
    pub fn new(tokens_max: u32) -> Self {
        let mut params = Map::new();
        params.insert("maxTokens".into(), tokens_max.into());
        Self { messages: Vec::new(), params }
    }

    /// The user says so.
    #[must_use]
    pub fn user(self, text: &str) -> Self {
        self.push(Role::User, &Block::text(text))
    }

    /// The model has said so.
    #[must_use]
    pub fn assistant(self, text: &str) -> Self {
        self.push(Role::Assistant, &Block::text(text))
    }

    /// A message of one block.
    #[must_use]
    pub fn push(mut self, role: Role, block: &Block) -> Self {
        let content: Value = serde_json::from_slice(block.as_json()).expect("blocks are JSON");
        self.messages.push(json!({"role": role.name(), "content": content}));
        self
    }

    /// What the model is told first.
    #[must_use]
    pub fn system(self, prompt: &str) -> Self {
        self.param("systemPrompt", prompt.into())
    }

    /// How freely it answers, 0 to 1 with most models.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        self.param("temperature", temperature.into())
    }

    /// Where it stops.
    #[must_use]
    pub fn stop_at(self, sequences: &[&str]) -> Self {
        self.param("stopSequences", sequences.into())
    }

    /// Names of models that would do, best first; the client chooses.
    #[must_use]
    pub fn prefer_models(self, names: &[&str]) -> Self {
        let hints: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        self.param("modelPreferences", json!({"hints": hints}))
    }

    /// Tools the model may call, as the list that `sampling/createMessage` takes. Needs a client that offers it.
    #[must_use]
    pub fn tools(self, tools: Value) -> Self {
        self.param("tools", tools)
    }

    /// Any other member of the request.
    #[must_use]
    pub fn param(mut self, name: &str, value: Value) -> Self {
        self.params.insert(name.to_owned(), value);
        self
    }

    fn into_ask(self) -> Ask {
        let mut params = self.params;
        params.insert("messages".into(), self.messages.into());
        Ask::Sample { params: Value::from(params).to_string() }
    }
}

/// What the model answered.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampled {
    /// Which model.
    pub model: String,
    /// Why it ended: `endTurn`, `stopSequence`, `maxTokens`, `toolUse` or a word of the client's.
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// One block, or a list of blocks.
    pub content: Value,
}

impl Sampled {
    /// The words of all blocks of text, one after another.
    pub fn text(&self) -> String {
        let blocks = self.content.as_array().map_or(std::slice::from_ref(&self.content), Vec::as_slice);
        blocks.iter().filter_map(|block| block.get("text").and_then(Value::as_str)).collect()
    }
}

impl Context {
    /// Asks the client's model. `key` as in [`Context::elicit`].
    ///
    /// # Errors
    /// An [`AskError`].
    pub fn sample(
        &self,
        key: &str,
        request: Sampling,
    ) -> impl Future<Output = Result<Sampled, AskError>> + use<> {
        let answer = self.ask(key, request.into_ask());
        async move {
            let sampled: Sampled = serde_json::from_slice(&answer.await?).map_err(malformed)?;
            if sampled.content.is_object() || sampled.content.is_array() {
                Ok(sampled)
            } else {
                Err(AskError::Invalid("content is no block".into()))
            }
        }
    }
}
