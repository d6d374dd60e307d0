//! Tokens that are cut, padded, too long or say a thing twice, and signatures that are none.
//! Next: `contents`.

use serde_json::json;

use super::*;
use crate::issuer::{Pair, token_of};

/// Tokens that are cut, padded, too long, or that say a thing twice.
pub(super) fn forms(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let good = es.good(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, body) = (es.header().to_string(), claims().to_string());
    let mut cases = Vec::new();
    for (at, name) in ["header", "claims", "signature"].into_iter().enumerate() {
        let mut cut: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let part = cut[at].clone();
        cut[at] = part[..part.len() - 1].to_owned();
        let flaw = if at == 2 { None } else { Some(Flaw::Form) };
        // A shorter signature may still be base64url; then it does not hold.
        let shorter = cut.join(".");
        cases.push((format!("{name} cut short"), shorter, flaw.unwrap_or(Flaw::Form)));
        cut[at] = String::new();
        cases.push(case(format!("{name} empty"), cut.join("."), Flaw::Form));
        cut[at] = format!("{part}=");
        cases.push(case(format!("{name} padded"), cut.join("."), Flaw::Form));
        cut[at] = format!("{part}\u{a0}");
        cases.push(case(format!("{name} with a space of Unicode's"), cut.join("."), Flaw::Form));
    }
    let nested = es.token(&es.header(), &json!(good));
    cases.extend([
        case("a token as the claims", nested, Flaw::Form),
        case("claims are a list", es.raw(&header, "[]"), Flaw::Form),
        case("claims are a text", es.raw(&header, "\"a\""), Flaw::Form),
        case("claims are nothing", es.raw(&header, ""), Flaw::Form),
        case("header is a list", es.raw("[]", &body), Flaw::Form),
        case("alg twice", es.raw(r#"{"alg":"none","alg":"ES256","kid":"ES256"}"#, &body), Flaw::Form),
        case(
            "alg twice, once escaped",
            es.raw(r#"{"\u0061lg":"none","alg":"ES256","kid":"ES256"}"#, &body),
            Flaw::Form,
        ),
        case("kid twice", es.raw(r#"{"alg":"ES256","kid":"ES384","kid":"ES256"}"#, &body), Flaw::Form),
        case("sub twice", es.raw(&header, &body.replacen('{', r#"{"sub":"root","#, 1)), Flaw::Form),
        case("iss twice", es.raw(&header, &body.replacen('{', r#"{"iss":"x","#, 1)), Flaw::Form),
        case("exp twice", es.raw(&header, &body.replacen('{', r#"{"exp":9e9,"#, 1)), Flaw::Form),
        case(
            "a name twice in a claim",
            es.raw(&header, &body.replacen('{', r#"{"cnf":{"jkt":1,"jkt":2},"#, 1)),
            Flaw::Form,
        ),
        case("comments", es.raw(&header, &body.replacen('{', "{/* */", 1)), Flaw::Form),
        case("something after the claims", es.raw(&header, &format!("{body}{{}}")), Flaw::Form),
        case("a byte order mark", es.raw(&header, &format!("\u{feff}{body}")), Flaw::Form),
        case("half a surrogate", es.raw(&header, &body.replacen('{', r#"{"a":"\ud83d","#, 1)), Flaw::Form),
        case("a number out of range", es.raw(&header, &body.replacen('{', r#"{"a":1e999,"#, 1)), Flaw::Form),
        case(
            "nested too deep",
            es.raw(
                &header,
                &body.replacen('{', &format!(r#"{{"a":{}{},"#, "[".repeat(99), "]".repeat(99)), 1),
            ),
            Flaw::Form,
        ),
        case("a JWE", format!("{good}.{}.{}", parts[2], parts[2]), Flaw::Form),
        case(
            "huge claims",
            es.raw(&header, &body.replacen('{', &format!(r#"{{"a":"{}","#, "a".repeat(7000)), 1)),
            Flaw::Size,
        ),
        case(
            "a huge header",
            es.raw(&header.replacen('{', &format!(r#"{{"a":"{}","#, "a".repeat(2000)), 1), &body),
            Flaw::Size,
        ),
    ]);
    cases
}

/// Signatures that are none.
pub(super) fn signatures(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let ed = world.of(Algorithm::EdDsa);
    let rs = world.of(Algorithm::Rs256);
    let body = claims().to_string();
    let signed_by = |issuer: &TestIssuer, signature: &dyn Fn(&[u8]) -> Vec<u8>| {
        token_of(issuer.header().to_string().as_bytes(), body.as_bytes(), |signed| signature(signed))
    };
    let order: Vec<u8> = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ]
    .to_vec();
    let mut cases = vec![
        case("r = s = 0", signed_by(es, &|_| vec![0; 64]), Flaw::Signature),
        case("r = s = n", signed_by(es, &|_| [order.clone(), order.clone()].concat()), Flaw::Signature),
        case("r = 0", signed_by(es, &|_| [vec![0; 32], vec![1; 32]].concat()), Flaw::Signature),
        case("all ones", signed_by(es, &|_| vec![0xff; 64]), Flaw::Signature),
        case("one byte", signed_by(es, &|_| vec![0]), Flaw::Signature),
        case("64 zeros for Ed25519", signed_by(ed, &|_| vec![0; 64]), Flaw::Signature),
        case(
            "the identity for Ed25519",
            signed_by(ed, &|_| [vec![1], vec![0; 63]].concat()),
            Flaw::Signature,
        ),
        case("256 zeros for RSA", signed_by(rs, &|_| vec![0; 256]), Flaw::Signature),
        case("1 for RSA", signed_by(rs, &|_| [vec![0; 255], vec![1]].concat()), Flaw::Signature),
        case(
            "DER where raw is wanted",
            signed_by(es, &|signed| der(&es.pair.sign(es.algorithm, signed))),
            Flaw::Signature,
        ),
        case(
            "two signatures",
            signed_by(es, &|signed| es.pair.sign(es.algorithm, signed).repeat(2)),
            Flaw::Signature,
        ),
        case(
            "a zero before the signature",
            signed_by(rs, &|signed| [vec![0], rs.pair.sign(rs.algorithm, signed)].concat()),
            Flaw::Signature,
        ),
        case(
            "another key of ours",
            signed_by(es, &|signed| Pair::generate(Algorithm::Es256).sign(Algorithm::Es256, signed)),
            Flaw::Signature,
        ),
        case(
            "the other issuer's key",
            signed_by(es, &|signed| world.other.pair.sign(Algorithm::Es256, signed)),
            Flaw::Signature,
        ),
    ];
    cases.extend(changed(world));
    cases
}

/// Signatures of other tokens, or with a bit that is another.
fn changed(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let body = claims().to_string();
    let flipped = |issuer: &TestIssuer| {
        token_of(issuer.header().to_string().as_bytes(), body.as_bytes(), |signed| {
            let mut signature = issuer.pair.sign(issuer.algorithm, signed);
            signature[20] ^= 1;
            signature
        })
    };
    let mut cases = Vec::new();
    for issuer in &world.ours {
        let name = format!("{} with one bit changed", issuer.key_id);
        cases.push(case(name, flipped(issuer), Flaw::Signature));
    }
    // Claims of one token under the signature of another.
    let (good, better) = (es.good(&claims()), es.good(&claims_with("sub", json!("root"))));
    let signature = good.rsplit_once('.').unwrap().1;
    let swapped = format!("{}.{signature}", better.rsplit_once('.').unwrap().0);
    cases.push(case("another token's signature", swapped, Flaw::Signature));
    cases
}

/// A raw ECDSA signature in the way of X.509.
fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let padded = if half[0] >= 0x80 { [&[0], half].concat() } else { half.to_vec() };
        [&[2, u8::try_from(padded.len()).unwrap()], padded.as_slice()].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat()
}
