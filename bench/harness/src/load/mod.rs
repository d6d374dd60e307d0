//! The load client: one thread, epoll, many connections with one request in flight each, or several that leave and are
//! waited for together (closed loop); every answer is checked.
//! epoll and not io_uring, because on loopback read and write return at once and a ring only adds to that.
//! Never: a pause, a second thread or a retry that hides an error.
//! Next: [`connection`], one conversation; [`report`], what a run found.

pub mod connection;
pub mod report;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::latency::Latencies;
use crate::load::connection::{Checker, Connection, Received, Scratch};
use crate::load::report::{Report, Used};
use crate::target::Target;
use crate::usage;

/// Past this many errors a run is given up: its numbers would mean nothing.
const ERRORS_MAX: u64 = 100;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 256;

/// What to do.
pub struct Plan {
    /// The server.
    pub target: Target,
    /// The request's bytes.
    pub request: Vec<u8>,
    /// Connections held open.
    pub connections: usize,
    /// Requests that leave together on each.
    pub in_flight: usize,
    /// Uncounted time at the start.
    pub warmup: Duration,
    /// Counted time.
    pub window: Duration,
    /// The server's process, whose time is read.
    pub pid: Option<u32>,
}

/// Runs the plan and reports.
///
/// # Errors
/// When connections cannot be opened or too many answers are wrong.
pub fn run(plan: &Plan, checker: Checker) -> Result<Report> {
    let mut run = Run::open(plan, checker)?;
    let opened = Instant::now();
    let mut now = opened;
    for index in 0..plan.connections {
        run.ask(index, now)?;
    }
    while now < opened + plan.warmup {
        now = run.turn(None, now)?;
    }
    let mut latencies = Latencies::new();
    let before = Readings::take(plan.pid)?;
    run.answered = 0;
    while now < before.at + plan.window {
        now = run.turn(Some(&mut latencies), now)?;
    }
    let after = Readings::take(plan.pid)?;
    if run.answered == 0 {
        bail!("not one answer within {:?}", plan.window);
    }
    let used = Used {
        window: after.at - before.at,
        server: plan.pid.map(|_| after.server - before.server),
        client: after.client - before.client,
    };
    let mut report = Report::build(plan, run.answered, &latencies, &used);
    report.answer_bytes = run.checker.answer_bytes();
    report.suite = run.suite();
    report.errors = run.errors;
    report.first_error = run.first_error;
    Ok(report)
}

/// Time and processor time at one moment.
struct Readings {
    at: Instant,
    server: usage::CpuTime,
    client: usage::CpuTime,
}

impl Readings {
    fn take(pid: Option<u32>) -> Result<Self> {
        let server = match pid {
            Some(pid) => usage::cpu_time(pid).context("the server's processor time")?,
            None => usage::CpuTime::default(),
        };
        let client = usage::cpu_time(std::process::id())?;
        Ok(Self { at: Instant::now(), server, client })
    }
}

/// The state of a run.
struct Run<'plan> {
    plan: &'plan Plan,
    /// What leaves in one write.
    requests: Vec<u8>,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    connections: Vec<Connection>,
    /// Connections to be opened again after an error.
    broken: VecDeque<usize>,
    scratch: Scratch,
    checker: Checker,
    answered: u64,
    errors: u64,
    first_error: Option<String>,
}

impl<'plan> Run<'plan> {
    fn open(plan: &'plan Plan, checker: Checker) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(plan.connections);
        for index in 0..plan.connections {
            connections.push(connect(plan, &epoll, index)?);
        }
        Ok(Self {
            plan,
            requests: plan.request.repeat(plan.in_flight),
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
            connections,
            broken: VecDeque::new(),
            scratch: Scratch::new(),
            checker,
            answered: 0,
            errors: 0,
            first_error: None,
        })
    }

    /// Waits for answers, checks them and asks again; returns the time of the last event.
    fn turn(&mut self, mut latencies: Option<&mut Latencies>, now: Instant) -> Result<Instant> {
        self.events.clear();
        let patience = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.events.is_empty() {
            return Ok(Instant::now());
        }
        let mut last = now;
        let events = std::mem::take(&mut self.events);
        for event in &events {
            let index = usize::try_from(event.data.u64())?;
            let Some(connection) = self.connections.get_mut(index) else { continue };
            match connection.receive(&mut self.scratch, &mut self.checker) {
                Ok(Received::Part) => {}
                Ok(Received::Answers) => {
                    last = Instant::now();
                    self.answered += u64::try_from(self.plan.in_flight)?;
                    if let Some(latencies) = latencies.as_deref_mut() {
                        latencies.record(last - connection.asked_at());
                    }
                    self.ask(index, last)?;
                }
                Err(error) => self.note(index, &error)?,
            }
        }
        self.events = events;
        self.mend()?;
        Ok(last)
    }

    fn ask(&mut self, index: usize, now: Instant) -> Result<()> {
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        match connection.ask(&self.requests, self.plan.in_flight, now) {
            Ok(()) => Ok(()),
            Err(error) => self.note(index, &error),
        }
    }

    fn note(&mut self, index: usize, error: &anyhow::Error) -> Result<()> {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
        if self.errors > ERRORS_MAX {
            bail!(
                "more than {ERRORS_MAX} errors, the first: {}",
                self.first_error.as_deref().unwrap_or_default()
            );
        }
        self.broken.push_back(index);
        Ok(())
    }

    fn mend(&mut self) -> Result<()> {
        while let Some(index) = self.broken.pop_front() {
            let fresh = connect(self.plan, &self.epoll, index)?;
            if let Some(slot) = self.connections.get_mut(index) {
                *slot = fresh;
            }
            self.ask(index, Instant::now())?;
        }
        Ok(())
    }

    fn suite(&self) -> Option<String> {
        self.connections.first().and_then(Connection::suite)
    }
}

fn connect(plan: &Plan, epoll: &OwnedFd, index: usize) -> Result<Connection> {
    let connection = Connection::build(plan.target.open().context("open a connection")?)?;
    let data = epoll::EventData::new_u64(u64::try_from(index)?);
    // Edge-triggered: an answer is read to its end, and nothing else comes before the next request.
    let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    epoll::add(epoll, connection.socket(), data, flags)?;
    Ok(connection)
}
