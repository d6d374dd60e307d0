//! Tasks: calls that a client asks after instead of waiting for. A task lives on the shard that runs it and is forgotten
//! when its time is up, finished or not.
//! Never: a task shown to another principal; an id that can be guessed.
//! Next: `job.rs`, which moves a task on.

use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Hub;
use super::key::{Key, Owner};
use super::listen::Change;
use super::parcel::{Parcel, TaskOperation, TaskRequest, Then};
use super::stream::{Event, EventKind};
use crate::pipeline::event::Count;
use crate::pipeline::respond::{Refusal, encode_refusal};
use crate::pipeline::turn::Now;
use crate::tools::Context;
use crate::wire::json::encode::{encode_integer, encode_str};
use crate::wire::jsonrpc::encode_result_start;

/// How often a client is asked to look. Milliseconds.
const POLL_INTERVAL_MS: u64 = 500;

/// Where a task stands.
///
/// ```text
///  Working <--answered, asked--> InputRequired
///     \--result--> Completed   \--error--> Failed   \--tasks/cancel--> Cancelled
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// How a task ended, as JSON.
pub enum TaskEnd {
    /// With a result, also one that tells of a tool's failure.
    Completed(Vec<u8>),
    /// With a JSON-RPC error object.
    Failed(Vec<u8>),
}

/// One task.
pub(super) struct Task {
    nonce: u128,
    principal: [u8; 16],
    status: Status,
    created_unix_ms: u64,
    updated_unix_ms: u64,
    expires_ms: u64,
    ttl_ms: u64,
    /// Open questions: key and request as JSON.
    questions: Vec<(Box<str>, Vec<u8>)>,
    /// The member that tells the end.
    end: Option<(&'static str, Vec<u8>)>,
    context: Context,
}

impl Task {
    /// Appends the members that every view of a task has, separated by commas.
    fn encode_members(&self, out: &mut Vec<u8>, key: Key) {
        out.extend_from_slice(b"\"taskId\":");
        encode_str(out, &key.encode());
        out.extend_from_slice(b",\"status\":");
        encode_str(out, self.status.name());
        out.extend_from_slice(b",\"createdAt\":");
        encode_str(out, &rfc3339(self.created_unix_ms));
        out.extend_from_slice(b",\"lastUpdatedAt\":");
        encode_str(out, &rfc3339(self.updated_unix_ms));
        out.extend_from_slice(b",\"ttlMs\":");
        encode_integer(out, self.ttl_ms);
        out.extend_from_slice(b",\"pollIntervalMs\":");
        encode_integer(out, POLL_INTERVAL_MS);
    }

    /// The same with what the present status adds.
    fn encode_details(&self, out: &mut Vec<u8>, key: Key) {
        self.encode_members(out, key);
        if self.status == Status::InputRequired {
            out.extend_from_slice(b",\"inputRequests\":{");
            for (at, (name, request)) in self.questions.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                encode_str(out, name);
                out.push(b':');
                out.extend_from_slice(request);
            }
            out.push(b'}');
        }
        if let Some((member, value)) = &self.end {
            out.push(b',');
            encode_str(out, member);
            out.push(b':');
            out.extend_from_slice(value);
        }
    }
}

