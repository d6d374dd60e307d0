//! The public keys of an issuer, from a JSON Web Key Set, each with the one algorithm it is for.
//! Never: a secret or a private key, a choice of algorithm by a token.
//! Next: `claims`, what a token says once its signature holds.

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::Flaw;
use super::reading::{KEY_ID_BYTES_MAX, decode_base64url, decode_json};

/// Keys of one set that are looked at.
pub const KEYS_MAX: usize = 64;
/// Keys of one name and algorithm that are tried. More than one is a mistake of the issuer's.
const SAME_NAME_MAX: usize = 4;
/// RFC 7518 3.3: at least 2048 bits.
const MODULUS_BYTES_MIN: usize = 256;
/// Members that only a private or a shared key has. RFC 7518 6.2.2, 6.3.2, 6.4.
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A way of signing. There is none without a signature and none with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5, SHA-256.
    Rs256,
    /// RSASSA-PSS, SHA-256.
    Ps256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Es256, Self::Es384, Self::EdDsa, Self::Rs256, Self::Ps256];

    /// By its registered name, letter by letter. RFC 9864 calls `EdDSA` over Ed25519 by the curve's name.
    pub fn decode(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn verifier(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
        }
    }
}

/// One public key.
pub struct VerifyingKey {
    id: Option<Arc<str>>,
    algorithm: Algorithm,
    key: DecodingKey,
    /// SHA-256 of algorithm and key: two keys of one name are two keys.
    pub(super) print: [u8; 32],
}

impl VerifyingKey {
    /// Its name.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm it is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn has_signed(&self, signed: &str, signature: &str) -> bool {
        let verified =
            jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, self.algorithm.verifier());
        verified.unwrap_or(false)
    }
}

/// The keys of one issuer. Empty until they could be read.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    /// What was left out, and why.
    passed_over: Vec<String>,
}

/// Why a text is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON, or another document.
    #[error("it is no JSON Web Key Set")]
    Form,
    /// Nothing in it can be used.
    #[error("none of its keys can be used")]
    NoKey,
    /// More than [`KEYS_MAX`].
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
}

impl KeySet {
    /// Reads a set. Keys that can not be used are passed over; `algorithms` are the ones that may be.
    ///
    /// # Errors
    /// When it is no set, or none of its keys can be used.
    // RFC 7517 5: keys of an unknown kind, or that miss members, are ignored.
    pub fn decode(bytes: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeySetError> {
        let Some(Value::Object(mut set)) = decode_json(bytes) else { return Err(KeySetError::Form) };
        let Some(Value::Array(listed)) = set.remove("keys") else { return Err(KeySetError::Form) };
        if listed.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let (mut keys, mut passed_over) = (Vec::<VerifyingKey>::new(), Vec::new());
        for (index, key) in listed.iter().enumerate() {
            let decoded =
                key.as_object().ok_or("it is no object").and_then(|key| decode_key(key, algorithms));
            match decoded {
                Ok(key) if keys.iter().any(|known| known.print == key.print && known.id == key.id) => {}
                Ok(key) => keys.push(key),
                Err(why) => passed_over.push(format!("key {}: {why}", named(index, key))),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoKey) } else { Ok(Self { keys, passed_over }) }
    }

    /// What was left out, and why.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// The keys.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The key of this print.
    pub(super) fn find(&self, print: &[u8; 32]) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.print == *print)
    }

    /// The key that signed a token, by the name and the algorithm the token gives.
    ///
    /// # Errors
    /// When there is no such key, or it did not sign.
    pub(super) fn find_signer(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        signed: &str,
        signature: &str,
    ) -> Result<&VerifyingKey, Flaw> {
        let of_name = || self.keys.iter().filter(|key| id.is_none_or(|id| key.id() == Some(id)));
        if of_name().next().is_none() {
            return Err(Flaw::NoSuchKey);
        }
        // A key is for one algorithm; the token does not choose.
        let candidates: Vec<_> =
            of_name().filter(|key| key.algorithm == algorithm).take(SAME_NAME_MAX).collect();
        match candidates.as_slice() {
            [] => Err(Flaw::Algorithm),
            // RFC 7515 4.1.4: without a name there has to be one that it can be.
            [_, _, ..] if id.is_none() => Err(Flaw::KeyId),
            candidates => {
                let signer = candidates.iter().find(|key| key.has_signed(signed, signature));
                signer.copied().ok_or(Flaw::Signature)
            }
        }
    }
}

/// How a key is spoken of in a warning.
fn named(index: usize, key: &Value) -> String {
    let id = key.get("kid").and_then(Value::as_str).filter(|id| id.len() <= KEY_ID_BYTES_MAX);
    id.map_or_else(|| format!("#{}", index + 1), |id| format!("\"{}\"", id.escape_debug()))
}

