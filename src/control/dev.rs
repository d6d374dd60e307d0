//! Development mode. Next: `process`.
/// Serves the demo tools on loopback.
pub fn run(_options: super::options::DevOptions) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
