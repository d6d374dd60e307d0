//! The stage that asks whether a caller may spend a token: token buckets by address and for all.
//! A bucket is one number, the time at which it will be full again (GCRA). All buckets must have a token, and none
//! is taken unless all have. With several shards each owns its share of the rate, so the total is never exceeded.
//! Never: a clock (the time comes in), a lock (each shard owns its buckets), an unbounded table.
//! Next: `envelope`, which reads the body that was paid for here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Addresses a shard remembers; beyond that, buckets that are full again make room.
pub const ADDRESSES_MAX: usize = 65_536;

/// One token bucket rule, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Table name; the label in answers and counters.
    pub name: String,
    /// What is counted apart.
    pub key: RateKey,
    /// Tokens added per `period`.
    pub rate: u64,
    /// The period of `rate`.
    pub period: Duration,
    /// Tokens a full bucket holds; at least 1.
    pub burst: u64,
}

/// What a bucket is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// One bucket an address (IPv6 by /64).
    Ip,
    /// One bucket for all.
    Global,
}

/// No token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Until the emptiest bucket has one again.
    pub retry_after_ms: u64,
    /// Index of the rule.
    pub limit: usize,
}

/// A shard's buckets.
pub struct Buckets {
    shards: u64,
    rules: Vec<Bucket>,
    source: Vec<RateLimit>,
}

struct Bucket {
    key: RateKey,
    /// Nanoseconds a token takes to come back on this shard.
    interval_ns: u64,
    /// How far into the future a bucket may be drained, nanoseconds.
    depth_ns: u64,
    /// When the bucket will be full, monotonic nanoseconds.
    global_full_at_ns: u64,
    by_address: HashMap<IpAddr, u64>,
    swept_at_ns: u64,
}

impl Bucket {
    fn new(limit: &RateLimit, shards: u64) -> Self {
        let period = u64::try_from(limit.period.as_nanos()).unwrap_or(u64::MAX);
        let interval_ns = (period / limit.rate.max(1)).saturating_mul(shards).max(1);
        let burst = (limit.burst / shards).max(1);
        Self {
            key: limit.key,
            interval_ns,
            depth_ns: interval_ns.saturating_mul(burst),
            global_full_at_ns: 0,
            by_address: HashMap::new(),
            swept_at_ns: 0,
        }
    }

    fn full_at_ns(&self, address: IpAddr) -> u64 {
        match self.key {
            RateKey::Global => self.global_full_at_ns,
            RateKey::Ip => self.by_address.get(&address).copied().unwrap_or(0),
        }
    }

    /// When the bucket would be full after one more token, or how long to wait for that token.
    fn after_one(&self, address: IpAddr, now_ns: u64) -> Result<u64, u64> {
        let after = self.full_at_ns(address).max(now_ns).saturating_add(self.interval_ns);
        match after.saturating_sub(now_ns).checked_sub(self.depth_ns) {
            None | Some(0) => Ok(after),
            Some(short_ns) => Err(short_ns),
        }
    }

    fn take(&mut self, address: IpAddr, full_at_ns: u64, now_ns: u64) {
        match self.key {
            RateKey::Global => self.global_full_at_ns = full_at_ns,
            RateKey::Ip => {
                if self.by_address.len() >= ADDRESSES_MAX && !self.by_address.contains_key(&address) {
                    self.make_room(now_ns);
                }
                self.by_address.insert(address, full_at_ns);
            }
        }
    }
}

impl Bucket {
    /// Forgets what is full again, at most once a second because that walks the table; otherwise any one address,
    /// so that a flood of addresses costs the flood its memory and not the shard its time.
    fn make_room(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.swept_at_ns) >= 1_000_000_000 {
            self.swept_at_ns = now_ns;
            self.by_address.retain(|_, full_at_ns| *full_at_ns > now_ns);
        }
        if self.by_address.len() >= ADDRESSES_MAX
            && let Some(any) = self.by_address.keys().next().copied()
        {
            self.by_address.remove(&any);
        }
    }
}

impl Buckets {
    /// Buckets for one of `shards` shards; no rules yet.
    pub fn new(shards: usize) -> Self {
        Self { shards: u64::try_from(shards).unwrap_or(1).max(1), rules: Vec::new(), source: Vec::new() }
    }

    /// Follows the snapshot. Unchanged rules keep their buckets.
    pub fn follow(&mut self, limits: &[RateLimit]) {
        if self.source == limits {
            return;
        }
        let mut old: Vec<_> = self.source.drain(..).zip(self.rules.drain(..)).collect();
        for limit in limits {
            let kept = old.iter().position(|(source, _)| source == limit).map(|at| old.swap_remove(at).1);
            self.rules.push(kept.unwrap_or_else(|| Bucket::new(limit, self.shards)));
        }
        self.source = limits.to_vec();
    }

