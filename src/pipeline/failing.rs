//! Addresses whose credentials do not hold: first slowed, then blocked for a time. One table for all shards, of which a
//! request reads one row, and only while somebody fails at all.
//! Never: a lock, growth (a full row forgets who failed longest ago), a count for one credential: a guess is never the same.
//! Next: `connection/known.rs`, which asks before a credential is looked at.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::FixedState;

use super::admit::bucket_address;

/// Addresses that share a row; a look reads one row, a cache line.
const ROW: usize = 8;
/// Rows, a power of two.
const ROWS: usize = 8192;
/// Failures that are told apart.
const FAILURES_MAX: u64 = 255;
/// Longest that a slowed address is asked to wait, as a power of two of seconds.
const SLOWEST: u32 = 5;

/// When an address is slowed and blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRules {
    /// Failures before an address is blocked; from more than half of them on it is slowed.
    pub failures_max: u32,
    /// For how long failures are remembered after the last one.
    pub window: Duration,
    /// For how long an address is blocked.
    pub block: Duration,
}

impl FailureRules {
    /// How long nothing is looked at after so many failures, seconds.
    fn wait_s(&self, failures: u64) -> u64 {
        let most = u64::from(self.failures_max);
        if failures >= most {
            return self.block.as_secs();
        }
        match failures.checked_sub(most / 2 + 1) {
            Some(step) => 1 << u32::try_from(step).unwrap_or(SLOWEST).min(SLOWEST),
            None => 0,
        }
    }

    /// How long so many failures are remembered, seconds.
    fn memory_s(&self, failures: u64) -> u64 {
        self.window.as_secs().max(self.wait_s(failures))
    }
}

/// What has come of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The address may try again, now or soon.
    Counted,
    /// From now on it is blocked.
    Blocked,
}

/// The table. An entry is 24 bits of the address's digest, how often it failed and the Unix second of the last time: an
/// address that shares its row and its mark with another is one in 2^37.
pub struct Failing {
    entries: Box<[AtomicU64]>,
    /// Keys the digest, so that nobody can choose addresses that share a row.
    digest: FixedState,
    /// Until when there may be an entry that counts, Unix seconds.
    busy_until_s: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    fn new(mark: u64, failures: u64, at_s: u64) -> Self {
        Self(mark << 40 | failures.min(FAILURES_MAX) << 32 | at_s & u64::from(u32::MAX))
    }

    fn mark(self) -> u64 {
        self.0 >> 40
    }

    fn failures(self) -> u64 {
        self.0 >> 32 & FAILURES_MAX
    }

    fn at_s(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }

    fn is_live(self, rules: &FailureRules, now_s: u64) -> bool {
        self.failures() > 0 && now_s < self.at_s().saturating_add(rules.memory_s(self.failures()))
    }
}

impl Default for Failing {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Failing {
    /// An empty table; `seed` is random.
    pub fn new(seed: u64) -> Self {
        Self {
            entries: (0..ROW * ROWS).map(|_| AtomicU64::new(0)).collect(),
            digest: FixedState::with_seed(seed),
            busy_until_s: AtomicU64::new(0),
        }
    }

    /// How many seconds nothing of that address is looked at; none when it may try.
    pub fn hold(&self, address: IpAddr, rules: &FailureRules, now_s: u64) -> Option<u64> {
        if now_s >= self.busy_until_s.load(Ordering::Relaxed) {
            return None;
        }
        let (row, mark) = self.place(address);
        let entries = row.iter().map(|entry| Entry(entry.load(Ordering::Relaxed)));
        let entry = entries.filter(|entry| entry.mark() == mark).find(|entry| entry.is_live(rules, now_s))?;
        entry
            .at_s()
            .saturating_add(rules.wait_s(entry.failures()))
            .checked_sub(now_s)
            .filter(|left| *left > 0)
    }

    /// A credential of that address's did not hold.
    pub fn note(&self, address: IpAddr, rules: &FailureRules, now_s: u64) -> Noted {
        let (row, mark) = self.place(address);
        // As many rounds as there are entries: each lost race means that another entry was written.
        for _ in 0..=ROW {
            let mut oldest: Option<(&AtomicU64, Entry)> = None;
            let mut own: Option<(&AtomicU64, Entry)> = None;
            for slot in row {
                let entry = Entry(slot.load(Ordering::Relaxed));
                let is_live = entry.is_live(rules, now_s);
                if is_live && entry.mark() == mark {
                    own = Some((slot, entry));
                }
                let age = if is_live { entry.at_s() } else { 0 };
                let is_older = |(_, old): &(&AtomicU64, Entry)| {
                    age < if old.is_live(rules, now_s) { old.at_s() } else { 0 }
                };
                if oldest.as_ref().is_none_or(is_older) {
                    oldest = Some((slot, entry));
                }
            }
            let Some((slot, old)) = own.or(oldest) else { break };
            let failures = own.map_or(0, |(_, entry)| entry.failures()) + 1;
            let new = Entry::new(mark, failures, now_s);
            if slot.compare_exchange(old.0, new.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                let until_s = now_s.saturating_add(rules.memory_s(failures));
                self.busy_until_s.fetch_max(until_s, Ordering::Relaxed);
                let is_blocked = failures == u64::from(rules.failures_max);
                return if is_blocked { Noted::Blocked } else { Noted::Counted };
            }
        }
        Noted::Counted
    }

