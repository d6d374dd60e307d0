//! `mcpring token revoke`: adds one entry to the list, all or nothing. A running server sees the file change.
//! Never: a list left half written, an entry lost to another writer.
//! Next: `revocations`, the reader.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::super::config::{self, Source};
use super::super::super::files::{load_public, reason};
use super::super::super::moment;
use super::super::super::problem::Problem;
use super::super::super::replace::Place;
use super::super::revocations::{decode, encode};
use super::Configured;
use crate::pipeline::authenticate::tokens::revoked::Revoked;

/// A list is no secret, and the first one may be made by somebody else than who runs the server.
const FIRST_MODE: u32 = 0o644;

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The token with this `jti`
    #[arg(long, conflicts_with_all = ["issuer", "subject", "key"])]
    jti: Option<String>,
    /// The issuer of the subject or the key
    #[arg(long)]
    issuer: Option<String>,
    /// Everything that was issued to it
    #[arg(long, requires = "issuer", conflicts_with = "key")]
    subject: Option<String>,
    /// Everything that was signed with the key of this `kid`
    #[arg(long, requires = "issuer")]
    key: Option<String>,
    /// Why, for people
    #[arg(long, default_value = "")]
    note: String,
    /// The list [default: auth.revocations_file of the configuration]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
}

pub(super) fn run(revoke: &Revoke) -> Result<String, Vec<Problem>> {
    let entry = match (&revoke.jti, &revoke.issuer, &revoke.subject, &revoke.key) {
        (Some(id), None, None, None) => Revoked::Token(id.clone()),
        (None, Some(issuer), Some(subject), None) => {
            Revoked::Subject { issuer: issuer.clone(), subject: subject.clone() }
        }
        (None, Some(issuer), None, Some(key)) => Revoked::Key { issuer: issuer.clone(), key: key.clone() },
        _ => {
            let what = "what is to be taken back? --jti ID, or --issuer URL with --subject or --key";
            return Err(vec![Problem::error("E0359", what)]);
        }
    };
    let path = match &revoke.file {
        Some(path) => path.clone(),
        None => configured_file(revoke).map_err(|problem| vec![problem])?,
    };
    let when = moment::minute(moment::unix_now_s());
    let note = if revoke.note.is_empty() { when } else { format!("{when}: {}", revoke.note) };
    add(&path, &encode(&entry, &note))?;
    Ok(format!("taken back, in {}\n", path.display()))
}

fn configured_file(revoke: &Revoke) -> Result<PathBuf, Problem> {
    let refused = |problems: config::Problems| {
        Problem::error("E0358", format!("the configuration is refused\n{problems}"))
    };
    let source = Source::find(revoke.configured.config.clone()).map_err(refused)?;
    let loaded = config::load_without_environment(&source, &[]).map_err(refused)?;
    loaded.config.revocations_file.ok_or_else(|| {
        Problem::error("E0359", "the configuration names no list")
            .help("set auth.revocations_file, or pass --file")
    })
}

/// The old list and the entry in a new file, which then takes the old one's place.
fn add(path: &Path, entry: &str) -> Result<(), Vec<Problem>> {
    let failed = |error: io::Error| {
        vec![Problem::error("E0359", format!("cannot write {}: {}", path.display(), reason(&error)))]
    };
    let place = Place::hold(path).map_err(failed)?;
    let mut list = match fs::metadata(place.path()) {
        Ok(_) => load_public(place.path()).map_err(|problem| vec![problem])?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    if list.last().is_some_and(|&last| last != b'\n') {
        list.push(b'\n');
    }
    list.extend_from_slice(entry.as_bytes());
    // A list that the server would refuse is not written.
    decode(path, &list)?;
    place.replace(&list, FIRST_MODE).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::super::super::super::certs::tests::Scratch;
    use super::*;

    #[test]
    fn adds_to_the_list_and_leaves_a_wrong_one_alone() {
        let scratch = Scratch::new();
        let path = scratch.path().join("revoked.toml");
        let entry = |id: &str| encode(&Revoked::Token(id.into()), "");
        add(&path, &entry("a")).unwrap();
        add(&path, &entry("b")).unwrap();
        assert_eq!(decode(&path, &fs::read(&path).unwrap()).unwrap().len(), 2);
        fs::write(&path, "[[revoked").unwrap();
        assert_eq!(add(&path, &entry("c")).unwrap_err()[0].code, "E0355");
        assert_eq!(fs::read(&path).unwrap(), b"[[revoked");
    }
    #[test]
    fn leaves_the_list_to_whoever_could_read_it_and_links_to_where_they_lead() {
        let scratch = Scratch::new();
        let path = scratch.write("revoked.toml", "", 0o640);
        let link = scratch.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        // Only root can give files away.
        let owner =
            if rustix::process::geteuid().is_root() { 65_534 } else { rustix::process::geteuid().as_raw() };
        std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
        // What a predecessor left behind, or somebody has put there, is neither used nor followed.
        let victim = scratch.write("victim", "untouched", 0o644);
        std::os::unix::fs::symlink(&victim, scratch.path().join("revoked.toml.new")).unwrap();
        add(&link, &encode(&Revoked::Token("a".into()), "")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(decode(&path, &fs::read(&path).unwrap()).unwrap().len(), 1);
        let facts = fs::metadata(&path).unwrap();
        assert_eq!((facts.uid(), facts.mode() & 0o777), (owner, 0o640));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 4, "nothing is left beside it");
        let first = scratch.path().join("first.toml");
        add(&first, &encode(&Revoked::Token("a".into()), "")).unwrap();
        assert_eq!(fs::metadata(&first).unwrap().mode() & 0o777, 0o644);
    }
}
