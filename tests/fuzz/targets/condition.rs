//! Any text as a condition, on any arguments: no panic, an end in time, and no "yes" beside its opposite.
//! The input is the condition, a zero byte, and the arguments of a call, JSON.
//! Next: `src/pipeline/authorize/condition.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::pipeline::authenticate::Principal;
use mcpring::pipeline::authorize::{Asker, Occasion, Policy, Rights, RoleRules};
use mcpring::pipeline::envelope::Request;
use mcpring::pipeline::snapshot::Security;
use mcpring::pipeline::turn::Now;
use mcpring::tools::registry::Kind;
use mcpring::wire::json::{JsonLimits, PADDING, Scratch};
use mcpring::wire::jsonrpc::Id;
use mcpring::wire::mcp::{Method, Revision};

#[path = "../../fixture/mod.rs"]
pub mod fixture;

fn allows(policy: &Policy, request: Occasion<'_>) -> bool {
    let (principal, listener) = (Principal::resident("p", 1), fixture::listener("here", Security::Plain));
    let peer = std::net::SocketAddr::from(([10, 0, 0, 1], 9)).into();
    let asker = Asker { principal: &principal, peer, listener: &listener, now: Now::default() };
    let rights: Rights<'_> = policy.rights(asker, request);
    rights.allows_entry(Kind::Tools, 0, "echo")
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (condition, arguments) = text.split_once('\0').unwrap_or((text, "{}"));
    let role =
        |when: String| RoleRules { name: "r".into(), allow: vec!["**".into()], when, ..RoleRules::default() };
    let registry = fixture::registry();
    let Ok(policy) = Policy::compile(&[role(condition.to_owned())], &registry) else { return };
    let opposite = Policy::compile(&[role(format!("!({condition})"))], &registry);
    let mut body = format!(r#"{{"name":"echo","arguments":{arguments}}}"#).into_bytes();
    let bytes = body.len();
    body.resize(bytes + PADDING, 0);
    let limits = JsonLimits { depth_max: 64, nodes_max: 200_000 };
    let mut scratch = Scratch::default();
    let Ok(document) = scratch.decode(&mut body, bytes, limits) else { return };
    let request = Request {
        id: Id::Integer(1),
        revision: Revision::V20251125,
        method: Method::ToolsCall,
        params: Some(document.root()),
        progress_token: None,
        session: None,
        capabilities: Default::default(),
        log_level: None,
    };
    let is_allowed = allows(&policy, Occasion::Request(&request));
    if let Ok(opposite) = opposite {
        assert!(!(is_allowed && allows(&opposite, Occasion::Request(&request))), "{condition:?}");
    }
    allows(&policy, Occasion::Prospect);
});
