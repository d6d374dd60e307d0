//! The straight line: what happens to one request, stage after stage, in the order of the path.
//! Never: a stage skipped; a body parsed before its sender is known and has paid.
//! Next: the stages, `framing` first.

use std::sync::Arc;
use std::task::Poll;

use super::{Connection, Drain, InFlight, Stream, listener_of};
use crate::pipeline::admit::Exhausted;
use crate::pipeline::authenticate::{Principal, Unknown, authenticate};
use crate::pipeline::authorize::{Target, authorize};
use crate::pipeline::dispatch::{Dispatched, conclude, dispatch};
use crate::pipeline::envelope::{self, Envelope, Headers, Request};
use crate::pipeline::event::{AccessLog, Count, Outcome, Record, Stage};
use crate::pipeline::framing::{
    Asked, Caller, Coding, DISCARD_BYTES_MAX, Delivery, Framing, Upload, chunked, head_limits, judge,
};
use crate::pipeline::respond::{self, Body, Exchange, Extra, Refusal, Row};
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::http::chunked::ChunkedStep;
use crate::wire::http::head::{
    self, BodyLength, Expectation, Head, HeadError, HeadScan, Method, Persistence, field_storage,
};
use crate::wire::json::{JsonLimits, Value};
use crate::wire::jsonrpc::Id;

/// What is known about a request when it is recorded.
#[derive(Clone, Copy, Default)]
struct Known<'k> {
    principal: Option<&'k Arc<str>>,
    method: &'static str,
    tool: Option<&'k Arc<str>>,
    detail: Option<&'static str>,
    started_ms: Option<u64>,
}

impl Connection {
    /// Takes one step over `block[..filled]`, behind which there is padding; returns the bytes it is done with, or
    /// nothing when it needs more or is busy.
    pub(super) fn step(&mut self, block: &mut [u8], filled: usize, turn: &mut Turn<'_>) -> Option<usize> {
        match std::mem::replace(&mut self.framing, Framing::Busy) {
            Framing::Head(scan) => self.read_head(scan, block, filled, turn),
            Framing::Body(upload) => self.read_body(upload, block, filled, turn),
            Framing::Discard(left) => {
                let skipped = left.min(filled as u64);
                self.framing = if skipped == left {
                    Framing::Head(HeadScan::default())
                } else {
                    Framing::Discard(left - skipped)
                };
                usize::try_from(skipped).ok()
            }
            Framing::Busy => None,
        }
    }

    fn read_head(
        &mut self,
        mut scan: HeadScan,
        block: &mut [u8],
        filled: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let limits = head_limits(&turn.snapshot.limits);
        let arrived = block.get(..filled)?;
        let end = match scan.find_end(arrived, &limits) {
            Ok(Some(end)) => end,
            Ok(None) => {
                self.framing = Framing::Head(scan);
                return None;
            }
            Err(error) => return self.refuse_head(error, filled, turn),
        };
        let (head_bytes, rest) = block.split_at_mut_checked(end)?;
        let mut storage = field_storage();
        match head::decode(head_bytes, &mut storage, &limits) {
            Ok(head) => self.begin(&head, end, rest, filled - end, turn),
            Err(error) => self.refuse_head(error, filled, turn),
        }
    }

    /// A head that can not be trusted: answer, then close, because nobody knows where the next one starts.
    fn refuse_head(&mut self, error: HeadError, filled: usize, turn: &mut Turn<'_>) -> Option<usize> {
        let listener = listener_of(turn.snapshot, self.listener)?;
        turn.count(Count::FramingRefused);
        let row = respond::refuse(turn, listener, Exchange::BROKEN, &Refusal::Head(error), None);
        self.note(turn, listener, row, Known::default());
        self.finish();
        Some(filled)
    }

