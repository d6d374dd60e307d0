//! What a TLS profile wants of the certificates of its clients, checked.
//! Never: a certificate, a list; `control/certs/clients.rs` reads what is named here.
//! Next: `control/certs/clients.rs`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pipeline::authenticate::certificate::names::{NameKind, NamePattern};

/// `tls.NAME.client_auth.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Nobody is asked.
    Off,
    /// Clients may show one; what they show has to be good.
    Optional,
    /// Nobody comes in without.
    Required,
}

/// An entry of `tls.NAME.client_auth.identity_from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The URI among the alternative names, of which there must be one only; SPIFFE puts it there.
    SanUri,
    /// The first host name among the alternative names.
    SanDns,
    /// The common name of the subject.
    Cn,
}

impl Identity {
    /// When nothing is said.
    pub const DEFAULT: [Self; 3] = [Self::SanUri, Self::SanDns, Self::Cn];

    /// As the judge knows it.
    pub fn kind(self) -> NameKind {
        match self {
            Self::SanUri => NameKind::Uri,
            Self::SanDns => NameKind::Dns,
            Self::Cn => NameKind::CommonName,
        }
    }
}

/// `tls.NAME.client_auth.crl.depth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The client's and those between it and the authority.
    Chain,
    /// The client's alone.
    Leaf,
}

/// What doubt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The client is not let in.
    Deny,
    /// It is.
    Allow,
}

/// `[tls.NAME.client_auth]`, unless it is off.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// Never `Off`.
    pub presence: Presence,
    /// PEM.
    pub ca_file: PathBuf,
    /// Never empty.
    pub identity_from: Vec<NameKind>,
    /// Empty lets in everybody.
    pub allowed_names: Vec<NamePattern>,
    /// Dotted.
    pub purposes: Vec<String>,
    /// `Duration::MAX` is no limit.
    pub lifetime_max: Duration,
    /// Shortest RSA key.
    pub rsa_bits_min: usize,
    /// Revocation lists.
    pub lists: Lists,
    /// Responders.
    pub ocsp: Ocsp,
}

/// Revocation lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lists {
    /// None is looked at.
    Unused,
    /// `[tls.NAME.client_auth.crl]`.
    Used {
        /// The last segment may have wildcards.
        files: Vec<PathBuf>,
        /// Where lists are fetched.
        urls: Vec<String>,
        /// How often.
        refresh: Duration,
        /// Which certificates are looked for.
        depth: Depth,
        /// When no list covers one.
        unknown: Verdict,
        /// When the list is past its time.
        expired: Verdict,
    },
}

impl Lists {
    /// What to watch: a file, or the folder of a name with wildcards.
    pub fn watched(&self) -> Vec<PathBuf> {
        let Self::Used { files, .. } = self else { return Vec::new() };
        let place = |file: &PathBuf| {
            let is_pattern = file.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'*'));
            let folder = file.parent().filter(|_| is_pattern);
            folder.map_or_else(|| file.clone(), PathBuf::from)
        };
        files.iter().map(place).collect()
    }
}

/// Responders of clients' certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ocsp {
    /// None is asked.
    Off,
    /// `[tls.NAME.client_auth.ocsp]`.
    Asked {
        /// None asks whom the certificate names.
        url: Option<String>,
        /// How long an answer is kept.
        ttl: Duration,
        /// When there is none.
        on_failure: Verdict,
    },
}
