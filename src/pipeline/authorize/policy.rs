//! What the rules come to. They are compiled at load: for each method and each thing that can be used one mask of the roles
//! that allow it and one of those that deny it, so that a decision is two `and`s; what a role inherits is in its masks.
//! Never: a rule read again after load; a circle of roles.
//! Next: `rights`, which decides.

use std::sync::Arc;

use super::condition::{Condition, ConditionError};
use super::pattern::{NAME_BYTES_MAX, Pattern};
use super::{native, permission, use_of};
use crate::tools::Registry;
use crate::tools::registry::{Entry, Kind};
use crate::wire::mcp::Method;

/// Roles there may be: one bit each.
pub const ROLES_MAX: usize = 64;

/// One role as configured: `"<method>"` or `"<method>:native/<tool>"` patterns, `*` within a segment, `**` across.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleRules {
    /// Table name.
    pub name: String,
    /// Names of roles that who holds this one holds too.
    pub inherits: Vec<String>,
    /// What the role may do.
    pub allow: Vec<String>,
    /// What it may not do, whatever another rule allows.
    pub deny: Vec<String>,
    /// A condition of the request under which the role is held at all; empty for always.
    pub when: String,
}

/// A rule that can not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role {role}: {fault}")]
pub struct RuleError {
    /// Index of the role.
    pub role: usize,
    /// What is wrong with it.
    pub fault: RuleFault,
}

/// What can be wrong with a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    /// There are more than [`ROLES_MAX`].
    #[error("at most {ROLES_MAX} roles")]
    TooMany,
    /// A pattern that is malformed.
    #[error("pattern {pattern:?}: {reason}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// It inherits what is not defined.
    #[error("it inherits {0:?}, which is not defined")]
    Unknown(String),
    /// It inherits itself, in the end.
    #[error("it inherits itself: {}", .0.join(" -> "))]
    Circle(Vec<String>),
    /// A condition that is malformed.
    #[error("condition: {0}")]
    Condition(ConditionError),
}

/// Roles compiled for one registry.
#[derive(Default)]
pub struct Policy {
    methods: Vec<Masks>,
    /// By kind and by index in the registry.
    entries: [Vec<Masks>; 4],
    roles: Vec<Role>,
    /// By index, each before those it inherits.
    order: Vec<usize>,
    /// Roles with a condition.
    pub(super) conditional: u64,
    /// Roles whose condition asks what is requested.
    pub(super) depends_on_request: u64,
    /// Whether lists show what the caller may not use.
    pub shows: Shows,
}

/// What lists show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shows {
    /// What the caller may use.
    #[default]
    Usable,
    /// Everything.
    All,
}

/// Which roles have a say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    /// Roles that allow it whatever the request is like, themselves or through what they inherit.
    pub(super) allow: u64,
    /// Roles that may deny it, themselves or through what they inherit.
    pub(super) deny: u64,
    /// What the rules of each role alone say.
    pub(super) own: Say,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Say {
    pub(super) allow: u64,
    pub(super) deny: u64,
}

pub(super) struct Role {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    inherits: u64,
    /// Itself, and what it inherits from whomever.
    pub(super) reach: u64,
    /// The same, as far as nothing on the way has a condition.
    pub(super) sure: u64,
    pub(super) condition: Option<Arc<Condition>>,
}

impl Policy {
    /// Compiles the rules.
    ///
    /// # Errors
    /// At the first rule that is malformed, or when there are more than [`ROLES_MAX`] roles.
    pub fn compile(rules: &[RoleRules], registry: &Registry) -> Result<Self, RuleError> {
        let mut policy = Self::default();
        for (role, rule) in rules.iter().enumerate() {
            let fault = |fault| RuleError { role, fault };
            if role >= ROLES_MAX {
                return Err(fault(RuleFault::TooMany));
            }
            let compiled = Role::compile(rule, rules).map_err(fault)?;
            if let Some(condition) = &compiled.condition {
                policy.conditional |= 1 << role;
                policy.depends_on_request |= u64::from(condition.asks_what_is_requested()) << role;
            }
            policy.roles.push(compiled);
        }
        if let Some((name, line)) = circle(rules) {
            let role = position(rules, &name).unwrap_or_default();
            return Err(RuleError { role, fault: RuleFault::Circle(line) });
        }
        policy.order = order(rules);
        policy.close();
        policy.methods = Method::ALL.iter().map(|method| policy.masks(permission(*method), None)).collect();
        policy.entries = [Kind::Tools, Kind::Resources, Kind::Templates, Kind::Prompts].map(|kind| {
            let masks = |entry: Entry<'_>| policy.masks(use_of(kind).name(), Some(&native(entry.name)));
            registry.entries(kind).map(masks).collect()
        });
        Ok(policy)
    }

    /// Everything a role inherits, from those at the end of the line to those at its start.
    fn close(&mut self) {
        for at in self.order.clone().into_iter().rev() {
            let Some(role) = self.roles.get(at) else { continue };
            let own = 1 << at;
            let inherited = self.of(role.inherits);
            let (reach, sure) =
                inherited.fold((own, own), |(reach, sure), other| (reach | other.reach, sure | other.sure));
            let is_sure = role.condition.is_none();
            if let Some(role) = self.roles.get_mut(at) {
                role.reach = reach;
                role.sure = if is_sure { sure } else { 0 };
            }
        }
    }

