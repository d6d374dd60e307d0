//! When an issuer is asked, what of its answers is taken, and which answers are not.
//! Next: `tests/endtoend/tokens.rs`, the same against a web server.

use super::*;
use crate::pipeline::authenticate::tokens::Issuer;

const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn settings() -> Jwt {
    Jwt {
        rules: Issuer::named("corp", "https://idp.example.com"),
        source: KeySource::Url("https://idp.example.com/keys".to_owned()),
        ca_file: None,
        refresh: Duration::from_secs(900),
        stale_if_error: Duration::from_secs(3600),
        tokens_max: 0,
    }
}

fn known() -> Known {
    Known::new(1, settings())
}

fn answer(known: &Known, outcome: Result<Read, String>) -> Answer {
    Answer { name: known.name().to_owned(), number: known.number, outcome }
}

fn etag() -> Etag {
    Etag { url: "https://idp.example.com/keys".to_owned(), tag: "\"1\"".to_owned() }
}

fn keys(text: &[u8]) -> Result<Read, String> {
    let set = KeySet::decode(text, &Algorithm::ALL).map_err(|error| error.to_string())?;
    Ok(Read { found: Found::Keys(set, text.to_vec(), Some(etag())), max_age: None })
}

#[test]
fn asks_at_once_then_on_time_then_when_a_key_is_wanted() {
    let (mut known, start) = (known(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    assert!(known.due(start).is_some());
    assert!(known.due(after(99)).is_none(), "one question at a time");
    let read = answer(&known, keys(SET));
    assert!(known.take(read, start).is_none());
    assert_eq!(known.keys().keys().len(), 1);
    assert!(known.due(after(899)).is_none());
    assert_eq!(known.due(after(900)).unwrap().etag, Some(etag()));
    // Still the same: the very set stays, so that nobody has to be told.
    let before = known.keys();
    let same = answer(&known, Ok(Read { found: Found::Same, max_age: None }));
    assert!(known.take(same, after(900)).is_none());
    let again = answer(&known, keys(SET));
    assert!(known.take(again, after(900)).is_none());
    assert!(Arc::ptr_eq(&before, &known.keys()));
    // A strange name, but not twice within the pause.
    known.wanted().ask();
    assert!(known.due(after(904)).is_none());
    assert!(known.due(after(905)).is_some());
    let again = answer(&known, keys(SET));
    known.take(again, after(905));
    known.wanted().ask();
    assert!(known.due(after(906)).is_none());
}

#[test]
fn a_tag_goes_with_its_text() {
    let (mut known, start) = (known(), Instant::now());
    let mut at = start;
    let mut ask = |known: &mut Known, outcome| {
        at += Duration::from_secs(900);
        let sent = known.due(at).unwrap().etag;
        let read = answer(known, outcome);
        known.take(read, at);
        sent
    };
    assert_eq!(ask(&mut known, keys(SET)), None);
    assert_eq!(ask(&mut known, Ok(Read { found: Found::Same, max_age: None })), Some(etag()));
    let untagged = keys(SET).map(|read| match read.found {
        Found::Keys(set, text, _) => Read { found: Found::Keys(set, text, None), ..read },
        Found::Same => read,
    });
    assert_eq!(ask(&mut known, untagged), Some(etag()));
    assert_eq!(ask(&mut known, keys(SET)), None, "the last text had none");
}

#[test]
fn a_tag_is_shown_where_it_comes_from_and_nowhere_else() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://127.0.0.1:{}/keys", listener.local_addr().unwrap().port());
    let asked = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut peer, mut head) = (listener.accept().unwrap().0, Vec::new());
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                assert_eq!(peer.read(&mut byte).unwrap(), 1);
                head.push(byte[0]);
            }
            peer.write_all(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n").unwrap();
            heads.push(String::from_utf8(head).unwrap().to_ascii_lowercase());
        }
        heads
    });
    let ask = |url: &str| {
        let source = KeySource::Url(place.clone());
        let mut known = Known::new(1, Jwt { source, ..settings() });
        known.etag = Some(Etag { url: url.to_owned(), ..etag() });
        known.due(Instant::now()).unwrap().run().outcome
    };
    assert!(matches!(ask(&place), Ok(Read { found: Found::Same, .. })));
    assert!(ask("https://idp.example.com/old").err().unwrap().contains("without a tag"));
    let heads = asked.join().unwrap();
    assert!(heads[0].contains("if-none-match: \"1\"") && !heads[1].contains("if-none-match"), "{heads:?}");
}

