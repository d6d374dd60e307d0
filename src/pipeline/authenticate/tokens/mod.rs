//! JSON Web Tokens: who signed one, whether it is for this server and good now, and whose it is.
//! Pure: bytes, a time, keys and a certificate in, a principal or a flaw out. Keys and lists come with the snapshot.
//! Never: a key fetched because a token names a place, an algorithm chosen by a token, a claim read before its
//! signature held (but `iss`, which says whose keys to try).
//! Next: `reading`, the first look at a token's bytes.

pub mod reading;
pub mod keys;
mod claims;
pub mod revoked;
pub mod cache;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use claims::{Judged, judge};
use keys::{Algorithm, KeySet, VerifyingKey};
use reading::{Read, read};
use revoked::Revocations;

/// Why a token is refused. For the log; the peer sees one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Longer than anything that is looked at.
    Size,
    /// Not three parts of base64url, two of them JSON objects without a name twice.
    Form,
    /// No algorithm, one that is not known, or not the key's.
    Algorithm,
    /// The header asks for what is not supported: `crit`, encryption, compression, a token in a token.
    Extension,
    /// The name of the key is malformed, or missing where several keys could be meant.
    KeyId,
    /// Another type of token.
    Kind,
    /// An issuer that is not configured, or none.
    Issuer,
    /// The issuer has no such key, or its keys could not be read.
    NoSuchKey,
    /// The key did not sign this.
    Signature,
    /// It is for somebody else.
    Audience,
    /// Its time is over.
    Expired,
    /// It was issued too long ago.
    TooOld,
    /// Its time has not come.
    NotYet,
    /// It does not say whose it is.
    Subject,
    /// A claim is missing or malformed.
    Claim,
    /// It is bound to a certificate that its sender did not show, or to something else.
    Binding,
    /// It was taken back.
    Revoked,
}

impl Flaw {
    /// The stable word in the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Size => "token_too_long",
            Self::Form => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Extension => "token_extension",
            Self::KeyId => "token_key_id",
            Self::Kind => "token_type",
            Self::Issuer => "token_issuer",
            Self::NoSuchKey => "token_key_unknown",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::TooOld => "token_too_old",
            Self::NotYet => "token_not_yet_valid",
            Self::Subject => "token_subject",
            Self::Claim => "token_claim",
            Self::Binding => "token_binding",
            Self::Revoked => "token_revoked",
        }
    }
}

/// An issuer whose tokens are accepted: `[auth.jwt.NAME]` with its keys.
#[derive(Clone)]
pub struct Issuer {
    /// The name of its table.
    pub name: Arc<str>,
    /// `iss`, letter by letter.
    pub issuer: String,
    /// This server, as the issuer calls it.
    pub audiences: Vec<String>,
    /// What a token may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// What `typ` may be, lower case, without `application/`. A token without it is a `jwt`.
    pub token_types: Vec<String>,
    /// By how much clocks may differ.
    pub leeway_s: u64,
    /// How old a token may be, whatever its `exp`.
    pub token_age_max_s: u64,
    /// Claims a token must have, beside `iss`, `aud`, `exp`, `iat` and the subject.
    pub required_claims: Vec<String>,
    /// Where the subject is.
    pub subject_claim: String,
    /// Where roles are.
    pub roles_claim: String,
    /// Where scopes are.
    pub scopes_claim: String,
    /// What its tokens are signed with.
    pub keys: Arc<KeySet>,
    /// Set when a token names a key that is not among them.
    pub wanted: Arc<Wanted>,
}

impl Issuer {
    /// An issuer of that name and `iss` whose tokens are accepted from nobody yet: no audience and no key.
    pub fn named(name: &str, issuer: &str) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.to_owned(),
            audiences: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            token_types: vec!["jwt".to_owned(), "at+jwt".to_owned()],
            leeway_s: 0,
            token_age_max_s: 0,
            required_claims: Vec::new(),
            subject_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
            scopes_claim: "scope".to_owned(),
            keys: Arc::default(),
            wanted: Arc::default(),
        }
    }
}

/// Without the keys.
impl fmt::Debug for Issuer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = (self.leeway_s, self.token_age_max_s);
        let claims = (&self.required_claims, &self.subject_claim, &self.roles_claim, &self.scopes_claim);
        to.debug_struct("Issuer")
            .field("name", &self.name)
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .field("algorithms", &self.algorithms)
            .field("token_types", &self.token_types)
            .field("times_s", &times)
            .field("claims", &claims)
            .finish_non_exhaustive()
    }
}

/// A word to the control plane that a key was asked for which is not there.
#[derive(Debug, Default)]
pub struct Wanted(AtomicBool);