    fn of(&self, bits: u64) -> impl Iterator<Item = &Role> {
        self.roles.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1).map(|(_, role)| role)
    }

    /// Every role that who has `roles` may come to hold.
    pub(super) fn reach(&self, roles: u64) -> u64 {
        self.of(roles).fold(0, |reach, role| reach | role.reach)
    }

    /// Every role that who has `roles` holds for certain.
    pub(super) fn sure(&self, roles: u64) -> u64 {
        self.of(roles).fold(0, |sure, role| sure | role.sure)
    }

    /// What is held by who has `roles`, when only roles in `open` can be held.
    pub(super) fn held(&self, roles: u64, open: u64) -> u64 {
        let heirs = self.order.iter().filter_map(|at| Some((*at, self.roles.get(*at)?)));
        heirs.fold(
            roles & open,
            |held, (at, role)| {
                if held >> at & 1 == 1 { held | role.inherits & open } else { held }
            },
        )
    }

    /// The roles of `bits` with their conditions.
    pub(super) fn conditions(&self, bits: u64) -> impl Iterator<Item = (u64, &Role, &Condition)> {
        let bits = bits & self.conditional;
        let roles = self.roles.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1);
        roles.filter_map(|(at, role)| Some((1 << at, role, role.condition.as_deref()?)))
    }

    pub(super) fn of_method(&self, method: Method) -> Masks {
        self.methods.get(method as usize).copied().unwrap_or_default()
    }

    pub(super) fn of_entry(&self, kind: Kind, index: usize) -> Masks {
        let [tools, resources, templates, prompts] = &self.entries;
        let entries = match kind {
            Kind::Tools => tools,
            Kind::Resources => resources,
            Kind::Templates => templates,
            Kind::Prompts => prompts,
        };
        entries.get(index).copied().unwrap_or_default()
    }

    /// For a name that is not registered. One that is too long to be looked at is allowed by nobody.
    pub(super) fn of_name(&self, method: Method, name: &str) -> Masks {
        let target = native(name);
        if target.len() > NAME_BYTES_MAX {
            return Masks::default();
        }
        self.masks(method.name(), Some(&target))
    }

    fn masks(&self, method: &str, target: Option<&str>) -> Masks {
        let mut own = Say::default();
        for (bit, role) in self.roles.iter().enumerate() {
            let allows = role.allow.iter().any(|pattern| match target {
                Some(target) => pattern.covers(method, Some(target)),
                // An allowance for one target opens the door to its method; the target is asked for next.
                None => pattern.touches(method),
            });
            let denies = role.deny.iter().any(|pattern| pattern.covers(method, target));
            own.allow |= u64::from(allows) << bit;
            own.deny |= u64::from(denies) << bit;
        }
        let mut masks = Masks { allow: 0, deny: 0, own };
        for (bit, role) in self.roles.iter().enumerate() {
            masks.allow |= u64::from(role.sure & own.allow != 0) << bit;
            masks.deny |= u64::from(role.reach & own.deny != 0) << bit;
        }
        masks
    }
}

impl Role {
    fn compile(rule: &RoleRules, rules: &[RoleRules]) -> Result<Self, RuleFault> {
        let compile = |patterns: &[String]| {
            let compiled = patterns.iter().map(|pattern| {
                Pattern::compile(pattern)
                    .map_err(|reason| RuleFault::Pattern { pattern: pattern.clone(), reason })
            });
            compiled.collect::<Result<Vec<_>, _>>()
        };
        let mut inherits = 0;
        for name in &rule.inherits {
            let at = position(rules, name).ok_or_else(|| RuleFault::Unknown(name.clone()))?;
            inherits |= 1_u64.checked_shl(u32::try_from(at).unwrap_or(u32::MAX)).ok_or(RuleFault::TooMany)?;
        }
        let condition = match rule.when.as_str() {
            "" => None,
            when => Some(Arc::new(Condition::compile(when).map_err(RuleFault::Condition)?)),
        };
        let (allow, deny) = (compile(&rule.allow)?, compile(&rule.deny)?);
        Ok(Self { allow, deny, inherits, reach: 0, sure: 0, condition })
    }
}

fn position(rules: &[RoleRules], name: &str) -> Option<usize> {
    rules.iter().position(|rule| rule.name == *name)
}

/// A role that inherits itself, and the line from it back to it.
pub fn circle(rules: &[RoleRules]) -> Option<(String, Vec<String>)> {
    let order = order(rules);
    let is_left = |at: &usize| !order.contains(at);
    let mut line = vec![(0..rules.len()).find(is_left)?];
    // Who is left has an heir that is left: from heir to heir the line comes back to where it has been.
    loop {
        let last = *line.last()?;
        let heir = (0..rules.len()).filter(is_left).find(|at| parents(rules, *at).contains(&last))?;
        let start = line.iter().position(|at| *at == heir);
        line.push(heir);
        if let Some(start) = start {
            let names = line.drain(start..).rev().filter_map(|at| rules.get(at));
            return Some((rules.get(heir)?.name.clone(), names.map(|rule| rule.name.clone()).collect()));
        }
    }
}

/// The roles by index, each before those it inherits; without those that are in a circle, and what leads to one.
fn order(rules: &[RoleRules]) -> Vec<usize> {
    let mut heirs = vec![0_usize; rules.len()];
    for parent in (0..rules.len()).flat_map(|at| parents(rules, at)) {
        if let Some(count) = heirs.get_mut(parent) {
            *count += 1;
        }
    }
    let mut order: Vec<usize> = (0..rules.len()).filter(|at| heirs.get(*at) == Some(&0)).collect();
    let mut next = 0;
    while let Some(at) = order.get(next).copied() {
        next += 1;
        for parent in parents(rules, at) {
            if let Some(count) = heirs.get_mut(parent) {
                *count -= 1;
                if *count == 0 {
                    order.push(parent);
                }
            }
        }
    }
    order
}

/// What a role inherits, by index, as often as it is written.
fn parents(rules: &[RoleRules], at: usize) -> Vec<usize> {
    let names = rules.get(at).into_iter().flat_map(|rule| &rule.inherits);
    names.filter_map(|name| position(rules, name)).collect()
}
