//! `tracing` events, from tools and libraries, as entries for the writer.
//! Never: a span; nothing on the request path opens one.
//! Next: `line::Entry`.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Sender;
use super::line::Entry;

/// Sends every event it sees to the writer.
pub(super) struct EntryLayer {
    pub(super) sender: Sender,
}

impl<S: Subscriber> Layer<S> for EntryLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut entry = Entry::new(*metadata.level(), "log");
        entry.target = metadata.target().to_owned();
        entry.fields.push(("target", metadata.target().into()));
        event.record(&mut Collect { entry: &mut entry });
        self.sender.entry(entry);
    }
}

/// Fields to values; `event` names the entry.
struct Collect<'a> {
    entry: &'a mut Entry,
}

impl Collect<'_> {
    fn push(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("event", Value::String(word)) => self.entry.event = word,
            (name, value) => self.entry.fields.push((name, value)),
        }
    }
}

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value.into());
    }
}
