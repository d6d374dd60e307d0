//! `mcpring token inspect`: what a token says, and what a server with this configuration would say to it.
//! Never: trust; what is printed was written by whoever made the token, and can not move the terminal.
//! Next: `revoke`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::super::super::config::{self, Source};
use super::super::super::moment;
use super::super::super::problem::Problem;
use super::super::KeySets;
use super::{Configured, read_token};
use crate::pipeline::authenticate::tokens::reading::peek;
use crate::pipeline::authenticate::tokens::{Flaw, Issuers};

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A file with the token, which only its owner may read; `-` or nothing is stdin
    file: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
}

pub(super) fn run(inspect: &Inspect) -> Result<String, Vec<Problem>> {
    let token = read_token(inspect.file.as_deref()).map_err(|problem| vec![problem])?;
    let mut text = String::new();
    for (name, part) in ["header", "claims"].into_iter().zip(peek(&token)) {
        let part = part.map_or_else(|| "(not a JSON object)".to_owned(), |part| plain(&part));
        let _ = writeln!(text, "{name:<9}{part}");
    }
    let now_s = moment::unix_now_s();
    match issuers(inspect, &mut text)? {
        None => text.push_str("nothing was checked: there is no configuration\n"),
        Some(issuers) => match issuers.verify(&token, None, u64::try_from(now_s).unwrap_or(0)) {
            Ok(bearer) => {
                let until = i64::try_from(bearer.expires_at_s).unwrap_or(i64::MAX);
                let _ = writeln!(
                    text,
                    "accepted  as {} until {}",
                    plain(&Value::from(&*bearer.id)),
                    moment::minute(until)
                );
            }
            Err(Flaw::Binding) => {
                text.push_str("accepted  only on a connection with the certificate it is bound to\n")
            }
            Err(flaw) => {
                let _ = writeln!(text, "refused   {}", flaw.reason());
            }
        },
    }
    Ok(text)
}

/// Those of the configuration, with the keys as they are published now; none without a configuration.
fn issuers(inspect: &Inspect, text: &mut String) -> Result<Option<Issuers>, Vec<Problem>> {
    let source = match Source::find(inspect.configured.config.clone()) {
        Ok(source) => source,
        // Without one that was named, a look at the token alone is worth something.
        Err(_) if inspect.configured.config.is_none() => return Ok(None),
        Err(problems) => return Err(refused(&problems)),
    };
    let loaded = config::load_without_environment(&source, &[]).map_err(|problems| refused(&problems))?;
    let mut sets = KeySets::default();
    let issuers = sets.load(&loaded.config)?;
    for problem in sets.fetch() {
        let _ = writeln!(text, "{problem}");
    }
    Ok(Some(sets.renew(&issuers)))
}

fn refused(problems: &config::Problems) -> Vec<Problem> {
    vec![Problem::error("E0358", format!("the configuration is refused\n{problems}"))]
}

/// JSON in ASCII: no letter that looks like another, nothing that a terminal obeys.
fn plain(value: &Value) -> String {
    let mut text = String::new();
    for letter in value.to_string().chars() {
        if letter.is_ascii() && !letter.is_ascii_control() {
            text.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_nothing_that_a_terminal_obeys() {
        let said = plain(&Value::from("a\u{1b}[2J\u{9b}\u{202e}\u{430}\u{1f600}"));
        assert_eq!(said, "\"a\\u001b[2J\\u009b\\u202e\\u0430\\ud83d\\ude00\"");
    }
}
