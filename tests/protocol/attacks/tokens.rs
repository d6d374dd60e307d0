//! Tokens that no issuer wrote, that were written for somebody else or another time, and that two readers would read
//! in two ways. Whatever is wrong, the answer is the same, byte for byte.
//! Next: `src/pipeline/authenticate/tokens`, which refuses them; `bearers`, what happens to the good ones.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use mcpring::pipeline::authenticate::tokens::Flaw;
use mcpring::pipeline::authenticate::tokens::keys::Algorithm;
use mcpring::pipeline::authenticate::tokens::revoked::{Revocations, Revoked};
use mcpring::pipeline::snapshot::{Security, Snapshot};
use serde_json::{Value, json};

use crate::fixture::issuer::{
    AUDIENCE, ISSUER, NOW_S, Pair, TestIssuer, accept, claims, claims_with, encode, issuer, key_set, token_of,
};
use crate::fixture::{Desk, answers, post, snapshot_with};

const OTHER: &str = "https://other.example.com";

/// Two issuers: ours with a key of each algorithm, and another that is trusted for its own tokens.
struct World {
    ours: Vec<TestIssuer>,
    other: TestIssuer,
}

static WORLD: LazyLock<World> = LazyLock::new(|| World {
    ours: Algorithm::ALL.map(TestIssuer::new).into(),
    other: TestIssuer { key_id: "other".into(), ..TestIssuer::new(Algorithm::Es256) },
});

impl World {
    fn of(&self, algorithm: Algorithm) -> &TestIssuer {
        self.ours.iter().find(|issuer| issuer.algorithm == algorithm).expect("there is one of each")
    }

    fn snapshot(&self) -> std::sync::Arc<Snapshot> {
        let keys: Vec<Value> = self.ours.iter().map(TestIssuer::public).collect();
        let revoked: Revocations = [
            Revoked::Token("taken back".into()),
            Revoked::Subject { issuer: ISSUER.into(), subject: "mallory".into() },
            Revoked::Key { issuer: OTHER.into(), key: "other".into() },
        ]
        .into_iter()
        .collect();
        snapshot_with(Security::Plain, |snapshot| {
            let issuers = vec![
                issuer("corp", ISSUER, key_set(&keys)),
                issuer("other", OTHER, key_set(&[self.other.public()])),
            ];
            accept(snapshot, issuers, revoked);
        })
    }
}

/// A name, a token, and the flaw that has to be found in it.
type Case = (String, String, Flaw);

fn case(name: impl Into<String>, token: impl Into<String>, flaw: Flaw) -> Case {
    (name.into(), token.into(), flaw)
}

/// Algorithms that are none, or not the key's.
fn algorithms(world: &World) -> Vec<Case> {
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

/// Headers that name another key, carry one, or ask for what is not done.
fn headers(world: &World) -> Vec<Case> {
    let es = world.of(Algorithm::Es256);
    let thief = TestIssuer { key_id: "ES256".into(), ..TestIssuer::new(Algorithm::Es256) };
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
        cases.push(case(format!("own key in {name}"), thief.good_with(&header, &body), Flaw::Signature));
        header["kid"] = "thief".into();
        cases.push(case(
            format!("own key and name in {name}"),
            thief.good_with(&header, &body),
            Flaw::NoSuchKey,
        ));
    }
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
    cases.push(case(
        "two candidates and no kid",
        {
            let header = json!({"alg": "ES256"});
            thief.token(&header, &body)
        },
        Flaw::Signature,
    ));
    cases
}

impl TestIssuer {
    fn good_with(&self, header: &Value, claims: &Value) -> String {
        self.token(header, claims)
    }
}

/// Tokens that are cut, padded, too long, or that say a thing twice.
fn forms(world: &World) -> Vec<Case> {
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
fn signatures(world: &World) -> Vec<Case> {
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
    let flipped = |issuer: &TestIssuer, at: usize| {
        signed_by(issuer, &|signed| {
            let mut signature = issuer.pair.sign(issuer.algorithm, signed);
            signature[at] ^= 1;
            signature
        })
    };
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
    for issuer in &world.ours {
        cases.push(case(
            format!("{} with one bit changed", issuer.key_id),
            flipped(issuer, 20),
            Flaw::Signature,
        ));
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
        [&[2, padded.len() as u8], padded.as_slice()].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, both.len() as u8], both.as_slice()].concat()
}

