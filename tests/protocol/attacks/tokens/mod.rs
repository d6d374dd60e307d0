//! Tokens that no issuer wrote, that were written for somebody else or another time, and that two readers would read
//! in two ways. Whatever is wrong, the answer is the same, byte for byte.
//! Next: `src/pipeline/authenticate/tokens`, which refuses them; `bearers`, what happens to the good ones.

mod contents;
mod forms;
mod headers;

use std::sync::LazyLock;

use mcpring::pipeline::authenticate::tokens::Flaw;
use mcpring::pipeline::authenticate::tokens::keys::Algorithm;
use mcpring::pipeline::authenticate::tokens::revoked::{Revocations, Revoked};
use mcpring::pipeline::snapshot::{Security, Snapshot};
use serde_json::{Value, json};

use crate::fixture::{Desk, answers, post, snapshot_with};
use crate::issuer::{AUDIENCE, ISSUER, NOW_S, TestIssuer, accept, claims, claims_with, issuer, key_set};

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
            // An address that shows so many is blocked, which is tried elsewhere.
            snapshot.limits.failures.failures_max = u32::MAX;
        })
    }
}

/// A name, a token, and the flaw that has to be found in it.
type Case = (String, String, Flaw);

fn case(name: impl Into<String>, token: impl Into<String>, flaw: Flaw) -> Case {
    (name.into(), token.into(), flaw)
}

#[test]
fn refuses_every_forged_token_for_what_is_wrong_with_it_and_tells_nobody() {
    let world = &*WORLD;
    let snapshot = world.snapshot();
    let mut desk = Desk::new(snapshot.clone());
    let mut cases = headers::algorithms(world);
    cases.extend(headers::names(world));
    cases.extend(headers::own_keys());
    cases.extend(headers::kinds(world));
    cases.extend(forms::forms(world));
    cases.extend(forms::signatures(world));
    cases.extend(contents::contents(world));
    cases.extend(contents::occasions(world));
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
