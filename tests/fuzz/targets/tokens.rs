//! Any bytes as a token and as a key set: no panic, nothing accepted that was not signed; and what was read says the
//! same when it is read again.
//! Next: `src/pipeline/authenticate/tokens`.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mcpring::pipeline::authenticate::tokens::keys::{Algorithm, KeySet};
use mcpring::pipeline::authenticate::tokens::reading::{TOKEN_BYTES_MAX, is_token, read};
use mcpring::pipeline::authenticate::tokens::revoked::Revocations;
use mcpring::pipeline::authenticate::tokens::{Issuer, Issuers};

/// RFC 8037 A.2: a key whose private half is not used here.
const SET: &[u8] =
    br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

static ISSUERS: LazyLock<Issuers> = LazyLock::new(|| {
    let mut issuer = Issuer::named("corp", "i");
    issuer.audiences = vec!["a".to_owned()];
    issuer.keys = Arc::new(KeySet::decode(SET, &Algorithm::ALL).expect("a good set"));
    Issuers::build(vec![issuer], Arc::new(Revocations::default()))
});

fuzz_target!(|input: &[u8]| {
    // The key's owner has not signed anything: whatever is accepted is forged.
    assert!(ISSUERS.verify(input, None, 1_795_400_000).is_err());
    if let Ok(token) = read(input) {
        assert!(is_token(input) && input.len() <= TOKEN_BYTES_MAX);
        assert_eq!(format!("{}.{}", token.signed, token.signature).as_bytes(), input);
        assert!(Algorithm::ALL.contains(&token.header.algorithm));
    }
    if let Ok(set) = KeySet::decode(input, &Algorithm::ALL) {
        assert!(!set.keys().is_empty());
        let text = String::from_utf8_lossy(input);
        assert!(text.contains("keys") || text.contains('\\'), "nobody named any");
    }
});
