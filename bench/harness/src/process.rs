//! Server processes of a comparison: started on one processor, ended by their own id.
//! Never: a process left behind, and never one ended that was not started here.
//! Next: [`crate::target`], which asks them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::affinity;
use crate::target::Target;

/// Between two tries to reach a starting server.
const RETRY_PAUSE: Duration = Duration::from_micros(100);
const START_PATIENCE: Duration = Duration::from_secs(10);
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A running child.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` pinned to `cpu`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, cpu: usize) -> Result<Self> {
        let child = affinity::spawn_on(cpu, command).with_context(|| format!("start {command:?}"))?;
        Ok(Self { child })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks on new connections until the first answer comes; returns it and when it came.
    ///
    /// # Errors
    /// When the process ends before, or none comes in time.
    pub fn first_answer(&mut self, target: &Target, request: &[u8]) -> Result<(Vec<u8>, Instant)> {
        let start = Instant::now();
        loop {
            let error = match target.ask(request) {
                Ok(answer) => return Ok((answer, Instant::now())),
                Err(error) => error,
            };
            if self.ended() {
                return Err(error.context("the server ended before it answered"));
            }
            if start.elapsed() > START_PATIENCE {
                return Err(error.context("the server does not answer"));
            }
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, waits, and ends it by force when it does not.
    fn stop(&mut self) -> io::Result<()> {
        if self.ended() {
            return Ok(());
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let start = Instant::now();
        while start.elapsed() < STOP_PATIENCE {
            if self.ended() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("process {}: {error}", self.child.id());
        }
    }
}

/// Picks loopback addresses with free ports.
///
/// # Errors
/// When no port is free.
pub fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}
