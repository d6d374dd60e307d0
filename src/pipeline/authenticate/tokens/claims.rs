//! What the claims of a signed token say: for whom it is, since when and until when, whose it is, and what it grants.
//! Never: a claim believed before its signature held.
//! Next: `revoked`, what was taken back since.

use serde_json::{Map, Value};

use super::reading::decode_base64url;
use super::{Flaw, Issuer};

/// Entries of `aud` that are looked at.
const AUDIENCES_MAX: usize = 64;
/// Longest subject. Bytes.
const SUBJECT_BYTES_MAX: usize = 256;
/// Longest `jti`. Bytes.
const ID_BYTES_MAX: usize = 256;
/// Scopes and roles that are read of one token.
const NAMES_MAX: usize = 256;
/// The last second of the year 9999; a later one is a mistake, such as milliseconds.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// Claims that passed every check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) subject: String,
    /// `jti`.
    pub(super) id: Option<String>,
    /// The first second at which it is not good any more, leeway included.
    pub(super) expires_at_s: u64,
    /// The certificate its sender has to hold, by its SHA-256.
    pub(super) bound: Option<[u8; 32]>,
    pub(super) scopes: Vec<String>,
    pub(super) roles: Vec<String>,
}

/// Checks the claims that an issuer's key has signed.
pub(super) fn judge(issuer: &Issuer, claims: &Map<String, Value>, now_s: u64) -> Result<Judged, Flaw> {
    if !is_for(claims.get("aud"), &issuer.audiences) {
        return Err(Flaw::Audience);
    }
    let expires_at_s = judge_times(issuer, claims, now_s)?;
    let subject = match find(claims, &issuer.subject_claim) {
        Some(Value::String(subject)) if is_name(subject, SUBJECT_BYTES_MAX) => subject.clone(),
        Some(_) | None => return Err(Flaw::Subject),
    };
    let id = match claims.get("jti") {
        None => None,
        Some(Value::String(id)) if is_name(id, ID_BYTES_MAX) => Some(id.clone()),
        Some(_) => return Err(Flaw::Claim),
    };
    let is_there = |name: &String| find(claims, name).is_some_and(|value| !value.is_null());
    if !issuer.required_claims.iter().all(is_there) {
        return Err(Flaw::Claim);
    }
    let bound = read_binding(claims.get("cnf"))?;
    let scopes = read_names(find(claims, &issuer.scopes_claim))?;
    let roles = read_names(find(claims, &issuer.roles_claim))?;
    Ok(Judged { subject, id, expires_at_s, bound, scopes, roles })
}

/// A claim by its name, or by a path of names with dots between them.
fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    // A name with dots in it, such as `https://example.com/roles`, is a name first.
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
    })
}

// RFC 7519 4.1.3, RFC 8707 2: this server has to be named, letter by letter.
fn is_for(audience: Option<&Value>, ours: &[String]) -> bool {
    let is_ours = |named: &Value| named.as_str().is_some_and(|named| ours.iter().any(|ours| ours == named));
    match audience {
        Some(Value::Array(list)) if list.len() <= AUDIENCES_MAX => {
            list.iter().all(Value::is_string) && list.iter().any(is_ours)
        }
        Some(one) => is_ours(one),
        None => false,
    }
}

/// `exp`, `nbf` and `iat`; the first second at which the token is not good any more.
// RFC 7519 4.1.4 to 4.1.6.
fn judge_times(issuer: &Issuer, claims: &Map<String, Value>, now_s: u64) -> Result<u64, Flaw> {
    let time = |name: &str| claims.get(name).map(seconds).transpose();
    let leeway = issuer.leeway_s;
    let expiry = time("exp")?.ok_or(Flaw::Claim)?;
    let issued = time("iat")?.ok_or(Flaw::Claim)?;
    let begin = time("nbf")?.unwrap_or(0).max(issued);
    let end = expiry.min(issued.saturating_add(issuer.token_age_max_s)).saturating_add(leeway);
    if now_s >= end {
        return Err(if now_s >= expiry.saturating_add(leeway) { Flaw::Expired } else { Flaw::TooOld });
    }
    if now_s.saturating_add(leeway) < begin {
        return Err(Flaw::NotYet);
    }
    Ok(end)
}

/// A NumericDate: seconds since 1970, which may have a fraction.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the year 9999, and the fraction is to go")]
#[expect(clippy::cast_sign_loss, reason = "not negative")]
fn seconds(value: &Value) -> Result<u64, Flaw> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(|seconds| seconds as u64).ok_or(Flaw::Claim)
}

/// A text that can be a name in a log.
fn is_name(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

/// The certificate a token is bound to.
// RFC 8705 3.1. A binding that can not be checked, such as RFC 9449's `jkt`, is one that does not hold.
fn read_binding(confirmation: Option<&Value>) -> Result<Option<[u8; 32]>, Flaw> {
    let Some(confirmation) = confirmation else { return Ok(None) };
    let members = confirmation.as_object().filter(|members| members.len() == 1).ok_or(Flaw::Binding)?;
    let print = members.get("x5t#S256").and_then(Value::as_str).and_then(decode_base64url);
    let print = print.and_then(|print| print.try_into().ok());
    print.map(Some).ok_or(Flaw::Binding)
}

/// A list of names, or names with spaces between them.
// RFC 8693 4.2 for `scope`; others write a list.
fn read_names(value: Option<&Value>) -> Result<Vec<String>, Flaw> {
    let names: Option<Vec<String>> = match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::String(names)) => Some(names.split_ascii_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(list)) => list.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => None,
    };
    names.filter(|names| names.len() <= NAMES_MAX).ok_or(Flaw::Claim)
}
