//! What comes in on a channel: a message found in the bytes, its sender, its price, and then the straight line.
//! There are no headers, so the message is read before it is known who sends it; until that is known it has to be short.
//! Never: a message handled whose sender is unknown; an answer to what is no request.
//! Next: `message`, the line from the envelope on.

use super::channel::Brings;
use super::note::Known;
use super::request::Denial;
use super::timing::Wait;
use super::{Connection, Drain, listener_of};
use crate::pipeline::admit::Payer;
use crate::pipeline::authenticate::{Method, Principal, Unknown};
use crate::pipeline::event::{Count, Outcome, Stage};
use crate::pipeline::framing::messages::{Found, Messages};
use crate::pipeline::framing::{Caller, Framing};
use crate::pipeline::headers::Headers;
use crate::pipeline::respond::{self, Goodbye, Refusal};
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::json::{JsonLimits, PADDING, Value};
use crate::wire::jsonrpc::{self, Id, Message};
use crate::wire::mcp::meta::AUTHORIZATION;

/// Whether a message is still to be paid for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Price {
    Due,
    /// With the request that brought it.
    Paid,
}

/// Longest message from somebody unknown. Bytes.
const UNKNOWN_BYTES_MAX: usize = 64 * 1024;
/// Credentials that name nobody before the connection ends.
const FAILURES_MAX: u32 = 3;

impl Connection {
    /// Takes one step over `block[..filled]`, behind which there is padding.
    pub(super) fn read_message(
        &mut self,
        mut messages: Box<Messages>,
        block: &mut [u8],
        filled: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let listener = listener_of(turn.snapshot, self.listener)?;
        let channel = self.channel.as_mut()?;
        let is_known = channel.principal.is_some();
        let most = listener.limits.message_bytes_max;
        let most = if is_known { most } else { most.min(UNKNOWN_BYTES_MAX) };
        let found = messages.find(block.get_mut(..filled)?, most);
        self.framing = Framing::Messages(messages);
        let channel = self.channel.as_mut()?;
        match found {
            Found::More => None,
            Found::Nothing { consumed } => Some(consumed),
            Found::Message { start, bytes, consumed } => {
                self.heard(listener, turn);
                self.message_in(block.get_mut(start..)?, bytes, Price::Due, turn);
                Some(consumed)
            }
            Found::TooLong { consumed } => {
                turn.count(Count::FramingRefused);
                let payer = if is_known { Payer::Known } else { Payer::Unknown };
                let denial = self.pay(payer, turn).err().unwrap_or(Refusal::MessageSize.into());
                self.refuse_incoming(&denial, None, listener, turn);
                self.note_failure(turn);
                Some(consumed)
            }
            // A sign of life brings no message nearer to its end.
            Found::Ping { start, bytes, consumed } => {
                let exchange = channel.exchange;
                self.begin_life(listener, turn);
                respond::send_pong(turn, exchange, block.get(start..start + bytes)?);
                Some(consumed)
            }
            Found::Pong { consumed } => {
                self.begin_life(listener, turn);
                Some(consumed)
            }
            // RFC 6455 5.5.1: whoever is told goodbye says it back.
            Found::Close => {
                self.part(Goodbye::Done, turn);
                Some(filled)
            }
            Found::Fault { code, reason } => {
                turn.count(Count::FramingRefused);
                self.record(turn, Outcome::Fault, Stage::Framing, reason, None);
                self.part(Goodbye::Fault(code), turn);
                Some(filled)
            }
        }
    }

    /// The peer has sent something whole.
    fn heard(&mut self, listener: &Listener, turn: &Turn<'_>) {
        self.wait = Wait::Idle;
        self.has_progressed = true;
        self.begin_life(listener, turn);
    }

    /// From now on the peer may be silent for so long.
    pub(super) fn begin_life(&mut self, listener: &Listener, turn: &Turn<'_>) {
        let life = self.life_interval_ms(listener);
        if let Some(channel) = &mut self.channel {
            channel.answer_by_ms = u64::MAX;
            channel.alive_at_ms = turn.now.ms.saturating_add(life);
        }
    }

