//! What callers try who may do little: names that slip past a pattern, lists that tell of more, guesses at credentials, and
//! what belongs to others.
//! Next: `states`.

use std::net::SocketAddr;

use mcpring::pipeline::authenticate::certificate::ClientCertificate;
use mcpring::pipeline::authenticate::certificate::names::NameKind;
use mcpring::pipeline::authenticate::{Memory, Method, Remembered, Unknown, identify};
use mcpring::pipeline::authorize::{RoleRules, Shows};
use mcpring::pipeline::event::Count;
use mcpring::pipeline::failing::FailureRules;
use mcpring::pipeline::snapshot::Admission;

use super::*;
use crate::fixture::{identities, key, listener, registry};

const GUESS: &str = "mrk_000000_a_key_that_nobody_has";

fn reader_with(rules: RoleRules) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let rules = [role("operator", &["**"]), RoleRules { name: "reader".into(), ..rules }];
        snapshot.policy = Policy::compile(&rules, &snapshot.registry).expect("the rules are well-formed");
        snapshot.limits.page_size = 1;
    })
}

fn rules(allow: &[&str], deny: &[&str], when: &str) -> RoleRules {
    let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    RoleRules { allow: own(allow), deny: own(deny), when: when.into(), ..RoleRules::default() }
}

/// A request of the reader's from that address.
fn asked(desk: &mut Desk, from: &str, fields: &str, method: &str, params: &str) -> Answer {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let comma = if params.is_empty() { "" } else { "," };
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{comma}{meta}}}}}"#);
    let fields = format!("{fields}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n");
    let peer: SocketAddr = from.parse().expect("an address");
    let mut connection = desk.connect_to(0, peer);
    answers(&desk.feed(&mut connection, &post(&fields, &body))).remove(0)
}

fn with(key: &str) -> String {
    format!("X-API-Key: {key}\r\n")
}

