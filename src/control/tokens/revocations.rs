//! The file with what was taken back: `[[revoked]]` tables, each with a `jti`, or an `issuer` with a `subject` or a
//! `key`. Read with the configuration and whenever it changes; `mcpring token revoke` adds to it.
//! Never: a list that is half right; one wrong entry refuses the file, and the old list stays.
//! Next: `pipeline/authenticate/tokens/revoked.rs`, who looks in it.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::super::files::load_public;
use super::super::problem::Problem;
use crate::pipeline::authenticate::tokens::revoked::{Revocations, Revoked};

/// Entries of one list.
const ENTRIES_MAX: usize = 100_000;

/// Reads the list. All problems are listed.
pub fn load(path: &Path) -> Result<Revocations, Vec<Problem>> {
    let bytes = load_public(path).map_err(|problem| vec![problem])?;
    decode(path, &bytes)
}

/// Decodes `[[revoked]]`. All problems are listed, each with its line.
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Revocations, Vec<Problem>> {
    let refuse = |line: Option<usize>, what: &str| {
        let place = line.map_or(String::new(), |line| format!(":{line}"));
        Problem::error("E0355", format!("{}{place}: {what}", path.display()))
            .help("[[revoked]] with jti = \"...\", or issuer = \"...\" and one of subject and key")
    };
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(vec![refuse(None, "is not UTF-8")]) };
    let line = |at: usize| Some(text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().and_then(|span| line(span.start));
        vec![refuse(at, &format!("is not TOML: {}", error.message()))]
    })?;
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in table.get_ref() {
        let list = value.get_ref().as_array().filter(|_| name.get_ref() == "revoked");
        let Some(list) = list else {
            problems.push(refuse(line(name.span().start), "only [[revoked]] tables are read"));
            continue;
        };
        if list.len() > ENTRIES_MAX {
            problems.push(refuse(None, "has more than 100000 entries"));
            continue;
        }
        for entry in list.iter() {
            match decode_entry(entry.get_ref()) {
                Ok(entry) => entries.push(entry),
                Err(what) => problems.push(refuse(line(entry.span().start), what)),
            }
        }
    }
    if problems.is_empty() { Ok(entries.into_iter().collect()) } else { Err(problems) }
}

fn decode_entry(value: &DeValue<'_>) -> Result<Revoked, &'static str> {
    let DeValue::Table(table) = value else { return Err("an entry must be a table") };
    let (mut id, mut issuer, mut subject, mut key) = (None, None, None, None);
    for (name, value) in table {
        let place = match name.get_ref().as_ref() {
            "jti" => &mut id,
            "issuer" => &mut issuer,
            "subject" => &mut subject,
            "key" => &mut key,
            // For people.
            "note" => continue,
            _ => return Err("an entry has jti, issuer, subject, key and note"),
        };
        match value.get_ref().as_str().filter(|text| !text.is_empty()) {
            Some(text) => *place = Some(text.to_owned()),
            None => return Err("a value must be a text"),
        }
    }
    match (id, issuer, subject, key) {
        (Some(id), None, None, None) => Ok(Revoked::Token(id)),
        (None, Some(issuer), Some(subject), None) => Ok(Revoked::Subject { issuer, subject }),
        (None, Some(issuer), None, Some(key)) => Ok(Revoked::Key { issuer, key }),
        _ => Err("an entry takes back one thing: a jti, or a subject or key of an issuer"),
    }
}

/// An entry as it stands in the file.
pub fn encode(entry: &Revoked, note: &str) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let members = match entry {
        Revoked::Token(id) => format!("jti = {}\n", text(id)),
        Revoked::Subject { issuer, subject } => {
            format!("issuer = {}\nsubject = {}\n", text(issuer), text(subject))
        }
        Revoked::Key { issuer, key } => format!("issuer = {}\nkey = {}\n", text(issuer), text(key)),
    };
    format!("\n[[revoked]]\n{members}note = {}\n", text(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, Vec<String>> {
        decode(Path::new("revoked.toml"), text.as_bytes())
            .map(|list| list.len())
            .map_err(|problems| problems.into_iter().map(|problem| problem.what).collect())
    }

    #[test]
    fn reads_what_it_writes() {
        let entries = [
            Revoked::Token("a \"b\"\\".into()),
            Revoked::Subject { issuer: "https://idp".into(), subject: "ali\nce".into() },
            Revoked::Key { issuer: "https://idp".into(), key: "k".into() },
        ];
        let text: String = entries.iter().map(|entry| encode(entry, "lost a laptop")).collect();
        assert_eq!(read(&text), Ok(3), "{text}");
        assert_eq!(read(""), Ok(0));
    }

    #[test]
    fn refuses_each_mistake_with_its_line() {
        for (text, what) in [
            ("revoked = 1", "revoked.toml:1: only [[revoked]]"),
            ("a = 1", "revoked.toml:1: only [[revoked]]"),
            ("a =", "revoked.toml:1: is not TOML"),
            ("[[revoked]]\n", "revoked.toml:1: an entry takes back one thing"),
            ("\n[[revoked]]\njti = 7", "revoked.toml:2: a value must be a text"),
            ("[[revoked]]\njti = \"a\"\nkey = \"b\"", "revoked.toml:1: an entry takes back one thing"),
            ("[[revoked]]\nsubject = \"a\"", "revoked.toml:1: an entry takes back one thing"),
            ("[[revoked]]\nsub = \"a\"", "revoked.toml:1: an entry has"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.iter().any(|found| found.starts_with(what)), "{text:?}: {found:?}");
        }
    }
}
