//! Many connections over one shard's workspace, with a clock that only moves when told and one seed for all chance.
//! A seed that fails prints the line that replays it; SIMULATION_SEEDS=1000 runs as many, each another.
//! Next: `world` for what happens and which laws hold; `fleet` for sessions; `throng` for all transports; `secure` for TLS.

#[cfg(test)]
#[path = "../fixture/mod.rs"]
pub mod fixture;
#[cfg(test)]
#[path = "../fixture/secure.rs"]
pub mod client;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod script;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod world;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod asking;
#[cfg(test)]
mod incoming;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod line;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod talker;
#[cfg(test)]
mod heard;
#[cfg(test)]
mod throng;
#[cfg(test)]
mod quiet;

/// Turns of chance in one run.
#[cfg(test)]
const STEPS: usize = 20_000;

/// Seeds that run when nothing else is asked for.
#[cfg(test)]
const SEEDS: u64 = 40;

/// The same of the fleet, whose seeds are cheaper.
#[cfg(test)]
const FLEET_STEPS: usize = 3_000;
#[cfg(test)]
const FLEET_SEEDS: u64 = 40;

/// And of the throng.
#[cfg(test)]
const THRONG_STEPS: usize = 2_000;
#[cfg(test)]
const THRONG_SEEDS: u64 = 40;

/// Runs every seed that is asked for.
#[cfg(test)]
fn each_seed(name: &str, most: u64, run: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match (number("SIMULATION_SEED"), number("SIMULATION_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 1..count + 1,
        (None, None) => 1..most + 1,
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed))) {
            println!("SIMULATION_SEED={seed} cargo test --test simulation {name}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn many_connections_keep_the_laws_whatever_happens() {
    let authority = client::Authority::default();
    each_seed("many_connections", SEEDS, |seed| world::World::new(seed, &authority).run(STEPS));
}

#[test]
fn sessions_streams_and_questions_keep_the_laws_on_any_shard() {
    each_seed("sessions_streams", FLEET_SEEDS, |seed| fleet::Fleet::new(seed).run(FLEET_STEPS));
}

#[test]
fn all_transports_at_once_keep_the_laws() {
    let authority = client::Authority::default();
    each_seed("all_transports", THRONG_SEEDS, |seed| throng::Throng::new(seed, &authority).run(THRONG_STEPS));
}
