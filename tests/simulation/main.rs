//! Many connections over one shard's workspace, with a clock that only moves when told and one seed for all chance.
//! A seed that fails prints the line that replays it; SIMULATION_SEEDS=1000 runs as many, each another.
//! Next: `world` for what happens and which laws hold; `secure` for TLS by itself.

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

/// Turns of chance in one run.
#[cfg(test)]
const STEPS: usize = 20_000;

/// Seeds that run when nothing else is asked for.
#[cfg(test)]
const SEEDS: u64 = 40;

#[test]
fn many_connections_keep_the_laws_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match (number("SIMULATION_SEED"), number("SIMULATION_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 1..count + 1,
        (None, None) => 1..SEEDS + 1,
    };
    let authority = client::Authority::default();
    for seed in seeds {
        let run = || world::World::new(seed, &authority).run(STEPS);
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            println!("SIMULATION_SEED={seed} cargo test --test simulation");
            std::panic::resume_unwind(panic);
        }
    }
}
