//! Changes to the file of API keys. Comments and order stay.
//! Never: a file that could not be read back.
//! Next: `command`, who asks for changes.

use std::fs;
use std::io;
use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::file::decode_keys;
use crate::control::files::load_public;
use crate::control::moment;
use crate::control::problem::{Exit, Problem};
use crate::control::replace::Place;
use crate::pipeline::authorize::RoleRules;

/// A file of keys, held against others who would change it.
pub(super) struct KeyFile<'r> {
    place: Place,
    roles: &'r [RoleRules],
    document: DocumentMut,
}

/// One key as it is listed.
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) roles: Vec<String>,
    pub(super) prefix: String,
    /// Unix seconds; none for ever.
    pub(super) expires_at_s: Option<i64>,
}

impl<'r> KeyFile<'r> {
    /// Opens a file that may be absent, and waits for whoever is changing it.
    pub(super) fn open(path: &Path, roles: &'r [RoleRules]) -> Result<Self, Vec<Problem>> {
        let place = Place::hold(path).map_err(|error| vec![unwritable(path, &error)])?;
        let path = place.path();
        let failed = |error: &io::Error| vec![unwritable(path, error)];
        let text = match fs::exists(path).map_err(|error| failed(&error))? {
            true => load_public(path).map_err(|problem| vec![problem])?,
            false => Vec::new(),
        };
        decode_keys(path, &text, roles)?;
        let document = String::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let unread = || vec![Problem::error("E0352", format!("{}: is not TOML", path.display()))];
        let mut document: DocumentMut = document.ok_or_else(unread)?;
        // `keys = []` and `keys = [{ ... }]` become tables of their own.
        if let Some(keys) = document.get_mut("keys").filter(|keys| keys.is_value()) {
            let tables = std::mem::take(keys).into_array_of_tables().unwrap_or_default();
            *keys = Item::ArrayOfTables(tables);
        }
        Ok(Self { place, roles, document })
    }

    /// The keys in the order of the file.
    pub(super) fn list(&self) -> Vec<Listed> {
        let text = |key: &Table, name| key.get(name).and_then(Item::as_str).unwrap_or_default().to_owned();
        let listed = |key: &Table| Listed {
            id: text(key, "id"),
            roles: key
                .get("roles")
                .and_then(Item::as_array)
                .into_iter()
                .flatten()
                .filter_map(|role| role.as_str().map(str::to_owned))
                .collect(),
            prefix: text(key, "prefix"),
            expires_at_s: expiry(key),
        };
        self.keys().map(listed).collect()
    }

    /// Adds a key at the end.
    pub(super) fn add(&mut self, key: &Listed, mac: [u8; 32]) {
        let mut table = Table::new();
        table.insert("id", value(key.id.as_str()));
        let hash: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        table.insert("hash", value(hash));
        table.insert("prefix", value(key.prefix.as_str()));
        table.insert("roles", value(key.roles.iter().map(String::as_str).collect::<Array>()));
        if let Some(at_s) = key.expires_at_s {
            table.insert("expires", value(encode_moment(at_s)));
        }
        let keys = self.document.entry("keys").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(keys) = keys.as_array_of_tables_mut() {
            keys.push(table);
        }
    }

    /// Takes the keys away that `is_meant`; how many there were.
    pub(super) fn remove(&mut self, is_meant: impl Fn(&Table) -> bool) -> usize {
        let before = self.keys().count();
        if let Some(Item::ArrayOfTables(keys)) = self.document.get_mut("keys") {
            keys.retain(|key| !is_meant(key));
        }
        before - self.keys().count()
    }

