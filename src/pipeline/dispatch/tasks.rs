//! `tasks/get`, `tasks/update`, `tasks/cancel`: the answer comes from the shard that keeps the task.
//! Never: a word about a task to anybody but the principal that made it.
//! Next: `hub/task.rs`.

use super::{Dispatched, Visitor, result};
use crate::pipeline::envelope::Request;
use crate::pipeline::hub::key::Key;
use crate::pipeline::hub::parcel::{TaskOperation, TaskRequest};
use crate::pipeline::respond::Refusal;
use crate::pipeline::turn::Turn;
use crate::tools::Capability;
use crate::wire::json::Value;
use crate::wire::mcp::Method;

/// Answers a task may be given at once.
const ANSWERS_MAX: usize = 32;

pub(super) fn ask<'i>(
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    // MCP tasks extension: a client that has not declared it is told so, whatever it asks.
    if !request.capabilities.has(Capability::Tasks) {
        return Err(Refusal::MissingCapability(Capability::Tasks));
    }
    if !result::has_tasks(&turn.snapshot.registry) {
        return Err(Refusal::MethodNotFound(request.revision.era()));
    }
    let member = |name| request.params.and_then(|params| params.member(name));
    let id = member("taskId").and_then(Value::as_str).ok_or(Refusal::Params("taskId must be a string"))?;
    let task = Key::decode(id).ok_or(Refusal::UnknownTask)?;
    let operation = if request.method == Method::TasksUpdate {
        let responses = member("inputResponses").filter(|responses| responses.is_object());
        let responses = responses.ok_or(Refusal::Params("inputResponses must be an object"))?;
        let answers = responses.members().take(ANSWERS_MAX).map(|(key, value)| {
            let mut answer = Vec::new();
            value.encode(&mut answer);
            (key.to_owned(), answer)
        });
        TaskOperation::Update(answers.collect())
    } else if request.method == Method::TasksCancel {
        TaskOperation::Cancel
    } else {
        debug_assert!(request.method == Method::TasksGet, "dispatch sends three methods here");
        TaskOperation::Show
    };
    let (owner, nonce, now) = (visitor.owner(request), turn.nonce(), turn.now);
    let to = turn.work.hub.mirror(owner, nonce, now).ok_or(Refusal::Overloaded)?;
    let asked = TaskRequest { task, principal: owner.principal, id: request.id.into(), operation, to };
    turn.work.hub.ask_task(asked, &turn.snapshot.modern_ending, now);
    Ok(Dispatched::Awaiting(to))
}
