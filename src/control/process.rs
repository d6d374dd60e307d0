//! The life of the process. Next: `config`.
/// Serves what the options say.
pub fn run(_options: super::options::RunOptions) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
