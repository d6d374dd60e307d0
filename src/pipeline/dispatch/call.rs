//! Running a handler: its arguments checked, its context made, its outcome concluded at once or left to a job.
//! Never: a handler that sees arguments its schema refuses, or a question its client can not answer.
//! Next: `job.rs`, which carries on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::conclude::{ANSWERED, CallFailure, Subject, conclude};
use super::retry::{self, Reuse};
use super::{Dispatched, Visitor, result};
use crate::pipeline::authorize::{Occasion, Target};
use crate::pipeline::envelope::Request;
use crate::pipeline::event::Count;
use crate::pipeline::framing::Delivery;
use crate::pipeline::job::{Job, Origin, Started};
use crate::pipeline::respond::{Refusal, encode_refusal};
use crate::pipeline::snapshot::millis;
use crate::pipeline::turn::Turn;
use crate::tools::action::Action;
use crate::tools::call::Subject as CallSubject;
use crate::tools::context::Client;
use crate::tools::registry::Kind;
use crate::tools::{Call, Capabilities, Capability, Context, Reply, TaskSupport, Tool};
use crate::wire::json::Value;
use crate::wire::mcp::{Era, name};

/// Whether the client may be asked by an answer that it then repeats its request with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounds {
    One,
    Many(Reuse),
}

/// What is run, and with what.
struct Work<'w> {
    action: &'w Action,
    arguments: Option<Value<'w, 'w>>,
    call: CallSubject<'w>,
    subject: Subject<'w>,
    rounds: Rounds,
}

/// `tools/call`
pub(super) fn call<'i>(
    request: &Request<'_, 'i>,
    target: Target,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let snapshot = turn.snapshot;
    let Target::Tool(index) = target else { return Err(Refusal::UnknownTool) };
    let tool = snapshot.registry.tool(index).ok_or(Refusal::UnknownTool)?;
    let arguments = request.params.and_then(|params| params.member("arguments"));
    if arguments.is_some_and(|arguments| !arguments.is_object()) {
        return Err(Refusal::Params("arguments must be an object"));
    }
    let is_modern = request.revision.era() == Era::Modern;
    // MCP 2026-07-28: a client that can not do what the tool needs is told before anything else.
    let mut needed = tool.required_capabilities();
    if is_modern && tool.task_support() == TaskSupport::Required {
        needed = needed.with(Capability::Tasks);
    }
    if let Some(capability) = needed.without(capabilities(request, visitor)).iter().next() {
        return match request.revision.era() {
            Era::Modern => Err(Refusal::MissingCapability(capability)),
            Era::Legacy => {
                Ok(in_words(&format!("the client does not offer {}", capability.name()), request, turn))
            }
        };
    }
    if is_modern && !visitor.headers.are_absent() {
        parameters_match(tool, arguments, visitor)?;
    }
    // MCP 2026-07-28, tools: what the model can mend is told in a result it reads.
    if let Err(faults) = tool.validate(arguments) {
        turn.count(Count::DispatchInvalid);
        return Ok(in_words(&format!("invalid arguments: {faults}"), request, turn));
    }
    let reuse = if tool.is_single_use() { Reuse::Refused } else { Reuse::Allowed };
    let work = Work {
        action: tool.action(),
        arguments,
        call: CallSubject::Tool,
        subject: Subject { registry: &snapshot.registry, target, uri: None },
        rounds: Rounds::Many(reuse),
    };
    let is_task =
        is_modern && tool.task_support() != TaskSupport::Never && request.capabilities.has(Capability::Tasks);
    if is_task {
        return as_task(work, tool.asks_first(), request, visitor, turn);
    }
    run(work, request, visitor, turn)
}

