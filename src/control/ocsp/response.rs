//! The answer, and whether it may be believed: signed by the issuer or by whom it entrusted with that, about the
//! certificate that was asked about, of now, and with our nonce if it has one.
//! Never: an answer that is half believed: any doubt is an error.
//! Next: `signature`.

use aws_lc_rs::digest;
use time::{Date, Month};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::der::{
    BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, OID, Reader,
    SEQUENCE, Value, explicit, only,
};
use super::request::{NONCE, Nonce, SHA1};
use super::signature::is_signed;
use super::{RESPONSE_BYTES_MAX, Subject};

/// How far two clocks may be apart, seconds.
const SKEW_S: i64 = 60;
/// How long an answer is good that does not say so itself, seconds.
const UNDATED_S: i64 = 3600;
/// Certificates of an answer that are looked at.
const CERTIFICATES_MAX: usize = 4;
/// Certificates that one answer may speak of.
const SINGLES_MAX: usize = 64;

/// RFC 6960 4.2.1: id-pkix-ocsp-basic.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// 2.16.840.1.101.3.4.2.1 to .3
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];

const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;
const UNKNOWN: u8 = 0x82;

/// What the responder says of the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked,
    /// The responder does not know it.
    Unknown,
}

/// An answer that may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub status: Status,
    /// Since when that is known, Unix seconds.
    pub this_update_s: i64,
    /// Until when it holds, Unix seconds.
    pub good_until_s: i64,
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// Longer than [`RESPONSE_BYTES_MAX`].
    #[error("the answer is longer than {RESPONSE_BYTES_MAX} bytes")]
    Overlong,
    /// Not an OCSPResponse.
    #[error("the answer is not OCSP")]
    Malformed,
    /// The responder says that it will not answer.
    #[error("the responder refuses to answer (status {0})")]
    Unwilling(u8),
    /// It is marked with something critical that we do not know.
    #[error("the answer has a critical extension")]
    Critical,
    /// Neither the issuer signed it nor somebody it entrusted with that.
    #[error("the answer is not signed by the issuer or its delegate")]
    Signature,
    /// It is about other certificates.
    #[error("the answer is about another certificate")]
    OtherCertificate,
    /// It answers another question.
    #[error("the answer has another nonce")]
    Nonce,
    /// It is of the future.
    #[error("the answer is not valid yet")]
    Early,
    /// It is out of date.
    #[error("the answer has expired")]
    Stale,
}

impl From<Malformed> for Disbelief {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Reads an OCSPResponse and decides whether it may be believed. `nonce` is that of the question, if it had one; a
/// responder may leave it out, then the dates alone say how old the answer is.
///
/// # Errors
/// Why it is not believed.
// RFC 6960 3.2 has the list.
pub fn verify_response(
    der: &[u8],
    subject: &Subject,
    nonce: Option<&Nonce>,
    now_s: i64,
) -> Result<Answer, Disbelief> {
    if der.len() > RESPONSE_BYTES_MAX {
        return Err(Disbelief::Overlong);
    }
    let basic = basic(der)?;
    if !is_believable(&basic, subject, now_s) {
        return Err(Disbelief::Signature);
    }
    let data = Data::decode(basic.data)?;
    match (data.nonce, nonce) {
        (Some(echoed), Some(asked)) if echoed != asked => return Err(Disbelief::Nonce),
        // One that was not asked for proves nothing and harms nobody: the answer may have been made for another.
        (Some(_), Some(_) | None) | (None, _) => {}
    }
    let single = find(data.singles, subject)?;
    let good_until_s = single.next_update_s.unwrap_or(single.this_update_s.saturating_add(UNDATED_S));
    if single.this_update_s.max(data.produced_at_s) > now_s.saturating_add(SKEW_S) {
        return Err(Disbelief::Early);
    }
    if good_until_s < now_s.saturating_sub(SKEW_S) || good_until_s < single.this_update_s {
        return Err(Disbelief::Stale);
    }
    Ok(Answer { status: single.status, this_update_s: single.this_update_s, good_until_s })
}

struct Basic<'a> {
    data: Value<'a>,
    algorithm: &'a [u8],
    signature: &'a [u8],
    certificates: Option<Value<'a>>,
}

