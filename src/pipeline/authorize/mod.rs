//! The stage that asks what a principal may do, from the parsed body, never from a header alone.
//! Patterns are compiled at load: for each method and each tool one mask of the roles that allow it and one of those
//! that deny it, so a decision is two `and`s.
//! Never: a decision before the principal is known; an allowance that no rule states; an allowance that a rule denies.
//! Next: `dispatch`, which runs what was allowed.

mod pattern;

use super::envelope::Request;
use super::respond::Refusal;
use crate::tools::Registry;
use crate::tools::registry::{Entry, Kind};
use crate::wire::json::Value;
use crate::wire::mcp::Method;

pub use pattern::Pattern;

/// Roles there may be: one bit each.
pub const ROLES_MAX: usize = 64;

/// One role as configured: `"<method>"` or `"<method>:native/<tool>"` patterns, `*` within a segment, `**` across.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRules {
    /// Table name.
    pub name: String,
    /// What the role may do.
    pub allow: Vec<String>,
    /// What it may not do, whatever another rule allows.
    pub deny: Vec<String>,
}

/// A pattern that can not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role {role}: pattern {pattern:?}: {reason}")]
pub struct PatternError {
    /// Index of the role.
    pub role: usize,
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// Roles compiled for one registry.
pub struct Policy {
    methods: Vec<Masks>,
    /// By kind and by index in the registry.
    entries: [Vec<Masks>; 4],
    roles: Vec<CompiledRole>,
}

/// What an allowed request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The method says it all.
    Method,
    /// A tool, by index in the registry.
    Tool(usize),
    /// A resource.
    Resource(usize),
    /// A family of resources, one of which is meant.
    Template(usize),
    /// A prompt.
    Prompt(usize),
}

/// Says what an allowed request is about.
///
/// # Errors
/// When no role of the caller allows it, or when it is about nothing that exists.
// MCP 2026-07-28, security: a tool is found by the body's name, never by `Mcp-Name`.
pub fn authorize<'i>(
    policy: &Policy,
    registry: &Registry,
    roles: u64,
    request: &Request<'_, 'i>,
) -> Result<Target, Refusal<'i>> {
    if !policy.allows_method(roles, request.method) {
        return Err(Refusal::Forbidden);
    }
    let named = |member, missing| {
        let name = request.params.and_then(|params| params.member(member)).and_then(Value::as_str);
        name.ok_or(Refusal::Params(missing))
    };
    match request.method {
        Method::ToolsCall => {
            let name = named("name", "name must be a string")?;
            match registry.find(name) {
                Some((tool, _)) if policy.allows_tool(roles, tool) => Ok(Target::Tool(tool)),
                None if policy.allows_name(roles, request.method, name) => Err(Refusal::UnknownTool),
                Some(_) | None => Err(Refusal::Forbidden),
            }
        }
        Method::PromptsGet => {
            let name = named("name", "name must be a string")?;
            match registry.find_prompt(name) {
                Some((prompt, _)) if policy.allows_entry(roles, Kind::Prompts, prompt) => {
                    Ok(Target::Prompt(prompt))
                }
                None if policy.allows_name(roles, request.method, name) => Err(Refusal::UnknownPrompt),
                Some(_) | None => Err(Refusal::Forbidden),
            }
        }
        Method::ResourcesRead => {
            let uri = named("uri", "uri must be a string")?;
            match find_resource(policy, registry, roles, uri) {
                Some(target) => Ok(target),
                None if policy.allows_name(roles, request.method, uri) => {
                    Err(Refusal::ResourceNotFound { uri, era: request.revision.era() })
                }
                None => Err(Refusal::Forbidden),
            }
        }
        Method::Discover
        | Method::ToolsList
        | Method::ResourcesList
        | Method::TemplatesList
        | Method::PromptsList
        | Method::Complete
        | Method::Listen
        | Method::TasksGet
        | Method::TasksUpdate
        | Method::TasksCancel
        | Method::Initialize
        | Method::Ping
        | Method::SetLevel
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::Initialized
        | Method::Cancelled => Ok(Target::Method),
    }
}

/// The resource of that URI, or the family it belongs to, if one of `roles` may read it.
pub fn find_resource(policy: &Policy, registry: &Registry, roles: u64, uri: &str) -> Option<Target> {
    if let Some((resource, _)) = registry.find_resource(uri) {
        return policy.allows_entry(roles, Kind::Resources, resource).then_some(Target::Resource(resource));
    }
    let (template, _, _) = registry.find_template(uri)?;
    policy.allows_name(roles, Method::ResourcesRead, uri).then_some(Target::Template(template))
}

#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    allow: u64,
    deny: u64,
}

impl Masks {
    /// Deny wins.
    fn allows(self, roles: u64) -> bool {
        self.allow & roles != 0 && self.deny & roles == 0
    }
}

