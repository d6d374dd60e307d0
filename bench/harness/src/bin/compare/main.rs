//! `compare`: starts the server under test and its peers in turn on one processor, puts each under the same
//! load from another, alternating, and prints one table; every raw line is kept.
//! Next: `mcpring_bench::peer`, how each is started; `extras`, memory, first answer and handshakes; `table`, the reading.

mod extras;
mod table;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Parser;
use mcpring_bench::affinity;
use mcpring_bench::carriage::Carriage;
use mcpring_bench::load::report::Report;
use mcpring_bench::machine::{Line, Machine};
use mcpring_bench::peer::{Kind, Stage, Wire};

use crate::table::Sample;

/// Compares the server with its peers.
#[derive(Parser)]
struct Arguments {
    /// The server's release binary.
    #[arg(long, required_if_eq("peers", "ours"))]
    server: Option<PathBuf>,
    /// Folder with the templates and scenarios.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR")))]
    harness: PathBuf,
    /// Scenario name.
    #[arg(long, default_value = "echo")]
    scenario: String,
    /// Who takes part, in order.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "ours,token,open,echo,nginx,rmcp")]
    peers: Vec<Kind>,
    /// What is spoken: HTTP plain or over TLS with everybody, the rest with ours alone.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "plain,tls,lines,lines-tls,websocket,websocket-tls,events-tls"
    )]
    wires: Vec<Wire>,
    /// Connection counts.
    #[arg(long, value_delimiter = ',', default_value = "1,32,256")]
    connections: Vec<usize>,
    /// Requests that leave together on a connection; more than one only where no HTTP is spoken.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    in_flight: Vec<usize>,
    /// How often the whole is repeated.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Uncounted seconds of each run.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Counted seconds of each run.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Processor of the servers.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// Processor of the load.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Idle connections of the memory measurement; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Starts of the first-answer measurement; 0 leaves it out.
    #[arg(long, default_value_t = 11)]
    starts: usize,
    /// Seconds of the handshake measurement; 0 leaves it out.
    #[arg(long, default_value_t = 3.0)]
    handshake_seconds: f64,
    /// File that raw lines are appended to.
    #[arg(long)]
    results: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.peers.contains(&Kind::Ours) && arguments.server.is_none() {
        bail!("--server is missing: build the release binary and name it, or leave `ours` out of --peers");
    }
    let machine = Machine::read();
    affinity::pin(arguments.load_cpu)?;
    let stage = Stage::build(
        &arguments.harness,
        &arguments.scenario,
        arguments.server.as_deref(),
        arguments.server_cpu,
    )?;
    measure(&arguments, &stage, &machine)
        .with_context(|| format!("configurations and logs of this run are in {}", stage.folder.display()))?;
    stage.clear()
}

fn measure(arguments: &Arguments, stage: &Stage, machine: &Machine) -> Result<()> {
    let results = arguments.results.as_deref();
    if arguments.server.is_some() {
        stage.take_sample().context("the server's first answer")?;
    }
    let samples = requests(arguments, stage, machine, results)?;
    let extras = extras::measure(arguments, stage, machine, results)?;
    table::print(machine, stage, &samples, &extras);
    Ok(())
}

/// Runs every peer at every setting, round after round: A B C, A B C.
fn requests(
    arguments: &Arguments,
    stage: &Stage,
    machine: &Machine,
    results: Option<&Path>,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for round in 1..=arguments.rounds {
        for &wire in &arguments.wires {
            for load in loads(arguments, wire) {
                for &kind in &arguments.peers {
                    if !kind.speaks(wire) || kind.only_shakes_hands() {
                        continue;
                    }
                    let (connections, in_flight) = load;
                    let report = load_once(arguments, stage, kind, wire, load).with_context(|| {
                        format!("{} {} {connections} connections", kind.name(), wire.name())
                    })?;
                    eprintln!(
                        "round {round} {:<9} {connections:>3} x {in_flight:<2} {:<5} {:>8.3} us/request {:>8} requests/s",
                        wire.name(),
                        kind.name(),
                        report.server_cpu_us.unwrap_or_default(),
                        report.requests_per_s,
                    );
                    if let Some(path) = results {
                        let (scenario, peer) = (stage.scenario.name.as_str(), kind.name());
                        let measure = "requests";
                        Line { machine, measure, scenario, peer, round, numbers: &report }.append(path)?;
                    }
                    samples.push(Sample { kind, wire, load, round, report });
                }
            }
        }
    }
    Ok(samples)
}

/// Connections and requests in flight on each, for that wire.
fn loads(arguments: &Arguments, wire: Wire) -> Vec<(usize, usize)> {
    let in_flight: &[usize] = match wire.carriage() {
        Carriage::Http => &[1],
        Carriage::Lines | Carriage::WebSocket => &arguments.in_flight,
        Carriage::Events => &[],
    };
    let each = arguments.connections.iter();
    each.flat_map(|connections| in_flight.iter().map(|in_flight| (*connections, *in_flight))).collect()
}

fn load_once(
    arguments: &Arguments,
    stage: &Stage,
    kind: Kind,
    wire: Wire,
    load: (usize, usize),
) -> Result<Report> {
    let mut running = stage.start(kind)?;
    let request = running.request(wire)?;
    running.first_answer(wire, &request)?;
    let mut command = stage.load(&running, wire, load, arguments.load_cpu)?;
    command.args(["--warmup", &arguments.warmup.to_string(), "--seconds", &arguments.seconds.to_string()]);
    command.stderr(Stdio::inherit());
    let output = command.output().context("start load")?;
    if !output.status.success() {
        bail!("load failed: {}", output.status);
    }
    let report: Report = serde_json::from_slice(&output.stdout).context("report of load")?;
    if report.errors > 0 {
        bail!("{} errors, the first: {}", report.errors, report.first_error.unwrap_or_default());
    }
    Ok(report)
}
