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

impl Hub {
    /// Makes room for one more stream of that principal, if that is fair.
    pub(super) fn make_room(&mut self, principal: [u8; 16]) -> bool {
        self.events.count(Count::HubFull);
        let holdings = self.streams.iter().map(|(slot, stream)| {
            let loss = match &stream.role {
                _ if stream.has_reader() => Loss::Use,
                _ if stream.is_over() => Loss::Rest,
                Role::Session { .. } => Loss::Wait,
                Role::Call { .. } | Role::Listen(_) | Role::Mirror { .. } => Loss::Use,
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
            Role::Listen(_) | Role::Mirror { .. } => {}
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
