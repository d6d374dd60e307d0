//! The file of API keys as written: `[[keys]]` tables, read with the place of every mistake.
//! Never: what may be a key in clear, repeated in an error.
//! Next: `edit`, which changes such a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::role_bit;
use crate::control::moment;
use crate::control::problem::Problem;
use crate::pipeline::authenticate::keys::KeyEntry;
use crate::pipeline::authorize::RoleRules;

/// Keys are public names in logs; this keeps them to one readable word.
const ID_CHARS_MAX: usize = 64;
/// Longest visible part of a key: a prefix of 16 and its label.
const PREFIX_CHARS_MAX: usize = 23;

/// Decodes `[[keys]]`. All problems are listed, each with its line.
pub(super) fn decode_keys(
    path: &Path,
    bytes: &[u8],
    roles: &[RoleRules],
) -> Result<Vec<KeyEntry>, Vec<Problem>> {
    let mut reading = Reading { path, text: "", roles, problems: Vec::new() };
    let Ok(text) = std::str::from_utf8(bytes) else {
        reading.refuse(None, "is not UTF-8");
        return Err(reading.problems);
    };
    reading.text = text;
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            // The parser's `Display` quotes the line; its message alone does not.
            reading.refuse(error.span().map(|span| span.start), &format!("is not TOML: {}", error.message()));
            return Err(reading.problems);
        }
    };
    let mut entries = Vec::new();
    for (key, value) in &table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("keys", DeValue::Array(keys)) => {
                entries.extend(keys.iter().filter_map(|key| reading.entry(key)));
            }
            ("keys", _) => {
                reading.refuse(Some(key.span().start), "`keys` must be written as [[keys]] tables")
            }
            (other, _) => {
                reading
                    .refuse(Some(key.span().start), &format!("unknown key `{other}`; only [[keys]] is read"));
            }
        }
    }
    reading.refuse_doubles(&entries);
    if reading.problems.is_empty() {
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    } else {
        Err(reading.problems)
    }
}

/// Whether a key can be called that.
pub(super) fn is_id(id: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    !id.is_empty() && id.len() <= ID_CHARS_MAX && id.chars().all(plain)
}

/// One pass over a key file.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    roles: &'a [RoleRules],
    problems: Vec<Problem>,
}

/// Where an entry starts in the text, and the entry.
type Placed = (usize, KeyEntry);