#[test]
fn the_issuer_may_be_asked_sooner_and_not_more_rarely() {
    for (max_age, wait) in [(None, 900), (Some(60), 60), (Some(0), 5), (Some(86_400), 900)] {
        let (mut known, start) = (known(), Instant::now());
        known.due(start);
        let read = keys(SET).map(|read| Read { max_age: max_age.map(Duration::from_secs), ..read });
        let read = answer(&known, read);
        known.take(read, start);
        assert!(known.due(start + Duration::from_secs(wait - 1)).is_none(), "{max_age:?}");
        assert!(known.due(start + Duration::from_secs(wait)).is_some(), "{max_age:?}");
    }
}

#[test]
fn keys_outlive_an_issuer_that_is_away_for_so_long_and_no_longer() {
    let (mut known, start) = (known(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    known.due(start);
    let read = answer(&known, keys(SET));
    known.take(read, start);
    let (mut at, mut waits) = (900, Vec::new());
    for _ in 0..6 {
        assert!(known.due(after(at)).is_some(), "{at}");
        let failed = answer(&known, Err("cannot fetch".to_owned()));
        let problem = known.take(failed, after(at)).unwrap();
        assert!(problem.notes[0].starts_with("the keys that are known are used"), "{problem}");
        // Strange tokens do not have an issuer asked that is in trouble.
        known.wanted().ask();
        let wait = (1..=60).find(|wait| known.due(after(at + wait)).is_some()).unwrap();
        known.is_asking = false;
        waits.push(wait);
        at += wait;
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    assert!(known.forget_when_stale(after(900 + 3600)).is_none());
    assert_eq!(known.forget_when_stale(after(900 + 3601)).unwrap().code, "W0612");
    assert!(known.keys().keys().is_empty());
    assert!(known.forget_when_stale(after(9999)).is_none(), "told once");
}

#[test]
fn an_answer_to_a_question_of_before_a_reload_is_passed_over() {
    let (mut before, start) = (known(), Instant::now());
    before.due(start);
    let read = answer(&before, keys(SET));
    let mut algorithms = settings();
    algorithms.rules.algorithms = vec![Algorithm::Es256];
    let authority = Jwt { ca_file: Some("ca.pem".into()), ..settings() };
    let source = Jwt { source: KeySource::Discovery, ..settings() };
    for other in [&algorithms, &authority, &source] {
        assert!(!before.is_of(other), "it is asked anew");
    }
    assert!(before.is_of(&Jwt { refresh: Duration::from_secs(60), ..settings() }));
    let mut after = Known::new(2, authority);
    assert!(after.due(start).is_some());
    assert!(after.take(read, start).is_none());
    assert!(after.keys().keys().is_empty());
    assert!(after.due(start).is_none(), "its own question is still open");
    let read = answer(&after, keys(SET));
    after.take(read, start);
    assert_eq!(after.keys().keys().len(), 1);
}

#[test]
fn believes_only_the_issuers_own_metadata() {
    let issuer = "https://idp.example.com/tenant";
    assert_eq!(
        metadata_urls(issuer),
        [
            "https://idp.example.com/tenant/.well-known/openid-configuration",
            "https://idp.example.com/.well-known/oauth-authorization-server/tenant",
        ]
    );
    let read = |text: &str| read_metadata("url", text.as_bytes(), issuer);
    let good = r#"{"issuer":"https://idp.example.com/tenant","jwks_uri":"https://keys.example.com/a"}"#;
    assert_eq!(read(good).as_deref(), Ok("https://keys.example.com/a"));
    for (wrong, why) in [
        (good.replace("/tenant\"", "/tenant/\""), "not of"),
        (good.replace("\"issuer\"", "\"iss\""), "of nobody"),
        (good.replace("https://keys", "http://keys"), "not https"),
        (good.replace("https://keys.example.com/a", "file:///etc/passwd"), "not https"),
        (good.replace("jwks_uri", "jwks"), "no jwks_uri"),
        ("<html>".to_owned(), "no JSON"),
    ] {
        let error = read(&wrong).unwrap_err();
        assert!(error.contains(why), "{wrong}: {error}");
    }
}
