//! The clock of the data plane: coarse, a few nanoseconds to read, good to a few milliseconds.
//! Next: `pipeline/turn.rs`, where the time of a wake-up goes.

use std::cell::Cell;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::pipeline::turn::Now;

/// A shard's clock: read once for each wake-up, asked as often as one likes.
pub(super) struct Clock {
    now: Cell<Now>,
    /// Unix time less monotonic time, looked up once a second; so a step of the wall clock shows within one.
    offset_ms: Cell<u64>,
    looked_up_ms: Cell<u64>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let clock = Self { now: Cell::default(), offset_ms: Cell::default(), looked_up_ms: Cell::default() };
        clock.tick();
        clock
    }

    /// Reads the kernel's clock.
    pub(super) fn tick(&self) -> Now {
        let ms = millis(clock_gettime(ClockId::MonotonicCoarse));
        if self.looked_up_ms.get() == 0 || ms - self.looked_up_ms.get() >= 1000 {
            let unix_ms = millis(clock_gettime(ClockId::RealtimeCoarse));
            self.offset_ms.set(unix_ms.wrapping_sub(ms));
            self.looked_up_ms.set(ms);
        }
        self.now.set(Now { ms, unix_ms: ms.wrapping_add(self.offset_ms.get()) });
        self.now.get()
    }

    /// What time it was at the last tick.
    pub(super) fn now(&self) -> Now {
        self.now.get()
    }
}

fn millis(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1000 + nanos / 1_000_000
}
