//! Headers that name no algorithm, another one or another key, carry a key, or ask for what is not done.
//! Next: `forms`.

use aws_lc_rs::hmac;
use serde_json::json;

use super::*;
use crate::issuer::{encode, token_of};

/// Algorithms that are none, or not the key's.
pub(super) fn algorithms(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let rs = world.of(Algorithm::Rs256);
    let body = claims();
    let mut cases = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", "none ", "", "NonE\u{0}", "n\u{3bf}ne"] {
        let header = json!({"alg": none, "typ": "JWT"});
        let unsigned = format!("{}.{}.", encode(header.to_string()), encode(body.to_string()));
        cases.push(case(format!("alg {none:?} unsigned"), unsigned, Flaw::Algorithm));
        cases.push(case(format!("alg {none:?} signed"), es.token(&header, &body), Flaw::Algorithm));
    }
    for alg in
        ["HS256", "HS384", "HS512", "RS384", "RS512", "PS512", "ES512", "ES256K", "es256", "EdDsa", "dir"]
    {
        let header = json!({"alg": alg, "kid": "ES256"});
        cases.push(case(format!("alg {alg}"), es.token(&header, &body), Flaw::Algorithm));
    }
    // The public key as the secret of an HMAC, in the spellings a careless server would use.
    let public = rs.public();
    for secret in [public["n"].as_str().unwrap().to_owned(), public.to_string(), String::new()] {
        let forged = |alg: &str| {
            let header = json!({"alg": alg, "kid": "RS256"}).to_string();
            token_of(header.as_bytes(), body.to_string().as_bytes(), |signed| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hmac::sign(&key, signed).as_ref().to_vec()
            })
        };
        cases.push(case("HS256 under the public key", forged("HS256"), Flaw::Algorithm));
        cases.push(case("an HMAC called RS256", forged("RS256"), Flaw::Signature));
    }
    let ps = world.of(Algorithm::Ps256);
    let swapped = |kid: &str, signer: &TestIssuer, said: Algorithm, done: Algorithm| {
        let header = json!({"alg": said.name(), "kid": kid}).to_string();
        token_of(header.as_bytes(), body.to_string().as_bytes(), |signed| signer.pair.sign(done, signed))
    };
    cases.extend([
        case(
            "RS256 with a key for PS256",
            swapped("PS256", ps, Algorithm::Rs256, Algorithm::Rs256),
            Flaw::Algorithm,
        ),
        case(
            "PS256 with a key for RS256",
            swapped("RS256", rs, Algorithm::Ps256, Algorithm::Ps256),
            Flaw::Algorithm,
        ),
        case(
            "PS256 signed in the way of RS256",
            swapped("PS256", ps, Algorithm::Ps256, Algorithm::Rs256),
            Flaw::Signature,
        ),
        case(
            "ES384 with a key of P-256",
            swapped("ES256", es, Algorithm::Es384, Algorithm::Es384),
            Flaw::Algorithm,
        ),
        case(
            "ES256 with a key of P-384",
            swapped("ES384", world.of(Algorithm::Es384), Algorithm::Es256, Algorithm::Es256),
            Flaw::Algorithm,
        ),
        case(
            "EdDSA with a key of P-256",
            swapped("ES256", es, Algorithm::EdDsa, Algorithm::EdDsa),
            Flaw::Algorithm,
        ),
        case("no alg", es.token(&json!({"kid": "ES256"}), &body), Flaw::Algorithm),
        case("alg is a list", es.token(&json!({"alg": ["ES256"], "kid": "ES256"}), &body), Flaw::Algorithm),
        case("alg is null", es.token(&json!({"alg": null, "kid": "ES256"}), &body), Flaw::Algorithm),
    ]);
    cases
}

/// Headers that name another key.
pub(super) fn names(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let body = claims();
    let mut cases = Vec::new();
    let ids = [
        "../../../../dev/null",
        "/dev/null",
        "' UNION SELECT 'a",
        "x' OR '1'='1",
        "| sleep 9",
        "$(id)",
        "http://127.0.0.1/key",
        "ES256\u{0}",
        " ES256",
        "ES256 ",
        "es256",
        "\u{feff}ES256",
        "ES\u{ff12}56",
        "other",
    ];
    for id in ids {
        let header = json!({"alg": "ES256", "kid": id});
        cases.push(case(format!("kid {id:?}"), es.token(&header, &body), Flaw::NoSuchKey));
    }
    let long = "k".repeat(257);
    for id in [json!(""), json!(7), json!(null), json!(["ES256"]), json!({"a": 1}), json!(long)] {
        let header = json!({"alg": "ES256", "kid": id});
        cases.push(case(format!("kid {id}"), es.token(&header, &body), Flaw::KeyId));
    }
    cases
}

/// Headers that carry a key, or say where one is.
pub(super) fn own_keys() -> Vec<Case> {
    let thief = TestIssuer { key_id: "ES256".into(), ..TestIssuer::new(Algorithm::Es256) };
    let body = claims();
    let mut cases = Vec::new();
    let public = thief.public();
    let certificate = encode("a certificate of the thief's");
    for (name, value) in [
        ("jwk", public.clone()),
        ("jku", json!("https://evil.example.com/jwks.json")),
        ("x5u", json!("https://evil.example.com/chain.pem")),
        ("x5c", json!([certificate])),
        ("x5t#S256", json!(encode([0; 32]))),
    ] {
        let mut header = thief.header();
        header[name] = value;
        cases.push(case(format!("own key in {name}"), thief.token(&header, &body), Flaw::Signature));
        header["kid"] = "thief".into();
        cases.push(case(format!("own key and name in {name}"), thief.token(&header, &body), Flaw::NoSuchKey));
    }
    let nameless = thief.token(&json!({"alg": "ES256"}), &body);
    cases.push(case("a key nobody names", nameless, Flaw::Signature));
    cases
}

/// Headers that ask for what is not done, and tokens of other kinds.
pub(super) fn kinds(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let body = claims();
    let mut cases = Vec::new();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("cty", json!("JWT")),
        ("cty", json!("application/jwt")),
    ] {
        let mut header = es.header();
        header[name] = value.clone();
        cases.push(case(format!("{name} {value}"), es.token(&header, &body), Flaw::Extension));
    }
    for kind in [
        json!("dpop+jwt"),
        json!("id_token+jwt"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!(""),
        json!("JOSE"),
        json!("text/jwt"),
        json!(1),
        json!(null),
    ] {
        let mut header = es.header();
        header["typ"] = kind.clone();
        cases.push(case(format!("typ {kind}"), es.token(&header, &body), Flaw::Kind));
    }
    cases
}