/// Tokens that are well signed and not for us, not for now, or nobody's.
fn contents(world: &World) -> Vec<Case> {
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
    let mut theirs = claims_with("iss", json!(OTHER));
    theirs["sub"] = json!("anybody");
    cases.push(case("a key taken back", world.other.good(&theirs), Flaw::Revoked));
    cases
}

#[test]
fn refuses_every_forged_token_for_what_is_wrong_with_it_and_tells_nobody() {
    let world = &*WORLD;
    let snapshot = world.snapshot();
    let mut desk = Desk::new(snapshot.clone());
    let mut cases = algorithms(world);
    cases.extend(headers(world));
    cases.extend(forms(world));
    cases.extend(signatures(world));
    cases.extend(contents(world));
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut told: Option<Vec<u8>> = None;
    for (name, token, flaw) in &cases {
        let found = snapshot.identities.tokens.verify(token.as_bytes(), None, NOW_S).map(|bearer| bearer.id);
        assert_eq!(found, Err(*flaw), "{name}: {token}");
        let mut connection = desk.connect();
        let request = post(
            &format!("Authorization: Bearer {token}\r\n"),
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        );
        let answer = desk.feed(&mut connection, &request);
        // What is not ASCII is no header of HTTP's, and never comes so far.
        if token.is_ascii() {
            assert_eq!(answers(&answer)[0].status, 401, "{name}");
            assert_eq!(told.get_or_insert_with(|| answer.clone()), &answer, "{name}");
        }
        desk.release(connection);
    }
    assert!(desk.work.tokens.is_empty(), "nothing that was refused is remembered");
}

#[test]
fn accepts_each_way_of_signing_and_each_edge_of_time() {
    let world = &*WORLD;
    let snapshot = world.snapshot();
    let accepts = |name: &str, token: &str| {
        let found = snapshot.identities.tokens.verify(token.as_bytes(), None, NOW_S);
        let bearer = found.unwrap_or_else(|flaw| panic!("{name}: {flaw:?}: {token}"));
        assert_eq!(&*bearer.id, "corp|alice", "{name}");
        bearer
    };
    for issuer in &world.ours {
        let bearer = accepts(&issuer.key_id, &issuer.good(&claims()));
        assert_eq!(
            (bearer.roles, bearer.scopes),
            (vec!["operator".to_owned()], vec!["mcp:call".into(), "mcp:read".into()])
        );
        assert_eq!(bearer.expires_at_s, NOW_S + 600 + 30);
    }
    let es = world.of(Algorithm::Es256);
    for (name, value) in [
        ("aud", json!(["https://a.example", AUDIENCE])),
        ("aud", json!("https://mcp.example.com")),
        ("exp", json!(NOW_S - 29)),
        ("exp", json!((NOW_S + 1) as f64 + 0.5)),
        ("nbf", json!(NOW_S + 30)),
        ("iat", json!(NOW_S + 30)),
        ("iat", json!(NOW_S - 3600 - 29)),
        ("jti", Value::Null),
        ("roles", Value::Null),
        ("roles", json!("operator reader")),
        ("scope", json!(["mcp:call"])),
        ("azp", json!("client")),
    ] {
        accepts(name, &es.good(&claims_with(name, value)));
    }
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt", "jwt", "JWT"] {
        let mut header = es.header();
        header["typ"] = kind.into();
        accepts(kind, &es.token(&header, &claims()));
    }
    // One key of an algorithm needs no name; what a header carries beside that is not looked at.
    accepts("no kid", &es.token(&json!({"alg": "ES256"}), &claims()));
    accepts(
        "a jku nobody follows",
        &es.token(&json!({"alg": "ES256", "kid": "ES256", "jku": "https://evil"}), &claims()),
    );
    let ed = world.of(Algorithm::EdDsa);
    accepts("RFC 9864", &ed.token(&json!({"alg": "Ed25519", "kid": "EdDSA"}), &claims()));
}
