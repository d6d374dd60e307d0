//! Callers with tokens: what they may do, how long, and what clients without one are told.
//! Next: `attacks/tokens`, the tokens that are refused.

use std::sync::Arc;

use mcpring::pipeline::authenticate::Identities;
use mcpring::pipeline::authenticate::grants::Grants;
use mcpring::pipeline::authenticate::tokens::keys::{Algorithm, KeySet, KeySetError};
use mcpring::pipeline::authenticate::tokens::revoked::{Revocations, Revoked};
use mcpring::pipeline::authenticate::tokens::{Flaw, Issuers};
use mcpring::pipeline::snapshot::{Listener, Resource, Security, Snapshot};
use serde_json::{Value, json};

use crate::fixture::{Answer, Desk, KEY, answers, echo, modern, snapshot_with};
use crate::issuer::{ISSUER, NOW_S, Pair, TestIssuer, accept, claims, claims_with, encode, issuer, key_set};

fn snapshot(signer: &TestIssuer, revoked: &[Revoked], change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let issuers = vec![issuer("corp", ISSUER, key_set(&[signer.public()]))];
        accept(snapshot, issuers, revoked.iter().cloned().collect());
        change(snapshot);
    })
}

fn with(request: &[u8], token: &str) -> Vec<u8> {
    String::from_utf8_lossy(request).replace(KEY, token).into_bytes()
}

fn ask(desk: &mut Desk, request: &[u8]) -> Answer {
    let mut connection = desk.connect();
    let answer = answers(&desk.feed(&mut connection, request)).remove(0);
    desk.release(connection);
    answer
}

#[test]
fn a_bearer_may_do_what_its_tokens_roles_allow() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let mut desk = Desk::new(snapshot(&signer, &[], |_| {}));
    let may = |desk: &mut Desk, roles: Value| {
        let token = signer.good(&claims_with("roles", roles));
        ask(desk, &with(&echo("1", "hello"), &token)).status
    };
    assert_eq!(may(&mut desk, json!(["operator"])), 200);
    assert_eq!(may(&mut desk, json!(["reader", "nobody"])), 403);
    assert_eq!(may(&mut desk, json!([])), 403);
    // Keys are still keys.
    assert_eq!(ask(&mut desk, &echo("1", "hello")).status, 200);
}

#[test]
fn a_token_is_verified_once_until_something_changes() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let mut desk = Desk::new(snapshot(&signer, &[], |_| {}));
    let request = with(&echo("1", "hello"), &signer.good(&claims()));
    for _ in 0..3 {
        assert_eq!(ask(&mut desk, &request).status, 200);
    }
    assert_eq!(desk.work.tokens.len(), 1);
    // Past its time a remembered token is refused like any other.
    desk.now.unix_ms += 630_000;
    assert_eq!(ask(&mut desk, &request).status, 401);
    desk.now.unix_ms -= 630_000;
    assert_eq!(ask(&mut desk, &request).status, 200);
    // The issuer's key is another one: what was verified under the old one counts no more.
    let other = TestIssuer::new(Algorithm::Es256);
    desk.reload(snapshot(&other, &[], |snapshot| snapshot.generation = 2));
    assert!(desk.work.tokens.is_empty());
    assert_eq!(ask(&mut desk, &request).status, 401);
}

#[test]
fn the_cache_keeps_within_its_bound() {
    let signer = TestIssuer::new(Algorithm::EdDsa);
    let mut desk = Desk::new(snapshot(&signer, &[], |snapshot| snapshot.limits.tokens_max = 16));
    for number in 0..100 {
        let token = signer.good(&claims_with("jti", json!(number.to_string())));
        assert_eq!(ask(&mut desk, &with(&echo("1", "hello"), &token)).status, 200);
    }
    assert!((8..=16).contains(&desk.work.tokens.len()), "{}", desk.work.tokens.len());
}

