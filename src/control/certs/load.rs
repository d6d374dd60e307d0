//! A certificate chain and its key, from PEM, with every check that needs no network: the modes, the pair, the
//! dates, the order of the chain.
//! Never: a key in an error or in `Debug`.
//! Next: `resolve`, which chooses among several by name.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::super::config::checked::Certificate;
use super::super::files::{load_private, load_public};
use super::super::moment;
use super::super::problem::Problem;

/// A certificate chain with its key, checked.
#[derive(Clone)]
pub struct Identity {
    /// What a handshake signs with.
    pub certified: Arc<CertifiedKey>,
    /// DNS names of the leaf, lower case, wildcards as `*.example.com`.
    pub names: Vec<String>,
    /// When the first certificate of the chain expires, Unix seconds.
    pub expires_at_s: i64,
    /// How long the leaf is valid in all.
    pub lifetime: Duration,
    /// Of the leaf.
    pub fingerprint: Fingerprint,
}

/// The SHA-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// The fingerprint of a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    fingerprint
}

/// Reads and checks one `[[tls.NAME.certificates]]`. All problems are listed.
pub fn load_identity(profile: &str, files: &Certificate, now_s: i64) -> Result<Identity, Vec<Problem>> {
    let chain = load_public(&files.cert_file).and_then(|pem| decode_chain(&files.cert_file, &pem));
    let key = load_private(&files.key_file).and_then(|pem| decode_key(&files.key_file, &pem));
    match (chain, key) {
        (Ok(chain), Ok(key)) => build_identity(profile, chain, &key, files, now_s),
        (chain, key) => Err([chain.err(), key.err()].into_iter().flatten().collect()),
    }
}

fn decode_chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let broken = |reason: String| Problem::error("E0310", format!("{} {reason}", path.display()));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| broken(format!("is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(broken("holds no certificate".to_owned())
            .help("PEM is expected: -----BEGIN CERTIFICATE-----, leaf first, then intermediates"));
    }
    Ok(chain)
}

fn decode_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        // The parser's own error may quote the file, so it stays here.
        let problem = Problem::error("E0317", format!("{} holds no private key", path.display()));
        if memchr::memmem::find(pem, b"ENCRYPTED").is_some() {
            problem
                .note("it is encrypted, and nobody is there to type a passphrase")
                .help(format!("openssl pkey -in {} -out plain.key && chmod 600 plain.key", path.display()))
        } else {
            problem.help("PEM is expected: PKCS#8, PKCS#1 or SEC1")
        }
    })
}

/// Pairs a chain with its key. `files` are only named in problems.
pub fn build_identity(
    profile: &str,
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
    files: &Certificate,
    now_s: i64,
) -> Result<Identity, Vec<Problem>> {
    let signing = any_supported_type(key).map_err(|error| {
        vec![
            Problem::error(
                "E0316",
                format!("{}: this kind of key cannot be used: {error}", files.key_file.display()),
            )
            .help("ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more"),
        ]
    })?;
    let parsed = chain.iter().map(|der| X509Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
    let parsed: Vec<_> = parsed
        .map_err(|error| {
            vec![Problem::error("E0310", format!("{} is not X.509: {error}", files.cert_file.display()))]
        })?
        .into_iter()
        .map(|(_rest, certificate)| certificate)
        .collect();
    let mut problems = Vec::new();
    let Some(leaf) = parsed.first() else {
        return Err(vec![Problem::error("E0310", format!("{} is empty", files.cert_file.display()))]);
    };
    match signing.public_key() {
        Some(own) if own.as_ref() != leaf.public_key().raw => {
            problems.push(mismatch(files, leaf.public_key().raw, own.as_ref()));
        }
        Some(_) | None => {}
    }
    problems.extend(parsed.iter().filter_map(|certificate| check_dates(profile, certificate, now_s)));
    problems.extend(check_order(&parsed, files));
    if !problems.is_empty() {
        return Err(problems);
    }
    let names = names(leaf);
    let expires_at_s =
        parsed.iter().map(|certificate| certificate.validity().not_after.timestamp()).min().unwrap_or(now_s);
    let validity = leaf.validity();
    let lifetime_s = validity.not_after.timestamp().saturating_sub(validity.not_before.timestamp());
    let lifetime = Duration::from_secs(u64::try_from(lifetime_s).unwrap_or(0));
    let fingerprint = chain.first().map(fingerprint).unwrap_or_default();
    let certified = Arc::new(CertifiedKey::new(chain, signing));
    Ok(Identity { certified, names, expires_at_s, lifetime, fingerprint })
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = leaf.subject_alternative_name() else { return Vec::new() };
    extension
        .value
        .general_names
        .iter()
        .filter_map(
            |name| if let GeneralName::DNSName(dns) = name { Some(dns.to_ascii_lowercase()) } else { None },
        )
        .collect()
}

fn check_dates(profile: &str, certificate: &X509Certificate<'_>, now_s: i64) -> Option<Problem> {
    let (from, until) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let apart = |a: i64, b: i64| moment::distance(Duration::from_secs(a.abs_diff(b)));
    let words = if now_s > until {
        format!("expired {} ago ({})", apart(now_s, until), moment::minute(until))
    } else if now_s < from {
        format!("is not valid for another {} ({})", apart(from, now_s), moment::minute(from))
    } else {
        return None;
    };
    let help = if now_s > until { "renew it" } else { "check the clock of this machine, or wait" };
    Some(
        Problem::error("E0313", format!("certificate of tls.{profile} {words}"))
            .note(format!("subject {}", certificate.subject()))
            .help(help),
    )
}

/// RFC 8446 4.4.2: each certificate after the leaf should certify the one before it.
fn check_order(chain: &[X509Certificate<'_>], files: &Certificate) -> Option<Problem> {
    chain.iter().zip(chain.iter().skip(1)).find_map(|(below, above)| {
        (below.issuer().as_raw() != above.subject().as_raw()).then(|| {
            Problem::error("E0314", format!("{} is out of order", files.cert_file.display()))
                .note(format!("\"{}\" was issued by \"{}\"", below.subject(), below.issuer()))
                .note(format!("but the next certificate is \"{}\"", above.subject()))
                .help("leaf first, then the intermediate that signed it, and so on; leave the root out")
        })
    })
}

fn mismatch(files: &Certificate, certificate: &[u8], key: &[u8]) -> Problem {
    Problem::error("E0311", "the key does not belong to the certificate")
        .note(format!("certificate  {}   public key {}", files.cert_file.display(), abbreviated(certificate)))
        .note(format!("key          {}   public key {}", files.key_file.display(), abbreviated(key)))
        .help("the certificate was probably renewed with a new key; point key_file at the new one")
}

/// `SHA-256 4f1c...e2 (ECDSA P-256)` of a SubjectPublicKeyInfo.
fn abbreviated(spki: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, spki);
    let hex: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let (head, tail) = (hex.get(..2).unwrap_or_default().concat(), hex.last().cloned().unwrap_or_default());
    format!("SHA-256 {head}...{tail} ({})", algorithm(spki))
}

fn algorithm(spki: &[u8]) -> String {
    let Ok((_, info)) = SubjectPublicKeyInfo::from_der(spki) else { return "unknown".to_owned() };
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA P-{}", point.key_size()),
        // RFC 8410 3: id-Ed25519.
        _ if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => "Ed25519".to_owned(),
        _ => info.algorithm.algorithm.to_id_string(),
    }
}
