//! The token of the bench: a key of its own, its key set in a file, one token for a day.
//! Never: a key that anybody else uses.
//! Next: [`crate::peer`], which hands both out.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// How long the token is good, seconds.
const LIFETIME_S: u64 = 12 * 60 * 60;

/// Writes a key set to `path` and returns a token of its one key, ES256.
///
/// # Errors
/// When no key can be made or the file not written.
pub fn write_key_set(path: &Path) -> Result<String> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("a key")?;
    let point = pair.public_key().as_ref();
    // SEC 1 2.3.3: an uncompressed point is 4, x, y.
    let (x, y) = point.get(1..).and_then(|both| both.split_at_checked(32)).context("a point of P-256")?;
    let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)});
    fs::write(path, json!({"keys": [key]}).to_string()).with_context(|| path.display().to_string())?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "bench"}).to_string();
    let claims = json!({"iss": "https://issuer.bench", "aud": "bench", "sub": "load", "roles": ["bench"],
        "iat": now_s, "exp": now_s + LIFETIME_S});
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).context("a signature")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
