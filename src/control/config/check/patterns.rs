//! Patterns of roles that match nothing there is: probably slips, and one in a `deny` leaves open what it should shut.
//! What a program registers while it runs is not known here, so this only warns, and not of patterns for whole families.
//! Next: `access`, which asks; `pipeline/authorize.rs`, what patterns mean.

use super::super::nearest::nearest;
use super::super::problem::{Code, Finding};
use super::super::report::{child, entry};
use super::super::settings::quoted;
use crate::pipeline::authorize::{Pattern, RoleRules, native, permission};
use crate::tools::registry::Kind;
use crate::tools::{Registry, native_names};
use crate::wire::mcp::Method;

/// Names that are listed when none is near.
const LISTED_MAX: usize = 16;

/// A warning for each pattern of `roles` that speaks of no method, or of nothing that is built in or in `offered`.
pub(in super::super) fn unmatched(roles: &[RoleRules], offered: &Registry) -> Vec<(Code, Finding)> {
    let mut found = Vec::new();
    for role in roles {
        for (list, patterns) in [("allow", &role.allow), ("deny", &role.deny)] {
            for (index, text) in patterns.iter().enumerate() {
                // What can not be read is an error already.
                let Ok(pattern) = Pattern::compile(text) else { continue };
                let path = || entry(&child(&child("roles", &role.name), list), index);
                found.extend(judge(&pattern, text, offered).map(|(code, message, help)| {
                    let (setting, notes) = (path(), vec![]);
                    (code, Finding { code: code.id(), setting, message, notes, help })
                }));
            }
        }
    }
    found
}

fn judge(pattern: &Pattern, text: &str, offered: &Registry) -> Option<(Code, String, Vec<String>)> {
    let methods: Vec<&str> = Method::ALL.iter().map(|method| permission(*method)).collect();
    if !methods.iter().any(|method| pattern.touches(method)) {
        let message = format!("{} names no method", quoted(text));
        let near = nearest(pattern.method(), methods.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean {}?", quoted(near)),
            None => "write \"<method>\" or \"<method>:native/<name>\"; tools are called with \"tools/call\""
                .into(),
        };
        return Some((Code::NoSuchMethod, message, vec![help]));
    }
    let (method, target) = (pattern.method(), pattern.target()?);
    let names = names(pattern, offered)?;
    let last = target.rsplit_once('/').map_or(target, |(_, last)| last);
    if matches!(last, "*" | "**") || names.iter().any(|name| pattern.covers(method, Some(name))) {
        return None;
    }
    // What is forgotten most is where it comes from.
    let whole = native(target);
    let meant = if names.contains(&whole) {
        Some(whole.as_str())
    } else {
        nearest(target, names.iter().map(String::as_str))
    };
    let help = match meant {
        Some(meant) => format!("did you mean {}?", quoted(&format!("{method}:{meant}"))),
        None if names.is_empty() => "nothing of the kind is offered".into(),
        None => {
            format!("there are: {}", names.iter().take(LISTED_MAX).cloned().collect::<Vec<_>>().join(", "))
        }
    };
    let message = format!("{} matches nothing that is offered", quoted(text));
    Some((Code::NothingMatched, message, vec![help]))
}

/// What the methods that a pattern speaks of can be used on; none when they are used on nothing in particular, or when a
/// template has more names than can be told.
fn names(pattern: &Pattern, offered: &Registry) -> Option<Vec<String>> {
    let uses = |method: Method| pattern.touches(permission(method));
    if uses(Method::ResourcesRead) && offered.count(Kind::Templates) > 0 {
        return None;
    }
    let mut names = Vec::new();
    let entries = |kind| offered.entries(kind).map(|entry| native(entry.name));
    if uses(Method::ToolsCall) {
        names.extend(native_names().map(native));
        names.extend(entries(Kind::Tools));
    }
    if uses(Method::ResourcesRead) {
        names.extend(entries(Kind::Resources));
    }
    if uses(Method::PromptsGet) {
        names.extend(entries(Kind::Prompts));
    }
    let is_used = [Method::ToolsCall, Method::ResourcesRead, Method::PromptsGet].into_iter().any(uses);
    names.sort_unstable();
    names.dedup();
    is_used.then_some(names)
}
