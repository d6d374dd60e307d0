//! API keys: the pepper and the key file become the table the `authenticate` stage looks in.
//! Never: a key or the pepper in an error, in `Debug`, or in memory longer than needed.
//! Next: `file`, what is written; `command`, who writes it; `pipeline/authenticate/keys.rs`, the reader of the table.

mod command;
mod edit;
mod file;
mod mint;

use super::config::checked::ApiKeys;
use super::files::load_public;
use super::problem::Problem;
use super::secret::{PEPPER, load_secret};
use crate::pipeline::authenticate::grants::Grants;
use crate::pipeline::authenticate::keys::KeyTable;
use crate::pipeline::authorize::RoleRules;
use file::decode_keys;

pub use command::{KeyCommand, run};
pub use mint::{MintedKey, PREFIX, mint_key};

/// Reads the pepper and the key file. All problems are listed.
pub fn load_keys(settings: &ApiKeys, roles: &[RoleRules], grants: &Grants) -> Result<KeyTable, Vec<Problem>> {
    let pepper = load_secret(&settings.pepper, &PEPPER);
    let entries = load_public(&settings.keys_file)
        .map_err(|problem| vec![problem])
        .and_then(|bytes| decode_keys(&settings.keys_file, &bytes, roles));
    match (pepper, entries) {
        (Ok(pepper), Ok(mut entries)) => {
            for entry in &mut entries {
                entry.roles |= grants.roles_of(&entry.id, [], []);
            }
            Ok(KeyTable::build(&pepper, entries))
        }
        (pepper, entries) => {
            Err(pepper.err().into_iter().chain(entries.err().into_iter().flatten()).collect())
        }
    }
}

/// The table of a server without keys: it knows nobody.
pub fn no_keys() -> KeyTable {
    KeyTable::build(&[], Vec::new())
}

/// The bit of a role by its index; there are at most 64.
pub fn role_bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}
