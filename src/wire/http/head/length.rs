//! How the body of a request is delimited: the rules that request smuggling lives on.
//! Next: `wire/http/chunked.rs` for the bytes of a chunked body.

use super::known::{elements, trim};
use super::{HeadError, Version};

/// How the body is delimited (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// Neither Content-Length nor Transfer-Encoding: there is no body.
    None,
    /// Content-Length: this many bytes follow.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

impl BodyLength {
    pub(super) fn decode(
        transfer_encoding: Option<&[u8]>,
        content_length: Option<&[u8]>,
        version: Version,
    ) -> Result<Self, HeadError> {
        match (transfer_encoding, content_length) {
            (None, None) => Ok(Self::None),
            (None, Some(value)) => decode_length(value).map(Self::Length),
            // RFC 9112 6.1: a server may reject a request with both; reading it either way is an attack's chance.
            (Some(_), Some(_)) => Err(HeadError::LengthWithCoding),
            (Some(value), None) => match version {
                // RFC 9112 6.1: HTTP/1.0 with Transfer-Encoding has faulty framing.
                Version::Http10 => Err(HeadError::CodingInOldVersion),
                Version::Http11 => check_codings(value).map(|()| Self::Chunked),
            },
        }
    }
}

/// RFC 9110 8.6: `1*DIGIT`, so no sign, no white space inside, no list.
///
/// Two things the RFC would let through are refused: a list of equal values (`5, 5`) and leading zeros, which some
/// readers take for octal. No honest client sends either.
fn decode_length(value: &[u8]) -> Result<u64, HeadError> {
    match value {
        [b'0'] => return Ok(0),
        [b'1'..=b'9', ..] => {}
        _ => return Err(HeadError::BadContentLength),
    }
    value
        .iter()
        .try_fold(0_u64, |length, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
            length.checked_mul(10)?.checked_add(u64::from(digit))
        })
        .ok_or(HeadError::BadContentLength)
}

/// Accepts exactly `chunked`, once (RFC 9112 6.1 and 7: names are case-insensitive, `identity` is gone).
fn check_codings(value: &[u8]) -> Result<(), HeadError> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut unknown_seen = false;
    let mut chunked_seen = false;
    for coding in elements(value) {
        let name = trim(coding.split(|byte| *byte == b';').next().unwrap_or_default());
        // RFC 9112 6.1: chunked may be applied once and only as the last coding; RFC 9112 7.1: it has no parameters.
        if name.is_empty() || chunked_seen {
            return Err(HeadError::BadTransferEncoding);
        }
        if !name.eq_ignore_ascii_case(b"chunked") {
            unknown_seen = true;
        } else if name.len() == coding.len() {
            chunked_seen = true;
        } else {
            return Err(HeadError::BadTransferEncoding);
        }
    }
    if unknown_seen { Err(HeadError::UnknownCoding) } else { Err(HeadError::BadTransferEncoding) }
}
