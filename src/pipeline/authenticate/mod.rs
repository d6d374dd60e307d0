//! The stage that asks who is calling, by the ways a listener accepts, in their order; one must succeed. A credential that
//! is shown speaks for its sender alone: the connection's certificate does where none is.
//! Every failure looks alike and costs alike from outside; the event says which it was.
//! Never: a key in clear beyond the connection that carries it, a comparison that stops early.
//! Next: `keys` and its neighbours, one file a way; then `admit`, whether this principal may spend a token.

pub mod keys;
pub mod tokens;
pub mod certificate;
pub mod grants;

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use certificate::ClientCertificate;
use certificate::table::CertificateTable;
use grants::Grants;
use keys::KeyTable;
use tokens::cache::{TokenCache, print_of};
use tokens::reading::{TOKEN_BYTES_MAX, is_token};
use tokens::{Bearer, Flaw, Issuers, Origin};

use super::snapshot::{Admission, Listener, Snapshot};
use super::turn::Now;
use crate::wire::http::head::Head;

/// Longest credential that is looked at where it is no token. Bytes.
const CREDENTIAL_BYTES_MAX: usize = 512;
/// Longest credential that a connection remembers: of idle ones there are many. A longer one is in the shard's cache.
const REMEMBERED_BYTES_MAX: usize = 2 * 1024;

/// Who a caller proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// A name that no principal of another method has: a key's id, `<issuer>|<subject>` of a token,
    /// `cert|<identity>` of a certificate, or `anonymous`.
    pub id: Arc<str>,
    /// One bit a role, by index into the configured roles.
    pub roles: u64,
    /// Until when it is who it proved to be, Unix seconds.
    pub expires_at_s: u64,
    /// What else is known of it.
    pub facts: Arc<Facts>,
}

impl Principal {
    /// The client of a process's own standard streams.
    pub fn resident(id: &str, roles: u64) -> Self {
        Self { id: id.into(), roles, expires_at_s: u64::MAX, facts: Arc::new(Facts::of(Method::Resident)) }
    }
}

/// How a principal proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    Anonymous,
    /// It is at the other end of this process's own streams.
    Resident,
    /// An API key.
    ApiKey,
    /// A signed token.
    Jwt,
    /// A client certificate.
    Certificate,
}

/// What is known of a principal beside its name, for conditions of roles and for asking again after a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How it proved who it is.
    pub method: Method,
    /// The claims of its token; null without one.
    pub claims: Value,
    /// The scopes of its token.
    pub scopes: Vec<String>,
    /// The HMAC of its API key.
    pub key: Option<[u8; 32]>,
    /// Where its token came from.
    pub origin: Option<Origin>,
    /// The certificate that its connection was opened with.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Facts {
    /// Nothing beyond the method.
    pub fn of(method: Method) -> Self {
        Self { method, claims: Value::Null, scopes: Vec::new(), key: None, origin: None, certificate: None }
    }
}

/// Why a caller is not known. For the log; the peer sees one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No credential at all.
    Missing,
    /// Two credentials, or one twice: nobody knows which is meant.
    Ambiguous,
    /// A credential of a kind or shape that is not accepted.
    Malformed,
    /// No such key.
    NoSuchKey,
    /// The key's time is over.
    Expired,
    /// Its address has shown too many that do not hold; this one was not looked at.
    HeldOff {
        /// Until one is looked at again.
        retry_after_ms: u64,
    },
    /// A token with a flaw.
    Token(Flaw),
}

impl Unknown {
    /// The stable word in the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::Ambiguous => "credential_ambiguous",
            Self::Malformed => "credential_malformed",
            Self::NoSuchKey => "credential_unknown",
            Self::Expired => "credential_expired",
            Self::HeldOff { .. } => "address_held_off",
            Self::Token(flaw) => flaw.reason(),
        }
    }

    /// Of several ways that failed the log names the one that got furthest.
    fn or(self, other: Self) -> Self {
        let distance = |why| match why {
            Self::Missing => 0,
            Self::Malformed | Self::Ambiguous => 1,
            Self::NoSuchKey => 2,
            Self::Expired | Self::Token(_) | Self::HeldOff { .. } => 3,
        };
        if distance(self) >= distance(other) { self } else { other }
    }
}

/// The credential a connection was last let in with. A client sends the same one with every request, and comparing it
/// costs a thirtieth of its MAC. Forgotten with the snapshot it was accepted under, and with the connection.
#[derive(Default)]
pub struct Remembered(Option<Box<Accepted>>);

struct Accepted {
    /// Empty for who came without one and is known by a certificate.
    credential: Zeroizing<Vec<u8>>,
    principal: Principal,
    generation: u64,
}

