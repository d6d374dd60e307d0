//! Which roles a caller has, by what it proved: roles and scopes its token names, and its subject.
//! Never: a role that is not configured; names nobody defined are passed over.
//! Next: `pipeline/authorize`, what roles may do.

use std::collections::BTreeMap;

/// From names to role bits. A role is one bit, by its index in the configuration.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Bits of each role by its name.
    pub roles: BTreeMap<String, u64>,
    /// `rbac.scope_roles`.
    pub scopes: BTreeMap<String, u64>,
    /// `rbac.subjects`.
    pub subjects: BTreeMap<String, u64>,
}

impl Grants {
    /// The roles of a subject whose token names these roles and scopes.
    pub fn roles_of<'n>(
        &self,
        subject: &str,
        roles: impl IntoIterator<Item = &'n str>,
        scopes: impl IntoIterator<Item = &'n str>,
    ) -> u64 {
        let bits = |table: &BTreeMap<String, u64>, name: &str| table.get(name).copied().unwrap_or(0);
        let by_role = roles.into_iter().fold(0, |all, name| all | bits(&self.roles, name));
        let by_scope = scopes.into_iter().fold(0, |all, name| all | bits(&self.scopes, name));
        by_role | by_scope | bits(&self.subjects, subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_roles_scopes_and_the_subject_give() {
        let table =
            |pairs: &[(&str, u64)]| pairs.iter().map(|(name, bits)| ((*name).to_owned(), *bits)).collect();
        let grants = Grants {
            roles: table(&[("reader", 1), ("agent", 2)]),
            scopes: table(&[("mcp:call", 2 | 4)]),
            subjects: table(&[("alice", 8)]),
        };
        assert_eq!(grants.roles_of("bob", [], []), 0);
        assert_eq!(grants.roles_of("alice", ["reader", "nobody"], ["mcp:call", "mcp:none"]), 1 | 2 | 4 | 8);
        // A role's name is no scope and no subject.
        assert_eq!(grants.roles_of("reader", [], ["reader"]), 0);
    }
}
