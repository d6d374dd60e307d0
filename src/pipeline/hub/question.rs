//! Requests of ours to legacy clients: which are open, and whose they are.
//! Never: an answer taken from another session.
//! Next: `job.rs`, which asks.

use super::Hub;
use super::key::{Key, Owner};
use super::parcel::{ClientAnswer, Parcel};
use crate::tools::{AskError, Context};

/// A request of ours to a legacy client.
pub(super) struct Question {
    nonce: u128,
    owner: Owner,
    context: Context,
    key: Box<str>,
}

impl Hub {
    /// A request of ours goes out; the name that its answer must carry.
    pub(in crate::pipeline) fn ask(
        &mut self,
        owner: Owner,
        context: Context,
        key: Box<str>,
        nonce: u128,
    ) -> Key {
        let slot = self.questions.insert(Question { nonce, owner, context, key });
        self.key(slot, nonce)
    }

    /// A question is no longer open; whether it was.
    pub(in crate::pipeline) fn forget(&mut self, question: Key) -> bool {
        let Ok(slot) = usize::try_from(question.slot) else { return false };
        let is_open = self.questions.get(slot).is_some_and(|open| open.nonce == question.nonce);
        if is_open {
            self.questions.remove(slot);
        }
        is_open
    }

    /// Whoever was asked will not answer any more.
    pub(in crate::pipeline) fn give_up_questions(&mut self, owner: Owner) {
        for (_, open) in self.questions.iter().filter(|(_, open)| open.owner == owner) {
            open.context.answer(&open.key, Err(AskError::TimedOut));
        }
        self.questions.retain(|_, open| open.owner != owner);
    }

    pub(super) fn answer(&mut self, question: Key, owner: Owner, answer: ClientAnswer) {
        let Ok(slot) = usize::try_from(question.slot) else { return };
        let is_open = |open: &Question| open.nonce == question.nonce && open.owner == owner;
        if question.shard == self.shard && self.questions.get(slot).is_some_and(is_open) {
            let open = self.questions.remove(slot);
            let answer = answer.map_err(|(code, message)| AskError::Refused { code, message });
            open.context.answer(&open.key, answer);
        }
    }

    /// Takes a client's answer to wherever the question was asked.
    pub(in crate::pipeline) fn deliver_answer(&mut self, question: Key, owner: Owner, answer: ClientAnswer) {
        if question.shard == self.shard {
            self.answer(question, owner, answer);
        } else {
            self.send(question.shard, Parcel::Answer { question, owner, answer });
        }
    }
}
