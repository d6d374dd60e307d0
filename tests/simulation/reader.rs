//! What simulated clients of the fleet know: their sessions, what they have asked, which messages they have had. Every
//! message that arrives is held against the laws here.
//! Next: `fleet`, which moves them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::incoming::Event;

/// A legacy session.
pub(crate) struct Session {
    /// The sealed id.
    pub(crate) id: String,
    pub(crate) revision: &'static str,
    /// Its end has been asked for.
    pub(crate) is_ending: bool,
    /// Its end has been confirmed.
    pub(crate) is_ended: bool,
    /// The last place that its own stream is known to have reached.
    pub(crate) last_id: Option<String>,
}

/// A request that wants an answer.
pub(crate) struct Asked {
    /// Its session, in the legacy era.
    pub(crate) session: Option<usize>,
    pub(crate) tool: &'static str,
    pub(crate) answers: u32,
    /// It was cancelled, its session is ending, or nothing is known to come back with.
    pub(crate) is_excused: bool,
    progress: f64,
}

/// Why a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The answer to the request of that marker, or to a batch that begins with it.
    Answer(u64),
    /// The stream of a session.
    Stream(usize),
    /// A subscription of the modern era, by its marker.
    Listen(u64),
    /// A message that wants no answer.
    Note(usize),
    /// The end of a session.
    End(usize),
}

/// What a client was told that it has to act on.
#[derive(Debug)]
pub(crate) enum Told {
    /// A legacy question by its id.
    Question { session: usize, id: String },
    /// A modern question: the call comes again with that state.
    Round { marker: u64, state: String },
}

/// All that the clients know.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) sessions: Vec<Session>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) questions: BTreeSet<String>,
    /// The newest place of each stream and the session it was read in.
    places: BTreeMap<String, (u64, usize)>,
    /// Single-use states that led to a result.
    pub(crate) used: BTreeMap<u64, u32>,
    /// Which retry brought the state of which request.
    pub(crate) retries: BTreeMap<u64, u64>,
    /// First markers of batches of three.
    pub(crate) batches: BTreeSet<u64>,
    /// Subscriptions that have been acknowledged.
    pub(crate) acknowledged: BTreeSet<u64>,
}

impl Known {
    /// Notes a request.
    pub(crate) fn ask(&mut self, marker: u64, session: Option<usize>, tool: &'static str) {
        let asked = Asked { session, tool, answers: 0, is_excused: false, progress: 0.0 };
        self.asked.insert(marker, asked);
    }

    /// What was asked together with that marker.
    fn together(&self, marker: u64) -> std::ops::Range<u64> {
        marker..marker + if self.batches.contains(&marker) { 3 } else { 1 }
    }

    /// Whether the client waits for an answer to what it asked with that marker.
    pub(crate) fn is_owed(&self, marker: u64) -> bool {
        let is_owed = |asked: &Asked| asked.answers == 0 && !asked.is_excused;
        self.together(marker).any(|marker| self.asked.get(&marker).is_some_and(is_owed))
    }

    /// There may be no answer to it.
    pub(crate) fn excuse(&mut self, marker: u64) {
        for marker in self.together(marker) {
            if let Some(asked) = self.asked.get_mut(&marker) {
                asked.is_excused = true;
            }
        }
    }

    /// Takes one event of an answer with that purpose; `last_id` is the newest place the client can come back to.
    pub(crate) fn take(
        &mut self,
        event: Event,
        purpose: Purpose,
        session: Option<usize>,
        last_id: &mut Option<String>,
    ) -> Vec<Told> {
        if let Some(id) = event.id {
            if event.data.is_some() {
                self.place(&id, session.expect("only legacy streams have ids"));
            }
            *last_id = Some(id);
        }
        match event.data {
            None => Vec::new(),
            Some(Value::Array(messages)) => {
                messages.into_iter().filter_map(|message| self.message(&message, purpose, session)).collect()
            }
            Some(message) => self.message(&message, purpose, session).into_iter().collect(),
        }
    }

