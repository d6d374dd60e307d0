//! The configuration file: text to raw to checked, all problems in one run.
//! `source` finds the text, `tree` reads it, `shape` holds it against the settings of `raw`, `check` asks what they
//! mean together, `environment` whether the machine has what they name.
//! Next: `raw` for the settings, `checked` for what the program works with.

pub mod checked;
pub mod profile;
pub mod guests;
mod source;
mod tree;
mod raw;
mod defaults;
mod quantity;
mod schema;
mod settings;
mod reference;
mod shape;
mod wrong_type;
mod recognised;
mod nearest;
mod check;
mod form;
mod environment;
mod report;
mod problem;
mod render;
#[cfg(test)]
mod tests;

pub use problem::{Code, Colour, Finding, Problem, Problems, Severity};
pub use reference::markdown;
pub use source::Source;

use std::time::Duration;

use checked::Config;
use report::Report;
use tree::Table;

use crate::pipeline::snapshot::Limits;
use crate::tools::Registry;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// All of it.
    pub config: Config,
    /// What somebody should look at all the same.
    pub warnings: Problems,
}

/// Loads, checks, and looks whether files, secrets and CPUs are there. `overrides` are `key=value`, laid over the
/// text. Fails with every problem that was found, warnings included.
pub fn load(source: &Source, overrides: &[String]) -> Result<Loaded, Problems> {
    load_stages(source, overrides, environment::check)
}

/// Loads and checks without a look at the machine, for files that are meant for another one.
pub fn load_without_environment(source: &Source, overrides: &[String]) -> Result<Loaded, Problems> {
    load_stages(source, overrides, |_, _| {})
}

/// Loads what `mcpring stdio` needs: certificates, keys and the pepper stay where they are.
pub fn load_for_streams(source: &Source, overrides: &[String]) -> Result<Loaded, Problems> {
    load_stages(source, overrides, environment::check_cpus)
}

/// What of the built-in tools alone was amiss is judged by what the program offers of its own.
pub fn follow_product(loaded: &mut Loaded, offered: &Registry) {
    loaded.warnings.excuse_empty_native();
    for (code, finding) in check::unmatched(&loaded.config.roles, offered) {
        if code == Code::NothingMatched {
            loaded.warnings.add(finding);
        }
    }
}

/// A span as settings write it.
///
/// # Errors
/// What would be one.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span = quantity::Time::decode(text).map(|time| time.0).filter(|span| span.as_secs() > 0);
    span.ok_or_else(|| "write a duration such as 90d, 24h or 30m".to_owned())
}

/// The JSON Schema of the file, draft 2020-12.
pub fn schema() -> serde_json::Value {
    schema::public()
}

/// Whether something that has to be true may be asked for there.
pub fn is_fetched_url(text: &str) -> bool {
    form::fetched_url(text).is_ok()
}

/// The limits of a file that says nothing of them.
pub fn default_limits() -> Limits {
    let failures = check::failures_of(&raw::Auth::default());
    check::limits_of(&raw::Limits::default(), &raw::Mcp::default(), failures)
}

/// All stages; `environment` is the last.
fn load_stages(
    source: &Source,
    overrides: &[String],
    environment: fn(&Config, &mut Report),
) -> Result<Loaded, Problems> {
    let text = source.read()?;
    let named = |name: String, text: &str| problem::Source { name, text: text.to_owned() };
    let set = overrides.iter().map(|text| named("--set".to_owned(), text));
    let mut report = Report::new(std::iter::once(named(source.name(), &text)).chain(set).collect());
    let Some(table) = read_all(&text, overrides, &mut report) else { return Err(report.into_problems()) };
    let usable = shape::check(&table, &settings::settings(), &mut report);
    match serde_json::from_value::<raw::File>(usable) {
        Ok(raw) => {
            let config = check::check(raw, source.file().map(ToOwned::to_owned), &mut report);
            environment(&config, &mut report);
            let problems = report.into_problems();
            match problems.count(Severity::Error) {
                0 => Ok(Loaded { config, warnings: problems }),
                _ => Err(problems),
            }
        }
        Err(error) => {
            // The shape check lets through only what the types can read; reaching this is a bug of ours.
            report.problem_at(Code::Malformed, None, format!("the settings can not be read: {error}"));
            Err(report.into_problems())
        }
    }
}

/// The file with the overrides laid over it; nothing when one of the texts is not TOML.
fn read_all(text: &str, overrides: &[String], report: &mut Report) -> Option<Table> {
    let mut usable = true;
    let mut table = Table::decode(text, 0).unwrap_or_else(|errors| {
        usable = false;
        for (place, message) in errors {
            let problem = report.problem_at(Code::Syntax, Some(place), message);
            problem.help("strings need quotes, tables stand in [brackets], a key may stand once in a table");
        }
        Table::default()
    });
    for (index, text) in overrides.iter().enumerate() {
        let source = index + 1;
        match Table::decode_override(text, source) {
            Ok(over) => table.overlay(over),
            Err(reason) => {
                usable = false;
                let place = tree::Place { source, start: 0, end: text.len() };
                let problem = report.problem_at(Code::BadOverride, Some(place), "can not read this --set");
                problem.label(reason).help("write --set limits.max_connections=500");
            }
        }
    }
    usable.then_some(table)
}
