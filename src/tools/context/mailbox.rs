//! What a call wants sent and the job has not taken yet, in order and bounded.
//! Next: `questions`, which bounds what is asked.

use std::collections::VecDeque;

use super::{Emission, Progress};
use crate::tools::ask::Ask;
use crate::tools::log::LogMessage;

/// Reports and messages that may wait. A call that outruns its reader loses some; a question is never lost.
pub const EMISSIONS_MAX: usize = 64;

pub(super) struct Mailbox {
    waiting: VecDeque<Emission>,
    last_progress: f64,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), last_progress: f64::NEG_INFINITY }
    }
}

impl Mailbox {
    pub(super) fn progress(&mut self, report: Progress) {
        if report.progress <= self.last_progress || !report.progress.is_finite() {
            return;
        }
        self.last_progress = report.progress;
        self.push(Emission::Progress(report), |other| matches!(other, Emission::Progress(_)));
    }

    pub(super) fn log(&mut self, message: LogMessage) {
        self.push(Emission::Log(message), |other| matches!(other, Emission::Log(_)));
    }

    /// Questions are bounded by themselves.
    pub(super) fn ask(&mut self, key: &str, ask: Ask) {
        self.waiting.push_back(Emission::Ask { key: key.into(), ask });
    }

    /// Once is enough until it has been taken.
    pub(super) fn close_stream(&mut self) {
        if !matches!(self.waiting.back(), Some(Emission::CloseStream)) {
            self.push(Emission::CloseStream, |other| matches!(other, Emission::CloseStream));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Emission> {
        self.waiting.pop_front()
    }

    fn push(&mut self, emission: Emission, is_same_kind: impl Fn(&Emission) -> bool) {
        if self.waiting.len() >= EMISSIONS_MAX {
            // Removed and appended rather than replaced where it stood, so that the order stays that of the call.
            let Some(newest) = self.waiting.iter().rposition(is_same_kind) else { return };
            self.waiting.remove(newest);
        }
        self.waiting.push_back(emission);
    }
}
