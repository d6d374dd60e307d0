//! Latencies of one run, kept in a histogram of three significant digits.
//! Never: an average; a latency is quoted by its percentiles.
//! Next: [`crate::load::report`], which quotes them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

const CEILING_NS: u64 = 60_000_000_000;

/// Collects latencies.
pub struct Latencies {
    histogram: Histogram<u64>,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50_us: f64,
    /// 90 of 100 are at or below.
    pub p90_us: f64,
    /// 99 of 100 are at or below.
    pub p99_us: f64,
    /// 999 of 1000 are at or below.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

impl Latencies {
    /// An empty collection.
    ///
    /// # Panics
    /// Never: the bounds are constants that the histogram accepts.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, CEILING_NS, 3).expect("constant bounds are valid");
        Self { histogram }
    }

    /// Records one latency; what is longer than a minute counts as a minute.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(CEILING_NS);
        self.histogram.saturating_record(ns.min(CEILING_NS));
    }

    /// The percentiles so far.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let at =
            |quantile| Duration::from_nanos(self.histogram.value_at_quantile(quantile)).as_secs_f64() * 1e6;
        let round = |us: f64| (us * 10.0).round() / 10.0;
        Percentiles {
            p50_us: round(at(0.5)),
            p90_us: round(at(0.9)),
            p99_us: round(at(0.99)),
            p999_us: round(at(0.999)),
            max_us: round(at(1.0)),
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_follow_the_records() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|us| latencies.record(Duration::from_micros(us)));
        let found = latencies.percentiles();
        assert!((found.p50_us - 500.0).abs() < 2.0 && (found.p99_us - 990.0).abs() < 2.0, "{found:?}");
        assert!((found.max_us - 1000.0).abs() < 2.0, "{found:?}");
    }
}
