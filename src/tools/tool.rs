//! A tool: its name, its words, the schema of its arguments, and the function that does it.
//! Next: `demo` for three complete ones.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;

use super::{Call, Context, Reply, ToolError};

/// The running part of an asynchronous tool. It lives on one shard, so it need not be `Send`.
pub type Running = Pin<Box<dyn Future<Output = Result<Reply, ToolError>>>>;

type Immediate = dyn Fn(&Call<'_>, &mut Reply) -> Result<(), ToolError> + Send + Sync;
type Deferred = dyn Fn(&Call<'_>, Context) -> Result<Running, ToolError> + Send + Sync;

/// What a call runs.
pub(crate) enum Action {
    /// Done when it returns; must not block.
    Immediate(Box<Immediate>),
    /// Starts a future that the shard polls.
    Deferred(Box<Deferred>),
}

/// A native tool.
///
/// ```
/// use mcpring::tools::Tool;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Greet<'a> {
///     /// Who is greeted.
///     name: &'a str,
/// }
///
/// let tool = Tool::immediate::<Greet<'_>>("greet", "Greets someone.", |call, reply| {
///     let arguments: Greet<'_> = call.parse()?;
///     reply.text(&format!("Hello, {}!", arguments.name));
///     Ok(())
/// });
/// assert_eq!(tool.name(), "greet");
/// ```
pub struct Tool {
    name: Arc<str>,
    description: String,
    input_schema: String,
    action: Action,
}

impl Tool {
    /// A tool that answers at once. `A` gives the input schema. The function runs on the shard: it must not block.
    pub fn immediate<A: JsonSchema>(
        name: &str,
        description: &str,
        function: impl Fn(&Call<'_>, &mut Reply) -> Result<(), ToolError> + Send + Sync + 'static,
    ) -> Self {
        Self::new::<A>(name, description, Action::Immediate(Box::new(function)))
    }

    /// A tool that takes its time. The function reads the arguments and returns a future, which the shard polls;
    /// dropping the future is how a call is cancelled.
    pub fn deferred<A: JsonSchema, F>(
        name: &str,
        description: &str,
        function: impl Fn(&Call<'_>, Context) -> Result<F, ToolError> + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Reply, ToolError>> + 'static,
    {
        let start = move |call: &Call<'_>, context: Context| -> Result<Running, ToolError> {
            Ok(Box::pin(function(call, context)?))
        };
        Self::new::<A>(name, description, Action::Deferred(Box::new(start)))
    }

    fn new<A: JsonSchema>(name: &str, description: &str, action: Action) -> Self {
        let mut schema = schemars::SchemaGenerator::default().into_root_schema_for::<A>();
        schema.remove("title");
        Self {
            name: name.into(),
            description: description.to_owned(),
            input_schema: serde_json::Value::from(schema).to_string(),
            action,
        }
    }

    /// The name clients call it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, shared.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// What it does, in words for a model.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// JSON Schema 2020-12 of the arguments, as text that is passed through untouched.
    pub fn input_schema(&self) -> &str {
        &self.input_schema
    }

    pub(crate) fn action(&self) -> &Action {
        &self.action
    }
}
