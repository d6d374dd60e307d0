//! Reading a secret from where the configuration says: a variable, a private file, a credential of systemd.
//! Never: a secret in an error or in `Debug`; a copy that is not wiped.
//! Next: `keys` and `certs::tickets`, who use them.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::config::checked::SecretSource;
use super::files::load_private;
use super::problem::Problem;

/// A shorter pepper could be guessed from one known key and its hash.
pub const PEPPER_BYTES_MIN: usize = 16;
/// What is derived from it are keys of 256 bits.
pub const TICKET_KEY_BYTES_MIN: usize = 32;

/// What a secret is for.
pub struct Purpose {
    /// In messages.
    name: &'static str,
    bytes_min: usize,
}

/// Under which API keys are stored.
pub const PEPPER: Purpose = Purpose { name: "pepper for API keys", bytes_min: PEPPER_BYTES_MIN };
/// From which the keys of session tickets are derived.
pub const TICKET_KEY: Purpose = Purpose { name: "TLS ticket key", bytes_min: TICKET_KEY_BYTES_MIN };

/// Reads a secret, without the line end that editors and `echo` add.
pub fn load_secret(source: &SecretSource, purpose: &Purpose) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let Purpose { name: what, bytes_min } = purpose;
    let missing = |why: String| Problem::error("E0350", format!("there is no {what}: {why}"));
    let mut secret = match source {
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
    while secret.last().is_some_and(|&byte| byte == b'\n' || byte == b'\r') {
        secret.pop();
    }
    if secret.len() < *bytes_min {
        let what = format!("the {what} has {} bytes, at least {bytes_min} are needed", secret.len());
        return Err(Problem::error("E0351", what).help("openssl rand -base64 32"));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::super::certs::tests::Scratch;
    use super::*;

    #[test]
    fn reads_a_secret_without_its_newline_and_refuses_a_short_or_open_one() {
        let scratch = Scratch::new();
        let file = |name: &str, text: &str, mode| SecretSource::File(scratch.write(name, text, mode));
        let code = |source: &SecretSource| {
            load_secret(source, &PEPPER).map(|pepper| pepper.to_vec()).map_err(|problem| problem.code)
        };
        assert_eq!(code(&file("a", "0123456789abcdef\r\n", 0o600)), Ok(b"0123456789abcdef".to_vec()));
        assert_eq!(code(&file("b", "0123456789abcde\n", 0o600)), Err("E0351"));
        assert_eq!(code(&file("c", "0123456789abcdef", 0o644)), Err("E0320"));
        assert_eq!(code(&SecretSource::File(scratch.path().join("none"))), Err("E0323"));
        assert_eq!(code(&SecretSource::Env("MCPRING_TEST_NO_SUCH_VARIABLE".to_owned())), Err("E0350"));
    }
}
