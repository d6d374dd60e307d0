//! What may not be used again before it expires: ended sessions and single-use states. One table for all shards, so that
//! two shards can not both accept the same thing; it is met by legacy requests and retries only.
//! Never: a lock, growth; a full row forgets what would expire first and counts it.
//! Next: `envelope`, which asks for sessions, and `dispatch`, which uses states up.

use std::sync::atomic::{AtomicU64, Ordering};

/// Entries that share a row; a lookup reads one row.
const ROW: usize = 16;
/// Rows, a power of two.
const ROWS: usize = 4096;

/// The tables: each entry is the upper half of a digest and the Unix second of expiry. Whoever ends sessions by the
/// thousand must not push out what states were used, so each kind has a table of its own.
pub struct Spent {
    sessions: Table,
    states: Table,
}

struct Table {
    entries: Box<[AtomicU64]>,
}

/// What becomes of a number for which a row has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    /// What would expire first is forgotten.
    Forget,
    /// It counts as used: what may be used once must not be used twice, however many are.
    Refuse,
}

/// What came of using something up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It had not been used.
    First,
    /// It had been, or it is being used elsewhere at this moment.
    Again,
}

impl Default for Spent {
    fn default() -> Self {
        Self { sessions: Table::new(), states: Table::new() }
    }
}

impl Spent {
    /// Whether that session was ended.
    pub fn is_ended(&self, session: [u8; 16], now_s: u64) -> bool {
        self.sessions.contains(session, now_s)
    }

    /// Ends a session until `expires_s`, Unix seconds.
    pub fn end_session(&self, session: [u8; 16], expires_s: u64, now_s: u64) {
        self.sessions.insert(session, expires_s, now_s, WhenFull::Forget);
    }

    /// Uses a state up until `expires_s`, Unix seconds.
    pub fn use_state(&self, state: [u8; 16], expires_s: u64, now_s: u64) -> Use {
        self.states.insert(state, expires_s, now_s, WhenFull::Refuse)
    }
}

