//! The words of a TLS profile: suites, key exchanges, where a ticket key comes from, what a changed file means.
//! Never: an algorithm without forward secrecy or without authenticated encryption; there is no word for one.
//! Next: `control/certs`, which hands them to rustls.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checked::{Resumption, SecretSource, TlsProfile, TlsVersion};

/// An entry of `tls.NAME.cipher_suites`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CipherSuite {
    /// TLS 1.3.
    #[serde(rename = "TLS_AES_256_GCM_SHA384")]
    Aes256Gcm,
    /// TLS 1.3.
    #[serde(rename = "TLS_CHACHA20_POLY1305_SHA256")]
    Chacha20Poly1305,
    /// TLS 1.3.
    #[serde(rename = "TLS_AES_128_GCM_SHA256")]
    Aes128Gcm,
    /// TLS 1.2, for ECDSA certificates.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")]
    EcdsaAes256Gcm,
    /// TLS 1.2, for RSA certificates.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")]
    RsaAes256Gcm,
    /// TLS 1.2, for ECDSA certificates.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")]
    EcdsaChacha20Poly1305,
    /// TLS 1.2, for RSA certificates.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")]
    RsaChacha20Poly1305,
    /// TLS 1.2, for ECDSA certificates.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")]
    EcdsaAes128Gcm,
    /// TLS 1.2, for RSA certificates.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")]
    RsaAes128Gcm,
}

impl CipherSuite {
    /// Those of TLS 1.3, best first.
    pub const TLS13: [Self; 3] = [Self::Aes256Gcm, Self::Chacha20Poly1305, Self::Aes128Gcm];
    /// Those of TLS 1.2, best first. RFC 9325 4.2: ECDHE with an AEAD.
    pub const TLS12: [Self; 6] = [
        Self::EcdsaAes256Gcm,
        Self::RsaAes256Gcm,
        Self::EcdsaChacha20Poly1305,
        Self::RsaChacha20Poly1305,
        Self::EcdsaAes128Gcm,
        Self::RsaAes128Gcm,
    ];

    /// Whether it is one of TLS 1.2.
    pub fn is_tls12(self) -> bool {
        Self::TLS12.contains(&self)
    }
}

/// An entry of `tls.NAME.key_exchange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum KeyExchange {
    /// X25519 and ML-KEM-768 together: safe while either is, also against a quantum computer. TLS 1.3 only.
    #[serde(rename = "X25519MLKEM768")]
    X25519MlKem768,
    /// Curve25519.
    #[serde(rename = "X25519")]
    X25519,
    /// NIST P-256.
    #[serde(rename = "SECP256R1")]
    Secp256r1,
    /// NIST P-384.
    #[serde(rename = "SECP384R1")]
    Secp384r1,
}

impl KeyExchange {
    /// What is accepted when nothing is said, best first.
    pub const DEFAULT: [Self; 3] = [Self::X25519MlKem768, Self::X25519, Self::Secp256r1];

    /// Whether TLS 1.2 can use it.
    pub fn is_classical(self) -> bool {
        self != Self::X25519MlKem768
    }
}

/// Where the keys of session tickets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketKey {
    /// This process draws them: a client resumes where it was, not at another node.
    Own,
    /// Derived from a secret that all nodes have.
    Shared(SecretSource),
}

/// `tls.NAME.reload_on_change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// The files are watched and loaded again.
    Reload,
    /// They are loaded again on SIGHUP only.
    Wait,
}

/// Where proofs that a certificate is not revoked are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stapling {
    /// Nowhere.
    Off,
    /// From the responder that the certificate names, if it names one.
    Named,
    /// From this URL.
    Responder(String),
}

impl TlsProfile {
    /// TLS 1.3 as the defaults have it, for certificates that come from no file: nothing to watch, to warn of or to fetch.
    pub fn without_files(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            min_version: TlsVersion::Tls13,
            certificates: Vec::new(),
            cipher_suites: CipherSuite::TLS13.to_vec(),
            key_exchange: KeyExchange::DEFAULT.to_vec(),
            resumption: Resumption::Tickets,
            ticket_rotation: Duration::from_secs(6 * 3600),
            ticket_key: TicketKey::Own,
            on_change: OnChange::Wait,
            expiry_warnings: Vec::new(),
            certificate_age_max: Duration::MAX,
            stapling: Stapling::Off,
            client_auth: None,
        }
    }
}
