//! The deadlines of all connections of a shard, in one wheel.
//! A connection moves its deadline by writing a number; the wheel looks again when the old one comes due. So a request
//! that only pushes its connection's deadline back costs no work here.
//! Never: a clock of its own, a timer of the kernel's per connection.
//! Next: `worker`, which turns the wheel.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

/// Width of a slot, milliseconds. Deadlines are met up to one slot late.
const SLOT_MS: u64 = 8;
/// Slots of the wheel; deadlines beyond one turn are looked at once a turn.
const SLOTS: u64 = 1024;

/// What a connection's task and the rest of the shard tell each other.
#[derive(Default)]
pub(super) struct Bell {
    /// Monotonic milliseconds; what the connection wants.
    deadline_ms: Cell<u64>,
    /// The earliest slot in which the wheel will look at this bell.
    looked_at: Cell<Option<u64>>,
    has_expired: Cell<bool>,
    is_draining: Cell<bool>,
    is_judged_anew: Cell<bool>,
    is_closed: Cell<bool>,
    /// Until when a write that has got on since it began may take, monotonic milliseconds.
    progress_ms: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    /// Whom to wake.
    pub(super) fn listen(&self, waker: Waker) {
        *self.waker.borrow_mut() = Some(waker);
    }

    /// Whether the deadline has passed since this was last asked.
    pub(super) fn take_expired(&self) -> bool {
        self.has_expired.replace(false)
    }

    /// Whether the shard wants to stop, if it has not been said before.
    pub(super) fn take_drain(&self) -> bool {
        self.is_draining.replace(false)
    }

    /// Whether certificates are judged by something else since this was last asked.
    pub(super) fn take_judged_anew(&self) -> bool {
        self.is_judged_anew.replace(false)
    }

    /// Tells the connection that certificates are judged by something else from now on.
    pub(super) fn judge_anew(&self) {
        self.is_judged_anew.set(true);
        self.ring();
    }

    /// A write got on; it may take until then.
    pub(super) fn note_progress(&self, until_ms: u64) {
        self.progress_ms.set(until_ms);
    }

    /// What [`Self::note_progress`] said last.
    pub(super) fn progress_ms(&self) -> u64 {
        self.progress_ms.get()
    }

    /// The connection is gone; the wheel forgets it when it next looks.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.waker.borrow_mut().take();
    }

    /// Tells the connection that the shard wants to stop.
    pub(super) fn drain(&self) {
        self.is_draining.set(true);
        self.ring();
    }

    fn ring(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The wheel.
pub(super) struct Wheel {
    slots: RefCell<Vec<Vec<Rc<Bell>>>>,
    /// Bells that are being looked at; kept for its memory.
    due: RefCell<Vec<Rc<Bell>>>,
    /// The next slot to look at, counted from the clock's zero.
    next: Cell<u64>,
    /// How many entries there are.
    entries: Cell<usize>,
    /// The earliest slot with an entry that was set since the turner last asked.
    turner: RefCell<Option<Waker>>,
}

impl Wheel {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            slots: RefCell::new((0..SLOTS).map(|_| Vec::new()).collect()),
            due: RefCell::default(),
            next: Cell::new(now_ms / SLOT_MS),
            entries: Cell::new(0),
            turner: RefCell::new(None),
        }
    }

    /// Moves a connection's deadline.
    pub(super) fn set(&self, bell: &Rc<Bell>, deadline_ms: u64) {
        bell.deadline_ms.set(deadline_ms);
        let slot = self.slot_of(deadline_ms);
        if bell.looked_at.get().is_none_or(|earliest| slot < earliest) {
            self.insert(bell.clone(), slot);
            // Whoever turns the wheel may be asleep for longer than that.
            if let Some(turner) = &*self.turner.borrow() {
                turner.wake_by_ref();
            }
        }
    }

    /// Who turns the wheel, to be woken when it has to turn sooner.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut turner = self.turner.borrow_mut();
        if !turner.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *turner = Some(waker.clone());
        }
    }

    /// When the wheel has to turn next, monotonic milliseconds.
    pub(super) fn poll_timeout(&self) -> Option<u64> {
        if self.entries.get() == 0 {
            return None;
        }
        let slots = self.slots.borrow();
        let next = self.next.get();
        let is_filled = |slot: &u64| slots.get(index(*slot)).is_some_and(|bells| !bells.is_empty());
        (next..next + SLOTS).find(is_filled).map(|slot| (slot + 1) * SLOT_MS)
    }

    /// Rings every bell whose deadline has passed.
    pub(super) fn handle_time(&self, now_ms: u64) {
        let now = now_ms / SLOT_MS;
        let first = self.next.get();
        if first > now {
            return;
        }
        if self.entries.get() > 0 {
            for slot in first.max(now.saturating_sub(SLOTS - 1))..now {
                self.look_at(slot, now_ms);
            }
        }
        self.next.set(now);
    }

    fn look_at(&self, slot: u64, now_ms: u64) {
        let mut due = self.due.take();
        if let Some(bells) = self.slots.borrow_mut().get_mut(index(slot)) {
            due.append(bells);
        }
        self.entries.set(self.entries.get() - due.len());
        for bell in due.drain(..) {
            // An entry that was overtaken by an earlier one has nothing to say.
            let is_current = bell.looked_at.get().is_some_and(|at| at <= slot && index(at) == index(slot));
            if bell.is_closed.get() || !is_current {
                continue;
            }
            bell.looked_at.set(None);
            if bell.deadline_ms.get() <= now_ms {
                bell.has_expired.set(true);
                bell.ring();
            } else {
                let slot = self.slot_of(bell.deadline_ms.get());
                self.insert(bell, slot);
            }
        }
        self.due.replace(due);
    }

    fn insert(&self, bell: Rc<Bell>, slot: u64) {
        bell.looked_at.set(Some(slot));
        if let Some(bells) = self.slots.borrow_mut().get_mut(index(slot)) {
            bells.push(bell);
            self.entries.set(self.entries.get() + 1);
        }
    }

    fn slot_of(&self, deadline_ms: u64) -> u64 {
        let next = self.next.get();
        (deadline_ms / SLOT_MS).clamp(next + 1, next + SLOTS - 1)
    }
}