fn rfc3339(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(0);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

impl Hub {
    /// Makes a task; nothing when there are too many. Those that are over make room.
    pub(in crate::pipeline) fn create_task(
        &mut self,
        owner: Owner,
        context: Context,
        ttl_ms: u64,
        nonce: u128,
        now: Now,
    ) -> Option<Key> {
        if self.tasks.len() >= self.bounds.tasks_max {
            let over = self.tasks.iter().filter(|(_, task)| task.status.is_terminal());
            let Some((oldest, _)) = over.min_by_key(|(_, task)| task.updated_unix_ms) else {
                self.events.count(Count::HubFull);
                return None;
            };
            self.tasks.remove(oldest);
        }
        let slot = self.tasks.insert(Task {
            nonce,
            principal: owner.principal,
            status: Status::Working,
            created_unix_ms: now.unix_ms,
            updated_unix_ms: now.unix_ms,
            expires_ms: now.ms.saturating_add(ttl_ms),
            ttl_ms,
            questions: Vec::new(),
            end: None,
            context,
        });
        Some(self.key(slot, nonce))
    }

    /// Appends the members of a new task as the answer to the call that made it.
    pub(in crate::pipeline) fn encode_task(&mut self, out: &mut Vec<u8>, key: Key) {
        if let Some(task) = self.task(key) {
            task.encode_members(out, key);
        }
    }

    fn task(&mut self, key: Key) -> Option<&mut Task> {
        let task = self.tasks.get_mut(usize::try_from(key.slot).ok()?)?;
        (key.shard == self.shard && task.nonce == key.nonce).then_some(task)
    }

    /// The task's tool asks its client something.
    pub(in crate::pipeline) fn task_asks(&mut self, key: Key, name: Box<str>, request: Vec<u8>, now: Now) {
        let Some(task) = self.task(key).filter(|task| !task.status.is_terminal()) else { return };
        task.questions.push((name, request));
        task.status = Status::InputRequired;
        self.task_changed(key, now);
    }

    /// The task's tool has ended.
    pub(in crate::pipeline) fn task_ends(&mut self, key: Key, end: TaskEnd, now: Now) {
        let Some(task) = self.task(key).filter(|task| !task.status.is_terminal()) else { return };
        task.questions.clear();
        (task.status, task.end) = match end {
            TaskEnd::Completed(result) => (Status::Completed, Some(("result", result))),
            TaskEnd::Failed(error) => (Status::Failed, Some(("error", error))),
        };
        self.task_changed(key, now);
    }

    fn task_changed(&mut self, key: Key, now: Now) {
        let Some(task) = self.task(key) else { return };
        task.updated_unix_ms = now.unix_ms;
        let mut members = Vec::new();
        task.encode_details(&mut members, key);
        let change = Change::Task { task: key, principal: task.principal, members: Arc::from(members) };
        self.tell(&change, now);
        self.broadcast(&Parcel::Change(change));
    }

    /// Takes a request about a task to the shard that keeps it; the answer comes to the stream `to`.
    pub(in crate::pipeline) fn ask_task(&mut self, request: TaskRequest, ending: &[u8], now: Now) {
        if request.task.shard == self.shard {
            self.task_request(request, ending, now);
        } else if request.task.shard < self.shards {
            self.send(request.task.shard, Parcel::Task(request));
        } else {
            self.answer_task(&request, None, ending, now);
        }
    }

    pub(super) fn task_request(&mut self, request: TaskRequest, ending: &[u8], now: Now) {
        let mut members = Vec::new();
        let is_known = match self.task(request.task).filter(|task| task.principal == request.principal) {
            None => false,
            Some(task) => {
                if let TaskOperation::Show = request.operation {
                    members.push(b',');
                    task.encode_details(&mut members, request.task);
                }
                true
            }
        };
        match &request.operation {
            TaskOperation::Update(answers) if is_known => self.update_task(request.task, answers, now),
            TaskOperation::Cancel if is_known => self.cancel_task(request.task, now),
            TaskOperation::Show | TaskOperation::Update(_) | TaskOperation::Cancel => {}
        }
        self.answer_task(&request, is_known.then_some(members), ending, now);
    }

    /// Unknown keys and keys that have been answered are ignored.
    fn update_task(&mut self, key: Key, answers: &[(String, Vec<u8>)], now: Now) {
        let Some(task) = self.task(key) else { return };
        let before = task.questions.len();
        for (name, answer) in answers {
            if let Some(at) = task.questions.iter().position(|(open, _)| **open == **name) {
                task.questions.remove(at);
                task.context.answer(name, Ok(answer.clone()));
            }
        }
        if task.questions.len() == before {
            return;
        }
        if task.questions.is_empty() && task.status == Status::InputRequired {
            task.status = Status::Working;
        }
        self.task_changed(key, now);
    }

    fn cancel_task(&mut self, key: Key, now: Now) {
        let Some(task) = self.task(key).filter(|task| !task.status.is_terminal()) else { return };
        task.status = Status::Cancelled;
        task.questions.clear();
        task.context.cancel();
        self.task_changed(key, now);
    }

    fn answer_task(&mut self, request: &TaskRequest, members: Option<Vec<u8>>, ending: &[u8], now: Now) {
        let mut bytes = Vec::new();
        match members {
            Some(members) => {
                encode_result_start(&mut bytes, request.id.as_id());
                bytes.extend_from_slice(b"{\"resultType\":\"complete\"");
                bytes.extend_from_slice(&members);
                bytes.extend_from_slice(ending);
            }
            None => encode_refusal(&mut bytes, &Refusal::UnknownTask, Some(request.id.as_id())),
        }
        let kind = EventKind::Answer { status: 200 };
        if request.to.shard == self.shard {
            self.push(request.to, kind, bytes, now);
        } else {
            let events = vec![Event { seq: 1, kind, bytes }];
            let from = request.to;
            self.send(
                request.to.shard,
                Parcel::Events { to: request.to, from, after: 0, events, then: Then::Over },
            );
        }
    }

    pub(super) fn expire_tasks(&mut self, now: Now) {
        self.tasks.retain(|_, task| {
            let is_kept = now.ms < task.expires_ms;
            if !is_kept {
                task.context.cancel();
            }
            is_kept
        });
    }
}
