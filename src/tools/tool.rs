//! A tool: its name, its words, the schemas of its arguments and result, and the function that does it.
//! Next: `typed` for functions over types of one's own, `demo` for complete tools.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use schemars::JsonSchema;

use super::action::Action;
use super::ask::{Capabilities, Capability};
use super::schema::header::ParameterHeader;
use super::schema::{self, Invalid, Schema, SchemaError, derive};
use super::words::{Icon, Words};
use super::{Call, Context, Reply, ToolError};
use crate::wire::json::Value;

/// Whether a call may become a task, which the client follows after its request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TaskSupport {
    /// It is answered within its request.
    #[default]
    Never,
    /// As the server decides, for clients that offer it.
    Allowed,
    /// It can not be called otherwise.
    Required,
}

/// What a tool says of its effects. Hints: a client need not believe them.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Hints {
    pub(super) read_only: Option<bool>,
    pub(super) destructive: Option<bool>,
    pub(super) idempotent: Option<bool>,
    pub(super) open_world: Option<bool>,
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
    words: Words,
    hints: Hints,
    input_schema: String,
    output_schema: Option<String>,
    action: Action,
    tasks: TaskSupport,
    required: Capabilities,
    is_single_use: bool,
    asks_first: bool,
    timeout: Option<Duration>,
    compiled: OnceLock<Result<Compiled, SchemaError>>,
}

/// What is made of the schemas when the tool is registered.
struct Compiled {
    input: Schema,
    output: Option<Schema>,
    headers: Vec<ParameterHeader>,
}

/// How to make one.
impl Tool {
    /// A tool that answers at once. `A` gives the input schema. The function runs on the shard: it must not block.
    ///
    /// This is the fastest kind: arguments may borrow from the message, and the reply is written where it is sent from.
    pub fn immediate<A: JsonSchema>(
        name: &str,
        description: &str,
        function: impl Fn(&Call<'_>, &mut Reply) -> Result<(), ToolError> + Send + Sync + 'static,
    ) -> Self {
        Self::new::<A>(name, description, Action::immediate(function))
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
        Self::new::<A>(name, description, Action::deferred(function))
    }

    pub(super) fn new<A: JsonSchema>(name: &str, description: &str, action: Action) -> Self {
        Self {
            words: Words::new(name, description),
            hints: Hints::default(),
            input_schema: derive::input::<A>(),
            output_schema: None,
            action,
            tasks: TaskSupport::Never,
            required: Capabilities::default(),
            is_single_use: false,
            asks_first: false,
            timeout: None,
            compiled: OnceLock::new(),
        }
    }
}

/// What to add to one.
impl Tool {
    /// A name for people.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.words.title = Some(title.to_owned());
        self
    }

    /// A picture for people; may be called for several sizes.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.words.icons.push(icon);
        self
    }

    /// Says that it changes nothing.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.hints.read_only = Some(true);
        self
    }

    /// Says whether it may destroy something; taken for true when not said.
    #[must_use]
    pub fn destructive(mut self, is_destructive: bool) -> Self {
        self.hints.destructive = Some(is_destructive);
        self
    }

    /// Says that calling it twice does no more than once.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.hints.idempotent = Some(true);
        self
    }

    /// Says whether it deals with things outside of the server; taken for true when not said.
    #[must_use]
    pub fn open_world(mut self, is_open: bool) -> Self {
        self.hints.open_world = Some(is_open);
        self
    }

    /// A schema of the arguments in place of the derived one: text that clients see byte for byte, or a
    /// `serde_json::Value`.
    #[must_use]
    pub fn input_schema(mut self, schema: impl ToString) -> Self {
        self.input_schema = schema.to_string();
        self.compiled = OnceLock::new();
        self
    }

    /// A schema of the structured result, as [`Tool::input_schema`].
    #[must_use]
    pub fn output_schema(mut self, schema: impl ToString) -> Self {
        self.output_schema = Some(schema.to_string());
        self.compiled = OnceLock::new();
        self
    }

    /// Whether a call may become a task.
    #[must_use]
    pub fn tasks(mut self, support: TaskSupport) -> Self {
        self.tasks = support;
        self
    }

    /// Says that its first questions are asked before a call becomes a task, as those of any other tool are.
    #[must_use]
    pub fn asks_before_task(mut self) -> Self {
        self.asks_first = true;
        self
    }

    /// Says that a call makes no sense for a client without `capability`; it is refused before it begins.
    #[must_use]
    pub fn requires(mut self, capability: Capability) -> Self {
        self.required = self.required.with(capability);
        self
    }

    /// Says that an answer to a question of this tool must count once: a retry with the same state is refused.
    #[must_use]
    pub fn single_use_state(mut self) -> Self {
        self.is_single_use = true;
        self
    }

    /// How long a call may take, in place of the server's `request_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// What it is.
