//! The log: records of the shards, entries of the control plane and of tools, as lines on stderr.
//! Never: work on the request path beyond a push into the shard's own queue.
//! Next: `writer`, the thread; `line`, what a line looks like.

mod layer;
pub mod line;
mod writer;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, reload};

use super::config::checked::{Log, LogFormat};
use super::problem::{Exit, Problem};
use crate::pipeline::event::Events;
use layer::EntryLayer;
use line::{Entry, Format};
use writer::{Message, Selection, Shared, Writer};

/// Entries that may wait for the writer.
const ENTRIES_MAX: usize = 1024;
/// How long the end of the process waits for a log that nobody reads.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to the writer.
#[derive(Clone)]
struct Sender {
    channel: SyncSender<Message>,
    shared: Arc<Shared>,
}

impl Sender {
    fn send(&self, message: Message) {
        if self.channel.try_send(message).is_err() {
            self.shared.entries_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn entry(&self, entry: Entry) {
        self.send(Message::Entry(Box::new(entry)));
    }
}

/// What is kept of a backtrace. Bytes.
const BACKTRACE_BYTES_MAX: usize = 8 * 1024;

/// The running log.
pub struct Logger {
    sender: Sender,
    filter: Option<reload::Handle<Targets, Registry>>,
    /// Disconnects when the writer has ended.
    ended: mpsc::Receiver<()>,
}

/// Reads a filter such as `info,mcpring::tls=debug`: a level for all, and levels by target.
///
/// `Targets`' own parser takes a misspelt level for a target, which would switch the whole log off.
pub fn decode_filter(text: &str) -> Result<Targets, Problem> {
    let mut targets = Targets::new();
    for part in text.split(',').map(str::trim) {
        let (target, level) =
            part.rsplit_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        let Some(level) = level_filter(level) else {
            let what =
                format!("log.level \"{}\": \"{}\" is no level", text.escape_debug(), level.escape_debug());
            return Err(Problem::error("E0370", what)
                .note("the levels are off, error, warn, info, debug and trace")
                .help("write a level, or levels by target: \"info,mcpring::tls=debug\""));
        };
        targets = match target {
            Some(target) => targets.with_target(target, level),
            None => targets.with_default(level),
        };
    }
    Ok(targets)
}

fn level_filter(word: &str) -> Option<LevelFilter> {
    let levels = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    levels.iter().find(|(name, _)| *name == word).map(|(_, level)| *level)
}

/// `auto` decided for this process.
pub fn format_of(format: LogFormat) -> Format {
    match format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
        LogFormat::Auto if io::stderr().is_terminal() => Format::Text,
        LogFormat::Auto => Format::Json,
    }
}

fn select(settings: &Log) -> Result<Selection, Problem> {
    Ok(Selection { filter: decode_filter(&settings.level)?, access_log: settings.access_log })
}

impl Logger {
    /// Starts the writer on stderr and becomes the process's `tracing` subscriber, if there is none yet.
    pub fn start(settings: &Log) -> Result<Self, Problem> {
        let selection = select(settings)?;
        let (filter, handle) = reload::Layer::new(selection.filter.clone());
        let mut logger = Self::start_on(format_of(settings.format), selection, io::stderr())?;
        let layers =
            tracing_subscriber::registry().with(filter).with(EntryLayer { sender: logger.sender.clone() });
        if tracing::subscriber::set_global_default(layers).is_ok() {
            logger.filter = Some(handle);
        }
        Ok(logger)
    }

    fn start_on(
        format: Format,
        selection: Selection,
        sink: impl io::Write + Send + 'static,
    ) -> Result<Self, Problem> {
        let (channel, inbox) = mpsc::sync_channel(ENTRIES_MAX);
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(format, selection, Arc::clone(&shared), sink);
        let (alive, ended) = mpsc::channel::<()>();
        let run = move || {
            writer.run(&inbox);
            drop(alive);
        };
        thread::Builder::new().name("log".to_owned()).spawn(run).map_err(|error| {
            Problem::error("E0371", format!("cannot start the log's thread: {error}")).exit(Exit::Unavailable)
        })?;
        Ok(Self { sender: Sender { channel, shared }, filter: None, ended })
    }

    /// Writes an entry; drops and counts it when the writer is far behind.
    pub fn entry(&self, entry: Entry) {
        self.sender.entry(entry);
    }

    /// From now on a panic anywhere in the process is an entry with its place and backtrace. What it does to the
    /// connection or the tool is decided where it is caught.
    pub fn write_panics(&self) {
        let sender = self.sender.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let mut backtrace = std::backtrace::Backtrace::force_capture().to_string();
            backtrace.truncate(backtrace.floor_char_boundary(BACKTRACE_BYTES_MAX));
            let place = panic.location().map_or_else(String::new, ToString::to_string);
            let entry = Entry::new(tracing::Level::ERROR, "panic")
                .with("message", panic.payload_as_str().unwrap_or(""))
                .with("place", place)
                .with("backtrace", backtrace);
            sender.entry(entry);
        }));
    }

    /// Writes a problem of a reload as one entry.
    pub fn problem(&self, problem: &Problem) {
        let level = match problem.severity {
            super::problem::Severity::Error => tracing::Level::ERROR,
            super::problem::Severity::Warning => tracing::Level::WARN,
        };
        let mut entry =
            Entry::new(level, "problem").with("code", problem.code).with("message", problem.what.as_str());
        if !problem.notes.is_empty() {
            entry = entry.with("notes", problem.notes.clone());
        }
        if !problem.help.is_empty() {
            entry = entry.with("help", problem.help.clone());
        }
        self.entry(entry);
    }

    /// Sets whose records are written from now on.
    pub fn watch(&self, events: Vec<Arc<Events>>) {
        self.sender.send(Message::Watch(events));
    }

    /// Takes new levels. The format stays until a restart, since a reader has adjusted to it.
    pub fn reload(&self, settings: &Log) -> Result<(), Problem> {
        let selection = select(settings)?;
        if let Some(handle) = &self.filter {
            // Fails only when the subscriber is gone, and then there is nothing to filter.
            let _ = handle.reload(selection.filter.clone());
        }
        self.sender.send(Message::Select(Box::new(selection)));
        Ok(())
    }

    /// Writes one line with every counter.
    pub fn counters(&self) {
        self.sender.send(Message::Counters);
    }

    /// Writes everything that waits and the counters, then ends the writer. Waits at most two seconds, since
    /// a pipe that nobody reads blocks for ever.
    pub fn finish(self) {
        self.sender.shared.stop.store(true, Ordering::Release);
        // Any message wakes the writer; a full channel means that it is awake.
        let _ = self.sender.channel.try_send(Message::Wake);
        let _ = self.ended.recv_timeout(FINISH_TIMEOUT);
    }
}

#[cfg(test)]
mod tests;
