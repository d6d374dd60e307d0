//! What rules come to, with and without inheritance and conditions.
//! Next: `tests/properties/policy.rs`, the laws for any rules.

use std::sync::Arc;

use super::*;
use crate::pipeline::authenticate::{Facts, Method as Way, Principal};
use crate::pipeline::peer::Peer;
use crate::pipeline::snapshot::{Admission, Listener, ListenerLimits, Security, Speech};
use crate::pipeline::turn::Now;
use crate::tools::{DEMO_TOOLS, demo};
use crate::wire::json::{JsonLimits, PADDING, Scratch};

/// Index of a tool that every test has.
const ECHO: usize = 0;
const TIME: usize = 1;

fn rules(name: &str, allow: &[&str], deny: &[&str]) -> RoleRules {
    let own = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    RoleRules { name: name.into(), allow: own(allow), deny: own(deny), ..RoleRules::default() }
}

fn heir(name: &str, inherits: &[&str]) -> RoleRules {
    RoleRules { inherits: inherits.iter().map(|name| (*name).to_owned()).collect(), ..rules(name, &[], &[]) }
}

fn when(rules: RoleRules, when: &str) -> RoleRules {
    RoleRules { when: when.into(), ..rules }
}

fn compile(rules: &[RoleRules]) -> Result<Policy, RuleError> {
    let names: Vec<String> = DEMO_TOOLS.iter().map(|name| (*name).to_owned()).collect();
    Policy::compile(rules, &demo(&names).unwrap())
}

fn listener() -> Listener {
    let limits = ListenerLimits {
        connections_max: 1,
        connections_per_ip_max: 1,
        message_bytes_max: 1,
        inflight_max: 1,
        send_timeout: std::time::Duration::ZERO,
    };
    Listener {
        name: "here".into(),
        security: Security::Plain,
        judge: None,
        speech: Speech::Lines,
        limits,
        path: String::new(),
        hostnames: Vec::new(),
        origins: Vec::new(),
        admission: Admission::Authenticated,
        methods: Vec::new(),
        key_header: String::new(),
        header_block: bytes::Bytes::new(),
        resource: None,
    }
}

fn principal(roles: u64) -> Principal {
    let claims = serde_json::json!({ "amr": ["mfa", "pwd"], "level": 3, "team": { "name": "ops" } });
    let facts = Facts { claims, scopes: vec!["mcp:call".into()], ..Facts::of(Way::Jwt) };
    Principal { id: "corp|alice".into(), roles, expires_at_s: u64::MAX, facts: Arc::new(facts) }
}

