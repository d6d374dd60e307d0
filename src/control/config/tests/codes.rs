//! Every code has an example here that gives this problem and no other.
//! Next: `environment`, for the codes that need files.

use std::collections::BTreeSet;

use super::*;

/// Code, a piece of `GOOD`, what stands there instead.
const EXAMPLES: &[(Code, &str, &str)] = &[
    (Code::Syntax, "[server]", "[server"),
    (Code::UnknownKey, "name = \"demo\"", "nmae = \"demo\""),
    (Code::WrongType, "rate = 100", "rate = \"100\""),
    (Code::WrongType, "version = 1", "version = \"1\""),
    (Code::WrongType, "[tls.public]", "[tls]\nmin_version = \"1.3\"\n[tls.public]"),
    (Code::UnknownWord, "key = \"ip\"", "key = \"address\""),
    (Code::UnknownWord, "[tls.public]", "[tls.public]\nmin_version = \"1.1\""),
    (Code::OutOfRange, "version = 1", "version = 2"),
    (Code::OutOfRange, "\"1MiB\"", "\"1GiB\""),
    (Code::OutOfRange, "\"1MiB\"", "\"0B\""),
    (Code::OutOfRange, "rate = 100", "rate = 0"),
    (Code::OutOfRange, "rate = 100", "rate = -1"),
    (Code::OutOfRange, "rate = 100", "rate = 99999999999999999999999"),
    (Code::OutOfRange, "name = \"demo\"", "name = \"\""),
    (
        Code::OutOfRange,
        "certificates = [{ cert_file = \"server.crt\", key_file = \"/etc/server.key\" }]",
        "certificates = []",
    ),
    (Code::OutOfRange, "auth = [\"api_key\"]", "auth = [\"api_key\"]\nhostnames = []"),
    (Code::Missing, "rate = 100", ""),
    (Code::Missing, "address = \"[::]:8443\"", ""),
    (Code::Missing, "kind = \"http\"\naddress = \"[::]:8443\"", "address = \"[::]:8443\""),
    (Code::Missing, "pepper = { env = \"MCPRING_PEPPER\" }", ""),
    (Code::Missing, ", key_file = \"/etc/server.key\"", ""),
    (Code::Malformed, "\"1MiB\"", "\"1MB\""),
    (Code::Malformed, "rate = 100", "rate = 100\nperiod = \"1 minute\""),
    (Code::Malformed, "\"[::]:8443\"", "\"localhost:8443\""),
    (Code::Malformed, "\"[::]:8443\"", "\"unix:mcp.sock\""),
    (Code::Malformed, "\"[::]:8443\"", "\"systemd:\""),
    (Code::Malformed, "auth_required = false", "auth_required = false\nsocket_mode = \"rw\""),
    (Code::Malformed, "cpus = \"0\"", "cpus = \"0-\""),
    (Code::Malformed, "auth_required = false", "auth_required = false\npath = \"mcp\""),
    (Code::Malformed, "auth_required = false", "auth_required = false\nhostnames = [\"a.example\", \"a b\"]"),
    (Code::Malformed, "auth_required = false", "auth_required = false\norigins = [\"https://a.example/\"]"),
    (Code::Malformed, "\"https://mcp.example.com\"", "\"mcp.example.com\""),
    (Code::Malformed, "keys_file = \"keys.toml\"", "keys_file = \"keys.toml\"\nheader = \"Host\""),
    (Code::Malformed, "\"MCPRING_PEPPER\"", "\"a secret, by mistake\""),
    (Code::Malformed, "[native]", "[log]\nlevel = \"loud\"\n[native]"),
    (Code::Malformed, "[rate_limits.per_ip]", "[rate_limits.\"per ip\"]"),
    (Code::NotRead, "[native]", "[metrics]\nenabled = true\n[native]"),
    (Code::NoClientAuth, "auth = [\"api_key\"]", "auth = [\"api_key\", \"mtls\"]"),
    (
        Code::RevocationWeak,
        "[tls.public]",
        "[tls.public.client_auth]\nmode = \"optional\"\nca_file = \"ca.crt\"\n[tls.public.client_auth.crl]\nfiles = [\"*.crl\"]\nunknown = \"allow\"\n[tls.public]",
    ),
    (Code::NoMeaning, "[tls.public]", "[tls.public]\ndhfile = \"dh.pem\""),
    (
        Code::SameAddress,
        "\"127.0.0.1:8080\"",
        "\"[::]:8443\"\ntls = \"public\"\nallow_anonymous_network = true",
    ),
    (Code::NoSuchProfile, "tls = \"public\"", "tls = \"internal\""),
    (Code::NoSuchRole, "anonymous_roles = [\"reader\"]", "anonymous_roles = [\"reeder\"]"),
    (Code::NoSuchTool, "enable = [\"echo\", \"time\"]", "enable = [\"ecko\", \"time\"]"),
    (Code::NoApiKeys, "[auth.api_key]\npepper = { env = \"MCPRING_PEPPER\" }\nkeys_file = \"keys.toml\"", ""),
    (Code::NoIssuer, "auth = [\"api_key\"]", "auth = [\"api_key\", \"jwt\"]"),
    (Code::NoMethod, "auth_required = false", "auth_required = true"),
    (Code::Contradiction, "[limits]", "[limits]\nmax_connections = 5\nmax_connections_per_ip = 6"),
    (Code::Contradiction, "enable = [\"echo\", \"time\"]", "enable = [\"echo\", \"echo\"]"),
    (Code::BadPattern, "allow = [\"tools/list\"]", "allow = [\"tools/list\", \"\"]"),
    (Code::NoSuchRole, "allow = [\"tools/list\"]", "allow = [\"tools/list\"]\ninherits = [\"agnt\"]"),
    (Code::NoSuchRole, "[rbac]", "[rbac]\nscope_roles = { \"mcp:read\" = [\"reeder\"] }"),
    (Code::NoSuchRole, "[rbac]", "[rbac]\nsubjects = { \"corp|alice@example.com\" = [\"reeder\"] }"),
    (Code::WrongType, "[rbac]", "[rbac]\nscope_roles = { read = \"reader\" }"),
    (Code::Malformed, "[rbac]", "[rbac]\nscope_roles = { \"\" = [\"reader\"] }"),
    (Code::Malformed, "keys_file = \"keys.toml\"", "keys_file = \"keys.toml\"\nprefix = \"my_key\""),
    (Code::BadCondition, "allow = [\"tools/list\"]", "allow = [\"tools/list\"]\nwhen = \"user == 1\""),
    (Code::OutOfRange, "allow = [\"tools/list\"]", "allow = [\"tools/list\"]\nwhen = \"\""),
    (Code::CircleOfRoles, "allow = [\"tools/list\"]", "allow = [\"tools/list\"]\ninherits = [\"reader\"]"),
    (Code::BadPattern, "deny = [\"tools/call:native/countdown\"]", "deny = [\"tools / call\"]"),
    (Code::UnknownWord, "[tls.public]", "[tls.public]\ncipher_suites = [\"TLS_RSA_WITH_AES_128_CBC_SHA\"]"),
    (Code::UnknownWord, "[tls.public]", "[tls.public]\nkey_exchange = [\"ffdhe2048\"]"),
    (Code::OutOfRange, "[tls.public]", "[tls.public]\ncipher_suites = []"),
    (Code::OutOfRange, "[tls.public]", "[tls.public]\nkey_exchange = []"),
    (Code::OutOfRange, "[tls.public]", "[tls.public]\nticket_rotation = \"1s\""),
    (Code::OutOfRange, "[tls.public]", "[tls.public]\nexpiry_warning = [\"1s\"]"),
    (Code::Malformed, "[tls.public]", "[tls.public]\nocsp_responder = \"ocsp.example.com\""),
    (Code::OneOf, "[tls.public]", "[tls.public]\nticket_key = {}"),
    (Code::NotRead, "[tls.public]", "[tls.public]\nearly_data = true"),
    (Code::NoMeaning, "[tls.public]", "[tls.public]\nsecure_renegotiate = true"),
    (
        Code::Contradiction,
        "[tls.public]",
        "[tls.public]\nkey_exchange = [\"X25519\", \"SECP256R1\", \"X25519\"]",
    ),
    (
        Code::Contradiction,
        "[tls.public]",
        "[tls.public]\nmin_version = \"1.2\"\nallow_tls12 = true\nkey_exchange = [\"X25519MLKEM768\"]",
    ),
    (
        Code::Contradiction,
        "[tls.public]",
        "[tls.public]\nmin_version = \"1.2\"\nallow_tls12 = true\ncipher_suites = [\"TLS_AES_128_GCM_SHA256\"]",
    ),
    (
        Code::Contradiction,
        "[tls.public]",
        "[tls.public]\nmin_version = \"1.2\"\nallow_tls12 = true\ncipher_suites = [\"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\"]",
    ),
    (
        Code::Unused,
        "[tls.public]",
        "[tls.public]\ncipher_suites = [\"TLS_AES_128_GCM_SHA256\", \"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\"]",
    ),
    (Code::Unused, "[tls.public]", "[tls.public]\nsession_resumption = \"off\"\nticket_rotation = \"1h\""),
    (
        Code::Unused,
        "[tls.public]",
        "[tls.public]\nocsp_stapling = false\nocsp_responder = \"http://ocsp.example.com\"",
    ),
    (Code::Tls12NotAllowed, "[tls.public]", "[tls.public]\nmin_version = \"1.2\""),
    (Code::NoHostnames, "public_url = \"https://mcp.example.com\"", ""),
    (Code::OneOf, "{ env = \"MCPRING_PEPPER\" }", "{}"),
    (Code::OneOf, "{ env = \"MCPRING_PEPPER\" }", "{ env = \"P\", file = \"pepper\" }"),
    (Code::OtherKind, "auth_required = false", "auth_required = false\nframing = \"newline\""),
    (
        Code::NoTarget,
        "\"https://mcp.example.com\"",
        "\"http://mcp.example.com\"\n[listeners.r]\nkind = \"redirect\"\naddress = \"[::]:8081\"",
    ),
    (Code::AnonymousNetwork, "auth = [\"api_key\"]", "auth = [\"api_key\"]\nauth_required = false"),
    (Code::PlaintextNetwork, "\"127.0.0.1:8080\"", "\"0.0.0.0:8080\"\nallow_anonymous_network = true"),
    (Code::Tls12Allowed, "[tls.public]", "[tls.public]\nmin_version = \"1.2\"\nallow_tls12 = true"),
    (Code::Unused, "[tls.public]", "[tls.public]\nallow_tls12 = true"),
    (
        Code::Unused,
        "[roles.reader]",
        "[tls.old]\ncertificates = [{ cert_file = \"a\", key_file = \"b\" }]\n[roles.reader]",
    ),
    (Code::NothingCallable, "enable = [\"echo\", \"time\"]", ""),
    (Code::NoSuchMethod, "allow = [\"tools/list\"]", "allow = [\"tool/list\"]"),
    (Code::NothingMatched, "native/countdown", "native/cuontdown"),
    (Code::CpusShared, "cpus = \"0\"", "cpus = \"0\"\nshards = 2"),
    (
        Code::AnonymousAllowed,
        "auth = [\"api_key\"]",
        "auth = [\"api_key\"]\nauth_required = false\nallow_anonymous_network = true",
    ),
    (
        Code::PlaintextAllowed,
        "address = \"[::]:8443\"\ntls = \"public\"",
        "address = \"[::]:8443\"\nallow_plaintext_network = true",
    ),
    (Code::NoHeaders, "auth_required = false", "auth_required = false\nheaders = \"none\""),
];

