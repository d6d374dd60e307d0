//! The second half of the straight line, decided from the body: `envelope`, `authorize`, `dispatch`, `respond`.
//! Never: a stage skipped; a tool found by a header.
//! Next: the stages themselves, `envelope` first.

use super::channel::Brings;
use super::form::{Form, Ids, form_of};
use super::note::Known;
use super::reading::Reading;
use super::{Connection, Drain, listener_of};
use crate::pipeline::authenticate::{Method, Principal};
use crate::pipeline::authorize::{Asker, Occasion, Target, authorize};
use crate::pipeline::dispatch::{Dispatched, Visitor, dispatch};
use crate::pipeline::envelope::{self, Envelope, Request};
use crate::pipeline::event::Count;
use crate::pipeline::framing::{Caller, Delivery};
use crate::pipeline::headers::{Headers, Sessions};
use crate::pipeline::hub::stream::Role;
use crate::pipeline::job::Job;
use crate::pipeline::respond::{self, Exchange, Extra, Refusal};
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::http::head::{Persistence, Version};
use crate::wire::json::{JsonLimits, Value};
use crate::wire::jsonrpc::Id;
use crate::wire::mcp::Era;

/// What is written down of a name that a client asked for. Bytes.
const DETAIL_BYTES_MAX: usize = 128;

/// What the envelope needs to know of sessions in this turn.
pub(super) fn sessions<'t>(turn: &'t Turn<'_>) -> Sessions<'t> {
    Sessions {
        sealer: &turn.snapshot.sealer,
        spent: &turn.work.spent,
        now_s: turn.now.unix_s(),
        ttl_s: turn.snapshot.limits.session_ttl.as_secs(),
    }
}

impl Connection {
    /// `envelope`, `authorize`, `dispatch`, `respond`: all that is decided from the body, `padded[..bytes]`.
    pub(super) fn message(
        &mut self,
        headers: &Headers<'_>,
        caller: Caller,
        padded: &mut [u8],
        bytes: usize,
        turn: &mut Turn<'_>,
    ) -> Option<()> {
        let listener = listener_of(turn.snapshot, self.listener)?;
        let limits = &turn.snapshot.limits;
        if let Some(channel) = caller.channel {
            let body = padded.get(..bytes)?.to_vec();
            self.post(channel, body, &caller, listener, turn);
            return Some(());
        }
        let json_limits = JsonLimits { depth_max: limits.json_depth_max, nodes_max: limits.json_nodes_max };
        match turn.work.json.decode(padded, bytes, json_limits) {
            Ok(document) => {
                self.understood(document.root(), headers, caller, listener, turn);
                turn.work.json.recycle(document);
            }
            Err(error) => {
                turn.count(Count::EnvelopeRefused);
                self.refuse_message(&Refusal::Json(error), None, &caller, listener, turn);
            }
        }
        Some(())
    }

