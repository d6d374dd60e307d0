//! `[tls.NAME]` as written.
//! Never: what the settings mean together; that is `check/tls.rs`.
//! Next: `check/tls.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::checked::{Resumption, TlsVersion};
use super::super::profile::{CipherSuite, KeyExchange};
use super::super::quantity::Time;
use super::{ClientAuth, Pepper};

/// `[tls.NAME]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificates"]))]
pub(in super::super) struct Tls {
    /// The lowest protocol version. `"1.2"` also needs `allow_tls12 = true`.
    pub(in super::super) min_version: TlsVersion,
    /// Permits TLS 1.2.
    pub(in super::super) allow_tls12: bool,
    /// The suites that are offered. The first that the client has too is taken, whatever the client prefers.
    #[schemars(
        with = "Vec<CipherSuite>",
        length(min = 1, max = 9),
        extend("x-default" = "all, AES-256-GCM first, then ChaCha20-Poly1305, then AES-128-GCM; those of TLS 1.2 where it is permitted")
    )]
    pub(in super::super) cipher_suites: Option<Vec<CipherSuite>>,
    /// The key exchanges that are accepted. Of those the client's own favourite is taken.
    #[schemars(length(min = 1, max = 4))]
    pub(in super::super) key_exchange: Vec<KeyExchange>,
    /// How clients that come back save a full handshake.
    pub(in super::super) session_resumption: Resumption,
    /// How long a ticket key is in use. Its tickets are taken for as long again.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "3d"))]
    pub(in super::super) ticket_rotation: Time,
    /// The secret that the ticket keys are derived from, the same on all nodes: exactly one of `env`, `file` and
    /// `credential`. Without one each node draws its own.
    #[schemars(with = "Pepper")]
    pub(in super::super) ticket_key: Option<Pepper>,
    /// Whether files are loaded again when they change. A file that can not be used keeps the old one in use.
    pub(in super::super) reload_on_change: bool,
    /// How long before a certificate expires the log warns of it.
    #[schemars(
        length(max = 8),
        extend("items" = {
            "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "x-unit": "duration", "x-minimum": "1m", "x-maximum": "3650d"
        })
    )]
    pub(in super::super) expiry_warning: Vec<Time>,
    /// The longest that a certificate of this profile should be valid in all. A longer one is used, with a warning.
    #[schemars(
        with = "Time",
        extend("x-minimum" = "1h", "x-maximum" = "36500d", "x-default" = "none")
    )]
    pub(in super::super) max_certificate_age: Option<Time>,
    /// Whether proofs that certificates are not revoked are fetched and sent along in handshakes. A certificate that
    /// names no responder needs none.
    pub(in super::super) ocsp_stapling: bool,
    /// Where they are fetched.
    #[schemars(with = "String", extend("x-default" = "the responder that the certificate names", "x-form" = "http URL"))]
    pub(in super::super) ocsp_responder: Option<String>,
    /// Certificates of clients.
    #[schemars(with = "ClientAuth")]
    pub(in super::super) client_auth: Option<ClientAuth>,
    /// Certificates with their keys, chosen by the name the client asks for; the first is the fallback.
    #[schemars(length(min = 1, max = 64))]
    pub(in super::super) certificates: Vec<Certificate>,
}

/// `[[tls.NAME.certificates]]`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert_file", "key_file"]))]
pub(in super::super) struct Certificate {
    /// PEM file: the certificate first, then the intermediates.
    #[schemars(with = "String", length(min = 1), extend("x-form" = "file"))]
    pub(in super::super) cert_file: Option<String>,
    /// PEM file with the private key. Refused when its group or others may read it.
    #[schemars(with = "String", length(min = 1), extend("x-form" = "file"))]
    pub(in super::super) key_file: Option<String>,
}
