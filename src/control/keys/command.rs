//! `mcpring key`: adds, lists, revokes and replaces API keys. A server that runs follows its key file.
//! Never: a key in clear but once, on stdout, when it is made.
//! Next: `edit`, the file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::edit::{KeyFile, Listed, is_of};
use super::file::is_id;
use super::mint::{NewKey, new_key};
use crate::control::config::checked::{ApiKeys, Config};
use crate::control::config::{self, Source};
use crate::control::problem::{Problem, exit_code};
use crate::control::secret::{PEPPER, load_secret};
use crate::control::{cli, moment};
use crate::pipeline::authenticate::keys::KeyTable;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it, once
    Add(Add),
    /// List keys: ids, roles, expiry
    List(Place),
    /// Take a key away
    Revoke(Revoke),
    /// Make a new key beside the old one, which ends after the overlap
    Rotate(Rotate),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct Place {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `mcpring key add`.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    place: Place,
    /// What the key is called in logs
    #[arg(long, alias = "name")]
    id: String,
    /// Names of roles
    #[arg(long, value_delimiter = ',', required = true)]
    roles: Vec<String>,
    /// For how long it is good, such as 90d [default: for ever]
    #[arg(long, value_parser = config::duration)]
    expires: Option<Duration>,
}

/// `mcpring key revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    place: Place,
    /// The key's id
    #[arg(long, alias = "name")]
    id: String,
    /// Of several keys with that id the one that begins so, such as mrk_9f2c7a [default: all]
    #[arg(long)]
    prefix: Option<String>,
}

/// `mcpring key rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    place: Place,
    /// The key's id
    #[arg(long, alias = "name")]
    id: String,
    /// For how long the old key stays good
    #[arg(long, default_value = "24h", value_parser = config::duration)]
    overlap: Duration,
    /// For how long the new key is good; needed when the old one has an end
    #[arg(long, value_parser = config::duration)]
    expires: Option<Duration>,
}

/// Does it, and prints what comes of it.
pub fn run(command: KeyCommand) -> ExitCode {
    let place = match &command {
        KeyCommand::Add(add) => &add.place,
        KeyCommand::List(place) => place,
        KeyCommand::Revoke(revoke) => &revoke.place,
        KeyCommand::Rotate(rotate) => &rotate.place,
    };
    // Files may be absent still: this command makes one of them.
    let loaded =
        Source::find(place.config.clone()).and_then(|source| config::load_without_environment(&source, &[]));
    let config = match loaded {
        Ok(loaded) => loaded.config,
        Err(problems) => return cli::refuse(&problems),
    };
    match carry_out(&command, &config, moment::unix_now_s()) {
        Ok(Said { data, talk }) => {
            cli::talk(&talk);
            cli::print(&data)
        }
        Err(problems) => {
            problems.iter().for_each(|problem| cli::talk(&format!("{problem}\n")));
            ExitCode::from(exit_code(&problems))
        }
    }
}

/// What is printed where.
#[derive(Default)]
struct Said {
    /// stdout.
    data: Zeroizing<String>,
    /// stderr.
    talk: String,
}

