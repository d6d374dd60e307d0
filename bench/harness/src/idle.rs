//! What an idle connection costs the server: many are opened, each asks once, then the server's memory is read.
//! Kernel socket buffers are not in it: they belong to no process.
//! Next: [`crate::usage`], which reads the memory.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::scenario::Expected;
use crate::target::Target;
use crate::usage;

/// Connections opened before the first reading, so that what a server sets up once is not counted.
const FIRST: usize = 64;

/// Time given to the server to let go of buffers.
const SETTLE: Duration = Duration::from_secs(2);

/// The result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Idle {
    /// Connections counted.
    pub connections: usize,
    /// Whether over TLS.
    pub tls: bool,
    /// Growth of the resident set per connection in bytes.
    pub rss_bytes_each: u64,
    /// Growth of the proportional set per connection in bytes.
    pub pss_bytes_each: u64,
    /// Resident set before, in bytes.
    pub rss_bytes_before: u64,
    /// Resident set with all connections open, in bytes.
    pub rss_bytes_after: u64,
}

/// Opens `connections` and reports the growth of `pid`'s memory.
///
/// # Errors
/// When a connection is refused or an answer is wrong.
pub fn measure(
    target: &Target,
    request: &[u8],
    expected: &Expected,
    connections: usize,
    pid: u32,
) -> Result<Idle> {
    let mut held = Vec::with_capacity(FIRST + connections);
    let mut open = |count: usize| -> Result<()> {
        for _ in 0..count {
            let mut opened = target.open().context("open a connection")?;
            // Where events only come there is nothing to ask.
            if !request.is_empty() {
                let bytes = opened.ask(request)?;
                target.carriage.check(&bytes, expected)?.context("incomplete answer")?;
            }
            held.push(opened);
        }
        Ok(())
    };
    open(FIRST)?;
    std::thread::sleep(SETTLE);
    let before = usage::memory(pid)?;
    open(connections)?;
    std::thread::sleep(SETTLE);
    let after = usage::memory(pid)?;
    let each = |after: u64, before: u64| -> Result<u64> {
        Ok(after.saturating_sub(before) / u64::try_from(connections.max(1))?)
    };
    Ok(Idle {
        connections,
        tls: target.tls.is_some(),
        rss_bytes_each: each(after.rss_bytes, before.rss_bytes)?,
        pss_bytes_each: each(after.pss_bytes, before.pss_bytes)?,
        rss_bytes_before: before.rss_bytes,
        rss_bytes_after: after.rss_bytes,
    })
}
