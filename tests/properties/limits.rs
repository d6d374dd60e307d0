//! Laws of the token buckets: over any times, no rule admits more than its burst and what came back since, and what is
//! admitted is exactly what a model that counts tokens one by one admits.
//! Next: `src/pipeline/admit.rs`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use mcpring::pipeline::admit::{Buckets, Payer, RateKey, RateLimit};
use proptest::collection::vec;
use proptest::prelude::*;

fn rules() -> impl Strategy<Value = Vec<RateLimit>> {
    let rule = (any::<bool>(), 1_u64..50, 1_u64..5000, 1_u64..20);
    vec(rule, 1..4).prop_map(|rules| {
        rules
            .into_iter()
            .enumerate()
            .map(|(at, (by_address, rate, period_ms, burst))| RateLimit {
                name: format!("rule {at}"),
                key: if by_address { RateKey::Ip } else { RateKey::Global },
                rate,
                period: Duration::from_millis(period_ms),
                burst,
            })
            .collect()
    })
}

/// Who asks and the milliseconds since the one before; many come at once, some after a long pause.
fn arrivals() -> impl Strategy<Value = Vec<((u8, Payer), u64)>> {
    let pause = prop_oneof![4 => Just(0_u64), 4 => 0_u64..40, 1 => 0_u64..20_000];
    let payer = prop_oneof![3 => Just(Payer::Known), 1 => Just(Payer::Unknown)];
    vec(((0_u8..3, payer), pause), 1..300)
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn interval_ns(rule: &RateLimit) -> u64 {
    u64::try_from(rule.period.as_nanos()).expect("short").div_ceil(rule.rate)
}

/// Whether such a caller pays by that rule.
fn pays(rule: &RateLimit, payer: Payer) -> bool {
    payer == Payer::Known || rule.key == RateKey::Ip
}

/// Whose bucket of a rule an arrival draws from.
fn bucket_of(rule: &RateLimit, from: u8) -> Option<u8> {
    (rule.key == RateKey::Ip).then_some(from)
}

/// A bucket as the textbook has it: a level that fills with time up to the burst. In nanoseconds' worth of tokens.
struct Level {
    level_ns: u64,
    at_ns: u64,
}

impl Level {
    fn fill(&mut self, rule: &RateLimit, now_ns: u64) {
        let full_ns = interval_ns(rule) * rule.burst;
        self.level_ns = (self.level_ns + (now_ns - self.at_ns)).min(full_ns);
        self.at_ns = now_ns;
    }
}

#[derive(Default)]
struct Model(BTreeMap<(usize, Option<u8>), Level>);

impl Model {
    fn admit(&mut self, rules: &[RateLimit], from: u8, payer: Payer, now_ns: u64) -> bool {
        let mut has_all = true;
        let paying = || rules.iter().enumerate().filter(|(_, rule)| pays(rule, payer));
        for (at, rule) in paying() {
            let full = Level { level_ns: interval_ns(rule) * rule.burst, at_ns: now_ns };
            let level = self.0.entry((at, bucket_of(rule, from))).or_insert(full);
            level.fill(rule, now_ns);
            has_all &= level.level_ns >= interval_ns(rule);
        }
        for (at, rule) in paying().filter(|_| has_all) {
            if let Some(level) = self.0.get_mut(&(at, bucket_of(rule, from))) {
                level.level_ns -= interval_ns(rule);
            }
        }
        has_all
    }
}

proptest! {
    #[test]
    fn admits_what_a_bucket_counted_token_by_token_admits(
        rules in rules(),
        start_ms in 1_000_000_u64..2_000_000,
        arrivals in arrivals(),
    ) {
        let mut buckets = Buckets::new(1, 7);
        buckets.follow(&rules);
        let mut model = Model::default();
        let mut now_ms = start_ms;
        for ((from, payer), pause_ms) in arrivals {
            now_ms += pause_ms;
            let admitted = buckets.admit(address(from), payer, now_ms).is_ok();
            prop_assert_eq!(
                admitted,
                model.admit(&rules, from, payer, now_ms * 1_000_000),
                "at {} ms",
                now_ms
            );
        }
    }

    #[test]
    fn no_window_of_time_holds_more_than_the_burst_and_what_came_back(
        rules in rules(),
        shards in 1_usize..5,
        arrivals in arrivals(),
    ) {
        let mut shares: Vec<Buckets> = (0..shards).map(|_| Buckets::new(shards, 7)).collect();
        shares.iter_mut().for_each(|share| share.follow(&rules));
        let mut now_ms = 1_000_000;
        let mut admitted = Vec::new();
        for (at, ((from, payer), pause_ms)) in arrivals.into_iter().enumerate() {
            now_ms += pause_ms;
            if shares[at % shards].admit(address(from), payer, now_ms).is_ok() {
                admitted.push((from, payer, now_ms));
            }
        }
        for rule in &rules {
            // A shard's share is at least one token.
            let burst = rule.burst.max(u64::try_from(shards).expect("few"));
            for bucket in [None, Some(0), Some(1), Some(2)] {
                let times: Vec<u64> = admitted
                    .iter()
                    .filter(|(from, payer, _)| pays(rule, *payer) && bucket_of(rule, *from) == bucket)
                    .map(|(_, _, at_ms)| *at_ms)
                    .collect();
                for (first, start_ms) in times.iter().enumerate() {
                    for (more, end_ms) in times[first..].iter().enumerate() {
                        // Each share fills by itself, so each may have part of a token on top.
                        let period_ms = u64::try_from(rule.period.as_millis()).expect("short");
                        let came_back = (end_ms - start_ms) * rule.rate / period_ms;
                        prop_assert!(u64::try_from(more).expect("few") < burst + came_back + 1, "{:?}", rule);
                    }
                }
            }
        }
    }

    #[test]
    fn whoever_waits_as_long_as_told_is_admitted(
        rules in rules(),
        arrivals in arrivals(),
    ) {
        let mut buckets = Buckets::new(1, 7);
        buckets.follow(&rules);
        let mut now_ms = 1_000_000;
        for ((from, payer), pause_ms) in arrivals {
            now_ms += pause_ms;
            // Each wait is for one rule, so there are at most as many as rules.
            let mut refusals = 0;
            while let Err(exhausted) = buckets.admit(address(from), payer, now_ms) {
                prop_assert!(exhausted.retry_after_ms > 0 && exhausted.limit < rules.len());
                now_ms += exhausted.retry_after_ms;
                refusals += 1;
                prop_assert!(refusals <= rules.len());
            }
        }
    }
}
