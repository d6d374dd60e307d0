//! The local certificate authority of `mcpring dev`: made on first use, kept in the user's data folder, bound to
//! loopback names, and a short-lived `localhost` certificate signed by it in memory.
//! Never: the CA's key outside its file (mode 0600, folder 0700); a certificate for any other name.
//! Next: `dev`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::PrivateKeyDer;
use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;
use zeroize::Zeroizing;

use super::certs::load::{Identity, build_identity};
use super::config::checked::Certificate;
use super::files::{load_private, load_public, reason};
use super::moment;
use super::problem::{Exit, Problem};

const DAY_S: i64 = 86_400;
/// Long enough to be trusted once and forgotten, short enough not to outlive the machine.
const CA_DAYS: i64 = 2 * 365;
const LEAF_DAYS: i64 = 30;
/// Clocks of containers and virtual machines lag.
const SKEW_S: i64 = 3_600;

/// How this run came by its CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    Kept,
    /// There was none.
    Made,
    /// The old one could not be used, for this reason; clients have to trust the new one.
    Remade(String),
}

/// The local CA.
pub struct DevCa {
    /// What clients are told to trust.
    pub ca_file: PathBuf,
    /// How this run came by it.
    pub origin: Origin,
    issuer: Issuer<'static, KeyPair>,
    expires_at_s: i64,
}

impl DevCa {
    /// The CA in `folder`, made or remade when there is none that can be used.
    pub fn load_or_build(folder: &Path, now_s: i64) -> Result<Self, Problem> {
        let failed = |error: &io::Error| {
            Problem::error(
                "E0341",
                format!("cannot keep the local CA in {}: {}", folder.display(), reason(error)),
            )
            .help("mcpring dev --data-dir FOLDER")
            .exit(Exit::Permission)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(&error))?;
        // Two first runs at once must not leave the certificate of one beside the key of the other.
        let lock = File::create(folder.join("lock")).map_err(|error| failed(&error))?;
        lock.lock().map_err(|error| failed(&error))?;
        let (ca_file, key_file) = (folder.join("ca.crt"), folder.join("ca.key"));
        let origin = if !ca_file.exists() && !key_file.exists() {
            Origin::Made
        } else {
            match load(&ca_file, &key_file, now_s) {
                Ok((issuer, expires_at_s)) => {
                    return Ok(Self { ca_file, origin: Origin::Kept, issuer, expires_at_s });
                }
                Err(reason) => Origin::Remade(reason),
            }
        };
        let (certificate, key, expires_at_s) = build(now_s).map_err(|error| broken(&error))?;
        replace(&key_file, &Zeroizing::new(key.serialize_pem()), 0o600).map_err(|error| failed(&error))?;
        replace(&ca_file, &certificate, 0o644).map_err(|error| failed(&error))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key).map_err(|error| broken(&error))?;
        Ok(Self { ca_file, origin, issuer, expires_at_s })
    }

    /// A certificate for `localhost`, `127.0.0.1` and `::1`, never written anywhere.
    pub fn issue(&self, now_s: i64) -> Result<Identity, Vec<Problem>> {
        let sign = || -> Result<_, rcgen::Error> {
            let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
            let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
            params.subject_alt_names.extend([
                SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            ]);
            params.distinguished_name = named("localhost");
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            params.not_before = at(now_s - SKEW_S);
            params.not_after = at(self.expires_at_s.min(now_s + LEAF_DAYS * DAY_S));
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok((certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into())))
        };
        let (certificate, key) = sign().map_err(|error| vec![broken(&error)])?;
        let memory =
            Certificate { cert_file: PathBuf::from("(in memory)"), key_file: PathBuf::from("(in memory)") };
        build_identity("dev", vec![certificate], &key, &memory, now_s)
    }
}

fn broken(error: &rcgen::Error) -> Problem {
    Problem::error("E0342", format!("cannot make the local CA: {error}")).exit(Exit::Unavailable)
}

