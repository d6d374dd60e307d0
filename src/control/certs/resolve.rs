//! Which certificate a client gets: by the name it asked for (SNI), among those whose key it can verify; the
//! first of the profile when no name fits.
//! Never: a lock; a wildcard over more or less than one whole label.
//! Next: `mod.rs`, which puts it into the `ServerConfig`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::load::Identity;

/// The certificates of one profile, by name.
pub struct Resolver {
    identities: Vec<Arc<CertifiedKey>>,
    exact: HashMap<String, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<usize>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Resolver").field("exact", &self.exact).field("wildcard", &self.wildcard).finish()
    }
}

impl Resolver {
    /// A resolver over `identities` in their order.
    pub fn build(identities: &[Identity]) -> Self {
        let mut resolver = Self {
            identities: identities.iter().map(|identity| Arc::clone(&identity.certified)).collect(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        for (index, identity) in identities.iter().enumerate() {
            for name in &identity.names {
                let (table, key) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut resolver.wildcard, suffix),
                    None => (&mut resolver.exact, name.as_str()),
                };
                table.entry(key.to_owned()).or_default().push(index);
            }
        }
        resolver
    }

    /// Indices of the certificates for `name`, best first; never more than were configured.
    fn candidates(&self, name: &str) -> &[usize] {
        if let Some(found) = self.exact.get(name) {
            return found;
        }
        // RFC 9525 6.3: the wildcard stands for the whole left-most label and for nothing else.
        let suffix = name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, suffix)| suffix);
        suffix.and_then(|suffix| self.wildcard.get(suffix)).map_or(&[], Vec::as_slice)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls gives the name in lower case.
        let named = hello.server_name().map_or(&[][..], |name| self.candidates(name));
        let identity = |index: &usize| self.identities.get(*index);
        named
            .iter()
            .filter_map(identity)
            .find(|certified| certified.key.choose_scheme(hello.signature_schemes()).is_some())
            .or_else(|| named.iter().find_map(identity))
            .or_else(|| self.identities.first())
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::identity;
    use super::*;

    #[test]
    fn finds_the_certificate_of_a_name() {
        let identities = [
            identity(&["a.example.com", "b.example.com"]),
            identity(&["*.example.com"]),
            identity(&["*.example.com", "example.com", "b.example.com"]),
        ];
        let resolver = Resolver::build(&identities);
        for (name, expect) in [
            ("a.example.com", &[0][..]),
            ("b.example.com", &[0, 2]),
            ("c.example.com", &[1, 2]),
            ("example.com", &[2]),
            ("a.b.example.com", &[]),
            ("a.evil-example.com", &[]),
            ("evil-example.com", &[]),
            (".example.com", &[]),
            ("*.example.com", &[1, 2]),
            ("com", &[]),
            ("", &[]),
        ] {
            assert_eq!(resolver.candidates(name), expect, "{name}");
        }
    }
}
