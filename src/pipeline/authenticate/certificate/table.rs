//! From a certificate to a principal: `auth.mtls.roles_from` gives names their roles.
//! Never: a role by default; whom no pattern names may do nothing.
//! Next: `mod`, what a certificate is.

use std::sync::Arc;

use super::ClientCertificate;
use super::names::NamePattern;
use crate::pipeline::authenticate::{Facts, Method, Principal};

/// The roles of clients by their names.
#[derive(Clone, Debug, Default)]
pub struct CertificateTable {
    /// Patterns with the role bits that whoever matches has.
    pub grants: Vec<(NamePattern, u64)>,
}

impl CertificateTable {
    /// Who the holder of that certificate is.
    pub fn principal(&self, certificate: &Arc<ClientCertificate>) -> Principal {
        let granted = self
            .grants
            .iter()
            .filter(|(pattern, _)| pattern.matches(certificate.kind, &certificate.identity))
            .fold(0, |roles, (_, bits)| roles | bits);
        let facts = Facts { certificate: Some(certificate.clone()), ..Facts::of(Method::Certificate) };
        Principal {
            id: format!("cert|{}", certificate.identity).into(),
            roles: granted,
            // It is good in its last second.
            expires_at_s: certificate.not_after_s.saturating_add(1),
            facts: Arc::new(facts),
        }
    }
}
