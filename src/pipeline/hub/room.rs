//! Who gives way when a table is full: whoever holds most of it, before anybody who holds less is refused.
//! Never: a principal that fills a table for all others; one that holds little giving way to one that holds more.
//! Next: `stream` and `task`, what there is room for.

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::Hub;
use super::stream::Role;
use crate::pipeline::event::Count;

/// How little is lost with a thing; least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// It is over, and nobody is there.
    Rest,
    /// It waits for somebody to come back.
    Wait,
    /// Somebody works for it or reads it.
    Use,
}

/// One thing in a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    pub(super) slot: usize,
    pub(super) principal: [u8; 16],
    pub(super) loss: Loss,
    /// What the older of two is told by.
    pub(super) since_ms: u64,
}

/// Which one goes so that `principal` may have one more; none when that would not be fair.
pub(super) fn who_gives_way(holdings: &[Holding], principal: [u8; 16]) -> Option<usize> {
    let mut counts: HashMap<[u8; 16], usize, FixedState> = HashMap::default();
    for holding in holdings {
        *counts.entry(holding.principal).or_default() += 1;
    }
    let count = |principal| counts.get(&principal).copied().unwrap_or_default();
    let own = count(principal);
    let may_go = |holding: &&Holding| {
        let is_own = holding.principal == principal;
        let has_more = count(holding.principal) > own + 1;
        match holding.loss {
            Loss::Rest => is_own || has_more || count(holding.principal) >= own,
            Loss::Wait => is_own || has_more,
            Loss::Use => has_more,
        }
    };
    let order = |holding: &&Holding| (Reverse(count(holding.principal)), holding.loss, holding.since_ms);
    holdings.iter().filter(may_go).min_by_key(order).map(|holding| holding.slot)
}

/// Answers that are kept for somebody who may come back, of streams and of tasks each. Bytes.
const RESTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An answer over that is reason to look at once whether there are too many bytes; smaller ones are looked at each second.
pub(super) const LARGE_BYTES: usize = 64 * 1024;

/// What is kept in one slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) slot: usize,
    pub(super) principal: [u8; 16],
    pub(super) bytes: usize,
    pub(super) since_ms: u64,
}

/// What is too much: the oldest of whoever has most, until the others fit.
fn too_much(mut rests: Vec<Rest>, bytes_max: usize) -> Vec<usize> {
    let mut sums: HashMap<[u8; 16], usize, FixedState> = HashMap::default();
    let mut bytes: usize = 0;
    for rest in &rests {
        *sums.entry(rest.principal).or_default() += rest.bytes;
        bytes += rest.bytes;
    }
    let mut gone = Vec::new();
    while bytes > bytes_max {
        let Some((most, _)) = sums.iter().max_by_key(|(_, sum)| **sum).map(|(most, sum)| (*most, *sum))
        else {
            break;
        };
        let own = rests.iter().enumerate().filter(|(_, rest)| rest.principal == most);
        let Some((at, _)) = own.min_by_key(|(_, rest)| rest.since_ms) else { break };
        let rest = rests.swap_remove(at);
        bytes -= rest.bytes;
        *sums.entry(most).or_default() -= rest.bytes;
        gone.push(rest.slot);
    }
    gone
}

impl Hub {
    /// Forgets answers that nobody fetches, when there are too many bytes of them.
    pub(super) fn trim(&mut self) {
        let rests = self.streams.iter().filter(|(_, stream)| stream.is_over() && !stream.has_reader());
        let rests = rests.map(|(slot, stream)| Rest {
            slot,
            principal: stream.owner.principal,
            bytes: stream.bytes(),
            since_ms: stream.idle_since_ms,
        });
        for slot in too_much(rests.collect(), RESTS_BYTES_MAX) {
            self.streams.try_remove(slot);
            self.events.count(Count::HubFull);
        }
        let rests = self.tasks.iter().filter_map(|(slot, task)| task.rest(slot));
        for slot in too_much(rests.collect(), RESTS_BYTES_MAX) {
            self.tasks.try_remove(slot);
            self.events.count(Count::HubFull);
        }
    }

