//! OCSP: the question whether a certificate was revoked, and whether the answer may be believed.
//! Stapling asks it of our own certificates, mutual TLS of those of clients.
//! Never: a connection, a clock or a random number but in `asker`, which brings them to the rest.
//! Next: `response`.

pub mod asker;
mod lanes;
pub mod der;
pub mod request;
pub mod response;
pub mod signature;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

use der::{BIT_STRING, Malformed, SEQUENCE, only};

/// The largest answer that is looked at. Bytes.
pub const RESPONSE_BYTES_MAX: usize = 32 * 1024;
/// The content type of a question.
pub const REQUEST_TYPE: &str = "application/ocsp-request";
/// The content type of an answer.
pub const RESPONSE_TYPE: &str = "application/ocsp-response";

/// RFC 5280 4.2.2.1: id-ad-ocsp.
const ACCESS_OCSP: &str = "1.3.6.1.5.5.7.48.1";
/// Responders of one certificate that are looked at.
const RESPONDERS_MAX: usize = 4;

/// Who issued the certificate that is asked about, as far as OCSP has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its name, DER.
    pub name: Vec<u8>,
    /// Its SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
}

impl Issuer {
    /// From its certificate.
    ///
    /// # Errors
    /// When that is not one.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Malformed> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Malformed)?;
        Ok(Self { name: parsed.subject().as_raw().to_vec(), spki: parsed.public_key().raw.to_vec() })
    }

    /// The bits of its key: what RFC 6960 4.1.1 hashes.
    fn key(&self) -> Result<&[u8], Malformed> {
        let mut spki = only(&self.spki, SEQUENCE)?.reader();
        spki.one(SEQUENCE)?;
        let (unused, key) = spki.one(BIT_STRING)?.content.split_first().ok_or(Malformed)?;
        if *unused == 0 { Ok(key) } else { Err(Malformed) }
    }
}

/// Which certificate is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who issued it.
    pub issuer: Issuer,
    /// Its serial number as in the certificate: the content of the INTEGER.
    pub serial: Vec<u8>,
}

impl Subject {
    /// The certificate `leaf`, which `issuer` issued.
    ///
    /// # Errors
    /// When one of them is no certificate.
    pub fn of(leaf: &CertificateDer<'_>, issuer: Issuer) -> Result<Self, Malformed> {
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| Malformed)?;
        Ok(Self { issuer, serial: parsed.raw_serial().to_vec() })
    }
}

/// Where the certificate says that it can be asked about: http and https, in its order, some at most.
// RFC 6960 3.1: authority information access.
pub fn responders(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let places = parsed.iter_extensions().filter_map(|extension| {
        if let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() {
            Some(access)
        } else {
            None
        }
    });
    let places = places.flat_map(|access| access.accessdescs.iter());
    let places = places.filter(|place| place.access_method.to_id_string() == ACCESS_OCSP);
    let urls =
        places.filter_map(
            |place| {
                if let GeneralName::URI(url) = &place.access_location { Some(*url) } else { None }
            },
        );
    urls.filter(|url| url.starts_with("http://") || url.starts_with("https://"))
        .take(RESPONDERS_MAX)
        .map(str::to_owned)
        .collect()
}

/// SHA-1 names a key here, it proves nothing: RFC 5019 has responders know it, many know nothing else.
fn sha1(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
}

#[cfg(test)]
pub(crate) mod tests;
