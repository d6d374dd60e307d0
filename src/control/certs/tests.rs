//! Certificates made good and bad on the spot, and handshakes in memory over the configurations built from them.
//! Next: `load`, what is tested here.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::client::{ClientConfig, ClientConnection};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, ServerConnection};
use time::OffsetDateTime;

use super::super::config::checked::{Certificate, SecretSource};
use super::*;

const NOW_S: i64 = 1_795_338_840;

/// A folder that goes away with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mcpring-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("the temporary folder is writable");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("our own file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn params(names: &[&str], from_s: i64, until_s: i64) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("none", String::as_str));
    params.not_before = OffsetDateTime::from_unix_timestamp(from_s).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(until_s).unwrap();
    params
}

fn no_files() -> Certificate {
    Certificate { cert_file: PathBuf::from("server.crt"), key_file: PathBuf::from("server.key") }
}

fn now_s() -> i64 {
    super::super::moment::unix_now_s()
}

/// A self-signed identity for `names`, valid now.
pub(crate) fn identity(names: &[&str]) -> Identity {
    let key = key();
    let certificate = params(names, now_s() - 60, now_s() + 86_400).self_signed(&key).unwrap();
    let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    load::build_identity("t", vec![certificate.der().clone()], &der, &no_files(), now_s()).unwrap()
}

/// An identity with the certificate of its issuer, valid now.
pub(crate) fn issued(names: &[&str]) -> Identity {
    let (root_key, leaf_key) = (key(), key());
    let mut root = params(&[], now_s() - 60, now_s() + 86_400);
    root.distinguished_name.push(DnType::CommonName, "root");
    root.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::from_params(&root, &root_key);
    let leaf = params(names, now_s() - 60, now_s() + 86_400).signed_by(&leaf_key, &issuer).unwrap();
    let der = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
    let chain = vec![leaf.der().clone(), root_certificate.der().clone()];
    load::build_identity("t", chain, &der, &no_files(), now_s()).unwrap()
}

/// `identities` as they are served.
pub(crate) fn material(profile: &TlsProfile, identities: Vec<Identity>) -> TlsMaterial {
    let config = build_server_config(profile, &identities, None, &mut Ticketing::default()).unwrap();
    TlsMaterial { config, judge: None, certificates: identities }
}

fn profile(min_version: TlsVersion, resumption: Resumption) -> TlsProfile {
    let mut profile = TlsProfile { min_version, resumption, ..TlsProfile::without_files("public") };
    if min_version == TlsVersion::Tls12 {
        profile.cipher_suites.extend(CipherSuite::TLS12);
    }
    profile
}

#[test]
fn loads_a_good_pair() {
    let scratch = Scratch::new();
    let key = key();
    let certificate =
        params(&["Mcp.Example.com", "*.example.com"], NOW_S - 60, NOW_S + 90).self_signed(&key).unwrap();
    let files = Certificate {
        cert_file: scratch.write("a.crt", &certificate.pem(), 0o644),
        key_file: scratch.write("a.key", &key.serialize_pem(), 0o600),
    };
    let identity = load::load_identity("public", &files, NOW_S).unwrap();
    assert_eq!(identity.names, ["mcp.example.com", "*.example.com"]);
    assert_eq!(identity.expires_at_s, NOW_S + 90);
}

