//! What the throng has asked, and every message that comes back held against it: one answer to each request, to whoever
//! asked, right, and none after it was known to be cancelled.
//! Next: `throng`, which asks.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ledger::{Shared, text};
use crate::script::{ALL, MARK, SOMETIMES};
use crate::talker::Kind;

/// How far a cancellation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    No,
    /// It is on its way.
    Sent,
    /// The server has it, and what it had said before has arrived.
    Known,
}

/// A request that wants an answer.
pub(crate) struct Asked {
    /// Who asked; zero for a request of HTTP.
    pub(crate) by: u64,
    pub(crate) key: &'static str,
    pub(crate) tool: &'static str,
    pub(crate) answers: u32,
    pub(crate) cancelled: Cancelled,
    /// Its connection has ended, or it did not arrive.
    pub(crate) is_excused: bool,
    progress: f64,
}

/// All of them by marker.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) asked: BTreeMap<u64, Asked>,
}

impl Heard {
    pub(crate) fn ask(&mut self, marker: u64, by: u64, key: &'static str, tool: &'static str) {
        let (answers, cancelled, is_excused, progress) = (0, Cancelled::No, false, 0.0);
        self.asked.insert(marker, Asked { by, key, tool, answers, cancelled, is_excused, progress });
    }

    /// Requests of that peer's without an answer.
    pub(crate) fn open(&self, by: u64) -> Vec<u64> {
        let is_open = |asked: &Asked| asked.by == by && asked.answers == 0 && !asked.is_excused;
        self.asked.iter().filter(|(_, asked)| is_open(asked)).map(|(marker, _)| *marker).collect()
    }

    /// Whether an answer is still owed.
    pub(crate) fn is_owed(&self, marker: u64) -> bool {
        let asked = &self.asked[&marker];
        asked.answers == 0 && !asked.is_excused && asked.cancelled == Cancelled::No && asked.tool != "listen"
    }

    pub(crate) fn excuse(&mut self, marker: u64) {
        if let Some(asked) = self.asked.get_mut(&marker) {
            asked.is_excused = true;
        }
    }

    /// Whatever that peer cancelled is known to the server.
    pub(crate) fn seal(&mut self, by: u64) {
        for asked in self.asked.values_mut().filter(|asked| asked.by == by) {
            if asked.cancelled == Cancelled::Sent {
                asked.cancelled = Cancelled::Known;
            }
        }
    }

    /// Takes a message that came to `by`; a question comes back with its id.
    pub(crate) fn take(
        &mut self,
        by: u64,
        kind: Option<Kind>,
        message: &Value,
        ledger: &Shared,
    ) -> Option<String> {
        let Some(method) = message["method"].as_str() else {
            self.answer(by, message, ledger);
            return None;
        };
        if let Some(marker) = message["params"]["progressToken"].as_u64() {
            let asked = self.asked.get_mut(&marker).expect("progress of something asked");
            assert_eq!((asked.by, asked.answers), (by, 0), "progress out of place: {message}");
            assert_ne!(asked.cancelled, Cancelled::Known, "progress of what was cancelled: {message}");
            let progress = message["params"]["progress"].as_f64().expect("a number");
            assert!(progress > asked.progress, "progress rises");
            asked.progress = progress;
            return None;
        }
        match method {
            "notifications/resources/updated" | "notifications/tools/list_changed" => {
                let tag = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
                self.check_tag(by, tag, message);
            }
            "notifications/subscriptions/acknowledged" => {
                assert!(kind != Some(Kind::Feed), "{message}");
            }
            "elicitation/create" => return Some(message["id"].as_str().expect("an id").to_owned()),
            "notifications/cancelled" => {}
            _ => panic!("out of place: {message}"),
        }
        None
    }

    /// What is told of a subscription is told to its owner, and not after it was given up.
    fn check_tag(&self, by: u64, tag: &Value, message: &Value) {
        if let Some(marker) = tag.as_u64() {
            let asked = &self.asked[&marker];
            assert_eq!((asked.by, asked.tool), (by, "listen"), "{message}");
            assert_ne!(asked.cancelled, Cancelled::Known, "told of what was given up: {message}");
        }
    }

    fn answer(&mut self, by: u64, message: &Value, ledger: &Shared) {
        let Some(marker) = message["id"].as_u64() else {
            assert!(message["error"].is_object(), "{message}");
            return;
        };
        let asked = self.asked.get_mut(&marker).unwrap_or_else(|| panic!("nobody asked: {message}"));
        assert_eq!(asked.by, by, "another's answer: {message}");
        asked.answers += 1;
        assert_eq!(asked.answers, 1, "answered twice: {message}");
        assert_ne!(asked.cancelled, Cancelled::Known, "answered although cancelled: {message}");
        let is_counted = ["mark", "private", "gate", "steps"].contains(&asked.tool);
        let calls = ledger.lock().unwrap().calls.get(&marker).copied().unwrap_or(0);
        if message["error"].is_object() {
            // Only a call that ran out of time has begun.
            let is_late = message["error"]["code"] == 504;
            assert!(!is_counted || calls == u64::from(is_late), "called {calls} times: {message}");
            return;
        }
        assert!([ALL, MARK, SOMETIMES].contains(&asked.key), "a stranger was served: {message}");
        assert!(
            asked.key != MARK || ["mark", "initialize", "ping"].contains(&asked.tool),
            "{} was not allowed: {message}",
            asked.tool
        );
        if is_counted {
            assert_eq!(calls, 1, "{message}");
            assert_eq!(message["result"]["content"][0]["text"], text(marker), "{message}");
        }
    }
}
