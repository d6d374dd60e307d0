//! Multi round-trip requests: a call that asks is answered with its questions and a sealed state, and comes again with
//! both. The handler then runs from its start with what is known by then.
//! Never: a state opened for another principal, another request, or after its time; a word of it in the clear.
//! Next: `conclude`, which writes the state out.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::pipeline::envelope::Request;
use crate::pipeline::event::Count;
use crate::pipeline::respond::Refusal;
use crate::pipeline::seal::{Sealed, principal_digest};
use crate::pipeline::spent::Use;
use crate::pipeline::turn::Turn;
use crate::tools::Context;
use crate::wire::json::Value;
use crate::wire::json::encode::encode_str;

/// Longest state that is made or opened. Bytes of its text.
const STATE_BYTES_MAX: usize = 64 * 1024;
/// Answers a request may bring.
const ANSWERS_MAX: usize = 32;

/// Whether a state may be used more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pipeline) enum Reuse {
    /// Until it expires.
    Allowed,
    /// Once.
    Refused,
}

/// What ties a state to its request.
pub(in crate::pipeline) struct Binding {
    principal: [u8; 16],
    request: [u8; 32],
    reuse: Reuse,
}

#[derive(Serialize, Deserialize)]
struct State {
    expires_at_s: u64,
    principal: [u8; 16],
    request: [u8; 32],
    nonce: [u8; 16],
    reuse: Reuse,
    /// Keys that were asked for; only these are taken from the client.
    asked: Vec<String>,
    /// What is known: answers and remembered values, by the context's own keys.
    known: BTreeMap<String, Box<RawValue>>,
}

/// What a request brings from an earlier round.
pub(in crate::pipeline) struct Brought {
    known: BTreeMap<String, Box<RawValue>>,
    answers: Vec<(String, Vec<u8>)>,
}

impl Brought {
    /// Tells the context before the handler starts.
    pub(in crate::pipeline) fn preload(self, context: &Context) {
        for (key, value) in self.known {
            context.preload(key, value.get().as_bytes().to_vec());
        }
        for (key, answer) in self.answers {
            context.preload(key, answer);
        }
    }
}

/// Ties what the request asks to who asks it.
pub(in crate::pipeline) fn bind(request: &Request<'_, '_>, principal: &str, reuse: Reuse) -> Binding {
    let mut digest = Digest::new(&SHA256);
    digest.update(request.method.name().as_bytes());
    let mut bytes = Vec::new();
    for (key, value) in request.params.into_iter().flat_map(Value::members) {
        // These three differ from round to round.
        if matches!(key, "_meta" | "requestState" | "inputResponses") {
            continue;
        }
        bytes.clear();
        // As JSON, which ends where it ends: a key that looks like several members must not digest as they do.
        encode_str(&mut bytes, key);
        bytes.push(b':');
        value.encode(&mut bytes);
        digest.update(&bytes);
    }
    let mut of_request = [0; 32];
    for (to, from) in of_request.iter_mut().zip(digest.finish().as_ref()) {
        *to = *from;
    }
    Binding { principal: principal_digest(principal), request: of_request, reuse }
}

/// What the request brings from an earlier round, if it brings anything.
///
/// # Errors
/// When the state is not ours, not this caller's, not for this request, or used up; when the answers are no object.
// MCP 2026-07-28, multi round-trip requests: requestState is attacker-controlled.
pub(in crate::pipeline) fn open(
    request: &Request<'_, '_>,
    binding: &Binding,
    turn: &Turn<'_>,
) -> Result<Option<Brought>, Refusal<'static>> {
    let member = |name| request.params.and_then(|params| params.member(name));
    let (text, responses) = (member("requestState"), member("inputResponses"));
    if text.is_none() && responses.is_none() {
        return Ok(None);
    }
    let state = match text {
        None => None,
        Some(text) => Some(open_state(text, binding, turn).ok_or_else(|| refuse(turn))?),
    };
    let mut answers = Vec::new();
    if let Some(responses) = responses {
        if !responses.is_object() {
            return Err(Refusal::Params("inputResponses must be an object"));
        }
        for (key, value) in responses.members().take(ANSWERS_MAX) {
            if !value.is_object() {
                return Err(Refusal::Params("each of inputResponses must be an object"));
            }
            // Unknown keys are ignored. A first request may bring answers nobody has asked for yet.
            if Context::is_answer_key(key)
                && state.as_ref().is_none_or(|state| state.asked.iter().any(|asked| asked == key))
            {
                let mut answer = Vec::new();
                value.encode(&mut answer);
                answers.push((key.to_owned(), answer));
            }
        }
    }
    // Last, so that a state is not used up by a request that is refused.
    if let Some(state) = state.as_ref().filter(|state| state.reuse == Reuse::Refused)
        && turn.work.spent.use_state(state.nonce, state.expires_at_s, turn.now.unix_s()) == Use::Again
    {
        return Err(refuse(turn));
    }
    Ok(Some(Brought { known: state.map(|state| state.known).unwrap_or_default(), answers }))
}

fn refuse(turn: &Turn<'_>) -> Refusal<'static> {
    turn.count(Count::DispatchStateRefused);
    Refusal::RequestState
}

/// A state that is ours, this caller's, for this request and in time.
fn open_state(text: Value<'_, '_>, binding: &Binding, turn: &Turn<'_>) -> Option<State> {
    let text = text.as_str().filter(|text| text.len() <= STATE_BYTES_MAX)?;
    let opened = turn.snapshot.sealer.open_bytes(Sealed::State, text.as_bytes())?;
    let state: State = serde_json::from_slice(&opened).ok()?;
    let is_ours = state.principal == binding.principal && state.request == binding.request;
    (is_ours && turn.now.unix_s() < state.expires_at_s).then_some(state)
}

/// The state that the next round must bring; nothing when it would be too long.
pub(in crate::pipeline) fn seal(
    binding: Binding,
    asked: impl Iterator<Item = String>,
    context: &Context,
    turn: &mut Turn<'_>,
) -> Option<String> {
    let Binding { principal, request, reuse } = binding;
    let mut known = BTreeMap::new();
    for (key, value) in context.remembered() {
        known.insert(key, RawValue::from_string(String::from_utf8(value).ok()?).ok()?);
    }
    let expires_at_s = turn.now.unix_s().saturating_add(turn.snapshot.limits.input_timeout.as_secs());
    let (mut nonce, mut seal_nonce) = ([0; 16], [0; 12]);
    (turn.work.entropy)(&mut nonce);
    (turn.work.entropy)(&mut seal_nonce);
    let state = State { expires_at_s, principal, request, nonce, reuse, asked: asked.collect(), known };
    let bytes = serde_json::to_vec(&state).ok()?;
    let text = turn.snapshot.sealer.seal_bytes(Sealed::State, bytes, seal_nonce)?;
    (text.len() <= STATE_BYTES_MAX).then_some(text)
}
