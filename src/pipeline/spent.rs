//! What may not be used again before it expires: ended sessions and single-use states. One table for all shards, so that
//! two shards can not both accept the same thing; it is met by legacy requests and retries only.
//! Never: a lock, growth; a full row forgets what would expire first and counts it.
//! Next: `envelope`, which asks for sessions, and `dispatch`, which uses states up.

use std::sync::atomic::{AtomicU64, Ordering};

/// Entries that share a row; a lookup reads one row.
const ROW: usize = 16;
/// Rows, a power of two.
const ROWS: usize = 4096;

/// The table: each entry is the upper half of a digest and the Unix second of expiry.
pub struct Spent {
    entries: Box<[AtomicU64]>,
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
        Self { entries: (0..ROW * ROWS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Spent {
    /// The row of a random number, and its mark. A number that shares both with another is one in 2^44.
    fn place(&self, nonce: [u8; 16]) -> (&[AtomicU64], u32) {
        let [a, b, c, d, e, f, g, h, ..] = nonce;
        let row = usize::from(u16::from_be_bytes([a, b])) % ROWS;
        let mark = u32::from_be_bytes([c ^ g, d ^ h, e, f]);
        (self.entries.get(row * ROW..(row + 1) * ROW).unwrap_or_default(), mark)
    }

    /// Whether the number is used up.
    pub fn contains(&self, nonce: [u8; 16], now_s: u64) -> bool {
        let (row, mark) = self.place(nonce);
        row.iter().any(|entry| is_live(entry.load(Ordering::Acquire), mark, now_s))
    }

    /// Uses the number up until `expires_s`, Unix seconds.
    pub fn insert(&self, nonce: [u8; 16], expires_s: u64, now_s: u64) -> Use {
        let (row, mark) = self.place(nonce);
        let expires = u32::try_from(expires_s).unwrap_or(u32::MAX);
        let new = u64::from(mark) << 32 | u64::from(expires);
        // Sixteen rounds at most: each lost race means that another entry of the row was written.
        for _ in 0..ROW {
            if row.iter().any(|entry| is_live(entry.load(Ordering::Acquire), mark, now_s)) {
                return Use::Again;
            }
            let oldest = row.iter().min_by_key(|entry| expiry(entry.load(Ordering::Acquire)));
            let Some(slot) = oldest else { return Use::Again };
            let old = slot.load(Ordering::Acquire);
            if slot.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_err() {
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
        assert!(!spent.contains(nonce(1), 100));
        assert_eq!(spent.insert(nonce(1), 200, 100), Use::First);
        assert_eq!(spent.insert(nonce(1), 200, 100), Use::Again);
        assert!(spent.contains(nonce(1), 199) && !spent.contains(nonce(2), 199));
        assert!(!spent.contains(nonce(1), 200));
        assert_eq!(spent.insert(nonce(1), 300, 200), Use::First);
    }

    #[test]
    fn a_full_table_forgets_what_expires_first() {
        let spent = Spent::default();
        let mut row = Vec::new();
        for number in 0..u32::MAX {
            let candidate = nonce(number);
            if u16::from_be_bytes([candidate[0], candidate[1]]) % 4096 == 7 {
                row.push(candidate);
                if row.len() == ROW + 1 {
                    break;
                }
            }
        }
        for (at, nonce) in row.iter().enumerate() {
            assert_eq!(spent.insert(*nonce, 1000 + at as u64, 100), Use::First);
        }
        assert!(!spent.contains(row[0], 100));
        assert!(row[1..].iter().all(|nonce| spent.contains(*nonce, 100)));
    }

    #[test]
    fn of_many_threads_at_most_one_is_first() {
        for number in 0..200 {
            let spent = Arc::new(Spent::default());
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let spent = spent.clone();
                    std::thread::spawn(move || spent.insert(nonce(number), 200, 100))
                })
                .collect();
            let first =
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|used| *used == Use::First);
            assert!(first.count() <= 1);
            assert!(spent.contains(nonce(number), 100));
        }
    }
}