    /// Places rise within a stream, whoever reads it wherever, and a stream is one session's.
    fn place(&mut self, id: &str, session: usize) {
        let (stream, seq) = id.rsplit_once('.').expect("a stream and a place");
        let seq = u64::from_str_radix(seq, 16).expect("a place");
        let (newest, owner) = self.places.entry(stream.to_owned()).or_insert((0, session));
        assert_eq!(*owner, session, "the stream {stream} is another session's");
        assert!(seq > *newest, "{stream} told {seq} after {newest}");
        *newest = seq;
    }

    fn message(&mut self, message: &Value, purpose: Purpose, session: Option<usize>) -> Option<Told> {
        assert!(!message.to_string().contains("stolen"), "a stranger's answer was taken: {message}");
        if let Some(marker) = message["params"]["progressToken"].as_u64() {
            self.progress(marker, message, session);
            return None;
        }
        match message["method"].as_str() {
            Some("elicitation/create") => {
                let session = session.expect("the modern era asks by answering");
                let id = message["id"].as_str().expect("a question has an id").to_owned();
                assert!(self.questions.insert(id.clone()), "a question twice: {message}");
                Some(Told::Question { session, id })
            }
            // A question nobody answered in time is taken back, once.
            Some("notifications/cancelled") if session.is_some() => {
                let id = message["params"]["requestId"].as_str().expect("the id of a question");
                assert!(self.questions.remove(id), "not a question that is open: {message}");
                None
            }
            Some(_) => {
                self.notification(message, purpose);
                None
            }
            None => self.answer(message, session),
        }
    }

    fn progress(&mut self, marker: u64, message: &Value, session: Option<usize>) {
        let asked = self.asked.get_mut(&marker).expect("progress of something asked");
        assert_eq!(asked.session, session, "progress of another session's call");
        assert_eq!(asked.answers, 0, "progress after the answer: {message}");
        let progress = message["params"]["progress"].as_f64().expect("a number");
        assert!(progress > asked.progress, "progress rises");
        asked.progress = progress;
    }

    fn notification(&mut self, message: &Value, purpose: Purpose) {
        let method = message["method"].as_str().unwrap_or_default();
        match purpose {
            Purpose::Stream(_) => {
                assert!(
                    ["notifications/resources/updated", "notifications/tools/list_changed"].contains(&method)
                );
            }
            Purpose::Listen(marker) => {
                let tag = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
                assert_eq!(tag.as_u64(), Some(marker), "{message}");
                let is_first = self.acknowledged.insert(marker);
                assert_eq!(is_first, method == "notifications/subscriptions/acknowledged", "{message}");
            }
            Purpose::Answer(_) | Purpose::Note(_) | Purpose::End(_) => panic!("out of place: {message}"),
        }
    }

    fn answer(&mut self, message: &Value, session: Option<usize>) -> Option<Told> {
        let Some(marker) = message["id"].as_u64() else {
            // A refusal of what could not be read, or of a session that is over.
            assert!(message["error"].is_object(), "{message}");
            return None;
        };
        let asked = self.asked.get_mut(&marker).unwrap_or_else(|| panic!("nobody asked: {message}"));
        assert_eq!(asked.session, session, "another session's answer: {message}");
        asked.answers += 1;
        assert_eq!(asked.answers, 1, "answered twice: {message}");
        let result = &message["result"];
        if result["resultType"] == "input_required" {
            let state = result["requestState"].as_str().expect("a state").to_owned();
            return Some(Told::Round { marker, state });
        }
        if let Some(text) = result["content"][0]["text"].as_str()
            && result["isError"] != true
        {
            assert!(text.starts_with(&format!("marker {}", self.origin(marker))), "{message}");
            if self.asked[&marker].tool == "once" && session.is_none() {
                let uses = self.used.entry(self.retries.get(&marker).copied().unwrap_or(marker)).or_default();
                *uses += 1;
                assert_eq!(*uses, 1, "a single-use state was used twice: {message}");
            }
        }
        None
    }

    /// The marker that the first of several rounds was asked with.
    pub(crate) fn origin(&self, marker: u64) -> u64 {
        self.retries.get(&marker).copied().unwrap_or(marker)
    }
}
