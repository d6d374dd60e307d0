//! Who is calling, asked in one place for every way in: first whether the address may still try, then who its credential
//! names. A peer without an address is not counted: who may open its socket is the operator's word already.
//! Never: a credential looked at while its address is held off, unless this very connection was let in with it before.
//! Next: `pipeline/failing.rs`, the table.

use super::{Connection, memory};
use crate::pipeline::authenticate::tokens::Flaw;
use crate::pipeline::authenticate::{Method, Principal, Unknown, identify};
use crate::pipeline::event::Count;
use crate::pipeline::failing::Noted;
use crate::pipeline::peer::Peer;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;

impl Connection {
    /// Says whose credential this is.
    ///
    /// # Errors
    /// Why that is not known.
    pub(super) fn know(
        &mut self,
        shown: Result<&[u8], Unknown>,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) -> Result<Principal, Unknown> {
        let (snapshot, now) = (turn.snapshot, turn.now);
        let (rules, now_s) = (&snapshot.limits.failures, now.unix_s());
        let failing = &turn.work.failing;
        // Nobody guesses without a credential: a client that asks what is wanted has not failed.
        let address = match self.peer {
            Peer::Network(address) if shown != Err(Unknown::Missing) => Some(address.ip()),
            Peer::Network(_) | Peer::Local => None,
        };
        if let Some(held_s) = address.and_then(|address| failing.hold(address, rules, now_s))
            && !shown.is_ok_and(|shown| self.remembered.knows(shown, snapshot.generation, now))
        {
            turn.count(Count::AuthenticateHeldOff);
            return Err(Unknown::HeldOff { retry_after_ms: held_s.saturating_mul(1000) });
        }
        let certificate = self.client.as_ref().map(|client| client.certificate());
        let memory = memory(&mut self.remembered, certificate, turn.work);
        let known = identify(snapshot, listener, shown, now, memory);
        let Some(address) = address else { return known };
        let failing = &turn.work.failing;
        match &known {
            // What let it in was not what it has shown.
            Ok(principal) if matches!(principal.facts.method, Method::Anonymous | Method::Certificate) => {}
            Ok(_) => failing.forgive(address, now_s),
            Err(why) if !is_guess(*why) => {}
            Err(_) => match failing.note(address, rules, now_s) {
                Noted::Counted => {}
                Noted::Blocked => turn.count(Count::AuthenticateBlocked),
            },
        }
        known
    }
}

/// Whether it may be a guess. What held once and has run out is none, and of a token whose key is not known here yet
/// nobody can say: an issuer that changes its keys must not have the addresses of its clients blocked.
fn is_guess(why: Unknown) -> bool {
    match why {
        Unknown::Missing | Unknown::Expired | Unknown::HeldOff { .. } => false,
        Unknown::Token(flaw) => {
            !matches!(flaw, Flaw::Expired | Flaw::TooOld | Flaw::NotYet | Flaw::NoSuchKey)
        }
        Unknown::Ambiguous | Unknown::Malformed | Unknown::NoSuchKey => true,
    }
}
