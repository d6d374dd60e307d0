//! What the command line asks for.
//! Next: `process` and `dev`, the readers.

use std::path::PathBuf;

use super::config::Source;
use super::config::checked::Driver;

/// `mcpring run`.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where the configuration is.
    pub source: Source,
    /// `--set key=value`.
    pub overrides: Vec<String>,
    /// Check and bind, then exit.
    pub check: bool,
}

/// `mcpring dev`.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// 0 for any free port.
    pub port: u16,
    /// Folder of the local CA instead of the user's data folder.
    pub data_dir: Option<PathBuf>,
    /// Which driver.
    pub driver: Driver,
    /// How many shards; none for one a CPU.
    pub shards: Option<usize>,
    /// Banner or one line of JSON.
    pub format: Format,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text.
    Text,
    /// JSON.
    Json,
}
