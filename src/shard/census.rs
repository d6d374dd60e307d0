//! How many connections there are, in all and by address, over all shards.
//! Asked at accept and at close only, so a lock is cheap here; it is split so that shards rarely meet.
//! Never: a table that outlives its connections.
//! Next: `worker`, which asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::pipeline::admit::bucket_address;

const STRIPES: usize = 16;

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Total,
    Address,
}

/// The count of the process.
#[derive(Default)]
pub(super) struct Census {
    total: AtomicUsize,
    by_address: [Mutex<HashMap<IpAddr, usize>>; STRIPES],
}

impl Census {
    /// Counts a connection in, if both limits allow it.
    pub(super) fn admit(&self, address: IpAddr, total_max: usize, address_max: usize) -> Result<(), Refused> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= total_max {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Total);
        }
        let key = bucket_address(address);
        let mut stripe = self.stripe(key).lock().unwrap_or_else(PoisonError::into_inner);
        let count = stripe.entry(key).or_insert(0);
        if *count >= address_max {
            if *count == 0 {
                stripe.remove(&key);
            }
            drop(stripe);
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Address);
        }
        *count += 1;
        Ok(())
    }

    /// Counts it out.
    pub(super) fn release(&self, address: IpAddr) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        let key = bucket_address(address);
        let mut stripe = self.stripe(key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = stripe.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                stripe.remove(&key);
            }
        }
    }

    fn stripe(&self, address: IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        let bits = match address {
            IpAddr::V4(v4) => u64::from(v4.to_bits()),
            IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or(0),
        };
        let at = usize::try_from(bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60).unwrap_or(0);
        self.by_address.get(at % STRIPES).unwrap_or(&self.by_address[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_and_out_and_keeps_both_limits() {
        let census = Census::default();
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        assert_eq!(census.admit(a, 3, 2), Ok(()));
        assert_eq!(census.admit(a, 3, 2), Ok(()));
        assert_eq!(census.admit(a, 3, 2), Err(Refused::Address));
        assert_eq!(census.admit(b, 3, 2), Ok(()));
        assert_eq!(census.admit("192.0.2.9".parse().unwrap(), 3, 2), Err(Refused::Total));
        for address in [a, a, b] {
            census.release(address);
        }
        assert_eq!(census.total.load(Ordering::Relaxed), 0);
        assert!(census.by_address.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
        assert_eq!(census.admit(a, 3, 0), Err(Refused::Address));
        assert!(census.by_address.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }
}
