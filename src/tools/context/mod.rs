//! What an asynchronous call can do beside computing: report progress, log, sleep, ask the client, use a thread.
//! It is a mailbox shared with the job that polls the call, which reads it after every poll; no clock or timer is here.
//! Never: an unbounded queue; progress or a log message beyond the bound replaces the newest of its kind.
//! Next: `questions` for what is asked, `timers` for sleeping, `offload` for threads.

mod mailbox;
mod offload;
mod questions;
mod timers;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ToolError;
use super::ask::{Answer, Ask, AskError, Capabilities, Capability};
use super::log::{LogLevel, LogMessage};
use mailbox::Mailbox;
use offload::Remote;
use questions::Questions;
use timers::Timers;

pub use mailbox::EMISSIONS_MAX;
pub use offload::BlockingContext;
pub use questions::{ASKS_MAX, KEYS_MAX};

/// Runs something on a thread that may block; false when the pool is full.
pub type Offload = Arc<dyn Fn(Box<dyn FnOnce() + Send>) -> bool + Send + Sync>;

/// One progress report.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// How far; must rise with every report.
    pub progress: f64,
    /// How far there is to go, when known.
    pub total: Option<f64>,
    /// Words for a person.
    pub message: Option<String>,
}

/// What a call wants sent to the client.
#[derive(Clone, Debug)]
pub(crate) enum Emission {
    /// How far it is.
    Progress(Progress),
    /// What happens.
    Log(LogMessage),
    /// A question, to be answered under its key.
    Ask {
        /// The author's name for it.
        key: Box<str>,
        /// The question.
        ask: Ask,
    },
    /// The reader of the answer's stream may go and come back for the rest.
    CloseStream,
}

/// What is known of the client and of where the call runs.
#[derive(Clone)]
pub(crate) struct Client {
    /// What it offers.
    pub(crate) capabilities: Capabilities,
    /// The least severe level it wants; none means no messages.
    pub(crate) log_level: Option<LogLevel>,
    /// Whether it gave a token for progress.
    pub(crate) wants_progress: bool,
    /// The threads that may block.
    pub(crate) offload: Offload,
}

/// Handed to an asynchronous call. Clones are the same context.
#[derive(Clone)]
pub struct Context {
    shared: Rc<Shared>,
}

struct Shared {
    principal: Arc<str>,
    client: Client,
    /// Who polls the call as a whole.
    waker: RefCell<Option<Waker>>,
    mailbox: RefCell<Mailbox>,
    timers: Timers,
    questions: RefCell<Questions>,
    is_cancelled: Cell<bool>,
    waits_for_cancel: RefCell<Vec<Waker>>,
    remote: RefCell<Option<Arc<Remote>>>,
}

impl Context {
    pub(crate) fn new(principal: Arc<str>, now_ms: u64, client: Client) -> Self {
        Self {
            shared: Rc::new(Shared {
                principal,
                client,
                waker: RefCell::new(None),
                mailbox: RefCell::default(),
                timers: Timers::new(now_ms),
                questions: RefCell::default(),
                is_cancelled: Cell::new(false),
                waits_for_cancel: RefCell::default(),
                remote: RefCell::new(None),
            }),
        }
    }

    /// The id of who is calling.
    pub fn principal(&self) -> &str {
        &self.shared.principal
    }

    /// What the client offers to be asked.
    pub fn capabilities(&self) -> Capabilities {
        self.shared.client.capabilities
    }

    /// Reports progress to the caller, if it asked for it. A report that does not rise is dropped.
    // MCP 2026-07-28, progress: the value must increase with each notification.
    pub fn progress(&self, report: Progress) {
        if self.shared.client.wants_progress {
            self.shared.mailbox.borrow_mut().progress(report);
        }
    }

    /// Logs `data` for the client, if it wants messages as severe as `level`. Never log a secret.
    // MCP 2026-07-28, logging: nothing is sent unless the request names a level.
    pub fn log(&self, level: LogLevel, data: impl Serialize) {
        self.log_as(None, level, data);
    }

