//! What the command line asks `run` and `dev` to do.
//! Next: `process`, `dev`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::app::Product;
use super::config::Source;
use super::config::checked::Driver;

/// `mcpring run` and `mcpring stdio`.
#[derive(Clone)]
pub struct RunOptions {
    /// Where the configuration is; read again on a reload.
    pub source: Source,
    /// `key=value`, laid over the configuration, also on a reload.
    pub overrides: Vec<String>,
    /// How far to go.
    pub check: Check,
    /// Whom it serves.
    pub audience: Audience,
    /// What is served.
    pub product: Product,
}

/// How far `run` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Serve until a signal.
    Serve,
    /// Load, bind, exit.
    Only,
}

/// Whom a configuration is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever connects.
    Callers,
    /// The client on the standard streams.
    Client,
}

/// `mcpring dev`.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// TCP port on loopback; 0 is one of the kernel's choice.
    pub port: u16,
    /// Where the local CA is kept.
    pub data_dir: PathBuf,
    /// Which driver.
    pub driver: Driver,
    /// How many shards.
    pub shards: Shards,
    /// How the banner is written.
    pub format: Format,
}

/// `--shards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shards {
    /// One for each CPU.
    Auto,
    /// So many.
    Count(NonZeroUsize),
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}