impl Table {
    fn new() -> Self {
        Self { entries: (0..ROW * ROWS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The row of a random number, and its mark. A number that shares both with another is one in 2^44.
    fn place(&self, nonce: [u8; 16]) -> (&[AtomicU64], u32) {
        let [a, b, c, d, e, f, g, h, ..] = nonce;
        let row = usize::from(u16::from_be_bytes([a, b])) % ROWS;
        let mark = u32::from_be_bytes([c ^ g, d ^ h, e, f]);
        (self.entries.get(row * ROW..(row + 1) * ROW).unwrap_or_default(), mark)
    }

    fn contains(&self, nonce: [u8; 16], now_s: u64) -> bool {
        let (row, mark) = self.place(nonce);
        row.iter().any(|entry| is_live(entry.load(Ordering::Acquire), mark, now_s))
    }

    fn insert(&self, nonce: [u8; 16], expires_s: u64, now_s: u64, when_full: WhenFull) -> Use {
        let (row, mark) = self.place(nonce);
        let expires = u32::try_from(expires_s).unwrap_or(u32::MAX);
        let new = u64::from(mark) << 32 | u64::from(expires);
        // Sixteen rounds at most: each lost race means that another entry of the row was written.
        for _ in 0..ROW {
            // Each entry is read once. Were the place to write to read again, the same mark could have come there in
            // between, and be overwritten by itself.
            let mut oldest: Option<(&AtomicU64, u64)> = None;
            for entry in row {
                let value = entry.load(Ordering::SeqCst);
                if is_live(value, mark, now_s) {
                    return Use::Again;
                }
                if oldest.is_none_or(|(_, old)| expiry(value) < expiry(old)) {
                    oldest = Some((entry, value));
                }
            }
            let Some((slot, old)) = oldest else { return Use::Again };
            if when_full == WhenFull::Refuse && expiry(old) > now_s {
                return Use::Again;
            }
            if slot.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                continue;
            }
            // Two shards may have written the same mark into two entries. Then neither may have it.
            let marks = row.iter().filter(|entry| is_live(entry.load(Ordering::SeqCst), mark, now_s)).count();
            return if marks == 1 { Use::First } else { Use::Again };
        }
        Use::Again
    }
}

fn expiry(entry: u64) -> u64 {
    entry & u64::from(u32::MAX)
}

fn is_live(entry: u64, mark: u32, now_s: u64) -> bool {
    entry != 0 && entry >> 32 == u64::from(mark) && expiry(entry) > now_s
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn nonce(number: u32) -> [u8; 16] {
        let mut nonce = [0; 16];
        let spread = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        nonce[..8].copy_from_slice(&spread);
        nonce
    }

    #[test]
    fn what_is_used_stays_so_until_it_expires() {
        let spent = Spent::default();
        assert_eq!(spent.use_state(nonce(1), 200, 100), Use::First);
        assert_eq!(spent.use_state(nonce(1), 200, 199), Use::Again);
        assert_eq!(spent.use_state(nonce(1), 300, 200), Use::First);
        assert!(!spent.is_ended(nonce(1), 100));
        spent.end_session(nonce(1), 200, 100);
        assert!(spent.is_ended(nonce(1), 199) && !spent.is_ended(nonce(2), 199));
        assert!(!spent.is_ended(nonce(1), 200));
    }

    /// More numbers of one row than it has entries.
    fn row() -> Vec<[u8; 16]> {
        let is_in_row = |nonce: &[u8; 16]| u16::from_be_bytes([nonce[0], nonce[1]]) % 4096 == 7;
        (0..u32::MAX).map(nonce).filter(is_in_row).take(ROW + 1).collect()
    }

    #[test]
    fn of_too_many_sessions_what_expires_first_is_forgotten() {
        let (spent, row) = (Spent::default(), row());
        for (at, nonce) in row.iter().enumerate() {
            spent.end_session(*nonce, 1000 + at as u64, 100);
        }
        assert!(!spent.is_ended(row[0], 100));
        assert!(row[1..].iter().all(|nonce| spent.is_ended(*nonce, 100)));
    }

    #[test]
    fn no_flood_of_states_or_sessions_makes_a_state_good_again() {
        let (spent, row) = (Spent::default(), row());
        for (at, nonce) in row.iter().enumerate() {
            spent.end_session(*nonce, 90_000, 100);
            let expect = if at < ROW { Use::First } else { Use::Again };
            assert_eq!(spent.use_state(*nonce, 400 + at as u64, 100), expect, "{at}");
        }
        assert!(row.iter().all(|nonce| spent.use_state(*nonce, 1000, 100) == Use::Again));
        assert_eq!(spent.use_state(row[ROW], 1000, 400), Use::First);
    }

    #[test]
    fn of_many_threads_at_most_one_is_first() {
        const ROUNDS: u32 = 20_000;
        let spent = Arc::new(Spent::default());
        let started = Arc::new(AtomicU64::new(0));
        let firsts: Arc<Vec<AtomicU64>> = Arc::new((0..ROUNDS).map(|_| AtomicU64::new(0)).collect());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (spent, started, firsts) = (spent.clone(), started.clone(), firsts.clone());
                std::thread::spawn(move || {
                    for round in 0..ROUNDS {
                        // Both set out at the same moment.
                        started.fetch_add(1, Ordering::SeqCst);
                        while started.load(Ordering::SeqCst) < u64::from(round + 1) * 2 {
                            std::hint::spin_loop();
                        }
                        // What was used in the round before has expired.
                        let now_s = 100 + u64::from(round);
                        if spent.use_state(nonce(round), now_s + 1, now_s) == Use::First {
                            firsts[round as usize].fetch_add(1, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(firsts.iter().all(|first| first.load(Ordering::SeqCst) <= 1));
    }
}
