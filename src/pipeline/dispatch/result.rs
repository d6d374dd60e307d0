//! What results look like in each era, written straight into the body.
//! Next: `content`, what of it an old revision knows; `respond`, which puts a head in front of them.

use super::content;
use crate::pipeline::envelope::Request;
use crate::pipeline::snapshot::{Server, Snapshot};
use std::time::Duration;

use crate::tools::registry::Kind;
use crate::tools::{CacheScope, OutputKnown, Registry, Reply, TaskSupport};
use crate::wire::json::encode::{encode_integer, encode_str};
use crate::wire::jsonrpc::{Id, encode_result_start};
use crate::wire::mcp::meta::TASKS_EXTENSION;
use crate::wire::mcp::{Era, LIST_TTL, Revision};

/// Whether a tool's content tells of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsError {
    /// It failed.
    Yes,
    /// It did not.
    No,
}

/// What a reply is the answer to.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `tools/call`
    Tool,
    /// `resources/read`, with what caches may do.
    Resource(Option<(Duration, CacheScope)>),
    /// `prompts/get`
    Prompt,
    /// `completion/complete`
    Completion,
}

/// Opens `{"jsonrpc":…,"result":{` with what every result of the era begins with, and a comma if need be.
fn open(out: &mut Vec<u8>, id: Id<'_>, revision: Revision) {
    encode_result_start(out, id);
    match revision.era() {
        // MCP 2026-07-28, results: resultType is required.
        Era::Modern => out.extend_from_slice(b"{\"resultType\":\"complete\","),
        Era::Legacy => out.push(b'{'),
    }
}

/// Closes what [`open`] opened; modern results end with who answered.
fn close(out: &mut Vec<u8>, revision: Revision, snapshot: &Snapshot) {
    match revision.era() {
        Era::Modern => out.extend_from_slice(&snapshot.modern_ending),
        Era::Legacy => out.extend_from_slice(b"}}"),
    }
}

fn encode_instructions(out: &mut Vec<u8>, server: &Server) {
    if let Some(instructions) = &server.instructions {
        out.extend_from_slice(b",\"instructions\":");
        encode_str(out, instructions);
    }
}

/// MCP 2026-07-28, caching hints. What a caller sees depends on its roles, so no cache may share it.
fn encode_hints(out: &mut Vec<u8>, (lifetime, scope): (Duration, CacheScope)) {
    out.extend_from_slice(b",\"ttlMs\":");
    encode_integer(out, u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX));
    out.extend_from_slice(match scope {
        CacheScope::Private => b",\"cacheScope\":\"private\"".as_slice(),
        CacheScope::Public => b",\"cacheScope\":\"public\"".as_slice(),
    });
}

/// Of lists and of the server's description.
const LIST_HINTS: (Duration, CacheScope) = (LIST_TTL, CacheScope::Private);
/// Of resources that say nothing themselves: stale at once.
const READ_HINTS: (Duration, CacheScope) = (Duration::ZERO, CacheScope::Private);

/// Whether there is anything of the kind. Resources and their templates are one capability.
// MCP 2026-07-28, server/discover: what is not advertised does not exist.
pub(super) fn offers(registry: &Registry, kind: Kind) -> bool {
    match kind {
        Kind::Tools | Kind::Prompts => registry.count(kind) > 0,
        Kind::Resources | Kind::Templates => {
            registry.count(Kind::Resources) + registry.count(Kind::Templates) > 0
        }
    }
}

/// Whether a call of some tool may become a task.
pub(super) fn has_tasks(registry: &Registry) -> bool {
    registry.tools().any(|tool| tool.task_support() != TaskSupport::Never)
}

/// What the server can do, as far as it has something to do it with.
fn encode_capabilities(out: &mut Vec<u8>, snapshot: &Snapshot, era: Era) {
    let registry = &snapshot.registry;
    out.extend_from_slice(b"{\"logging\":{}");
    if offers(registry, Kind::Tools) {
        out.extend_from_slice(b",\"tools\":{\"listChanged\":true}");
    }
    if offers(registry, Kind::Resources) {
        out.extend_from_slice(b",\"resources\":{\"subscribe\":true,\"listChanged\":true}");
    }
    if offers(registry, Kind::Prompts) {
        out.extend_from_slice(b",\"prompts\":{\"listChanged\":true}");
    }
    if registry.has_completers() {
        out.extend_from_slice(b",\"completions\":{}");
    }
    if era == Era::Modern && has_tasks(registry) {
        out.extend_from_slice(b",\"extensions\":{");
        encode_str(out, TASKS_EXTENSION);
        out.extend_from_slice(b":{}}");
    }
    out.push(b'}');
}

/// The answer to `server/discover`.
pub fn encode_discover(out: &mut Vec<u8>, request: &Request<'_, '_>, snapshot: &Snapshot) {
    open(out, request.id, request.revision);
    out.extend_from_slice(b"\"supportedVersions\":[");
    for (at, revision) in Revision::MODERN.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode_str(out, revision.name());
    }
    out.extend_from_slice(b"],\"capabilities\":");
    encode_capabilities(out, snapshot, Era::Modern);
    encode_instructions(out, &snapshot.server);
    encode_hints(out, LIST_HINTS);
    close(out, request.revision, snapshot);
}

