//! What clients' certificates are judged by, from files: authorities and revocation lists, PEM or DER.
//! Never: a judge with half of what it was to have; a file that can not be read is a problem, and what ran before stays.
//! Next: `pipeline/authenticate/certificate/judge.rs`, the judge.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use webpki::{ExpirationPolicy, RevocationCheckDepth, UnknownStatusPolicy};

use super::super::config::checked::TlsProfile;
use super::super::config::guests::{self, ClientAuth, Depth, Lists, Verdict};
use super::super::files::load_public;
use super::super::problem::Problem;
use crate::pipeline::authenticate::certificate::inquiry::Ocsp;
use crate::pipeline::authenticate::certificate::judge::{Judge, ListRules, Presence, Rules};
use crate::pipeline::authenticate::certificate::lists::List;

/// Files of lists of one profile.
const FILES_MAX: usize = 256;

/// Reads what the judge of a profile needs. `fetched` are lists that came from URLs.
pub fn load_judge(
    profile: &TlsProfile,
    fetched: Vec<Arc<List>>,
    ocsp: Option<Arc<dyn Ocsp>>,
) -> Result<Option<Arc<Judge>>, Vec<Problem>> {
    let Some(auth) = &profile.client_auth else { return Ok(None) };
    let mut problems = Vec::new();
    let mut digest = digest::Context::new(&digest::SHA256);
    // What decides, in words: another setting is another judge.
    digest.update(format!("{auth:?}").as_bytes());
    let roots = load_roots(&auth.ca_file, &mut digest).unwrap_or_else(|problem| {
        problems.push(problem);
        RootCertStore::empty()
    });
    let mut lists = Vec::new();
    for file in list_files(auth) {
        match load_public(&file).and_then(|bytes| decode_lists(&bytes, &file)) {
            Ok(found) => lists.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    lists.extend(fetched);
    lists.iter().for_each(|list| digest.update(list.content()));
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut version = [0; 32];
    version.copy_from_slice(digest.finish().as_ref());
    Ok(Some(Arc::new(Judge::build(roots, lists, rules(&profile.name, auth), ocsp, version))))
}

fn load_roots(path: &Path, digest: &mut digest::Context) -> Result<RootCertStore, Problem> {
    let pem = load_public(path)?;
    let broken = |reason: &str| Problem::error("E0310", format!("{} {reason}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| broken(&format!("is not PEM: {error}")))?;
        digest.update(&certificate);
        roots.add(certificate).map_err(|error| broken(&format!("holds what is no authority: {error}")))?;
    }
    if roots.is_empty() {
        return Err(broken("holds no certificate").help("PEM is expected: -----BEGIN CERTIFICATE-----"));
    }
    Ok(roots)
}

/// Lists in bytes, PEM or DER.
pub fn decode_lists(bytes: &[u8], path: &Path) -> Result<Vec<Arc<List>>, Problem> {
    let broken = |reason: String| Problem::error("E0324", format!("{} {reason}", path.display()));
    let is_pem = memchr::memmem::find(bytes, b"-----BEGIN").is_some();
    let ders: Vec<CertificateRevocationListDer<'_>> = if is_pem {
        let all: Result<_, _> = CertificateRevocationListDer::pem_slice_iter(bytes).collect();
        all.map_err(|error| broken(format!("is not PEM: {error}")))?
    } else {
        vec![CertificateRevocationListDer::from(bytes)]
    };
    if ders.is_empty() {
        return Err(broken("holds no revocation list".to_owned()));
    }
    let decode = |der: CertificateRevocationListDer<'_>| {
        let list = List::read(&der).map(Arc::new);
        list.map_err(|error| {
            // RFC 5280 5.1.2.1, 5.2: version 2, a number, a key identifier of the authority.
            broken(format!("is no revocation list: {error}")).help(
                "a list of version 2 is needed: with `openssl ca -gencrl`, set crlnumber and crl_extensions",
            )
        })
    };
    ders.into_iter().map(decode).collect()
}

/// The files that the patterns name now, in order.
pub fn list_files(auth: &ClientAuth) -> Vec<PathBuf> {
    let Lists::Used { files, .. } = &auth.lists else { return Vec::new() };
    let mut found: Vec<PathBuf> = files.iter().flat_map(|pattern| matching(pattern)).collect();
    found.sort();
    found.dedup();
    found.truncate(FILES_MAX);
    found
}

/// A file, the files of a folder, or those whose names match.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let (folder, name) = match (pattern.is_dir(), pattern.parent()) {
        (true, _) => (pattern, "*"),
        (false, Some(folder)) if name.contains('*') => (folder, name),
        (false, _) => return vec![pattern.to_owned()],
    };
    let Ok(entries) = fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    else {
        return Vec::new();
    };
    let is_meant = |path: &PathBuf| {
        let file = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        // Kubernetes keeps the versions of a mounted folder in hidden ones beside links to the files.
        !file.starts_with('.') && is_like(name, file) && path.is_file()
    };
    entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_meant).collect()
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

fn rules(profile: &str, auth: &ClientAuth) -> Rules {
    let lists = match auth.lists {
        Lists::Unused => None,
        Lists::Used { depth, unknown, expired, .. } => Some(ListRules {
            depth: match depth {
                Depth::Chain => RevocationCheckDepth::Chain,
                Depth::Leaf => RevocationCheckDepth::EndEntity,
            },
            unknown: match unknown {
                Verdict::Deny => UnknownStatusPolicy::Deny,
                Verdict::Allow => UnknownStatusPolicy::Allow,
            },
            expired: match expired {
                Verdict::Deny => ExpirationPolicy::Enforce,
                Verdict::Allow => ExpirationPolicy::Ignore,
            },
        }),
    };
    Rules {
        profile: profile.into(),
        presence: match auth.presence {
            guests::Presence::Required => Presence::Required,
            guests::Presence::Optional | guests::Presence::Off => Presence::Optional,
        },
        identity_from: auth.identity_from.clone(),
        allowed_names: auth.allowed_names.clone(),
        purposes: auth.purposes.clone(),
        lifetime_s_max: i64::try_from(auth.lifetime_max.as_secs()).unwrap_or(i64::MAX),
        rsa_bits_min: auth.rsa_bits_min,
        lists,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_match_in_whole() {
        for (pattern, name, expected) in [
            ("*.crl", "a.crl", true),
            ("*.crl", ".crl", true),
            ("*.crl", "a.crl.bak", false),
            ("a*b*.crl", "a-b-c.crl", true),
            ("a*b*.crl", "ab.crl", true),
            ("a*b*.crl", "a.crl", false),
            ("a.crl", "a.crl", true),
            ("a.crl", "b.crl", false),
            ("*", "anything", true),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
