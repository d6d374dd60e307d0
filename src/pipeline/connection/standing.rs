//! Whether the reader of a stream may still have it: a stream lives longer than a key may.
//! Never: a message to somebody whose key was taken away or is past its time.
//! Next: `attached`, which asks before it reads.

use std::sync::Arc;

use super::attached::Attachment;
use super::form::Ids;
use crate::pipeline::authorize::{Asker, Occasion, find_resource};
use crate::pipeline::hub::key::Key;
use crate::pipeline::peer::Peer;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::tools::registry::Kind;

impl Attachment {
    /// Asks anew after a reload; otherwise compares one number.
    pub(super) fn is_entitled(&mut self, peer: Peer, listener: &Listener, turn: &mut Turn<'_>) -> bool {
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
            let asker = Asker { principal: &principal, peer, listener, now: turn.now };
            match self.ids() {
                Ids::Introduced => turn.work.hub.refocus(self.stream, readable(asker, turn)),
                Ids::None | Ids::Sent | Ids::Primed => narrow(self.stream, asker, turn),
            }
            self.caller.principal = principal;
            self.generation = snapshot.generation;
        }
        turn.now.unix_s() < self.caller.principal.expires_at_s
    }
}

/// Everything that is listed and that may be read.
pub(super) fn readable(asker: Asker<'_>, turn: &Turn<'_>) -> Vec<Arc<str>> {
    let rights = turn.snapshot.policy.rights(asker, Occasion::Prospect);
    let listed = turn.snapshot.registry.resources().enumerate();
    listed
        .filter(|(index, resource)| rights.allows_entry(Kind::Resources, *index, resource.uri()))
        .map(|(_, resource)| resource.uri().into())
        .collect()
}

/// The reader's roles may be others now; what they do not allow to read is not told of any more.
pub(super) fn narrow(stream: Key, asker: Asker<'_>, turn: &mut Turn<'_>) {
    let snapshot = turn.snapshot;
    let rights = snapshot.policy.rights(asker, Occasion::Prospect);
    let may_read = |uri: &str| find_resource(&rights, &snapshot.registry, uri).is_some();
    turn.work.hub.narrow(stream, may_read);
}
