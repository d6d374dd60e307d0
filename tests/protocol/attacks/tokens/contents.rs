//! Tokens that are well signed and not for us, not for now, or nobody's.
//! Next: `mod.rs`, which shows them all.

use serde_json::{Value, json};

use super::*;
use crate::issuer::encode;

/// Tokens that are well signed and of another issuer, for somebody else, or nobody's.
pub(super) fn contents(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let with = |name: &str, value: Value| es.good(&claims_with(name, value));
    let mut cases = Vec::new();
    for iss in [
        json!(null),
        json!(7),
        json!([ISSUER]),
        json!(format!("{ISSUER}/")),
        json!("HTTPS://idp.example.com"),
        json!("http://idp.example.com"),
        json!("https://idp.example.com.evil.example"),
        json!(""),
        json!("https://idp.example.com#"),
        json!("https://idp.ex\u{430}mple.com"),
    ] {
        cases.push(case(format!("iss {iss}"), with("iss", iss), Flaw::Issuer));
    }
    cases.push(case("the other issuer's name", with("iss", json!(OTHER)), Flaw::NoSuchKey));
    for aud in [
        json!(null),
        json!(""),
        json!(7),
        json!({}),
        json!([]),
        json!({AUDIENCE: 1}),
        json!("https://mcp.example.com/"),
        json!("https://mcp.example.com/MCP"),
        json!(["https://a.example", "https://b.example"]),
        json!([[AUDIENCE]]),
        json!([AUDIENCE, 7]),
        json!([AUDIENCE, null]),
        json!(format!("{AUDIENCE} https://a.example")),
        json!("*"),
        json!(vec![AUDIENCE; 65]),
    ] {
        cases.push(case(format!("aud {aud:.40}"), with("aud", aud), Flaw::Audience));
    }
    for sub in [
        json!(null),
        json!(""),
        json!(7),
        json!(["alice"]),
        json!("a\nb"),
        json!("a\u{0}"),
        json!("a\u{85}b"),
        json!("s".repeat(257)),
    ] {
        cases.push(case(format!("sub {sub:.40}"), with("sub", sub), Flaw::Subject));
    }
    let mut theirs = claims_with("iss", json!(OTHER));
    theirs["sub"] = json!("anybody");
    cases.push(case("a key taken back", world.other.good(&theirs), Flaw::Revoked));
    cases
}

/// Tokens that are not for now, not for this connection, or taken back.
pub(super) fn occasions(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let with = |name: &str, value: Value| es.good(&claims_with(name, value));
    let mut cases = Vec::new();
    let (leeway, age) = (30, 3600);
    cases.extend([
        case("exp just over", with("exp", json!(NOW_S - leeway)), Flaw::Expired),
        case("exp long over", with("exp", json!(1)), Flaw::Expired),
        case("exp zero", with("exp", json!(0)), Flaw::Expired),
        case(
            "exp with a fraction, just over",
            with("exp", json!((NOW_S - leeway) as f64 + 0.9)),
            Flaw::Expired,
        ),
        case("nbf a second too late", with("nbf", json!(NOW_S + leeway + 1)), Flaw::NotYet),
        case("iat in the future", with("iat", json!(NOW_S + leeway + 1)), Flaw::NotYet),
        case("iat just too old", with("iat", json!(NOW_S - age - leeway)), Flaw::TooOld),
        case("jti of a number", with("jti", json!(7)), Flaw::Claim),
        case("jti of nothing", with("jti", json!("")), Flaw::Claim),
        case("scope of a number", with("scope", json!(7)), Flaw::Claim),
        case("roles of an object", with("roles", json!({"operator": true})), Flaw::Claim),
        case("roles with a number", with("roles", json!(["operator", 1])), Flaw::Claim),
        case("bound to no certificate", with("cnf", json!({"x5t#S256": encode([7; 32])})), Flaw::Binding),
        case("bound to a DPoP key", with("cnf", json!({"jkt": encode([7; 32])})), Flaw::Binding),
        case("bound to both", with("cnf", json!({"jkt": "a", "x5t#S256": encode([7; 32])})), Flaw::Binding),
        case("bound to nothing", with("cnf", json!({})), Flaw::Binding),
        case("bound to a text", with("cnf", json!("a")), Flaw::Binding),
        case("bound to a short print", with("cnf", json!({"x5t#S256": encode([7; 31])})), Flaw::Binding),
        case("taken back", with("jti", json!("taken back")), Flaw::Revoked),
        case("a subject taken back", with("sub", json!("mallory")), Flaw::Revoked),
    ]);
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!("1795400600"),
            json!(-1),
            json!(1_795_400_600_000_u64),
            json!(true),
            json!([1]),
            json!(1e20),
        ] {
            cases.push(case(format!("{name} {value}"), with(name, value), Flaw::Claim));
        }
    }
    for name in ["exp", "iat"] {
        cases.push(case(format!("no {name}"), with(name, Value::Null), Flaw::Claim));
    }
    cases
}
