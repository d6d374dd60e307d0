//! Checks `[auth.jwt.*]`: whose tokens are accepted, and where the keys come from.
//! Next: `environment`, whether the files are there.

use std::collections::BTreeMap;

use super::super::checked::{Jwt, KeySource};
use super::super::form;
use super::super::problem::Code;
use super::super::raw;
use super::super::report::child;
use super::super::settings::quoted;
use super::Check;
use super::listeners::Listeners;
use crate::pipeline::authenticate::tokens::Issuer;

impl Check<'_> {
    /// `[auth.jwt.*]`.
    pub(super) fn tokens(&mut self, tables: BTreeMap<String, raw::Jwt>, listeners: &Listeners) -> Vec<Jwt> {
        let mut issuers: Vec<Jwt> = Vec::new();
        for (path, name, raw) in self.in_file_order("auth.jwt", tables) {
            if !listeners.accepts_tokens {
                self.unused(&path, "no listener accepts tokens");
            }
            // Principals are told apart by what stands before the bar, and this stands before those of certificates.
            if name == "cert" {
                let message = "`cert` is the name of no issuer: clients with certificates have it";
                self.report.problem(Code::Contradiction, &path, message).help("choose another name");
            }
            let Some(issuer) = self.issuer(&path, &name, raw) else { continue };
            if let Some(other) = issuers.iter().find(|other| other.rules.issuer == issuer.rules.issuer) {
                let message = format!("{} is the issuer of two tables", quoted(&issuer.rules.issuer));
                let problem = self.report.problem(Code::Contradiction, &child(&path, "issuer"), message);
                problem
                    .label(format!("[auth.jwt.{}] has it already", other.rules.name))
                    .help("remove one table");
            }
            issuers.push(issuer);
        }
        issuers
    }

    fn issuer(&mut self, path: &str, name: &str, raw: raw::Jwt) -> Option<Jwt> {
        let source = self.key_source(path, &raw)?;
        let ca_file = raw.ca_file.as_deref().map(|file| self.file(&child(path, "ca_file"), file));
        if ca_file.is_some() && matches!(source, KeySource::File(_)) {
            self.unused(&child(path, "ca_file"), "a file needs no connection");
        }
        let mut rules = Issuer::named(name, &raw.issuer?);
        rules.audiences = raw.audiences;
        rules.algorithms = raw.algorithms.into_iter().map(Into::into).collect();
        rules.token_types = raw.token_types.iter().map(|kind| token_type(kind)).collect();
        rules.leeway_s = raw.leeway.0.as_secs();
        rules.token_age_max_s = raw.max_token_age.0.as_secs();
        rules.required_claims = raw.required_claims;
        rules.subject_claim = raw.subject_claim;
        rules.roles_claim = raw.roles_claim;
        rules.scopes_claim = raw.scopes_claim;
        Some(Jwt {
            rules,
            source,
            ca_file,
            refresh: raw.jwks_refresh.0,
            stale_if_error: raw.jwks_stale_if_error.0,
            tokens_max: usize::try_from(raw.token_cache).unwrap_or(usize::MAX),
        })
    }

    /// Where the keys come from: exactly one place.
    fn key_source(&mut self, path: &str, raw: &raw::Jwt) -> Option<KeySource> {
        match (&raw.jwks_url, raw.discovery, &raw.jwks_file) {
            (Some(url), false, None) => {
                let url = self.form(&child(path, "jwks_url"), url, form::fetched_url)?;
                Some(KeySource::Url(url))
            }
            (None, true, None) => {
                let issuer = child(path, "issuer");
                self.form(&issuer, raw.issuer.as_deref()?, form::fetched_url).map(|_| KeySource::Discovery)
            }
            (None, false, Some(file)) => Some(KeySource::File(self.file(&child(path, "jwks_file"), file))),
            (_, _, _) => {
                if !self.report.is_doubtful(path) {
                    let message = format!("`{path}` needs one of jwks_url, discovery and jwks_file");
                    let problem = self.report.problem(Code::OneOf, path, message);
                    problem.help(
                        "write jwks_url = \"https://...\", or discovery = true, or jwks_file = \"jwks.json\"",
                    );
                }
                None
            }
        }
    }
}

/// As headers are compared: RFC 7515 4.1.9.
fn token_type(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/").unwrap_or(&kind).to_owned()
}
