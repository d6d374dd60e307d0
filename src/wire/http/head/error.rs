//! Why a request head is refused.
//! Next: `decode` in `mod.rs`, which is where each of these is decided.

use super::super::Framing;

/// The reason a head is refused; holds nothing the peer did not send itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// More bytes than `head_bytes_max` without an end in sight.
    #[error("request head too large")]
    HeadTooLarge,
    /// More field lines than `fields_max`.
    #[error("too many header fields")]
    TooManyFields,
    /// A request target over `target_bytes_max`.
    #[error("request target too long")]
    TargetTooLong,
    /// A method longer than any that exists.
    #[error("method not implemented")]
    MethodTooLong,
    /// A CR without LF, or a LF without CR.
    #[error("bare line end in request head")]
    BareLineEnd,
    /// NUL or another control byte.
    #[error("control byte in request head")]
    ControlByte,
    /// A field line that starts with white space.
    #[error("folded header field")]
    ObsFold,
    /// Not `method SP target SP version`.
    #[error("malformed request line")]
    BadRequestLine,
    /// A target that is none of the forms a request to this server may have.
    #[error("malformed request target")]
    BadTarget,
    /// Something other than `HTTP/d.d` where the version belongs.
    #[error("malformed protocol version")]
    BadVersion,
    /// A well-formed version other than 1.0 and 1.1.
    #[error("protocol version not supported")]
    VersionNotSupported,
    /// A field name that is empty, has a space before its colon or holds anything but token characters.
    #[error("malformed header field name")]
    BadFieldName,
    /// A field value with bytes that no value may hold.
    #[error("malformed header field value")]
    BadFieldValue,
    /// Bytes over 0x7f in a field whose meaning matters here.
    #[error("header field is not ASCII")]
    NonAsciiField,
    /// A field that may appear once appears again.
    #[error("header field appears twice")]
    DoubledField,
    /// HTTP/1.1 without a Host.
    #[error("Host is missing")]
    MissingHost,
    /// A Host that is not `host [":" port]`.
    #[error("malformed Host")]
    BadHost,
    /// An absolute target that names another authority than Host.
    #[error("target and Host differ")]
    AuthorityMismatch,
    /// A Content-Length that is not one plain decimal number of 64 bits.
    #[error("malformed Content-Length")]
    BadContentLength,
    /// Content-Length and Transfer-Encoding together.
    #[error("Content-Length with Transfer-Encoding")]
    LengthWithCoding,
    /// Transfer-Encoding in HTTP/1.0.
    #[error("Transfer-Encoding in HTTP/1.0")]
    CodingInOldVersion,
    /// A Transfer-Encoding that is doubled, malformed or has something after `chunked`.
    #[error("malformed Transfer-Encoding")]
    BadTransferEncoding,
    /// A transfer coding other than `chunked`.
    #[error("transfer coding not implemented")]
    UnknownCoding,
    /// An expectation other than `100-continue`.
    #[error("expectation cannot be met")]
    UnknownExpectation,
    /// The bytes given are not exactly one head.
    #[error("not one complete request head")]
    NotOneHead,
}

impl HeadError {
    /// The status code of the answer (RFC 9110 15, RFC 6585 5).
    pub const fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::TargetTooLong => 414,
            Self::VersionNotSupported => 505,
            Self::UnknownExpectation => 417,
            // RFC 9112 6.1: 501 for a coding not understood; RFC 9112 3: 501 for a method longer than any implemented.
            Self::UnknownCoding | Self::MethodTooLong => 501,
            Self::BareLineEnd
            | Self::ControlByte
            | Self::ObsFold
            | Self::BadRequestLine
            | Self::BadTarget
            | Self::BadVersion
            | Self::BadFieldName
            | Self::BadFieldValue
            | Self::NonAsciiField
            | Self::DoubledField
            | Self::MissingHost
            | Self::BadHost
            | Self::AuthorityMismatch
            | Self::BadContentLength
            | Self::LengthWithCoding
            | Self::CodingInOldVersion
            | Self::BadTransferEncoding
            | Self::NotOneHead => 400,
        }
    }

    /// Always [`Framing::Broken`]: a refused head yields no body length, so nobody knows where the next request starts.
    pub const fn trust(self) -> Framing {
        Framing::Broken
    }
}