/// Codes whose examples are elsewhere: they need files, overrides, or another kind of file.
const ELSEWHERE: &[Code] = &[
    Code::BadOverride,
    Code::NoFile,
    Code::NoListener,
    Code::SecretOpen,
    Code::NotAFile,
    Code::FileUnreadable,
    Code::TrustOpen,
    Code::TrustShared,
    Code::NoSuchCpu,
    Code::NoSecret,
    Code::ShortSecret,
    Code::NoMetadata,
    Code::NameShared,
];

#[test]
fn finds_nothing_wrong_with_a_good_file() {
    let found = problems(GOOD, &[]);
    assert!(found.is_empty(), "{found}");
}

#[test]
fn gives_one_problem_for_one_mistake() {
    for (code, from, to) in EXAMPLES {
        let found = problems(&changed(from, to), &[]);
        // A warning about what is no longer used may come along; another error may not.
        let expect_errors = usize::from(code.id().starts_with('E'));
        assert_eq!(found.count(Severity::Error), expect_errors, "{from:?} -> {to:?}\n{found}");
        assert!(codes(&found).contains(&code.id()), "{code}: {from:?} -> {to:?}\n{found}");
        let problem = found.iter().find(|problem| problem.code() == code.id()).unwrap();
        assert!(!problem.advice().is_empty(), "no help: {found}");
    }
}

