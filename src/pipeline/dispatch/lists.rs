//! What there is, page by page: tools, resources, templates, prompts, each as far as the caller may use it.
//! A cursor is a sealed place in one caller's list, so it can be checked and tells nothing.
//! Never: an entry the caller may not use, a cursor of another list or caller.
//! Next: `result`.

use super::{Visitor, result};
use crate::pipeline::authenticate::Principal;
use crate::pipeline::authorize::Occasion;
use crate::pipeline::envelope::Request;
use crate::pipeline::respond::Refusal;
use crate::pipeline::seal::{Sealed, principal_digest};
use crate::pipeline::turn::Turn;
use crate::tools::registry::Kind;
use crate::wire::json::Value;

/// Longest cursor that is looked at. Bytes; ours have 71.
const CURSOR_BYTES_MAX: usize = 128;

/// The word for a kind in a cursor, and the member of a result that holds the list.
fn words(kind: Kind) -> (u8, &'static str) {
    match kind {
        Kind::Tools => (1, "tools"),
        Kind::Resources => (2, "resources"),
        Kind::Templates => (3, "resourceTemplates"),
        Kind::Prompts => (4, "prompts"),
    }
}

/// Writes one page into the turn's body.
///
/// # Errors
/// When the cursor is not one of ours for this list and caller, or when this server has nothing of the kind.
pub(super) fn page(
    request: &Request<'_, '_>,
    kind: Kind,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<(), Refusal<'static>> {
    let (snapshot, principal) = (turn.snapshot, visitor.principal);
    if !result::offers(&snapshot.registry, kind) {
        return Err(Refusal::MethodNotFound(request.revision.era()));
    }
    let after = match request.params.and_then(|params| params.member("cursor")) {
        None => None,
        Some(cursor) => Some(open_cursor(cursor, kind, principal, turn)?),
    };
    let rights = snapshot.policy.rights(visitor.asker(turn.now), Occasion::Prospect);
    let known = result::output_known(request.revision);
    let out = &mut turn.work.body;
    result::open_list(out, request, words(kind).1);
    let (mut shown, mut last, mut is_more) = (0, 0, false);
    for entry in snapshot.registry.entries(kind) {
        if after.is_some_and(|after| entry.ordinal <= after)
            || !rights.shows_entry(kind, entry.index, entry.name)
        {
            continue;
        }
        if shown == snapshot.limits.page_size {
            is_more = true;
            break;
        }
        if shown > 0 {
            out.push(b',');
        }
        shown += 1;
        last = entry.ordinal;
        out.extend_from_slice(entry.listing.json(known));
    }
    let cursor = if is_more { Some(seal_cursor(last, kind, principal, turn)?) } else { None };
    result::close_list(&mut turn.work.body, request, cursor.as_deref(), snapshot);
    Ok(())
}

fn seal_cursor(
    ordinal: u64,
    kind: Kind,
    principal: &Principal,
    turn: &mut Turn<'_>,
) -> Result<String, Refusal<'static>> {
    let mut plain = vec![words(kind).0];
    plain.extend_from_slice(&ordinal.to_be_bytes());
    plain.extend_from_slice(&principal_digest(&principal.id));
    let mut nonce = [0; 12];
    (turn.work.entropy)(&mut nonce);
    turn.snapshot.sealer.seal_bytes(Sealed::Cursor, plain, nonce).ok_or(Refusal::Internal)
}

fn open_cursor(
    cursor: Value<'_, '_>,
    kind: Kind,
    principal: &Principal,
    turn: &Turn<'_>,
) -> Result<u64, Refusal<'static>> {
    const UNKNOWN: Refusal<'static> = Refusal::Params("unknown cursor");
    let text = cursor.as_str().filter(|text| text.len() <= CURSOR_BYTES_MAX).ok_or(UNKNOWN)?;
    let plain = turn.snapshot.sealer.open_bytes(Sealed::Cursor, text.as_bytes()).ok_or(UNKNOWN)?;
    let (ordinal, owner) =
        plain.strip_prefix(&[words(kind).0]).and_then(|rest| rest.split_first_chunk::<8>()).ok_or(UNKNOWN)?;
    (owner == principal_digest(&principal.id)).then_some(u64::from_be_bytes(*ordinal)).ok_or(UNKNOWN)
}