impl Remembered {
    /// Whether this is the credential that the connection was let in with under this snapshot.
    pub(super) fn knows(&self, credential: &[u8], generation: u64, now: Now) -> bool {
        self.principal(credential, generation, now).is_some()
    }

    fn principal(&self, credential: &[u8], generation: u64, now: Now) -> Option<&Principal> {
        let accepted = self.0.as_ref()?;
        let is_same = verify_slices_are_equal(&accepted.credential, credential).is_ok();
        let is_current = accepted.generation == generation && now.unix_s() < accepted.principal.expires_at_s;
        (is_same && is_current).then_some(&accepted.principal)
    }

    fn remember(&mut self, credential: &[u8], principal: &Principal, generation: u64) {
        if credential.len() > REMEMBERED_BYTES_MAX {
            self.0 = None;
            return;
        }
        // Callers who share a connection, as behind a proxy, take turns in one place.
        let accepted = self.0.get_or_insert_with(|| {
            let (credential, principal) = (Zeroizing::default(), principal.clone());
            Box::new(Accepted { credential, principal, generation })
        });
        accepted.credential.zeroize();
        accepted.credential.extend_from_slice(credential);
        (accepted.principal, accepted.generation) = (principal.clone(), generation);
    }
}

/// What a caller may be known by beside its credential.
pub struct Memory<'m> {
    /// Of the connection.
    pub remembered: &'m mut Remembered,
    /// Of the shard.
    pub tokens: &'m mut TokenCache,
    /// What the connection was opened with.
    pub certificate: Option<&'m Arc<ClientCertificate>>,
}

/// Everybody who may be known, and how. Immutable; a reload makes a new one.
#[derive(Clone)]
pub struct Identities {
    /// API keys.
    pub keys: Arc<KeyTable>,
    /// Whose tokens are accepted.
    pub tokens: Issuers,
    /// Client certificates.
    pub certificates: CertificateTable,
    /// Which roles a name has.
    pub grants: Arc<Grants>,
    anonymous: Principal,
}

impl Identities {
    /// `anonymous_roles` are the roles of a caller without a credential on a listener that allows one.
    pub fn build(keys: impl Into<Arc<KeyTable>>, anonymous_roles: u64) -> Self {
        let facts = Arc::new(Facts::of(Method::Anonymous));
        let anonymous =
            Principal { id: "anonymous".into(), roles: anonymous_roles, expires_at_s: u64::MAX, facts };
        Self {
            keys: keys.into(),
            tokens: Issuers::default(),
            certificates: CertificateTable::default(),
            grants: Arc::default(),
            anonymous,
        }
    }

    /// Whose token this is.
    fn find_token(
        &self,
        token: &[u8],
        generation: u64,
        memory: &mut Memory<'_>,
        now: Now,
    ) -> Result<Principal, Unknown> {
        if !is_token(token) {
            return Err(Unknown::Malformed);
        }
        let (print, now_s) = (print_of(token), now.unix_s());
        let certificate = memory.certificate.map(|certificate| &certificate.sha256);
        if let Some(principal) = memory.tokens.find(&print, certificate, generation, now_s) {
            return Ok(principal.clone());
        }
        let bearer = self.tokens.verify(token, certificate, now_s).map_err(Unknown::Token)?;
        let bound = bearer.origin.bound;
        // What is remembered may be shown on another connection: only a bound token says which certificate that has.
        let principal = self.bearer(bearer, memory.certificate.filter(|_| bound.is_some()).cloned());
        memory.tokens.put(print, bound, generation, principal.clone());
        Ok(principal)
    }

    fn bearer(&self, bearer: Bearer, certificate: Option<Arc<ClientCertificate>>) -> Principal {
        let Bearer { id, expires_at_s, roles, scopes, claims, origin } = bearer;
        let (roles, scopes_named) = (roles.iter().map(String::as_str), scopes.iter().map(String::as_str));
        // By the whole name: another issuer may call somebody else the same.
        let roles = self.grants.roles_of(&id, roles, scopes_named);
        let facts = Facts { claims, scopes, origin: Some(origin), certificate, ..Facts::of(Method::Jwt) };
        Principal { id, roles, expires_at_s, facts: Arc::new(facts) }
    }

    /// The same bearer under these keys, lists and roles.
    fn find_bearer(&self, principal: &Principal, now: Now) -> Option<Principal> {
        let facts = &principal.facts;
        let bearer = self.tokens.find_again(&facts.claims, facts.origin.as_ref()?, now.unix_s())?;
        Some(self.bearer(bearer, facts.certificate.clone()))
    }

