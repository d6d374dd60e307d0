//! What a full TLS handshake costs the server: connect, shake hands without resumption, ask once, close.
//! Several threads on one processor keep the server busy, so that waking up is not what is measured.
//! Next: [`crate::target`], which opens the connections.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::scenario::Expected;
use crate::target::Target;
use crate::usage;

/// The result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Handshakes {
    /// Client threads.
    pub threads: usize,
    /// Full handshakes with one answer each.
    pub handshakes: u64,
    /// Counted time.
    pub seconds: f64,
    /// Handshakes per second.
    pub handshakes_per_s: f64,
    /// The server's processor time for connect, handshake, one request and close, in microseconds.
    pub server_cpu_us: f64,
}

/// Shakes hands from `threads` threads for `window`.
///
/// # Errors
/// When a handshake fails or an answer is wrong.
pub fn measure(
    target: &Target,
    request: &[u8],
    expected: &Expected,
    threads: usize,
    window: Duration,
    pid: u32,
) -> Result<Handshakes> {
    let before = usage::cpu_time(pid)?;
    let start = Instant::now();
    let counts = thread::scope(|scope| {
        let clients = (0..threads).map(|_| {
            scope.spawn(|| -> Result<u64> {
                let mut count = 0;
                while start.elapsed() < window {
                    let bytes = target.ask(request)?;
                    answer::check(&bytes, expected)?.context("incomplete answer")?;
                    count += 1;
                }
                Ok(count)
            })
        });
        let clients = clients.collect::<Vec<_>>();
        clients
            .into_iter()
            .map(|client| client.join().map_err(|_| anyhow!("a client thread panicked"))?)
            .collect::<Result<Vec<u64>>>()
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let used = usage::cpu_time(pid)? - before;
    let handshakes: u64 = counts.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let (count, run_us) = (handshakes as f64, used.run_ns as f64 / 1e3);
    Ok(Handshakes {
        threads,
        handshakes,
        seconds,
        handshakes_per_s: (count / seconds).round(),
        server_cpu_us: (run_us / count.max(1.0) * 10.0).round() / 10.0,
    })
}
