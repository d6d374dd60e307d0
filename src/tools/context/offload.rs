//! Work on a thread that may block: how it gets there, how its value comes back, and what it may tell meanwhile.
//! The threads belong to the shard's side; here is only the hand-over, without a lock.
//! Next: `mod.rs`, which owns the receiving end.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use atomic_waker::AtomicWaker;
use crossbeam_queue::ArrayQueue;
use serde::Serialize;

use super::mailbox::{EMISSIONS_MAX, Mailbox};
use super::{Emission, Offload, Progress};
use crate::tools::ToolError;
use crate::tools::log::{LogLevel, LogMessage};

/// Where a thread puts the one value it was asked for.
struct Landing<R> {
    value: ArrayQueue<Result<R, Box<dyn Any + Send>>>,
    is_over: AtomicBool,
    waker: AtomicWaker,
}

/// The thread's end; dropping it says that nothing more comes.
struct Sender<R> {
    landing: Arc<Landing<R>>,
}

impl<R> Drop for Sender<R> {
    fn drop(&mut self) {
        self.landing.is_over.store(true, Ordering::Release);
        self.landing.waker.wake();
    }
}

pub(super) fn start<R: Send + 'static, W: FnOnce() -> R + Send + 'static>(
    offload: &Offload,
    principal: &Arc<str>,
    work: W,
) -> impl Future<Output = Result<R, ToolError>> + use<R, W> {
    let landing = Arc::new(Landing {
        value: ArrayQueue::new(1),
        is_over: AtomicBool::new(false),
        waker: AtomicWaker::new(),
    });
    let sender = Sender { landing: landing.clone() };
    let entering = Box::new(move || {
        // A panic goes to who waits for the value, which is contained like any other.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let _ = sender.landing.value.push(outcome);
    });
    let is_taken = offload(principal, entering);
    poll_fn(move |task| {
        if !is_taken {
            return Poll::Ready(Err(ToolError::internal("too much work waits for a thread")));
        }
        landing.waker.register(task.waker());
        let is_over = landing.is_over.load(Ordering::Acquire);
        match landing.value.pop() {
            Some(Ok(value)) => Poll::Ready(Ok(value)),
            Some(Err(panic)) => resume_unwind(panic),
            None if is_over => Poll::Ready(Err(ToolError::internal("the work was given up"))),
            None => Poll::Pending,
        }
    })
}

/// What threads and the context of their call share.
pub(super) struct Remote {
    wants_progress: bool,
    log_level: Option<LogLevel>,
    is_cancelled: AtomicBool,
    /// Who polls the call now: the first poll is its connection's, the others are a task's.
    waker: AtomicWaker,
    emissions: ArrayQueue<Emission>,
}

impl Remote {
    pub(super) fn new(wants_progress: bool, log_level: Option<LogLevel>) -> Self {
        Self {
            wants_progress,
            log_level,
            is_cancelled: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            emissions: ArrayQueue::new(EMISSIONS_MAX),
        }
    }

    pub(super) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }

    pub(super) fn drain(&self, mailbox: &mut Mailbox) {
        while let Some(emission) = self.emissions.pop() {
            match emission {
                Emission::Progress(report) => mailbox.progress(report),
                Emission::Log(message) => mailbox.log(message),
                Emission::Ask { key, ask } => mailbox.ask(&key, ask),
                Emission::CloseStream => mailbox.close_stream(),
            }
        }
    }
}

/// What a blocking tool has of its context: it may be used on any thread.
#[derive(Clone)]
pub struct BlockingContext {
    principal: Arc<str>,
    remote: Arc<Remote>,
}

impl BlockingContext {
    pub(super) fn new(principal: Arc<str>, remote: Arc<Remote>) -> Self {
        Self { principal, remote }
    }

    fn send(&self, emission: Emission) {
        self.remote.emissions.force_push(emission);
        self.remote.waker.wake();
    }

    /// The id of who is calling.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Whether the caller has gone. A thread is never stopped from outside: long work should look now and then.
    pub fn is_cancelled(&self) -> bool {
        self.remote.is_cancelled.load(Ordering::Acquire)
    }

    /// As [`super::Context::progress`]; a thread that outruns its reader loses the oldest reports.
    pub fn progress(&self, report: Progress) {
        if self.remote.wants_progress {
            self.send(Emission::Progress(report));
        }
    }

    /// As [`super::Context::log`].
    pub fn log(&self, level: LogLevel, data: impl Serialize) {
        if self.remote.log_level.is_none_or(|least| level < least) {
            return;
        }
        let Ok(data) = serde_json::to_string(&data) else { return };
        self.send(Emission::Log(LogMessage { level, logger: None, data }));
    }
}
