//! A call that takes its time: polled when the task wakes, its reports sent as they come, its answer last.
//! Never: a notification after the answer.
//! Next: `dispatch/running.rs`, the call itself.

use std::task::Poll;

use super::note::Known;
use super::{Connection, Drain, InFlight, Stream, listener_of};
use crate::pipeline::dispatch::conclude;
use crate::pipeline::framing::{Delivery, Framing};
use crate::pipeline::respond;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::http::head::{HeadScan, Persistence, Version};

impl Connection {
    /// Polls the call in flight; sends what it reports, and its answer when it is done.
    pub(super) fn poll_call(&mut self, turn: &mut Turn<'_>) {
        let Some(mut flight) = self.in_flight.take() else { return };
        let Some(listener) = listener_of(turn.snapshot, self.listener) else { return };
        // RFC 9112 9.6: the last answer says that it is, if its head is not out yet.
        if self.drain == Drain::Draining {
            flight.caller.exchange.persistence = Persistence::Close;
        }
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
}

impl InFlight {
    fn open(&mut self, listener: &Listener, turn: &mut Turn<'_>) {
        if self.stream == Stream::NotOpen {
            self.stream = Stream::Open;
            // A stream of unknown length can only end with the connection in HTTP/1.0.
            if self.caller.exchange.version == Version::Http10 {
                self.caller.exchange.persistence = Persistence::Close;
            }
            let body = std::mem::take(&mut turn.work.body);
            respond::open_stream(turn, listener, self.caller.exchange, &[]);
            turn.work.body = body;
        }
    }
}
