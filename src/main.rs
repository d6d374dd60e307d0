//! Start-up only.
//! Next: `control/cli.rs`, which reads the command line.

use std::process::ExitCode;

use mcpring::tools::{Catalog, Registry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mcpring::control::cli::run(Catalog::new(Registry::default()))
}
