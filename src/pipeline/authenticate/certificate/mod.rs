//! The certificate a peer proved to hold: its names, what else is known of it, and why one is not accepted.
//! Never: a file, a responder; the control plane brings what a certificate is judged by.
//! Next: `judge`, which decides; `lists`, what is revoked; `names`, what a client may be called; `table`, which roles it has.

pub mod judge;
pub mod lists;
pub mod inquiry;
pub mod names;
pub mod table;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::pipeline::event::Count;
use names::{Name, NameKind};

/// Longest subject, issuer or name that is kept for the log. Bytes.
const WORDS_BYTES_MAX: usize = 200;
/// Names of one certificate; one more, and it names nobody: the one that counts might be among those not looked at.
const NAMES_MAX: usize = 64;

/// A certificate that was accepted.
pub struct ClientCertificate {
    /// What the client is called.
    pub identity: Arc<str>,
    /// Where in the certificate that stands.
    pub kind: NameKind,
    /// The subject, for people.
    pub subject: String,
    /// Big endian, as in the certificate.
    pub serial: Vec<u8>,
    /// SHA-256 of the issuer's name, DER.
    pub issuer_sha256: [u8; 32],
    /// SHA-256 of the certificate, DER: what `x5t#S256` of a bound token names (RFC 8705 3.1).
    pub sha256: [u8; 32],
    /// Unix seconds.
    pub not_after_s: u64,
    /// As it was sent, the certificate first.
    pub chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("identity", &self.identity)
            .field("serial", &hexadecimal(&self.serial))
            .finish_non_exhaustive()
    }
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for ClientCertificate {}

impl ClientCertificate {
    /// Reads a chain that was accepted; the first name of `kinds` that it has is the client's.
    ///
    /// # Errors
    /// When it can not be read after all.
    pub fn read(chain: &[CertificateDer<'_>], kinds: &[NameKind]) -> Result<Self, Rejected> {
        let Some(leaf) = chain.first() else { return Err(Rejected::bare(Reason::Malformed)) };
        let facts = Facts::read(leaf)?;
        let Some(name) = facts.identity(kinds) else { return Err(facts.rejected(Reason::Nameless)) };
        Ok(Self {
            identity: name.text.as_str().into(),
            kind: name.kind,
            subject: facts.subject.clone(),
            serial: facts.parsed.raw_serial().to_vec(),
            issuer_sha256: sha256(facts.parsed.issuer().as_raw()),
            sha256: sha256(leaf),
            not_after_s: u64::try_from(facts.parsed.validity().not_after.timestamp()).unwrap_or(0),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
        })
    }
}

/// Why a certificate is not accepted, in the order in which the reasons are told: of several the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// None came where one is required.
    Missing,
    /// It can not be read.
    Malformed,
    /// No path leads to an authority that is trusted here.
    Untrusted,
    /// It, or one of its path, is of the future.
    NotYetValid,
    /// It, or one of its path, is past its time.
    Expired,
    /// It is an authority's.
    Authority,
    /// It is for something else.
    Purpose,
    /// Its key is too short.
    WeakKey,
    /// It lives longer than certificates of clients may.
    LongLived,
    /// It names nobody, or in a way that leaves doubt.
    Nameless,
    /// It names somebody who may not come in.
    NameNotAllowed,
    /// A revocation list has it, or one of its path.
    RevokedByList,
    /// No revocation list covers it.
    ListMissing,
    /// The list that covers it is past its time.
    ListExpired,
    /// Its responder says so.
    RevokedByOcsp,
    /// Its responder does not know it.
    OcspUnknown,
    /// Its responder does not answer, or in a way that can not be believed.
    OcspFailed,
}

impl Reason {
    /// Every reason, in order.
    pub const ALL: &[Self] = &[
        Self::Missing,
        Self::Malformed,
        Self::Untrusted,
        Self::NotYetValid,
        Self::Expired,
        Self::Authority,
        Self::Purpose,
        Self::WeakKey,
        Self::LongLived,
        Self::Nameless,
        Self::NameNotAllowed,
        Self::RevokedByList,
        Self::ListMissing,
        Self::ListExpired,
        Self::RevokedByOcsp,
        Self::OcspUnknown,
        Self::OcspFailed,
    ];

    /// The stable word of the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "certificate_missing",
            Self::Malformed => "certificate_malformed",
            Self::Untrusted => "certificate_untrusted",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::Expired => "certificate_expired",
            Self::Authority => "certificate_of_authority",
            Self::Purpose => "certificate_purpose",
            Self::WeakKey => "certificate_weak_key",
            Self::LongLived => "certificate_long_lived",
            Self::Nameless => "certificate_nameless",
            Self::NameNotAllowed => "certificate_name_not_allowed",
            Self::RevokedByList => "certificate_revoked",
            Self::ListMissing => "crl_missing",
            Self::ListExpired => "crl_expired",
            Self::RevokedByOcsp => "ocsp_revoked",
            Self::OcspUnknown => "ocsp_unknown",
            Self::OcspFailed => "ocsp_failed",
        }
    }

    /// Its counter.
    pub fn count(self) -> Count {
        match self {
            Self::Missing => Count::TlsCertificateMissing,
            Self::Malformed => Count::TlsCertificateMalformed,
            Self::Untrusted => Count::TlsCertificateUntrusted,
            Self::NotYetValid => Count::TlsCertificateNotYetValid,
            Self::Expired => Count::TlsCertificateExpired,
            Self::Authority => Count::TlsCertificateOfAuthority,
            Self::Purpose => Count::TlsCertificatePurpose,
            Self::WeakKey => Count::TlsCertificateWeakKey,
            Self::LongLived => Count::TlsCertificateLongLived,
            Self::Nameless => Count::TlsCertificateNameless,
            Self::NameNotAllowed => Count::TlsCertificateNameNotAllowed,
            Self::RevokedByList => Count::TlsCertificateRevoked,
            Self::ListMissing => Count::TlsCrlMissing,
            Self::ListExpired => Count::TlsCrlExpired,
            Self::RevokedByOcsp => Count::TlsOcspRevoked,
            Self::OcspUnknown => Count::TlsOcspUnknown,
            Self::OcspFailed => Count::TlsOcspFailed,
        }
    }
}