/// `resources/read`
pub(super) fn read<'i>(
    request: &Request<'_, 'i>,
    target: Target,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let snapshot = turn.snapshot;
    let registry = &snapshot.registry;
    let uri = request.params.and_then(|params| params.member("uri")).and_then(Value::as_str);
    let uri = uri.ok_or(Refusal::Params("uri must be a string"))?;
    let missing = Refusal::ResourceNotFound { uri, era: request.revision.era() };
    let (action, variables) = match target {
        Target::Resource(index) => (registry.resource(index).ok_or(missing)?.action(), Vec::new()),
        Target::Template(index) => {
            let (found, template, variables) = registry.find_template(uri).ok_or(missing)?;
            if found != index {
                return Err(missing);
            }
            (template.action(), variables)
        }
        Target::Method | Target::Tool(_) | Target::Prompt(_) => return Err(missing),
    };
    let work = Work {
        action,
        arguments: None,
        call: CallSubject::Resource { uri, variables: &variables },
        subject: Subject { registry, target, uri: Some(uri) },
        rounds: Rounds::Many(Reuse::Allowed),
    };
    run(work, request, visitor, turn)
}

/// `prompts/get`
pub(super) fn get<'i>(
    request: &Request<'_, 'i>,
    target: Target,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let snapshot = turn.snapshot;
    let Target::Prompt(index) = target else { return Err(Refusal::UnknownPrompt) };
    let prompt = snapshot.registry.prompt(index).ok_or(Refusal::UnknownPrompt)?;
    let arguments = request.params.and_then(|params| params.member("arguments"));
    if arguments.is_some_and(|arguments| !arguments.is_object()) {
        return Err(Refusal::Params("arguments must be an object"));
    }
    let is_given = |name: &str| arguments.and_then(|arguments| arguments.member(name)).is_some();
    if let Some(missing) = prompt.missing_argument(is_given) {
        // Answered here: the words do not live as long as the request.
        let message = format!("argument {missing:?} is required");
        let refusal = Refusal::Argument { message: &message };
        encode_refusal(&mut turn.work.body, &refusal, Some(request.id));
        return Ok(Dispatched::Answered(refusal.row()));
    }
    let work = Work {
        action: prompt.action(),
        arguments,
        call: CallSubject::Prompt,
        subject: Subject { registry: &snapshot.registry, target, uri: None },
        rounds: Rounds::Many(Reuse::Allowed),
    };
    run(work, request, visitor, turn)
}

/// `completion/complete`: values for an argument of a prompt or template that the caller may use.
pub(super) fn complete<'i>(
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let snapshot = turn.snapshot;
    let registry = &snapshot.registry;
    if !registry.has_completers() {
        return Err(Refusal::MethodNotFound(request.revision.era()));
    }
    let member = |name| request.params.and_then(|params| params.member(name));
    let text = |value: Option<Value<'_, 'i>>, name| {
        value.and_then(|value| value.member(name)).and_then(Value::as_str)
    };
    let (reference, argument) = (member("ref"), member("argument"));
    let name = text(argument, "name").ok_or(Refusal::Params("argument.name must be a string"))?;
    let value = text(argument, "value").ok_or(Refusal::Params("argument.value must be a string"))?;
    let rights = snapshot.policy.rights(visitor.asker(turn.now), Occasion::Prospect);
    let action = match text(reference, "type") {
        Some("ref/prompt") => {
            let name_of = text(reference, "name").ok_or(Refusal::Params("ref.name must be a string"))?;
            let found = registry.find_prompt(name_of);
            let found = found.filter(|(index, _)| rights.allows_entry(Kind::Prompts, *index, name_of));
            found.ok_or(Refusal::UnknownPrompt)?.1.completer(name)
        }
        Some("ref/resource") => {
            let uri = text(reference, "uri").ok_or(Refusal::Params("ref.uri must be a string"))?;
            let found = registry.find_template_text(uri);
            let found = found.filter(|(index, _)| rights.allows_entry(Kind::Templates, *index, uri));
            found.ok_or(Refusal::Params("there is no such resource template"))?.1.completer(name)
        }
        Some(_) | None => return Err(Refusal::Params("ref.type must be ref/prompt or ref/resource")),
    };
    let Some(action) = action else {
        // An argument that nobody completes has no proposals.
        let reply = Reply::new();
        let (id, revision) = (request.id, request.revision);
        let shape = result::Shape::Completion;
        result::encode_reply(&mut turn.work.body, id, revision, snapshot, shape, &reply, result::IsError::No);
        turn.count(Count::DispatchCompleted);
        return Ok(Dispatched::Answered(ANSWERED));
    };
    let work = Work {
        action,
        arguments: member("context").and_then(|context| context.member("arguments")),
        call: CallSubject::Completion { value },
        subject: Subject { registry, target: Target::Method, uri: None },
        rounds: Rounds::One,
    };
    run(work, request, visitor, turn)
}

