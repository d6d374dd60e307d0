//! API keys: the pepper and the key file become the table the `authenticate` stage looks in.
//! Never: a key or the pepper in an error, in `Debug`, or in memory longer than needed.
//! Next: `file`, what is written; `command`, who writes it; `pipeline/authenticate/keys.rs`, the reader of the table.

mod command;
mod edit;
mod file;
mod mint;

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::config::checked::{ApiKeys, SecretSource};
use super::files::{load_private, load_public};
use super::problem::Problem;
use crate::pipeline::authenticate::grants::Grants;
use crate::pipeline::authenticate::keys::KeyTable;
use crate::pipeline::authorize::RoleRules;
use file::decode_keys;

pub use command::{KeyCommand, run};
pub use mint::{MintedKey, PREFIX, mint_key};

/// A shorter pepper could be guessed from one known key and its hash.
const PEPPER_BYTES_MIN: usize = 16;

/// Reads the pepper and the key file. All problems are listed.
pub fn load_keys(settings: &ApiKeys, roles: &[RoleRules], grants: &Grants) -> Result<KeyTable, Vec<Problem>> {
    let pepper = load_pepper(&settings.pepper);
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

fn load_pepper(source: &SecretSource) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let missing = |what: String| Problem::error("E0350", format!("there is no pepper for API keys: {what}"));
    let mut pepper = match source {
        SecretSource::Env(name) => match std::env::var_os(name) {
            Some(value) => Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(value)),
            None => return Err(missing(format!("the environment variable {name} is not set"))),
        },
        SecretSource::File(path) => load_private(path)?,
        SecretSource::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(folder) => load_private(&PathBuf::from(folder).join(name))?,
            None => {
                return Err(missing("CREDENTIALS_DIRECTORY is not set".to_owned())
                    .help(format!("LoadCredential={name}:/path/to/file in the systemd unit")));
            }
        },
    };
    // Editors and `echo` end a file with a newline that nobody means.
    while pepper.last().is_some_and(|&byte| byte == b'\n' || byte == b'\r') {
        pepper.pop();
    }
    if pepper.len() < PEPPER_BYTES_MIN {
        return Err(Problem::error(
            "E0351",
            format!(
                "the pepper for API keys has {} bytes, at least {PEPPER_BYTES_MIN} are needed",
                pepper.len()
            ),
        )
        .help("openssl rand -base64 32"));
    }
    Ok(pepper)
}

/// The bit of a role by its index; there are at most 64.
pub fn role_bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::certs::tests::Scratch;
    use super::*;

    #[test]
    fn reads_the_pepper_without_its_newline_and_refuses_a_short_or_open_one() {
        let scratch = Scratch::new();
        let file = |name: &str, text: &str, mode| SecretSource::File(scratch.write(name, text, mode));
        let code = |source: &SecretSource| {
            load_pepper(source).map(|pepper| pepper.to_vec()).map_err(|problem| problem.code)
        };
        assert_eq!(code(&file("a", "0123456789abcdef\r\n", 0o600)), Ok(b"0123456789abcdef".to_vec()));
        assert_eq!(code(&file("b", "0123456789abcde\n", 0o600)), Err("E0351"));
        assert_eq!(code(&file("c", "0123456789abcdef", 0o644)), Err("E0320"));
        assert_eq!(code(&SecretSource::File(scratch.path().join("none"))), Err("E0323"));
        assert_eq!(code(&SecretSource::Env("MCPRING_TEST_NO_SUCH_VARIABLE".to_owned())), Err("E0350"));
    }
}