/// RFC 6960 4.2.1: OCSPResponse and, inside of it, BasicOCSPResponse.
fn basic(der: &[u8]) -> Result<Basic<'_>, Disbelief> {
    let mut response = only(der, SEQUENCE)?.reader();
    let status = response.one(ENUMERATED)?.content;
    let &[status] = status else { return Err(Disbelief::Malformed) };
    if status != 0 {
        return Err(Disbelief::Unwilling(status));
    }
    let mut bytes = only(response.one(explicit(0))?.content, SEQUENCE)?.reader();
    response.end()?;
    if bytes.one(OID)?.content != BASIC {
        return Err(Disbelief::Malformed);
    }
    let mut basic = only(bytes.one(OCTET_STRING)?.content, SEQUENCE)?.reader();
    bytes.end()?;
    let (data, algorithm) = (basic.one(SEQUENCE)?, basic.one(SEQUENCE)?.content);
    let (unused, signature) = basic.one(BIT_STRING)?.content.split_first().ok_or(Malformed)?;
    let certificates = match basic.optional(explicit(0))? {
        Some(list) => Some(only(list.content, SEQUENCE)?),
        None => None,
    };
    basic.end()?;
    if *unused != 0 {
        return Err(Disbelief::Malformed);
    }
    Ok(Basic { data, algorithm, signature, certificates })
}

/// Whether the issuer signed it, or the holder of a certificate that the issuer made for that purpose.
// RFC 6960 4.2.2.2
fn is_believable(basic: &Basic<'_>, subject: &Subject, now_s: i64) -> bool {
    let by = |spki: &[u8]| is_signed(spki, basic.algorithm, basic.data.whole, basic.signature);
    if by(&subject.issuer.spki) {
        return true;
    }
    let Some(list) = basic.certificates else { return false };
    let mut list = list.reader();
    for _ in 0..CERTIFICATES_MAX {
        let Ok(certificate) = list.one(SEQUENCE) else { return false };
        if let Some(spki) = delegate(certificate.whole, subject, now_s)
            && by(spki)
        {
            return true;
        }
    }
    false
}

/// The key of a certificate that the issuer itself made for signing OCSP answers, and that is good now.
fn delegate<'a>(certificate: &'a [u8], subject: &Subject, now_s: i64) -> Option<&'a [u8]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    let is_current = validity.not_before.timestamp() <= now_s && now_s <= validity.not_after.timestamp();
    // Not `anyExtendedKeyUsage`: RFC 6960 4.2.2.2 wants this one by name.
    let is_entrusted =
        parsed.extended_key_usage().ok().flatten().is_some_and(|usage| usage.value.ocsp_signing);
    let may_sign = match parsed.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature(),
        Ok(None) => true,
        Err(_) => false,
    };
    let is_of_issuer = parsed.issuer().as_raw() == subject.issuer.name;
    if !(is_current && is_entrusted && may_sign && is_of_issuer) {
        return None;
    }
    let mut outer = only(certificate, SEQUENCE).ok()?.reader();
    let (signed, algorithm) = (outer.one(SEQUENCE).ok()?, outer.one(SEQUENCE).ok()?);
    let (_, signature) = outer.one(BIT_STRING).ok()?.content.split_first()?;
    is_signed(&subject.issuer.spki, algorithm.content, signed.whole, signature)
        .then_some(parsed.tbs_certificate.subject_pki.raw)
}

/// ResponseData.
struct Data<'a> {
    produced_at_s: i64,
    singles: Value<'a>,
    nonce: Option<&'a [u8]>,
}

impl<'a> Data<'a> {
    fn decode(data: Value<'a>) -> Result<Self, Disbelief> {
        let mut data = data.reader();
        if let Some(version) = data.optional(explicit(0))?
            && only(version.content, INTEGER)?.content != [0]
        {
            return Err(Disbelief::Malformed);
        }
        // Who answers, by name or by key: who signed has been found without it.
        let responder = data.any()?;
        if responder.tag != explicit(1) && responder.tag != explicit(2) {
            return Err(Disbelief::Malformed);
        }
        let produced_at_s = time_of(data.one(GENERALIZED_TIME)?)?;
        let singles = data.one(SEQUENCE)?;
        let nonce = match data.optional(explicit(1))? {
            Some(extensions) => look_through(extensions)?,
            None => None,
        };
        data.end()?;
        Ok(Self { produced_at_s, singles, nonce })
    }
}

