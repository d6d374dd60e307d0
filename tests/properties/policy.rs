//! Laws of rights: a pattern matches what a plain reading of it matches; what anybody holds that denies, denies; nothing is
//! allowed that nothing allows; who inherits more may do no less; a condition that is no answer is never a yes.
//! Next: `src/pipeline/authorize/`.

use mcpring::pipeline::authenticate::Principal;
use mcpring::pipeline::authorize::{Asker, Condition, Occasion, Pattern, Policy, RoleRules};
use mcpring::pipeline::snapshot::Security;
use mcpring::pipeline::turn::Now;
use mcpring::tools::DEMO_TOOLS;
use mcpring::tools::registry::Kind;
use mcpring::wire::mcp::Method;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{listener, registry};

/// Reads a pattern as the words say: `*` is any run without a slash, `**` any run.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| matches(rest, &text[at..])),
        [b'*', rest @ ..] => {
            let run = text.iter().take_while(|byte| **byte != b'/').count();
            (0..=run).any(|at| matches(rest, &text[at..]))
        }
        [byte, rest @ ..] => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

const PATTERNS: [&str; 8] = [
    "**",
    "tools/*",
    "tools/list",
    "tools/call",
    "tools/call:native/*",
    "tools/call:native/echo",
    "tools/call:**/t*",
    "server/discover",
];

/// Roles that inherit only from those behind them, and so never themselves.
fn roles() -> impl Strategy<Value = Vec<RoleRules>> {
    let patterns = || vec(0..PATTERNS.len(), 0..3);
    vec((patterns(), prop_oneof![3 => Just(Vec::new()), 1 => patterns()], any::<u8>()), 1..7).prop_map(
        |roles| {
            let count = roles.len();
            let named = |list: Vec<usize>| list.into_iter().map(|at| PATTERNS[at].to_owned()).collect();
            let own = |(at, (allow, deny, inherits)): (usize, (Vec<usize>, Vec<usize>, u8))| RoleRules {
                name: format!("r{at}"),
                inherits: (at + 1..count)
                    .filter(|other| inherits >> other & 1 == 1)
                    .map(|at| format!("r{at}"))
                    .collect(),
                allow: named(allow),
                deny: named(deny),
                when: String::new(),
            };
            roles.into_iter().enumerate().map(own).collect()
        },
    )
}

fn ask<T>(
    policy: &Policy,
    roles: u64,
    ask: impl FnOnce(&mcpring::pipeline::authorize::Rights<'_>) -> T,
) -> T {
    let (principal, listener) = (Principal::resident("p", roles), listener("here", Security::Plain));
    let peer = std::net::SocketAddr::from(([10, 0, 0, 1], 9)).into();
    let asker = Asker { principal: &principal, peer, listener: &listener, now: Now::default() };
    ask(&policy.rights(asker, Occasion::Prospect))
}

fn may_call(policy: &Policy, roles: u64, tool: usize) -> bool {
    ask(policy, roles, |rights| rights.allows_entry(Kind::Tools, tool, DEMO_TOOLS[tool]))
}

/// What is held, by following every line of inheritance.
fn held(rules: &[RoleRules], roles: u64) -> Vec<&RoleRules> {
    let mut found: Vec<&RoleRules> = Vec::new();
    let mut open: Vec<&RoleRules> =
        rules.iter().enumerate().filter(|(at, _)| roles >> at & 1 == 1).map(|(_, role)| role).collect();
    while let Some(role) = open.pop() {
        if !found.contains(&role) {
            found.push(role);
            open.extend(role.inherits.iter().filter_map(|name| rules.iter().find(|role| role.name == *name)));
        }
    }
    found
}

proptest! {
    #[test]
    fn a_pattern_matches_what_a_plain_reading_of_it_matches(
        pattern in "([ab/]|\\*|\\*\\*[ab/]){1,8}",
        text in "[ab/]{0,12}",
    ) {
        prop_assume!(!pattern.contains("***"));
        let compiled = Pattern::compile(&format!("tools/call:{pattern}")).expect("it is well-formed");
        let plain = matches(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(compiled.covers("tools/call", Some(&text)), plain);
    }

    #[test]
    fn deny_wins_and_nothing_is_allowed_that_nothing_allows(rules in roles(), roles in 0_u64..64) {
        let policy = Policy::compile(&rules, &registry()).expect("the rules are well-formed");
        let held = held(&rules, roles);
        for (tool, name) in DEMO_TOOLS.iter().enumerate() {
            let target = format!("native/{name}");
            let says = |list: &[String]| list.iter().any(|text| {
                Pattern::compile(text).expect("it is well-formed").covers("tools/call", Some(&target))
            });
            let expect = held.iter().any(|role| says(&role.allow)) && !held.iter().any(|role| says(&role.deny));
            prop_assert_eq!(may_call(&policy, roles, tool), expect, "{} {:b}", name, roles);
            let by_name = ask(&policy, roles, |rights| rights.allows_name(Method::ToolsCall, name));
            prop_assert_eq!(by_name, expect);
        }
        prop_assert!(!may_call(&policy, 0, 0));
    }

    #[test]
    fn who_inherits_what_denies_nothing_may_do_no_less(rules in roles(), heir in 0_usize..6, roles in 0_u64..64) {
        let mut more = rules.clone();
        let gift = RoleRules { name: "gift".into(), allow: vec!["tools/call:native/echo".into()], ..RoleRules::default() };
        more.push(gift);
        let heir = heir % rules.len();
        more[heir].inherits.push("gift".into());
        let before = Policy::compile(&rules, &registry()).expect("the rules are well-formed");
        let after = Policy::compile(&more, &registry()).expect("the rules are well-formed");
        let roles = roles & ((1 << rules.len()) - 1);
        for tool in 0..DEMO_TOOLS.len() {
            prop_assert!(!may_call(&before, roles, tool) || may_call(&after, roles, tool));
        }
        let is_denied = held(&rules, 1 << heir).iter().any(|role| !role.deny.is_empty());
        prop_assert!(is_denied || may_call(&after, 1 << heir, 0));
    }

    #[test]
    fn no_text_breaks_the_reader_of_conditions(text in "[a-z.()\\[\\]{}'\"&|!=<>?:+*/% ,0-9\\\\]{0,80}") {
        let _ = Condition::compile(&text);
    }

    #[test]
    fn a_condition_never_allows_by_having_no_answer(
        left in prop_oneof![Just("claims.a"), Just("now"), Just("'x'"), Just("request.ip"), Just("principal.scopes")],
        op in prop_oneof![Just("=="), Just("<"), Just("in"), Just("-"), Just("&&"), Just("||")],
        right in prop_oneof![Just("claims.b"), Just("1"), Just("'x'"), Just("true"), Just("[]")],
    ) {
        let when = format!("{left} {op} {right}");
        let rule = RoleRules { name: "r".into(), allow: vec!["**".into()], when: when.clone(), ..RoleRules::default() };
        let negated = RoleRules { when: format!("!({when})"), ..rule.clone() };
        let policies = [rule, negated].map(|rule| Policy::compile(&[rule], &registry()));
        if let [Ok(one), Ok(other)] = &policies {
            // A yes and its opposite are not both true, and what can not be answered is neither.
            prop_assert!(!(may_call(one, 1, 0) && may_call(other, 1, 0)), "{}", when);
        }
    }
}