/// What the client can be asked on this request.
fn capabilities(request: &Request<'_, '_>, visitor: &Visitor<'_>) -> Capabilities {
    match (request.revision.era(), visitor.delivery) {
        // A legacy question is a message on the answer's stream.
        (Era::Legacy, Delivery::Json) => Capabilities::default(),
        (Era::Legacy, Delivery::JsonOrStream | Delivery::Stream) | (Era::Modern, _) => request.capabilities,
    }
}

/// MCP 2026-07-28, Streamable HTTP: arguments that a header repeats must be repeated truly.
fn parameters_match(
    tool: &Tool,
    arguments: Option<Value<'_, '_>>,
    visitor: &Visitor<'_>,
) -> Result<(), Refusal<'static>> {
    for parameter in tool.parameter_headers() {
        let path = parameter.path.iter();
        let value = path.fold(arguments, |value, key| value.and_then(|value| value.member(key)));
        let value = value.filter(|value| !value.is_null());
        let header = visitor.headers.parameter(&parameter.name);
        match (value, header) {
            (None, None) => {}
            (None, Some(_)) => {
                return Err(Refusal::HeaderMismatch("an Mcp-Param header repeats no argument"));
            }
            (Some(_), None) => return Err(Refusal::HeaderMismatch("an Mcp-Param header is missing")),
            (Some(value), Some(header)) => {
                if !name::matches_value(header, value) {
                    return Err(Refusal::HeaderMismatch("an Mcp-Param header differs from the body"));
                }
            }
        }
    }
    Ok(())
}

fn in_words(message: &str, request: &Request<'_, '_>, turn: &mut Turn<'_>) -> Dispatched {
    let mut reply = Reply::with_memory(std::mem::take(&mut turn.work.content));
    reply.text(message);
    let (shape, out) = (result::Shape::Tool, &mut turn.work.body);
    result::encode_reply(
        out,
        request.id,
        request.revision,
        turn.snapshot,
        shape,
        &reply,
        result::IsError::Yes,
    );
    turn.work.content = reply.into_memory();
    turn.count(Count::DispatchFailed);
    Dispatched::Answered(ANSWERED)
}

fn run<'i>(
    work: Work<'_>,
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let call =
        Call::new(work.arguments, &turn.work.spare, &visitor.principal.id, turn.now.unix_ms, work.call);
    match work.action {
        Action::Immediate(function) => {
            let mut reply = Reply::with_memory(std::mem::take(&mut turn.work.content));
            let outcome = match catch_unwind(AssertUnwindSafe(|| function(&call, &mut reply))) {
                Ok(Ok(())) => Ok(reply),
                Ok(Err(error)) => Err(CallFailure::Tool(error)),
                Err(_) => Err(CallFailure::Panicked),
            };
            let row = conclude(outcome, request.id, request.revision, work.subject, turn);
            Ok(Dispatched::Answered(row))
        }
        Action::Deferred(_) => match prepare(work, request, visitor, turn)? {
            Prepared::Job(job) => Ok(match job.start(turn) {
                Started::Answered(row) => Dispatched::Answered(row),
                Started::Running(job) => Dispatched::Running(job),
            }),
            Prepared::Answered(row) => Ok(row),
        },
    }
}

enum Prepared {
    Job(Box<Job>),
    Answered(Dispatched),
}