    /// A message that came another way.
    pub(super) fn posted(&mut self, mut message: Vec<u8>, turn: &mut Turn<'_>) {
        let bytes = message.len();
        message.resize(bytes + PADDING, 0);
        self.message_in(&mut message, bytes, Price::Paid, turn);
    }

    /// A whole message, `padded[..bytes]`.
    fn message_in(&mut self, padded: &mut [u8], bytes: usize, price: Price, turn: &mut Turn<'_>) {
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        turn.count(Count::FramingDecoded);
        let limits = &turn.snapshot.limits;
        let json_limits = JsonLimits { depth_max: limits.json_depth_max, nodes_max: limits.json_nodes_max };
        match turn.work.json.decode(padded, bytes, json_limits) {
            Ok(document) => {
                self.message_of_somebody(document.root(), price, listener, turn);
                turn.work.json.recycle(document);
            }
            Err(error) => {
                let is_known = self.channel.as_ref().is_some_and(|channel| channel.principal.is_some());
                let payer = if is_known { Payer::Known } else { Payer::Unknown };
                let unpaid = if price == Price::Due { self.pay(payer, turn).err() } else { None };
                turn.count(Count::EnvelopeRefused);
                let denial = unpaid.unwrap_or(Refusal::Json(error).into());
                self.refuse_incoming(&denial, None, listener, turn);
                self.note_failure(turn);
            }
        }
    }

    fn message_of_somebody(
        &mut self,
        root: Value<'_, '_>,
        price: Price,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let sender = self.sender(root, listener, turn);
        let payer = if sender.is_ok() { Payer::Known } else { Payer::Unknown };
        if price == Price::Due
            && let Err(unpaid) = self.pay(payer, turn)
        {
            self.refuse_sent(&unpaid, root, listener, turn);
            return self.note_failure(turn);
        }
        let principal = match sender {
            Ok(principal) => principal,
            Err(why) => return self.turn_away(why, root, listener, turn),
        };
        let Some(channel) = &mut self.channel else { return };
        if channel.in_flight() >= listener.limits.inflight_max && is_request(root) {
            turn.count(Count::DispatchCrowded);
            return self.refuse_sent(&Refusal::TooManyInFlight.into(), root, listener, turn);
        }
        if self.drain == Drain::Draining && is_request(root) {
            return self.refuse_sent(&Refusal::Overloaded.into(), root, listener, turn);
        }
        let Some(channel) = &mut self.channel else { return };
        let headers = Headers::none(channel.session);
        let caller: Caller = channel.caller(principal);
        self.understood(root, &headers, caller, listener, turn);
    }

    /// Who sends: whoever it was before, or who the message's credential names.
    fn sender(
        &mut self,
        root: Value<'_, '_>,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) -> Result<Principal, Unknown> {
        let channel = self.channel.as_mut().ok_or(Unknown::Missing)?;
        if !channel.is_entitled(self.peer, listener, turn) {
            return Err(Unknown::Expired);
        }
        // Who began without a name may still give one, as long as nothing is its own.
        let is_nobody = |principal: &Principal| principal.facts.method == Method::Anonymous;
        let is_free = channel.session.is_none() && !channel.is_waiting();
        if let Some(principal) = channel.principal.as_ref().filter(|known| !(is_free && is_nobody(known))) {
            return Ok(principal.clone());
        }
        let meta = root.member("params").and_then(|params| params.member("_meta"));
        let credential = meta.and_then(|meta| meta.member(AUTHORIZATION)).map(|value| {
            let text = value.as_str().ok_or(Unknown::Malformed)?;
            crate::pipeline::authenticate::bearer(text.as_bytes()).ok_or(Unknown::Malformed)
        });
        let credential = credential.unwrap_or(Err(Unknown::Missing));
        let principal = self.know(credential, listener, turn)?;
        let is_anonymous = principal.facts.method == Method::Anonymous;
        turn.count(if is_anonymous { Count::AuthenticateAnonymous } else { Count::AuthenticateAccepted });
        let channel = self.channel.as_mut().ok_or(Unknown::Missing)?;
        channel.principal = Some(principal.clone());
        channel.generation = turn.snapshot.generation;
        Ok(principal)
    }