struct CompiledRole {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

impl Policy {
    /// Compiles the rules.
    ///
    /// # Errors
    /// At the first pattern that is malformed, or when there are more than [`ROLES_MAX`] roles.
    pub fn compile(rules: &[RoleRules], registry: &Registry) -> Result<Self, PatternError> {
        let mut roles = Vec::new();
        for (role, rule) in rules.iter().enumerate() {
            if role >= ROLES_MAX {
                let reason = format!("at most {ROLES_MAX} roles");
                return Err(PatternError { role, pattern: rule.name.clone(), reason });
            }
            let compile = |patterns: &[String]| {
                let compiled = patterns.iter().map(|pattern| {
                    Pattern::compile(pattern).map_err(|reason| PatternError {
                        role,
                        pattern: pattern.clone(),
                        reason,
                    })
                });
                compiled.collect::<Result<Vec<_>, _>>()
            };
            roles.push(CompiledRole { allow: compile(&rule.allow)?, deny: compile(&rule.deny)? });
        }
        let mut policy = Self { methods: Vec::new(), entries: Default::default(), roles };
        policy.methods = Method::ALL.iter().map(|method| policy.masks(permission(*method), None)).collect();
        policy.entries = [Kind::Tools, Kind::Resources, Kind::Templates, Kind::Prompts].map(|kind| {
            let masks = |entry: Entry<'_>| policy.masks(use_of(kind).name(), Some(&native(entry.name)));
            registry.entries(kind).map(masks).collect()
        });
        Ok(policy)
    }

    /// Whether one of `roles` may use `method`, its target aside.
    pub fn allows_method(&self, roles: u64, method: Method) -> bool {
        // The handshake's second half, keep-alive and giving up are part of having a session at all.
        matches!(method, Method::Ping | Method::Initialized | Method::Cancelled)
            || self.methods.get(method as usize).is_some_and(|masks| masks.allows(roles))
    }

    /// Whether one of `roles` may call the tool of that index in the registry.
    pub fn allows_tool(&self, roles: u64, tool: usize) -> bool {
        self.allows_entry(roles, Kind::Tools, tool)
    }

    /// Whether one of `roles` may use the entry of that kind and index in the registry.
    pub fn allows_entry(&self, roles: u64, kind: Kind, index: usize) -> bool {
        let [tools, resources, templates, prompts] = &self.entries;
        let entries = match kind {
            Kind::Tools => tools,
            Kind::Resources => resources,
            Kind::Templates => templates,
            Kind::Prompts => prompts,
        };
        entries.get(index).is_some_and(|masks| masks.allows(roles))
    }

    /// The same for a name that is not registered, so that only who may use it learns that it is not there.
    pub fn allows_name(&self, roles: u64, method: Method, name: &str) -> bool {
        self.masks(method.name(), Some(&native(name))).allows(roles)
    }

    fn masks(&self, method: &str, target: Option<&str>) -> Masks {
        let mut masks = Masks::default();
        for (bit, role) in self.roles.iter().enumerate() {
            let allows = role.allow.iter().any(|pattern| match target {
                Some(target) => pattern.covers(method, Some(target)),
                // An allowance for one target opens the door to its method; the target is asked for next.
                None => pattern.touches(method),
            });
            let denies = role.deny.iter().any(|pattern| pattern.covers(method, target));
            masks.allow |= u64::from(allows) << bit;
            masks.deny |= u64::from(denies) << bit;
        }
        masks
    }
}

/// The method whose permission is asked for: the legacy handshake tells what `server/discover` tells, and who may read a
/// resource may be told that it has changed.
pub fn permission(method: Method) -> &'static str {
    if method == Method::Initialize {
        return Method::Discover.name();
    }
    if matches!(method, Method::Subscribe | Method::Unsubscribe) {
        return Method::ResourcesRead.name();
    }
    method.name()
}

/// The method that uses an entry of that kind.
fn use_of(kind: Kind) -> Method {
    match kind {
        Kind::Tools => Method::ToolsCall,
        Kind::Resources | Kind::Templates => Method::ResourcesRead,
        Kind::Prompts => Method::PromptsGet,
    }
}

/// A name as patterns speak of it.
pub fn native(tool: &str) -> String {
    format!("native/{tool}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{DEMO_TOOLS, demo};

    fn policy(roles: &[(&[&str], &[&str])]) -> Policy {
        let own = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let rules: Vec<_> = roles
            .iter()
            .map(|(allow, deny)| RoleRules { name: "role".into(), allow: own(allow), deny: own(deny) })
            .collect();
        let names: Vec<String> = DEMO_TOOLS.iter().map(|name| (*name).to_owned()).collect();
        Policy::compile(&rules, &demo(&names).unwrap()).unwrap()
    }

    #[test]
    fn allows_what_a_role_allows_and_nothing_it_or_another_denies() {
        let policy = policy(&[
            (&["tools/list", "tools/call:native/echo"], &[]),
            (&["**"], &["tools/call:native/time"]),
            (&[], &[]),
        ]);
        let (echo, time) = (0, 1);
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
            assert_eq!(policy.allows_method(roles, method), allowed, "{roles:b} {method:?}");
        }
        for (roles, tool, allowed) in [
            (0b001, echo, true),
            (0b001, time, false),
            (0b010, echo, true),
            (0b010, time, false),
            (0b011, time, false),
            (0b100, echo, false),
            (0b010, 99, false),
        ] {
            assert_eq!(policy.allows_tool(roles, tool), allowed, "{roles:b} {tool}");
        }
        assert!(policy.allows_name(0b010, Method::ToolsCall, "unheard_of"));
        assert!(!policy.allows_name(0b001, Method::ToolsCall, "unheard_of"));
    }

    #[test]
    fn a_denied_method_is_denied_with_every_target() {
        let policy = policy(&[(&["**"], &["tools/call"])]);
        assert!(!policy.allows_tool(1, 0));
        assert!(!policy.allows_method(1, Method::ToolsCall));
        assert!(policy.allows_method(1, Method::ToolsList));
    }
}
