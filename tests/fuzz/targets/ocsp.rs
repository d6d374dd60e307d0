//! Any bytes as the answer of a responder: no panic, and none believed but what the authority or its delegate has signed:
//! that the certificate is revoked.
//! Next: `src/control/ocsp`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mcpring::control::ocsp::response::{Status, verify_response};
use mcpring::control::ocsp::{Issuer, Subject, responders};
use rustls::pki_types::CertificateDer;

/// `scripts/certs` made it; `openssl ocsp` made the seeds under it.
const AUTHORITY: &[u8] = include_bytes!("clients_ca.der");
/// Unix seconds at which the seeds are fresh.
const NOW_S: i64 = 1_795_554_960;

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| Subject {
    issuer: Issuer::of(&CertificateDer::from(AUTHORITY)).expect("an authority"),
    serial: vec![
        0x39, 0xB7, 0xA9, 0xDC, 0x62, 0x35, 0x46, 0xB3, 0x50, 0x1C, 0x4D, 0x30, 0x23, 0x99, 0x48, 0x50, 0xD6,
        0x26, 0x06, 0xB3,
    ],
});

fuzz_target!(|input: &[u8]| {
    if let Ok(answer) = verify_response(input, &SUBJECT, None, NOW_S) {
        assert_eq!(answer.status, Status::Revoked);
        assert!(answer.this_update_s <= answer.good_until_s);
    }
    assert!(responders(&CertificateDer::from(input)).iter().all(|url| url.starts_with("http")));
});