#[test]
fn has_an_example_of_every_code() {
    let shown: BTreeSet<_> = EXAMPLES.iter().map(|(code, ..)| code).chain(ELSEWHERE).collect();
    assert_eq!(shown, Code::ALL.iter().collect());
    let ids: BTreeSet<_> = Code::ALL.iter().map(|code| code.id()).collect();
    assert_eq!(ids.len(), Code::ALL.len(), "a code is used twice");
    assert!(Code::ALL.iter().all(|code| code.meaning().ends_with('.')));
}

#[test]
fn asks_for_a_listener_in_an_empty_file() {
    let found = problems("", &[]);
    assert_eq!(found.count(Severity::Error), 1, "{found}");
    assert!(codes(&found).contains(&Code::NoListener.id()), "{found}");
    assert!(found.to_text(Colour::Plain).contains("--> /srv/mcpring.toml:1:1"), "{found}");
}

#[test]
fn refuses_an_override_that_is_no_key_and_value() {
    for text in ["limits", "=1", "[limits]=1", "a b=1", "a.=1", "x=1\ny=2", ""] {
        let found = problems(GOOD, &[text]);
        assert_eq!(codes(&found), [Code::BadOverride.id()], "{text:?}: {found}");
    }
}

#[test]
fn refuses_the_sixty_fifth_role() {
    let roles = |count: usize| {
        let more = (2..count).map(|index| format!("[roles.r{index}]\nallow = [\"tools/list\"]\n"));
        format!("{GOOD}\n{}", more.collect::<String>())
    };
    assert!(problems(&roles(64), &[]).is_empty());
    assert_eq!(codes(&problems(&roles(65), &[])), ["E0104"]);
    assert_eq!(codes(&problems(&roles(80), &[])), ["E0104"]);
}

#[test]
fn warns_of_keys_that_no_listener_accepts() {
    let text = changed("auth = [\"api_key\"]", "auth_required = false\nallow_anonymous_network = true");
    let found = problems(&text, &[]);
    assert_eq!(codes(&found), ["W0501", "W0214"], "{found}");
}