    pub(super) fn understood(
        &mut self,
        root: Value<'_, '_>,
        headers: &Headers<'_>,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        match envelope::decode_batch(root, headers, &caller.principal, sessions(turn)) {
            Ok(None) => {}
            Ok(Some(messages)) => return self.batch(messages, headers, caller, listener, turn),
            Err(refusal) => {
                turn.count(Count::EnvelopeRefused);
                return self.refuse_message(&refusal, None, &caller, listener, turn);
            }
        }
        let request = match envelope::decode(root, headers, &caller.principal, sessions(turn)) {
            Ok(Envelope::Request(request)) => request,
            Ok(message @ (Envelope::Notification(_) | Envelope::Response { .. })) => {
                turn.count(Count::EnvelopeDecoded);
                self.take_note(message, turn);
                respond::answer_empty(turn, listener, 202, caller.exchange, &[]);
                self.answered(caller.exchange, turn);
                return;
            }
            Err((refusal, id)) => {
                turn.count(Count::EnvelopeRefused);
                // An answer to nothing is no request, and only a response of HTTP's has to say something.
                if refusal == Refusal::UnexpectedResponse && caller.exchange.carriage.is_multiplexed() {
                    return;
                }
                self.refuse_message(&refusal, id, &caller, listener, turn);
                return;
            }
        };
        turn.count(Count::EnvelopeDecoded);
        let visitor = self.visitor(&caller, listener, headers);
        match decide(&request, &visitor, turn) {
            Ok((target, dispatched)) => self.deliver(dispatched, &request, target, caller, listener, turn),
            Err(refusal) => self.refuse_request(&refusal, &request, &caller, listener, turn),
        }
    }

    /// A request whose method is known; the log says what it asked for.
    fn refuse_request(
        &mut self,
        refusal: &Refusal<'_>,
        request: &Request<'_, '_>,
        caller: &Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let row = respond::refuse(turn, listener, caller.exchange, refusal, Some(request.id));
        let is_about_a_name = matches!(
            refusal,
            Refusal::Forbidden
                | Refusal::InsufficientScope { .. }
                | Refusal::UnknownTool
                | Refusal::UnknownPrompt
        );
        let named = request
            .method
            .named_by()
            .filter(|_| is_about_a_name)
            .and_then(|member| request.params?.member(member)?.as_str());
        let detail = named.and_then(|name| name.get(..name.floor_char_boundary(DETAIL_BYTES_MAX)));
        let (principal, method) = (Some(&caller.principal.id), request.method.name());
        self.note(turn, listener, row, Known { principal, method, detail, ..Known::default() });
        self.answered(caller.exchange, turn);
    }

    pub(super) fn visitor<'v>(
        &self,
        caller: &'v Caller,
        listener: &'v Listener,
        headers: &'v Headers<'v>,
    ) -> Visitor<'v> {
        let Caller { principal, delivery, .. } = caller;
        Visitor { principal, peer: self.peer, listener, delivery: *delivery, headers }
    }

    fn deliver(
        &mut self,
        dispatched: Dispatched,
        request: &Request<'_, '_>,
        target: Target,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        match dispatched {
            Dispatched::Answered(row) => {
                self.send_answer(row.status, &caller, listener, &[], turn);
                self.note_answer(request, target, &caller.principal, listener, row, turn);
            }
            Dispatched::Session(session) => {
                self.send_answer(200, &caller, listener, &[Extra::Session(&session)], turn);
                self.begin_session(&session, turn);
                let row = crate::pipeline::dispatch::ANSWERED;
                self.note_answer(request, target, &caller.principal, listener, row, turn);
            }
            Dispatched::Running(job) => self.follow(job, request, caller, listener, turn),
            Dispatched::Awaiting(stream) => {
                let owner = self.visitor(&caller, listener, &Headers::default()).owner(request);
                let (form, ids) = (form_of(caller.delivery), Ids::None);
                let brings = Brings::Answer(request.id.into());
                self.attach(&Reading { stream, owner, after: 0, form, ids, brings }, caller, turn);
            }
        }
    }

    /// A handler runs: it writes to a stream, which this connection reads.
    fn follow(
        &mut self,
        mut job: Box<Job>,
        request: &Request<'_, '_>,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let owner = self.visitor(&caller, listener, &Headers::default()).owner(request);
        let form = form_of(caller.delivery);
        // MCP 2025-11-25: a lost connection is no cancellation, and the client may come back for the rest.
        let is_resumable = request.revision.era() == Era::Legacy
            && form != Form::Json
            && !caller.exchange.carriage.is_multiplexed();
        let (nonce, now) = (turn.nonce(), turn.now);
        let role = Role::Call { calls: Vec::new(), is_resumable };
        let Some(stream) = turn.work.hub.open(owner, role, 1, nonce, now) else {
            return self.refuse_message(&Refusal::Overloaded, Some(job.id()), &caller, listener, turn);
        };
        job.write_to(stream, turn);
        job.set_off(turn);
        let ids = if is_resumable { Ids::of(request.revision) } else { Ids::None };
        // A client that can come back needs an id to come back with, so its stream opens at once.
        let form = if ids == Ids::Primed { Form::Stream } else { form };
        let brings = Brings::Answer(request.id.into());
        self.attach(&Reading { stream, owner, after: 0, form, ids, brings }, caller, turn);
    }

    /// Sends the turn's body as the whole answer.
    pub(super) fn send_answer(
        &mut self,
        status: u16,
        caller: &Caller,
        listener: &Listener,
        extras: &[Extra<'_>],
        turn: &mut Turn<'_>,
    ) {
        let mut exchange = caller.exchange;
        if caller.delivery == Delivery::Stream && status == 200 {
            // A stream of unknown length can only end with the connection in HTTP/1.0.
            if exchange.version == Version::Http10 {
                exchange.persistence = Persistence::Close;
            }
            respond::open_stream(turn, listener, exchange, extras);
            respond::send_event(turn, exchange, None);
            respond::close_stream(turn, exchange);
        } else {
            respond::answer(turn, listener, status, exchange, extras);
        }
        self.answered(exchange, turn);
    }

    pub(super) fn answered(&mut self, exchange: Exchange, turn: &mut Turn<'_>) {
        turn.count(Count::RespondWritten);
        let is_last = exchange.persistence == Persistence::Close || self.drain == Drain::Draining;
        // What carries many answers ends with none of them.
        if is_last && !exchange.carriage.is_multiplexed() {
            self.finish();
        }
    }

    pub(super) fn refuse_message(
        &mut self,
        refusal: &Refusal<'_>,
        id: Option<Id<'_>>,
        caller: &Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let row = respond::refuse(turn, listener, caller.exchange, refusal, id);
        self.note(turn, listener, row, Known { principal: Some(&caller.principal.id), ..Known::default() });
        self.answered(caller.exchange, turn);
    }
}

