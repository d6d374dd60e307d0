//! `mcpring token mint`: a token signed with a key file, and the public key set that knows it.
//! Never: a key made here; `openssl genpkey -algorithm ed25519` makes one.
//! Next: `inspect`.

use std::fs;
use std::path::PathBuf;

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

use super::super::super::files::{load_private, reason};
use super::super::super::moment;
use super::super::super::problem::Problem;
use crate::pipeline::authenticate::tokens::keys::Algorithm;

#[derive(Debug, Args)]
pub(super) struct Mint {
    /// PEM file (PKCS #8) with the private key: Ed25519, P-256, P-384 or RSA
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// `iss`
    #[arg(long)]
    issuer: String,
    /// `aud`; repeatable
    #[arg(long, required = true)]
    audience: Vec<String>,
    /// `sub`
    #[arg(long)]
    subject: String,
    /// A scope; repeatable
    #[arg(long)]
    scope: Vec<String>,
    /// A role; repeatable
    #[arg(long)]
    role: Vec<String>,
    /// Seconds until it expires
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=7_776_000))]
    ttl: u64,
    /// Write the public key set there, for jwks_file
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

enum Pair {
    Curve(EcdsaKeyPair, Algorithm),
    Edwards(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

pub(super) fn run(mint: &Mint) -> Result<String, Vec<Problem>> {
    let pair = load_pair(mint).map_err(|problem| vec![problem])?;
    let (algorithm, public) = pair.public();
    let id = encode(
        digest::digest(&digest::SHA256, Value::Object(public.clone()).to_string().as_bytes())
            .as_ref()
            .get(..8)
            .unwrap_or_default(),
    );
    if let Some(path) = &mint.jwks {
        let mut key = public;
        key.extend(members(json!({"kid": id, "alg": algorithm.name(), "use": "sig"})));
        let set = format!("{:#}\n", json!({"keys": [key]}));
        fs::write(path, set)
            .map_err(|error| vec![failed(format!("cannot write {}: {}", path.display(), reason(&error)))])?;
    }
    let mut nonce = [0; 16];
    let random = SystemRandom::new();
    random.fill(&mut nonce).map_err(|_| vec![failed("the random number generator failed".to_owned())])?;
    let now_s = u64::try_from(moment::unix_now_s()).unwrap_or(0);
    let mut claims = members(json!({
        "iss": mint.issuer, "aud": mint.audience, "sub": mint.subject, "jti": encode(&nonce),
        "iat": now_s, "exp": now_s.saturating_add(mint.ttl),
    }));
    if !mint.scope.is_empty() {
        claims.insert("scope".to_owned(), mint.scope.join(" ").into());
    }
    if !mint.role.is_empty() {
        claims.insert("roles".to_owned(), mint.role.clone().into());
    }
    let header = json!({"alg": algorithm.name(), "kid": id, "typ": "at+jwt"});
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(Value::Object(claims).to_string().as_bytes())
    );
    let signature = pair.sign(&random, signed.as_bytes()).map_err(|problem| vec![problem])?;
    Ok(format!("{signed}.{}\n", encode(&signature)))
}

fn load_pair(mint: &Mint) -> Result<Pair, Problem> {
    let pem = load_private(&mint.key)?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable(mint))?;
    let PrivateKeyDer::Pkcs8(der) = &der else { return Err(unusable(mint)) };
    let der = der.secret_pkcs8_der();
    let curve =
        |signing, algorithm| EcdsaKeyPair::from_pkcs8(signing, der).map(|pair| Pair::Curve(pair, algorithm));
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
        .map(Pair::Edwards)
        .or_else(|_| curve(&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::Es256))
        .or_else(|_| curve(&ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::Es384))
        .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Pair::Rsa))
        .map_err(|_| unusable(mint))
}

impl Pair {
    fn public(&self) -> (Algorithm, Map<String, Value>) {
        match self {
            Self::Curve(pair, algorithm) => {
                let point = pair.public_key().as_ref();
                // SEC 1 2.3.3: 4, then both coordinates.
                let coordinates = point.get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let curve = if *algorithm == Algorithm::Es256 { "P-256" } else { "P-384" };
                (*algorithm, members(json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})))
            }
            Self::Edwards(pair) => {
                let x = encode(pair.public_key().as_ref());
                (Algorithm::EdDsa, members(json!({"kty": "OKP", "crv": "Ed25519", "x": x})))
            }
            Self::Rsa(pair) => {
                let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let (n, e) = (encode(&components.n), encode(&components.e));
                (Algorithm::Rs256, members(json!({"kty": "RSA", "n": n, "e": e})))
            }
        }
    }

    fn sign(&self, random: &SystemRandom, message: &[u8]) -> Result<Vec<u8>, Problem> {
        let refused = |_| failed("the key can not sign".to_owned());
        match self {
            Self::Curve(pair, _) => Ok(pair.sign(random, message).map_err(refused)?.as_ref().to_vec()),
            Self::Edwards(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, message, &mut signature).map_err(refused)?;
                Ok(signature)
            }
        }
    }
}

/// The members of an object; nothing of anything else.
fn members(object: Value) -> Map<String, Value> {
    let Value::Object(members) = object else { return Map::new() };
    members
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn failed(what: String) -> Problem {
    Problem::error("E0357", what)
}

fn unusable(mint: &Mint) -> Problem {
    failed(format!("{} holds no private key that can sign tokens", mint.key.display()))
        .help("openssl genpkey -algorithm ed25519 -out key.pem && chmod 600 key.pem")
}