fn carry_out(command: &KeyCommand, config: &Config, now_s: i64) -> Result<Said, Vec<Problem>> {
    let Some(settings) = &config.api_key else {
        let problem = Problem::error("E0355", "the configuration has no [auth.api_key]");
        return Err(vec![problem.help("add [auth.api_key] with pepper and keys_file")]);
    };
    let mut file = KeyFile::open(&settings.keys_file, &config.roles)?;
    match command {
        KeyCommand::List(_) => {
            Ok(Said { data: Zeroizing::new(table(&file.list(), now_s)), talk: String::new() })
        }
        KeyCommand::Add(add) => {
            if !is_id(&add.id) || add.id == "anonymous" {
                return Err(refused(
                    "an id has 1 to 64 letters, digits, `-`, `_` or `.`, and is not \"anonymous\"",
                ));
            }
            if file.list().iter().any(|key| key.id == add.id) {
                let problem = Problem::error("E0355", format!("there is a key \"{}\"", add.id));
                return Err(vec![problem.help(format!("mcpring key rotate --id {}", add.id))]);
            }
            let known: Vec<_> = config.roles.iter().map(|role| role.name.as_str()).collect();
            if let Some(unknown) = add.roles.iter().find(|role| !known.contains(&role.as_str())) {
                let what = format!("role \"{}\" is not defined", unknown.escape_debug());
                let problem = Problem::error("E0355", what);
                return Err(vec![problem.help(format!("defined roles: {}", known.join(", ")))]);
            }
            let expires_at_s = add.expires.map(|span| after(now_s, span));
            issue(&mut file, settings, &add.id, add.roles.clone(), expires_at_s)
        }
        KeyCommand::Revoke(revoke) => {
            let is_meant = |key: &toml_edit::Table| {
                let prefix = key.get("prefix").and_then(toml_edit::Item::as_str);
                is_of(key, &revoke.id) && revoke.prefix.as_deref().is_none_or(|meant| prefix == Some(meant))
            };
            match file.remove(is_meant) {
                0 => Err(no_such_key(&revoke.id, &file.list())),
                count => {
                    file.save()?;
                    let talk = format!(
                        "revoked {count} key{} of \"{}\"\n",
                        if count == 1 { "" } else { "s" },
                        revoke.id
                    );
                    Ok(Said { talk, ..Said::default() })
                }
            }
        }
        KeyCommand::Rotate(rotate) => {
            let old: Vec<_> = file.list().into_iter().filter(|key| key.id == rotate.id).collect();
            let Some(newest) = old.last() else { return Err(no_such_key(&rotate.id, &file.list())) };
            if rotate.expires.is_none()
                && old.iter().any(|key| key.expires_at_s.is_some())
                && newest.expires_at_s.is_some()
            {
                let problem = Problem::error(
                    "E0355",
                    format!("key \"{}\" has an end, so its successor needs one", rotate.id),
                );
                return Err(vec![
                    problem.help(format!("mcpring key rotate --id {} --expires 90d", rotate.id)),
                ]);
            }
            file.end(&rotate.id, after(now_s, rotate.overlap));
            let expires_at_s = rotate.expires.map(|span| after(now_s, span));
            let mut said = issue(&mut file, settings, &rotate.id, newest.roles.clone(), expires_at_s)?;
            said.talk +=
                &format!("the old key is good until {}\n", moment::minute(after(now_s, rotate.overlap)));
            Ok(said)
        }
    }
}

/// Makes a key, writes down what can be kept of it, and says it.
fn issue(
    file: &mut KeyFile<'_>,
    settings: &ApiKeys,
    id: &str,
    roles: Vec<String>,
    expires_at_s: Option<i64>,
) -> Result<Said, Vec<Problem>> {
    let pepper = load_secret(&settings.pepper, &PEPPER).map_err(|problem| vec![problem])?;
    let NewKey { token, label } = new_key(&settings.prefix).map_err(|problem| vec![problem])?;
    let mac = KeyTable::mac(&pepper, token.as_bytes());
    file.add(&Listed { id: id.to_owned(), roles, prefix: label, expires_at_s }, mac);
    file.save()?;
    let until = expires_at_s.map_or("for ever".to_owned(), |at_s| format!("until {}", moment::minute(at_s)));
    let talk = format!("key \"{id}\" is good {until}; it is shown only now:\n");
    Ok(Said { data: Zeroizing::new(format!("{}\n", token.as_str())), talk })
}

fn after(now_s: i64, span: Duration) -> i64 {
    now_s.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX))
}

fn refused(what: &str) -> Vec<Problem> {
    vec![Problem::error("E0355", what)]
}

fn no_such_key(id: &str, there_are: &[Listed]) -> Vec<Problem> {
    let problem = Problem::error("E0355", format!("there is no such key \"{}\"", id.escape_debug()));
    let mut ids: Vec<_> = there_are.iter().map(|key| key.id.as_str()).collect();
    ids.dedup();
    let help =
        if ids.is_empty() { "there are no keys".to_owned() } else { format!("keys: {}", ids.join(", ")) };
    vec![problem.help(help)]
}

/// One line a key.
fn table(keys: &[Listed], now_s: i64) -> String {
    let mut text = format!("{:<24} {:<16} {:<24} ROLES\n", "ID", "PREFIX", "EXPIRES");
    for Listed { id, roles, prefix, expires_at_s } in keys {
        let expires = match expires_at_s {
            None => "never".to_owned(),
            Some(at_s) if *at_s <= now_s => "expired".to_owned(),
            Some(at_s) => moment::minute(*at_s),
        };
        let prefix = if prefix.is_empty() { "-" } else { prefix };
        text += &format!("{id:<24} {prefix:<16} {expires:<24} {}\n", roles.join(","));
    }
    text
}