/// The CA as it was kept, or why it can not be used.
fn load(ca_file: &Path, key_file: &Path, now_s: i64) -> Result<(Issuer<'static, KeyPair>, i64), String> {
    let certificate = load_public(ca_file).map_err(|problem| problem.what)?;
    let key = load_private(key_file).map_err(|problem| problem.what)?;
    let (_, block) = parse_x509_pem(&certificate).map_err(|_| "ca.crt is not PEM".to_owned())?;
    let parsed = block.parse_x509().map_err(|_| "ca.crt is not a certificate".to_owned())?;
    let expires_at_s = parsed.validity().not_after.timestamp();
    // The certificate it is about to sign should live at least a day.
    if expires_at_s < now_s + DAY_S {
        let past = if expires_at_s < now_s { "it expired" } else { "it expires" };
        return Err(format!("{past} {}", moment::minute(expires_at_s)));
    }
    if parsed.validity().not_before.timestamp() > now_s {
        return Err("it is not valid yet".to_owned());
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| "it is not text".to_owned());
    let key = Zeroizing::new(text(&key)?);
    let key = KeyPair::from_pem(&key).map_err(|_| "ca.key is not a private key".to_owned())?;
    use rcgen::PublicKeyData as _;
    if key.subject_public_key_info() != parsed.public_key().raw {
        return Err("ca.key does not belong to ca.crt".to_owned());
    }
    if !parsed.is_ca() {
        return Err("ca.crt is not a certificate authority".to_owned());
    }
    let issuer = Issuer::from_ca_cert_pem(&text(&certificate)?, key)
        .map_err(|_| "ca.crt cannot be used to sign".to_owned())?;
    Ok((issuer, expires_at_s))
}

fn build(now_s: i64) -> Result<(String, KeyPair, i64), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let expires_at_s = now_s + CA_DAYS * DAY_S;
    let mut params = CertificateParams::new(Vec::new())?;
    let user = std::env::var("USER").unwrap_or_else(|_| "this user".to_owned());
    params.distinguished_name = named(&format!("mcpring development CA of {}", printable(&user)));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    // RFC 5280 4.2.1.10: whoever steals this key can still not speak for any name but loopback's.
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::V6(Ipv6Addr::LOCALHOST.octets(), [0xff; 16])),
        ],
        excluded_subtrees: Vec::new(),
    });
    params.not_before = at(now_s - SKEW_S);
    params.not_after = at(expires_at_s);
    Ok((params.self_signed(&key)?.pem(), key, expires_at_s))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "mcpring development");
    name.push(DnType::CommonName, common_name);
    name
}

fn printable(user: &str) -> String {
    user.chars().filter(char::is_ascii_alphanumeric).take(32).collect()
}

fn at(unix_s: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Writes beside `path`, then renames over it: a reader sees the old file or the new one, never half.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, path)
}

