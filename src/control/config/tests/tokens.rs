//! `[auth.jwt.*]`: every setting has its effect, and what can not be meant is refused.
//! Next: `check/tokens.rs`.

use super::*;
use crate::pipeline::authenticate::tokens::keys::Algorithm;

const CORP: &str = "[auth.jwt.corp]\nissuer = \"https://idp.example.com\"\n\
    audiences = [\"https://mcp.example.com\"]\njwks_url = \"https://idp.example.com/jwks.json\"\n";

/// `GOOD` with an issuer, whose tokens the first listener accepts.
fn with(issuer: &str) -> String {
    let accepting = changed("auth = [\"api_key\"]", "auth = [\"jwt\", \"api_key\"]");
    format!("{accepting}\n{issuer}")
}

fn loaded(overrides: &[&str]) -> Config {
    load_text(&with(CORP), overrides).unwrap_or_else(|problems| panic!("{problems}")).config
}

#[test]
fn finds_nothing_wrong_with_an_issuer() {
    let found = problems(&with(CORP), &[]);
    assert!(found.is_empty(), "{found}");
    let config = loaded(&[]);
    let rules = &config.issuers[0].rules;
    assert_eq!((&*rules.name, rules.issuer.as_str()), ("corp", "https://idp.example.com"));
    assert_eq!(rules.algorithms, Algorithm::ALL);
    assert_eq!(rules.token_types, ["jwt", "at+jwt"]);
    assert_eq!((rules.leeway_s, rules.token_age_max_s), (30, 24 * 60 * 60));
    assert_eq!(config.limits.tokens_max, 65_536);
}

#[test]
fn has_no_setting_of_an_issuer_without_effect() {
    let before = format!("{:?}", loaded(&[]));
    for set in [
        "issuer=https://other.example.com",
        "jwks_url=https://other.example.com/jwks.json",
        "ca_file=other",
        "audiences=[\"other\"]",
        "algorithms=[\"ES256\"]",
        "token_types=[\"at+jwt\"]",
        "leeway=1s",
        "max_token_age=1h",
        "required_claims=[\"azp\"]",
        "subject_claim=email",
        "roles_claim=groups",
        "scopes_claim=scp",
        "jwks_refresh=1h",
        "jwks_stale_if_error=1h",
        "token_cache=9",
    ] {
        assert_ne!(format!("{:?}", loaded(&[&format!("auth.jwt.corp.{set}")])), before, "{set}");
    }
    assert_ne!(format!("{:?}", loaded(&["auth.revocations_file=revoked.toml"])), before);
    let file = CORP.replace("jwks_url = \"https://idp.example.com/jwks.json\"", "jwks_file = \"jwks.json\"");
    assert!(problems(&with(&file), &[]).is_empty());
    let discovery = CORP.replace("jwks_url = \"https://idp.example.com/jwks.json\"", "discovery = true");
    assert!(problems(&with(&discovery), &[]).is_empty());
}

#[test]
fn refuses_what_can_not_be_meant() {
    let check = |overrides: &[&str], code: &str| {
        let found = problems(&with(CORP), overrides);
        assert!(codes(&found).contains(&code), "{overrides:?}: {found}");
    };
    check(&["auth.jwt.corp.discovery=true"], "E0213");
    check(&["auth.jwt.corp.jwks_file=jwks.json"], "E0213");
    check(&["auth.jwt.corp.jwks_url=http://idp.example.com/jwks.json"], "E0106");
    check(&["auth.jwt.corp.jwks_url=ftp://idp.example.com/jwks.json"], "E0106");
    check(&["auth.jwt.corp.algorithms=[\"none\"]"], "E0107");
    check(&["auth.jwt.corp.algorithms=[\"HS256\"]"], "E0107");
    check(&["auth.jwt.corp.algorithms=[\"RS1\"]"], "E0103");
    check(&["auth.jwt.corp.algorithms=[]"], "E0104");
    check(&["auth.jwt.corp.audiences=[]"], "E0104");
    check(&["listeners.https.auth=[\"api_key\"]"], "W0214");
    let twice = format!("{}{}", with(CORP), CORP.replace("corp", "again"));
    assert_eq!(codes(&problems(&twice, &[])), ["E0209"]);
    // Loopback is where tests have their issuers.
    let loopback = ["auth.jwt.corp.jwks_url=http://127.0.0.1:1/jwks.json"];
    assert!(problems(&with(CORP), &loopback).is_empty());
    let nameless = with(CORP)
        .replace("auth_required = false", "auth = [\"jwt\"]")
        .lines()
        .filter(|line| !line.starts_with("public_url"))
        .collect::<Vec<_>>()
        .join("\n");
    let found = problems(&nameless, &["listeners.https.hostnames=[\"a.example\"]"]);
    assert!(codes(&found).contains(&"W0219"), "{found}");
}
