//! The reading: medians over the rounds, and ratios taken round by round, so that noise common to a round
//! cancels; their range over the rounds stands beside them.
//! Next: `bench/README.md`, which says how to read it.

use std::fmt::Write as _;

use mcpring_bench::load::report::Report;
use mcpring_bench::machine::Machine;
use mcpring_bench::peer::{Kind, Stage, Wire};
use mcpring_bench::spread::Spread;

use crate::extras::Extras;

/// One run.
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) wire: Wire,
    pub(crate) connections: usize,
    pub(crate) round: usize,
    pub(crate) report: Report,
}

fn cpu(report: &Report) -> f64 {
    report.server_cpu_us.unwrap_or(f64::NAN)
}

fn rate(report: &Report) -> f64 {
    report.requests_per_s
}

/// Prints everything.
pub(crate) fn print(machine: &Machine, stage: &Stage, samples: &[Sample], extras: &Extras) {
    println!("{} | commit {} | kernel {} | {}", machine.date, machine.commit, machine.kernel, machine.cpu);
    println!("scenario {} | {}", stage.scenario.name, machine.command);
    print!("{}", requests_table(samples));
    print!("{}", extras_table(extras));
    print!("{}", budgets(samples));
}

fn requests_table(samples: &[Sample]) -> String {
    let mut text = String::from(
        "\nwire  conns peer    CPU us    requests/s    p50 us    p99 us  load busy  ours/its CPU (range)       ours/its requests/s (range)\n",
    );
    let mut seen: Vec<(Wire, usize, Kind)> = Vec::new();
    for sample in samples {
        let key = (sample.wire, sample.connections, sample.kind);
        if !seen.contains(&key) {
            seen.push(key);
        }
    }
    for (wire, connections, kind) in seen {
        let of = |field: fn(&Report) -> f64| median(samples, kind, wire, connections, field);
        let row = format!(
            "{:<5} {connections:>5} {:<6} {:>7.2} {:>13.0} {:>9.1} {:>9.1} {:>10.2}  {:<26} {}",
            wire.name(),
            kind.name(),
            of(cpu),
            of(rate),
            of(|report| report.latency.p50_us),
            of(|report| report.latency.p99_us),
            of(|report| report.client_busy),
            ratio_text(samples, kind, wire, connections, cpu),
            ratio_text(samples, kind, wire, connections, rate),
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn median(
    samples: &[Sample],
    kind: Kind,
    wire: Wire,
    connections: usize,
    field: impl Fn(&Report) -> f64,
) -> f64 {
    let values = samples
        .iter()
        .filter(|sample| (sample.kind, sample.wire, sample.connections) == (kind, wire, connections))
        .map(|sample| field(&sample.report));
    Spread::of(values).map_or(f64::NAN, |spread| spread.median)
}

/// Ours over another's, round by round.
fn ratio(
    samples: &[Sample],
    (kind, other_wire): (Kind, Wire),
    (wire, connections): (Wire, usize),
    field: impl Fn(&Report) -> f64,
) -> Option<Spread> {
    let find = |kind, wire, round| {
        samples.iter().find(|sample| {
            (sample.kind, sample.wire, sample.connections, sample.round) == (kind, wire, connections, round)
        })
    };
    let rounds = samples.iter().map(|sample| sample.round).max()?;
    let values = (1..=rounds).filter_map(|round| {
        let ours = find(Kind::Ours, wire, round)?;
        let other = find(kind, other_wire, round)?;
        Some(field(&ours.report) / field(&other.report))
    });
    Spread::of(values)
}

fn ratio_text(
    samples: &[Sample],
    kind: Kind,
    wire: Wire,
    connections: usize,
    field: impl Fn(&Report) -> f64,
) -> String {
    let (other, note) = match (kind, wire) {
        (Kind::Ours, Wire::Plain) => return String::new(),
        (Kind::Ours, Wire::Tls) => (Wire::Plain, " (own plain)"),
        (Kind::Echo | Kind::Nginx | Kind::Rmcp | Kind::Rustls, _) => (wire, ""),
    };
    ratio(samples, (kind, other), (wire, connections), field)
        .map_or_else(String::new, |found| format!("{found}{note}"))
}

fn extras_table(extras: &Extras) -> String {
    let mut text = String::new();
    if !extras.first.is_empty() {
        text.push_str("\nstart to first answer, ms: median (range)\n");
    }
    for (kind, wire, starts) in &extras.first {
        if let Some(found) = Spread::of(starts.iter().copied()) {
            let _ = writeln!(text, "{:<5} {:<6} {found}", wire.name(), kind.name());
        }
    }
    if !extras.idle.is_empty() {
        text.push_str("\nmemory per idle connection, bytes (each asked once before)\n");
    }
    for (kind, wire, idle) in &extras.idle {
        let _ = writeln!(
            text,
            "{:<5} {:<6} {:>7} RSS {:>7} PSS at {} connections ({} MiB in all)",
            wire.name(),
            kind.name(),
            idle.rss_bytes_each,
            idle.pss_bytes_each,
            idle.connections,
            idle.rss_bytes_after >> 20,
        );
    }
    if !extras.handshakes.is_empty() {
        text.push_str("\nfull TLS 1.3 handshakes with connect, one request and close\n");
    }
    for (kind, runs) in &extras.handshakes {
        let cpu = Spread::of(runs.iter().map(|run| run.server_cpu_us));
        let rate = Spread::of(runs.iter().map(|run| run.handshakes_per_s));
        if let (Some(cpu), Some(rate)) = (cpu, rate) {
            let _ = writeln!(text, "{:<6} {cpu:<26} us CPU {:>7.0}/s", kind.name(), rate.median);
        }
    }
    text
}

/// The budgets that can be read from the table, met or missed.
fn budgets(samples: &[Sample]) -> String {
    let mut text = String::new();
    let mut settings = samples.iter().map(|sample| sample.connections).collect::<Vec<_>>();
    settings.sort_unstable();
    settings.dedup();
    for connections in settings.into_iter().filter(|connections| *connections >= 32) {
        let plain = (Wire::Plain, connections);
        let tls = (Wire::Tls, connections);
        let checks = [
            ("plain CPU / echo", 1.4, ratio(samples, (Kind::Echo, Wire::Plain), plain, cpu)),
            ("plain CPU / nginx", 1.0, ratio(samples, (Kind::Nginx, Wire::Plain), plain, cpu)),
            ("TLS CPU / own plain", 1.2, ratio(samples, (Kind::Ours, Wire::Plain), tls, cpu)),
            ("TLS CPU / nginx", 1.0, ratio(samples, (Kind::Nginx, Wire::Tls), tls, cpu)),
            // Four times the requests per core are a quarter of the processor time per request.
            ("plain CPU / rmcp", 0.25, ratio(samples, (Kind::Rmcp, Wire::Plain), plain, cpu)),
            ("TLS CPU / rmcp", 0.25, ratio(samples, (Kind::Rmcp, Wire::Tls), tls, cpu)),
        ];
        for (name, budget, found) in checks {
            if let Some(found) = found {
                let verdict = if found.median <= budget { "met" } else { "MISSED" };
                let _ = writeln!(
                    text,
                    "{connections:>5} {name:<24} {:.2} <= {budget:.2}  {verdict}",
                    found.median
                );
            }
        }
    }
    if text.is_empty() { text } else { format!("\nbudgets (median of ratios)\n{text}") }
}
