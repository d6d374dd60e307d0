//! `load`: asks a server the same question over many connections and prints one JSON line.
//! Next: `mcpring_bench::load`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use mcpring_bench::affinity;
use mcpring_bench::carriage::Carriage;
use mcpring_bench::load::connection::{Checker, Want};
use mcpring_bench::load::{self, Plan};
use mcpring_bench::scenario::Scenario;
use mcpring_bench::target::Target;
use mcpring_bench::tls::{self, Trust};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A closed-loop load client: every connection has one request in flight, every answer is checked.
#[derive(Parser)]
struct Arguments {
    /// Server address on loopback.
    address: SocketAddr,
    /// Scenario file: the request and what its answer must say.
    #[arg(long)]
    scenario: PathBuf,
    /// API key put where the scenario says @KEY@.
    #[arg(long, default_value = "none")]
    key: String,
    /// Speak TLS 1.3 and trust this authority (PEM).
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// Speak TLS 1.3 and trust anybody; for the bench only.
    #[arg(long, conflicts_with = "ca")]
    trust_anybody: bool,
    /// Connections held open.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How messages go.
    #[arg(long, value_enum, default_value = "http")]
    carriage: Carriage,
    /// Requests that leave together on each connection; the next ones when all are answered.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Uncounted seconds at the start.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Counted seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// The server's process id, whose processor time is read.
    #[arg(long)]
    pid: Option<u32>,
    /// Processor to run on.
    #[arg(long, default_value_t = 1)]
    cpu: usize,
    /// Send the request but expect exactly the bytes of this file (raw echo).
    #[arg(long, value_name = "FILE")]
    expect_bytes: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.address.ip().is_loopback() {
        bail!("only a server on loopback is put under load");
    }
    let scenario = Scenario::load(&arguments.scenario)?;
    let tls = match (&arguments.ca, arguments.trust_anybody) {
        (Some(ca), _) => Some(tls::client_config(&Trust::Authority(ca), None)?),
        (None, true) => Some(tls::client_config(&Trust::Anybody, None)?),
        (None, false) => None,
    };
    let host = format!("localhost:{}", arguments.address.port());
    let carriage = arguments.carriage;
    let opening = carriage.opening(&scenario, &host, &arguments.key)?;
    let plan = Plan {
        request: carriage.request(&scenario, &host, &arguments.key)?,
        target: Target { address: arguments.address, tls, carriage, opening },
        in_flight: arguments.in_flight,
        connections: arguments.connections,
        warmup: Duration::from_secs_f64(arguments.warmup),
        window: Duration::from_secs_f64(arguments.seconds),
        pid: arguments.pid,
    };
    let want = match &arguments.expect_bytes {
        Some(path) => Want::Bytes(std::fs::read(path)?),
        None => Want::Result(carriage, scenario.expect),
    };
    affinity::pin(arguments.cpu)?;
    let report = load::run(&plan, Checker::new(want))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
