//! A handler that takes its time: its future, its deadline, and where its messages and its answer go.
//! The shard gives each job a task of its own and polls it; a connection only reads what it writes.
//! Never: a poll after it has ended; a message for nobody; a panic or a delay that is anybody else's.
//! Next: `dispatch`, which starts jobs, and `hub`, which keeps what they write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use super::dispatch::conclude::{self, CallFailure, KeptSubject};
use super::dispatch::message;
use super::dispatch::retry::Binding;
use super::event::{AccessLog, Count, Outcome, Record};
use super::hub::key::{Key, Owner};
use super::hub::stream::EventKind;
use super::peer::Peer;
use super::respond::Row;
use super::snapshot::millis;
use super::turn::Turn;
use crate::tools::ask::Ask;
use crate::tools::context::Emission;
use crate::tools::{AskError, Context, Reply, Running};
use crate::wire::jsonrpc::{Id, OwnedId};
use crate::wire::mcp::{Era, Revision};

/// Whose request a job answers, and what is written down about it.
pub struct Origin {
    /// The id of the request.
    pub id: OwnedId,
    /// The revision it is answered in.
    pub revision: Revision,
    /// Where progress goes, if it is wanted.
    pub token: Option<OwnedId>,
    /// The method's name.
    pub method: &'static str,
    /// The tool's name, if it is one.
    pub tool: Option<Arc<str>>,
    /// Who is calling.
    pub principal: Arc<str>,
    /// Whose streams and questions these are.
    pub owner: Owner,
    /// The other end.
    pub peer: Peer,
    /// The listener's name.
    pub listener: Arc<str>,
    /// When the request came, monotonic milliseconds.
    pub started_ms: u64,
}

/// Where the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// Nobody has asked for it to be sent yet.
    Nowhere,
    Stream(Key),
    Task(Key),
}

/// What came of starting.
pub enum Started {
    /// The turn's body holds the answer.
    Answered(Row),
    /// It runs, or has something to say before its answer.
    Running(Box<Job>),
}

/// A running handler.
pub struct Job {
    future: Running,
    context: Context,
    origin: Origin,
    subject: KeptSubject,
    /// What a retry of the request must bring, where questions are asked by answering.
    binding: Option<Binding>,
    output: Output,
    call: Option<usize>,
    timeout_ms: u64,
    question_timeout_ms: u64,
    deadline_ms: u64,
    has_open_questions: bool,
    is_answered: bool,
    emissions: Vec<Emission>,
    /// Questions to the client that are out.
    questions: Vec<(Box<str>, Key)>,
    /// Questions whose answer comes too late from now on.
    given_up: Vec<Key>,
    ended: Option<Result<Reply, CallFailure>>,
}

impl Job {
    /// A job that has not been polled. `binding` is there when questions are asked by answering.
    pub(super) fn new(
        future: Running,
        context: Context,
        origin: Origin,
        subject: KeptSubject,
        binding: Option<Binding>,
        turn: &Turn<'_>,
    ) -> Self {
        let limits = &turn.snapshot.limits;
        let timeout_ms = millis(subject.subject().timeout().unwrap_or(limits.request_timeout));
        Self {
            future,
            context,
            origin,
            subject,
            binding,
            output: Output::Nowhere,
            call: None,
            timeout_ms,
            question_timeout_ms: millis(limits.input_timeout),
            deadline_ms: turn.now.ms.saturating_add(timeout_ms),
            has_open_questions: false,
            is_answered: false,
            emissions: Vec::new(),
            questions: Vec::new(),
            given_up: Vec::new(),
            ended: None,
        }
    }

    /// Polls for the first time. Most handlers are done then, and need neither a stream nor a task.
    pub(super) fn start(mut self, turn: &mut Turn<'_>) -> Started {
        if let Poll::Ready(outcome) = self.step(turn) {
            self.ended = Some(outcome);
        }
        let is_silent = self.emissions.iter().all(|emission| matches!(emission, Emission::Ask { .. }));
        if is_silent && let Some(row) = self.answer(turn) {
            return Started::Answered(row);
        }
        Started::Running(Box::new(self))
    }

    /// Writes the answer into the turn's body if there is one by now.
    fn answer(&mut self, turn: &mut Turn<'_>) -> Option<Row> {
        if let Some(outcome) = self.ended.take() {
            let row = conclude::conclude(
                outcome,
                self.origin.id.as_id(),
                self.origin.revision,
                self.subject.subject(),
                turn,
            );
            return Some(row);
        }
        // The asks of a modern call are its answer; the client comes again with what it was asked for.
        if self.asks_by_answering() && self.context.has_unanswered() {
            let asks = self.take_asks();
            let binding = self.binding.take()?;
            let id = self.origin.id.as_id();
            return Some(conclude::input_required(
                id,
                self.origin.revision,
                binding,
                &asks,
                &self.context,
                turn,
            ));
        }
        None
    }

