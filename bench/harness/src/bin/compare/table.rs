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
    /// Connections, and requests in flight on each.
    pub(crate) load: (usize, usize),
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
        "\nwire      conns x flight peer    CPU us    requests/s    p50 us    p99 us  load busy  ours/its CPU (range)       ours/its requests/s (range)\n",
    );
    let mut seen: Vec<(Wire, (usize, usize), Kind)> = Vec::new();
    for sample in samples {
        let key = (sample.wire, sample.load, sample.kind);
        if !seen.contains(&key) {
            seen.push(key);
        }
    }
    for (wire, load, kind) in seen {
        let (connections, in_flight) = load;
        let of = |field: fn(&Report) -> f64| median(samples, kind, wire, load, field);
        let row = format!(
            "{:<9} {connections:>5} x {in_flight:<6} {:<6} {:>7.2} {:>13.0} {:>9.1} {:>9.1} {:>10.2}  {:<26} {}",
            wire.name(),
            kind.name(),
            of(cpu),
            of(rate),
            of(|report| report.latency.p50_us),
            of(|report| report.latency.p99_us),
            of(|report| report.client_busy),
            ratio_text(samples, kind, wire, load, cpu),
            ratio_text(samples, kind, wire, load, rate),
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
    load: (usize, usize),
    field: impl Fn(&Report) -> f64,
) -> f64 {
    let values = samples
        .iter()
        .filter(|sample| (sample.kind, sample.wire, sample.load) == (kind, wire, load))
        .map(|sample| field(&sample.report));
    Spread::of(values).map_or(f64::NAN, |spread| spread.median)
}

/// How one run was made: what was spoken, connections and requests in flight on each.
type Way = (Wire, (usize, usize));

/// Ours one way over another's in its way, round by round.
fn ratio(
    samples: &[Sample],
    ours: Way,
    other: (Kind, Way),
    field: impl Fn(&Report) -> f64,
) -> Option<Spread> {
    ratio_of(samples, (Kind::Ours, ours), other, field)
}

/// One over another, each in its way, round by round.
fn ratio_of(
    samples: &[Sample],
    (upper, over): (Kind, Way),
    (lower, under): (Kind, Way),
    field: impl Fn(&Report) -> f64,
) -> Option<Spread> {
    let find = |kind, (wire, load): Way, round| {
        samples
            .iter()
            .find(|sample| (sample.kind, sample.wire, sample.load, sample.round) == (kind, wire, load, round))
    };
    let rounds = samples.iter().map(|sample| sample.round).max()?;
    let values = (1..=rounds).filter_map(|round| {
        let (upper, lower) = (find(upper, over, round)?, find(lower, under, round)?);
        Some(field(&upper.report) / field(&lower.report))
    });
    Spread::of(values)
}

/// Against whom a row is held: another peer the same way, HTTP, or our own run without TLS.
fn ratio_text(
    samples: &[Sample],
    kind: Kind,
    wire: Wire,
    load: (usize, usize),
    field: impl Fn(&Report) -> f64,
) -> String {
    let http = if wire.is_secure() { Wire::Tls } else { Wire::Plain };
    let (other, note) = match (kind, wire) {
        (Kind::Ours, Wire::Plain) => return String::new(),
        (Kind::Ours, Wire::Tls) => ((Wire::Plain, load), " (own plain)"),
        (Kind::Ours, _) => ((http, (load.0, 1)), " (own HTTP)"),
        (Kind::Echo | Kind::Nginx | Kind::Rmcp | Kind::Token | Kind::Open, _)
        | (Kind::Rustls | Kind::RustlsMutual | Kind::Mutual, _) => ((wire, load), ""),
    };
    ratio(samples, (wire, load), (kind, other), field)
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
            "{:<10} {:<6} {:>7} RSS {:>7} PSS at {} connections ({} MiB in all)",
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
    let mut settings = samples.iter().map(|sample| sample.load.0).collect::<Vec<_>>();
    settings.sort_unstable();
    settings.dedup();
    for connections in settings.into_iter().filter(|connections| *connections >= 32) {
        let one = |wire: Wire| (wire, (connections, 1));
        let many = |wire: Wire| (wire, (connections, 16));
        let (plain, tls) = (one(Wire::Plain), one(Wire::Tls));
        let ours = |over: Way, under: Way| ratio(samples, over, (Kind::Ours, under), cpu);
        let checks = [
            ("plain CPU / echo", 1.4, ratio(samples, plain, (Kind::Echo, plain), cpu)),
            ("plain CPU / nginx", 1.0, ratio(samples, plain, (Kind::Nginx, plain), cpu)),
            ("TLS CPU / own plain", 1.2, ours(tls, plain)),
            ("TLS CPU / nginx", 1.0, ratio(samples, tls, (Kind::Nginx, tls), cpu)),
            // Four times the requests per core are a quarter of the processor time per request.
            ("plain CPU / rmcp", 0.25, ratio(samples, plain, (Kind::Rmcp, plain), cpu)),
            ("TLS CPU / rmcp", 0.25, ratio(samples, tls, (Kind::Rmcp, tls), cpu)),
            ("TLS CPU, token / open", 1.2, ratio_of(samples, (Kind::Token, tls), (Kind::Open, tls), cpu)),
            ("lines CPU / HTTP", 1.0, ours(one(Wire::Lines), plain)),
            ("lines TLS CPU / HTTP", 1.0, ours(one(Wire::LinesTls), tls)),
            ("WebSocket CPU / HTTP", 1.0, ours(one(Wire::Websocket), plain)),
            ("WebSocket TLS CPU / HTTP", 1.0, ours(one(Wire::WebsocketTls), tls)),
            // Twice the requests per core.
            ("16 lines CPU / 1", 0.5, ours(many(Wire::Lines), one(Wire::Lines))),
            ("16 lines TLS CPU / 1", 0.5, ours(many(Wire::LinesTls), one(Wire::LinesTls))),
        ];
        for (name, budget, found) in checks {
            if let Some(found) = found {
                let verdict = if found.median <= budget { "met" } else { "MISSED" };
                let _ = writeln!(
                    text,
                    "{connections:>5} {name:<25} {:.2} <= {budget:.2}  {verdict}",
                    found.median
                );
            }
        }
    }
    if text.is_empty() { text } else { format!("\nbudgets (median of ratios)\n{text}") }
}