/// A certificate that is not accepted. The peer is told only that; the log is told all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: subject {subject:?}, serial {serial:?}{}{detail}", reason.word(), if detail.is_empty() { "" } else { ", " })]
pub struct Rejected {
    /// The first reason.
    pub reason: Reason,
    /// The subject, empty when it can not be read.
    pub subject: String,
    /// The serial number in hexadecimal digits.
    pub serial: String,
    /// More, for the operator.
    pub detail: String,
}

impl Rejected {
    fn bare(reason: Reason) -> Self {
        Self { reason, subject: String::new(), serial: String::new(), detail: String::new() }
    }

    /// None came where one is required.
    pub fn missing() -> Self {
        Self::bare(Reason::Missing)
    }

    /// A certificate that was accepted and now is not.
    pub fn known(certificate: &ClientCertificate, reason: Reason) -> Self {
        Self {
            reason,
            subject: certificate.subject.clone(),
            serial: hexadecimal(&certificate.serial),
            detail: String::new(),
        }
    }

    /// What rustls gives back of what the judge gave it.
    pub fn of(error: &rustls::Error) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "rustls' list; only these are about certificates")]
        match error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(rustls::OtherError(inner))) => {
                inner.downcast_ref::<Self>().cloned()
            }
            rustls::Error::NoCertificatesPresented => Some(Self::missing()),
            rustls::Error::InvalidCertificate(_) => Some(Self::bare(Reason::Malformed)),
            _ => None,
        }
    }
}

/// A certificate as it is read for a judgement.
struct Facts<'a> {
    parsed: X509Certificate<'a>,
    subject: String,
    serial: String,
}

impl<'a> Facts<'a> {
    fn read(leaf: &'a CertificateDer<'_>) -> Result<Self, Rejected> {
        match X509Certificate::from_der(leaf) {
            Ok(([], parsed)) if parsed.subject_alternative_name().is_ok() => {
                let subject = clipped(&parsed.subject().to_string());
                let serial = hexadecimal(parsed.raw_serial());
                Ok(Self { parsed, subject, serial })
            }
            Ok(_) | Err(_) => Err(Rejected::bare(Reason::Malformed)),
        }
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        Rejected { reason, subject: self.subject.clone(), serial: self.serial.clone(), detail: String::new() }
    }

    /// The name of the first kind that the certificate has any of. More than one URI or common name is in doubt.
    // SPIFFE X.509-SVID 2: exactly one URI.
    fn identity(&self, kinds: &[NameKind]) -> Option<Name> {
        let alternative = self.parsed.subject_alternative_name().ok()?;
        let alternatives = alternative.map_or(0, |extension| extension.value.general_names.len());
        if alternatives.max(self.parsed.subject().iter_common_name().count()) > NAMES_MAX {
            return None;
        }
        kinds.iter().find_map(|kind| {
            let mut found = self.texts(*kind)?;
            let first = found.next()?;
            let is_alone = *kind == NameKind::Dns || found.next().is_none();
            Some(Name::read(*kind, first).filter(|_| is_alone))
        })?
    }

    /// All names of that kind; none when the certificate can not be read that far.
    fn texts(&self, kind: NameKind) -> Option<std::vec::IntoIter<&str>> {
        let texts: Vec<&str> = match kind {
            NameKind::CommonName => {
                let names = self.parsed.subject().iter_common_name();
                names.map(|name| name.as_str().unwrap_or_default()).collect()
            }
            NameKind::Uri | NameKind::Dns => {
                let names = match self.parsed.subject_alternative_name() {
                    Ok(Some(extension)) => &extension.value.general_names,
                    Ok(None) | Err(_) => return None,
                };
                let texts = names.iter().filter_map(|name| {
                    if let GeneralName::URI(text) = name {
                        (kind == NameKind::Uri).then_some(*text)
                    } else if let GeneralName::DNSName(text) = name {
                        (kind == NameKind::Dns).then_some(*text)
                    } else {
                        None
                    }
                });
                texts.collect()
            }
        };
        Some(texts.into_iter())
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    for (to, from) in sha256.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    sha256
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn clipped(words: &str) -> String {
    let (words, rest) = words.split_at(words.floor_char_boundary(WORDS_BYTES_MAX));
    if rest.is_empty() { words.to_owned() } else { format!("{words}...") }
}

#[cfg(test)]
pub(crate) mod tests;
