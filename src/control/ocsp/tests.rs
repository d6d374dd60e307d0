//! Answers made good and bad on the spot. `openssl ocsp` as the responder: `tests/endtoend/revocation.rs`.
//! Next: `response`, what is tested here.

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer as Signer, KeyPair, SerialNumber,
    SigningKey as _,
};
use time::OffsetDateTime;

use super::der::{
    BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, encode, explicit,
};
use super::request::{NONCE, SHA1, encode_request};
use super::response::{Answer, Disbelief, Status, verify_response};
use super::*;

const NOW_S: i64 = 1_795_338_840;
const HOUR_S: i64 = 3600;
const NONCE_BYTES: [u8; 32] = [7; 32];
/// 1.2.840.10045.4.3.2: ecdsa-with-SHA256.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

fn at(unix_s: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_s).expect("a date of our days")
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&[0x42, 0x17]));
    (params.not_before, params.not_after) = (at(NOW_S - HOUR_S), at(NOW_S + HOUR_S));
    params
}

/// An authority that answers.
struct Authority {
    signer: Signer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let (mut params, key) = (named(name), KeyPair::generate().expect("a key"));
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("our own parameters").der().clone();
        Self { signer: Signer::new(params, key), certificate }
    }

    fn subject(&self) -> Subject {
        let issuer = Issuer::of(&self.certificate).expect("our own certificate");
        Subject { issuer, serial: vec![0x42, 0x17] }
    }

    /// A responder's certificate; `change` spoils it.
    fn delegate(&self, change: impl FnOnce(&mut CertificateParams)) -> (KeyPair, CertificateDer<'static>) {
        let (mut params, key) = (named("responder"), KeyPair::generate().expect("a key"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.signer).expect("our own parameters");
        (key, certificate.der().clone())
    }
}

/// What an answer says; a test changes what it is about.
struct Said {
    about: Subject,
    status: Vec<u8>,
    this_update_s: i64,
    next_update_s: Option<i64>,
    nonce: Option<[u8; 32]>,
    critical: bool,
    times: usize,
}

impl Said {
    fn good(about: Subject) -> Self {
        Self {
            about,
            status: vec![0x80, 0],
            this_update_s: NOW_S - 60,
            next_update_s: Some(NOW_S + HOUR_S),
            nonce: Some(NONCE_BYTES),
            critical: false,
            times: 1,
        }
    }

    fn sign(&self, key: &KeyPair, certificates: &[&[u8]]) -> Vec<u8> {
        let extension = |name: &[u8], critical: &[u8], value: &[u8]| {
            let value = encode(OCTET_STRING, &[value]);
            encode(SEQUENCE, &[&encode(OID, &[name]), critical, &value])
        };
        let nonce =
            self.nonce.map_or_else(Vec::new, |nonce| extension(NONCE, &[], &encode(OCTET_STRING, &[&nonce])));
        let critical = if self.critical {
            extension(&[0x2a, 3], &encode(BOOLEAN, &[&[0xff]]), &[5, 0])
        } else {
            Vec::new()
        };
        let next = self.next_update_s.map_or_else(Vec::new, |next| encode(explicit(0), &[&moment(next)]));
        let id = encode(
            SEQUENCE,
            &[
                &encode(SEQUENCE, &[&encode(OID, &[SHA1])]),
                &encode(OCTET_STRING, &[sha1(&self.about.issuer.name).as_ref()]),
                &encode(OCTET_STRING, &[sha1(self.about.issuer.key().expect("a key")).as_ref()]),
                &encode(INTEGER, &[&self.about.serial]),
            ],
        );
        let single = encode(SEQUENCE, &[&id, &self.status, &moment(self.this_update_s), &next]);
        let data = encode(
            SEQUENCE,
            &[
                &encode(explicit(2), &[&encode(OCTET_STRING, &[&[0; 20]])]),
                &moment(self.this_update_s),
                &encode(SEQUENCE, &[&single.repeat(self.times)]),
                &encode(explicit(1), &[&encode(SEQUENCE, &[&nonce, &critical])]),
            ],
        );
        let signature = key.sign(&data).expect("a key that signs");
        let certificates = if certificates.is_empty() {
            Vec::new()
        } else {
            encode(explicit(0), &[&encode(SEQUENCE, certificates)])
        };
        let algorithm = encode(SEQUENCE, &[&encode(OID, &[ECDSA])]);
        let basic =
            encode(SEQUENCE, &[&data, &algorithm, &encode(BIT_STRING, &[&[0], &signature]), &certificates]);
        wrapped(&basic)
    }
}

/// Inside of a successful OCSPResponse.
fn wrapped(basic: &[u8]) -> Vec<u8> {
    let kind = encode(OID, &[&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01]]);
    let bytes = encode(SEQUENCE, &[&kind, &encode(OCTET_STRING, &[basic])]);
    encode(SEQUENCE, &[&encode(ENUMERATED, &[&[0]]), &encode(explicit(0), &[&bytes])])
}

fn moment(unix_s: i64) -> Vec<u8> {
    let at = at(unix_s);
    let text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    encode(GENERALIZED_TIME, &[text.as_bytes()])
}

fn judge(answer: &[u8], subject: &Subject) -> Result<Answer, Disbelief> {
    verify_response(answer, subject, Some(&NONCE_BYTES), NOW_S)
}

fn status(answer: &[u8], subject: &Subject) -> Result<Status, Disbelief> {
    judge(answer, subject).map(|answer| answer.status)
}

