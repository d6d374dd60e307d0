//! Questions to responders by host: a few at once to each, the others behind them, and which host failed lately.
//! Never: a socket, a clock; a host that holds up the questions to another.
//! Next: `asker`, whose threads go through here.

use std::collections::{HashMap, VecDeque};

use super::asker::{FAILED_S, Question};

/// Questions to one host at once.
const ASKING_MAX: usize = 2;
/// Questions to one host that wait behind those.
const PARKED_MAX: usize = 256;
/// Hosts that are remembered.
const HOSTS_MAX: usize = 1024;

/// What became of a question.
pub(super) enum Entered {
    /// It is to be asked now; [`Lanes::leave`] follows.
    Asking(Box<Question>),
    /// Whoever leaves takes it along.
    Parked,
    /// Too many wait already.
    Full(Box<Question>),
}

/// All hosts.
#[derive(Default)]
pub(super) struct Lanes {
    by_host: HashMap<String, Lane>,
}

#[derive(Default)]
struct Lane {
    asking: usize,
    parked: VecDeque<Question>,
    failed_until_s: i64,
}

impl Lanes {
    /// Puts a question to the first host that it is for.
    pub(super) fn enter(&mut self, host: &str, question: Question) -> Entered {
        let lane = self.by_host.entry(host.to_owned()).or_default();
        if lane.asking < ASKING_MAX {
            lane.asking += 1;
            return Entered::Asking(Box::new(question));
        }
        if lane.parked.len() >= PARKED_MAX {
            return Entered::Full(Box::new(question));
        }
        lane.parked.push_back(question);
        Entered::Parked
    }

    /// A question has been asked; gives the next one for the same host.
    pub(super) fn leave(&mut self, host: &str, now_s: i64) -> Option<Question> {
        let lane = self.by_host.get_mut(host)?;
        if let Some(next) = lane.parked.pop_front() {
            return Some(next);
        }
        lane.asking = lane.asking.saturating_sub(1);
        if lane.asking == 0 && lane.failed_until_s <= now_s {
            self.by_host.remove(host);
        }
        None
    }

    /// The host did not answer.
    pub(super) fn note_failure(&mut self, host: &str, now_s: i64) {
        if self.by_host.len() >= HOSTS_MAX {
            self.by_host.retain(|_, lane| lane.asking > 0 || now_s < lane.failed_until_s);
        }
        if self.by_host.len() < HOSTS_MAX || self.by_host.contains_key(host) {
            let lane = self.by_host.entry(host.to_owned()).or_default();
            lane.failed_until_s = now_s.saturating_add(FAILED_S);
        }
    }

    /// Whether the host did not answer lately.
    pub(super) fn has_failed(&self, host: &str, now_s: i64) -> bool {
        self.by_host.get(host).is_some_and(|lane| now_s < lane.failed_until_s)
    }
}

/// Host and port of a URL, lower case.
pub(super) fn host_of(url: &str) -> String {
    let parsed: Result<ureq::http::Uri, _> = url.parse();
    let authority =
        parsed.ok().and_then(|url| url.authority().map(|authority| authority.as_str().to_owned()));
    authority.unwrap_or_else(|| url.to_owned()).to_ascii_lowercase()
}
