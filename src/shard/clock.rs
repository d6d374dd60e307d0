//! The clock of the data plane: coarse, a few nanoseconds to read, good to a few milliseconds.
//! Next: `pipeline/turn.rs`, where the time of a wake-up goes.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::pipeline::turn::Now;

/// What time it is.
pub(super) fn read() -> Now {
    Now {
        ms: millis(clock_gettime(ClockId::MonotonicCoarse)),
        unix_ms: millis(clock_gettime(ClockId::RealtimeCoarse)),
    }
}

fn millis(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1000 + nanos / 1_000_000
}