    fn asks_by_answering(&self) -> bool {
        self.binding.is_some() && !matches!(self.output, Output::Task(_))
    }

    fn take_asks(&mut self) -> Vec<(Box<str>, Ask)> {
        let mut asks = Vec::new();
        self.emissions.retain_mut(|emission| match emission {
            Emission::Ask { key, ask } => {
                asks.push((std::mem::take(key), ask.clone()));
                false
            }
            Emission::Progress(_) | Emission::Log(_) | Emission::CloseStream => true,
        });
        asks
    }

    /// From now on the job writes to that stream.
    pub(super) fn write_to(&mut self, stream: Key, turn: &mut Turn<'_>) {
        self.output = Output::Stream(stream);
        let call = turn.work.hub.enter(self.origin.owner, self.origin.id.clone(), self.context.clone());
        turn.work.hub.link(stream, call);
        self.call = Some(call);
    }

    /// From now on the job moves that task on.
    pub(super) fn become_task(&mut self, task: Key, expires_ms: u64) {
        self.output = Output::Task(task);
        self.deadline_ms = expires_ms;
    }

    /// Its context, for whoever keeps the task.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Its request's id.
    pub(super) fn id(&self) -> Id<'_> {
        self.origin.id.as_id()
    }

    /// Sends what was said so far, and hands the job to the shard unless that was all.
    pub(super) fn set_off(mut self, turn: &mut Turn<'_>) {
        if self.flush(turn).is_pending() {
            turn.work.hub.start(self);
        }
    }

    /// Polls the handler; ready when there is nothing left to do.
    pub fn poll(&mut self, turn: &mut Turn<'_>) -> Poll<()> {
        if self.context.is_cancelled() {
            turn.count(Count::DispatchCancelled);
            self.close(turn);
            return Poll::Ready(());
        }
        if let Poll::Ready(outcome) = self.step(turn) {
            self.ended = Some(outcome);
        }
        self.flush(turn)
    }

    /// Ends without an answer, after a poll that broke: whoever waits for it is told that nothing will come.
    pub fn abandon(&mut self, turn: &mut Turn<'_>) {
        self.close(turn);
    }

    /// When it must be polled at the latest, monotonic milliseconds.
    pub fn poll_timeout(&self) -> u64 {
        self.context.wake_at_ms().map_or(self.deadline_ms, |at| at.min(self.deadline_ms))
    }

    /// One poll of the future, and what it had to say.
    fn step(&mut self, turn: &Turn<'_>) -> Poll<Result<Reply, CallFailure>> {
        let now_ms = turn.now.ms;
        if now_ms >= self.deadline_ms && self.has_open_questions {
            // The client owes answers; its time is up, not the handler's.
            for (key, question) in &self.questions {
                self.context.answer(key, Err(AskError::TimedOut));
                self.given_up.push(*question);
            }
        }
        self.context.advance(now_ms);
        let (context, future) = (&self.context, self.future.as_mut());
        let polled = catch_unwind(AssertUnwindSafe(|| context.poll(future, turn.waker)));
        self.emissions.extend(std::iter::from_fn(|| self.context.poll_emission()));
        let had_open = std::mem::replace(&mut self.has_open_questions, self.context.has_unanswered());
        match (had_open, self.has_open_questions) {
            // A task has until it expires, whatever it asks.
            _ if matches!(self.output, Output::Task(_)) => {}
            (false, true) => self.deadline_ms = now_ms.saturating_add(self.question_timeout_ms),
            (true, false) => self.deadline_ms = now_ms.saturating_add(self.timeout_ms),
            (false, false) | (true, true) => {}
        }
        match polled {
            Ok(Poll::Ready(outcome)) => Poll::Ready(outcome.map_err(CallFailure::Tool)),
            Ok(Poll::Pending) if now_ms >= self.deadline_ms => Poll::Ready(Err(CallFailure::TimedOut)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(CallFailure::Panicked)),
        }
    }

    /// Sends what was said; ready once the answer is sent too.
    fn flush(&mut self, turn: &mut Turn<'_>) -> Poll<()> {
        if !self.asks_by_answering() || self.ended.is_some() {
            self.send_all(turn);
        } else {
            self.send_reports(turn);
        }
        let row = match self.output {
            Output::Nowhere => return Poll::Pending,
            Output::Task(task) => {
                let Some(outcome) = self.ended.take() else { return Poll::Pending };
                let (row, end) =
                    conclude::task_end(outcome, self.origin.revision, self.subject.subject(), turn);
                turn.work.hub.task_ends(task, end, turn.now);
                row
            }
            Output::Stream(stream) => {
                let Some(row) = self.answer(turn) else { return Poll::Pending };
                let bytes = std::mem::take(&mut turn.work.body);
                turn.work.hub.push(stream, EventKind::Answer { status: row.status }, bytes, turn.now);
                self.is_answered = true;
                row
            }
        };
        self.record(row, turn);
        self.close(turn);
        Poll::Ready(())
    }

    fn send_reports(&mut self, turn: &mut Turn<'_>) {
        let (asks, reports): (Vec<Emission>, Vec<Emission>) = std::mem::take(&mut self.emissions)
            .into_iter()
            .partition(|said| matches!(said, Emission::Ask { .. }));
        self.emissions = asks;
        for report in reports {
            self.send(report, turn);
        }
    }

    fn send_all(&mut self, turn: &mut Turn<'_>) {
        // MCP 2025-11-25, lifecycle: whoever gives up on a request says so.
        for question in self.given_up.drain(..) {
            if turn.work.hub.forget(question)
                && let Output::Stream(stream) = self.output
            {
                let bytes = message::encode_cancelled(&question.encode());
                turn.work.hub.push(stream, EventKind::Notification, bytes, turn.now);
            }
        }
        for emission in std::mem::take(&mut self.emissions) {
            self.send(emission, turn);
        }
        // A question that was answered or given up is open no longer.
        if !self.has_open_questions {
            for (_, question) in self.questions.drain(..) {
                turn.work.hub.forget(question);
            }
        }
    }

    fn send(&mut self, emission: Emission, turn: &mut Turn<'_>) {
        match (emission, self.output) {
            (Emission::Progress(report), Output::Stream(stream)) => {
                if let Some(token) = &self.origin.token {
                    let bytes = message::encode_progress(token.as_id(), &report);
                    turn.work.hub.push(stream, EventKind::Notification, bytes, turn.now);
                }
            }
            (Emission::Log(entry), Output::Stream(stream)) => {
                let bytes = message::encode_log(&entry);
                turn.work.hub.push(stream, EventKind::Notification, bytes, turn.now);
            }
            // MCP 2026-07-28, Streamable HTTP: no request of the server's on any stream. What was asked and not waited for
            // is not asked.
            (Emission::Ask { .. }, Output::Stream(_)) if self.origin.revision.era() == Era::Modern => {}
            (Emission::Ask { key, ask }, Output::Stream(stream)) => {
                let nonce = turn.nonce();
                let question = turn.work.hub.ask(self.origin.owner, self.context.clone(), key.clone(), nonce);
                let bytes = message::encode_question(&question.encode(), &ask, self.origin.revision);
                turn.work.hub.push(stream, EventKind::Question, bytes, turn.now);
                self.questions.push((key, question));
            }
            (Emission::Ask { key, ask }, Output::Task(task)) => {
                let request = message::encode_ask(&ask, Era::Modern, None);
                turn.work.hub.task_asks(task, key, request, turn.now);
            }
            // MCP 2025-11-25 brought it; an older client would not come back.
            (Emission::CloseStream, Output::Stream(stream))
                if self.origin.revision == Revision::V20251125 =>
            {
                turn.work.hub.release_reader(stream);
            }
            (Emission::CloseStream, Output::Stream(_)) => {}
            // A task has no stream of its own, and what nobody reads is not said.
            (Emission::Progress(_) | Emission::Log(_) | Emission::CloseStream, Output::Task(_))
            | (_, Output::Nowhere) => {}
        }
    }

    fn close(&mut self, turn: &mut Turn<'_>) {
        for (_, question) in self.questions.drain(..) {
            turn.work.hub.forget(question);
        }
        if let Some(call) = self.call.take() {
            turn.work.hub.leave(call);
            if let Output::Stream(stream) = self.output {
                turn.work.hub.note_call_end(stream, call, self.is_answered);
            }
        }
    }

    /// One log record, when it failed or when everything is recorded.
    fn record(&self, row: Row, turn: &Turn<'_>) {
        let is_answer = row.code == 0;
        if is_answer && turn.snapshot.access_log == AccessLog::Refused {
            return;
        }
        turn.work.events.record(Record {
            at_ms: turn.now.unix_ms,
            outcome: if is_answer { Outcome::Answered } else { Outcome::Refused },
            stage: row.stage,
            reason: row.reason,
            peer: self.origin.peer,
            listener: self.origin.listener.clone(),
            principal: Some(self.origin.principal.clone()),
            method: self.origin.method,
            tool: self.origin.tool.clone(),
            status: row.status,
            elapsed_us: turn.now.ms.saturating_sub(self.origin.started_ms).saturating_mul(1000),
            detail: None,
        });
    }
}

/// A handler that is given up is dropped where it stands, and what it drops then may panic.
impl Drop for Job {
    fn drop(&mut self) {
        let future = std::mem::replace(&mut self.future, Box::pin(std::future::pending()));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }
}
