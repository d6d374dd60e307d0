//! Instructions of every stage of the line and of whole requests, by callgrind: the same on every run, so they are a
//! gate. A stage that takes a tenth more than the table says fails; whoever means it writes the new number down.
//! Next: `line.rs`, what is counted; `stages.rs`, which times the same.
#![expect(missing_docs, reason = "gungraun's macros make public items without any")]

#[path = "line.rs"]
pub mod line;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};

/// A limit a tenth above what was measured: parsers take other paths where the processor has other vector units.
fn limit(measured: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, measured + measured / 10)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

// The table: what was measured, in the order of the line. A call in a line or a frame, limit included, costs less than
// one over HTTP (`request_plain`, `request_tls`).
#[library_benchmark]
#[bench::framing(args = (line::framing()), config = limit(5_460))]
#[bench::lines_message(args = (line::lines_message()), config = limit(210))]
#[bench::websocket_message(args = (line::websocket_message()), config = limit(521))]
#[bench::authenticate_remembered(args = (line::authenticate_remembered()), config = limit(366))]
#[bench::authenticate_unknown(args = (line::authenticate_unknown()), config = limit(6_196))]
#[bench::admit(args = (line::admit()), config = limit(202))]
#[bench::envelope(args = (line::envelope()), config = limit(4_155))]
#[bench::authorize(args = (line::authorization()), config = limit(303))]
#[bench::validate_five(args = (line::validate_five()), config = limit(2_429))]
#[bench::dispatch(args = (line::dispatching()), config = limit(1_815))]
#[bench::respond(args = (line::respond()), config = limit(358))]
#[bench::stream_event(args = (line::stream_event()), config = limit(5_510))]
#[bench::request_plain(args = (line::request_plain()), config = limit(13_380))]
#[bench::request_refused(args = (line::request_refused()), config = limit(15_309))]
#[bench::request_tls(args = (line::request_tls()), config = limit(21_361))]
#[bench::lines_plain(args = (line::lines_plain()), config = limit(9_235))]
#[bench::lines_tls(args = (line::lines_tls()), config = limit(14_809))]
#[bench::websocket_plain(args = (line::websocket_plain()), config = limit(8_075))]
#[bench::websocket_tls(args = (line::websocket_tls()), config = limit(13_755))]
fn once(mut stage: line::Ready) -> line::Ready {
    stage.run();
    stage
}

library_benchmark_group!(name = stages, benchmarks = once);

main!(library_benchmark_groups = stages);