    /// `framing`, `authenticate`, `admit`: all that is decided from the head. Then the body.
    fn begin(
        &mut self,
        head: &Head<'_, '_>,
        head_bytes: usize,
        rest: &mut [u8],
        arrived: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        turn.count(Count::FramingDecoded);
        let listener = listener_of(turn.snapshot, self.listener)?;
        let exchange = Exchange {
            version: head.version,
            persistence: match self.drain {
                Drain::Serving => head.persistence,
                Drain::Draining => Persistence::Close,
            },
            body: if head.method == Method::Head { Body::Omitted } else { Body::Sent },
        };
        match self.decide(head, exchange, listener, turn) {
            Ok(Some(caller)) => self.await_body(head, caller, head_bytes, rest, arrived, turn),
            Ok(None) => {
                let exchange = self.skip_body(head, exchange);
                respond::answer_empty(turn, listener, 204, exchange, &[Extra::Allow]);
                Some(head_bytes)
            }
            Err((refusal, known)) => {
                let exchange = self.skip_body(head, exchange);
                let row = respond::refuse(turn, listener, exchange, &refusal, None);
                self.note(turn, listener, row, known);
                Some(head_bytes)
            }
        }
    }

    /// Whether the head's sender may send its body; nobody when there is none to send.
    fn decide<'k>(
        &self,
        head: &Head<'_, '_>,
        exchange: Exchange,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Caller>, (Refusal<'static>, Known<'k>)> {
        let delivery = match judge(head, listener, &turn.snapshot.limits) {
            Ok(Asked::Message(delivery)) => delivery,
            Ok(Asked::Options) => return Ok(None),
            Err(refusal) => {
                turn.count(Count::FramingRefused);
                return Err((refusal, Known::default()));
            }
        };
        let principal = authenticate(&turn.snapshot.keys, listener, head, turn.now);
        // A caller that could not say who it is pays all the same, so that guessing is limited too.
        let paid = turn.work.buckets.admit(self.peer.ip(), turn.now.ms);
        if let Err(Exhausted { retry_after_ms, .. }) = paid {
            turn.count(Count::AdmitRefused);
            return Err((Refusal::RateLimited { retry_after_ms }, Known::default()));
        }
        match principal {
            Ok(principal) => {
                turn.count(Count::AdmitAccepted);
                turn.count(if head.known.authorization.is_some() || head.field(&listener.key_header).is_some() {
                    Count::AuthenticateAccepted
                } else {
                    Count::AuthenticateAnonymous
                });
                Ok(Some(Caller { principal, exchange, delivery }))
            }
            Err(why) => {
                turn.count(Count::AuthenticateRefused);
                let known = Known { detail: Some(Unknown::reason(why)), ..Known::default() };
                Err((Refusal::Unauthenticated, known))
            }
        }
    }

    /// After a head that is answered without its body: skips a short body, ends the connection before a long one.
    fn skip_body(&mut self, head: &Head<'_, '_>, exchange: Exchange) -> Exchange {
        let is_short = match head.body {
            BodyLength::None => Some(0),
            // RFC 9110 10.1.1: a client that waits for 100 may or may not send the body after a final answer.
            BodyLength::Length(bytes) if bytes > 0 && head.expectation == Expectation::Continue => None,
            BodyLength::Length(bytes) => Some(bytes).filter(|bytes| *bytes <= DISCARD_BYTES_MAX),
            BodyLength::Chunked => None,
        };
        let persistence = match is_short {
            Some(0) => {
                self.framing = Framing::Head(HeadScan::default());
                exchange.persistence
            }
            Some(bytes) => {
                self.framing = Framing::Discard(bytes);
                exchange.persistence
            }
            None => Persistence::Close,
        };
        if persistence == Persistence::Close {
            self.finish();
        }
        Exchange { persistence, ..exchange }
    }

