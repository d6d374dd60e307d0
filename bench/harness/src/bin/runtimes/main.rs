//! `runtimes`: the same echo served by several runtimes and by bare loops, under the same load, alternating;
//! keeps the choice of the shard's runtime measured.
//! Next: `serve`, one function per runtime.

mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use mcpring_bench::affinity;
use mcpring_bench::echo::{self, Echo};
use mcpring_bench::load::connection::{Checker, Want};
use mcpring_bench::load::report::Report;
use mcpring_bench::load::{self, Plan};
use mcpring_bench::machine::{Line, Machine};
use mcpring_bench::process::{Process, free_addresses};
use mcpring_bench::scenario::Scenario;
use mcpring_bench::spread::Spread;
use mcpring_bench::target::Target;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares runtimes with a bare echo.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serves an echo until ended.
    Serve {
        /// Which runtime.
        #[arg(value_enum)]
        runtime: Runtime,
        /// Address to listen on.
        address: SocketAddr,
        /// Bytes of one request.
        #[arg(long)]
        request_bytes: usize,
        /// File with the answer.
        #[arg(long)]
        answer: PathBuf,
    },
    /// Runs all in turn and prints a table.
    Compare(Comparison),
}

#[derive(clap::Args)]
struct Comparison {
    /// Who takes part; the first is what the others are divided by.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "ring,ring-single,epoll,monoio,monoio-epoll,tokio-uring,tokio"
    )]
    runtimes: Vec<Runtime>,
    /// Folder with scenarios and the sample answer.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR")))]
    harness: PathBuf,
    /// Connection counts.
    #[arg(long, value_delimiter = ',', default_value = "1,64,256")]
    connections: Vec<usize>,
    /// How often the whole is repeated.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Counted seconds of each run.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Processor of the servers.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// Processor of the load.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// File that raw lines are appended to.
    #[arg(long)]
    results: Option<PathBuf>,
}

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Runtime {
    /// Hand-written ring, multishot receive.
    Ring,
    /// Hand-written ring, one receive a request.
    RingSingle,
    /// Hand-written epoll loop.
    Epoll,
    /// monoio over io_uring with `DEFER_TASKRUN` and `SINGLE_ISSUER`.
    Monoio,
    /// monoio over epoll.
    MonoioEpoll,
    /// tokio-uring.
    TokioUring,
    /// tokio, one thread.
    Tokio,
}

impl Runtime {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn main() -> Result<()> {
    match Arguments::parse().action {
        Action::Serve { runtime, address, request_bytes, answer } => {
            let echo = Echo { request_bytes, answer: std::fs::read(answer)? };
            serve::serve(runtime, echo::listen(address)?, echo)
        }
        Action::Compare(comparison) => compare(&comparison),
    }
}

struct Sample {
    runtime: Runtime,
    connections: usize,
    round: usize,
    report: Report,
}

fn compare(comparison: &Comparison) -> Result<()> {
    let machine = Machine::read();
    affinity::pin(comparison.load_cpu)?;
    let mut samples = Vec::new();
    for round in 1..=comparison.rounds {
        for &connections in &comparison.connections {
            for &runtime in &comparison.runtimes {
                let report = run_once(comparison, runtime, connections)
                    .with_context(|| format!("{} at {connections} connections", runtime.name()))?;
                if let Some(path) = &comparison.results {
                    let (measure, scenario, peer) = ("runtime", "echo-bytes", &*runtime.name());
                    let machine = &machine;
                    Line { machine, measure, scenario, peer, round, numbers: &report }.append(path)?;
                }
                samples.push(Sample { runtime, connections, round, report });
            }
        }
    }
    println!("{} | commit {} | kernel {} | {}", machine.date, machine.commit, machine.kernel, machine.cpu);
    println!("{}\n", machine.command);
    println!("conns runtime        CPU us    requests/s    p50 us    p99 us  CPU / first (range)");
    for &connections in &comparison.connections {
        for &runtime in &comparison.runtimes {
            print_row(comparison, &samples, runtime, connections);
        }
    }
    Ok(())
}

fn run_once(comparison: &Comparison, runtime: Runtime, connections: usize) -> Result<Report> {
    let [address] = free_addresses()?;
    let answer_file = comparison.harness.join("answer.http");
    let answer = std::fs::read(&answer_file)?;
    let scenario = Scenario::load(&comparison.harness.join("scenarios/echo.json"))?;
    let request = scenario.encode("localhost:12345", "mrk_bench_0123456789abcdef0123456789abcdef")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve", &runtime.name(), &address.to_string()]);
    command.args(["--request-bytes", &request.len().to_string(), "--answer"]).arg(&answer_file);
    let mut server = Process::start(command.stdin(Stdio::null()), comparison.server_cpu)?;
    let target = Target::http(address, None);
    server.first_answer(&target, &request)?;
    let plan = Plan {
        in_flight: 1,
        target,
        request,
        connections,
        warmup: Duration::from_millis(300),
        window: Duration::from_secs_f64(comparison.seconds),
        pid: Some(server.pid()),
    };
    let report = load::run(&plan, Checker::new(Want::Bytes(answer)))?;
    if report.errors > 0 {
        bail!("{} errors, the first: {}", report.errors, report.first_error.unwrap_or_default());
    }
    Ok(report)
}

fn print_row(comparison: &Comparison, samples: &[Sample], runtime: Runtime, connections: usize) {
    let of = |runtime: Runtime, field: fn(&Report) -> f64| {
        samples
            .iter()
            .filter(move |sample| (sample.runtime, sample.connections) == (runtime, connections))
            .map(move |sample| (sample.round, field(&sample.report)))
    };
    let cpu: fn(&Report) -> f64 = |report| report.server_cpu_us.unwrap_or(f64::NAN);
    let median =
        |field| Spread::of(of(runtime, field).map(|(_, value)| value)).map_or(f64::NAN, |s| s.median);
    let first = comparison.runtimes.first().copied().unwrap_or(runtime);
    let ratios = of(runtime, cpu).zip(of(first, cpu)).map(|((_, own), (_, first))| own / first);
    println!(
        "{connections:>5} {:<13} {:>7.2} {:>13.0} {:>9.1} {:>9.1}  {}",
        runtime.name(),
        median(cpu),
        median(|report| report.requests_per_s),
        median(|report| report.latency.p50_us),
        median(|report| report.latency.p99_us),
        Spread::of(ratios).map(|spread| spread.to_string()).unwrap_or_default(),
    );
}