impl Wanted {
    /// Asks for the keys to be read again.
    pub fn ask(&self) {
        // Most often somebody has asked: a load is shared between cores, a store is not.
        if !self.0.load(Ordering::Relaxed) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody has asked since the last time.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Where a principal's token came from, to look at it again when keys or lists have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name of the issuer's table.
    pub issuer: Arc<str>,
    /// Which key signed it.
    key: [u8; 32],
    /// The certificate its sender has to hold.
    pub bound: Option<[u8; 32]>,
}

/// Whose token it is, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// `<issuer's name>|<subject>`.
    pub id: Arc<str>,
    /// The first second at which the token is not good any more.
    pub expires_at_s: u64,
    /// Names of roles that its issuer gives.
    pub roles: Vec<String>,
    /// What it was issued for.
    pub scopes: Vec<String>,
    /// All it says.
    pub claims: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// All issuers, and what was taken back. Immutable; a change makes a new one.
#[derive(Clone, Default)]
pub struct Issuers {
    issuers: Vec<Issuer>,
    revoked: Arc<Revocations>,
}

impl Issuers {
    /// No two may have the same `iss`.
    pub fn build(issuers: Vec<Issuer>, revoked: Arc<Revocations>) -> Self {
        Self { issuers, revoked }
    }

    /// Other issuers under the same list.
    pub fn with(&self, issuers: Vec<Issuer>) -> Self {
        Self { issuers, revoked: self.revoked.clone() }
    }

    /// The issuers.
    pub fn list(&self) -> &[Issuer] {
        &self.issuers
    }

    /// What was taken back.
    pub fn revoked(&self) -> &Revocations {
        &self.revoked
    }

    /// Whose token this is. `certificate` is the SHA-256 of the one the sender's connection was opened with.
    ///
    /// # Errors
    /// The first flaw of the token.
    pub fn verify(&self, token: &[u8], certificate: Option<&[u8; 32]>, now_s: u64) -> Result<Bearer, Flaw> {
        let Read { header, claims, signed, signature } = read(token)?;
        // RFC 8725 3.8: the keys are those of the issuer that the token names, and of nobody else.
        let named = claims.get("iss").and_then(Value::as_str);
        let issuer = self.issuers.iter().find(|issuer| Some(issuer.issuer.as_str()) == named);
        let issuer = issuer.ok_or(Flaw::Issuer)?;
        if !issuer.algorithms.contains(&header.algorithm) {
            return Err(Flaw::Algorithm);
        }
        // RFC 8725 3.11: a token of another type is not taken for one of ours.
        if !issuer.token_types.contains(&header.kind) {
            return Err(Flaw::Kind);
        }
        let signer = issuer.keys.find_signer(header.key_id.as_deref(), header.algorithm, signed, signature);
        let signer = signer.inspect_err(|flaw| {
            if *flaw == Flaw::NoSuchKey {
                issuer.wanted.ask();
            }
        })?;
        let judged = judge(issuer, &claims, now_s)?;
        self.accept(issuer, signer, judged, Value::Object(claims), certificate)
    }

    /// The same person under these issuers, or nobody: when its issuer, its key or its token is not accepted any more.
    pub fn find_again(&self, claims: &Value, origin: &Origin, now_s: u64) -> Option<Bearer> {
        let issuer = self.issuers.iter().find(|issuer| issuer.name == origin.issuer)?;
        let members = claims.as_object()?;
        let is_same = members.get("iss").and_then(Value::as_str) == Some(issuer.issuer.as_str());
        let signer = issuer.keys.find(&origin.key).filter(|_| is_same)?;
        let judged = judge(issuer, members, now_s).ok()?;
        // The connection is the one that the certificate was checked on.
        self.accept(issuer, signer, judged, claims.clone(), origin.bound.as_ref()).ok()
    }

    fn accept(
        &self,
        issuer: &Issuer,
        signer: &VerifyingKey,
        judged: Judged,
        claims: Value,
        certificate: Option<&[u8; 32]>,
    ) -> Result<Bearer, Flaw> {
        let Judged { subject, id, expires_at_s, bound, scopes, roles } = judged;
        if self.revoked.covers(&issuer.issuer, signer.id(), &subject, id.as_deref()) {
            return Err(Flaw::Revoked);
        }
        // RFC 8705 3: who holds the token has to hold the certificate's key too.
        if bound.is_some() && bound.as_ref() != certificate {
            return Err(Flaw::Binding);
        }
        Ok(Bearer {
            id: format!("{}|{subject}", issuer.name).into(),
            expires_at_s,
            roles,
            scopes,
            claims,
            origin: Origin { issuer: issuer.name.clone(), key: signer.print, bound },
        })
    }
}