fn read(desk: &mut Desk, from: &str, method: &str, params: &str) -> Answer {
    let name = params.strip_prefix(r#""name":""#).and_then(|rest| rest.split('"').next());
    let fields = name.map_or(String::new(), |name| format!("Mcp-Name: {name}\r\n"));
    asked(desk, from, &format!("{}{fields}", with(READER_KEY)), method, params)
}

const HERE: &str = "127.0.0.1:40000";

#[test]
fn a_list_shows_what_may_be_used_and_its_cursors_tell_of_nothing_else() {
    let mut desk = Desk::new(reader_with(rules(
        &["tools/list", "tools/call:native/*"],
        &["tools/call:native/time"],
        "",
    )));
    let (mut seen, mut cursors, mut params) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..5 {
        let page = read(&mut desk, HERE, "tools/list", &params).json();
        let names = page["result"]["tools"].as_array().expect("a page").clone();
        seen.extend(names.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()));
        let Some(cursor) = page["result"]["nextCursor"].as_str() else { break };
        cursors.push(cursor.to_owned());
        params = format!(r#""cursor":"{cursor}""#);
    }
    assert!(seen.len() >= 2 && !seen.contains(&"time".to_owned()), "{seen:?}");
    // There is a next page only when there is something on it to see.
    assert_eq!(cursors.len(), seen.len() - 1);
    assert!(cursors.iter().all(|cursor| cursor.len() == cursors[0].len()));
    // Another's cursor leads nowhere.
    let params = format!(r#""cursor":"{}""#, cursors[0]);
    let other = asked(&mut desk, HERE, &with(KEY), "tools/list", &params).json();
    assert_eq!(other["error"]["message"], "unknown cursor");
}

#[test]
fn lists_that_show_everything_still_let_nothing_be_called() {
    let mut snapshot = reader_with(rules(&["tools/list"], &[], ""));
    let unshared = Arc::get_mut(&mut snapshot).expect("nobody else has it");
    unshared.policy.shows = Shows::All;
    unshared.limits.page_size = 100;
    let mut desk = Desk::new(snapshot);
    let page = read(&mut desk, HERE, "tools/list", "").json();
    assert_eq!(
        page["result"]["tools"].as_array().map(Vec::len),
        Some(registry().count(mcpring::tools::registry::Kind::Tools))
    );
    assert_eq!(
        read(&mut desk, HERE, "tools/call", r#""name":"echo","arguments":{"message":"x"}"#).status,
        403
    );
}

#[test]
fn a_condition_decides_by_address_and_arguments() {
    let when =
        r#"request.ip in ["10.0.0.0/8"] && (request.method != "tools/call" || arguments.message == "hi")"#;
    let mut desk = Desk::new(reader_with(rules(&["tools/**"], &[], when)));
    let call = |message: &str| format!(r#""name":"echo","arguments":{{"message":{message}}}"#);
    for (from, message, status) in [
        ("10.1.1.1:9", r#""hi""#, 200),
        ("[::ffff:10.1.1.1]:9", r#""hi""#, 200),
        ("10.1.1.1:9", r#""ho""#, 403),
        ("10.1.1.1:9", r#""ho","message":"hi""#, 403),
        ("10.1.1.1:9", r#""hi","message":"ho""#, 403),
        ("11.1.1.1:9", r#""hi""#, 403),
        ("[2001:db8::1]:9", r#""hi""#, 403),
    ] {
        assert_eq!(read(&mut desk, from, "tools/call", &call(message)).status, status, "{from} {message}");
    }
    assert_eq!(read(&mut desk, "10.1.1.1:9", "tools/list", "").status, 200);
    assert_eq!(read(&mut desk, "11.1.1.1:9", "tools/list", "").status, 403);
    assert!(desk.work.events.total(Count::AuthorizeUnreadable) >= 2);
}

#[test]
fn a_long_name_passes_no_denial() {
    let allow = ["resources/read:**"];
    let mut desk = Desk::new(reader_with(rules(&allow, &["resources/read:native/file:///secret/**"], "")));
    for (uri, status) in [
        ("file:///secret/key".to_owned(), 403),
        (format!("file:///secret/{}key", "./".repeat(10_000)), 403),
        (format!("file:///open/{}key", "./".repeat(10_000)), 403),
    ] {
        let params = format!(r#""uri":"{uri}""#);
        let fields = format!("{}Mcp-Name: {uri}\r\n", with(READER_KEY));
        let fields = if uri.len() > 4000 { with(READER_KEY) } else { fields };
        let answer = asked(&mut desk, HERE, &fields, "resources/read", &params);
        // A name that no header can repeat is refused for that, at the latest.
        assert!(answer.status == status || answer.status == 400, "{} {}", answer.status, &uri[..20]);
    }
}

fn strict(change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        snapshot.limits.failures = FailureRules {
            failures_max: 8,
            window: Duration::from_secs(60),
            block: Duration::from_secs(600),
        };
        change(snapshot);
    })
}

#[test]
fn who_guesses_is_slowed_then_blocked_and_nobody_else_is() {
    let mut desk = Desk::new(strict(|_| {}));
    let statuses: Vec<u16> =
        (0..20).map(|_| asked(&mut desk, HERE, &with(GUESS), "tools/list", "").status).collect();
    assert_eq!(statuses[..5], [401; 5]);
    assert!(statuses[5..].iter().all(|status| *status == 429), "{statuses:?}");
    // Patience is rewarded with further guesses, ever fewer, and with none at last.
    let mut guesses = 5;
    for _ in 0..600 {
        desk.now.ms += 1000;
        desk.now.unix_ms += 1000;
        if asked(&mut desk, HERE, &with(GUESS), "tools/list", "").status == 401 {
            guesses += 1;
        }
    }
    assert_eq!((guesses, desk.work.events.total(Count::AuthenticateBlocked)), (8, 1));
    let blocked = asked(&mut desk, HERE, &with(KEY), "tools/list", "");
    assert_eq!(blocked.status, 429, "the right key is not looked at either");
    assert!(blocked.head.to_ascii_lowercase().contains("retry-after: "), "{}", blocked.head);
    assert_eq!(blocked.json()["error"]["data"]["reason"], "too_many_failures");
    assert_eq!(asked(&mut desk, "127.0.0.2:1", &with(KEY), "tools/list", "").status, 200);
    // Who asks without a credential what is wanted is told, and counted for nothing.
    assert_eq!(asked(&mut desk, HERE, "", "tools/list", "").status, 401);
    desk.now.ms += 600_000;
    desk.now.unix_ms += 600_000;
    assert_eq!(asked(&mut desk, HERE, &with(KEY), "tools/list", "").status, 200);
}

#[test]
fn a_neighbour_that_was_let_in_stays_in_and_its_success_begins_the_count_anew() {
    let mut desk = Desk::new(strict(|_| {}));
    let mut neighbour = desk.connect();
    let ask = |desk: &mut Desk, connection: &mut Connection| {
        answers(&desk.feed(connection, &modern("1", "tools/list", "", ""))).remove(0).status
    };
    assert_eq!(ask(&mut desk, &mut neighbour), 200);
    for _ in 0..8 {
        asked(&mut desk, HERE, &with(GUESS), "tools/list", "");
    }
    assert_eq!(asked(&mut desk, HERE, &with(KEY), "tools/list", "").status, 429);
    assert_eq!(ask(&mut desk, &mut neighbour), 200, "its credential is known on this connection");
    assert_eq!(
        asked(&mut desk, HERE, &with(KEY), "tools/list", "").status,
        200,
        "and speaks for its address"
    );
}

#[test]
fn whoever_needs_no_credential_is_not_held_off() {
    let mut desk = Desk::new(strict(|snapshot| {
        let mut open = listener("open", Security::Plain);
        open.admission = Admission::AnonymousAllowed;
        snapshot.listeners = vec![Arc::new(open)];
        snapshot.identities = identities(vec![key("operator", KEY, 1)], 1);
    }));
    for _ in 0..20 {
        asked(&mut desk, HERE, &with(GUESS), "tools/list", "");
    }
    assert_eq!(asked(&mut desk, HERE, "", "tools/list", "").status, 200);
    assert_eq!(asked(&mut desk, HERE, &with(KEY), "tools/list", "").status, 429);
}

#[test]
fn a_key_that_is_taken_away_does_not_live_on_beside_its_successor() {
    let both = || vec![key("ci", KEY, 1), key("ci", READER_KEY, 1)];
    let of = |keys| {
        snapshot(|snapshot: &mut Snapshot| {
            snapshot.identities = identities(keys, 0);
        })
    };
    for stays in [KEY, READER_KEY] {
        let mut desk = desk(of(both()));
        let mut reader = desk.connect();
        let params = r#""notifications":{"toolsListChanged":true}"#;
        assert!(!desk.feed(&mut reader, &modern("1", "subscriptions/listen", params, "")).is_empty());
        let mut next = of(vec![key("ci", stays, 1)]);
        Arc::get_mut(&mut next).expect("nobody else has it").generation = 2;
        desk.reload(next);
        let is_over = desk.pass(&mut reader, 15_000).ends_with(b"0\r\n\r\n");
        assert_eq!(is_over, stays != KEY, "the stream was opened with the first");
    }
}

#[test]
fn a_session_that_was_ended_does_not_come_back_when_sessions_live_longer() {
    let mut desk = desk(snapshot(|snapshot| snapshot.limits.session_ttl = Duration::from_secs(60)));
    let id = session(&mut desk, KEY, "2025-11-25");
    let kept = session(&mut desk, KEY, "2025-11-25");
    let ask = |desk: &mut Desk, method: &str, id: &str| {
        let mut connection = desk.connect();
        let sent = desk.feed(&mut connection, &bare(method, id, ""));
        String::from_utf8_lossy(&sent).split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(ask(&mut desk, "DELETE", &id).as_deref(), Some("204"));
    desk.reload(snapshot(|snapshot| {
        snapshot.generation = 2;
        snapshot.limits.session_ttl = Duration::from_secs(24 * 3600);
    }));
    for _ in 0..3 {
        desk.now.unix_ms += 50_000;
        desk.now.ms += 50_000;
        assert_eq!(ask(&mut desk, "DELETE", &id).as_deref(), Some("404"));
    }
    assert_eq!(ask(&mut desk, "DELETE", &kept).as_deref(), Some("404"), "it was to live for a minute");
}

#[test]
fn a_certificate_does_not_answer_for_a_credential_that_is_shown_with_it() {
    let mut desk = Desk::new(snapshot(|_| {}));
    let now_s = desk.now.unix_s();
    let held = |not_after_s| {
        Arc::new(ClientCertificate {
            identity: "robot".into(),
            kind: NameKind::Dns,
            subject: String::new(),
            serial: Vec::new(),
            issuer_sha256: [0; 32],
            sha256: [1; 32],
            not_after_s,
            chain: Vec::new(),
        })
    };
    let (key, guess) = (Ok(KEY.as_bytes()), Ok(GUESS.as_bytes()));
    let missing = Err(Unknown::Missing);
    let mut check = |methods: &[Method], certificate: &Arc<ClientCertificate>, shown, expect| {
        let mut listener = listener("mixed", Security::Plain);
        listener.methods = methods.to_vec();
        let (snapshot, now) = (desk.snapshot.clone(), desk.now);
        let mut remembered = Remembered::default();
        // What was let in by its certificate a moment ago, and is remembered, makes no difference.
        for before in [None, Some(missing)] {
            for shown in before.into_iter().chain([shown]) {
                let memory = Memory {
                    remembered: &mut remembered,
                    tokens: &mut desk.work.tokens,
                    certificate: Some(certificate),
                };
                let found = identify(&snapshot, &listener, shown, now, memory);
                let found = found.map(|principal| principal.facts.method);
                if Some(shown) != before {
                    assert_eq!(found, expect, "{methods:?} {shown:?}");
                }
            }
        }
    };
    let (good, over) = (held(now_s + 60), held(now_s - 60));
    let both = [[Method::Certificate, Method::ApiKey], [Method::ApiKey, Method::Certificate]];
    for methods in &both {
        check(methods, &good, missing, Ok(Method::Certificate));
        check(methods, &good, key, Ok(Method::ApiKey));
        for certificate in [&good, &over] {
            check(methods, certificate, guess, Err(Unknown::NoSuchKey));
            check(methods, certificate, Err(Unknown::Malformed), Err(Unknown::Malformed));
            check(methods, certificate, Err(Unknown::Ambiguous), Err(Unknown::Ambiguous));
        }
    }
    // Where nothing is looked at nothing can be guessed.
    check(&[Method::Certificate], &good, guess, Ok(Method::Certificate));
}