    fn await_body(
        &mut self,
        head: &Head<'_, '_>,
        caller: Caller,
        head_bytes: usize,
        rest: &mut [u8],
        arrived: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let headers = Headers::decode(head);
        let coding = match head.body {
            BodyLength::None => return self.message(&headers, caller, rest, 0, turn).map(|()| head_bytes),
            BodyLength::Length(bytes) => {
                let bytes = usize::try_from(bytes).ok()?;
                if bytes <= arrived {
                    return self.message(&headers, caller, rest, bytes, turn).map(|()| head_bytes + bytes);
                }
                Coding::Length(bytes)
            }
            BodyLength::Chunked => {
                let mut decoder = Box::new(chunked(&turn.snapshot.limits));
                match decoder.decode(rest.get_mut(..arrived)?) {
                    Ok(ChunkedStep::Done { body_bytes, consumed }) => {
                        return self
                            .message(&headers, caller, rest, body_bytes, turn)
                            .map(|()| head_bytes + consumed);
                    }
                    Ok(ChunkedStep::NeedMore) => Coding::Chunked(decoder),
                    Err(error) => return self.refuse_body(Refusal::Chunked(error), head_bytes + arrived, turn),
                }
            }
        };
        if head.expectation == Expectation::Continue && arrived == 0 {
            turn.work.answers.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.framing = Framing::Body(Box::new(Upload { head_bytes, coding, caller }));
        None
    }

    fn read_body(
        &mut self,
        mut upload: Box<Upload>,
        block: &mut [u8],
        filled: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let arrived = filled.checked_sub(upload.head_bytes)?;
        let (head_bytes, rest) = block.split_at_mut_checked(upload.head_bytes)?;
        let (body_bytes, consumed) = match &mut upload.coding {
            Coding::Length(bytes) if *bytes <= arrived => (*bytes, *bytes),
            Coding::Length(_) => {
                self.framing = Framing::Body(upload);
                return None;
            }
            Coding::Chunked(decoder) => match decoder.decode(rest.get_mut(..arrived)?) {
                Ok(ChunkedStep::Done { body_bytes, consumed }) => (body_bytes, consumed),
                Ok(ChunkedStep::NeedMore) => {
                    self.framing = Framing::Body(upload);
                    return None;
                }
                Err(error) => return self.refuse_body(Refusal::Chunked(error), filled, turn),
            },
        };
        // The head was decoded once and its bytes have not changed, so it decodes again.
        let mut storage = field_storage();
        let limits = head_limits(&turn.snapshot.limits);
        let head = match head::decode(head_bytes, &mut storage, &limits) {
            Ok(head) => head,
            Err(error) => return self.refuse_head(error, filled, turn),
        };
        let Upload { head_bytes, caller, .. } = *upload;
        let headers = Headers::decode(&head);
        self.message(&headers, caller, rest, body_bytes, turn).map(|()| head_bytes + consumed)
    }

    fn refuse_body(&mut self, refusal: Refusal<'_>, filled: usize, turn: &mut Turn<'_>) -> Option<usize> {
        let listener = listener_of(turn.snapshot, self.listener)?;
        turn.count(Count::FramingRefused);
        let row = respond::refuse(turn, listener, Exchange::BROKEN, &refusal, None);
        self.note(turn, listener, row, Known::default());
        self.finish();
        Some(filled)
    }

    /// `envelope`, `authorize`, `dispatch`, `respond`: all that is decided from the body, `padded[..bytes]`.
    fn message(
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
            match authorize(&turn.snapshot.policy, &turn.snapshot.registry, caller.principal.roles, &request) {
                Ok(target) => target,
                Err(refusal) => {
                    turn.count(match refusal {
                        Refusal::Forbidden => Count::AuthorizeDenied,
                        _ => Count::DispatchFailed,
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
                self.in_flight = Some(Box::new(InFlight { call, caller, stream: Stream::NotOpen, started_ms }));
                self.poll_call(turn);
            }
            Err(refusal) => self.refuse_message(&refusal, Some(request.id), &caller, listener, turn),
        }
    }

    /// Sends the turn's body as the whole answer.
    fn send_answer(
        &mut self,
        caller: &Caller,
        listener: &Listener,
        extras: &[Extra<'_>],
        turn: &mut Turn<'_>,
    ) {
        if caller.delivery == Delivery::Stream {
            respond::open_stream(turn, listener, caller.exchange, extras);
            respond::send_event(turn, caller.exchange);
            respond::close_stream(turn, caller.exchange);
        } else {
            respond::answer(turn, listener, 200, caller.exchange, extras);
        }
        self.answered(caller.exchange, turn);
    }

    fn answered(&mut self, exchange: Exchange, turn: &mut Turn<'_>) {
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

    /// Polls the call in flight; sends what it reports, and its answer when it is done.
    pub(super) fn poll_call(&mut self, turn: &mut Turn<'_>) {
        let Some(mut flight) = self.in_flight.take() else { return };
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        let polled = flight.call.poll(turn.now, turn);
        while flight.caller.delivery != Delivery::Json && flight.call.encode_progress(&mut turn.work.body) {
            flight.open(listener, turn);
            respond::send_event(turn, flight.caller.exchange);
        }
        turn.work.body.clear();
        let outcome = match polled {
            Poll::Pending => {
                self.in_flight = Some(flight);
                return;
            }
            Poll::Ready(outcome) => outcome,
        };
        let concluded = conclude(outcome, flight.call.id(), flight.call.revision(), turn);
        self.framing = Framing::Head(HeadScan::default());
        let caller = &flight.caller;
        let known = Known {
            principal: Some(&caller.principal.id),
            method: "tools/call",
            tool: Some(flight.call.tool()),
            detail: None,
            started_ms: Some(flight.started_ms),
        };
        match (concluded, flight.stream) {
            (Ok(()), Stream::NotOpen) => {
                self.send_answer(caller, listener, &[], turn);
                self.note_done(turn, listener, known);
            }
            (Ok(()), Stream::Open) => {
                respond::send_event(turn, caller.exchange);
                respond::close_stream(turn, caller.exchange);
                self.answered(caller.exchange, turn);
                self.note_done(turn, listener, known);
            }
            (Err(refusal), Stream::NotOpen) => {
                let row = respond::refuse(turn, listener, caller.exchange, &refusal, Some(flight.call.id()));
                self.note(turn, listener, row, known);
                self.answered(caller.exchange, turn);
            }
            (Err(refusal), Stream::Open) => {
                respond::encode_refusal(&mut turn.work.body, &refusal, Some(flight.call.id()));
                respond::send_event(turn, caller.exchange);
                respond::close_stream(turn, caller.exchange);
                self.note(turn, listener, refusal.row(), known);
                self.answered(caller.exchange, turn);
            }
        }
        // Requests that arrived in the meantime.
        if !self.held.is_empty() {
            self.advance_held(turn);
        }
    }

    fn note_answer(
        &self,
        request: &Request<'_, '_>,
        target: Target,
        principal: &Principal,
        listener: &Listener,
        turn: &Turn<'_>,
    ) {
        if turn.snapshot.access_log == AccessLog::Refused {
            return;
        }
        let tool = match target {
            Target::Tool(tool) => turn.snapshot.registry.tool(tool).map(|tool| tool.shared_name()),
            Target::Method => None,
        };
        let known = Known {
            principal: Some(&principal.id),
            method: request.method.name(),
            tool: tool.as_ref(),
            ..Known::default()
        };
        self.note_done(turn, listener, known);
    }

    fn note_done(&self, turn: &Turn<'_>, listener: &Listener, known: Known<'_>) {
        if turn.snapshot.access_log == AccessLog::Every {
            let row = Row { stage: Stage::Respond, status: 200, code: 0, reason: "answered", message: "" };
            self.queue(turn, listener, Outcome::Answered, row, known);
        }
    }

    /// Records a refusal.
    fn note(&self, turn: &Turn<'_>, listener: &Listener, row: Row, known: Known<'_>) {
        self.queue(turn, listener, Outcome::Refused, row, known);
    }

    fn queue(&self, turn: &Turn<'_>, listener: &Listener, outcome: Outcome, row: Row, known: Known<'_>) {
        let elapsed_ms = known.started_ms.map_or(0, |started| turn.now.ms.saturating_sub(started));
        turn.work.events.record(Record {
            at_ms: turn.now.unix_ms,
            outcome,
            stage: row.stage,
            reason: row.reason,
            peer: self.peer,
            listener: listener.name.clone(),
            principal: known.principal.cloned(),
            method: known.method,
            tool: known.tool.cloned(),
            status: row.status,
            elapsed_us: elapsed_ms.saturating_mul(1000),
            detail: known.detail.map(Into::into),
        });
    }
}

impl InFlight {
    fn open(&mut self, listener: &Listener, turn: &mut Turn<'_>) {
        if self.stream == Stream::NotOpen {
            self.stream = Stream::Open;
            // A stream of unknown length can only end with the connection in HTTP/1.0.
            if self.caller.exchange.version == head::Version::Http10 {
                self.caller.exchange.persistence = Persistence::Close;
            }
            let body = std::mem::take(&mut turn.work.body);
            respond::open_stream(turn, listener, self.caller.exchange, &[]);
            turn.work.body = body;
        }
    }
}