/// The nonce among extensions; an unknown one that is critical is an error.
fn look_through(extensions: Value<'_>) -> Result<Option<&[u8]>, Disbelief> {
    let mut list = only(extensions.content, SEQUENCE)?.reader();
    let mut nonce = None;
    while !list.is_at_end() {
        let mut extension = list.one(SEQUENCE)?.reader();
        let name = extension.one(OID)?.content;
        let is_critical = extension.optional(BOOLEAN)?.is_some_and(|value| value.content != [0]);
        let value = extension.one(OCTET_STRING)?;
        extension.end()?;
        if name == NONCE {
            if nonce.replace(only(value.content, OCTET_STRING)?.content).is_some() {
                return Err(Disbelief::Malformed);
            }
        } else if is_critical {
            return Err(Disbelief::Critical);
        }
    }
    Ok(nonce)
}

struct Single {
    status: Status,
    this_update_s: i64,
    next_update_s: Option<i64>,
}

/// What is said of that certificate. Said twice is in doubt.
fn find(singles: Value<'_>, subject: &Subject) -> Result<Single, Disbelief> {
    let mut list = singles.reader();
    let mut found = None;
    for _ in 0..SINGLES_MAX {
        if list.is_at_end() {
            break;
        }
        let mut single = list.one(SEQUENCE)?.reader();
        if !is_about(single.one(SEQUENCE)?, subject)? {
            continue;
        }
        if found.replace(single_response(single)?).is_some() {
            return Err(Disbelief::Malformed);
        }
    }
    if list.is_at_end() { found.ok_or(Disbelief::OtherCertificate) } else { Err(Disbelief::Overlong) }
}

fn single_response(mut single: Reader<'_>) -> Result<Single, Disbelief> {
    let status = match single.any()? {
        Value { tag: GOOD, content: [], .. } => Status::Good,
        Value { tag: REVOKED, .. } => Status::Revoked,
        Value { tag: UNKNOWN, content: [], .. } => Status::Unknown,
        Value { .. } => return Err(Disbelief::Malformed),
    };
    let this_update_s = time_of(single.one(GENERALIZED_TIME)?)?;
    let next_update_s = match single.optional(explicit(0))? {
        Some(next) => Some(time_of(only(next.content, GENERALIZED_TIME)?)?),
        None => None,
    };
    if let Some(extensions) = single.optional(explicit(1))? {
        look_through(extensions)?;
    }
    single.end()?;
    Ok(Single { status, this_update_s, next_update_s })
}

/// RFC 6960 4.1.1: CertID.
fn is_about(id: Value<'_>, subject: &Subject) -> Result<bool, Disbelief> {
    let mut id = id.reader();
    let hash = id.one(SEQUENCE)?.reader().one(OID)?.content;
    let algorithm = match hash {
        SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        SHA256 => &digest::SHA256,
        SHA384 => &digest::SHA384,
        SHA512 => &digest::SHA512,
        _ => return Ok(false),
    };
    let (name, key, serial) = (id.one(OCTET_STRING)?, id.one(OCTET_STRING)?, id.one(INTEGER)?);
    id.end()?;
    let is = |value: Value<'_>, bytes: &[u8]| value.content == digest::digest(algorithm, bytes).as_ref();
    Ok(serial.content == subject.serial && is(name, &subject.issuer.name) && is(key, subject.issuer.key()?))
}

/// `YYYYMMDDHHMMSSZ`.
// RFC 5280 4.1.2.5.2: with seconds, without fractions, in GMT.
fn time_of(value: Value<'_>) -> Result<i64, Malformed> {
    let (digits, zone) = value.content.split_at_checked(14).ok_or(Malformed)?;
    if zone != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let number = |from: usize, to: usize| -> Result<u16, Malformed> {
        let digits = digits.get(from..to).ok_or(Malformed)?;
        Ok(digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
    };
    let small = |from: usize| number(from, from + 2).map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    let month = Month::try_from(small(4)?).map_err(|_| Malformed)?;
    Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?)
        .and_then(|date| {
            date.with_hms(small(8).unwrap_or(99), small(10).unwrap_or(99), small(12).unwrap_or(99))
        })
        .map(|moment| moment.assume_utc().unix_timestamp())
        .map_err(|_| Malformed)
}
