//! What is known of a client by the certificate that its connection was opened with.
//! Never: a check of the certificate itself; `tls` and the control plane's verifier made them all.
//! Next: `grants`, which roles a name has.

use std::sync::Arc;

/// A client certificate that passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The name it gives its holder: a URI, a DNS name or a common name.
    pub identity: Arc<str>,
    /// SHA-256 of the certificate, DER. RFC 8705 3.1: `x5t#S256`.
    pub sha256: [u8; 32],
    /// Big endian, as in the certificate.
    pub serial: Vec<u8>,
    /// SHA-256 of the issuer's name, DER.
    pub issuer_sha256: [u8; 32],
    /// Unix seconds.
    pub not_after_s: u64,
}