#[test]
fn a_stream_and_a_request_end_with_what_is_taken_back() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let token = signer.good(&claims());
    for revoked in [
        Revoked::Token("one".into()),
        Revoked::Subject { issuer: ISSUER.into(), subject: "alice".into() },
        Revoked::Key { issuer: ISSUER.into(), key: "ES256".into() },
    ] {
        let mut desk = Desk::new(snapshot(&signer, &[], |_| {}));
        let mut reader = desk.connect();
        let params = r#""notifications":{"toolsListChanged":true}"#;
        let listen = with(&modern("1", "subscriptions/listen", params, ""), &token);
        assert!(!desk.feed(&mut reader, &listen).is_empty());
        let mut open = desk.connect();
        let call = with(&echo("1", "hello"), &token);
        assert_eq!(answers(&desk.feed(&mut open, &call))[0].status, 200);
        // A change that does not concern it leaves it alone.
        desk.reload(snapshot(&signer, &[Revoked::Token("other".into())], |snapshot| snapshot.generation = 2));
        assert!(!desk.pass(&mut reader, 0).ends_with(b"0\r\n\r\n"), "{revoked:?}");
        assert_eq!(answers(&desk.feed(&mut open, &call))[0].status, 200);
        desk.reload(snapshot(&signer, std::slice::from_ref(&revoked), |snapshot| snapshot.generation = 3));
        assert!(desk.pass(&mut reader, 0).ends_with(b"0\r\n\r\n"), "{revoked:?}");
        assert_eq!(answers(&desk.feed(&mut open, &call))[0].status, 401, "{revoked:?}");
    }
}

#[test]
fn a_bound_token_is_good_with_its_certificate_only() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let issuers = Issuers::build(
        vec![issuer("corp", ISSUER, key_set(&[signer.public()]))],
        Arc::new(Revocations::default()),
    );
    let bound = signer.good(&claims_with("cnf", json!({"x5t#S256": encode([7; 32])})));
    let verify = |token: &str, certificate: Option<[u8; 32]>| {
        issuers.verify(token.as_bytes(), certificate.as_ref(), NOW_S).map(|bearer| bearer.origin.bound)
    };
    assert_eq!(verify(&bound, Some([7; 32])), Ok(Some([7; 32])));
    assert_eq!(verify(&bound, Some([8; 32])), Err(Flaw::Binding));
    assert_eq!(verify(&bound, None), Err(Flaw::Binding));
    // A token that is not bound may come with any certificate.
    assert_eq!(verify(&signer.good(&claims()), Some([8; 32])), Ok(None));
}

#[test]
fn two_issuers_with_one_subject_are_two_principals_and_share_no_role() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let other = TestIssuer::new(Algorithm::Es256);
    let of = |name: &str, iss: &str, signer: &TestIssuer| issuer(name, iss, key_set(&[signer.public()]));
    let granted = |issuers: Vec<_>, subjects: &[(&str, u64)], token: &str| {
        let snapshot = snapshot_with(Security::Plain, |snapshot| {
            accept(snapshot, issuers, Revocations::default());
            let mut identities = Identities::clone(&snapshot.identities);
            let subjects = subjects.iter().map(|(name, bits)| ((*name).to_owned(), *bits)).collect();
            identities.grants = Arc::new(Grants { subjects, ..Grants::default() });
            snapshot.identities = Arc::new(identities);
        });
        ask(&mut Desk::new(snapshot), &with(&echo("1", "hello"), token)).status
    };
    let ours = signer.good(&claims());
    let theirs = other.good(&claims_with("iss", json!("https://other.example.com")));
    let both = || vec![of("corp", ISSUER, &signer), of("other", "https://other.example.com", &other)];
    // A bare name says nobody: either could give it.
    assert_eq!(granted(both(), &[("alice", 1)], &ours), 403);
    assert_eq!(granted(both(), &[("alice", 1)], &theirs), 403);
    assert_eq!(granted(both(), &[("corp|alice", 1)], &ours), 200);
    assert_eq!(granted(both(), &[("corp|alice", 1)], &theirs), 403);
}

#[test]
fn a_strange_key_is_asked_for_and_nothing_else_is() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let new = TestIssuer { key_id: "new".into(), ..TestIssuer::new(Algorithm::Es256) };
    let snapshot = snapshot(&signer, &[], |_| {});
    let mut desk = Desk::new(snapshot.clone());
    let wanted = &snapshot.identities.tokens.list()[0].wanted;
    let forged = TestIssuer { key_id: "ES256".into(), ..TestIssuer::new(Algorithm::Es256) };
    for token in [forged.good(&claims()), signer.good(&claims_with("aud", json!("x"))), "a.b.c".to_owned()] {
        assert_eq!(ask(&mut desk, &with(&echo("1", "x"), &token)).status, 401);
        assert!(!wanted.take());
    }
    assert_eq!(ask(&mut desk, &with(&echo("1", "x"), &new.good(&claims()))).status, 401);
    assert!(wanted.take() && !wanted.take());
}

