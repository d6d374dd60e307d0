//! `[tls.NAME.client_auth]` and `[auth.mtls]` as written.
//! Never: what the settings mean together; that is `check/client_auth.rs`.
//! Next: `check/client_auth.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::guests::{Depth, Identity, Presence, Verdict};
use super::super::quantity::Time;

/// `[tls.NAME.client_auth]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct ClientAuth {
    /// Whether clients are asked for a certificate.
    pub(in super::super) mode: Presence,
    /// PEM file with the authorities that certify clients, and nobody else. Needed unless `mode` is `"off"`.
    #[schemars(with = "String", length(min = 1), extend("x-default" = "none", "x-form" = "file"))]
    pub(in super::super) ca_file: Option<String>,
    /// Where in the certificate the client's name stands: the first that is there counts.
    #[schemars(length(min = 1, max = 3))]
    pub(in super::super) identity_from: Vec<Identity>,
    /// Who may come in: names, where `*` stands for one whole label of a host name or one whole segment of a URI's path,
    /// and `**` for the rest of a path; a common name is written `cn:NAME`. An empty list lets in everybody whom the authorities certify.
    #[schemars(extend("x-form" = "name patterns"))]
    pub(in super::super) allowed_names: Vec<String>,
    /// Extended key usages that a certificate must have, all of them: `"clientAuth"` or numbers with dots.
    #[schemars(length(max = 8), extend("x-form" = "key usages"))]
    pub(in super::super) required_eku: Vec<String>,
    /// The longest that a certificate may be valid in all, from its first day to its last.
    #[schemars(
        with = "Time",
        extend("x-minimum" = "1m", "x-maximum" = "36500d", "x-default" = "none")
    )]
    pub(in super::super) max_client_certificate_age: Option<Time>,
    /// The shortest RSA key.
    #[schemars(range(min = 2048, max = 8192), extend("x-unit" = "bits"))]
    pub(in super::super) min_rsa_bits: u64,
    /// Revocation lists. Without this table none is looked at.
    #[schemars(with = "Crl")]
    pub(in super::super) crl: Option<Crl>,
    /// The responders of clients' certificates.
    pub(in super::super) ocsp: Ocsp,
}

/// `[tls.NAME.client_auth.crl]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Crl {
    /// Files with lists, PEM or DER. In a file's name `*` stands for any text.
    #[schemars(length(max = 64), extend("x-form" = "files"))]
    pub(in super::super) files: Vec<String>,
    /// Where lists are fetched. An authority of `ca_file` must have signed them, and none is replaced by an older one.
    #[schemars(length(max = 16), extend("x-form" = "http URLs"))]
    pub(in super::super) urls: Vec<String>,
    /// How often they are fetched.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "7d"))]
    pub(in super::super) refresh: Time,
    /// Which certificates are looked for in the lists.
    pub(in super::super) depth: Depth,
    /// What it means that no list covers a certificate.
    pub(in super::super) unknown: Verdict,
    /// What it means that the list is past its `nextUpdate`.
    pub(in super::super) expired: Verdict,
}

/// `[tls.NAME.client_auth.ocsp]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Ocsp {
    /// Whether the responder of each client's certificate is asked about it. The connection waits for its answer.
    pub(in super::super) enabled: bool,
    /// Whom to ask: `"aia"`, which is whom the certificate names, or a URL.
    #[schemars(extend("x-form" = "aia or http URL"))]
    pub(in super::super) responder: String,
    /// How long an answer is kept at most, and how long a connection relies on it before it is asked for again.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "7d"))]
    pub(in super::super) cache_ttl: Time,
    /// What it means that there is no answer, or none that can be believed.
    pub(in super::super) on_failure: Verdict,
}

/// `[auth.mtls]`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Mtls {
    /// Which roles clients have by the names of their certificates. Whoever matches several has the roles of all.
    #[schemars(length(max = 256))]
    pub(in super::super) roles_from: Vec<RolesFrom>,
}

/// `[[auth.mtls.roles_from]]`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "roles"]))]
pub(in super::super) struct RolesFrom {
    /// A pattern of names, as in `allowed_names` of a TLS profile.
    #[schemars(with = "String", length(min = 1, max = 255), extend("x-form" = "name pattern"))]
    pub(in super::super) name: Option<String>,
    /// The roles.
    #[schemars(extend("x-form" = "names of roles"))]
    pub(in super::super) roles: Vec<String>,
}

impl Default for ClientAuth {
    fn default() -> Self {
        Self {
            mode: Presence::Off,
            ca_file: None,
            identity_from: Identity::DEFAULT.to_vec(),
            allowed_names: Vec::new(),
            required_eku: vec!["clientAuth".to_owned()],
            max_client_certificate_age: None,
            min_rsa_bits: 2048,
            crl: None,
            ocsp: Ocsp::default(),
        }
    }
}

impl Default for Crl {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            urls: Vec::new(),
            refresh: Time::from_secs(15 * 60),
            depth: Depth::Chain,
            unknown: Verdict::Deny,
            expired: Verdict::Deny,
        }
    }
}

impl Default for Ocsp {
    fn default() -> Self {
        Self {
            enabled: false,
            responder: "aia".to_owned(),
            cache_ttl: Time::from_secs(10 * 60),
            on_failure: Verdict::Deny,
        }
    }
}
