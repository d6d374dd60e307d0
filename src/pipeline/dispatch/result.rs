//! What answers look like in each era, written straight into the body.
//! Next: `respond`, which puts a head in front of them.

use crate::pipeline::envelope::Request;
use crate::pipeline::snapshot::{Server, Snapshot};
use crate::tools::Kind;
use crate::wire::json::encode::{encode_integer, encode_str};
use crate::wire::jsonrpc::{Id, encode_result_start};
use crate::wire::mcp::{Era, LIST_TTL_MS, Revision};

/// Whether a tool's content tells of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsError {
    /// It failed.
    Yes,
    /// It did not.
    No,
}

/// Opens `{"jsonrpc":…,"result":{` with what every result of the era begins with.
fn open(out: &mut Vec<u8>, id: Id<'_>, revision: Revision) {
    encode_result_start(out, id);
    match revision.era() {
        // MCP 2026-07-28, results: resultType is required.
        Era::Modern => out.extend_from_slice(b"{\"resultType\":\"complete\""),
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
fn encode_hints(out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"ttlMs\":");
    encode_integer(out, LIST_TTL_MS);
    out.extend_from_slice(b",\"cacheScope\":\"private\"");
}

/// The answer to `server/discover`.
pub fn encode_discover(out: &mut Vec<u8>, request: &Request<'_, '_>, snapshot: &Snapshot) {
    open(out, request.id, request.revision);
    out.extend_from_slice(b",\"supportedVersions\":[");
    for (at, revision) in Revision::MODERN.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode_str(out, revision.name());
    }
    out.extend_from_slice(b"],\"capabilities\":{\"tools\":{}}");
    encode_instructions(out, &snapshot.server);
    encode_hints(out);
    close(out, request.revision, snapshot);
}

/// The answer to `tools/list`: what the caller may call, in the order of registration.
pub fn encode_tools(out: &mut Vec<u8>, request: &Request<'_, '_>, snapshot: &Snapshot, roles: u64) {
    open(out, request.id, request.revision);
    if request.revision.era() == Era::Modern {
        out.push(b',');
    }
    out.extend_from_slice(b"\"tools\":[");
    let mut is_first = true;
    for entry in snapshot.registry.entries(Kind::Tools) {
        if !snapshot.policy.allows_tool(roles, entry.index) {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        out.extend_from_slice(entry.listing);
    }
    out.push(b']');
    if request.revision.era() == Era::Modern {
        encode_hints(out);
    }
    close(out, request.revision, snapshot);
}

/// The answer to the legacy handshake.
pub fn encode_initialize(out: &mut Vec<u8>, request: &Request<'_, '_>, snapshot: &Snapshot) {
    open(out, request.id, request.revision);
    out.extend_from_slice(b"\"protocolVersion\":");
    encode_str(out, request.revision.name());
    out.extend_from_slice(b",\"capabilities\":{\"tools\":{}},\"serverInfo\":");
    snapshot.server.encode_info(out);
    encode_instructions(out, &snapshot.server);
    close(out, request.revision, snapshot);
}

/// An answer that says nothing.
pub fn encode_empty(out: &mut Vec<u8>, request: &Request<'_, '_>) {
    encode_result_start(out, request.id);
    out.extend_from_slice(b"{}}");
}

/// The answer to `tools/call`. `content` is the blocks, separated by commas.
pub fn encode_content(
    out: &mut Vec<u8>,
    id: Id<'_>,
    revision: Revision,
    snapshot: &Snapshot,
    content: &[u8],
    is_error: IsError,
) {
    open(out, id, revision);
    if revision.era() == Era::Modern {
        out.push(b',');
    }
    out.extend_from_slice(b"\"content\":[");
    out.extend_from_slice(content);
    out.extend_from_slice(match is_error {
        IsError::Yes => b"],\"isError\":true".as_slice(),
        IsError::No => b"],\"isError\":false".as_slice(),
    });
    close(out, revision, snapshot);
}