    /// Lets the keys of that id end then, unless they end before.
    pub(super) fn end(&mut self, id: &str, at_s: i64) {
        let later = |key: &Table| expiry(key).is_none_or(|expires| expires > at_s);
        let keys = self.document.get_mut("keys").and_then(Item::as_array_of_tables_mut);
        for key in keys.into_iter().flat_map(ArrayOfTables::iter_mut) {
            if is_of(key, id) && later(key) {
                key.insert("expires", value(encode_moment(at_s)));
            }
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Table> {
        self.document.get("keys").and_then(Item::as_array_of_tables).into_iter().flatten()
    }

    /// Puts the changed file in the place of the old one.
    pub(super) fn save(&self) -> Result<(), Vec<Problem>> {
        let text = self.document.to_string();
        let path = self.place.path();
        decode_keys(path, text.as_bytes(), self.roles)?;
        self.place.replace(text.as_bytes(), 0o600).map_err(|error| vec![unwritable(path, &error)])
    }
}

/// Whether a key has that id.
pub(super) fn is_of(key: &Table, id: &str) -> bool {
    key.get("id").and_then(Item::as_str) == Some(id)
}

fn expiry(key: &Table) -> Option<i64> {
    let expires = key.get("expires")?;
    let text =
        expires.as_datetime().map(ToString::to_string).or_else(|| expires.as_str().map(str::to_owned))?;
    moment::decode_rfc3339(&text)
}

/// RFC 3339, to the second.
fn encode_moment(at_s: i64) -> String {
    let mut text = Vec::new();
    moment::encode_millis(&mut text, u64::try_from(at_s).unwrap_or_default().saturating_mul(1000));
    let text = String::from_utf8(text).unwrap_or_default();
    text.replace(".000Z", "Z")
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    let is_forbidden = error.kind() == io::ErrorKind::PermissionDenied;
    let exit = if is_forbidden { Exit::Permission } else { Exit::Configuration };
    Problem::error("E0354", format!("{} can not be changed: {error}", path.display())).exit(exit)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::super::certs::tests::Scratch;
    use super::*;

    fn roles() -> Vec<RoleRules> {
        ["reader", "agent"].map(|name| RoleRules { name: name.to_owned(), ..RoleRules::default() }).to_vec()
    }

    fn key(id: &str, expires_at_s: Option<i64>) -> Listed {
        Listed {
            id: id.to_owned(),
            roles: vec!["agent".to_owned()],
            prefix: "mrk_000000".to_owned(),
            expires_at_s,
        }
    }

    #[test]
    fn keeps_comments_order_and_mode_and_leaves_nothing_beside() {
        let (scratch, roles) = (Scratch::new(), roles());
        let first = format!(
            "# whose?\n[[keys]]\nid = \"ci\" # the pipeline\nhash = \"{}\"\nroles = [\"agent\"]\n",
            "0".repeat(64)
        );
        let path = scratch.write("keys.toml", &first, 0o640);
        let mut file = KeyFile::open(&path, &roles).unwrap();
        file.add(&key("ops", Some(86_400)), [1; 32]);
        file.end("ci", 172_800);
        file.save().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# whose?\n[[keys]]\nid = \"ci\" # the pipeline\n"), "{text}");
        assert!(
            text.contains("expires = \"1970-01-03T00:00:00Z\"") && text.contains(&"01".repeat(32)),
            "{text}"
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        drop(file);
        let mut file = KeyFile::open(&path, &roles).unwrap();
        let ids: Vec<_> = file.list().into_iter().map(|key| (key.id, key.expires_at_s)).collect();
        assert_eq!(ids, [("ci".to_owned(), Some(172_800)), ("ops".to_owned(), Some(86_400))]);
        assert_eq!(file.remove(|key| is_of(key, "ci")), 1);
        assert_eq!(file.remove(|key| is_of(key, "none")), 0);
    }

    #[test]
    fn makes_a_file_for_its_owner_alone_and_follows_links() {
        let (scratch, roles) = (Scratch::new(), roles());
        let path = scratch.path().join("new.toml");
        let mut file = KeyFile::open(&path, &roles).unwrap();
        file.add(&key("ci", None), [1; 32]);
        file.save().unwrap();
        drop(file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let link = scratch.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut file = KeyFile::open(&link, &roles).unwrap();
        file.add(&key("ops", None), [2; 32]);
        file.save().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&path).unwrap().contains("ops"));
    }

    #[test]
    fn refuses_to_change_what_it_can_not_read_and_to_write_what_it_could_not() {
        let (scratch, roles) = (Scratch::new(), roles());
        let path = scratch.write("keys.toml", "keys = 1\n", 0o600);
        assert!(KeyFile::open(&path, &roles).is_err());
        let path = scratch.write("empty.toml", "keys = []\n", 0o600);
        let mut file = KeyFile::open(&path, &roles).unwrap();
        file.add(&Listed { roles: vec!["nobody".to_owned()], ..key("ci", None) }, [1; 32]);
        assert!(file.save().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "keys = []\n");
        file.remove(|_| true);
        file.add(&key("ci", None), [1; 32]);
        file.save().unwrap();
    }
}