fn resource() -> Resource {
    Resource {
        paths: vec![
            "/.well-known/oauth-protected-resource".into(),
            "/.well-known/oauth-protected-resource/mcp".into(),
        ],
        url: "https://mcp.example.com/.well-known/oauth-protected-resource/mcp".into(),
        metadata: bytes::Bytes::from_static(br#"{"resource":"https://mcp.example.com/mcp"}"#),
        scopes: vec!["mcp:call".into(), "mcp:read".into()],
        header_block: bytes::Bytes::from_static(
            b"cache-control: public\r\naccess-control-allow-origin: *\r\n",
        ),
    }
}

fn telling(signer: &TestIssuer) -> Desk {
    Desk::new(snapshot(signer, &[], |snapshot| {
        if let Some(first) = snapshot.listeners.first_mut() {
            let resource = Some(Arc::new(resource()));
            *first = Arc::new(Listener { resource, ..Listener::clone(first) });
        }
    }))
}

#[test]
fn a_challenge_says_where_to_get_a_token_and_what_was_wrong_only_where_one_came() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let mut desk = telling(&signer);
    let authorization = format!("Authorization: Bearer {KEY}\r\n");
    let edit = |to: &str| String::from_utf8_lossy(&echo("1", "x")).replace(&authorization, to).into_bytes();
    let told = "resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\", \
                scope=\"mcp:call mcp:read\"\r\n";
    for (fields, status, error) in [
        (String::new(), 401, ""),
        ("Authorization: Bearer a.b.c\r\n".into(), 401, "error=\"invalid_token\", "),
        ("Authorization: Bearer x\r\n".into(), 401, "error=\"invalid_token\", "),
        ("Authorization: Basic eA==\r\n".into(), 401, "error=\"invalid_token\", "),
        (format!("{authorization}X-API-Key: {KEY}\r\n"), 400, "error=\"invalid_request\", "),
    ] {
        let answer = ask(&mut desk, &edit(&fields));
        assert_eq!(answer.status, status, "{fields}");
        let challenge = format!("www-authenticate: Bearer realm=\"mcpring\", {error}{told}");
        assert!(answer.head.contains(&challenge), "{fields}: {}", answer.head);
    }
}

#[test]
fn a_token_with_too_little_scope_is_told_which_scopes_would_do() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let mut desk = Desk::new(snapshot(&signer, &[], |snapshot| {
        if let Some(first) = snapshot.listeners.first_mut() {
            let scopes = ["mcp:all", "mcp:read", "mcp:run"].map(str::to_owned).to_vec();
            let resource = Some(Arc::new(Resource { scopes, ..resource() }));
            *first = Arc::new(Listener { resource, ..Listener::clone(first) });
        }
        let mut identities = Identities::clone(&snapshot.identities);
        // `mcp:read` gives the reader's role, which may not call `echo`.
        let scopes = [("mcp:all", 1), ("mcp:read", 2), ("mcp:run", 1)];
        let scopes = scopes.map(|(scope, bits)| (scope.to_owned(), bits)).into();
        identities.grants = Arc::new(Grants { scopes, ..Grants::default() });
        snapshot.identities = Arc::new(identities);
    }));
    let token = signer.good(&claims_with("scope", json!("mcp:read")));
    let answer = ask(&mut desk, &with(&echo("1", "x"), &token));
    assert_eq!(
        (answer.status, answer.json()["error"]["data"]["reason"].clone()),
        (403, json!("insufficient_scope"))
    );
    let told = "error=\"insufficient_scope\", resource_metadata=\"https://mcp.example.com/.well-known/\
                oauth-protected-resource/mcp\", scope=\"mcp:all mcp:run\"\r\n";
    assert!(answer.head.contains(told), "{}", answer.head);
    let token = signer.good(&claims_with("scope", json!("mcp:read mcp:run")));
    assert_eq!(ask(&mut desk, &with(&echo("1", "x"), &token)).status, 200);
    // Whoever has a key has no scopes to ask for.
    let reader = String::from_utf8_lossy(&echo("1", "x")).replace(KEY, crate::fixture::READER_KEY);
    assert_eq!(ask(&mut desk, reader.as_bytes()).json()["error"]["data"]["reason"], "forbidden");
}