/// Makes the context and starts the handler; its future has not been polled.
fn prepare<'i>(
    work: Work<'_>,
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Prepared, Refusal<'i>> {
    let Action::Deferred(start) = work.action else { return Err(Refusal::Internal) };
    let can_stream = visitor.delivery != Delivery::Json;
    let context = Context::new(
        visitor.principal.id.clone(),
        turn.now.ms,
        Client {
            capabilities: capabilities(request, visitor),
            log_level: match request.session {
                _ if !can_stream => None,
                Some(claims) => Some(turn.work.hub.level(claims.nonce)),
                None => request.log_level,
            },
            wants_progress: can_stream && request.progress_token.is_some(),
            offload: turn.work.offload.clone(),
        },
    );
    let binding = match (work.rounds, request.revision.era()) {
        (Rounds::Many(reuse), Era::Modern) => {
            let binding = retry::bind(request, &visitor.principal.id, reuse);
            if let Some(brought) = retry::open(request, &binding, turn)? {
                brought.preload(&context);
            }
            Some(binding)
        }
        (Rounds::One, _) | (Rounds::Many(_), Era::Legacy) => None,
    };
    let call =
        Call::new(work.arguments, &turn.work.spare, &visitor.principal.id, turn.now.unix_ms, work.call);
    let failure = match catch_unwind(AssertUnwindSafe(|| start(&call, context.clone()))) {
        Ok(Ok(future)) => {
            let origin = origin(request, work.subject, visitor, turn);
            let job = Job::new(future, context, origin, work.subject.keep(), binding, turn);
            return Ok(Prepared::Job(Box::new(job)));
        }
        Ok(Err(error)) => CallFailure::Tool(error),
        Err(_) => CallFailure::Panicked,
    };
    let row = conclude(Err(failure), request.id, request.revision, work.subject, turn);
    Ok(Prepared::Answered(Dispatched::Answered(row)))
}

fn origin(request: &Request<'_, '_>, subject: Subject<'_>, visitor: &Visitor<'_>, turn: &Turn<'_>) -> Origin {
    let tool = match subject.target {
        Target::Tool(tool) => subject.registry.tool(tool).map(Tool::shared_name),
        Target::Method | Target::Resource(_) | Target::Template(_) | Target::Prompt(_) => None,
    };
    Origin {
        id: request.id.into(),
        revision: request.revision,
        token: request.progress_token.map(Into::into),
        method: request.method.name(),
        tool,
        principal: visitor.principal.id.clone(),
        owner: visitor.owner(request),
        peer: visitor.peer,
        listener: visitor.listener.name.clone(),
        started_ms: turn.now.ms,
    }
}

/// A call whose client asks after it. One that asks first is answered like any other until it stops asking.
fn as_task<'i>(
    work: Work<'_>,
    asks_first: bool,
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    if let Action::Immediate(_) = work.action {
        return run(work, request, visitor, turn);
    }
    let job = match prepare(work, request, visitor, turn)? {
        Prepared::Job(job) => job,
        Prepared::Answered(answered) => return Ok(answered),
    };
    let mut job = if asks_first {
        match job.start(turn) {
            Started::Answered(row) => return Ok(Dispatched::Answered(row)),
            Started::Running(job) => job,
        }
    } else {
        job
    };
    let ttl_ms = millis(turn.snapshot.limits.task_ttl);
    let (nonce, owner, now) = (turn.nonce(), visitor.owner(request), turn.now);
    let context = job.context().clone();
    let task = turn.work.hub.create_task(owner, context, ttl_ms, nonce, now).ok_or(Refusal::Overloaded)?;
    job.become_task(task, now.ms.saturating_add(ttl_ms));
    job.set_off(turn);
    let mut members = Vec::new();
    turn.work.hub.encode_task(&mut members, task);
    result::encode_task(&mut turn.work.body, request.id, &members, turn.snapshot);
    turn.count(Count::DispatchCompleted);
    Ok(Dispatched::Answered(ANSWERED))
}
