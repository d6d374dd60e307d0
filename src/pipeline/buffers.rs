//! The shard's buffers: leased while bytes are in flight, back in the pool otherwise.
//! Never: a buffer held by an idle connection; more free ones than the bound.
//! Next: `turn`, where a lease is used.

/// Size of a pooled buffer: a request as clients send it, and what the JSON parser may look past it (`wire::json::PADDING`). Many connections
/// wait with one each, so small is fast: 256 of them cost 5 % less than with a buffer for a whole TLS record.
pub const BLOCK_BYTES: usize = 4096;

/// What a read may bring after one that filled its buffer: a long body is on its way. Bytes.
pub const LARGE_READ_BYTES: usize = 32 * 1024;

/// Free buffers a shard keeps.
const FREE_MAX: usize = 1024;

/// Buffers that grew past this are given back to the allocator rather than to the pool.
const KEEP_BYTES_MAX: usize = 2 * BLOCK_BYTES;

/// A pool of byte vectors, all empty, all of at least [`BLOCK_BYTES`] capacity.
#[derive(Debug, Default)]
pub struct Pool {
    free: Vec<Vec<u8>>,
    leased: usize,
}

impl Pool {
    /// Takes a buffer out.
    pub fn lease(&mut self) -> Vec<u8> {
        self.leased += 1;
        self.free.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES))
    }

    /// Puts a buffer back.
    pub fn release(&mut self, mut buffer: Vec<u8>) {
        debug_assert!(self.leased > 0, "a buffer came back that was never leased");
        self.leased = self.leased.saturating_sub(1);
        let is_pooled = (BLOCK_BYTES..=KEEP_BYTES_MAX).contains(&buffer.capacity());
        if is_pooled && self.free.len() < FREE_MAX {
            buffer.clear();
            self.free.push(buffer);
        }
    }

    /// How many are out.
    pub fn leased(&self) -> usize {
        self.leased
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_leases_and_forgets_overgrown_buffers() {
        let mut pool = Pool::default();
        let (one, mut two) = (pool.lease(), pool.lease());
        assert_eq!(pool.leased(), 2);
        two.reserve(KEEP_BYTES_MAX * 2);
        pool.release(one);
        pool.release(two);
        assert_eq!((pool.leased(), pool.free.len()), (0, 1));
    }
}