#[test]
fn believes_the_issuer() {
    let authority = Authority::new("ca");
    let subject = authority.subject();
    let sign = |said: Said| said.sign(authority.signer.key(), &[]);
    assert_eq!(
        judge(&sign(Said::good(authority.subject())), &subject),
        Ok(Answer { status: Status::Good, this_update_s: NOW_S - 60, good_until_s: NOW_S + HOUR_S })
    );
    let when = moment(NOW_S - HOUR_S);
    let revoked = encode(explicit(1), &[&when]);
    let revoked = Said { status: revoked, ..Said::good(authority.subject()) };
    assert_eq!(status(&sign(revoked), &subject), Ok(Status::Revoked));
    let unknown = Said { status: vec![0x82, 0], ..Said::good(authority.subject()) };
    assert_eq!(status(&sign(unknown), &subject), Ok(Status::Unknown));
    let without_nonce = Said { nonce: None, ..Said::good(authority.subject()) };
    assert_eq!(status(&sign(without_nonce), &subject), Ok(Status::Good));
    let undated = Said { next_update_s: None, ..Said::good(authority.subject()) };
    assert_eq!(judge(&sign(undated), &subject).map(|answer| answer.good_until_s), Ok(NOW_S - 60 + HOUR_S));
}

#[test]
fn refuses_what_is_old_early_or_about_something_else() {
    let authority = Authority::new("ca");
    let (subject, other) = (authority.subject(), Authority::new("ca"));
    let good = || Said::good(authority.subject());
    let mut serial = authority.subject();
    serial.serial = vec![0x42, 0x18];
    for (said, expected) in [
        (Said { nonce: Some([8; 32]), ..good() }, Disbelief::Nonce),
        (Said { this_update_s: NOW_S + 2 * 60, ..good() }, Disbelief::Early),
        (
            Said { next_update_s: Some(NOW_S - 2 * 60), this_update_s: NOW_S - HOUR_S, ..good() },
            Disbelief::Stale,
        ),
        (Said { next_update_s: None, this_update_s: NOW_S - 2 * HOUR_S, ..good() }, Disbelief::Stale),
        (Said { about: serial, ..good() }, Disbelief::OtherCertificate),
        (Said { about: other.subject(), ..good() }, Disbelief::OtherCertificate),
        (Said { critical: true, ..good() }, Disbelief::Critical),
        (Said { times: 2, ..good() }, Disbelief::Malformed),
        (Said { times: 0, ..good() }, Disbelief::OtherCertificate),
        (Said { status: vec![0x83, 0], ..good() }, Disbelief::Malformed),
    ] {
        assert_eq!(status(&said.sign(authority.signer.key(), &[]), &subject), Err(expected));
    }
}

#[test]
fn believes_whom_the_issuer_entrusted_and_nobody_else() {
    let (authority, namesake) = (Authority::new("ca"), Authority::new("ca"));
    let subject = authority.subject();
    let check = |(key, certificate): (KeyPair, CertificateDer<'static>), expected| {
        let answer = Said::good(authority.subject()).sign(&key, &[&certificate]);
        assert_eq!(status(&answer, &subject), expected);
    };
    let refused = Err(Disbelief::Signature);
    check(authority.delegate(|_| {}), Ok(Status::Good));
    check(authority.delegate(|params| params.extended_key_usages.clear()), refused);
    check(
        authority.delegate(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        refused,
    );
    check(
        authority.delegate(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        refused,
    );
    check(authority.delegate(|params| params.not_after = at(NOW_S - 1)), refused);
    check(authority.delegate(|params| params.not_before = at(NOW_S + 1)), refused);
    check(
        authority.delegate(|params| params.key_usages = vec![rcgen::KeyUsagePurpose::KeyEncipherment]),
        refused,
    );
    // Another authority of the same name.
    check(namesake.delegate(|_| {}), refused);
    let by_namesake = Said::good(authority.subject()).sign(namesake.signer.key(), &[&namesake.certificate]);
    assert_eq!(status(&by_namesake, &subject), refused);
    // A delegate's certificate beside somebody else's signature.
    let (_, certificate) = authority.delegate(|_| {});
    let forged = Said::good(authority.subject()).sign(namesake.signer.key(), &[&certificate]);
    assert_eq!(status(&forged, &subject), refused);
}

#[test]
fn refuses_what_was_changed_or_cut() {
    let authority = Authority::new("ca");
    let subject = authority.subject();
    let (key, certificate) = authority.delegate(|_| {});
    let answer = Said::good(authority.subject()).sign(&key, &[&certificate]);
    for length in 0..answer.len() {
        assert!(status(answer.get(..length).unwrap_or_default(), &subject).is_err(), "cut at {length}");
    }
    let untouched = status(&answer, &subject);
    assert_eq!(untouched, Ok(Status::Good));
    for at in 0..answer.len() {
        let mut changed = answer.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 0x01;
        }
        assert_ne!(status(&changed, &subject), Ok(Status::Revoked), "changed at {at}");
    }
    let mut long = answer.clone();
    long.resize(RESPONSE_BYTES_MAX + 1, 0);
    assert_eq!(status(&long, &subject), Err(Disbelief::Overlong));
    assert_eq!(status(&[0x30, 0x03, 0x0a, 0x01, 0x03], &subject), Err(Disbelief::Unwilling(3)));
}

#[test]
fn asks_with_the_nonce() {
    let subject = Authority::new("ca").subject();
    let with = encode_request(&subject, Some(&NONCE_BYTES)).expect("a key");
    let without = encode_request(&subject, None).expect("a key");
    assert!(memchr::memmem::find(&with, &NONCE_BYTES).is_some());
    assert!(memchr::memmem::find(&without, NONCE).is_none());
    assert!(memchr::memmem::find(&without, &[INTEGER, 2, 0x42, 0x17]).is_some());
}
