//! What an asynchronous tool can do beside computing: sleep, and report progress.
//! It is a mailbox shared with the connection, which reads it after every poll; there is no clock and no timer here.
//! Never: an unbounded queue; progress beyond the bound replaces the newest report.
//! Next: `demo::countdown`, a user of both.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Progress reports that may wait for the connection. A tool that outruns its reader loses intermediate ones.
pub const PROGRESS_REPORTS_MAX: usize = 64;

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

/// Handed to an asynchronous tool.
#[derive(Clone)]
pub struct Context {
    shared: Rc<Shared>,
}

struct Shared {
    principal: Arc<str>,
    now_ms: Cell<u64>,
    wake_at_ms: Cell<Option<u64>>,
    last_progress: Cell<f64>,
    reports: RefCell<VecDeque<Progress>>,
}

impl Context {
    pub(crate) fn new(principal: Arc<str>, now_ms: u64) -> Self {
        Self {
            shared: Rc::new(Shared {
                principal,
                now_ms: Cell::new(now_ms),
                wake_at_ms: Cell::new(None),
                last_progress: Cell::new(f64::NEG_INFINITY),
                reports: RefCell::new(VecDeque::new()),
            }),
        }
    }

    /// The id of who is calling.
    pub fn principal(&self) -> &str {
        &self.shared.principal
    }

    /// Reports progress to the caller, if it asked for it. A report that does not rise is dropped.
    // MCP 2026-07-28, progress: the value must increase with each notification.
    pub fn progress(&self, report: Progress) {
        if report.progress <= self.shared.last_progress.get() || !report.progress.is_finite() {
            return;
        }
        self.shared.last_progress.set(report.progress);
        let mut reports = self.shared.reports.borrow_mut();
        if reports.len() >= PROGRESS_REPORTS_MAX {
            reports.pop_back();
        }
        reports.push_back(report);
    }

    /// Waits for `duration`, to the coarseness of the shard's timer wheel.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + use<> {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Sleep { shared: self.shared.clone(), until_ms: self.shared.now_ms.get().saturating_add(millis) }
    }

    /// Tells the tool what time it is, and forgets what it waited for; the next poll says it anew.
    pub(crate) fn advance(&self, now_ms: u64) {
        self.shared.now_ms.set(now_ms);
        self.shared.wake_at_ms.set(None);
    }

    /// When the tool wants to be polled again, monotonic milliseconds.
    pub(crate) fn wake_at_ms(&self) -> Option<u64> {
        self.shared.wake_at_ms.get()
    }

    /// The oldest report not yet taken.
    pub(crate) fn poll_progress(&self) -> Option<Progress> {
        self.shared.reports.borrow_mut().pop_front()
    }
}

struct Sleep {
    shared: Rc<Shared>,
    until_ms: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
        if self.shared.now_ms.get() >= self.until_ms {
            return Poll::Ready(());
        }
        let earliest = self.shared.wake_at_ms.get().map_or(self.until_ms, |at| at.min(self.until_ms));
        self.shared.wake_at_ms.set(Some(earliest));
        Poll::Pending
    }
}

/// Polls a tool's future once.
pub(crate) fn poll_once<T>(future: Pin<&mut (dyn Future<Output = T> + '_)>, waker: &Waker) -> Poll<T> {
    future.poll(&mut std::task::Context::from_waker(waker))
}
