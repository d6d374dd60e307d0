//! `mcpring token`: tokens for development, a look into one, and what takes one back.
//! Never: a token or a key in an argument; both come from files or standard input.
//! Next: `mint`, `inspect`, `revoke`.

mod inspect;
mod mint;
mod revoke;

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::super::files::{load_private, reason};
use super::super::problem::Problem;
use super::super::process::refuse;

/// Longest token that is read. Bytes.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

/// `mcpring token`.
#[derive(Debug, Args)]
pub struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Sign a token with a key of your own, for development, and print it
    Mint(mint::Mint),
    /// Read a token from stdin or a file, without trusting it, and say which check would refuse it
    Inspect(inspect::Inspect),
    /// Take back a token, a subject or a key of an issuer
    Revoke(revoke::Revoke),
}

/// Does it.
pub fn run(token: Token) -> ExitCode {
    let done = match token.action {
        Action::Mint(mint) => mint::run(&mint),
        Action::Inspect(inspect) => inspect::run(&inspect),
        Action::Revoke(revoke) => revoke::run(&revoke),
    };
    match done {
        Ok(text) => {
            // Nobody listening is no reason to fail.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problems) => refuse(&problems),
    }
}

/// A token from a file that only its owner may read, or from standard input.
fn read_token(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut token = match file {
        Some(path) if path != Path::new("-") => load_private(path)?,
        Some(_) | None => {
            let mut token = Zeroizing::new(Vec::new());
            io::stdin().lock().take(INPUT_BYTES_MAX).read_to_end(&mut token).map_err(|error| {
                Problem::error("E0356", format!("cannot read the token: {}", reason(&error)))
            })?;
            token
        }
    };
    while token.last().is_some_and(u8::is_ascii_whitespace) {
        token.pop();
    }
    Ok(token)
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct Configured {
    /// The configuration file; without one it is looked for as by `run`
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}
