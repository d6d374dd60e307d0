//! Tools over types of one's own: arguments are read before the function runs, and what it returns is written after.
//! Next: `reply` for what may be returned.

use std::future::Future;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::action::Action;
use super::{BlockingContext, Context, IntoReply, Reply, Tool, ToolError};

impl Tool {
    /// A tool that computes its answer at once. It runs on the shard: it must not block. It does not learn who is calling:
    /// [`Tool::immediate`] and [`Tool::asynchronous`] do.
    ///
    /// ```
    /// use mcpring::tools::{Structured, Tool, ToolError};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Division {
    ///     dividend: f64,
    ///     divisor: f64,
    /// }
    ///
    /// let tool = Tool::function("divide", "Divides.", |Division { dividend, divisor }| {
    ///     if divisor == 0.0 {
    ///         return Err(ToolError::new("the divisor must not be zero"));
    ///     }
    ///     Ok(Structured(dividend / divisor))
    /// });
    /// ```
    pub fn function<A, R>(
        name: &str,
        description: &str,
        function: impl Fn(A) -> Result<R, ToolError> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema,
        R: IntoReply,
    {
        let action = Action::immediate(move |call, reply| function(call.parse()?)?.into_reply(reply));
        Self::returning::<A, R>(name, description, action)
    }

    /// A tool that waits for something. It runs on the shard: it must not block between its awaits.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mcpring::tools::Tool;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Wait {
    ///     seconds: u32,
    /// }
    ///
    /// let tool = Tool::asynchronous("wait", "Waits.", |wait: Wait, context| async move {
    ///     context.sleep(Duration::from_secs(wait.seconds.into())).await;
    ///     Ok("done")
    /// });
    /// ```
    pub fn asynchronous<A, F, R>(
        name: &str,
        description: &str,
        function: impl Fn(A, Context) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema,
        F: Future<Output = Result<R, ToolError>> + 'static,
        R: IntoReply,
    {
        let action = Action::deferred(move |call, context| {
            let running = function(call.parse()?, context);
            Ok(async move {
                let mut reply = Reply::new();
                running.await?.into_reply(&mut reply)?;
                Ok(reply)
            })
        });
        Self::returning::<A, R>(name, description, action)
    }

    /// A tool that computes for long, reads files or calls code that blocks: it runs on a thread of its own kind.
    /// When all threads are busy and enough calls wait for one, a call is refused.
    ///
    /// ```
    /// use mcpring::tools::{Tool, ToolError};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Read {
    ///     entry: u32,
    /// }
    ///
    /// let tool = Tool::blocking("host", "Reads a line of /etc/hosts.", |read: Read, context| {
    ///     let hosts = std::fs::read_to_string("/etc/hosts").map_err(|error| ToolError::new(error.to_string()))?;
    ///     if context.is_cancelled() {
    ///         return Err(ToolError::new("cancelled"));
    ///     }
    ///     let line = hosts.lines().nth(read.entry as usize);
    ///     Ok(line.unwrap_or("there is no such line").to_owned())
    /// });
    /// ```
    pub fn blocking<A, R>(
        name: &str,
        description: &str,
        function: impl Fn(A, &BlockingContext) -> Result<R, ToolError> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: IntoReply,
    {
        let function = Arc::new(function);
        let action = Action::deferred(move |call, context| {
            let arguments: A = call.parse()?;
            let function = function.clone();
            Ok(async move {
                let blocking = context.blocking();
                let work = move || {
                    let mut reply = Reply::new();
                    function(arguments, &blocking)?.into_reply(&mut reply)?;
                    Ok(reply)
                };
                context.offload(work).await?
            })
        });
        Self::returning::<A, R>(name, description, action)
    }

    fn returning<A: JsonSchema, R: IntoReply>(name: &str, description: &str, action: Action) -> Self {
        let mut tool = Self::new::<A>(name, description, action);
        tool.may_have_structure = R::MAY_HAVE_STRUCTURE;
        match R::output_schema() {
            Some(schema) => tool.output_schema(schema),
            None => tool,
        }
    }
}
