//! Start-up only.
//! Next: `control/cli.rs`, which reads the command line.

use std::process::ExitCode;

use mcpring::App;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    App::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")).main()
}
