//! `flame`: records where the server under test spends its time under load (perf, sampled by the processor
//! clock) and draws a flame graph.
//! Never: a graph kept without a finding; `flamegraphs/README.md` has one sentence for each.
//! Next: `mcpring_bench::peer`, how the server is started.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use inferno::collapse::Collapse as _;
use inferno::collapse::perf::{Folder, Options};
use inferno::flamegraph;
use mcpring_bench::affinity;
use mcpring_bench::peer::{Kind, Stage, Wire};

/// Draws a flame graph of the server under load.
#[derive(Parser)]
struct Arguments {
    /// The server's binary, built with frame pointers.
    #[arg(long)]
    server: Option<PathBuf>,
    /// Who is drawn.
    #[arg(long, value_enum, default_value = "ours")]
    peer: Kind,
    /// Plain or TLS.
    #[arg(long, value_enum, default_value = "tls")]
    wire: Wire,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Recorded seconds.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Folder with the templates and scenarios.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR")))]
    harness: PathBuf,
    /// Scenario name.
    #[arg(long, default_value = "echo")]
    scenario: String,
    /// Where the graph goes.
    #[arg(long)]
    svg: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    affinity::pin(1)?;
    let stage = Stage::build(&arguments.harness, &arguments.scenario, arguments.server.as_deref(), 0)?;
    draw(&arguments, &stage).with_context(|| format!("logs are in {}", stage.folder.display()))?;
    stage.clear()
}

fn draw(arguments: &Arguments, stage: &Stage) -> Result<()> {
    let mut running = stage.start(arguments.peer)?;
    let request = running.request(arguments.wire)?;
    running.first_answer(arguments.wire, &request)?;
    let mut load = stage
        .load(&running, arguments.wire, (arguments.connections, 1), 1)?
        .args(["--warmup", "1", "--seconds", &(arguments.seconds + 1.0).to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    std::thread::sleep(Duration::from_secs(1));
    let data = stage.folder.join("perf.data");
    // The hardware has no counters in a virtual machine: the processor clock drives the samples.
    let recorded = Command::new("perf")
        .args(["record", "--quiet", "-F", "999", "-e", "cpu-clock", "--call-graph", "fp", "-p"])
        .arg(running.pid().to_string())
        .arg("-o")
        .arg(&data)
        .args(["--", "sleep", &arguments.seconds.to_string()])
        .stdout(Stdio::null())
        .status()
        .context("perf (Debian package linux-perf)")?;
    if !load.wait()?.success() {
        bail!("the load found errors");
    }
    if !recorded.success() {
        bail!("perf record failed: {recorded}");
    }
    let script = Command::new("perf").args(["script", "-i"]).arg(&data).stderr(Stdio::null()).output()?;
    let mut folded = Vec::new();
    let mut folding = Options::default();
    folding.annotate_kernel = true;
    Folder::from(folding).collapse(&*script.stdout, &mut folded)?;
    let mut options = flamegraph::Options::default();
    options.title =
        format!("{} {} {} connections", arguments.peer.name(), arguments.wire.name(), arguments.connections);
    options.count_name = "ns".to_owned();
    let file = File::create(&arguments.svg).with_context(|| arguments.svg.display().to_string())?;
    flamegraph::from_reader(&mut options, &*folded, BufWriter::new(file))?;
    print_heaviest(&folded);
    Ok(())
}

/// Prints where the time was spent itself, by part and by function: the first words of a finding.
fn print_heaviest(folded: &[u8]) {
    let text = String::from_utf8_lossy(folded);
    let mut parts: BTreeMap<String, u64> = BTreeMap::new();
    let mut functions: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        let Some((stack, count)) = line.rsplit_once(' ') else { continue };
        let count = count.parse::<u64>().unwrap_or(0);
        let leaf = stack.rsplit(';').next().unwrap_or(stack);
        *functions.entry(leaf.to_owned()).or_default() += count;
        *parts.entry(part(leaf)).or_default() += count;
    }
    let total = functions.values().sum::<u64>().max(1);
    println!("{} ms of processor time sampled; own time in per mille:", total / 1_000_000);
    for (table, rows) in [(parts, 20), (functions, 30)] {
        println!();
        let mut table = table.into_iter().collect::<Vec<_>>();
        table.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (name, count) in table.into_iter().take(rows) {
            println!("{:>5}  {name}", count * 1000 / total);
        }
    }
}

/// The part of the whole that a function belongs to: the kernel, a layer of ours, a crate, or C code.
fn part(leaf: &str) -> String {
    if leaf.ends_with("_[k]") {
        return "kernel".to_owned();
    }
    let path = leaf.trim_start_matches('<');
    let mut segments = path.split("::");
    match (segments.next(), segments.next(), segments.next()) {
        (Some("mcpring"), Some(layer), Some(stage)) => format!("mcpring::{layer}::{stage}"),
        (Some(first), Some(_), _) => first.to_owned(),
        (Some(_) | None, _, _) if leaf.starts_with("aws_lc") => "aws_lc".to_owned(),
        (Some(_) | None, _, _) => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_belong_to_the_part_they_come_from() {
        for (leaf, want) in [
            ("tcp_ack_[k]", "kernel"),
            ("mcpring::wire::json::Scratch::decode", "mcpring::wire::json"),
            ("<mcpring::pipeline::tls::Session as core::fmt::Debug>::fmt", "mcpring::pipeline::tls"),
            ("simd_json::Deserializer::find", "simd_json"),
            ("aws_lc_0_47_0_aes_gcm_decrypt_avx512", "aws_lc"),
            ("__memmove_avx512_unaligned_erms", "other"),
        ] {
            assert_eq!(part(leaf), want, "{leaf}");
        }
    }
}