/// Hands `ask` the rights under the policy for a call of `echo` with these arguments, or for a prospect of it.
fn judged<T>(policy: &Policy, roles: u64, arguments: Option<&str>, ask: impl FnOnce(&Rights<'_>) -> T) -> T {
    let (principal, listener) = (principal(roles), listener());
    let peer = Peer::Network("10.1.2.3:9".parse().unwrap());
    let now = Now { ms: 0, unix_ms: 1_700_000_000_000 };
    let asker = Asker { principal: &principal, peer, listener: &listener, now };
    let Some(arguments) = arguments else { return ask(&policy.rights(asker, Occasion::Prospect)) };
    let mut body = format!(r#"{{"name":"echo","arguments":{arguments}}}"#).into_bytes();
    let bytes = body.len();
    body.resize(bytes + PADDING, 0);
    let mut scratch = Scratch::default();
    let limits = JsonLimits { depth_max: 200, nodes_max: 1_000_000 };
    let document = scratch.decode(&mut body, bytes, limits).unwrap();
    let request = Request {
        id: crate::wire::jsonrpc::Id::Integer(1),
        revision: crate::wire::mcp::Revision::V20250326,
        method: Method::ToolsCall,
        params: Some(document.root()),
        progress_token: None,
        session: None,
        capabilities: crate::tools::Capabilities::default(),
        log_level: None,
    };
    ask(&policy.rights(asker, Occasion::Request(&request)))
}

fn may_call(policy: &Policy, roles: u64, tool: usize) -> bool {
    judged(policy, roles, None, |rights| rights.allows_entry(Kind::Tools, tool, DEMO_TOOLS[tool]))
}

fn may_call_with(policy: &Policy, roles: u64, arguments: &str) -> bool {
    judged(policy, roles, Some(arguments), |rights| rights.allows_entry(Kind::Tools, ECHO, "echo"))
}

#[test]
fn allows_what_a_role_allows_and_nothing_it_or_another_denies() {
    let policy = compile(&[
        rules("a", &["tools/list", "tools/call:native/echo"], &[]),
        rules("b", &["**"], &["tools/call:native/time"]),
        rules("c", &[], &[]),
    ])
    .unwrap();
    for (roles, method, allowed) in [
        (0b001, Method::ToolsList, true),
        (0b001, Method::Discover, false),
        (0b001, Method::Initialize, false),
        (0b010, Method::Initialize, true),
        (0b001, Method::ToolsCall, true),
        (0b100, Method::ToolsList, false),
        (0b010, Method::ToolsCall, true),
        (0b000, Method::ToolsCall, false),
        (0b000, Method::Ping, true),
    ] {
        assert_eq!(
            judged(&policy, roles, None, |rights| rights.allows_method(method)),
            allowed,
            "{roles:b} {method:?}"
        );
    }
    for (roles, tool, allowed) in [
        (0b001, ECHO, true),
        (0b001, TIME, false),
        (0b010, ECHO, true),
        (0b010, TIME, false),
        (0b011, TIME, false),
        (0b100, ECHO, false),
    ] {
        assert_eq!(may_call(&policy, roles, tool), allowed, "{roles:b} {tool}");
    }
    let may = |roles, name: &str| {
        judged(&policy, roles, None, |rights| rights.allows_name(Method::ToolsCall, name))
    };
    assert!(may(0b010, "unheard_of") && !may(0b001, "unheard_of"));
    // What is too long to be held against what denies it is allowed by nothing.
    assert!(!may(0b010, &"x".repeat(9000)));
    assert!(!judged(&policy, 0b010, None, |rights| rights.allows_entry(Kind::Tools, 99, "none")));
}

#[test]
fn a_denied_method_is_denied_with_every_target() {
    let policy = compile(&[rules("a", &["**"], &["tools/call"])]).unwrap();
    assert!(!may_call(&policy, 1, ECHO));
    assert!(!judged(&policy, 1, None, |rights| rights.allows_method(Method::ToolsCall)));
    assert!(judged(&policy, 1, None, |rights| rights.allows_method(Method::ToolsList)));
}

#[test]
fn an_heir_has_what_it_inherits_over_any_number_of_steps_and_what_is_denied_there_stays_denied() {
    let policy = compile(&[
        heir("top", &["middle"]),
        RoleRules { allow: vec!["tools/call:native/time".into()], ..heir("middle", &["left", "right"]) },
        rules("left", &["tools/call:native/echo"], &[]),
        rules("right", &["**"], &["tools/call:native/time"]),
    ])
    .unwrap();
    for (roles, echo, time) in [
        (0b0001, true, false),
        (0b0010, true, false),
        (0b0100, true, false),
        (0b1000, true, false),
        (0, false, false),
    ] {
        assert_eq!(
            (may_call(&policy, roles, ECHO), may_call(&policy, roles, TIME)),
            (echo, time),
            "{roles:b}"
        );
    }
    // It is not inherited the other way.
    let policy = compile(&[heir("top", &["base"]), rules("base", &["**"], &[])]).unwrap();
    let top = compile(&[rules("top", &["**"], &[]), heir("base", &[])]).unwrap();
    assert!(may_call(&policy, 0b01, ECHO) && !may_call(&top, 0b10, ECHO));
}

#[test]
fn refuses_circles_unknown_heirs_and_malformed_rules_with_their_role() {
    let circle = |roles: &[RoleRules]| match compile(roles).err() {
        Some(RuleError { fault: RuleFault::Circle(line), .. }) => line.join(" "),
        other => panic!("{other:?}"),
    };
    assert_eq!(circle(&[heir("a", &["a"])]), "a a");
    let long =
        [heir("x", &["a"]), heir("a", &["b"]), heir("b", &["c"]), heir("c", &["a", "d"]), heir("d", &[])];
    let line = circle(&long);
    assert!(["a b c a", "b c a b", "c a b c"].contains(&line.as_str()), "{line}");
    let fault = |rules: RoleRules| compile(&[rules]).err().map(|error| error.fault.to_string());
    assert_eq!(fault(heir("a", &["b"])).unwrap(), "it inherits \"b\", which is not defined");
    assert!(fault(rules("a", &["x y"], &[])).unwrap().starts_with("pattern \"x y\""));
    assert!(fault(when(heir("a", &[]), "1 +")).unwrap().starts_with("condition: "));
    assert!(compile(&vec![rules("a", &[], &[]); 65]).is_err());
}

#[test]
fn a_role_is_held_when_its_condition_is() {
    let all = || rules("a", &["**"], &[]);
    for (condition, held) in [
        ("true", true),
        ("request.method == 'tools/call' && request.name == 'echo'", true),
        ("request.name == 'time'", false),
        ("request.ip == '10.1.2.3'", true),
        ("request.ip in ['10.0.0.0/8', '192.0.2.1']", true),
        ("request.ip in ['11.0.0.0/8', '::/0']", false),
        ("!(request.ip in ['10.1.2.3'])", false),
        ("request.listener == 'here'", true),
        ("principal.id == 'corp|alice' && 'mcp:call' in principal.scopes", true),
        ("has(claims.amr) && 'mfa' in claims.amr", true),
        ("has(claims.nothing) && claims.nothing", false),
        ("claims.level >= 3 && claims.team.name.startsWith('op')", true),
        ("claims.amr.exists(way, way == 'mfa')", true),
        ("claims.amr.all(way, way == 'mfa')", false),
        ("now > 1600000000 && now < 1800000000", true),
        ("size(arguments) == 2 && arguments.text == 'hi' && arguments.n == 7", true),
        ("arguments.n * 2 - 1 == 13 ? true : false", true),
        // No answer is no role.
        ("claims.nothing", false),
        ("claims.level", false),
        ("'text'", false),
        ("1 / 0 == 1", false),
        ("arguments.text > 1", false),
    ] {
        let policy = compile(&[when(all(), condition)]).unwrap();
        assert_eq!(may_call_with(&policy, 1, r#"{"text":"hi","n":7}"#), held, "{condition}");
    }
}

#[test]
fn a_condition_without_an_answer_denies_and_does_not_allow() {
    for (condition, denied) in [("true", true), ("false", false), ("claims.nothing == 1", true)] {
        let denying = when(rules("d", &[], &["tools/call:native/echo"]), condition);
        let policy = compile(&[rules("a", &["**"], &[]), denying]).unwrap();
        assert_eq!(may_call_with(&policy, 0b11, "{}"), !denied, "{condition}");
        assert!(may_call_with(&policy, 0b01, "{}"));
    }
    let met = |condition: &str| {
        let policy = compile(&[when(rules("a", &["**"], &[]), condition)]).unwrap();
        judged(&policy, 1, Some("{}"), |rights| {
            (rights.allows_method(Method::ToolsCall), rights.met_unreadable())
        })
    };
    assert_eq!((met("claims.nothing == 1"), met("false")), ((false, true), (false, false)));
}

#[test]
fn what_is_inherited_is_held_only_with_its_heir_and_by_its_own_condition() {
    let base = || rules("base", &["**"], &[]);
    for (heirs, bases, held) in [
        ("true", "", true),
        ("false", "", false),
        ("claims.nothing", "", false),
        ("", "true", true),
        ("", "false", false),
        ("true", "true", true),
        ("true", "false", false),
        ("false", "true", false),
    ] {
        let policy = compile(&[when(heir("top", &["base"]), heirs), when(base(), bases)]).unwrap();
        assert_eq!(may_call_with(&policy, 0b01, "{}"), held, "{heirs:?} {bases:?}");
    }
    // Whoever has it otherwise too has it.
    let policy = compile(&[when(heir("top", &["base"]), "false"), base()]).unwrap();
    assert!(may_call_with(&policy, 0b11, "{}"));
    // A denial that an heir without an answer inherits holds.
    let denying = rules("base", &[], &["tools/call:native/echo"]);
    let policy =
        compile(&[when(heir("top", &["base"]), "claims.nothing"), denying, rules("a", &["**"], &[])])
            .unwrap();
    assert!(!may_call_with(&policy, 0b101, "{}") && may_call_with(&policy, 0b100, "{}"));
}

#[test]
fn what_depends_on_arguments_is_shown_and_decided_when_they_are_known() {
    let asks = "arguments.text == 'hi'";
    let policy = compile(&[when(rules("a", &["**"], &[]), asks)]).unwrap();
    assert!(may_call(&policy, 1, ECHO));
    assert!(may_call_with(&policy, 1, r#"{"text":"hi"}"#) && !may_call_with(&policy, 1, r#"{"text":"ho"}"#));
    let denying = when(rules("d", &[], &["tools/call:native/echo"]), asks);
    let policy = compile(&[rules("a", &["**"], &[]), denying]).unwrap();
    assert!(may_call(&policy, 0b11, ECHO));
    assert!(
        !may_call_with(&policy, 0b11, r#"{"text":"hi"}"#) && may_call_with(&policy, 0b11, r#"{"text":"ho"}"#)
    );
    // A prospect asks for the thing, not for the list it is in.
    let policy = compile(&[when(rules("a", &["**"], &[]), "request.name == 'time'")]).unwrap();
    let seen = judged(&policy, 1, None, |rights| {
        [ECHO, TIME, ECHO].map(|tool| rights.shows_entry(Kind::Tools, tool, DEMO_TOOLS[tool]))
    });
    assert_eq!(seen, [false, true, false]);
}

#[test]
fn arguments_that_say_two_things_or_too_much_give_no_answer() {
    let policy = compile(&[
        rules("a", &["**"], &[]),
        when(rules("d", &[], &["tools/call"]), "has(arguments.path) && arguments.path != '/tmp'"),
    ])
    .unwrap();
    assert!(may_call_with(&policy, 0b11, "{}") && may_call_with(&policy, 0b11, r#"{"path":"/tmp"}"#));
    let large = format!(r#"{{"list":[{}0]}}"#, "0,".repeat(1100));
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(17_000));
    for arguments in [r#"{"path":"/tmp","path":"/etc"}"#, r#"{"path":"/etc"}"#, &large, &long] {
        assert!(!may_call_with(&policy, 0b11, arguments), "{}", &arguments[..20]);
    }
}

#[test]
fn refuses_conditions_that_could_not_be_meant_or_would_cost_too_much() {
    for (condition, what) in [
        ("", "1 to 2048"),
        (&*format!("true{}", " ".repeat(2048)), "1 to 2048"),
        ("true &&", ""),
        ("user == 'x'", "there is no `user`"),
        ("request.host == 'x'", "`request` has no `host`"),
        ("request == 'x'", "write which of `request`"),
        ("principal.roles == []", "`principal` has no `roles`"),
        ("claims.name.matches('a*')", "no function `matches`"),
        ("'a' + 'b' == 'ab'", "`+` is not offered"),
        ("request.ip in ['10.0.0.0/33']", "is no address"),
        ("request.ip in ['example.com']", "is no address"),
        ("request.ip in [claims.ip]", "takes addresses and networks"),
        ("claims.a.all(x, claims.b.exists(y, x == y))", "a loop in a loop"),
        ("claims.a.map(x, x) == []", "of the macros"),
        ("claims.a.all(claims, true)", "a name of its own"),
        ("Message{a: 1} == 2", ""),
        (&*format!("{}1{} == 1", "[".repeat(900), "]".repeat(900)), ""),
        (&*format!("{}true", "!(".repeat(900)), ""),
        (&*format!("true{}", " && true".repeat(240)), ""),
        ("'unclosed", ""),
        ("\u{0}", ""),
    ] {
        let error = Condition::compile(condition).err().unwrap_or_else(|| panic!("{condition}"));
        assert!(error.what.contains(what), "{condition}: {error}");
    }
    assert_eq!(Condition::compile("true &&\n  )").err().unwrap().place, Some((2, 3)));
}

#[test]
fn the_worst_condition_on_the_worst_arguments_ends_soon() {
    let list = format!(r#"{{"a":[{}0],"b":[{}0]}}"#, "7,".repeat(500), "8,".repeat(500));
    let condition = "arguments.a.all(x, !(x in arguments.b))";
    let policy = compile(&[when(rules("a", &["**"], &[]), condition)]).unwrap();
    let began = std::time::Instant::now();
    may_call_with(&policy, 1, &list);
    assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
}
