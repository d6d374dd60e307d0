//! What a call sleeps for. A sleep is registered when it is first polled and forgotten when it is dropped, so that one
//! future out of many that wait at once is never lost.
//! Next: `mod.rs`, which tells the time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

pub(super) struct Timers {
    now_ms: Cell<u64>,
    sleeping: Rc<RefCell<Vec<Sleeper>>>,
    next: Cell<u64>,
}

struct Sleeper {
    id: u64,
    until_ms: u64,
    waker: Waker,
}

/// One sleep; dropping it ends it.
pub(super) struct Sleep {
    id: u64,
    until_ms: u64,
    sleeping: Rc<RefCell<Vec<Sleeper>>>,
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.sleeping.borrow_mut().retain(|sleeper| sleeper.id != self.id);
    }
}

impl Timers {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { now_ms: Cell::new(now_ms), sleeping: Rc::default(), next: Cell::new(0) }
    }

    pub(super) fn sleep(&self, duration: Duration) -> Sleep {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let id = self.next.replace(self.next.get().wrapping_add(1));
        Sleep { id, until_ms: self.now_ms.get().saturating_add(millis), sleeping: self.sleeping.clone() }
    }

    pub(super) fn poll(&self, sleep: &Sleep, waker: &Waker) -> Poll<()> {
        if self.now_ms.get() >= sleep.until_ms {
            return Poll::Ready(());
        }
        let mut sleeping = self.sleeping.borrow_mut();
        match sleeping.iter_mut().find(|sleeper| sleeper.id == sleep.id) {
            Some(sleeper) => sleeper.waker.clone_from(waker),
            None => {
                sleeping.push(Sleeper { id: sleep.id, until_ms: sleep.until_ms, waker: waker.clone() });
            }
        }
        Poll::Pending
    }

    pub(super) fn advance(&self, now_ms: u64, polled: Option<&Waker>) {
        self.now_ms.set(now_ms);
        let mut due = Vec::new();
        self.sleeping.borrow_mut().retain(|sleeper| {
            let is_due = sleeper.until_ms <= now_ms;
            if is_due && !polled.is_some_and(|polled| polled.will_wake(&sleeper.waker)) {
                due.push(sleeper.waker.clone());
            }
            !is_due
        });
        for waker in due {
            waker.wake();
        }
    }

    pub(super) fn earliest(&self) -> Option<u64> {
        self.sleeping.borrow().iter().map(|sleeper| sleeper.until_ms).min()
    }
}