    /// A principal that was let in under another snapshot, as it stands in this one; none when it would not be let in
    /// any more.
    pub fn find_again(&self, principal: &Principal, listener: &Listener, now: Now) -> Option<Principal> {
        if let Admission::Resident(resident) = &listener.admission {
            return Some(resident.clone());
        }
        let method = principal.facts.method;
        match method {
            Method::Anonymous => {
                (listener.admission == Admission::AnonymousAllowed).then(|| self.anonymous.clone())
            }
            Method::ApiKey => self.keys.find_again(principal, now).filter(|_| listener.accepts(method)),
            Method::Jwt => self.find_bearer(principal, now).filter(|_| listener.accepts(method)),
            // The connection has seen to it that the certificate is still accepted.
            Method::Certificate => principal
                .facts
                .certificate
                .as_ref()
                .filter(|_| listener.accepts(method))
                .map(|certificate| self.certificates.principal(certificate)),
            // This way is not offered by any listener.
            Method::Resident => None,
        }
    }
}

/// Says whose credential this is. The connection's certificate may be all that is shown.
///
/// # Errors
/// Why that is not known.
pub fn identify(
    snapshot: &Snapshot,
    listener: &Listener,
    credential: Result<&[u8], Unknown>,
    now: Now,
    mut memory: Memory<'_>,
) -> Result<Principal, Unknown> {
    let identities = &snapshot.identities;
    let credential = match credential {
        Ok(credential) if (1..=TOKEN_BYTES_MAX).contains(&credential.len()) => Ok(credential),
        Ok(_) => Err(Unknown::Malformed),
        Err(Unknown::Missing)
            if listener.admission == Admission::AnonymousAllowed
                && !(memory.certificate.is_some() && listener.accepts(Method::Certificate)) =>
        {
            return Ok(identities.anonymous.clone());
        }
        Err(why) => Err(why),
    };
    let shown = credential.unwrap_or_default();
    // A guess must not be let in for the certificate it came with: it would count as no failure.
    let is_certificate_enough = credential == Err(Unknown::Missing) || !listener.takes_credentials();
    if (credential.is_ok() || is_certificate_enough)
        && let Some(principal) = memory.remembered.principal(shown, snapshot.generation, now)
    {
        return Ok(principal.clone());
    }
    let mut why = credential.err().unwrap_or(Unknown::Malformed);
    for method in &listener.methods {
        let found = match method {
            Method::ApiKey if shown.len() > CREDENTIAL_BYTES_MAX => Err(Unknown::Malformed),
            // Without a credential the same work is done as for a wrong one.
            Method::ApiKey => identities.keys.find(shown, now),
            Method::Jwt => identities.find_token(shown, snapshot.generation, &mut memory, now),
            Method::Certificate if !is_certificate_enough => continue,
            Method::Certificate => known_by(&identities.certificates, memory.certificate, now),
            Method::Resident | Method::Anonymous => Err(Unknown::Missing),
        };
        match found {
            Ok(principal) => {
                memory.remembered.remember(shown, &principal, snapshot.generation);
                return Ok(principal);
            }
            Err(found) if credential.is_ok() => why = found.or(why),
            Err(_) => {}
        }
    }
    Err(why)
}

/// The holder of the connection's certificate.
fn known_by(
    table: &CertificateTable,
    certificate: Option<&Arc<ClientCertificate>>,
    now: Now,
) -> Result<Principal, Unknown> {
    let principal = table.principal(certificate.ok_or(Unknown::Missing)?);
    if now.unix_s() < principal.expires_at_s { Ok(principal) } else { Err(Unknown::Expired) }
}

/// The credential a request carries: `Authorization: Bearer` or the listener's key header, not both.
// RFC 6750 2: a client must not use more than one method.
pub fn credential<'a>(listener: &Listener, head: &Head<'_, 'a>) -> Result<&'a [u8], Unknown> {
    let bearer = head.known.authorization.map(|value| bearer(value).ok_or(Unknown::Malformed));
    let header = match listener.key_header.as_str() {
        "x-api-key" => head.known.x_api_key,
        other if head.has_twice(other) => return Err(Unknown::Ambiguous),
        other => head.field(other),
    };
    match (bearer, header) {
        (None, None) => Err(Unknown::Missing),
        (Some(bearer), None) => bearer,
        (None, Some(header)) => Ok(header),
        (Some(_), Some(_)) => Err(Unknown::Ambiguous),
    }
}

/// RFC 6750 2.1, RFC 9110 11.1: the scheme's case does not matter.
pub(super) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii_start())
}
