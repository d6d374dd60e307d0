//! What a client does with a legacy session beside asking: reads its stream, answers questions, gives up, ends it.
//! Never: a session of another principal, an ended one, or one past its time.
//! Next: `attached`, the reader of streams.

use super::message::sessions;
use super::note::Known;
use super::{Connection, listener_of};
use crate::pipeline::envelope::Envelope;
use crate::pipeline::event::Count;
use crate::pipeline::framing::Caller;
use crate::pipeline::headers::Headers;
use crate::pipeline::hub::key::{EventId, Key, Owner};
use crate::pipeline::respond::{self, Refusal};
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::json::Value;
use crate::wire::jsonrpc::{Id, Outcome, OwnedId};
use crate::wire::mcp::session::Claims;
use crate::wire::mcp::{Era, Method};

/// Longest error message that is taken from a client. Bytes.
const ERROR_BYTES_MAX: usize = 1024;

/// When the session is over, Unix seconds.
fn expiry_of(claims: &Claims, turn: &Turn<'_>) -> u64 {
    claims.end_s(turn.snapshot.limits.session_ttl.as_secs())
}

fn owner_of(claims: &Claims) -> Owner {
    Owner { principal: claims.principal, session: claims.nonce }
}

impl Connection {
    /// GET: the session's stream, or the rest of one that was cut.
    pub(super) fn read_session(&mut self, headers: &Headers<'_>, caller: Caller, turn: &mut Turn<'_>) {
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        let claims = match self.session_of(headers, &caller, turn) {
            Ok(claims) => claims,
            Err(refusal) => return self.refuse_session(&refusal, &caller, listener, turn),
        };
        // MCP 2025-11-25, Streamable HTTP: Last-Event-ID names a stream of this session and a place in it. What is no id
        // of ours is ignored, as if the client had none.
        let resume =
            headers.last_event_id.and_then(|id| std::str::from_utf8(id).ok()).and_then(EventId::decode);
        turn.count(Count::EnvelopeDecoded);
        if !self.attach_session(owner_of(&claims), claims, resume, caller.clone(), turn) {
            self.refuse_session(&Refusal::Overloaded, &caller, listener, turn);
        }
        self.read_until(expiry_of(&claims, turn));
    }

    /// DELETE: the session is over, on every shard, until its id would have expired anyway.
    pub(super) fn end_session(&mut self, headers: &Headers<'_>, caller: &Caller, turn: &mut Turn<'_>) {
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        match self.session_of(headers, caller, turn) {
            Ok(claims) => {
                turn.count(Count::EnvelopeDecoded);
                // As long as any configuration could let it live.
                turn.work.spent.end_session(claims.nonce, claims.expires_at_s, turn.now.unix_s());
                turn.work.hub.end_session(owner_of(&claims));
                respond::answer_empty(turn, listener, 204, caller.exchange, &[]);
                self.answered(caller.exchange, turn);
            }
            Err(refusal) => self.refuse_session(&refusal, caller, listener, turn),
        }
    }

    fn session_of(
        &self,
        headers: &Headers<'_>,
        caller: &Caller,
        turn: &Turn<'_>,
    ) -> Result<Claims, Refusal<'static>> {
        if headers.protocol_version.is_some() && headers.revision().is_none() {
            return Err(Refusal::HeaderMismatch("MCP-Protocol-Version is not served here"));
        }
        debug_assert!(headers.era() == Era::Legacy, "framing lets no modern GET or DELETE in");
        sessions(turn).open(headers, &caller.principal)
    }

    fn refuse_session(
        &mut self,
        refusal: &Refusal<'_>,
        caller: &Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        turn.count(Count::EnvelopeRefused);
        let row = respond::refuse(turn, listener, caller.exchange, refusal, None);
        self.note(turn, listener, row, Known { principal: Some(&caller.principal.id), ..Known::default() });
        self.answered(caller.exchange, turn);
    }

    /// A message that wants no answer.
    pub(super) fn take_note(&mut self, message: Envelope<'_, '_>, turn: &mut Turn<'_>) {
        match message {
            Envelope::Request(_) => {}
            Envelope::Response { id, outcome, session } => {
                let question = match id {
                    Id::Text(text) => Key::decode(text),
                    Id::Integer(_) => None,
                };
                // An answer to nothing we asked, or one that comes too late, is forgotten.
                if let Some(question) = question {
                    turn.work.hub.deliver_answer(question, owner_of(&session), answer_of(outcome));
                }
            }
            Envelope::Notification(notification) => {
                let id = notification.params.and_then(|params| params.member("requestId")).and_then(id_of);
                let (Some(Method::Cancelled), Some(id)) = (notification.method, id) else { return };
                if let Some(channel) = &mut self.channel {
                    channel.cancel(&id, turn);
                }
                if let Some(session) = notification.session {
                    turn.work.hub.deliver_cancel(owner_of(&session), id);
                }
            }
        }
    }
}

fn id_of(value: Value<'_, '_>) -> Option<OwnedId> {
    match (value.as_str(), value.as_integer()) {
        (Some(text), _) => Some(OwnedId::Text(text.into())),
        (None, Some(number)) => Some(OwnedId::Integer(number)),
        (None, None) => None,
    }
}

fn answer_of(outcome: Outcome<'_, '_>) -> Result<Vec<u8>, (i64, String)> {
    match outcome {
        Outcome::Result(result) => {
            let mut bytes = Vec::new();
            result.encode(&mut bytes);
            Ok(bytes)
        }
        Outcome::Error(error) => {
            let code =
                error.member("code").and_then(Value::as_integer).and_then(|code| i64::try_from(code).ok());
            let message = error.member("message").and_then(Value::as_str).unwrap_or_default();
            let end = message.floor_char_boundary(ERROR_BYTES_MAX);
            Err((code.unwrap_or_default(), message.get(..end).unwrap_or_default().to_owned()))
        }
    }
}
