//! What an operator has taken back before its time: tokens, subjects and keys of issuers.
//! Never: a file; the control plane reads the list.
//! Next: `cache`, which forgets with every snapshot.

use std::collections::HashSet;

/// One thing that is not accepted any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The token with this `jti`, of whichever issuer.
    Token(String),
    /// Everything that was issued to a subject.
    Subject {
        /// `iss`.
        issuer: String,
        /// As the issuer's subject claim has it.
        subject: String,
    },
    /// Everything that was signed with a key.
    Key {
        /// `iss`.
        issuer: String,
        /// `kid`.
        key: String,
    },
}

/// The list.
#[derive(Clone, Debug, Default)]
pub struct Revocations(HashSet<Revoked>);

impl FromIterator<Revoked> for Revocations {
    fn from_iter<I: IntoIterator<Item = Revoked>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Revocations {
    /// Entries of the list.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is taken back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a token may not be used any more.
    pub(super) fn covers(&self, issuer: &str, key: Option<&str>, subject: &str, id: Option<&str>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let subject = Revoked::Subject { issuer: issuer.to_owned(), subject: subject.to_owned() };
        let key = key.map(|key| Revoked::Key { issuer: issuer.to_owned(), key: key.to_owned() });
        let token = id.map(|id| Revoked::Token(id.to_owned()));
        self.0.contains(&subject) || [key, token].iter().flatten().any(|entry| self.0.contains(entry))
    }
}
