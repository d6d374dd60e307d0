//! How many connections there are, in all and of each listener, and both by address, over all shards.
//! Asked at accept and at close only, so a lock is cheap here; it is split so that shards rarely meet.
//! Never: a table that outlives its connections.
//! Next: `worker`, which asks.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pipeline::admit::bucket_address;

const STRIPES: usize = 16;

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Total,
    Address,
}

/// How many connections something may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) total_max: usize,
    pub(super) address_max: usize,
}

/// Where a connection comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Index into the snapshot's listeners.
    pub(super) listener: usize,
    /// None for a process of this machine: those have no addresses to tell them apart, so only totals bound them.
    pub(super) address: Option<IpAddr>,
}

/// Whose connections of an address are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Process,
    Listener(usize),
}

type ByAddress = HashMap<(Whose, IpAddr), usize>;

/// The count of the process.
#[derive(Default)]
pub(super) struct Census {
    total: AtomicUsize,
    by_listener: Mutex<HashMap<usize, usize>>,
    by_address: [Mutex<ByAddress>; STRIPES],
}

impl Census {
    /// Counts a connection in, if the limits of the process and those of the listener allow it.
    pub(super) fn admit(&self, arrival: Arrival, process: Bounds, listener: Bounds) -> Result<(), Refused> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= process.total_max {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Total);
        }
        if !count_in(&mut lock(&self.by_listener), arrival.listener, listener.total_max) {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Total);
        }
        if !self.admit_address(arrival, process.address_max, listener.address_max) {
            self.total.fetch_sub(1, Ordering::Relaxed);
            count_out(&mut lock(&self.by_listener), arrival.listener);
            return Err(Refused::Address);
        }
        Ok(())
    }

    fn admit_address(&self, arrival: Arrival, process_max: usize, listener_max: usize) -> bool {
        let Some(address) = arrival.address.map(bucket_address) else { return true };
        let mut stripe = lock(self.stripe(address));
        if !count_in(&mut stripe, (Whose::Process, address), process_max) {
            return false;
        }
        let is_in = count_in(&mut stripe, (Whose::Listener(arrival.listener), address), listener_max);
        if !is_in {
            count_out(&mut stripe, (Whose::Process, address));
        }
        is_in
    }

    /// Counts it out.
    pub(super) fn release(&self, arrival: Arrival) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        count_out(&mut lock(&self.by_listener), arrival.listener);
        if let Some(address) = arrival.address.map(bucket_address) {
            let mut stripe = lock(self.stripe(address));
            count_out(&mut stripe, (Whose::Process, address));
            count_out(&mut stripe, (Whose::Listener(arrival.listener), address));
        }
    }

    fn stripe(&self, address: IpAddr) -> &Mutex<ByAddress> {
        let bits = match address {
            IpAddr::V4(v4) => u64::from(v4.to_bits()),
            IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or(0),
        };
        let at = usize::try_from(bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60).unwrap_or(0);
        self.by_address.get(at % STRIPES).unwrap_or(&self.by_address[0])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more of `key`, unless there are `most` already.
fn count_in<K: Eq + Hash + Copy>(counts: &mut HashMap<K, usize>, key: K, most: usize) -> bool {
    let count = counts.get(&key).copied().unwrap_or(0);
    if count < most {
        counts.insert(key, count + 1);
    }
    count < most
}

/// One less.
fn count_out<K: Eq + Hash + Copy>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(listener: usize, address: &str) -> Arrival {
        Arrival { listener, address: address.parse().ok() }
    }

    fn bounds(total_max: usize, address_max: usize) -> Bounds {
        Bounds { total_max, address_max }
    }

    fn is_empty(census: &Census) -> bool {
        census.total.load(Ordering::Relaxed) == 0
            && census.by_listener.lock().unwrap().is_empty()
            && census.by_address.iter().all(|stripe| stripe.lock().unwrap().is_empty())
    }

    #[test]
    fn counts_in_and_out_and_keeps_the_limits_of_the_process() {
        let census = Census::default();
        let (a, b) = (arrival(0, "192.0.2.1"), arrival(1, "2001:db8::1"));
        let admit = |arrival| census.admit(arrival, bounds(3, 2), bounds(9, 9));
        assert_eq!(admit(a), Ok(()));
        assert_eq!(admit(a), Ok(()));
        assert_eq!(admit(a), Err(Refused::Address));
        assert_eq!(admit(arrival(1, "192.0.2.1")), Err(Refused::Address), "also through another listener");
        assert_eq!(admit(b), Ok(()));
        assert_eq!(admit(arrival(0, "192.0.2.9")), Err(Refused::Total));
        [a, a, b].into_iter().for_each(|arrival| census.release(arrival));
        assert!(is_empty(&census));
        assert_eq!(census.admit(a, bounds(3, 0), bounds(9, 9)), Err(Refused::Address));
        assert!(is_empty(&census));
    }

    #[test]
    fn keeps_the_limits_of_each_listener() {
        let census = Census::default();
        let admit = |arrival| census.admit(arrival, bounds(99, 99), bounds(3, 2));
        let (a, other) = (arrival(0, "192.0.2.1"), arrival(1, "192.0.2.1"));
        assert_eq!([admit(a), admit(a), admit(a)], [Ok(()), Ok(()), Err(Refused::Address)]);
        assert_eq!([admit(other), admit(other), admit(other)], [Ok(()), Ok(()), Err(Refused::Address)]);
        assert_eq!(admit(arrival(0, "192.0.2.2")), Ok(()));
        assert_eq!(admit(arrival(0, "192.0.2.3")), Err(Refused::Total));
        [a, a, other, other, arrival(0, "192.0.2.2")].into_iter().for_each(|one| census.release(one));
        assert!(is_empty(&census));
    }

    #[test]
    fn peers_without_an_address_are_bounded_by_the_totals_alone() {
        let census = Census::default();
        let local = arrival(0, "");
        assert_eq!(local.address, None);
        let admit = || census.admit(local, bounds(99, 1), bounds(3, 1));
        assert_eq!([admit(), admit(), admit(), admit()], [Ok(()), Ok(()), Ok(()), Err(Refused::Total)]);
        (0..3).for_each(|_| census.release(local));
        assert!(is_empty(&census));
    }
}