    /// A credential of that address's held: what failed before is forgotten.
    pub fn forgive(&self, address: IpAddr, now_s: u64) {
        if now_s >= self.busy_until_s.load(Ordering::Relaxed) {
            return;
        }
        let (row, mark) = self.place(address);
        for slot in row {
            let value = slot.load(Ordering::Relaxed);
            if value != 0 && Entry(value).mark() == mark {
                // Whoever has written in between has failed since.
                let _ = slot.compare_exchange(value, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// The row of an address (IPv6: of its /64), and its mark.
    fn place(&self, address: IpAddr) -> (&[AtomicU64], u64) {
        let digest = self.digest.hash_one(bucket_address(address));
        let row = usize::try_from(digest % ROWS as u64).unwrap_or_default();
        (self.entries.get(row * ROW..(row + 1) * ROW).unwrap_or_default(), digest >> 40)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: FailureRules =
        FailureRules { failures_max: 8, window: Duration::from_secs(60), block: Duration::from_secs(600) };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_fails_is_slowed_more_and_more_and_then_blocked_for_a_time() {
        let (failing, guesser, other) = (Failing::new(7), address("192.0.2.1"), address("192.0.2.2"));
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert_eq!(failing.note(guesser, &RULES, 1000), Noted::Counted);
            waits.push(failing.hold(guesser, &RULES, 1000).unwrap_or(0));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4]);
        assert_eq!(failing.note(guesser, &RULES, 1004), Noted::Blocked);
        assert_eq!(failing.hold(guesser, &RULES, 1004), Some(600));
        assert_eq!(failing.hold(guesser, &RULES, 1603), Some(1));
        assert_eq!(failing.hold(other, &RULES, 1004), None);
        // It is over, and counted from the beginning.
        assert_eq!(failing.hold(guesser, &RULES, 1604), None);
        assert_eq!(failing.note(guesser, &RULES, 1604), Noted::Counted);
        assert_eq!(failing.hold(guesser, &RULES, 1604), None);
    }

    #[test]
    fn what_held_or_what_is_long_ago_is_not_counted() {
        let (failing, caller) = (Failing::new(7), address("192.0.2.1"));
        for _ in 0..5 {
            failing.note(caller, &RULES, 1000);
        }
        assert!(failing.hold(caller, &RULES, 1000).is_some());
        failing.forgive(caller, 1000);
        assert_eq!(failing.hold(caller, &RULES, 1000), None);
        for round in 0..100 {
            failing.note(caller, &RULES, 2000 + round * 60);
            assert_eq!(failing.hold(caller, &RULES, 2000 + round * 60), None);
        }
    }

    #[test]
    fn a_network_of_one_subscriber_is_one_address() {
        let failing = Failing::new(7);
        for host in 1..=8 {
            failing.note(address(&format!("2001:db8::{host}")), &RULES, 1000);
        }
        assert!(failing.hold(address("2001:db8::ffff"), &RULES, 1000).is_some());
        assert!(failing.hold(address("2001:db8:0:1::1"), &RULES, 1000).is_none());
        assert!(failing.hold(address("::ffff:192.0.2.1"), &RULES, 1000).is_none());
    }

    #[test]
    fn of_too_many_addresses_who_failed_longest_ago_is_forgotten() {
        let failing = Failing::new(7);
        let row_of = |host: u32| failing.digest.hash_one(IpAddr::V4(host.into())) % ROWS as u64;
        let row: Vec<IpAddr> = (0..u32::MAX)
            .filter(|host| row_of(*host) == 7)
            .take(ROW + 1)
            .map(|host| IpAddr::V4(host.into()))
            .collect();
        for (at, address) in row.iter().enumerate() {
            for _ in 0..8 {
                failing.note(*address, &RULES, 1000 + at as u64);
            }
        }
        assert_eq!(failing.hold(row[0], &RULES, 1010), None);
        assert!(row[1..].iter().all(|address| failing.hold(*address, &RULES, 1010).is_some()));
    }

    #[test]
    fn threads_that_count_the_same_address_lose_nothing() {
        let failing = std::sync::Arc::new(Failing::new(7));
        let rules = FailureRules { failures_max: 200, ..RULES };
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let failing = failing.clone();
                std::thread::spawn(move || {
                    (0..100)
                        .filter(|_| failing.note(address("192.0.2.1"), &rules, 9) == Noted::Blocked)
                        .count()
                })
            })
            .collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), 1);
    }
}
