//! Any bytes as revocation lists: no panic, and none that lets in who would be kept out without a list.
//! Next: `src/control/certs/clients.rs`.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mcpring::control::certs::clients::decode_lists;
use mcpring::pipeline::authenticate::certificate::Reason;
use mcpring::pipeline::authenticate::certificate::judge::{CLIENT_AUTH, Judge, ListRules, Presence, Rules};
use mcpring::pipeline::authenticate::certificate::names::NameKind;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{ExpirationPolicy, RevocationCheckDepth, UnknownStatusPolicy};

/// `scripts/certs` made it, the client and the seeds.
const AUTHORITY: &[u8] = include_bytes!("clients_ca.der");
const CLIENT: &[u8] = include_bytes!("../corpus/certificate/valid-uri");
/// The only lists that the authority has signed and that are not past their time.
const SIGNED: &[u8] = include_bytes!("../corpus/crl/der");
/// Unix seconds at which they are valid.
const NOW_S: u64 = 1_795_554_960;

static ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(AUTHORITY)).expect("an authority");
    roots
});

fuzz_target!(|input: &[u8]| {
    let Ok(lists) = decode_lists(input, Path::new("fuzz")) else { return };
    let rules = Rules {
        profile: "clients".into(),
        presence: Presence::Required,
        identity_from: vec![NameKind::Uri],
        allowed_names: Vec::new(),
        purposes: vec![CLIENT_AUTH.to_owned()],
        lifetime_s_max: i64::MAX,
        rsa_bits_min: 2048,
        lists: Some(ListRules {
            depth: RevocationCheckDepth::Chain,
            unknown: UnknownStatusPolicy::Deny,
            expired: ExpirationPolicy::Enforce,
        }),
    };
    let judge = Judge::build(ROOTS.clone(), lists, rules, None, [0; 32]);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW_S));
    match judge.judge(&[CertificateDer::from(CLIENT)], now) {
        // Somebody has found the signed list; PEM hides its bytes.
        Ok(()) => assert!(input == SIGNED || input.windows(10).any(|part| part == b"-----BEGIN")),
        Err(rejected) => assert!(
            matches!(rejected.reason, Reason::ListMissing | Reason::ListExpired | Reason::Untrusted),
            "{rejected}"
        ),
    }
});
