//! New API keys: a prefix for scanners, a label to tell it by, and 256 random bits.
//! Never: a key in clear in anything that is kept.
//! Next: `edit`, which writes down what can be kept of one.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::control::problem::{Exit, Problem};
use crate::pipeline::authenticate::keys::{KeyEntry, KeyTable};

/// What every key begins with, unless `auth.api_key.prefix` says otherwise.
pub const PREFIX: &str = "mrk";

/// A new key.
pub(super) struct NewKey {
    /// `<prefix>_<6 hex digits>_<43 characters>`.
    pub(super) token: Zeroizing<String>,
    /// What of it may be seen: `<prefix>_<6 hex digits>`.
    pub(super) label: String,
}

/// Makes a key that nobody has.
pub(super) fn new_key(prefix: &str) -> Result<NewKey, Problem> {
    let (mut secret, mut label) = (Zeroizing::new([0; 32]), [0; 3]);
    fill(secret.as_mut_slice())?;
    fill(&mut label)?;
    let label: String = label.iter().map(|byte| format!("{byte:02x}")).collect();
    let label = format!("{prefix}_{label}");
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_slice()));
    Ok(NewKey { token: Zeroizing::new(format!("{label}_{}", secret.as_str())), label })
}

fn fill(bytes: &mut [u8]) -> Result<(), Problem> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| Problem::error("E0353", "the random number generator failed").exit(Exit::Unavailable))
}

/// A key made here, in clear exactly once.
pub struct MintedKey {
    /// `mrk_<6 characters of id>_<43 characters>`.
    pub token: Zeroizing<String>,
    /// The table that knows it.
    pub table: KeyTable,
    /// Unix seconds.
    pub expires_at_s: u64,
}

/// Mints one key under a pepper that nobody keeps. `roles` are its role bits.
pub fn mint_key(id: &str, roles: u64, expires_at_s: u64) -> Result<MintedKey, Problem> {
    let mut pepper = Zeroizing::new([0; 32]);
    fill(pepper.as_mut_slice())?;
    let NewKey { token, .. } = new_key(PREFIX)?;
    let mac = KeyTable::mac(pepper.as_slice(), token.as_bytes());
    let entry = KeyEntry { id: id.into(), mac, roles, expires_at_s };
    Ok(MintedKey { token, table: KeyTable::build(pepper.as_slice(), vec![entry]), expires_at_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mints_keys_that_differ_and_have_their_form() {
        let (first, second) = (mint_key("dev", 1, 9).unwrap(), mint_key("dev", 1, 9).unwrap());
        assert_ne!(*first.token, *second.token);
        let parts: Vec<_> = first.token.splitn(3, '_').collect();
        assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("mrk", 6, 43));
        assert!(parts[1].chars().all(|char| char.is_ascii_hexdigit()));
    }
}
