//! Pins threads and child processes to one processor.
//! Never: priorities; `nice` does not shield a run from other process groups here.
//! Next: [`crate::process`], which starts servers with it.

use std::io;
use std::process::{Child, Command};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins the calling thread to processor `cpu`.
///
/// # Errors
/// When the processor does not exist or is not allowed.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::Error::other("no such processor"));
    }
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// Starts `command` pinned to `cpu`: a child inherits the mask of the thread that starts it.
///
/// # Errors
/// When pinning or starting fails.
pub fn spawn_on(cpu: usize, command: &mut Command) -> io::Result<Child> {
    let before = sched_getaffinity(None)?;
    pin(cpu)?;
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child
}
