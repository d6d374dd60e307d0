//! What a run found: one JSON line.
//! Never: a verdict; `compare` puts reports side by side.
//! Next: [`crate::machine`], which keeps it with its circumstances.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::latency::{Latencies, Percentiles};
use crate::load::Plan;
use crate::usage::CpuTime;

/// Clock ticks a second in /proc; Linux tells user space 100 on every architecture that matters here.
const TICKS_PER_S: f64 = 100.0;

/// Time used during the counted window.
pub struct Used {
    /// Wall time of the window.
    pub window: Duration,
    /// The server's processor time.
    pub server: Option<CpuTime>,
    /// Our own.
    pub client: CpuTime,
}

/// The result of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Connections open.
    pub connections: usize,
    /// Requests that left together on each.
    pub in_flight: usize,
    /// How messages went.
    pub carriage: String,
    /// Whether TLS was spoken.
    pub tls: bool,
    /// Negotiated suite and key exchange group.
    pub suite: Option<String>,
    /// Right answers in the window.
    pub requests: u64,
    /// Wrong answers and broken connections in the whole run.
    pub errors: u64,
    /// What the first error was.
    pub first_error: Option<String>,
    /// Length of the window.
    pub seconds: f64,
    /// Right answers per second.
    pub requests_per_s: f64,
    /// The server's processor time per request in microseconds, user and system (schedstat).
    pub server_cpu_us: Option<f64>,
    /// The user part of it in microseconds (from ticks, coarser).
    pub server_user_us: Option<f64>,
    /// The system part of it in microseconds (from ticks, coarser).
    pub server_system_us: Option<f64>,
    /// Share of one processor the server used.
    pub server_busy: Option<f64>,
    /// The client's own processor time per request in microseconds.
    pub client_cpu_us: f64,
    /// Share of one processor the client used: near 1 the client is the limit, not the server.
    pub client_busy: f64,
    /// Latencies.
    #[serde(flatten)]
    pub latency: Percentiles,
    /// Size of the request in bytes.
    pub request_bytes: usize,
    /// Size of an answer in bytes.
    pub answer_bytes: usize,
}

impl Report {
    /// Computes a report.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn build(plan: &Plan, requests: u64, latencies: &Latencies, used: &Used) -> Self {
        let count = (requests as f64).max(1.0);
        let seconds = used.window.as_secs_f64();
        let per_request = |ns: u64| round(ns as f64 / 1e3 / count, 3);
        let per_tick = |ticks: u64| round(ticks as f64 / TICKS_PER_S * 1e6 / count, 3);
        let busy = |ns: u64| round(ns as f64 / 1e9 / seconds, 3);
        Self {
            connections: plan.connections,
            in_flight: plan.in_flight,
            carriage: format!("{:?}", plan.target.carriage).to_lowercase(),
            tls: plan.target.tls.is_some(),
            suite: None,
            requests,
            errors: 0,
            first_error: None,
            seconds: round(seconds, 3),
            requests_per_s: round(requests as f64 / seconds, 0),
            server_cpu_us: used.server.map(|time| per_request(time.run_ns)),
            server_user_us: used.server.map(|time| per_tick(time.user_ticks)),
            server_system_us: used.server.map(|time| per_tick(time.system_ticks)),
            server_busy: used.server.map(|time| busy(time.run_ns)),
            client_cpu_us: per_request(used.client.run_ns),
            client_busy: busy(used.client.run_ns),
            latency: latencies.percentiles(),
            request_bytes: plan.request.len(),
            answer_bytes: 0,
        }
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}
