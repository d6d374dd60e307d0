//! The stage that asks what a principal may do, from the parsed body, never from a header alone.
//! Never: a decision before the principal is known; an allowance that no rule states; an allowance that a rule denies.
//! Next: `policy`, what the rules come to, and `rights`, which applies them to a request; then `dispatch`.

mod condition;
mod rights;
mod pattern;
mod policy;
#[cfg(test)]
mod tests;

use super::envelope::Request;
use super::respond::Refusal;
use crate::tools::Registry;
use crate::tools::registry::Kind;
use crate::wire::json::Value;
use crate::wire::mcp::Method;

pub use condition::{Condition, ConditionError};
pub use pattern::Pattern;
pub use policy::{Policy, ROLES_MAX, RoleRules, RuleError, RuleFault, Shows, circle};
pub use rights::{Asker, Occasion, Rights};

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
    rights: &Rights<'_>,
    registry: &Registry,
    request: &Request<'_, 'i>,
) -> Result<Target, Refusal<'i>> {
    if !rights.allows_method(request.method) {
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
                Some((tool, _)) if rights.allows_entry(Kind::Tools, tool, name) => Ok(Target::Tool(tool)),
                None if rights.allows_name(request.method, name) => Err(Refusal::UnknownTool),
                Some(_) | None => Err(Refusal::Forbidden),
            }
        }
        Method::PromptsGet => {
            let name = named("name", "name must be a string")?;
            match registry.find_prompt(name) {
                Some((prompt, _)) if rights.allows_entry(Kind::Prompts, prompt, name) => {
                    Ok(Target::Prompt(prompt))
                }
                None if rights.allows_name(request.method, name) => Err(Refusal::UnknownPrompt),
                Some(_) | None => Err(Refusal::Forbidden),
            }
        }
        Method::ResourcesRead => {
            let uri = named("uri", "uri must be a string")?;
            match find_resource(rights, registry, uri) {
                Some(target) => Ok(target),
                None if rights.allows_name(request.method, uri) => {
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

/// The resource of that URI, or the family it belongs to, if the caller may read it.
pub fn find_resource(rights: &Rights<'_>, registry: &Registry, uri: &str) -> Option<Target> {
    if let Some((resource, _)) = registry.find_resource(uri) {
        return rights.allows_entry(Kind::Resources, resource, uri).then_some(Target::Resource(resource));
    }
    let (template, _, _) = registry.find_template(uri)?;
    rights.allows_name(Method::ResourcesRead, uri).then_some(Target::Template(template))
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
