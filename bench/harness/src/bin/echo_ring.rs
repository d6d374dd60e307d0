//! `echo_ring`: counts a request's bytes and answers with a fixed HTTP answer; the floor of every ratio.
//! Next: `mcpring_bench::echo`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use mcpring_bench::echo::{self, Echo, ready, ring};

#[derive(Clone, Copy, ValueEnum)]
enum Driver {
    /// io_uring, multishot receive.
    Multi,
    /// io_uring, one receive a request.
    Single,
    /// epoll.
    Epoll,
}

/// A bare echo server; runs where it is started, so pin the process.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    address: SocketAddr,
    /// Bytes of one request.
    #[arg(long)]
    request_bytes: usize,
    /// File with the whole answer, head and body.
    #[arg(long)]
    answer: PathBuf,
    /// How the kernel is asked.
    #[arg(long, value_enum, default_value = "multi")]
    driver: Driver,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let echo = Echo { request_bytes: arguments.request_bytes, answer: std::fs::read(&arguments.answer)? };
    let listener = echo::listen(arguments.address)?;
    match arguments.driver {
        Driver::Multi => ring::serve(&listener, echo, ring::Receive::Multi),
        Driver::Single => ring::serve(&listener, echo, ring::Receive::Single),
        Driver::Epoll => ready::serve(&listener, &echo),
    }
}
