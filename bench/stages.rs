//! Wall time of every stage of the line and of whole requests, by criterion. It is read, not gated.
//! Next: `line.rs`, what is timed; `instructions.rs`, which counts the same.

#[path = "line.rs"]
pub mod line;

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

/// Runs between two readings of the clock, so that reading it costs none of them much.
const RUNS: u64 = 64;

/// In the order of the line.
const STAGES: [(&str, line::Build); 19] = [
    ("framing", line::framing),
    ("websocket_message", line::websocket_message),
    ("lines_message", line::lines_message),
    ("authenticate_remembered", line::authenticate_remembered),
    ("authenticate_unknown", line::authenticate_unknown),
    ("admit", line::admit),
    ("envelope", line::envelope),
    ("authorize", line::authorization),
    ("validate_five", line::validate_five),
    ("dispatch", line::dispatching),
    ("respond", line::respond),
    ("stream_event", line::stream_event),
    ("request_plain", line::request_plain),
    ("request_refused", line::request_refused),
    ("request_tls", line::request_tls),
    ("lines_plain", line::lines_plain),
    ("lines_tls", line::lines_tls),
    ("websocket_plain", line::websocket_plain),
    ("websocket_tls", line::websocket_tls),
];

fn stages(criterion: &mut Criterion) {
    for (name, build) in STAGES {
        let mut stage = build();
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|runs| time(stage.as_mut(), runs));
        });
    }
}

fn time(stage: &mut dyn line::Stage, mut runs: u64) -> Duration {
    let mut total = Duration::ZERO;
    while runs > 0 {
        let now = runs.min(RUNS);
        stage.supply(usize::try_from(now).unwrap_or(0));
        let start = Instant::now();
        for _ in 0..now {
            stage.run();
        }
        total += start.elapsed();
        runs -= now;
    }
    total
}

criterion_group!(benches, stages);
criterion_main!(benches);