impl Reading<'_> {
    fn refuse(&mut self, at: Option<usize>, what: &str) {
        let line = at.map(|at| self.text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1);
        let place = line.map_or(String::new(), |line| format!(":{line}"));
        self.problems.push(Problem::error("E0352", format!("{}{place}: {what}", self.path.display())));
    }

    fn entry(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Placed> {
        let at = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            self.refuse(Some(at), "a key must be a table with id, hash and roles");
            return None;
        };
        let before = self.problems.len();
        let (mut id, mut mac, mut roles, mut expires_at_s) = (None, None, None, u64::MAX);
        for (key, value) in table {
            let (at, value) = (Some(value.span().start), value.get_ref());
            match key.get_ref().as_ref() {
                "id" => id = self.id(at, value),
                "hash" => mac = self.hash(at, value),
                "roles" => roles = self.role_bits(at, value),
                "prefix" => self.prefix(at, value),
                "expires" => expires_at_s = self.expiry(at, value).unwrap_or(0),
                other => self.refuse(
                    Some(key.span().start),
                    &format!("unknown key `{other}`; a key has id, hash, roles, expires and prefix"),
                ),
            }
        }
        for name in ["id", "hash", "roles"] {
            if !table.keys().any(|key| key.get_ref() == name) {
                self.refuse(Some(at), &format!("this key has no `{name}`"));
            }
        }
        match (id, mac, roles) {
            (Some(id), Some(mac), Some(roles)) if self.problems.len() == before => {
                Some((at, KeyEntry { id: id.into(), mac, roles, expires_at_s }))
            }
            _ => None,
        }
    }

    fn id(&mut self, at: Option<usize>, value: &DeValue<'_>) -> Option<String> {
        let id = value.as_str().unwrap_or_default();
        if !is_id(id) {
            self.refuse(at, "`id` must be 1 to 64 letters, digits, `-`, `_` or `.`");
            return None;
        }
        if id == "anonymous" {
            self.refuse(at, "`anonymous` is the name of a caller without a key");
            return None;
        }
        Some(id.to_owned())
    }

    /// For people: it tells which key is meant.
    fn prefix(&mut self, at: Option<usize>, value: &DeValue<'_>) {
        let prefix = value.as_str().unwrap_or_default();
        let plain = |char: char| char.is_ascii_alphanumeric() || char == '_';
        // What is longer may be the key itself.
        if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(plain) {
            self.refuse(at, "`prefix` must be the first two parts of the key, such as mrk_9f2c7a");
        }
    }

    fn hash(&mut self, at: Option<usize>, value: &DeValue<'_>) -> Option<[u8; 32]> {
        let mac = value.as_str().and_then(decode_hex);
        if mac.is_none() {
            // What stands there may be the key itself, so it is not repeated.
            self.refuse(at, "`hash` must be the 64 hex digits of HMAC-SHA-256(pepper, key), never the key");
        }
        mac
    }

    fn role_bits(&mut self, at: Option<usize>, value: &DeValue<'_>) -> Option<u64> {
        let names = value.as_array().map(|names| {
            names.iter().map(|name| (name.span().start, name.get_ref().as_str())).collect::<Vec<_>>()
        });
        let Some(names) = names.filter(|names| !names.is_empty()) else {
            self.refuse(at, "`roles` must be a list of at least one role name");
            return None;
        };
        let mut bits = Some(0);
        for (at, name) in names {
            let index = self.roles.iter().position(|role| Some(role.name.as_str()) == name);
            if index.is_none() {
                let known: Vec<_> = self.roles.iter().map(|role| role.name.as_str()).collect();
                let name = name.unwrap_or("(not a string)").escape_debug();
                let what = format!("role \"{name}\" is not defined; defined roles: {}", known.join(", "));
                self.refuse(Some(at), &what);
            }
            bits = bits.zip(index).map(|(bits, index)| bits | role_bit(index));
        }
        bits
    }

    fn expiry(&mut self, at: Option<usize>, value: &DeValue<'_>) -> Option<u64> {
        // TOML's own date-times are RFC 3339 too; one without an offset is not a point in time.
        let moment = value.as_datetime().map(ToString::to_string);
        let text = moment.or_else(|| value.as_str().map(str::to_owned));
        let seconds = text.as_deref().and_then(moment::decode_rfc3339).and_then(|at| u64::try_from(at).ok());
        if seconds.is_none() {
            self.refuse(at, "`expires` must be RFC 3339 with an offset, such as 2027-01-31T00:00:00Z");
        }
        seconds
    }

    fn refuse_doubles(&mut self, entries: &[Placed]) {
        let (mut ids, mut macs) = (BTreeMap::new(), BTreeSet::new());
        for (at, entry) in entries {
            // While a key is being replaced there are two of its name.
            if *ids.entry(&entry.id).or_insert(entry.roles) != entry.roles {
                self.refuse(Some(*at), &format!("a second key has the id \"{}\" and other roles", entry.id));
            }
            if !macs.insert(entry.mac) {
                self.refuse(Some(*at), &format!("key \"{}\" has the hash of another key", entry.id));
            }
        }
    }
}

