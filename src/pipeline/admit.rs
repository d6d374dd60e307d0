//! The stage that asks whether a caller may spend a token: token buckets by address and for all.
//! Never: a clock (the time comes in), a lock (each shard owns its buckets).
//! Next: `envelope`, which reads the body that was paid for here.

/// One token bucket rule, as configured.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// Table name; the label in answers and counters.
    pub name: String,
    /// What is counted apart.
    pub key: RateKey,
    /// Tokens added per `period`.
    pub rate: u64,
    /// The period of `rate`.
    pub period: std::time::Duration,
    /// Tokens a full bucket holds beyond the steady rate; at least 1.
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