    /// Nobody known. A peer that probes which revision is spoken is answered and may go on; one that guesses is not.
    fn turn_away(&mut self, why: Unknown, root: Value<'_, '_>, listener: &Listener, turn: &mut Turn<'_>) {
        turn.count(Count::AuthenticateRefused);
        let exchange = self.channel.as_ref().map(|channel| channel.exchange);
        if let Some(exchange) = exchange {
            let refusal = if let Unknown::HeldOff { retry_after_ms } = why {
                Refusal::HeldOff { retry_after_ms }
            } else if exchange.carriage.begins_nameless() {
                Refusal::UnauthenticatedMessage
            } else {
                Refusal::Unauthenticated
            };
            let row = if let Some(id) = answerable(root) {
                respond::refuse(turn, listener, exchange, &refusal, id)
            } else {
                refusal.row()
            };
            self.note(turn, listener, row, Known { detail: Some(why.reason()), ..Known::default() });
        }
        let is_over = self.channel.as_ref().is_some_and(|channel| channel.principal.is_some());
        self.note_failure(turn);
        if is_over {
            self.part(Goodbye::Forbidden, turn);
        }
    }

    /// Somebody unknown has sent what leads nowhere.
    fn note_failure(&mut self, turn: &mut Turn<'_>) {
        let Some(channel) = self.channel.as_mut().filter(|channel| channel.principal.is_none()) else {
            return;
        };
        channel.failures += 1;
        if channel.failures >= FAILURES_MAX {
            self.part(Goodbye::Forbidden, turn);
        }
    }

    fn refuse_sent(
        &mut self,
        denial: &Denial<'_>,
        root: Value<'_, '_>,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        if let Some(id) = answerable(root) {
            self.refuse_incoming(denial, id, listener, turn);
        }
    }

    fn refuse_incoming(
        &mut self,
        denial: &Denial<'_>,
        id: Option<Id<'_>>,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let Some(channel) = &self.channel else { return };
        let row = respond::refuse(turn, listener, channel.exchange, &denial.refusal, id);
        let principal = channel.principal.as_ref().map(|principal| principal.id.clone());
        self.note(
            turn,
            listener,
            row,
            Known { principal: principal.as_ref(), detail: denial.limit, ..Known::default() },
        );
    }

    /// The handshake is over: from now on the connection is that session's.
    pub(super) fn begin_session(&mut self, sealed: &str, turn: &mut Turn<'_>) {
        let Some(channel) = &mut self.channel else { return };
        channel.session = turn.snapshot.sealer.open(sealed.as_bytes());
        let (Some(claims), Some(owner)) = (channel.session, channel.owner()) else { return };
        let (nonce, now) = (turn.nonce(), turn.now);
        let Some((stream, after)) = turn.work.hub.open_session(owner, claims.shard, nonce, now) else {
            return;
        };
        channel.follow(stream, owner, after, Brings::News, turn);
    }
}

/// Whether the message wants an answer, and with which id; an answer to an answer would be one to nothing.
fn answerable<'i>(root: Value<'_, 'i>) -> Option<Option<Id<'i>>> {
    match jsonrpc::decode(root) {
        Ok(Message::Request { id, .. }) => Some(Some(id)),
        Ok(Message::Notification { .. } | Message::Response { .. }) => None,
        Err((_, id)) => Some(id),
    }
}

/// Whether it is a request, or a batch with one in it.
fn is_request(root: Value<'_, '_>) -> bool {
    let is_one = |message| matches!(jsonrpc::decode(message), Ok(Message::Request { .. }));
    if root.is_array() { root.elements().any(is_one) } else { is_one(root) }
}