fn decode_hex(text: &str) -> Option<[u8; 32]> {
    let mut mac = [0; 32];
    let digits: Vec<u8> = text
        .chars()
        .map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    fn roles() -> Vec<RoleRules> {
        ["reader", "agent"].map(|name| RoleRules { name: name.to_owned(), ..RoleRules::default() }).to_vec()
    }

    fn decode(text: &str) -> Result<Vec<KeyEntry>, Vec<String>> {
        decode_keys(Path::new("keys.toml"), text.as_bytes(), &roles())
            .map_err(|problems| problems.into_iter().map(|problem| problem.what).collect())
    }

    #[test]
    fn decodes_keys() {
        let other = HASH.replace('0', "1");
        let text = format!(
            "[[keys]]\nid = \"ci\"\nhash = \"{HASH}\"\nroles = [\"agent\", \"reader\"]\nexpires = \"1970-01-02T00:00:00Z\"\n\
             [[keys]]\nid = \"ops.1\"\nhash = \"{other}\"\nroles = [\"agent\"]\nexpires = 1970-01-02T00:00:00+00:00\n"
        );
        let keys = decode(&text).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!((&*keys[0].id, keys[0].roles, keys[0].expires_at_s), ("ci", 0b11, 86_400));
        assert_eq!((keys[0].mac[1], keys[0].mac[31]), (0x11, 0xff));
        assert_eq!((&*keys[1].id, keys[1].roles, keys[1].expires_at_s), ("ops.1", 0b10, 86_400));
        assert!(decode("").unwrap().is_empty());
        let forever = format!("[[keys]]\nid = \"ci\"\nhash = \"{HASH}\"\nroles = [\"agent\"]\n");
        assert_eq!(decode(&forever).unwrap()[0].expires_at_s, u64::MAX);
    }

    #[test]
    fn refuses_each_mistake_with_its_line() {
        let key = |id: &str, hash: &str, rest: &str| format!("[[keys]]\nid = {id}\nhash = {hash}\n{rest}\n");
        let (hash, agent) = (format!("\"{HASH}\""), "roles = [\"agent\"]");
        let table = [
            ("keys = 1".to_owned(), "keys.toml:1: `keys` must be written as [[keys]] tables"),
            ("keys = [1]".to_owned(), "keys.toml:1: a key must be a table with id, hash and roles"),
            ("a = 1".to_owned(), "keys.toml:1: unknown key `a`; only [[keys]] is read"),
            ("a =".to_owned(), "keys.toml:1: is not TOML: "),
            (key("\"a b\"", &hash, agent), "keys.toml:2: `id` must be"),
            (key("7", &hash, agent), "keys.toml:2: `id` must be"),
            (key("\"anonymous\"", &hash, agent), "keys.toml:2: `anonymous` is the name"),
            (key("\"a\"", "\"mrk_secret\"", agent), "keys.toml:3: `hash` must be the 64 hex digits"),
            (
                key("\"a\"", &hash.replace("FF\"", "\""), agent),
                "keys.toml:3: `hash` must be the 64 hex digits",
            ),
            (key("\"a\"", &hash, "roles = []"), "keys.toml:4: `roles` must be a list"),
            (
                key("\"a\"", &hash, "roles = [\"agnet\"]"),
                "keys.toml:4: role \"agnet\" is not defined; defined roles: reader, agent",
            ),
            (key("\"a\"", &hash, ""), "keys.toml:1: this key has no `roles`"),
            (
                key("\"a\"", &hash, "roles = [\"agent\"]\nexpires = \"soon\""),
                "keys.toml:5: `expires` must be",
            ),
            (
                key("\"a\"", &hash, "roles = [\"agent\"]\nexpires = 2027-01-01"),
                "keys.toml:5: `expires` must be",
            ),
            (key("\"a\"", &hash, "roles = [\"agent\"]\nnote = \"x\""), "keys.toml:5: unknown key `note`"),
            (
                key("\"a\"", &hash, "roles = [\"agent\"]\nprefix = \"mrk_secret_and_all_that_follows\""),
                "keys.toml:5: `prefix` must be",
            ),
        ];
        for (text, expect) in &table {
            let problems = decode(text).err().unwrap_or_default();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].starts_with(expect), "{text}: {problems:?}");
            assert!(!problems[0].contains("mrk_secret"));
        }
    }

    #[test]
    fn lists_all_mistakes_of_a_file() {
        let good = format!("[[keys]]\nid = \"a\"\nhash = \"{HASH}\"\nroles = [\"agent\"]\n");
        let bad = "[[keys]]\nid = \"\"\nhash = \"\"\nroles = [\"x\", \"y\"]\n";
        assert_eq!(decode(&format!("{good}{good}{bad}")).err().map(|problems| problems.len()), Some(5));
        let other = HASH.replace('0', "1");
        let second = format!("[[keys]]\nid = \"a\"\nhash = \"{other}\"\nroles = [\"agent\"]\n");
        assert_eq!(decode(&format!("{good}{second}")).unwrap().len(), 2);
        let other_roles = decode(&format!("{good}{}", second.replace("agent", "reader"))).err().unwrap();
        assert_eq!(other_roles, ["keys.toml:5: a second key has the id \"a\" and other roles"]);
    }
}