    /// Logs as the part of the server called `logger`.
    pub fn log_as(&self, logger: Option<&str>, level: LogLevel, data: impl Serialize) {
        if self.shared.client.log_level.is_none_or(|least| level < least) {
            return;
        }
        // What can not be written as JSON (a map with keys that are no text) is a fault of the author, not of the call.
        let Ok(data) = serde_json::to_string(&data) else { return };
        let message = LogMessage { level, logger: logger.map(str::to_owned), data };
        self.shared.mailbox.borrow_mut().log(message);
    }

    /// Lets go of the connection that waits for the answer, if its client can come back for the rest: for work that takes
    /// minutes. Without effect otherwise.
    // MCP 2025-11-25, Streamable HTTP: the server may close the connection, not the stream, at any time.
    pub fn close_stream(&self) {
        self.shared.mailbox.borrow_mut().close_stream();
    }

    /// Waits for `duration`, to the coarseness of the shard's timer wheel.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + use<> {
        let shared = self.shared.clone();
        let sleep = shared.timers.sleep(duration);
        async move {
            poll_fn(|task| shared.timers.poll(&sleep, task.waker())).await;
        }
    }

    /// Whether the caller has gone or taken its request back. Mostly a call is simply dropped then.
    pub fn is_cancelled(&self) -> bool {
        self.shared.is_cancelled.get()
    }

    /// Waits until the call is cancelled.
    pub fn cancelled(&self) -> impl Future<Output = ()> + use<> {
        let shared = self.shared.clone();
        poll_fn(move |task| {
            if shared.is_cancelled.get() {
                return Poll::Ready(());
            }
            let mut waiting = shared.waits_for_cancel.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(task.waker())) {
                waiting.push(task.waker().clone());
            }
            Poll::Pending
        })
    }

    /// The value of `effect`, which is run once although the call may run several times.
    ///
    /// A call that asks the client may be run again from its start when the answer comes. What must not happen twice
    /// (a payment, a number drawn) belongs in here; its value travels with the question and comes back with the answer,
    /// sealed. `key` is the author's, unique in the call.
    ///
    /// # Errors
    /// What `effect` fails with, which is not remembered; an internal error when the value is no JSON.
    pub async fn remember<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        effect: impl Future<Output = Result<T, ToolError>>,
    ) -> Result<T, ToolError> {
        let key = questions::remembered_key(key);
        if let Some(json) = self.shared.questions.borrow().known(&key) {
            return serde_json::from_slice(json)
                .map_err(|error| ToolError::internal(format!("remembered under {key:?}: {error}")));
        }
        let value = effect.await?;
        let json = serde_json::to_vec(&value)
            .map_err(|error| ToolError::internal(format!("to be remembered under {key:?}: {error}")))?;
        self.shared.questions.borrow_mut().preload(key, json)?;
        Ok(value)
    }

    /// Runs `work` on a thread that may block, and waits for its value.
    ///
    /// # Errors
    /// When all threads are busy and no more may wait for one.
    ///
    /// # Panics
    /// When `work` does.
    pub fn offload<R: Send + 'static, W: FnOnce() -> R + Send + 'static>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<R, ToolError>> + use<R, W> {
        offload::start(&self.shared.client.offload, work)
    }

    /// A part of this context that may go to another thread.
    pub(super) fn blocking(&self) -> BlockingContext {
        let client = &self.shared.client;
        let mut remote = self.shared.remote.borrow_mut();
        let remote = remote.get_or_insert_with(|| {
            let remote = Remote::new(client.wants_progress, client.log_level);
            if self.is_cancelled() {
                remote.cancel();
            }
            if let Some(waker) = &*self.shared.waker.borrow() {
                remote.listen(waker);
            }
            Arc::new(remote)
        });
        BlockingContext::new(self.shared.principal.clone(), remote.clone())
    }

    /// The answer to `ask`, which is sent under `key` unless the answer is known already.
    pub(super) fn ask(&self, key: &str, ask: Ask) -> impl Future<Output = Answer> + use<> {
        let shared = self.shared.clone();
        let key: Box<str> = key.into();
        let mut ask = Some(ask);
        poll_fn(move |task| shared.poll_ask(&key, &mut ask, task.waker()))
    }

    /// Refuses a question that the client did not offer to be asked.
    ///
    /// # Errors
    /// [`ToolError::missing`], which the client is told in the protocol's own terms.
    pub fn require(&self, capability: Capability) -> Result<(), ToolError> {
        if self.capabilities().has(capability) { Ok(()) } else { Err(ToolError::missing(capability)) }
    }
}

