//! Whether what the configuration names is there on this machine: files, secrets, CPUs.
//! Never: a change to anything; a secret in a message.
//! Next: `control/certs.rs` reads the certificates that were found here.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::thread::{CpuSet, sched_getaffinity};

use super::checked::{Config, KeySource, SecretSource};
use super::problem::Code;
use super::profile::TicketKey;
use super::report::{Report, child, entry};
use crate::control::secret::{PEPPER_BYTES_MIN, TICKET_KEY_BYTES_MIN};

/// No secret is longer; a file that is was named by mistake.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A secret as messages name it.
struct Secret {
    name: &'static str,
    bytes_min: usize,
    /// Why it has to stay.
    keep: &'static str,
}

const PEPPER: Secret =
    Secret { name: "pepper", bytes_min: PEPPER_BYTES_MIN, keep: "API keys are stored under it" };
const TICKET_KEY: Secret =
    Secret { name: "ticket key", bytes_min: TICKET_KEY_BYTES_MIN, keep: "all nodes need the same" };
/// How to make one.
const GENERATE: &str = "head -c 32 /dev/urandom | base64";

/// Looks at everything the configuration names.
pub(super) fn check(config: &Config, report: &mut Report) {
    for profile in &config.tls {
        let table = child("tls", &profile.name);
        if let TicketKey::Shared(source) = &profile.ticket_key {
            TICKET_KEY.check(&child(&table, "ticket_key"), source, report);
        }
        let list = child(&table, "certificates");
        for (index, pair) in profile.certificates.iter().enumerate() {
            let path = entry(&list, index);
            trusted(&child(&path, "cert_file"), &pair.cert_file, report);
            let key = child(&path, "key_file");
            if readable(&key, &pair.key_file, report) {
                private(&key, &pair.key_file, report);
            }
        }
    }
    for issuer in &config.issuers {
        let path = child("auth.jwt", &issuer.rules.name);
        if let KeySource::File(file) = &issuer.source {
            readable(&child(&path, "jwks_file"), file, report);
        }
        if let Some(file) = &issuer.ca_file {
            readable(&child(&path, "ca_file"), file, report);
        }
    }
    if let Some(file) = &config.revocations_file {
        readable("auth.revocations_file", file, report);
    }
    if let Some(keys) = &config.api_key {
        trusted("auth.api_key.keys_file", &keys.keys_file, report);
        PEPPER.check("auth.api_key.pepper", &keys.pepper, report);
    }
    check_cpus(config, report);
}

/// The CPUs this process may run on.
pub(super) fn usable_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return vec![0] };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Whether a file opens for reading.
fn readable(path: &str, file: &Path, report: &mut Report) -> bool {
    // Metadata first: opening a pipe would wait for its writer.
    let opened = fs::metadata(file).and_then(|metadata| match metadata.is_file() {
        true => File::open(file).map(Some),
        false => Ok(None),
    });
    match opened {
        Ok(Some(_)) => return true,
        Ok(None) => {
            let message = format!("{} is not a regular file", file.display());
            report.problem(Code::NotAFile, path, message).help("name a file");
        }
        Err(error) => {
            let message = format!("can not read {}", file.display());
            let problem = report.problem(Code::FileUnreadable, path, message);
            problem.label(error.to_string()).help(missing_file(path, file));
        }
    }
    false
}