/// `authorize` and `dispatch`.
pub(super) fn decide<'i>(
    request: &Request<'_, 'i>,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<(Target, Dispatched), Refusal<'i>> {
    let snapshot = turn.snapshot;
    let rights = snapshot.policy.rights(visitor.asker(turn.now), Occasion::Request(request));
    let authorized = authorize(&rights, &snapshot.registry, request);
    if rights.met_unreadable() {
        turn.count(Count::AuthorizeUnreadable);
    }
    let target = match authorized {
        Ok(target) => target,
        Err(refusal) => {
            let is_denied = refusal == Refusal::Forbidden;
            turn.count(if is_denied { Count::AuthorizeDenied } else { Count::DispatchFailed });
            return Err(if is_denied { step_up(request, visitor, turn) } else { refusal });
        }
    };
    turn.count(Count::AuthorizeAllowed);
    Ok((target, dispatch(request, target, visitor, turn)?))
}

/// What a caller is told whom no role allows something: where a token with another scope would do, which scopes those are.
// MCP 2026-07-28, Authorization: all of them at once, so that a client does not ask its user again and again.
fn step_up<'i>(request: &Request<'_, 'i>, visitor: &Visitor<'_>, turn: &Turn<'_>) -> Refusal<'i> {
    let (snapshot, principal) = (turn.snapshot, visitor.principal);
    if principal.facts.method != Method::Jwt || visitor.listener.resource.is_none() {
        return Refusal::Forbidden;
    }
    let mut scopes = 0;
    for (index, bits) in (0..u64::BITS).zip(snapshot.identities.grants.scopes.values()) {
        let principal = Principal { roles: principal.roles | bits, ..principal.clone() };
        let asker = Asker { principal: &principal, ..visitor.asker(turn.now) };
        let rights = snapshot.policy.rights(asker, Occasion::Request(request));
        if authorize(&rights, &snapshot.registry, request) != Err(Refusal::Forbidden) {
            scopes |= 1 << index;
        }
    }
    if scopes == 0 { Refusal::Forbidden } else { Refusal::InsufficientScope { scopes } }
}
