//! What a call runs: a function that answers at once, or one that starts a future.
//! Every kind of thing a server offers (tool, resource, prompt, completion) is one of these two over [`Call`] and [`Reply`].
//! Next: `call` for what goes in, `reply` for what comes out.

use std::future::Future;
use std::pin::Pin;

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

impl Action {
    pub(super) fn immediate(
        function: impl Fn(&Call<'_>, &mut Reply) -> Result<(), ToolError> + Send + Sync + 'static,
    ) -> Self {
        Self::Immediate(Box::new(function))
    }

    pub(super) fn deferred<F>(
        start: impl Fn(&Call<'_>, Context) -> Result<F, ToolError> + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Reply, ToolError>> + 'static,
    {
        Self::Deferred(Box::new(move |call, context| Ok(Box::pin(start(call, context)?))))
    }
}
