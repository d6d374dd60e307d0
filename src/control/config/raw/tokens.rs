//! `[auth.jwt.NAME]` as written: one table an issuer of tokens.
//! Never: a key; those come from where the issuer publishes them.
//! Next: `check/tokens.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::quantity::Time;
use crate::pipeline::authenticate::tokens::keys::Algorithm as Known;

/// `[auth.jwt.NAME]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer", "audiences"]))]
pub(in super::super) struct Jwt {
    /// The issuer, as its tokens name it in `iss`, letter by letter.
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub(in super::super) issuer: Option<String>,
    /// Where its key set is: an https URL, or http on loopback.
    #[schemars(with = "String", length(min = 1), extend("x-default" = "none", "x-form" = "URL"))]
    pub(in super::super) jwks_url: Option<String>,
    /// Whether the place of its key set is read from its metadata, at
    /// `<issuer>/.well-known/openid-configuration` or `/.well-known/oauth-authorization-server`.
    pub(in super::super) discovery: bool,
    /// A file with its key set.
    #[schemars(with = "String", length(min = 1), extend("x-default" = "none", "x-form" = "file"))]
    pub(in super::super) jwks_file: Option<String>,
    /// PEM file with the authorities that its TLS certificate may come from.
    #[schemars(
        with = "String",
        length(min = 1),
        extend("x-default" = "the authorities of this machine", "x-form" = "file")
    )]
    pub(in super::super) ca_file: Option<String>,
    /// What this server may be called in `aud`, letter by letter; a token has to have one of them.
    #[schemars(length(min = 1, max = 32), extend("x-form" = "audiences"))]
    pub(in super::super) audiences: Vec<String>,
    /// What tokens may be signed with. Each key is for one of them.
    #[schemars(length(min = 1, max = 5))]
    pub(in super::super) algorithms: Vec<Algorithm>,
    /// What `typ` may be. A token without it counts as `JWT`.
    #[schemars(length(min = 1, max = 8), extend("x-form" = "types of tokens"))]
    pub(in super::super) token_types: Vec<String>,
    /// By how much the clocks of issuer and server may differ.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "5m"))]
    pub(in super::super) leeway: Time,
    /// How long after its `iat` a token is accepted, whatever its `exp`.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "90d"))]
    pub(in super::super) max_token_age: Time,
    /// Claims that a token must have beside `iss`, `aud`, `exp`, `iat` and the subject.
    #[schemars(length(max = 32), extend("x-form" = "names of claims"))]
    pub(in super::super) required_claims: Vec<String>,
    /// The claim that says whose the token is. Dots lead into objects.
    #[schemars(length(min = 1, max = 256), extend("x-form" = "name of a claim"))]
    pub(in super::super) subject_claim: String,
    /// The claim with names of roles, such as `"realm_access.roles"`.
    #[schemars(length(min = 1, max = 256), extend("x-form" = "name of a claim"))]
    pub(in super::super) roles_claim: String,
    /// The claim with scopes.
    #[schemars(length(min = 1, max = 256), extend("x-form" = "name of a claim"))]
    pub(in super::super) scopes_claim: String,
    /// How often the key set is read again. Sooner when the issuer says so, or when a token names an unknown key.
    #[schemars(extend("x-minimum" = "10s", "x-maximum" = "24h"))]
    pub(in super::super) jwks_refresh: Time,
    /// How long keys are used beyond that while the issuer does not answer.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "30d"))]
    pub(in super::super) jwks_stale_if_error: Time,
    /// Verified tokens that each shard remembers; for several issuers the numbers add up.
    #[schemars(range(min = 0, max = 1_048_576), extend("x-unit" = "tokens"))]
    pub(in super::super) token_cache: u64,
}

/// An entry of `auth.jwt.NAME.algorithms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(in super::super) enum Algorithm {
    /// ECDSA over P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA over P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSA with PKCS #1 v1.5 padding, at least 2048 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA with PSS padding, at least 2048 bits.
    #[serde(rename = "PS256")]
    Ps256,
}

impl From<Algorithm> for Known {
    fn from(written: Algorithm) -> Self {
        match written {
            Algorithm::Es256 => Self::Es256,
            Algorithm::Es384 => Self::Es384,
            Algorithm::EdDsa => Self::EdDsa,
            Algorithm::Rs256 => Self::Rs256,
            Algorithm::Ps256 => Self::Ps256,
        }
    }
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            issuer: None,
            jwks_url: None,
            discovery: false,
            jwks_file: None,
            ca_file: None,
            audiences: Vec::new(),
            algorithms: vec![
                Algorithm::Es256,
                Algorithm::Es384,
                Algorithm::EdDsa,
                Algorithm::Rs256,
                Algorithm::Ps256,
            ],
            token_types: vec!["JWT".to_owned(), "at+jwt".to_owned()],
            leeway: Time::from_secs(30),
            max_token_age: Time::from_secs(24 * 60 * 60),
            required_claims: Vec::new(),
            subject_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
            scopes_claim: "scope".to_owned(),
            jwks_refresh: Time::from_secs(15 * 60),
            jwks_stale_if_error: Time::from_secs(24 * 60 * 60),
            token_cache: 65_536,
        }
    }
}
