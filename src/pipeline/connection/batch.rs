//! A batch of revision 2025-03-26: each message passes the line as if it had come alone, and pays as if it had.
//! Never: a handshake in a batch; more messages than the bound; a message that costs less for its company.
//! Next: `message`, the line itself.

use super::Connection;
use super::channel::Brings;
use super::form::{Form, Ids};
use super::message::{decide, sessions};
use super::note::Known;
use super::reading::Reading;
use crate::pipeline::admit::Payer;
use crate::pipeline::dispatch::Dispatched;
use crate::pipeline::envelope::{self, Envelope, Request};
use crate::pipeline::event::Count;
use crate::pipeline::framing::{Caller, Delivery};
use crate::pipeline::headers::Headers;
use crate::pipeline::hub::key::Owner;
use crate::pipeline::hub::stream::{EventKind, Role};
use crate::pipeline::job::Job;
use crate::pipeline::respond::{self, Refusal, encode_refusal};
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::json::Elements;
use crate::wire::jsonrpc::{EnvelopeError, Id};
use crate::wire::mcp::{Method, Revision};

/// Messages in one batch.
const BATCH_MAX: usize = 64;

/// What has come of a batch so far.
#[derive(Default)]
struct Done {
    answers: Vec<Vec<u8>>,
    running: Vec<Job>,
    owner: Option<Owner>,
}

impl Connection {
    pub(super) fn batch(
        &mut self,
        messages: Elements<'_, '_>,
        headers: &Headers<'_>,
        caller: Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        if messages.clone().count() > BATCH_MAX {
            turn.count(Count::EnvelopeRefused);
            let refusal = Refusal::Envelope(EnvelopeError::BatchSize);
            return self.refuse_message(&refusal, None, &caller, listener, turn);
        }
        let mut done = Done::default();
        for (at, message) in messages.enumerate() {
            // The first has paid with the batch.
            let unpaid = if at > 0 { self.pay(Payer::Known, turn).err() } else { None };
            let decoded = envelope::decode(message, headers, &caller.principal, sessions(turn));
            match decoded {
                Ok(Envelope::Request(request)) => {
                    turn.count(Count::EnvelopeDecoded);
                    let ran = match unpaid {
                        Some(unpaid) => Err(unpaid.refusal),
                        None => self.run_one(&request, headers, &caller, listener, &mut done, turn),
                    };
                    if let Err(refusal) = ran {
                        let principal = Some(&caller.principal.id);
                        let method = request.method.name();
                        let known = Known { principal, method, ..Known::default() };
                        self.note(turn, listener, refusal.row(), known);
                        done.refuse(&refusal, Some(request.id));
                    }
                }
                // It has no answer, so nobody is told that it was not heard.
                Ok(Envelope::Notification(_) | Envelope::Response { .. }) if unpaid.is_some() => {}
                Ok(message @ (Envelope::Notification(_) | Envelope::Response { .. })) => {
                    turn.count(Count::EnvelopeDecoded);
                    self.take_note(message, turn);
                }
                Err((refusal, id)) => {
                    turn.count(Count::EnvelopeRefused);
                    let refusal = unpaid.map_or(refusal, |unpaid| unpaid.refusal);
                    let known = Known { principal: Some(&caller.principal.id), ..Known::default() };
                    self.note(turn, listener, refusal.row(), known);
                    done.refuse(&refusal, id);
                }
            }
        }
        self.answer_batch(done, caller, listener, turn);
    }

    fn run_one<'i>(
        &mut self,
        request: &Request<'_, 'i>,
        headers: &Headers<'_>,
        caller: &Caller,
        listener: &Listener,
        done: &mut Done,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal<'i>> {
        // MCP 2025-03-26, lifecycle: the handshake must not be part of a batch.
        if request.method == Method::Initialize {
            return Err(Refusal::Envelope(EnvelopeError::Batch));
        }
        let in_flight = self.channel.as_ref().map(|channel| channel.in_flight() + done.running.len());
        if in_flight.is_some_and(|in_flight| in_flight >= listener.limits.inflight_max) {
            turn.count(Count::DispatchCrowded);
            return Err(Refusal::TooManyInFlight);
        }
        let visitor = self.visitor(caller, listener, headers);
        done.owner = Some(visitor.owner(request));
        let (target, dispatched) = decide(request, &visitor, turn)?;
        match dispatched {
            Dispatched::Answered(row) => {
                done.answers.push(std::mem::take(&mut turn.work.body));
                self.note_answer(request, target, &caller.principal, listener, row, turn);
            }
            Dispatched::Running(job) => done.running.push(*job),
            // Only the handshake and the modern era give these.
            Dispatched::Session(_) | Dispatched::Awaiting(_) => return Err(Refusal::Internal),
        }
        Ok(())
    }

    fn answer_batch(&mut self, done: Done, caller: Caller, listener: &Listener, turn: &mut Turn<'_>) {
        let Done { answers, running, owner } = done;
        let Some(owner) = owner.filter(|_| !running.is_empty()) else {
            return self.answer_at_once(&answers, &caller, listener, turn);
        };
        let is_array = caller.delivery == Delivery::Json || caller.exchange.carriage.is_multiplexed();
        let form = if is_array { Form::JsonArray } else { Form::Events };
        let (nonce, now) = (turn.nonce(), turn.now);
        let role = Role::Call { calls: Vec::new(), is_resumable: form == Form::Events };
        let (count, waiting) = (answers.len() + running.len(), running.len());
        let Some(stream) = turn.work.hub.open(owner, role, count, nonce, now) else {
            return self.refuse_message(&Refusal::Overloaded, None, &caller, listener, turn);
        };
        for answer in answers {
            turn.work.hub.push(stream, EventKind::Answer { status: 200 }, answer, now);
        }
        for mut job in running {
            job.write_to(stream, turn);
            job.set_off(turn);
        }
        let ids = if form == Form::Events { Ids::of(Revision::V20250326) } else { Ids::None };
        let brings = Brings::Answers(waiting);
        self.attach(&Reading { stream, owner, after: 0, form, ids, brings }, caller, turn);
    }

    fn answer_at_once(
        &mut self,
        answers: &[Vec<u8>],
        caller: &Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        if answers.is_empty() {
            respond::answer_empty(turn, listener, 202, caller.exchange, &[]);
            return self.answered(caller.exchange, turn);
        }
        let body = &mut turn.work.body;
        body.clear();
        for (at, answer) in answers.iter().enumerate() {
            body.push(if at == 0 { b'[' } else { b',' });
            body.extend_from_slice(answer);
        }
        body.push(b']');
        self.send_answer(200, caller, listener, &[], turn);
    }
}

impl Done {
    fn refuse(&mut self, refusal: &Refusal<'_>, id: Option<Id<'_>>) {
        let mut answer = Vec::new();
        encode_refusal(&mut answer, refusal, id);
        self.answers.push(answer);
    }
}
