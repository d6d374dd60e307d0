//! The writer: one thread that empties every shard's queue of records some twenty times a second and takes the
//! control plane's entries as they come. Shards never wake it and never wait for it.
//! Never: an unbounded queue; what does not fit is counted and said.
//! Next: `line`, what it writes.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracing::Level;
use tracing_subscriber::filter::Targets;

use super::line::{Entry, Format, encode_record, level_of, target_of};
use crate::pipeline::event::{AccessLog, Count, Events, Outcome, RECORDS_MAX, Record};

/// How long a record may wait.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// After a poll that found a queue more than half full, the next one comes sooner.
const POLL_INTERVAL_BUSY: Duration = Duration::from_millis(5);
/// Lost records are reported at most this often.
const LOSS_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// One write(2). A shard that never stops cannot keep the buffer growing.
const WRITE_BYTES: usize = 64 << 10;

/// Which records become lines.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// Level by stage.
    pub(super) filter: Targets,
    /// Whether requests that went well count.
    pub(super) access_log: AccessLog,
}

/// What the writer is told.
pub(super) enum Message {
    Entry(Box<Entry>),
    Watch(Vec<Arc<Events>>),
    Select(Box<Selection>),
    Counters,
    Wake,
}

/// What writer and senders share.
#[derive(Default)]
pub(super) struct Shared {
    /// Set once: empty everything and end.
    pub(super) stop: AtomicBool,
    /// Entries that found the channel full.
    pub(super) entries_dropped: AtomicU64,
}

pub(super) struct Writer<W> {
    pub(super) format: Format,
    pub(super) selection: Selection,
    pub(super) shared: Arc<Shared>,
    pub(super) sink: W,
    watched: Vec<Arc<Events>>,
    buffer: Vec<u8>,
    lost: u64,
    loss_reported: Option<Instant>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(format: Format, selection: Selection, shared: Arc<Shared>, sink: W) -> Self {
        let buffer = Vec::with_capacity(WRITE_BYTES);
        Self { format, selection, shared, sink, watched: Vec::new(), buffer, lost: 0, loss_reported: None }
    }

    /// Runs until told to stop, then empties everything and writes the counters once more.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        let mut interval = POLL_INTERVAL;
        loop {
            match inbox.recv_timeout(interval) {
                Ok(message) => self.handle_message(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(message) = inbox.try_recv() {
                self.handle_message(message);
            }
            interval = if self.poll_records() > RECORDS_MAX / 2 { POLL_INTERVAL_BUSY } else { POLL_INTERVAL };
            self.report_loss(Instant::now());
            self.flush();
            if self.shared.stop.load(Ordering::Acquire) {
                break;
            }
        }
        while let Ok(message) = inbox.try_recv() {
            self.handle_message(message);
        }
        self.poll_records();
        if !self.watched.is_empty() {
            self.encode_counters();
        }
        self.flush();
    }

    pub(super) fn handle_message(&mut self, message: Message) {
        match message {
            Message::Entry(entry) => {
                // Tools filter where they log; this is for the control plane's own entries.
                if self.selection.filter.would_enable(&entry.target, &entry.level) {
                    entry.encode(self.format, &mut self.buffer);
                }
            }
            Message::Watch(events) => self.watched = events,
            Message::Select(selection) => self.selection = *selection,
            Message::Counters => {
                // So that the counters stand after the lines they count.
                self.poll_records();
                self.encode_counters();
            }
            Message::Wake => {}
        }
    }

    /// Empties every queue once; returns the most that one held.
    pub(super) fn poll_records(&mut self) -> usize {
        let mut most = 0;
        for index in 0..self.watched.len() {
            let Some(events) = self.watched.get(index).cloned() else { break };
            let mut held = 0;
            // No more than one queue's worth: the others wait too.
            while held < RECORDS_MAX
                && let Some(record) = events.poll_record()
            {
                held += 1;
                self.encode_record(&record);
                if self.buffer.len() >= WRITE_BYTES {
                    self.flush();
                }
            }
            most = most.max(held);
        }
        most
    }

    fn encode_record(&mut self, record: &Record) {
        let is_wanted = match record.outcome {
            Outcome::Answered => self.selection.access_log == AccessLog::Every,
            Outcome::Refused | Outcome::Fault | Outcome::Bug => true,
        };
        let (target, level) = (target_of(record.stage), level_of(record.outcome));
        if is_wanted && self.selection.filter.would_enable(target, &level) {
            encode_record(record, self.format, &mut self.buffer);
        }
    }

    /// Says that records were lost, and how many since the last time.
    fn report_loss(&mut self, now: Instant) {
        let total = self.total(Count::EventDropped) + self.shared.entries_dropped.load(Ordering::Relaxed);
        let is_due = self.loss_reported.is_none_or(|last| now.duration_since(last) >= LOSS_REPORT_INTERVAL);
        if total > self.lost && is_due {
            let entry = Entry::new(Level::WARN, "records_dropped").with("count", total - self.lost);
            entry.with("total", total).encode(self.format, &mut self.buffer);
            self.lost = total;
            self.loss_reported = Some(now);
        }
    }

    fn total(&self, count: Count) -> u64 {
        self.watched.iter().map(|events| events.total(count)).sum()
    }

    /// One line with every counter, summed over the shards. It is asked for, so no level hides it.
    fn encode_counters(&mut self) {
        let mut entry = Entry::new(Level::INFO, "counters").with("shards", self.watched.len());
        for &count in Count::ALL {
            entry = entry.with(count.name(), self.total(count));
        }
        let dropped = self.shared.entries_dropped.load(Ordering::Relaxed);
        entry.with("log.dropped", dropped).encode(self.format, &mut self.buffer);
    }

    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            // A log nobody reads any more must not end the server.
            let _ = self.sink.write_all(&self.buffer).and_then(|()| self.sink.flush());
            self.buffer.clear();
        }
    }
}
