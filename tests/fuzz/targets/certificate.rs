//! Any bytes as a client's certificate: no panic, no name that could be read in two ways, and nobody accepted whom the
//! authority did not sign.
//! Next: `src/pipeline/authenticate/certificate`.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mcpring::pipeline::authenticate::certificate::ClientCertificate;
use mcpring::pipeline::authenticate::certificate::judge::{CLIENT_AUTH, Judge, Presence, Rules};
use mcpring::pipeline::authenticate::certificate::names::{NAME_BYTES_MAX, NameKind, NamePattern};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};

/// `scripts/certs` made it; the seeds are of its making.
const AUTHORITY: &[u8] = include_bytes!("clients_ca.der");
/// Unix seconds at which the seeds are valid.
const NOW_S: u64 = 1_795_554_960;
/// Whom it signed.
const SIGNED: [&str; 3] = ["spiffe://example.com/agent/7", "a.agents.example.com", "cn:robot"];
const KINDS: [NameKind; 3] = [NameKind::Uri, NameKind::Dns, NameKind::CommonName];

static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(AUTHORITY)).expect("an authority");
    let patterns = ["spiffe://example.com/agent/*", "*.agents.example.com", "cn:robot"];
    let rules = Rules {
        profile: "clients".into(),
        presence: Presence::Required,
        identity_from: KINDS.to_vec(),
        allowed_names: patterns.map(|text| NamePattern::compile(text).expect("a pattern")).to_vec(),
        purposes: vec![CLIENT_AUTH.to_owned()],
        lifetime_s_max: i64::MAX,
        rsa_bits_min: 2048,
        lists: None,
    };
    Judge::build(roots, Vec::new(), rules, None, [0; 32])
});

fuzz_target!(|input: &[u8]| {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW_S));
    let chain = [CertificateDer::from(input)];
    let read = ClientCertificate::read(&chain, &KINDS);
    if let Ok(certificate) = &read {
        let name = &*certificate.identity;
        assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX + 3);
        assert!(!name.chars().any(|c| c.is_control() || matches!(c, '|' | '*')));
        assert_eq!(certificate.kind == NameKind::CommonName, name.starts_with("cn:"));
    }
    if JUDGE.judge(&chain, now).is_ok() {
        let certificate = read.expect("what is accepted can be read");
        assert!(SIGNED.contains(&&*certificate.identity), "{certificate:?}");
    }
    // As one between a client and the authority it is no more than it is.
    let mut longer = vec![CertificateDer::from(input), CertificateDer::from(input)];
    longer.extend(std::iter::repeat_n(CertificateDer::from(AUTHORITY), 3));
    assert_eq!(JUDGE.judge(&longer, now).is_ok(), JUDGE.judge(&chain, now).is_ok());
});
