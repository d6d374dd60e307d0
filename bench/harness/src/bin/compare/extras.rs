//! What is measured beside requests: memory of idle connections, start to first answer, full handshakes.
//! Each on a server started afresh, since all of them ask what a server costs from the beginning.
//! Next: `table`, which prints the findings.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mcpring_bench::carriage::Carriage;
use mcpring_bench::handshakes::{self, Handshakes};
use mcpring_bench::idle::{self, Idle};
use mcpring_bench::machine::{Line, Machine};
use mcpring_bench::peer::{Kind, Stage, Wire};
use serde::Serialize;

use crate::Arguments;

/// Client threads that shake hands.
const THREADS: usize = 8;

/// The findings.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) idle: Vec<(Kind, Wire, Idle)>,
    pub(crate) first: Vec<(Kind, Wire, Vec<f64>)>,
    pub(crate) handshakes: Vec<(Kind, Vec<Handshakes>)>,
}

/// Time from before exec to the first complete answer.
#[derive(Serialize)]
struct First {
    tls: bool,
    first_answer_ms: f64,
}

pub(crate) fn measure(
    arguments: &Arguments,
    stage: &Stage,
    machine: &Machine,
    results: Option<&Path>,
) -> Result<Extras> {
    let mut extras = Extras::default();
    let servers =
        arguments.peers.iter().copied().filter(|kind| !kind.only_answers() && !kind.only_shakes_hands());
    let servers = servers.collect::<Vec<_>>();
    let scenario = stage.scenario.name.as_str();
    for &wire in &arguments.wires {
        for &kind in servers.iter().filter(|kind| kind.speaks(wire)) {
            let peer = kind.name();
            let mut starts = Vec::new();
            // Starting takes the same time whatever is asked first.
            let starts_max = if wire.carriage() == Carriage::Http { arguments.starts } else { 0 };
            for round in 1..=starts_max {
                let ms =
                    first_answer(stage, kind, wire).with_context(|| format!("first answer of {peer}"))?;
                let numbers = First { tls: wire.is_secure(), first_answer_ms: ms };
                if let Some(path) = results {
                    let measure = "first-answer";
                    Line { machine, measure, scenario, peer, round, numbers: &numbers }.append(path)?;
                }
                starts.push(ms);
            }
            if !starts.is_empty() {
                extras.first.push((kind, wire, starts));
            }
            if arguments.idle > 0 {
                let numbers = idle_memory(arguments, stage, kind, wire)
                    .with_context(|| format!("idle connections of {peer}"))?;
                if let Some(path) = results {
                    let measure = "memory";
                    Line { machine, measure, scenario, peer, round: 1, numbers: &numbers }.append(path)?;
                }
                extras.idle.push((kind, wire, numbers));
            }
        }
    }
    if arguments.handshake_seconds > 0.0 && arguments.wires.contains(&Wire::Tls) {
        extras.handshakes = shake_hands(arguments, stage, machine, results)?;
    }
    Ok(extras)
}

fn first_answer(stage: &Stage, kind: Kind, wire: Wire) -> Result<f64> {
    let mut running = stage.start(kind)?;
    let request = running.request(wire)?;
    let (_, answered) = running.first_answer(wire, &request)?;
    let ms = (answered - running.started_at).as_secs_f64() * 1e3;
    Ok((ms * 100.0).round() / 100.0)
}

fn idle_memory(arguments: &Arguments, stage: &Stage, kind: Kind, wire: Wire) -> Result<Idle> {
    let mut running = stage.start(kind)?;
    let target = running.target(wire)?;
    let request = running.request(wire)?;
    running.first_answer(wire, &request)?;
    idle::measure(&target, &request, &stage.scenario.expect, arguments.idle, running.pid())
}

fn shake_hands(
    arguments: &Arguments,
    stage: &Stage,
    machine: &Machine,
    results: Option<&Path>,
) -> Result<Vec<(Kind, Vec<Handshakes>)>> {
    let mut kinds = arguments
        .peers
        .iter()
        .copied()
        .filter(|kind| kind.speaks(Wire::Tls) && !kind.only_answers())
        .collect::<Vec<_>>();
    for kind in [Kind::Rustls, Kind::Mutual, Kind::RustlsMutual] {
        let is_possible = kind != Kind::Mutual || arguments.server.is_some();
        if is_possible && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut found = kinds.iter().map(|&kind| (kind, Vec::new())).collect::<Vec<_>>();
    for round in 1..=arguments.rounds {
        for (kind, runs) in &mut found {
            let mut running = stage.start(*kind)?;
            let target = running.target(Wire::Tls)?;
            let request = running.request(Wire::Tls)?;
            running.first_answer(Wire::Tls, &request)?;
            let window = Duration::from_secs_f64(arguments.handshake_seconds);
            let expected = &stage.scenario.expect;
            let numbers = handshakes::measure(&target, &request, expected, THREADS, window, running.pid())?;
            if let Some(path) = results {
                let (scenario, peer) = (stage.scenario.name.as_str(), kind.name());
                let measure = "handshakes";
                Line { machine, measure, scenario, peer, round, numbers: &numbers }.append(path)?;
            }
            runs.push(numbers);
        }
    }
    Ok(found)
}
