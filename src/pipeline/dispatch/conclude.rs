//! How a handler's outcome becomes an answer: a result, an error, or questions to the client.
//! Next: `result`, what results look like.

use std::sync::Arc;
use std::time::Duration;

use super::message::encode_ask;
use super::result::{self, IsError, Shape};
use super::retry::{self, Binding};
use crate::pipeline::authorize::Target;
use crate::pipeline::event::{Count, Stage};
use crate::pipeline::hub::task::TaskEnd;
use crate::pipeline::respond::{Refusal, Row, encode_error_object, encode_refusal};
use crate::pipeline::turn::Turn;
use crate::tools::ask::Ask;
use crate::tools::error::Failure;
use crate::tools::{Context, Registry, Reply, ToolError};
use crate::wire::json::encode::encode_str;
use crate::wire::jsonrpc::Id;
use crate::wire::mcp::{Era, Revision};

/// The row of an answer that is no refusal.
pub(in crate::pipeline) const ANSWERED: Row =
    Row { stage: Stage::Respond, status: 200, code: 0, reason: "answered", message: "" };

/// Why a handler gave no reply.
#[derive(Debug)]
pub(in crate::pipeline) enum CallFailure {
    /// It said so.
    Tool(ToolError),
    /// It panicked.
    Panicked,
    /// It ran past its time.
    TimedOut,
}

/// What a handler answers for. Borrowed, because all shards count their references in one place.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Subject<'s> {
    /// The registry in which it was found.
    pub(in crate::pipeline) registry: &'s Arc<Registry>,
    /// Which entry.
    pub(in crate::pipeline) target: Target,
    /// The URI that is read, if one is.
    pub(in crate::pipeline) uri: Option<&'s str>,
}

/// The same for a handler that takes its time; a reload does not change it.
pub(in crate::pipeline) struct KeptSubject {
    registry: Arc<Registry>,
    target: Target,
    uri: Option<Box<str>>,
}

impl KeptSubject {
    /// What it was kept of.
    pub(in crate::pipeline) fn subject(&self) -> Subject<'_> {
        Subject { registry: &self.registry, target: self.target, uri: self.uri.as_deref() }
    }
}

impl Subject<'_> {
    /// What outlives the request.
    pub(in crate::pipeline) fn keep(self) -> KeptSubject {
        KeptSubject { registry: self.registry.clone(), target: self.target, uri: self.uri.map(Into::into) }
    }

    /// How long it may run, if it says so itself.
    pub(in crate::pipeline) fn timeout(&self) -> Option<Duration> {
        match self.target {
            Target::Tool(tool) => self.registry.tool(tool)?.call_timeout(),
            Target::Method | Target::Resource(_) | Target::Template(_) | Target::Prompt(_) => None,
        }
    }

    fn shape(&self) -> Shape {
        match self.target {
            Target::Tool(_) => Shape::Tool,
            Target::Resource(resource) => {
                Shape::Resource(self.registry.resource(resource).and_then(|resource| resource.cache_hint()))
            }
            Target::Template(template) => {
                Shape::Resource(self.registry.template(template).and_then(|template| template.cache_hint()))
            }
            Target::Prompt(_) => Shape::Prompt,
            Target::Method => Shape::Completion,
        }
    }

    /// Checks that a tool's structured output is what its schema promises.
    fn check_promise(&self, reply: &Reply) -> Result<(), String> {
        let Target::Tool(tool) = self.target else { return Ok(()) };
        match (self.registry.tool(tool), reply.structured_json()) {
            (Some(tool), Some(structured)) => tool.validate_output(structured),
            // MCP 2025-06-18, tools: with an output schema there must be structured output, unless the tool failed.
            (Some(tool), None) if tool.output_schema_text().is_some() && !reply.is_error() => {
                Err("the tool has an output schema and gave no structured output".into())
            }
            (Some(_), None) | (None, _) => Ok(()),
        }
    }
}

/// Writes the answer into the turn's body.
pub(in crate::pipeline) fn conclude(
    outcome: Result<Reply, CallFailure>,
    id: Id<'_>,
    revision: Revision,
    subject: Subject<'_>,
    turn: &mut Turn<'_>,
) -> Row {
    match settle(outcome, revision, subject, turn) {
        Ok(Settled::Reply(reply, is_error)) => {
            let out = &mut turn.work.body;
            result::encode_reply(out, id, revision, turn.snapshot, subject.shape(), &reply, is_error);
            turn.work.content = reply.into_memory();
            ANSWERED
        }
        Ok(Settled::Error { code, message }) => {
            let refusal = failed(code, &message, turn);
            encode_refusal(&mut turn.work.body, &refusal, Some(id));
            refusal.row()
        }
        Err(refusal) => {
            encode_refusal(&mut turn.work.body, &refusal, Some(id));
            refusal.row()
        }
    }
}