impl Tool {
    /// The name clients call it by.
    pub fn name(&self) -> &str {
        &self.words.name
    }

    /// What it does, in words for a model.
    pub fn description(&self) -> &str {
        self.words.description.as_deref().unwrap_or_default()
    }

    /// JSON Schema 2020-12 of the arguments, as text that is passed through untouched.
    pub fn input_schema_text(&self) -> &str {
        &self.input_schema
    }

    /// JSON Schema of the structured result.
    pub fn output_schema_text(&self) -> Option<&str> {
        self.output_schema.as_deref()
    }

    /// The name, shared.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.words.name.clone()
    }

    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    pub(super) fn hints(&self) -> Hints {
        self.hints
    }

    pub(crate) fn action(&self) -> &Action {
        &self.action
    }

    /// Whether a call may become a task.
    pub fn task_support(&self) -> TaskSupport {
        self.tasks
    }

    /// What a client must offer.
    pub fn required_capabilities(&self) -> Capabilities {
        self.required
    }

    /// Whether its first questions come before the task.
    pub fn asks_first(&self) -> bool {
        self.asks_first
    }

    /// Whether the state of its questions counts once.
    pub fn is_single_use(&self) -> bool {
        self.is_single_use
    }

    /// How long a call may take; none leaves it to the server.
    pub fn call_timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

/// What its schemas say.
impl Tool {
    /// Compiles the schemas, once.
    pub(super) fn check(&self) -> Result<(), SchemaError> {
        self.compiled().map(|_| ()).map_err(Clone::clone)
    }

    fn compiled(&self) -> Result<&Compiled, &SchemaError> {
        self.compiled.get_or_init(|| Compiled::of(self)).as_ref()
    }

    /// Checks the arguments of a call; absent ones are an empty object. Allocates nothing when they are valid.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn validate(&self, arguments: Option<Value<'_, '_>>) -> Result<(), Invalid> {
        let compiled =
            self.compiled().map_err(|error| Invalid { path: String::new(), sentence: error.to_string() })?;
        match arguments {
            Some(arguments) => {
                compiled.input.check(arguments)?;
                schema::check_unique(arguments)
            }
            None => compiled.input.check_empty(),
        }
    }

    /// Checks a structured result, JSON; anything passes when no output schema is declared.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn validate_output(&self, structured: &[u8]) -> Result<(), String> {
        let compiled = self.compiled().map_err(ToString::to_string)?;
        compiled.output.as_ref().map_or(Ok(()), |schema| schema.check_text(structured))
    }

    /// The arguments that clients repeat in headers.
    pub fn parameter_headers(&self) -> &[ParameterHeader] {
        self.compiled().map(|compiled| compiled.headers.as_slice()).unwrap_or_default()
    }

    /// Whether its results are objects, which is all that older revisions know.
    pub(super) fn has_object_output(&self) -> bool {
        self.compiled().is_ok_and(|compiled| compiled.output.as_ref().is_some_and(Schema::is_object))
    }
}

impl Compiled {
    fn of(tool: &Tool) -> Result<Self, SchemaError> {
        let input = Schema::compile(&tool.input_schema)
            .map_err(|error| SchemaError(format!("input schema: {error}")))?;
        // MCP 2026-07-28, tools: the root of an input schema is an object.
        if !input.is_object() {
            return Err(SchemaError(
                "input schema: the root must say \"type\": \"object\", as that of a struct does".into(),
            ));
        }
        let output = tool
            .output_schema
            .as_deref()
            .map(Schema::compile)
            .transpose()
            .map_err(|error| SchemaError(format!("output schema: {error}")))?;
        let headers = schema::header::collect(&schema::parse(&tool.input_schema)?)
            .map_err(|error| SchemaError(format!("input schema: {error}")))?;
        Ok(Self { input, output, headers })
    }
}
