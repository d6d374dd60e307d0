//! Reads what a process and its descendants used: processor time and memory, from /proc.
//! Never: a tracer or a counter inside the server; what is measured must not know it.
//! Next: [`crate::load`], which reads it around the counted window.

use std::fs;
use std::io;
use std::ops::Sub;

use serde::Serialize;

/// Processor time of a process tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuTime {
    /// Time on a processor in nanoseconds (schedstat), user and system together.
    pub run_ns: u64,
    /// User time in clock ticks.
    pub user_ticks: u64,
    /// System time in clock ticks.
    pub system_ticks: u64,
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            run_ns: self.run_ns.saturating_sub(earlier.run_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }
}

/// Memory of a process tree in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Memory {
    /// Resident set.
    pub rss_bytes: u64,
    /// Resident set with shared pages divided among their users.
    pub pss_bytes: u64,
}

/// Reads the processor time that `pid` and its descendants have used so far.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(pid: u32) -> io::Result<CpuTime> {
    let mut total = CpuTime::default();
    for pid in tree(pid)? {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end between the listing and the reading.
            let Ok(line) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total.run_ns += number(line.split_whitespace().next())?;
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold spaces: count fields behind it (proc(5): utime is 14, stime 15).
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let mut fields = fields.split_whitespace().skip(11);
        total.user_ticks += number(fields.next())?;
        total.system_ticks += number(fields.next())?;
    }
    Ok(total)
}

/// Reads the memory of `pid` and its descendants.
///
/// # Errors
/// When the process is gone.
pub fn memory(pid: u32) -> io::Result<Memory> {
    let mut total = Memory::default();
    for pid in tree(pid)? {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("Rss:") => total.rss_bytes += number(words.next())? * 1024,
                Some("Pss:") => total.pss_bytes += number(words.next())? * 1024,
                _ => {}
            }
        }
    }
    Ok(total)
}

fn tree(pid: u32) -> io::Result<Vec<u32>> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(&pid) = all.get(next) {
        next += 1;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    Ok(all)
}

fn number(text: Option<&str>) -> io::Result<u64> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| io::Error::other("unreadable number in /proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_own_time_and_memory() {
        let before = cpu_time(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while (cpu_time(std::process::id()).unwrap() - before).run_ns < 20_000_000 {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        assert_ne!(sum, 1);
        let held = memory(std::process::id()).unwrap();
        assert!(held.rss_bytes > 100_000 && held.pss_bytes <= held.rss_bytes, "{held:?}");
    }
}
