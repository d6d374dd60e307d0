//! The second half of the straight line, decided from the body: `envelope`, `authorize`, `dispatch`, `respond`.
//! Never: a stage skipped; a tool found by a header.
//! Next: the stages themselves, `envelope` first.

use super::note::Known;
use super::{Connection, Drain, InFlight, Stream, listener_of};
use crate::pipeline::authorize::{Target, authorize};
use crate::pipeline::dispatch::{Dispatched, dispatch};
use crate::pipeline::envelope::{self, Envelope, Headers, Request};
use crate::pipeline::event::Count;
use crate::pipeline::framing::{Caller, Delivery, Framing};
use crate::pipeline::respond::{self, Exchange, Extra, Refusal};
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::http::head::{HeadScan, Persistence, Version};
use crate::wire::json::{JsonLimits, Value};
use crate::wire::jsonrpc::Id;

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
        let json_limits = JsonLimits { depth_max: limits.json_depth_max, nodes_max: limits.json_nodes_max };
        self.framing = Framing::Head(HeadScan::default());
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

    fn understood(
        &mut self,
        root: Value<'_, '_>,
        headers: &Headers<'_>,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let request = match envelope::decode(root, headers, &caller.principal, &turn.snapshot.sealer) {
            Ok(Envelope::Request(request)) => request,
            Ok(Envelope::Notification | Envelope::Response) => {
                turn.count(Count::EnvelopeDecoded);
                respond::answer_empty(turn, listener, 202, caller.exchange, &[]);
                self.answered(caller.exchange, turn);
                return;
            }
            Err((refusal, id)) => {
                turn.count(Count::EnvelopeRefused);
                self.refuse_message(&refusal, id, &caller, listener, turn);
                return;
            }
        };
        turn.count(Count::EnvelopeDecoded);
        let target =
            match authorize(&turn.snapshot.policy, &turn.snapshot.registry, caller.principal.roles, &request)
            {
                Ok(target) => target,
                Err(refusal) => {
                    turn.count(if refusal == Refusal::Forbidden {
                        Count::AuthorizeDenied
                    } else {
                        Count::DispatchFailed
                    });
                    self.refuse_message(&refusal, Some(request.id), &caller, listener, turn);
                    return;
                }
            };
        turn.count(Count::AuthorizeAllowed);
        self.run(&request, target, caller, listener, turn);
    }

    fn run(
        &mut self,
        request: &Request<'_, '_>,
        target: Target,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        match dispatch(request, target, &caller.principal, turn) {
            Ok(Dispatched::Answered) => {
                self.send_answer(&caller, listener, &[], turn);
                self.note_answer(request, target, &caller.principal, listener, turn);
            }
            Ok(Dispatched::Session(session)) => {
                self.send_answer(&caller, listener, &[Extra::Session(&session)], turn);
                self.note_answer(request, target, &caller.principal, listener, turn);
            }
            Ok(Dispatched::Running(call)) => {
                self.framing = Framing::Busy;
                let started_ms = turn.now.ms;
                self.in_flight =
                    Some(Box::new(InFlight { call, caller, stream: Stream::NotOpen, started_ms }));
                self.poll_call(turn);
            }
            Err(refusal) => self.refuse_message(&refusal, Some(request.id), &caller, listener, turn),
        }
    }

    /// Sends the turn's body as the whole answer.
    pub(super) fn send_answer(
        &mut self,
        caller: &Caller,
        listener: &Listener,
        extras: &[Extra<'_>],
        turn: &mut Turn<'_>,
    ) {
        let mut exchange = caller.exchange;
        if caller.delivery == Delivery::Stream {
            // A stream of unknown length can only end with the connection in HTTP/1.0.
            if exchange.version == Version::Http10 {
                exchange.persistence = Persistence::Close;
            }
            respond::open_stream(turn, listener, exchange, extras);
            respond::send_event(turn, exchange);
            respond::close_stream(turn, exchange);
        } else {
            respond::answer(turn, listener, 200, exchange, extras);
        }
        self.answered(exchange, turn);
    }

    pub(super) fn answered(&mut self, exchange: Exchange, turn: &mut Turn<'_>) {
        turn.count(Count::RespondWritten);
        if exchange.persistence == Persistence::Close || self.drain == Drain::Draining {
            self.finish();
        }
    }

    fn refuse_message(
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