fn decode_key(key: &Map<String, Value>, algorithms: &[Algorithm]) -> Result<VerifyingKey, &'static str> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    // Whoever publishes a private key shares it with everybody: it proves nothing any more.
    if SECRET_MEMBERS.iter().any(|name| key.contains_key(*name)) || text("kty") == Some("oct") {
        return Err("it is a secret, which belongs into no set");
    }
    if text("use").is_some_and(|meant| meant != "sig") {
        return Err("it is not for signatures");
    }
    if let Some(operations) = key.get("key_ops") {
        let verifies = |list: &Vec<Value>| list.iter().any(|operation| operation == "verify");
        if !operations.as_array().is_some_and(verifies) {
            return Err("it is not for verifying");
        }
    }
    let id = match key.get("kid") {
        None => None,
        Some(Value::String(id)) if !id.is_empty() && id.len() <= KEY_ID_BYTES_MAX => Some(id.as_str().into()),
        Some(_) => return Err("its `kid` is no short text"),
    };
    let algorithm = algorithm_of(text("kty"), text("crv"), text("alg"), algorithms)?;
    if !algorithms.contains(&algorithm) {
        return Err("its algorithm is not in `algorithms`");
    }
    let member =
        |name: &str| text(name).and_then(decode_base64url).ok_or("a member of it is missing or malformed");
    let (key, material) = match algorithm {
        Algorithm::Es256 => curve_point(&member("x")?, &member("y")?, 32, &ECDSA_P256_SHA256_FIXED)?,
        Algorithm::Es384 => curve_point(&member("x")?, &member("y")?, 48, &ECDSA_P384_SHA384_FIXED)?,
        Algorithm::EdDsa => {
            let point = member("x")?;
            parse(&ED25519, &point)?;
            (DecodingKey::from_ed_der(&point), point)
        }
        Algorithm::Rs256 => modulus(&member("n")?, &member("e")?, &RSA_PKCS1_2048_8192_SHA256)?,
        Algorithm::Ps256 => modulus(&member("n")?, &member("e")?, &RSA_PSS_2048_8192_SHA256)?,
    };
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(algorithm.name().as_bytes());
    context.update(b"\0");
    context.update(&material);
    let print = context.finish().as_ref().try_into().map_err(|_| "it has no digest")?;
    Ok(VerifyingKey { id, algorithm, key, print })
}

/// RFC 7518 6, RFC 8037 2. A key of RSA may not say which padding it is for; then the first that is accepted is meant.
fn algorithm_of(
    kind: Option<&str>,
    curve: Option<&str>,
    said: Option<&str>,
    accepted: &[Algorithm],
) -> Result<Algorithm, &'static str> {
    let possible: &[Algorithm] = match (kind, curve) {
        (Some("EC"), Some("P-256")) => &[Algorithm::Es256],
        (Some("EC"), Some("P-384")) => &[Algorithm::Es384],
        (Some("OKP"), Some("Ed25519")) => &[Algorithm::EdDsa],
        (Some("RSA"), _) => &[Algorithm::Rs256, Algorithm::Ps256],
        (_, _) => return Err("its kind is not known"),
    };
    match said {
        Some(said) => {
            let said = Algorithm::decode(said).filter(|said| possible.contains(said));
            said.ok_or("its `alg` is not known, or not for such a key")
        }
        None => {
            let first = accepted.iter().find(|accepted| possible.contains(accepted));
            first.copied().ok_or("its algorithm is not in `algorithms`")
        }
    }
}

type Decoded = Result<(DecodingKey, Vec<u8>), &'static str>;

fn parse(algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> Result<(), &'static str> {
    ParsedPublicKey::new(algorithm, key).map(drop).map_err(|_| "it is no point of its curve")
}

fn curve_point(x: &[u8], y: &[u8], bytes: usize, algorithm: &'static dyn VerificationAlgorithm) -> Decoded {
    // RFC 7518 6.2.1.2: leading zeros are not left out.
    if x.len() != bytes || y.len() != bytes {
        return Err("its coordinates have the wrong length");
    }
    let point = [&[4][..], x, y].concat();
    parse(algorithm, &point)?;
    Ok((DecodingKey::from_ec_der(&point), point))
}

fn modulus(n: &[u8], e: &[u8], algorithm: &'static RsaParameters) -> Decoded {
    let strip = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().skip_while(|byte| *byte == 0).collect() };
    let (n, e) = (strip(n), strip(e));
    if n.len() < MODULUS_BYTES_MIN
        || (n.len() == MODULUS_BYTES_MIN && n.first().is_none_or(|top| *top < 0x80))
    {
        return Err("it has fewer than 2048 bits");
    }
    if e == [1] || e.last().is_none_or(|low| low % 2 == 0) {
        return Err("its exponent is not odd, or 1");
    }
    let components = RsaPublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
    if components.to_parsed_public_key(algorithm).is_err() {
        return Err("its numbers are not those of a key");
    }
    let material = [n.as_slice(), &[0][..], e.as_slice()].concat();
    Ok((DecodingKey::from_rsa_raw_components(&n, &e), material))
}
