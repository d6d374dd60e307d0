//! The writer over queues that the test fills, into memory that the test reads.
//! Next: `writer`.

use crate::pipeline::event::AccessLog;
use std::sync::Mutex;

use super::*;
use crate::pipeline::event::{Count, Outcome, RECORDS_MAX, Record, Stage};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn lines(&self) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn events(&self) -> Vec<String> {
        self.lines().iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    }
}

fn record(outcome: Outcome, stage: Stage) -> Record {
    Record {
        at_ms: 0,
        outcome,
        stage,
        reason: "x",
        peer: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        listener: "a".into(),
        principal: None,
        method: "",
        tool: None,
        status: 0,
        elapsed_us: 0,
        detail: None,
    }
}

fn selection(filter: &str, access_log: AccessLog) -> Selection {
    Selection { filter: decode_filter(filter).unwrap(), access_log }
}

/// The events that a selection lets through, for one record of every outcome from two stages.
fn selected(filter: &str, access_log: AccessLog) -> Vec<String> {
    let memory = Memory::default();
    let mut writer = Writer::new(Format::Json, selection(filter, access_log), Arc::default(), memory.clone());
    let events = Arc::new(Events::default());
    for stage in [Stage::Tls, Stage::Admit] {
        for outcome in [Outcome::Answered, Outcome::Refused, Outcome::Bug] {
            events.record(record(outcome, stage));
        }
    }
    writer.handle_message(Message::Watch(vec![events]));
    writer.poll_records();
    writer.handle_message(Message::Counters);
    let (sender, inbox) = mpsc::sync_channel(1);
    drop(sender);
    writer.run(&inbox);
    let mut events = memory.events();
    events.retain(|event| event != "counters");
    events
}

#[test]
fn filters_by_level_stage_and_outcome() {
    let all = ["request", "refused", "bug"];
    for (filter, access_log, expect) in [
        ("info", AccessLog::Every, [all, all].concat()),
        ("info", AccessLog::Refused, ["refused", "bug", "refused", "bug"].to_vec()),
        ("error", AccessLog::Every, ["bug", "bug"].to_vec()),
        ("off", AccessLog::Every, [].to_vec()),
        ("error,mcpring::admit=warn", AccessLog::Every, ["bug", "refused", "bug"].to_vec()),
        ("mcpring::tls=info", AccessLog::Every, all.to_vec()),
    ] {
        assert_eq!(selected(filter, access_log), expect, "{filter}");
    }
}

#[test]
fn refuses_a_filter_it_cannot_read() {
    for text in ["loud", "info,a=loud", "a=b=c", "", "info,", "INFO"] {
        assert_eq!(decode_filter(text).map_err(|problem| problem.code).err(), Some("E0370"), "{text}");
    }
}

#[test]
fn writes_everything_before_it_ends_and_the_counters_last() {
    let memory = Memory::default();
    let logger = Logger::start_on(Format::Json, selection("info", AccessLog::Every), memory.clone()).unwrap();
    let shards = [Arc::new(Events::default()), Arc::new(Events::default())];
    logger.watch(shards.to_vec());
    logger.entry(Entry::new(tracing::Level::INFO, "ready"));
    for shard in &shards {
        for _ in 0..10 {
            shard.count(Count::ListenAccepted);
            shard.record(record(Outcome::Answered, Stage::Respond));
        }
    }
    logger.finish();
    let events = memory.events();
    assert_eq!(events.iter().filter(|event| *event == "request").count(), 20);
    assert!(events.contains(&"ready".to_owned()));
    let lines = memory.lines();
    let last = lines.last().unwrap();
    assert_eq!((last["event"].as_str(), last["listen.accepted"].as_u64()), (Some("counters"), Some(20)));
    for count in Count::ALL {
        assert!(last[count.name()].is_u64(), "{}", count.name());
    }
}

#[test]
fn says_how_many_records_were_lost() {
    let memory = Memory::default();
    let logger =
        Logger::start_on(Format::Json, selection("info", AccessLog::Refused), memory.clone()).unwrap();
    let events = Arc::new(Events::default());
    for _ in 0..RECORDS_MAX + 3 {
        events.record(record(Outcome::Answered, Stage::Respond));
    }
    logger.watch(vec![events]);
    logger.finish();
    let lines = memory.lines();
    let lost = lines.iter().find(|line| line["event"] == "records_dropped").expect("the loss is said");
    assert_eq!(lost["count"], 3);
}

#[test]
fn counts_entries_that_do_not_fit() {
    let (channel, _inbox) = mpsc::sync_channel(1);
    let sender = Sender { channel, shared: Arc::default() };
    for _ in 0..3 {
        sender.entry(Entry::new(tracing::Level::INFO, "x"));
    }
    assert_eq!(sender.shared.entries_dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn takes_tracing_events_from_tools() {
    let memory = Memory::default();
    let logger = Logger::start_on(Format::Json, selection("info", AccessLog::Every), memory.clone()).unwrap();
    let layers = tracing_subscriber::registry().with(EntryLayer { sender: logger.sender.clone() });
    tracing::subscriber::with_default(layers, || {
        tracing::info!(event = "opened", path = "a\nb", size = 7, "a file");
        tracing::debug!("too fine");
    });
    logger.finish();
    let lines = memory.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["event"], &lines[0]["path"], &lines[0]["size"]),
        (&"opened".into(), &"a\nb".into(), &7.into())
    );
    assert_eq!(lines[0]["message"], "a file");
}
