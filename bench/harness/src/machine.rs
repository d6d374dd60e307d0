//! Where and on what a number was measured, and the file that keeps the raw lines.
//! Never: a path or a host name; a raw line is published.
//! Next: `bench/results.ndjson`, the lines.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;

/// Facts that go into every raw line.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// UTC, to the second.
    pub date: String,
    /// Short commit; `-dirty` when the tree differs from it.
    pub commit: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor model and count.
    pub cpu: String,
    /// The command that was run.
    pub command: String,
}

impl Machine {
    /// Reads the facts; what cannot be found out is `unknown`.
    #[must_use]
    pub fn read() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let model = model.map_or("unknown", |(_, name)| name.trim());
        let mut arguments = std::env::args();
        let program = arguments.next().unwrap_or_default();
        let program = Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned());
        let words = program.into_iter().chain(arguments.map(|word| shorten(&word)));
        Self {
            date: output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            commit: output("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            kernel: output("uname", &["-r"]),
            cpu: format!("{model} x{count}"),
            command: words.collect::<Vec<_>>().join(" "),
        }
    }
}

/// Keeps only the last part of a path: where a checkout lies is nobody's business.
fn shorten(word: &str) -> String {
    let name = Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned());
    if word.starts_with('/') { name.unwrap_or_default() } else { word.to_owned() }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let found = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    let text = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// One raw line: the facts, what was measured, and its numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Line<'a, T> {
    /// Where and when.
    #[serde(flatten)]
    pub machine: &'a Machine,
    /// `requests`, `memory`, `first-answer`, `handshakes` or `runtime`.
    pub measure: &'a str,
    /// Scenario name.
    pub scenario: &'a str,
    /// Which server.
    pub peer: &'a str,
    /// Which round, from 1.
    pub round: usize,
    /// The numbers.
    #[serde(flatten)]
    pub numbers: &'a T,
}

impl<T: Serialize> Line<'_, T> {
    /// Appends the line to `path`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, path: &Path) -> Result<()> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        let mut file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.as_mut().map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        file.write_all(line.as_bytes()).with_context(|| path.display().to_string())
    }
}
