//! Whether the reader of a stream may still have it: a stream lives longer than a key may.
//! Never: a message to somebody whose key was taken away or is past its time.
//! Next: `attached`, which asks before it reads.

use super::attached::Attachment;
use crate::pipeline::authorize::find_resource;
use crate::pipeline::hub::key::Key;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;

impl Attachment {
    /// Asks anew after a reload; otherwise compares one number.
    pub(super) fn is_entitled(&mut self, listener: &Listener, turn: &mut Turn<'_>) -> bool {
        // A request that was let in is answered; it does not last.
        if self.remote.is_none() && turn.work.hub.is_for_answers(self.stream) {
            return true;
        }
        let snapshot = turn.snapshot;
        if self.generation != snapshot.generation {
            let Some(principal) = snapshot.keys.find_again(&self.caller.principal, listener, turn.now) else {
                return false;
            };
            narrow(self.stream, principal.roles, turn);
            self.caller.principal = principal;
            self.generation = snapshot.generation;
        }
        turn.now.unix_s() < self.caller.principal.expires_at_s
    }
}

/// The reader's roles may be others now; what they do not allow to read is not told of any more.
pub(super) fn narrow(stream: Key, roles: u64, turn: &mut Turn<'_>) {
    let snapshot = turn.snapshot;
    let may_read = |uri: &str| find_resource(&snapshot.policy, &snapshot.registry, roles, uri).is_some();
    turn.work.hub.narrow(stream, may_read);
}
