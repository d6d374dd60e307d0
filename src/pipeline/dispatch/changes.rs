//! `subscriptions/listen`: a stream of the changes a modern client asks to be told of.
//! Never: a change of something the caller may not read; more subscriptions than a principal may have.
//! Next: `hub/listen.rs`, which words the changes.

use std::sync::Arc;

use super::result::offers;
use super::{Dispatched, Visitor};
use crate::pipeline::authorize::{Occasion, find_resource};
use crate::pipeline::envelope::Request;
use crate::pipeline::framing::Delivery;
use crate::pipeline::hub::key::Key;
use crate::pipeline::hub::listen::{LISTEN_NAMES_MAX, Listen, Lists, URI_BYTES_MAX};
use crate::pipeline::hub::stream::{EventKind, Role};
use crate::pipeline::respond::Refusal;
use crate::pipeline::turn::Turn;
use crate::tools::Capability;
use crate::tools::registry::Kind;
use crate::wire::json::Value;

/// Opens the stream; its first message says what is honoured.
pub(super) fn listen<'i>(
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let filter = request.params.and_then(|params| params.member("notifications"));
    let filter = filter.filter(|filter| filter.is_object());
    let filter = filter.ok_or(Refusal::Params("notifications must be an object"))?;
    if visitor.delivery == Delivery::Json {
        return Err(Refusal::Accept);
    }
    let tasks = names(filter, "taskIds")?;
    if filter.member("taskIds").is_some() && !request.capabilities.has(Capability::Tasks) {
        return Err(Refusal::MissingCapability(Capability::Tasks));
    }
    let registry = &turn.snapshot.registry;
    let wants = |name| filter.member(name).and_then(Value::as_bool) == Some(true);
    let lists = Lists {
        tools: wants("toolsListChanged") && offers(registry, Kind::Tools),
        prompts: wants("promptsListChanged") && offers(registry, Kind::Prompts),
        resources: wants("resourcesListChanged") && offers(registry, Kind::Resources),
    };
    let rights = turn.snapshot.policy.rights(visitor.asker(turn.now), Occasion::Prospect);
    let may_read = |uri: &&str| find_resource(&rights, registry, uri).is_some();
    let resources = names(filter, "resourceSubscriptions")?.into_iter().filter(may_read);
    let listen = Listen {
        id: request.id.into(),
        lists,
        resources: resources.map(Arc::from).collect(),
        tasks: tasks.into_iter().filter_map(Key::decode).collect(),
    };
    let acknowledged = listen.encode_acknowledged();
    let (owner, nonce, now) = (visitor.owner(request), turn.nonce(), turn.now);
    let most = turn.snapshot.limits.listens_per_principal_max;
    if turn.work.hub.listens(owner) >= most {
        return Err(Refusal::TooManyStreams);
    }
    let opened = turn.work.hub.open(owner, Role::Listen(listen), 1, nonce, now);
    let stream = opened.ok_or(Refusal::Overloaded)?;
    turn.work.hub.push(stream, EventKind::Notification, acknowledged, now);
    Ok(Dispatched::Awaiting(stream))
}

/// A list of strings, each once.
fn names<'i>(filter: Value<'_, 'i>, name: &'static str) -> Result<Vec<&'i str>, Refusal<'static>> {
    let Some(list) = filter.member(name) else { return Ok(Vec::new()) };
    if !list.is_array() {
        return Err(Refusal::Params("a list of names must be an array"));
    }
    let mut names = Vec::new();
    for value in list.elements() {
        let text = value.as_str().ok_or(Refusal::Params("a name must be a string"))?;
        if text.len() > URI_BYTES_MAX {
            return Err(Refusal::Params("a name is too long to be subscribed to"));
        }
        if !names.contains(&text) {
            names.push(text);
        }
        if names.len() > LISTEN_NAMES_MAX {
            return Err(Refusal::Params("too many names in one subscription"));
        }
    }
    Ok(names)
}