/// The answer to the legacy handshake.
pub fn encode_initialize(out: &mut Vec<u8>, request: &Request<'_, '_>, snapshot: &Snapshot) {
    open(out, request.id, request.revision);
    out.extend_from_slice(b"\"protocolVersion\":");
    encode_str(out, request.revision.name());
    out.extend_from_slice(b",\"capabilities\":");
    encode_capabilities(out, snapshot, Era::Legacy);
    out.extend_from_slice(b",\"serverInfo\":");
    snapshot.server.encode_info(out);
    encode_instructions(out, &snapshot.server);
    close(out, request.revision, snapshot);
}

/// Opens a list of that name.
pub(super) fn open_list(out: &mut Vec<u8>, request: &Request<'_, '_>, name: &str) {
    open(out, request.id, request.revision);
    encode_str(out, name);
    out.extend_from_slice(b":[");
}

/// Closes a list; with a cursor there is more.
pub(super) fn close_list(
    out: &mut Vec<u8>,
    request: &Request<'_, '_>,
    cursor: Option<&str>,
    snapshot: &Snapshot,
) {
    out.push(b']');
    if let Some(cursor) = cursor {
        out.extend_from_slice(b",\"nextCursor\":");
        encode_str(out, cursor);
    }
    if request.revision.era() == Era::Modern {
        encode_hints(out, LIST_HINTS);
    }
    close(out, request.revision, snapshot);
}

/// An answer that says nothing.
pub fn encode_empty(out: &mut Vec<u8>, request: &Request<'_, '_>) {
    encode_result_start(out, request.id);
    out.extend_from_slice(b"{}}");
}

/// Opens the answer of a call that asks, up to its questions.
pub(super) fn open_input_required(out: &mut Vec<u8>, id: Id<'_>) {
    encode_result_start(out, id);
    out.extend_from_slice(b"{\"resultType\":\"input_required\",\"inputRequests\":{");
}

/// The answer of a call that became a task; `members` are the task's.
pub(super) fn encode_task(out: &mut Vec<u8>, id: Id<'_>, members: &[u8], snapshot: &Snapshot) {
    encode_result_start(out, id);
    out.extend_from_slice(b"{\"resultType\":\"task\",");
    out.extend_from_slice(members);
    out.extend_from_slice(&snapshot.modern_ending);
}

/// The answer that a handler's reply makes.
pub fn encode_reply(
    out: &mut Vec<u8>,
    id: Id<'_>,
    revision: Revision,
    snapshot: &Snapshot,
    shape: Shape,
    reply: &Reply,
    is_error: IsError,
) {
    open(out, id, revision);
    match shape {
        Shape::Tool => encode_tool(out, revision, reply, is_error),
        Shape::Resource(hints) => {
            out.extend_from_slice(b"\"contents\":[");
            out.extend_from_slice(reply.items());
            out.push(b']');
            if revision.era() == Era::Modern {
                encode_hints(out, hints.unwrap_or(READ_HINTS));
            }
        }
        Shape::Prompt => {
            if let Some(description) = reply.description() {
                out.extend_from_slice(b"\"description\":");
                encode_str(out, description);
                out.push(b',');
            }
            out.extend_from_slice(b"\"messages\":[");
            out.extend_from_slice(&content::known(reply.items(), revision));
            out.push(b']');
        }
        Shape::Completion => {
            out.extend_from_slice(b"\"completion\":{\"values\":[");
            out.extend_from_slice(reply.items());
            out.push(b']');
            if let Some(total) = reply.total() {
                out.extend_from_slice(b",\"total\":");
                encode_integer(out, total);
            }
            if let Some(has_more) = reply.has_more() {
                out.extend_from_slice(if has_more { b",\"hasMore\":true" } else { b",\"hasMore\":false" });
            }
            out.push(b'}');
        }
    }
    close(out, revision, snapshot);
}

/// The result of a task, which is kept as it is.
pub(super) fn encode_task_result(out: &mut Vec<u8>, revision: Revision, reply: &Reply, is_error: IsError) {
    out.extend_from_slice(b"{\"resultType\":\"complete\",");
    encode_tool(out, revision, reply, is_error);
    out.push(b'}');
}

fn encode_tool(out: &mut Vec<u8>, revision: Revision, reply: &Reply, is_error: IsError) {
    out.extend_from_slice(b"\"content\":[");
    out.extend_from_slice(&content::known(reply.items(), revision));
    out.push(b']');
    if let Some(structured) = reply.structured_json().filter(|structured| is_shown(structured, revision)) {
        out.extend_from_slice(b",\"structuredContent\":");
        out.extend_from_slice(structured);
    }
    out.extend_from_slice(match is_error {
        IsError::Yes => b",\"isError\":true".as_slice(),
        IsError::No => b",\"isError\":false".as_slice(),
    });
}

fn is_shown(structured: &[u8], revision: Revision) -> bool {
    match output_known(revision) {
        OutputKnown::None => false,
        OutputKnown::Objects => structured.first() == Some(&b'{'),
        OutputKnown::All => true,
    }
}

/// MCP 2025-06-18 brought structured output and its schemas, of objects; 2026-07-28 allows any value.
pub(super) fn output_known(revision: Revision) -> OutputKnown {
    match revision {
        Revision::V20241105 | Revision::V20250326 => OutputKnown::None,
        Revision::V20250618 | Revision::V20251125 => OutputKnown::Objects,
        Revision::V20260728 => OutputKnown::All,
    }
}
