//! The questions of one call by their keys: asked, waiting, answered; and the values it remembers.
//! Never: a value a client made up; remembered values have keys that no question has.
//! Next: `mod.rs`, which sends them.

use std::task::{Poll, Waker};

use crate::tools::ask::{Answer, Ask, AskError};

/// Questions that may wait for their answers at once.
pub const ASKS_MAX: usize = 16;

/// Questions and remembered values of one call.
pub const KEYS_MAX: usize = 64;

/// Before the keys of remembered values; no question's key begins with it.
const REMEMBERED: char = '=';

#[derive(Default)]
pub(super) struct Questions {
    entries: Vec<Entry>,
}

struct Entry {
    key: Box<str>,
    state: State,
    /// What was asked under the key in this run; none for an answer from an earlier one until it is asked for.
    asked: Option<Ask>,
}

/// ```text
///             ask                 answer
///  (unknown) -----> Waiting -----------------> Known | Failed
///      |                                         ^
///      +------------ preload, remember ----------+
/// ```
enum State {
    Waiting(Vec<Waker>),
    Known(Vec<u8>),
    Failed(AskError),
}

impl Questions {
    fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| *entry.key == *key)
    }

    pub(super) fn known(&self, key: &str) -> Option<&[u8]> {
        match &self.find(key)?.state {
            State::Known(json) => Some(json),
            State::Waiting(_) | State::Failed(_) => None,
        }
    }

    /// Questions that wait.
    pub(super) fn open(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.state, State::Waiting(_))).count()
    }

    pub(super) fn preload(&mut self, key: String, json: Vec<u8>) -> Result<(), AskError> {
        if self.find(&key).is_some() {
            return Ok(());
        }
        self.insert(key.into(), State::Known(json), None)
    }

    fn insert(&mut self, key: Box<str>, state: State, asked: Option<Ask>) -> Result<(), AskError> {
        if self.entries.len() >= KEYS_MAX {
            return Err(AskError::TooMany);
        }
        self.entries.push(Entry { key, state, asked });
        Ok(())
    }

    /// Where the question of that key stands; none when it was not asked.
    pub(super) fn poll(&mut self, key: &str, waker: &Waker) -> Option<Poll<Answer>> {
        let entry = self.entries.iter_mut().find(|entry| *entry.key == *key)?;
        Some(match &mut entry.state {
            State::Known(json) => Poll::Ready(Ok(json.clone())),
            State::Failed(error) => Poll::Ready(Err(error.clone())),
            State::Waiting(waiting) => {
                if !waiting.iter().any(|known| known.will_wake(waker)) {
                    waiting.push(waker.clone());
                }
                Poll::Pending
            }
        })
    }

    /// Refuses a second question under the key of another one: its answer would be that of the first.
    pub(super) fn claim(&mut self, key: &str, ask: &Ask) -> Result<(), AskError> {
        let Some(entry) = self.entries.iter_mut().find(|entry| *entry.key == *key) else { return Ok(()) };
        match &entry.asked {
            Some(asked) if asked != ask => Err(AskError::Unaskable(format!(
                "the key {key:?} has another question in this call; each question needs its own"
            ))),
            Some(_) => Ok(()),
            None => {
                entry.asked = Some(ask.clone());
                Ok(())
            }
        }
    }

    /// Notes a new question that waits.
    pub(super) fn open_one(&mut self, key: &str, ask: &Ask, waker: &Waker) -> Result<(), AskError> {
        if key.is_empty() || is_remembered_key(key) {
            return Err(AskError::Unaskable(format!(
                "the key {key:?} is empty or begins with {REMEMBERED:?}"
            )));
        }
        if self.open() >= ASKS_MAX {
            return Err(AskError::TooMany);
        }
        self.insert(key.into(), State::Waiting(vec![waker.clone()]), Some(ask.clone()))
    }

    /// Whom to wake, when the key waited.
    pub(super) fn answer(&mut self, key: &str, answer: Answer) -> Option<Vec<Waker>> {
        let entry = self.entries.iter_mut().find(|entry| *entry.key == *key)?;
        if !matches!(entry.state, State::Waiting(_)) {
            return None;
        }
        let answered = match answer {
            Ok(json) => State::Known(json),
            Err(error) => State::Failed(error),
        };
        match std::mem::replace(&mut entry.state, answered) {
            State::Waiting(waiting) => Some(waiting),
            State::Known(_) | State::Failed(_) => None,
        }
    }

    pub(super) fn all_known(&self) -> Vec<(String, Vec<u8>)> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.state {
                State::Known(json) => Some((entry.key.to_string(), json.clone())),
                State::Waiting(_) | State::Failed(_) => None,
            })
            .collect()
    }
}

pub(super) fn remembered_key(key: &str) -> String {
    format!("{REMEMBERED}{key}")
}

pub(super) fn is_remembered_key(key: &str) -> bool {
    key.starts_with(REMEMBERED)
}