    /// Takes a token from every bucket, or from none.
    ///
    /// # Errors
    /// When one has none; the longest wait is named.
    pub fn admit(&mut self, address: IpAddr, now_ms: u64) -> Result<(), Exhausted> {
        let now_ns = now_ms.saturating_mul(1_000_000);
        let address = bucket_address(address);
        let mut exhausted: Option<Exhausted> = None;
        for (limit, rule) in self.rules.iter().enumerate() {
            if let Err(short_ns) = rule.after_one(address, now_ns) {
                let retry_after_ms = short_ns.div_ceil(1_000_000);
                if exhausted.is_none_or(|worst| worst.retry_after_ms < retry_after_ms) {
                    exhausted = Some(Exhausted { retry_after_ms, limit });
                }
            }
        }
        if let Some(exhausted) = exhausted {
            return Err(exhausted);
        }
        for rule in &mut self.rules {
            if let Ok(full_at_ns) = rule.after_one(address, now_ns) {
                rule.take(address, full_at_ns, now_ns);
            }
        }
        Ok(())
    }
}

/// The address a bucket is kept for: IPv4 whole (also when mapped into IPv6), IPv6 by /64, the smallest block a
/// subscriber gets (RFC 6177).
pub fn bucket_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn limit(key: RateKey, rate: u64, burst: u64) -> RateLimit {
        RateLimit { name: format!("{key:?}"), key, rate, period: Duration::from_secs(1), burst }
    }

    fn buckets(limits: &[RateLimit], shards: usize) -> Buckets {
        let mut buckets = Buckets::new(shards);
        buckets.follow(limits);
        buckets
    }

    #[test]
    fn admits_the_burst_then_the_rate_and_never_more() {
        let mut buckets = buckets(&[limit(RateKey::Ip, 10, 5)], 1);
        let admitted = (0..10_000).filter(|ms| buckets.admit(A, 1000 + ms).is_ok()).count();
        assert_eq!(admitted, 5 + 99);
    }

    #[test]
    fn takes_from_no_bucket_unless_all_have_a_token() {
        let mut buckets = buckets(&[limit(RateKey::Ip, 1, 1), limit(RateKey::Global, 1, 3)], 1);
        assert!(buckets.admit(A, 0).is_ok());
        for _ in 0..5 {
            assert_eq!(buckets.admit(A, 0).unwrap_err().limit, 0);
        }
        assert!(buckets.admit(B, 0).is_ok(), "refusals of A must not have drained the global bucket");
    }

    #[test]
    fn says_how_long_to_wait() {
        let mut buckets = buckets(&[limit(RateKey::Global, 2, 1)], 1);
        assert!(buckets.admit(A, 0).is_ok());
        let wait = buckets.admit(A, 100).unwrap_err().retry_after_ms;
        assert_eq!(wait, 400);
        assert!(buckets.admit(A, 100 + wait).is_ok());
    }

    #[test]
    fn shares_of_several_shards_add_up_to_the_limit() {
        let mut admitted = 0;
        for _ in 0..4 {
            let mut share = buckets(&[limit(RateKey::Global, 100, 40)], 4);
            admitted += (0..1000).filter(|ms| share.admit(A, *ms).is_ok()).count();
        }
        assert!((130..=140).contains(&admitted), "{admitted}");
    }

    #[test]
    fn unchanged_rules_keep_their_buckets_over_a_reload() {
        let mut buckets = buckets(&[limit(RateKey::Global, 1, 1)], 1);
        assert!(buckets.admit(A, 0).is_ok());
        buckets.follow(&[limit(RateKey::Ip, 9, 9), limit(RateKey::Global, 1, 1)]);
        assert_eq!(buckets.admit(A, 0).unwrap_err().limit, 1);
    }

    #[test]
    fn remembers_a_bounded_number_of_addresses() {
        let mut buckets = buckets(&[limit(RateKey::Ip, 1, 1)], 1);
        for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 10 {
            assert!(buckets.admit(IpAddr::V4(n.into()), u64::from(n / 1000)).is_ok());
        }
        assert!(buckets.rules[0].by_address.len() <= ADDRESSES_MAX);
    }

    #[test]
    fn one_subscriber_has_one_bucket() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let key = |text: &str| bucket_address(text.parse().unwrap());
            assert_eq!(key(one) == key(other), same, "{one} {other}");
        }
    }
}
