//! What people see when they made a mistake: the right line, the right help, one problem for one mistake.
//! Next: `codes`, an example of every code.

use super::*;
use crate::tools::Tool;

/// A misspelt key, a wrong type, a wrong word, a dangling reference, a value out of range.
const FIVE: &str = r#"version = 1

[limits]
max_conections = 10000
max_message_size = 10485760
max_json_depth = 100000

[listeners.https]
kind = "http"
address = "127.0.0.1:8443"
tls = "pubic"
auth = ["api_key"]
headers = "strikt"

[tls.public]
certificates = [{ cert_file = "server.crt", key_file = "server.key" }]

[auth.api_key]
pepper = { env = "MCPRING_PEPPER" }
keys_file = "keys.toml"

[roles.agent]
allow = ["tools/list"]

[native]
enable = ["echo"]
"#;

#[test]
fn names_all_five_planted_mistakes_and_nothing_else() {
    let found = problems(FIVE, &[]);
    let json = found.to_json();
    let expect = [
        ("E0101", 4, 1, "did you mean `max_connections`?"),
        ("E0102", 5, 20, "write max_message_size = \"10MiB\"  (10485760 bytes)"),
        ("E0104", 6, 18, "write a value within 4 to 256"),
        ("E0203", 11, 7, "did you mean tls = \"public\"?"),
        ("E0103", 13, 11, "did you mean headers = \"strict\"?"),
    ];
    assert_eq!(found.count(Severity::Error), expect.len(), "{found}");
    assert_eq!(found.count(Severity::Warning), 0, "{found}");
    for (problem, (code, line, column, help)) in json.as_array().unwrap().iter().zip(expect) {
        assert_eq!(problem["code"], code, "{found}");
        assert_eq!((&problem["line"], &problem["column"]), (&line.into(), &column.into()), "{found}");
        assert_eq!(problem["help"][0], help);
        assert_eq!(problem["file"], "/srv/mcpring.toml");
        assert_eq!(problem["severity"], "error");
    }
}

