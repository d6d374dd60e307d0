//! The question.
//! Never: a signature of ours; responders answer everybody.
//! Next: `response`, the answer.

use super::der::{INTEGER, Malformed, OCTET_STRING, OID, SEQUENCE, encode, explicit};
use super::{Subject, sha1};

/// Random bytes that the answer repeats. RFC 9654 2.1: 32 of them.
pub type Nonce = [u8; 32];

/// 1.3.14.3.2.26
pub(super) const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// RFC 6960 4.4.1: id-pkix-ocsp-nonce.
pub(super) const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
const NULL: &[u8] = &[0x05, 0x00];

/// Writes an OCSPRequest about one certificate, to be posted.
///
/// # Errors
/// When the issuer's key is not one.
// RFC 6960 4.1.1
pub fn encode_request(subject: &Subject, nonce: Option<&Nonce>) -> Result<Vec<u8>, Malformed> {
    let id = encode(
        SEQUENCE,
        &[
            &encode(SEQUENCE, &[&encode(OID, &[SHA1]), NULL]),
            &encode(OCTET_STRING, &[sha1(&subject.issuer.name).as_ref()]),
            &encode(OCTET_STRING, &[sha1(subject.issuer.key()?).as_ref()]),
            &encode(INTEGER, &[&subject.serial]),
        ],
    );
    let list = encode(SEQUENCE, &[&encode(SEQUENCE, &[&id])]);
    let extensions = nonce.map_or_else(Vec::new, |nonce| {
        let value = encode(OCTET_STRING, &[&encode(OCTET_STRING, &[nonce])]);
        let extension = encode(SEQUENCE, &[&encode(OID, &[NONCE]), &value]);
        encode(explicit(2), &[&encode(SEQUENCE, &[&extension])])
    });
    Ok(encode(SEQUENCE, &[&encode(SEQUENCE, &[&list, &extensions])]))
}
