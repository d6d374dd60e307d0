//! What only the legacy era has: the handshake, the session's log level and its subscriptions.
//! Next: `seal`, which makes the session id, and `hub/session.rs`, which keeps the rest.

use super::conclude::ANSWERED;
use super::{Dispatched, Visitor, result};
use crate::pipeline::authenticate::Principal;
use crate::pipeline::authorize::{Occasion, find_resource};
use crate::pipeline::envelope::Request;
use crate::pipeline::hub::listen::URI_BYTES_MAX;
use crate::pipeline::respond::Refusal;
use crate::pipeline::seal::principal_digest;
use crate::pipeline::turn::Turn;
use crate::tools::LogLevel;
use crate::wire::json::Value;
use crate::wire::mcp::Method;
use crate::wire::mcp::session::Claims;

/// The handshake: the session is sealed into its id.
pub(super) fn initialize<'i>(
    request: &Request<'_, 'i>,
    principal: &Principal,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let (mut nonce, mut seal_nonce) = ([0; 16], [0; 12]);
    (turn.work.entropy)(&mut nonce);
    (turn.work.entropy)(&mut seal_nonce);
    let claims = Claims {
        revision: request.revision,
        issued_at_s: turn.now.unix_s(),
        expires_at_s: turn.now.unix_s().saturating_add(turn.snapshot.limits.session_ttl.as_secs()),
        shard: turn.work.shard,
        capabilities: request.capabilities.bits(),
        principal: principal_digest(&principal.id),
        nonce,
    };
    let session = turn.snapshot.sealer.seal(&claims, seal_nonce).ok_or(Refusal::Internal)?;
    result::encode_initialize(&mut turn.work.body, request, turn.snapshot);
    Ok(Dispatched::Session(session))
}

/// `logging/setLevel`
pub(super) fn set_level<'i>(
    request: &Request<'_, 'i>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let level = request.params.and_then(|params| params.member("level")).and_then(Value::as_str);
    let level = level.and_then(LogLevel::decode).ok_or(Refusal::Params("level must name a log level"))?;
    let claims = request.session.ok_or(Refusal::SessionMissing)?;
    turn.work.hub.set_level(claims.nonce, level);
    result::encode_empty(&mut turn.work.body, request);
    Ok(Dispatched::Answered(ANSWERED))
}

/// `resources/subscribe` and `resources/unsubscribe`
pub(super) fn subscribe<'i>(
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let uri = request.params.and_then(|params| params.member("uri")).and_then(Value::as_str);
    let uri = uri.ok_or(Refusal::Params("uri must be a string"))?;
    let claims = request.session.ok_or(Refusal::SessionMissing)?;
    let is_wanted = request.method == Method::Subscribe;
    if is_wanted && uri.len() > URI_BYTES_MAX {
        return Err(Refusal::Params("the uri is too long to be subscribed to"));
    }
    let rights = turn.snapshot.policy.rights(visitor.asker(turn.now), Occasion::Prospect);
    if is_wanted && find_resource(&rights, &turn.snapshot.registry, uri).is_none() {
        return Err(Refusal::ResourceNotFound { uri, era: request.revision.era() });
    }
    let (owner, nonce, now) = (visitor.owner(request), turn.nonce(), turn.now);
    if !turn.work.hub.subscribe(owner, claims.shard, uri, is_wanted, nonce, now) {
        return Err(Refusal::Overloaded);
    }
    result::encode_empty(&mut turn.work.body, request);
    Ok(Dispatched::Answered(ANSWERED))
}