/// `30 days` of the certificate a run issues, for the banner.
pub fn leaf_life() -> Duration {
    Duration::from_secs((LEAF_DAYS * DAY_S).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::certs::tests::Scratch;
    use super::*;

    fn now_s() -> i64 {
        moment::unix_now_s()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn makes_a_ca_once_and_keeps_it() {
        let scratch = Scratch::new();
        let folder = scratch.path().join("data/dev-ca");
        let first = DevCa::load_or_build(&folder, now_s()).unwrap();
        let text = fs::read(&first.ca_file).unwrap();
        assert_eq!(first.origin, Origin::Made);
        assert_eq!((mode(&folder), mode(&folder.join("ca.key"))), (0o700, 0o600));
        let second = DevCa::load_or_build(&folder, now_s()).unwrap();
        assert_eq!(second.origin, Origin::Kept);
        assert_eq!(fs::read(&second.ca_file).unwrap(), text);
        assert!(second.issue(now_s()).unwrap().expires_at_s <= now_s() + LEAF_DAYS * DAY_S);
    }

    #[test]
    fn remakes_what_cannot_be_used_and_says_why() {
        let other = Scratch::new();
        DevCa::load_or_build(other.path(), now_s()).unwrap();
        let foreign = fs::read_to_string(other.path().join("ca.key")).unwrap();
        let table: &[(&str, &str, &str, u32, i64)] = &[
            ("it expired", "", "", 0, CA_DAYS * DAY_S + 9),
            ("it expires", "", "", 0, CA_DAYS * DAY_S - 9),
            ("it is not valid yet", "", "", 0, -2 * SKEW_S),
            ("ca.crt is not PEM", "ca.crt", "x", 0o644, 0),
            ("ca.key is not a private key", "ca.key", "x", 0o600, 0),
            ("is readable by everyone (mode 0644)", "ca.key", &foreign, 0o644, 0),
            ("ca.key does not belong to ca.crt", "ca.key", &foreign, 0o600, 0),
        ];
        for (expect, name, text, mode, later_s) in table {
            let scratch = Scratch::new();
            DevCa::load_or_build(scratch.path(), now_s()).unwrap();
            if !name.is_empty() {
                scratch.write(name, text, *mode);
            }
            let again = DevCa::load_or_build(scratch.path(), now_s() + later_s).unwrap();
            assert!(
                matches!(&again.origin, Origin::Remade(why) if why.contains(expect)),
                "{:?}",
                again.origin
            );
            let third = DevCa::load_or_build(scratch.path(), now_s() + later_s).unwrap();
            assert_eq!(third.origin, Origin::Kept, "{expect}");
        }
    }

    #[test]
    fn remakes_a_ca_whose_key_is_gone() {
        let scratch = Scratch::new();
        DevCa::load_or_build(scratch.path(), now_s()).unwrap();
        fs::remove_file(scratch.path().join("ca.key")).unwrap();
        let again = DevCa::load_or_build(scratch.path(), now_s()).unwrap();
        assert!(matches!(again.origin, Origin::Remade(_)));
    }

    /// What `openssl verify -x509_strict` and Python's `VERIFY_X509_STRICT` ask for beyond a good signature.
    #[test]
    fn carries_what_strict_verifiers_ask_for() {
        use x509_parser::prelude::{FromDer as _, X509Certificate};
        // RFC 5280 4.2.1: critical ones are marked `!`.
        const SUBJECT_KEY: &str = "2.5.29.14";
        const KEY_USAGE: &str = "2.5.29.15!";
        const ALTERNATIVE_NAME: &str = "2.5.29.17";
        const BASIC_CONSTRAINTS: &str = "2.5.29.19!";
        const NAME_CONSTRAINTS: &str = "2.5.29.30!";
        const AUTHORITY_KEY: &str = "2.5.29.35";
        const EXTENDED_USAGE: &str = "2.5.29.37";
        let scratch = Scratch::new();
        let ca = DevCa::load_or_build(scratch.path(), now_s()).unwrap();
        let identity = ca.issue(now_s()).unwrap();
        let pem = fs::read(&ca.ca_file).unwrap();
        let (_, block) = parse_x509_pem(&pem).unwrap();
        let extensions = |der: &[u8]| {
            let (_, certificate) = X509Certificate::from_der(der).unwrap();
            let mark = |critical| if critical { "!" } else { "" };
            let mut found: Vec<String> = certificate
                .extensions()
                .iter()
                .map(|extension| extension.oid.to_id_string() + mark(extension.critical))
                .collect();
            found.sort();
            found
        };
        assert_eq!(
            extensions(&block.contents),
            [SUBJECT_KEY, KEY_USAGE, BASIC_CONSTRAINTS, NAME_CONSTRAINTS, AUTHORITY_KEY]
        );
        assert_eq!(
            extensions(&identity.certified.cert[0]),
            [SUBJECT_KEY, KEY_USAGE, ALTERNATIVE_NAME, BASIC_CONSTRAINTS, AUTHORITY_KEY, EXTENDED_USAGE]
        );
    }

    #[test]
    fn speaks_for_loopback_names_and_no_others() {
        use rustls::client::WebPkiServerVerifier;
        use rustls::client::danger::ServerCertVerifier as _;
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
        let scratch = Scratch::new();
        let ca = DevCa::load_or_build(scratch.path(), now_s()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&ca.ca_file).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let accepted = |certificate: &CertificateDer<'_>, name: &str| {
            let name = ServerName::try_from(name).unwrap();
            verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).is_ok()
        };
        let identity = ca.issue(now_s()).unwrap();
        for (name, expect) in
            [("localhost", true), ("127.0.0.1", true), ("::1", true), ("127.0.0.2", false), ("a.test", false)]
        {
            assert_eq!(accepted(&identity.certified.cert[0], name), expect, "{name}");
        }
        // A thief of ca.key could sign this, and no client would take it.
        let mut stolen = CertificateParams::new(vec!["bank.test".to_owned()]).unwrap();
        stolen.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let stolen = stolen.signed_by(&KeyPair::generate().unwrap(), &ca.issuer).unwrap();
        assert!(!accepted(stolen.der(), "bank.test"));
    }
}
