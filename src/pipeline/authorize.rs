//! The stage that asks what a principal may do, from the parsed body, never from a header alone.
//! Never: a decision before the principal is known; an allowance that no rule states.
//! Next: `dispatch`, which runs what was allowed.

/// One role as configured: `"<method>"` or `"<method>:native/<tool glob>"` patterns, `*` within a segment, `**` across.
#[derive(Clone, Debug)]
pub struct RoleRules {
    /// Table name.
    pub name: String,
    /// What the role may do.
    pub allow: Vec<String>,
    /// What it may not do, whatever another rule allows.
    pub deny: Vec<String>,
}

use crate::tools::Registry;

/// Roles compiled for one registry.
pub struct Policy {}

impl Policy {
    /// Compiles the rules; fails with the index of the role, the pattern and what is wrong with it.
    pub fn compile(_roles: &[RoleRules], _registry: &Registry) -> Result<Self, PatternError> {
        Ok(Self {})
    }
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