/// Whether a file that says who is trusted can be read, and changed by its owner alone. With a group it is a question of
/// who is in it, so that is only said.
pub(super) fn trusted(path: &str, file: &Path, report: &mut Report) {
    if !readable(path, file, report) {
        return;
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for (place, is_folder) in [(file, false), (folder, true)] {
        let Ok(metadata) = fs::metadata(place) else { continue };
        let mode = metadata.permissions().mode() & 0o7777;
        // In a folder with the sticky bit nobody replaces what is another's.
        let open = if is_folder && mode & 0o1000 != 0 { 0 } else { mode & 0o022 };
        let (code, who) = match open {
            0 => continue,
            0o020 => (Code::TrustShared, "its group"),
            _ => (Code::TrustOpen, "everyone"),
        };
        let what = if is_folder { "the folder " } else { "" };
        let message = format!("{what}{} is writable by {who} (mode {mode:04o})", place.display());
        let help = if code == Code::TrustOpen { "go-w" } else { "g-w" };
        report.problem(code, path, message).help(format!("chmod {help} {}", place.display()));
    }
}

/// What to do about a file that is not there.
fn missing_file(path: &str, file: &Path) -> String {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.ends_with("keys_file") && folder.is_dir() {
        return format!("check the path; for a server without keys yet: touch {}", file.display());
    }
    if path.ends_with("revocations_file") && folder.is_dir() {
        return format!("check the path; for a list without entries: touch {}", file.display());
    }
    match folder.is_dir() {
        true => format!("check the name: ls {}", folder.display()),
        false => format!("check the path: there is no folder {}", folder.display()),
    }
}

/// Whether only its owner has access to a secret file.
fn private(path: &str, file: &Path, report: &mut Report) {
    let Ok(metadata) = fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    let who = match (mode & 0o007, mode & 0o070) {
        (0, 0) => return,
        (0, _) => "its group",
        (_, _) => "everyone",
    };
    let verb = if mode & 0o044 == 0 { "writable" } else { "readable" };
    let message = format!("{} is {verb} by {who} (mode {mode:04o})", file.display());
    report.problem(Code::SecretOpen, path, message).help(format!("chmod 600 {}", file.display()));
}

impl Secret {
    /// Whether it is there and long enough.
    fn check(&self, path: &str, source: &SecretSource, report: &mut Report) {
        match source {
            SecretSource::Env(name) => match env::var_os(name).map(OsString::into_vec) {
                Some(secret) => self.long_enough(&child(path, "env"), &secret, report),
                None => {
                    let message =
                        format!("the environment variable {name} with the {} is not set", self.name);
                    let problem = report.problem(Code::NoSecret, &child(path, "env"), message);
                    problem.help(format!("export {name}=\"$({GENERATE})\", and keep it: {}", self.keep));
                }
            },
            SecretSource::File(file) => {
                let path = child(path, "file");
                if self.file(&path, file, report) {
                    private(&path, file, report);
                }
            }
            // No look at the mode: systemd gives access by an ACL, whose mask shows as the group's bits.
            SecretSource::Credential(name) => match env::var_os("CREDENTIALS_DIRECTORY") {
                Some(folder) => {
                    self.file(&child(path, "credential"), &PathBuf::from(folder).join(name), report);
                }
                None => {
                    let message =
                        format!("the credential `{name}` is not there: $CREDENTIALS_DIRECTORY is not set");
                    let problem = report.problem(Code::NoSecret, &child(path, "credential"), message);
                    problem.help(format!(
                        "start it from a systemd unit with LoadCredential={name}:/path/to/file"
                    ));
                }
            },
        }
    }

    /// Whether a file holds it. True when it could be read.
    fn file(&self, path: &str, file: &Path, report: &mut Report) -> bool {
        if !readable(path, file, report) {
            return false;
        }
        let mut secret = zeroize::Zeroizing::new(Vec::new());
        let opened = File::open(file).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_end(&mut secret));
        if opened.is_ok() {
            self.long_enough(path, &secret, report);
        }
        true
    }

    /// Whether it has enough bytes; a line end is not part of it.
    fn long_enough(&self, path: &str, secret: &[u8], report: &mut Report) {
        let (bytes, min) = (secret.trim_ascii_end().len(), self.bytes_min);
        if bytes < min {
            let message = format!("the {} has {bytes} bytes, at least {min} are needed", self.name);
            let problem = report.problem(Code::ShortSecret, path, message);
            problem.help(format!("make one with: {GENERATE}"));
        }
    }
}

/// Whether the CPUs of the shards are usable.
pub(super) fn check_cpus(config: &Config, report: &mut Report) {
    let usable = usable_cpus();
    let mut foreign: Vec<usize> =
        config.runtime.cpus.iter().copied().filter(|cpu| !usable.contains(cpu)).collect();
    foreign.dedup();
    if foreign.is_empty() {
        return;
    }
    let list = |cpus: &[usize]| cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let message = format!("this process may not use CPU {}", list(&foreign));
    let problem = report.problem(Code::NoSuchCpu, "runtime.cpus", message);
    problem.help(format!("it may use cpus = \"{}\"", list(&usable)));
}
