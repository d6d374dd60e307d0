//! The stage that runs what was asked: a method of the protocol, or a tool.
//! A tool's panic or delay is its own: it is answered with an error and the connection lives.
//! Never: a caller that was not authorized; a tool found by anything but the body.
//! Next: `running` for tools that take their time, `result` for what answers look like.

pub mod result;
pub mod running;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::authenticate::Principal;
use super::authorize::Target;
use super::envelope::Request;
use super::event::Count;
use super::respond::Refusal;
use super::seal::principal_digest;
use super::turn::Turn;
use crate::tools::action::Action;
use crate::tools::call::Subject;
use crate::tools::context::Client;
use crate::tools::{Call, Capabilities, Context, Reply, ToolError};
use crate::wire::jsonrpc::Id;
use crate::wire::mcp::session::Claims;
use crate::wire::mcp::{Method, Revision};

use result::IsError;
use running::RunningCall;

/// What came of a request.
pub enum Dispatched {
    /// The turn's body holds the answer.
    Answered,
    /// The turn's body holds the answer to a handshake, whose session id goes into the head.
    Session(String),
    /// A tool runs; it is polled in later turns.
    Running(Box<RunningCall>),
}

/// Runs an authorized request.
///
/// # Errors
/// The refusal to answer instead.
pub fn dispatch(
    request: &Request<'_, '_>,
    target: Target,
    principal: &Principal,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'static>> {
    match (request.method, target) {
        (_, Target::Tool(tool)) => call(request, tool, principal, turn),
        (Method::Discover, Target::Method) => {
            result::encode_discover(&mut turn.work.body, request, turn.snapshot);
            Ok(Dispatched::Answered)
        }
        (Method::ToolsList, Target::Method) => {
            // One page holds all tools, so no cursor of ours exists.
            if request.params.and_then(|params| params.member("cursor")).is_some() {
                return Err(Refusal::Params("unknown cursor"));
            }
            result::encode_tools(&mut turn.work.body, request, turn.snapshot, principal.roles);
            Ok(Dispatched::Answered)
        }
        (Method::Initialize, Target::Method) => initialize(request, principal, turn),
        (Method::Ping, Target::Method) => {
            result::encode_empty(&mut turn.work.body, request);
            Ok(Dispatched::Answered)
        }
        (Method::Initialized | Method::Cancelled | Method::ToolsCall, Target::Method) => {
            Err(Refusal::MethodNotFound)
        }
    }
}

/// The legacy handshake: the session is sealed into its id.
fn initialize(
    request: &Request<'_, '_>,
    principal: &Principal,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'static>> {
    let (mut nonce, mut seal_nonce) = ([0; 16], [0; 12]);
    (turn.work.entropy)(&mut nonce);
    (turn.work.entropy)(&mut seal_nonce);
    let claims = Claims {
        revision: request.revision,
        issued_at_s: turn.now.unix_s(),
        shard: turn.work.shard,
        principal: principal_digest(&principal.id),
        nonce,
    };
    let session = turn.snapshot.sealer.seal(&claims, seal_nonce).ok_or(Refusal::Internal)?;
    result::encode_initialize(&mut turn.work.body, request, turn.snapshot);
    Ok(Dispatched::Session(session))
}

fn call(
    request: &Request<'_, '_>,
    tool: usize,
    principal: &Principal,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'static>> {
    let snapshot = turn.snapshot;
    let tool = snapshot.registry.tool(tool).ok_or(Refusal::UnknownTool)?;
    let arguments = request.params.and_then(|params| params.member("arguments"));
    if arguments.is_some_and(|arguments| !arguments.is_object()) {
        return Err(Refusal::Params("arguments must be an object"));
    }
    if let Err(invalid) = tool.validate(arguments) {
        let outcome = Err(CallFailure::Tool(ToolError::new(format!("invalid arguments: {invalid}"))));
        return conclude(outcome, request.id, request.revision, turn).map(|()| Dispatched::Answered);
    }
    let outcome = match tool.action() {
        Action::Immediate(function) => {
            let mut reply = Reply::with_memory(std::mem::take(&mut turn.work.content));
            let call = Call::new(arguments, &turn.work.spare, &principal.id, turn.now.unix_ms, Subject::Tool);
            match catch_unwind(AssertUnwindSafe(|| function(&call, &mut reply))) {
                Ok(Ok(())) => Ok(reply),
                Ok(Err(error)) => Err(CallFailure::Tool(error)),
                Err(_) => Err(CallFailure::Panicked),
            }
        }
        Action::Deferred(start) => {
            let context = Context::new(
                principal.id.clone(),
                turn.now.ms,
                Client {
                    capabilities: Capabilities::default(),
                    log_level: None,
                    wants_progress: request.progress_token.is_some(),
                    offload: std::sync::Arc::new(|_| false),
                },
            );
            let call = Call::new(arguments, &turn.work.spare, &principal.id, turn.now.unix_ms, Subject::Tool);
            match catch_unwind(AssertUnwindSafe(|| start(&call, context.clone()))) {
                Ok(Ok(future)) => {
                    let running = RunningCall::new(future, context, request, tool.shared_name(), turn);
                    return Ok(Dispatched::Running(Box::new(running)));
                }
                Ok(Err(error)) => Err(CallFailure::Tool(error)),
                Err(_) => Err(CallFailure::Panicked),
            }
        }
    };
    conclude(outcome, request.id, request.revision, turn).map(|()| Dispatched::Answered)
}

/// Why a tool gave no reply.
#[derive(Debug)]
pub enum CallFailure {
    /// It said so; the model reads why.
    Tool(ToolError),
    /// It panicked.
    Panicked,
    /// It ran past `request_timeout`.
    TimedOut,
}

/// Writes a finished call's answer into the turn's body.
///
/// # Errors
/// The refusal to answer instead.
pub fn conclude(
    outcome: Result<Reply, CallFailure>,
    id: Id<'_>,
    revision: Revision,
    turn: &mut Turn<'_>,
) -> Result<(), Refusal<'static>> {
    match outcome {
        Ok(reply) => {
            turn.count(Count::DispatchCompleted);
            let content = reply.into_memory();
            result::encode_content(&mut turn.work.body, id, revision, turn.snapshot, &content, IsError::No);
            turn.work.content = content;
            Ok(())
        }
        Err(CallFailure::Tool(error)) => {
            turn.count(Count::DispatchFailed);
            let mut reply = Reply::with_memory(std::mem::take(&mut turn.work.content));
            reply.text(error.message());
            let content = reply.into_memory();
            result::encode_content(&mut turn.work.body, id, revision, turn.snapshot, &content, IsError::Yes);
            turn.work.content = content;
            Ok(())
        }
        Err(CallFailure::Panicked) => {
            turn.count(Count::DispatchPanicked);
            Err(Refusal::Internal)
        }
        Err(CallFailure::TimedOut) => {
            turn.count(Count::DispatchTimedOut);
            Err(Refusal::TimedOut)
        }
    }
}