    /// Makes room for one more stream of that principal, if that is fair.
    pub(super) fn make_room(&mut self, principal: [u8; 16]) -> bool {
        self.events.count(Count::HubFull);
        let holdings = self.streams.iter().map(|(slot, stream)| {
            let loss = match &stream.role {
                _ if stream.has_reader() => Loss::Use,
                _ if stream.is_over() => Loss::Rest,
                Role::Session { .. } | Role::Feed { .. } => Loss::Wait,
                Role::Call { .. } | Role::Listen(_) | Role::Mirror { .. } | Role::Inbox => Loss::Use,
            };
            Holding { slot, principal: stream.owner.principal, loss, since_ms: stream.idle_since_ms }
        });
        let holdings: Vec<Holding> = holdings.collect();
        let Some(slot) = who_gives_way(&holdings, principal) else { return false };
        let Some(mut stream) = self.streams.try_remove(slot) else { return false };
        let key = self.key(slot, stream.nonce);
        if let Some(reader) = stream.dismiss() {
            self.dismiss(reader, key);
        }
        match stream.role {
            Role::Call { calls, .. } => {
                for call in calls.into_iter().filter_map(|call| self.calls.get(call)) {
                    call.context.cancel();
                }
            }
            Role::Session { .. } => {
                self.sessions.remove(&stream.owner.session);
            }
            Role::Listen(_) | Role::Mirror { .. } | Role::Feed { .. } | Role::Inbox => {}
        }
        true
    }

    /// The same for one more task.
    pub(super) fn make_room_for_task(&mut self, principal: [u8; 16]) -> bool {
        self.events.count(Count::HubFull);
        let holdings: Vec<Holding> = self.tasks.iter().map(|(slot, task)| task.holding(slot)).collect();
        let Some(slot) = who_gives_way(&holdings, principal) else { return false };
        let Some(task) = self.tasks.try_remove(slot) else { return false };
        task.cancel();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holdings as `(principal, loss)`, the oldest first; which of them gives way to `principal`.
    fn check(held: &[(u8, Loss)], principal: u8, expect: Option<usize>) {
        let holdings: Vec<Holding> = held
            .iter()
            .enumerate()
            .map(|(slot, (principal, loss))| Holding {
                slot,
                principal: [*principal; 16],
                loss: *loss,
                since_ms: slot as u64,
            })
            .collect();
        assert_eq!(who_gives_way(&holdings, [principal; 16]), expect, "{principal} into {held:?}");
    }

    #[test]
    fn whoever_holds_most_gives_way_first_and_least_is_lost() {
        use Loss::{Rest, Use, Wait};
        check(&[(1, Use), (1, Use), (1, Use)], 2, Some(0));
        check(&[(1, Use), (1, Wait), (1, Rest)], 2, Some(2));
        check(&[(1, Use), (1, Wait), (2, Rest)], 3, Some(1));
        check(&[(1, Use), (2, Rest), (2, Use), (2, Use)], 1, Some(1));
    }

    #[test]
    fn what_is_too_much_is_the_oldest_of_whoever_has_most() {
        let rest = |slot: usize, principal: u8, bytes| Rest {
            slot,
            principal: [principal; 16],
            bytes,
            since_ms: slot as u64,
        };
        let rests = vec![rest(0, 1, 10), rest(1, 2, 30), rest(2, 2, 30), rest(3, 2, 1), rest(4, 1, 10)];
        assert_eq!(too_much(rests.clone(), 81), [0usize; 0]);
        assert_eq!(too_much(rests.clone(), 80), [1]);
        assert_eq!(too_much(rests.clone(), 50), [1, 2]);
        assert_eq!(too_much(rests.clone(), 20), [1, 2, 0]);
        assert_eq!(too_much(rests, 0).len(), 5);
    }

    #[test]
    fn nobody_is_driven_out_by_one_who_holds_as_much_or_more() {
        use Loss::{Rest, Use, Wait};
        check(&[(1, Use), (1, Use), (1, Use), (2, Rest)], 1, None);
        check(&[(1, Use), (1, Use), (1, Wait), (2, Rest)], 1, Some(2));
        check(&[(1, Use), (2, Use)], 3, None);
        check(&[(1, Wait), (2, Wait)], 3, None);
        check(&[(1, Rest), (2, Use)], 3, Some(0));
        check(&[], 3, None);
    }
}
