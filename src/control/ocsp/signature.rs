//! Signatures over DER by the algorithms that TLS knows too: no SHA-1, no RSA below 2048 bits.
//! Never: a chain; OCSP knows one issuer and whom that entrusted.
//! Next: `response`, which asks.

use rustls::crypto::aws_lc_rs;

use super::der::{BIT_STRING, Malformed, SEQUENCE, only};

/// Whether the holder of `spki` signed `message`. `algorithm` is the content of the AlgorithmIdentifier.
pub(super) fn is_signed(spki: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok((kind, key)) = split(spki) else { return false };
    let provider = aws_lc_rs::default_provider();
    provider.signature_verification_algorithms.all.iter().any(|known| {
        known.signature_alg_id().as_ref() == algorithm
            && known.public_key_alg_id().as_ref() == kind
            && known.verify_signature(key, message, signature).is_ok()
    })
}

/// What kind of key it is, and its bits.
fn split(spki: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut spki = only(spki, SEQUENCE)?.reader();
    let kind = spki.one(SEQUENCE)?.content;
    let (unused, key) = spki.one(BIT_STRING)?.content.split_first().ok_or(Malformed)?;
    if *unused == 0 { Ok((kind, key)) } else { Err(Malformed) }
}