#[test]
fn refuses_bad_pairs_and_lists_all_problems() {
    let scratch = Scratch::new();
    let (own, other) = (key(), key());
    let valid = |key: &KeyPair| params(&["a.test"], NOW_S - 60, NOW_S + 60).self_signed(key).unwrap().pem();
    let dated = |from: i64, until: i64| params(&["a.test"], from, until).self_signed(&own).unwrap().pem();
    let pem = own.serialize_pem();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let table: &[(&str, String, &str, u32, &[&str])] = &[
        ("another key", valid(&own), &other.serialize_pem(), 0o600, &["E0311"]),
        ("expired", dated(NOW_S - 99, NOW_S - 2), &pem, 0o600, &["E0313"]),
        ("not yet valid", dated(NOW_S + 7_200, NOW_S + 9_000), &pem, 0o600, &["E0313"]),
        ("expired and another key", dated(1, 2), &other.serialize_pem(), 0o600, &["E0311", "E0313"]),
        ("key open to all", valid(&own), &pem, 0o644, &["E0320"]),
        ("key open to its group", valid(&own), &pem, 0o640, &["E0320"]),
        ("no certificate", String::new(), &pem, 0o600, &["E0310"]),
        ("no certificate, no key", String::new(), "", 0o600, &["E0310", "E0317"]),
        ("certificate in the place of the key", valid(&own), &valid(&own), 0o600, &["E0317"]),
        ("encrypted key", valid(&own), encrypted, 0o600, &["E0317"]),
        ("unrelated second certificate", valid(&own) + &identity_pem("b.test"), &pem, 0o600, &["E0314"]),
    ];
    for (what, chain, key, mode, expect) in table {
        let files = Certificate {
            cert_file: scratch.write("x.crt", chain, 0o644),
            key_file: scratch.write("x.key", key, *mode),
        };
        let problems = load::load_identity("public", &files, NOW_S).err().unwrap_or_default();
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, *expect, "{what}");
    }
}

fn identity_pem(name: &str) -> String {
    params(&[name], NOW_S - 60, NOW_S + 60).self_signed(&key()).unwrap().pem()
}

#[test]
fn words_dates_and_mismatches_for_an_operator() {
    let (own, other) = (key(), key());
    let certificate = params(&["a.test"], 1, NOW_S).self_signed(&own).unwrap();
    let der = PrivateKeyDer::Pkcs8(other.serialize_der().into());
    let later = NOW_S + 2 * 86_400 + 5;
    let problems = load::build_identity("public", vec![certificate.der().clone()], &der, &no_files(), later)
        .err()
        .unwrap();
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(
        text[0].starts_with(
            "error[E0311]: the key does not belong to the certificate\n  certificate  server.crt"
        )
    );
    assert!(text[0].contains("(ECDSA P-256)"), "{}", text[0]);
    assert!(
        text[1].contains("certificate of tls.public expired 2 days ago (2026-11-22 09:14 UTC)"),
        "{}",
        text[1]
    );
}

#[test]
fn accepts_a_chain_in_order() {
    let (root_key, leaf_key) = (key(), key());
    let mut root = params(&[], NOW_S - 60, NOW_S + 60);
    root.distinguished_name.push(DnType::CommonName, "root");
    root.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::from_params(&root, &root_key);
    let leaf = params(&["a.test"], NOW_S - 60, NOW_S + 99).signed_by(&leaf_key, &issuer).unwrap();
    let der = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
    let (leaf, root) = (leaf.der().clone(), root_certificate.der().clone());
    let built = load::build_identity("t", vec![leaf.clone(), root.clone()], &der, &no_files(), NOW_S);
    assert_eq!(built.unwrap().expires_at_s, NOW_S + 60);
    let swapped = load::build_identity("t", vec![root, leaf], &der, &no_files(), NOW_S).err().unwrap();
    assert_eq!(swapped.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["E0311", "E0314"]);
}

/// What both ends agreed on.
struct Agreed {
    version: ProtocolVersion,
    group: NamedGroup,
    suite: rustls::CipherSuite,
    kind: HandshakeKind,
    leaf: Vec<u8>,
}

fn roots(identities: &[&Identity]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for identity in identities {
        roots.add(identity.certified.cert[0].clone()).unwrap();
    }
    roots
}

fn trusting(identities: &[&Identity]) -> ClientConfig {
    let mut client =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(identities))
            .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    client
}

fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<Agreed, rustls::Error> {
    let mut server = ServerConnection::new(Arc::clone(server))?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    for _ in 0..6 {
        warm::relay(&mut client, &mut server)?;
        warm::relay(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    assert_eq!(server.alpn_protocol(), Some(&b"http/1.1"[..]));
    Ok(Agreed {
        version: server.protocol_version().unwrap(),
        group: server.negotiated_key_exchange_group().unwrap().name(),
        suite: server.negotiated_cipher_suite().unwrap().suite(),
        kind: server.handshake_kind().unwrap(),
        leaf: client.peer_certificates().unwrap()[0].to_vec(),
    })
}

#[test]
fn speaks_tls13_with_a_hybrid_group_and_the_servers_suite() {
    let identity = identity(&["a.test"]);
    let server = build_server_config(
        &profile(TlsVersion::Tls13, Resumption::Tickets),
        std::slice::from_ref(&identity),
        None,
        &mut Ticketing::default(),
    )
    .unwrap();
    let mut client = trusting(&[&identity]);
    let mut provider = CryptoProvider::clone(client.crypto_provider());
    provider.cipher_suites.retain(|suite| suite.version().version == ProtocolVersion::TLSv1_3);
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() == rustls::CipherSuite::TLS13_AES_256_GCM_SHA384);
    let mut last_wish = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&[&identity]))
        .with_no_client_auth();
    last_wish.alpn_protocols = std::mem::take(&mut client.alpn_protocols);
    let agreed = handshake(&server, &Arc::new(last_wish), "a.test").unwrap();
    assert_eq!(agreed.version, ProtocolVersion::TLSv1_3);
    assert_eq!(agreed.group, NamedGroup::X25519MLKEM768);
    assert_eq!(agreed.suite, rustls::CipherSuite::TLS13_AES_256_GCM_SHA384);
    assert_eq!(server.max_early_data_size, 0);
    warm::warm_up(&server).unwrap();
}

#[test]
fn speaks_tls12_only_by_its_own_word() {
    let identity = identity(&["a.test"]);
    let old = Arc::new({
        let mut old =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS12])
                .unwrap()
                .with_root_certificates(roots(&[&identity]))
                .with_no_client_auth();
        old.alpn_protocols = vec![b"http/1.1".to_vec()];
        old
    });
    let build = |version| {
        build_server_config(
            &profile(version, Resumption::Tickets),
            std::slice::from_ref(&identity),
            None,
            &mut Ticketing::default(),
        )
        .unwrap()
    };
    assert!(handshake(&build(TlsVersion::Tls13), &old, "a.test").is_err());
    let agreed = handshake(&build(TlsVersion::Tls12), &old, "a.test").unwrap();
    assert_eq!(agreed.version, ProtocolVersion::TLSv1_2);
}

#[test]
fn resumes_across_a_reload_and_never_across_profiles() {
    let identity = identity(&["a.test"]);
    let mut tickets = Ticketing::default();
    let mut build = |name: &str, resumption| {
        let profile = TlsProfile { name: name.to_owned(), ..profile(TlsVersion::Tls13, resumption) };
        build_server_config(&profile, std::slice::from_ref(&identity), None, &mut tickets).unwrap()
    };
    let (before, after) = (build("public", Resumption::Tickets), build("public", Resumption::Tickets));
    let (other, off) = (build("internal", Resumption::Tickets), build("public", Resumption::Off));
    for (first, second, expect) in [
        (&before, &after, HandshakeKind::Resumed),
        (&before, &other, HandshakeKind::Full),
        (&before, &off, HandshakeKind::Full),
        (&off, &off, HandshakeKind::Full),
    ] {
        let client = Arc::new(trusting(&[&identity]));
        assert_eq!(handshake(first, &client, "a.test").unwrap().kind, HandshakeKind::Full);
        assert_eq!(handshake(second, &client, "a.test").unwrap().kind, expect);
    }
}

