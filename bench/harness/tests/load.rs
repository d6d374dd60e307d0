//! The load client against the bare echo, in one process: right answers are counted, wrong ones end the run.
//! Never: a server of another process; those are started by `compare` alone.
//! Next: `src/load/mod.rs`.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use mcpring_bench::carriage::Carriage;
use mcpring_bench::echo::{self, Echo, ready, ring};
use mcpring_bench::load::connection::{Checker, Want};
use mcpring_bench::load::report::Report;
use mcpring_bench::load::{self, Plan};
use mcpring_bench::scenario::Scenario;
use mcpring_bench::target::Target;

fn harness(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Serves an echo from a thread that ends with the process.
fn serve(echo: Echo, server: fn(TcpListener, Echo)) -> SocketAddr {
    let listener = echo::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    thread::spawn(move || server(listener, echo));
    address
}

fn run(answer: Vec<u8>, want: Option<Want>, server: fn(TcpListener, Echo)) -> anyhow::Result<Report> {
    let scenario =
        Scenario::load(&harness("scenarios/echo.json")).expect("the scenario is part of the package");
    let request = scenario.encode("localhost:12345", "key").expect("the scenario encodes");
    let address = serve(Echo { request_bytes: request.len(), answer }, server);
    let plan = Plan {
        target: Target::http(address, None),
        request,
        connections: 16,
        in_flight: 1,
        warmup: Duration::ZERO,
        window: Duration::from_millis(100),
        pid: None,
    };
    load::run(&plan, Checker::new(want.unwrap_or(Want::Result(Carriage::Http, scenario.expect))))
}

fn sample() -> Vec<u8> {
    std::fs::read(harness("answer.http")).expect("the sample is part of the package")
}

fn over_epoll(listener: TcpListener, echo: Echo) {
    let ended = ready::serve(&listener, &echo);
    panic!("an echo server ended: {ended:?}");
}

fn over_multishot(listener: TcpListener, echo: Echo) {
    let ended = ring::serve(&listener, echo, ring::Receive::Multi);
    panic!("an echo server ended: {ended:?}");
}

fn over_single(listener: TcpListener, echo: Echo) {
    let ended = ring::serve(&listener, echo, ring::Receive::Single);
    panic!("an echo server ended: {ended:?}");
}

#[test]
fn counts_right_answers_of_every_echo() {
    for server in [over_epoll, over_multishot, over_single] {
        for want in [None, Some(Want::Bytes(sample()))] {
            let report = run(sample(), want, server).unwrap();
            assert!(report.requests > 16, "{report:?}");
            assert_eq!((report.errors, report.answer_bytes), (0, sample().len()), "{report:?}");
            assert!(
                report.latency.p50_us > 0.0 && report.latency.p50_us <= report.latency.max_us,
                "{report:?}"
            );
        }
    }
}

#[test]
fn gives_a_run_of_wrong_answers_up() {
    let text = String::from_utf8(sample()).unwrap();
    for wrong in [
        text.replace("hello", "other"),
        text.replace("200 OK", "503 No"),
        text.replace("\"id\":1", "\"id\":2"),
        format!("{text}x"),
    ] {
        let error = run(wrong.into_bytes(), None, over_epoll).unwrap_err();
        assert!(error.to_string().contains("errors, the first"), "{error}");
    }
    let error = run(sample(), Some(Want::Bytes(vec![b'x'; sample().len()])), over_epoll).unwrap_err();
    assert!(error.to_string().contains("echoed bytes differ"), "{error}");
}
