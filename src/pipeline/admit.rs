//! The stage that asks whether a caller may spend a token: token buckets by address and for all.
//! A bucket is one number, the time at which it will be full again (GCRA). All buckets must have a token, and none
//! is taken unless all have. With several shards each owns its share of the rate, so the total is never exceeded.
//! Never: a clock (the time comes in), a lock (each shard owns its buckets), an unbounded table.
//! Next: `envelope`, which reads the body that was paid for here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use foldhash::fast::FixedState;

/// Addresses a shard remembers; beyond that, buckets that are full again make room.
pub const ADDRESSES_MAX: usize = 65_536;

/// Rules there may be.
pub const RATE_LIMITS_MAX: usize = 16;

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

/// A century and a half. A deeper bucket would reach the end of the clock's numbers, and never be empty.
const DEPTH_NS_MAX: u64 = u64::MAX / 4;

/// Whose buckets pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    /// A caller that is let in: all buckets.
    Known,
    /// Anyone else: the buckets of its address.
    Unknown,
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
    /// Keys the address table's hash, so that nobody can choose addresses that collide.
    seed: u64,
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
    by_address: HashMap<u64, u64, FixedState>,
    swept_at_ns: u64,
}

impl Bucket {
    fn new(limit: &RateLimit, shards: u64, seed: u64) -> Self {
        let period = u64::try_from(limit.period.as_nanos()).unwrap_or(u64::MAX);
        // Rounded up: a fraction given away would add up to tokens that nobody granted.
        let interval_ns = period.saturating_mul(shards).div_ceil(limit.rate.max(1)).max(1);
        let burst = (limit.burst / shards).max(1);
        Self {
            key: limit.key,
            interval_ns,
            depth_ns: interval_ns.saturating_mul(burst).min(DEPTH_NS_MAX),
            global_full_at_ns: 0,
            by_address: HashMap::with_hasher(FixedState::with_seed(seed)),
            swept_at_ns: 0,
        }
    }

    /// Takes a token; returns when the bucket would have been full without that, or how long to wait for a token.
    fn take(&mut self, address: u64, now_ns: u64) -> Result<u64, u64> {
        if self.key == RateKey::Ip && self.by_address.len() >= ADDRESSES_MAX {
            self.make_room(address, now_ns);
        }
        let full_at_ns = match self.key {
            RateKey::Global => &mut self.global_full_at_ns,
            RateKey::Ip => self.by_address.entry(address).or_insert(0),
        };
        let before = *full_at_ns;
        let after = before.max(now_ns).saturating_add(self.interval_ns);
        match after.saturating_sub(now_ns).checked_sub(self.depth_ns) {
            None | Some(0) => {
                *full_at_ns = after;
                Ok(before)
            }
            Some(short_ns) => Err(short_ns),
        }
    }

    /// Puts a token back.
    fn restore(&mut self, address: u64, full_at_ns: u64) {
        match self.key {
            RateKey::Global => self.global_full_at_ns = full_at_ns,
            RateKey::Ip => {
                self.by_address.insert(address, full_at_ns);
            }
        }
    }
}