#[test]
fn chooses_the_certificate_by_sni_and_falls_back_to_the_first() {
    let identities = [identity(&["a.test"]), identity(&["*.b.test"])];
    let server = build_server_config(
        &profile(TlsVersion::Tls13, Resumption::Off),
        &identities,
        None,
        &mut Ticketing::default(),
    )
    .unwrap();
    let client = Arc::new(trusting(&[&identities[0], &identities[1]]));
    for (name, expect) in [("a.test", 0), ("x.b.test", 1)] {
        let agreed = handshake(&server, &client, name).unwrap();
        assert_eq!(agreed.leaf, identities[expect].certified.cert[0].to_vec(), "{name}");
    }
    let refusal = handshake(&server, &client, "x.y.b.test").err().unwrap();
    assert!(matches!(refusal, rustls::Error::InvalidCertificate(_)), "{refusal}");
}

/// What a profile agrees on with a client that offers everything.
fn agreed(change: impl FnOnce(&mut TlsProfile)) -> Agreed {
    let identity = identity(&["a.test"]);
    let mut profile = profile(TlsVersion::Tls12, Resumption::Tickets);
    change(&mut profile);
    let server = material(&profile, vec![identity.clone()]).config;
    handshake(&server, &Arc::new(trusting(&[&identity])), "a.test").unwrap()
}

#[test]
fn takes_the_first_suite_that_is_written_and_no_key_exchange_that_is_not() {
    use rustls::CipherSuite as Agreed;
    for (suites, expect) in [
        (vec![CipherSuite::Aes128Gcm, CipherSuite::Aes256Gcm], Agreed::TLS13_AES_128_GCM_SHA256),
        (vec![CipherSuite::Chacha20Poly1305, CipherSuite::Aes128Gcm], Agreed::TLS13_CHACHA20_POLY1305_SHA256),
    ] {
        assert_eq!(agreed(|profile| profile.cipher_suites = suites.clone()).suite, expect, "{suites:?}");
    }
    // Among those that are written the client's wish decides: rustls has no other way.
    for (exchanges, expect) in [
        (vec![KeyExchange::Secp384r1, KeyExchange::X25519MlKem768], NamedGroup::X25519MLKEM768),
        (vec![KeyExchange::X25519], NamedGroup::X25519),
        (vec![KeyExchange::Secp256r1], NamedGroup::secp256r1),
        (vec![KeyExchange::Secp384r1], NamedGroup::secp384r1),
    ] {
        assert_eq!(agreed(|profile| profile.key_exchange = exchanges.clone()).group, expect, "{exchanges:?}");
    }
}

#[test]
fn resumes_at_another_node_that_has_the_same_ticket_key() {
    let scratch = Scratch::new();
    let identity = identity(&["a.test"]);
    let secret = |name: &str, text: &str| SecretSource::File(scratch.write(name, text, 0o600));
    let shared = secret("shared", "0123456789abcdef0123456789abcdef");
    let node = |name: &str, source: &SecretSource| {
        let ticket_key = TicketKey::Shared(source.clone());
        let profile = TlsProfile { ticket_key, ..TlsProfile::without_files(name) };
        material(&profile, vec![identity.clone()]).config
    };
    let here = node("public", &shared);
    for (there, expect) in [
        (node("public", &shared), HandshakeKind::Resumed),
        (node("internal", &shared), HandshakeKind::Full),
        (node("public", &secret("other", "0123456789abcdef0123456789abcdeg")), HandshakeKind::Full),
    ] {
        let client = Arc::new(trusting(&[&identity]));
        assert_eq!(handshake(&here, &client, "a.test").unwrap().kind, HandshakeKind::Full);
        assert_eq!(handshake(&there, &client, "a.test").unwrap().kind, expect);
    }
    let short = TicketKey::Shared(secret("short", "0123456789abcdef"));
    let profile = TlsProfile { ticket_key: short, ..TlsProfile::without_files("public") };
    let problem = Ticketing::default().lease(&profile).unwrap_err();
    assert_eq!(problem.code, "E0351");
    assert!(!problem.to_string().contains("0123456789"), "{problem}");
}