#[test]
fn the_metadata_is_there_for_everybody_and_says_nothing_else() {
    let signer = TestIssuer::new(Algorithm::Es256);
    let mut desk = telling(&signer);
    let get = |desk: &mut Desk, method: &str, path: &str, fields: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        ask(desk, request.as_bytes())
    };
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        // A page of anybody's may read it: RFC 9728 3.
        let answer = get(&mut desk, "GET", path, "Origin: https://evil.example.com\r\n");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["resource"], "https://mcp.example.com/mcp");
        assert!(answer.head.contains("access-control-allow-origin: *\r\n"), "{}", answer.head);
        assert!(!answer.head.contains("no-store"), "{}", answer.head);
        let may = get(&mut desk, "OPTIONS", path, "Origin: https://evil.example.com\r\n");
        assert_eq!(may.status, 204);
        assert!(may.head.contains("access-control-allow-headers: *\r\n"), "{}", may.head);
        assert_eq!(get(&mut desk, "POST", path, "").status, 405);
        let request = format!("GET {path} HTTP/1.1\r\nHost: evil.example.com\r\n\r\n");
        assert_eq!(ask(&mut desk, request.as_bytes()).status, 421);
    }
    for path in ["/.well-known/oauth-protected-resource/", "/.well-known/oauth-protected-resource/other"] {
        assert_eq!(get(&mut desk, "GET", path, "").status, 404, "{path}");
    }
    // Where no tokens are accepted there is none.
    let mut desk = Desk::new(crate::fixture::snapshot());
    assert_eq!(get(&mut desk, "GET", "/.well-known/oauth-protected-resource", "").status, 404);
}

#[test]
fn a_key_set_yields_public_keys_with_one_algorithm_each() {
    let pair = |algorithm| Pair::generate(algorithm).public("a", algorithm);
    let with = |mut key: Value, name: &str, value: Value| {
        let members = key.as_object_mut().unwrap();
        members.remove(name);
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
        key
    };
    let decode = |keys: &[Value]| {
        let set = json!({"keys": keys}).to_string();
        KeySet::decode(set.as_bytes(), &Algorithm::ALL)
            .map(|set| set.keys().iter().map(|key| key.algorithm()).collect::<Vec<_>>())
    };
    let (es, rs, ed) = (pair(Algorithm::Es256), pair(Algorithm::Rs256), pair(Algorithm::EdDsa));
    // An RSA key that does not say: the first way that is accepted.
    assert_eq!(decode(&[with(rs.clone(), "alg", Value::Null)]), Ok(vec![Algorithm::Rs256]));
    assert_eq!(decode(&[with(rs.clone(), "alg", json!("PS256"))]), Ok(vec![Algorithm::Ps256]));
    assert_eq!(decode(&[es.clone(), es.clone(), ed.clone()]), Ok(vec![Algorithm::Es256, Algorithm::EdDsa]));
    for wrong in [
        json!({"kty": "oct", "k": encode([7; 32]), "kid": "a", "alg": "HS256"}),
        json!({"kty": "oct", "kid": "a"}),
        with(es.clone(), "d", json!(encode([7; 32]))),
        with(rs.clone(), "d", json!(encode([7; 32]))),
        with(es.clone(), "k", json!("")),
        with(es.clone(), "use", json!("enc")),
        with(es.clone(), "key_ops", json!(["sign"])),
        with(es.clone(), "alg", json!("ES384")),
        with(es.clone(), "alg", json!("HS256")),
        with(es.clone(), "alg", json!("none")),
        with(es.clone(), "crv", json!("P-521")),
        with(es.clone(), "crv", json!("secp256k1")),
        with(es.clone(), "x", json!(encode([7; 32]))),
        with(es.clone(), "x", json!(encode([0; 31]))),
        with(es.clone(), "y", Value::Null),
        with(es.clone(), "kid", json!(7)),
        with(es.clone(), "kid", json!("")),
        with(ed.clone(), "x", json!(encode([7; 31]))),
        with(ed.clone(), "crv", json!("Ed448")),
        with(rs.clone(), "n", json!(encode([0xff; 128]))),
        with(rs.clone(), "n", json!(encode([[0; 128], [0xff; 128]].concat()))),
        with(rs.clone(), "e", json!(encode([1]))),
        with(rs.clone(), "e", json!(encode([2]))),
        with(rs.clone(), "e", json!(encode([0]))),
        json!("key"),
        json!({}),
    ] {
        assert_eq!(decode(std::slice::from_ref(&wrong)), Err(KeySetError::NoKey), "{wrong}");
        // One that can not be used takes no other with it.
        assert_eq!(decode(&[wrong.clone(), ed.clone()]), Ok(vec![Algorithm::EdDsa]), "{wrong}");
    }
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(KeySet::decode(text.as_bytes(), &Algorithm::ALL).err(), Some(KeySetError::Form), "{text}");
    }
    assert_eq!(decode(&vec![es; 65]), Err(KeySetError::TooMany));
}
