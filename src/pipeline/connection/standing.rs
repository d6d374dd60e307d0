//! Whether the reader of a stream may still have it: a stream lives longer than a key may.
//! Never: a message to somebody whose key was taken away or is past its time.
//! Next: `attached`, which asks before it reads.

use std::sync::Arc;

use super::attached::Attachment;
use super::form::Ids;
use crate::pipeline::authorize::find_resource;
use crate::pipeline::hub::key::Key;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::tools::registry::Kind;

impl Attachment {
    /// Asks anew after a reload; otherwise compares one number.
    pub(super) fn is_entitled(&mut self, listener: &Listener, turn: &mut Turn<'_>) -> bool {
        // A request that was let in is answered; it does not last.
        if self.remote.is_none() && turn.work.hub.is_for_answers(self.stream) {
            return true;
        }
        let snapshot = turn.snapshot;
        if self.generation != snapshot.generation {
            let Some(principal) = snapshot.identities.find_again(&self.caller.principal, listener, turn.now)
            else {
                return false;
            };
            match self.ids() {
                Ids::Introduced => turn.work.hub.refocus(self.stream, readable(principal.roles, turn)),
                Ids::None | Ids::Sent | Ids::Primed => narrow(self.stream, principal.roles, turn),
            }
            self.caller.principal = principal;
            self.generation = snapshot.generation;
        }
        turn.now.unix_s() < self.caller.principal.expires_at_s
    }
}

/// Everything that is listed and that may be read with these roles.
pub(super) fn readable(roles: u64, turn: &Turn<'_>) -> Vec<Arc<str>> {
    let (policy, registry) = (&turn.snapshot.policy, &turn.snapshot.registry);
    let listed = registry.resources().enumerate();
    listed
        .filter(|(index, _)| policy.allows_entry(roles, Kind::Resources, *index))
        .map(|(_, resource)| resource.uri().into())
        .collect()
}

/// The reader's roles may be others now; what they do not allow to read is not told of any more.
pub(super) fn narrow(stream: Key, roles: u64, turn: &mut Turn<'_>) {
    let snapshot = turn.snapshot;
    let may_read = |uri: &str| find_resource(&snapshot.policy, &snapshot.registry, roles, uri).is_some();
    turn.work.hub.narrow(stream, may_read);
}