/// The same for a task, whose answer is kept as a member of the task.
pub(in crate::pipeline) fn task_end(
    outcome: Result<Reply, CallFailure>,
    revision: Revision,
    subject: Subject<'_>,
    turn: &mut Turn<'_>,
) -> (Row, TaskEnd) {
    let mut out = Vec::new();
    let refusal = match settle(outcome, revision, subject, turn) {
        Ok(Settled::Reply(reply, is_error)) => {
            result::encode_task_result(&mut out, revision, &reply, is_error);
            turn.work.content = reply.into_memory();
            return (ANSWERED, TaskEnd::Completed(out));
        }
        Ok(Settled::Error { code, message }) => {
            let refusal = failed(code, &message, turn);
            encode_error_object(&mut out, &refusal);
            return (refusal.row(), TaskEnd::Failed(out));
        }
        Err(refusal) => refusal,
    };
    encode_error_object(&mut out, &refusal);
    (refusal.row(), TaskEnd::Failed(out))
}

enum Settled {
    Reply(Reply, IsError),
    Error { code: i32, message: String },
}

/// Decides between a result, an error of the handler's own words, and one of ours.
fn settle<'s>(
    outcome: Result<Reply, CallFailure>,
    revision: Revision,
    subject: Subject<'s>,
    turn: &mut Turn<'_>,
) -> Result<Settled, Refusal<'s>> {
    let failure = match outcome {
        Ok(reply) => {
            if let Err(invalid) = subject.check_promise(&reply) {
                turn.count(Count::DispatchFailed);
                // For the operator alone: the words may quote what the tool has not released.
                turn.work.events.explain(Refusal::OutputInvalid.row().reason, &invalid);
                return Err(Refusal::OutputInvalid);
            }
            let is_error = if reply.is_error() { IsError::Yes } else { IsError::No };
            turn.count(if reply.is_error() { Count::DispatchFailed } else { Count::DispatchCompleted });
            return Ok(Settled::Reply(reply, is_error));
        }
        Err(CallFailure::Panicked) => {
            turn.count(Count::DispatchPanicked);
            return Err(Refusal::Internal);
        }
        Err(CallFailure::TimedOut) => {
            turn.count(Count::DispatchTimedOut);
            return Err(Refusal::TimedOut);
        }
        Err(CallFailure::Tool(error)) => error.into_failure(),
    };
    turn.count(Count::DispatchFailed);
    let is_tool = matches!(subject.target, Target::Tool(_));
    match failure {
        Failure::Message(message) if is_tool => Ok(in_words(&message, turn)),
        Failure::Message(message) => {
            Ok(Settled::Error { code: crate::wire::jsonrpc::INTERNAL_ERROR, message })
        }
        Failure::Protocol { code, message } => Ok(Settled::Error { code, message }),
        Failure::InvalidParams(message) => {
            Ok(Settled::Error { code: crate::wire::jsonrpc::INVALID_PARAMS, message })
        }
        Failure::NotFound => Err(match &subject.uri {
            Some(uri) => Refusal::ResourceNotFound { uri, era: revision.era() },
            None => Refusal::Params("there is no such thing"),
        }),
        // The legacy eras have no code for it; the model reads why.
        Failure::MissingCapability(capability) if is_tool && revision.era() == Era::Legacy => {
            Ok(in_words(&format!("the client has not declared {}", capability.name()), turn))
        }
        Failure::MissingCapability(capability) => Err(Refusal::MissingCapability(capability)),
    }
}

/// The error of a handler's own words, which the log keeps too.
fn failed<'m>(code: i32, message: &'m str, turn: &Turn<'_>) -> Refusal<'m> {
    let refusal = Refusal::Handler { code, message };
    turn.work.events.explain(refusal.row().reason, message);
    refusal
}

fn in_words(message: &str, turn: &mut Turn<'_>) -> Settled {
    let mut reply = Reply::with_memory(std::mem::take(&mut turn.work.content));
    reply.text(message);
    Settled::Reply(reply, IsError::Yes)
}

/// Answers with what the handler asks, and with the state that has to come back.
pub(in crate::pipeline) fn input_required(
    id: Id<'_>,
    revision: Revision,
    binding: Binding,
    asks: &[(Box<str>, Ask)],
    context: &Context,
    turn: &mut Turn<'_>,
) -> Row {
    let asked = asks.iter().map(|(key, _)| String::from(key.as_ref()));
    let Some(state) = retry::seal(binding, asked, context, turn) else {
        turn.count(Count::DispatchFailed);
        encode_refusal(&mut turn.work.body, &Refusal::Internal, Some(id));
        return Refusal::Internal.row();
    };
    turn.count(Count::DispatchAsked);
    let out = &mut turn.work.body;
    result::open_input_required(out, id);
    for (at, (key, ask)) in asks.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode_str(out, key);
        out.push(b':');
        out.extend_from_slice(&encode_ask(ask, revision.era(), None));
    }
    out.extend_from_slice(b"},\"requestState\":");
    encode_str(out, &state);
    out.extend_from_slice(&turn.snapshot.modern_ending);
    ANSWERED
}