impl Bucket {
    /// Forgets what is full again, at most once a second because that walks the table; otherwise any one address,
    /// so that a flood of addresses costs the flood its memory and not the shard its time.
    fn make_room(&mut self, address: u64, now_ns: u64) {
        if self.by_address.contains_key(&address) {
            return;
        }
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
    /// Buckets for one of `shards` shards; no rules yet. `seed` is random.
    pub fn new(shards: usize, seed: u64) -> Self {
        Self {
            shards: u64::try_from(shards).unwrap_or(1).max(1),
            seed,
            rules: Vec::new(),
            source: Vec::new(),
        }
    }

    /// Follows the snapshot. Unchanged rules keep their buckets. Rules beyond [`RATE_LIMITS_MAX`] do not exist; the
    /// configuration refuses them.
    pub fn follow(&mut self, limits: &[RateLimit]) {
        let limits = limits.get(..limits.len().min(RATE_LIMITS_MAX)).unwrap_or_default();
        let mut old: Vec<_> = self.source.drain(..).zip(self.rules.drain(..)).collect();
        for limit in limits {
            let kept = old.iter().position(|(source, _)| source == limit).map(|at| old.swap_remove(at).1);
            self.rules.push(kept.unwrap_or_else(|| Bucket::new(limit, self.shards, self.seed)));
        }
        self.source = limits.to_vec();
    }

    /// Takes a token from every bucket, or from none.
    ///
    /// # Errors
    /// When one has none; that one and its wait are named.
    pub fn admit(&mut self, address: IpAddr, payer: Payer, now_ms: u64) -> Result<(), Exhausted> {
        let now_ns = now_ms.saturating_mul(1_000_000);
        let address = bucket_key(address);
        let pays = |rule: &Bucket| payer == Payer::Known || rule.key == RateKey::Ip;
        let mut taken = [0; RATE_LIMITS_MAX];
        for (limit, rule) in self.rules.iter_mut().enumerate().filter(|(_, rule)| pays(rule)) {
            match rule.take(address, now_ns) {
                Ok(before) => {
                    if let Some(slot) = taken.get_mut(limit) {
                        *slot = before;
                    }
                }
                Err(short_ns) => {
                    let before = self.rules.iter_mut().zip(taken).take(limit);
                    for (rule, before) in before.filter(|(rule, _)| pays(rule)) {
                        rule.restore(address, before);
                    }
                    return Err(Exhausted { retry_after_ms: short_ns.div_ceil(1_000_000), limit });
                }
            }
        }
        Ok(())
    }
}

/// [`bucket_address`] as a number: IPv4 addresses stand where IPv6 has no global addresses.
fn bucket_key(address: IpAddr) -> u64 {
    match bucket_address(address) {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or(0),
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
        let mut buckets = Buckets::new(shards, 7);
        buckets.follow(limits);
        buckets
    }

    #[test]
    fn admits_the_burst_then_the_rate_and_never_more() {
        let mut buckets = buckets(&[limit(RateKey::Ip, 10, 5)], 1);
        let admitted = (0..10_000).filter(|ms| buckets.admit(A, Payer::Known, 1000 + ms).is_ok()).count();
        assert_eq!(admitted, 5 + 99);
    }

    #[test]
    fn a_rate_that_divides_no_nanosecond_is_not_exceeded() {
        let mut buckets = buckets(&[limit(RateKey::Global, 700_000_000, 1_000_000)], 1);
        let mut admitted = |ms| (0..1_100_000).filter(|_| buckets.admit(A, Payer::Known, ms).is_ok()).count();
        assert_eq!(admitted(1000), 1_000_000);
        assert!(admitted(1001) <= 700_000);
    }

    #[test]
    fn takes_from_no_bucket_unless_all_have_a_token() {
        let mut buckets = buckets(&[limit(RateKey::Ip, 1, 1), limit(RateKey::Global, 1, 3)], 1);
        assert!(buckets.admit(A, Payer::Known, 0).is_ok());
        for _ in 0..5 {
            assert_eq!(buckets.admit(A, Payer::Known, 0).unwrap_err().limit, 0);
        }
        assert!(
            buckets.admit(B, Payer::Known, 0).is_ok(),
            "refusals of A must not have drained the global bucket"
        );
    }

    #[test]
    fn a_stranger_empties_no_bucket_but_its_own() {
        let mut buckets = buckets(&[limit(RateKey::Global, 1, 3), limit(RateKey::Ip, 1, 2)], 1);
        let strangers = (0..50).filter(|_| buckets.admit(A, Payer::Unknown, 0).is_ok()).count();
        assert_eq!(strangers, 2);
        assert!((0..2).all(|_| buckets.admit(B, Payer::Known, 0).is_ok()));
    }

    #[test]
    fn a_bucket_deeper_than_the_clock_still_ends() {
        let rule = RateLimit { period: Duration::from_secs(86_400), ..limit(RateKey::Global, 1, 1_000_000) };
        let mut buckets = buckets(&[rule], 1);
        assert!((0..1_000_001).any(|_| buckets.admit(A, Payer::Known, 0).is_err()));
    }

    #[test]
    fn says_how_long_to_wait() {
        let mut buckets = buckets(&[limit(RateKey::Global, 2, 1)], 1);
        assert!(buckets.admit(A, Payer::Known, 0).is_ok());
        let wait = buckets.admit(A, Payer::Known, 100).unwrap_err().retry_after_ms;
        assert_eq!(wait, 400);
        assert!(buckets.admit(A, Payer::Known, 100 + wait).is_ok());
    }

    #[test]
    fn shares_of_several_shards_add_up_to_the_limit() {
        let mut admitted = 0;
        for _ in 0..4 {
            let mut share = buckets(&[limit(RateKey::Global, 100, 40)], 4);
            admitted += (0..1000).filter(|ms| share.admit(A, Payer::Known, *ms).is_ok()).count();
        }
        assert!((130..=140).contains(&admitted), "{admitted}");
    }

    #[test]
    fn unchanged_rules_keep_their_buckets_over_a_reload() {
        let mut buckets = buckets(&[limit(RateKey::Global, 1, 1)], 1);
        assert!(buckets.admit(A, Payer::Known, 0).is_ok());
        buckets.follow(&[limit(RateKey::Ip, 9, 9), limit(RateKey::Global, 1, 1)]);
        assert_eq!(buckets.admit(A, Payer::Known, 0).unwrap_err().limit, 1);
    }

    #[test]
    fn remembers_a_bounded_number_of_addresses() {
        let mut buckets = buckets(&[limit(RateKey::Ip, 1, 1)], 1);
        for n in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 10 {
            assert!(
                buckets
                    .admit(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)), Payer::Known, u64::from(n / 1000))
                    .is_ok()
            );
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