/// The side of the job that polls the call.
impl Context {
    /// Tells the call what time it is, and wakes what has slept long enough.
    pub(crate) fn advance(&self, now_ms: u64) {
        // The whole call is about to be polled, so its own waker need not be woken.
        self.shared.timers.advance(now_ms, self.shared.waker.borrow().as_ref());
    }

    /// When the call wants to be polled again, monotonic milliseconds.
    pub(crate) fn wake_at_ms(&self) -> Option<u64> {
        self.shared.timers.earliest()
    }

    /// Polls the call's future once, and remembers whom to wake.
    pub(crate) fn poll<T>(&self, future: Pin<&mut (dyn Future<Output = T> + '_)>, waker: &Waker) -> Poll<T> {
        let is_known = self.shared.waker.borrow().as_ref().is_some_and(|known| known.will_wake(waker));
        if !is_known {
            *self.shared.waker.borrow_mut() = Some(waker.clone());
        }
        if let Some(remote) = &*self.shared.remote.borrow() {
            remote.listen(waker);
        }
        future.poll(&mut std::task::Context::from_waker(waker))
    }

    /// The oldest thing not yet taken.
    pub(crate) fn poll_emission(&self) -> Option<Emission> {
        let mut mailbox = self.shared.mailbox.borrow_mut();
        if let Some(remote) = &*self.shared.remote.borrow() {
            remote.drain(&mut mailbox);
        }
        mailbox.pop()
    }

    /// Says that the caller has gone.
    pub(crate) fn cancel(&self) {
        self.shared.is_cancelled.set(true);
        if let Some(remote) = &*self.shared.remote.borrow() {
            remote.cancel();
        }
        for waker in self.shared.waits_for_cancel.take() {
            waker.wake();
        }
        self.shared.wake();
    }

    /// Hands in an answer or value known from an earlier run, before the first poll. The first one under a key stays.
    pub(crate) fn preload(&self, key: String, answer_json: Vec<u8>) {
        // What was sealed once was within the bound.
        let _ = self.shared.questions.borrow_mut().preload(key, answer_json);
    }

    /// Hands in the answer to a question that waits; others are ignored.
    pub(crate) fn answer(&self, key: &str, answer: Answer) {
        let woken = self.shared.questions.borrow_mut().answer(key, answer);
        let Some(waiting) = woken else { return };
        for waker in waiting {
            waker.wake();
        }
        self.shared.wake();
    }

    /// Whether a question waits for its answer.
    pub(crate) fn has_unanswered(&self) -> bool {
        self.shared.questions.borrow().open() > 0
    }

    /// All answers and remembered values so far, for the next run.
    pub(crate) fn remembered(&self) -> Vec<(String, Vec<u8>)> {
        self.shared.questions.borrow().all_known()
    }

    /// Whether a client may give an answer under `key`: remembered values are the server's own.
    pub(crate) fn is_answer_key(key: &str) -> bool {
        !questions::is_remembered_key(key)
    }
}

impl Shared {
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn poll_ask(&self, key: &str, ask: &mut Option<Ask>, waker: &Waker) -> Poll<Answer> {
        let mut questions = self.questions.borrow_mut();
        // The question is there at the first poll only.
        if let Some(Err(error)) = ask.as_ref().map(|ask| questions.claim(key, ask)) {
            return Poll::Ready(Err(error));
        }
        if let Some(outcome) = questions.poll(key, waker) {
            return outcome;
        }
        let Some(ask) = ask.take() else { return Poll::Ready(Err(AskError::Cancelled)) };
        let capability = ask.capability();
        if !self.client.capabilities.has(capability) {
            return Poll::Ready(Err(AskError::Unsupported(capability)));
        }
        if let Err(error) = questions.open_one(key, &ask, waker) {
            return Poll::Ready(Err(error));
        }
        self.mailbox.borrow_mut().ask(key, ask);
        Poll::Pending
    }
}