fn index(slot: u64) -> usize {
    usize::try_from(slot % SLOTS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(wheel: &Wheel, bell: &Rc<Bell>, from_ms: u64, to_ms: u64) -> Vec<u64> {
        let mut at = Vec::new();
        for ms in from_ms..=to_ms {
            wheel.handle_time(ms);
            if bell.take_expired() {
                at.push(ms);
            }
        }
        at
    }

    #[test]
    fn rings_once_within_two_slots_of_the_deadline() {
        for deadline in [1u64, 7, 8, 100, 5000, 8191, 8192, 8200, 20_000, 120_000] {
            let wheel = Wheel::new(1000);
            let bell = Rc::new(Bell::default());
            wheel.set(&bell, 1000 + deadline);
            let at = expired(&wheel, &bell, 1000, 1000 + deadline + 100);
            assert_eq!(at.len(), 1, "{deadline}: {at:?}");
            assert!((1000 + deadline..=1000 + deadline + 2 * SLOT_MS).contains(&at[0]), "{deadline}: {at:?}");
            assert_eq!(wheel.poll_timeout(), None);
        }
    }

    #[test]
    fn a_deadline_pushed_back_rings_at_the_new_time_only() {
        let wheel = Wheel::new(0);
        let bell = Rc::new(Bell::default());
        wheel.set(&bell, 100);
        wheel.handle_time(90);
        wheel.set(&bell, 1000);
        let at = expired(&wheel, &bell, 91, 1100);
        assert!(at.len() == 1 && at[0] >= 1000, "{at:?}");
    }

    #[test]
    fn a_deadline_pulled_forward_rings_early_and_once() {
        let wheel = Wheel::new(0);
        let bell = Rc::new(Bell::default());
        wheel.set(&bell, 5000);
        wheel.set(&bell, 50);
        let at = expired(&wheel, &bell, 0, 6000);
        assert!(at.len() == 1 && at[0] < 70, "{at:?}");
    }

    #[test]
    fn a_closed_connection_is_forgotten_and_a_late_turn_misses_nothing() {
        let wheel = Wheel::new(0);
        let (open, closed) = (Rc::new(Bell::default()), Rc::new(Bell::default()));
        wheel.set(&open, 3000);
        wheel.set(&closed, 3000);
        closed.close();
        wheel.handle_time(1_000_000);
        assert!(open.take_expired() && !closed.take_expired());
        assert_eq!((Rc::strong_count(&open), Rc::strong_count(&closed)), (1, 1));
    }

    #[test]
    fn entries_stay_bounded_when_a_deadline_keeps_changing() {
        let wheel = Wheel::new(0);
        let bell = Rc::new(Bell::default());
        for ms in 0..200_000 {
            wheel.handle_time(ms);
            wheel.set(&bell, ms + if ms % 2 == 0 { 5000 } else { 120_000 });
        }
        assert!(wheel.entries.get() < 100, "{}", wheel.entries.get());
    }
}