#[test]
fn shows_a_frame_with_line_caret_and_help() {
    let text = problems(FIVE, &[]).to_text(Colour::Plain);
    let frame = r#"error[E0101]: unknown key `limits.max_conections`
 --> /srv/mcpring.toml:4:1
  |
4 | max_conections = 10000
  | ^^^^^^^^^^^^^^ not a setting of this table
  |
  = help: did you mean `max_connections`?

"#;
    assert!(text.starts_with(frame), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(problems(FIVE, &[]).to_text(Colour::Styled).contains('\u{1b}'));
}

#[test]
fn reports_every_syntax_error_of_a_text() {
    let found = problems("a = \nb = 1\nb = 2\n[c\n", &[]);
    let lines: Vec<_> =
        found.to_json().as_array().unwrap().iter().map(|problem| problem["line"].clone()).collect();
    assert_eq!(codes(&found), ["E0100", "E0100", "E0100"], "{found}");
    assert_eq!(lines, [1, 3, 4]);
}

#[test]
fn says_what_to_type_instead_of_a_wrong_type() {
    let check = |set: &str, message: &str, help: &str| {
        let (key, value) = set.split_once('=').unwrap();
        let (table, key) = key.rsplit_once('.').unwrap();
        let text = format!("[{table}]\n{key} = {value}\n");
        let found = problems(&text, &[]);
        let problem = found.iter().find(|problem| problem.code() == "E0102");
        let problem = problem.unwrap_or_else(|| panic!("{set}: {found}"));
        assert!(problem.message().contains(message), "{set}: {}", problem.message());
        assert_eq!(problem.advice(), [help], "{set}");
    };
    check(
        "limits.header_timeout=5",
        "must be a duration such as \"30s\", not an integer",
        "write header_timeout = \"5s\"",
    );
    check("limits.header_timeout=5.5", "not a float", "write header_timeout = \"5s\"");
    check(
        "limits.max_header_size=16384",
        "must be a size",
        "write max_header_size = \"16KiB\"  (16384 bytes)",
    );
    check("limits.max_header_size=1", "must be a size", "write max_header_size = \"16KiB\"  (16384 bytes)");
    check(
        "limits.max_connections=\"1_000\"",
        "must be a whole number, not a string",
        "write max_connections = 1000",
    );
    check("limits.max_connections=\"many\"", "must be a whole number", "write max_connections = 10000");
    check("runtime.pin=\"no\"", "must be true or false", "write pin = false");
    check("runtime.pin=1", "must be true or false", "write pin = true");
    check("runtime.cpus=3", "must be a string (CPU list)", "write cpus = \"3\"");
    check("runtime.shards=true", "must be \"auto\" or a whole number", "write shards = \"auto\"");
    check(
        "runtime.driver=[]",
        "must be one of the words \"auto\", \"io_uring\", \"epoll\"",
        "write driver = \"auto\"",
    );
    check("server.name=1979-05-27", "not a date", "write name = \"1979-05-27\"");
    check("tls.public.min_version=1.3", "must be one of the words", "write min_version = \"1.3\"");
    check("listeners.https.auth=\"api_key\"", "must be a list, not a string", "write auth = [\"api_key\"]");
    check("native.enable=[5]", "`native.enable[0]` must be a string", "write \"5\" in its place");
    check(
        "auth.api_key=\"x\"",
        "must be a table, not a string",
        "write [auth.api_key] and its settings below it",
    );
    check(
        "auth.api_key.pepper=\"hunter2\"",
        "must be a table",
        "write pepper = { env = \"MCPRING_PEPPER\" }",
    );
}

#[test]
fn suggests_the_key_that_was_meant() {
    let check = |table: &str, key: &str, help: &str| {
        let found = problems(&format!("[{table}]\n{key} = 1\n"), &[]);
        let problem = found.iter().find(|problem| problem.code() == "E0101");
        let problem = problem.unwrap_or_else(|| panic!("{table}.{key}: {found}"));
        assert!(problem.advice()[0].starts_with(help), "{table}.{key}: {:?}", problem.advice());
    };
    check("limits", "max_conections", "did you mean `max_connections`?");
    check("limits", "max-header-size", "did you mean `max_header_size`?");
    check("listeners.https", "adress", "did you mean `address`?");
    check("listeners.https", "hostname", "did you mean `hostnames`?");
    check("server", "idle_timeout", "`idle_timeout` is a setting of [limits]");
    check("limits", "backlog", "`backlog` is a setting of [listeners.NAME]");
    check("log", "colour", "known here: format, level, access_log");
    check("limit", "x", "did you mean `limits`?");
}

#[test]
fn explains_settings_that_nothing_reads_yet() {
    let text = r#"
include = ["conf.d/*.toml"]
[server]
deployment = "production"
[runtime]
sqpoll = false
[listeners.https]
kind = "http"
address = "127.0.0.1:8443"
auth_required = false
cors = "browser"
headers = "classic"
proxy_protocol = false
transports = ["streamable_http", "websocket", "sse"]
[listeners.https.websocket]
compression = false
[listeners.https.sse]
overflow = "close"
[tls.public]
certificates = []
early_data = false
session_resumption = "stateful"
[tls.public.acme]
directory = "https://acme.example.com"
[roles.agent]
allow = ["tools/list"]
[native]
enable = ["echo"]
[rate_limits.per_session]
key = "session"
rate = 1
[upstreams.files]
kind = "stdio"
[admin]
address = "127.0.0.1:9190"
"#;
    let found = problems(text, &[]);
    let known: Vec<_> = found.iter().filter(|problem| problem.code() == "E0107").collect();
    assert_eq!(known.len(), 14, "{found}");
    for problem in &known {
        assert!(problem.message().ends_with("is not read by this version"), "{problem:?}");
        assert!(!problem.advice().is_empty(), "{problem:?}");
    }
    // What else is wrong is the empty list.
    let rest: Vec<_> = found.iter().map(Problem::code).filter(|code| *code != "E0107").collect();
    assert_eq!(rest, ["E0104"], "{found}");
}

#[test]
fn explains_the_words_of_other_servers() {
    for key in
        ["dhfile", "secure_renegotiate", "client_renegotiation", "honor_cipher_order", "ciphers", "verify"]
    {
        let found = problems(&changed("[tls.public]", &format!("[tls.public]\n{key} = true")), &[]);
        assert_eq!(codes(&found), ["E0108"], "{key}: {found}");
        assert!(found.to_text(Colour::Plain).contains("has no meaning here"), "{key}");
    }
    let found = problems(&changed("[tls.public]", "[tls.public]\ndhfile = \"/dh.pem\""), &[]);
    assert!(found.to_text(Colour::Plain).contains("rustls has no finite-field DH"), "{found}");
}

#[test]
fn points_into_the_argument_of_a_wrong_override() {
    let found = problems(GOOD, &["limits.max_connections=0"]);
    assert_eq!(codes(&found), ["E0104"]);
    let frame = "--> --set:1:24\n  |\n1 | limits.max_connections=0\n";
    assert!(found.to_text(Colour::Plain).contains(frame), "{found}");
    assert_eq!(found.to_json()[0]["file"], "--set");
    let found = problems(GOOD, &["listeners.https.tls=pubic"]);
    assert!(found.to_text(Colour::Plain).contains("|                     ^^^^^\n"), "{found}");
}

#[test]
fn places_what_others_find_at_the_setting() {
    let mut found = load_text(GOOD, &[]).unwrap().warnings;
    found.add(Finding {
        code: "E0313",
        setting: "tls.public.certificates[0].cert_file".to_owned(),
        message: "the certificate has expired".to_owned(),
        notes: vec!["2 days ago".to_owned()],
        help: vec!["renew it".to_owned()],
    });
    assert_eq!(found.count(Severity::Error), 1);
    let json = found.to_json();
    assert_eq!((&json[0]["line"], &json[0]["code"]), (&25.into(), &"E0313".into()), "{found}");
    assert!(found.to_string().contains("note: 2 days ago"), "{found}");
}

#[test]
fn warns_of_patterns_that_match_nothing_and_tells_what_was_meant() {
    for (pattern, code, help) in [
        ("tools/call:echo", "W0217", "did you mean \"tools/call:native/echo\"?"),
        ("tools/call:native/ehco", "W0217", "did you mean \"tools/call:native/echo\"?"),
        ("tools/call:native/read_*", "W0217", "there are: native/"),
        ("prompts/get:native/review", "W0217", "nothing of the kind is offered"),
        ("tool/call:native/*", "W0216", "did you mean \"tools/call\"?"),
        ("initialize", "W0216", "write \"<method>\""),
        ("tools/call", "", ""),
        ("**", "", ""),
        ("*/list", "", ""),
        ("ping", "", ""),
        ("tools/call:**", "", ""),
        ("tools/call:native/*", "", ""),
        ("tools/call:native/co*", "", ""),
        ("prompts/get:native/*", "", ""),
        ("tools/list:native/echo", "", ""),
    ] {
        let found = problems(&changed("tools/call:native/countdown", pattern), &[]);
        let told: Vec<_> = found.iter().map(|problem| (problem.code(), problem.advice().concat())).collect();
        let expect = usize::from(!code.is_empty());
        assert_eq!(told.len(), expect, "{pattern}: {found}");
        assert!(
            told.iter().all(|(found, said)| *found == code && said.starts_with(help)),
            "{pattern}: {told:?}"
        );
        assert!(expect == 0 || found.to_text(Colour::Plain).contains(pattern), "{found}");
    }
}

#[test]
fn patterns_are_held_against_what_a_program_offers_of_its_own() {
    let text = changed("tools/call:native/countdown", "tools/call:native/greet");
    let mut registry = Registry::default();
    for (name, expect) in [("other", &["W0217"][..]), ("greet", &[])] {
        registry
            .register(
                Tool::function(name, "", |_: serde_json::Value| Ok("")).input_schema("{\"type\":\"object\"}"),
            )
            .unwrap();
        let mut loaded = load_text(&text, &[]).unwrap();
        follow_product(&mut loaded, &registry);
        assert_eq!(codes(&loaded.warnings), expect, "{name}");
    }
}
