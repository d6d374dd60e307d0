//! The raw values become the checked configuration. What is wrong is reported and left out, so every check sees as
//! much of the file as can be used.
//! Never: a look at the machine beyond its CPUs; files and secrets are `environment`.
//! Next: `listeners`, where most settings meet.

mod tls;
mod client_auth;
mod listeners;
mod access;
mod tokens;
mod patterns;
mod running;

pub(super) use patterns::unmatched;
pub(super) use running::{failures_of, limits_of};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::checked::Config;
use super::form::{self, Malformed};
use super::problem::Code;
use super::raw;
use super::report::{Report, child};
use super::settings::quoted;
use crate::pipeline::authorize::Shows;
use crate::pipeline::snapshot::Server;
use listeners::Surroundings;

/// Checks all values; complete only when the report has no error.
pub(super) fn check(raw: raw::File, file: Option<PathBuf>, report: &mut Report) -> Config {
    let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let mut check = Check { report, folder };
    let failures = failures_of(&raw.auth);
    let public_url = raw.server.public_url.as_deref();
    let public_url = public_url.and_then(|text| check.form("server.public_url", text, form::public_url));
    let tls = check.tls(raw.tls);
    let around =
        Surroundings { auth: &raw.auth, tls: &tls, public_url: public_url.as_ref(), limits: &raw.limits };
    let mut listeners = check.listeners(raw.listeners, &around);
    check.authorities(&listeners.checked, &tls);
    let api_key = raw.auth.api_key.and_then(|keys| check.api_keys(keys, &listeners));
    let issuers = check.tokens(raw.auth.jwt, &listeners);
    let revocations_file = raw.auth.revocations_file.map(|file| {
        if !listeners.accepts_tokens {
            check.unused("auth.revocations_file", "no listener accepts tokens");
        }
        check.file("auth.revocations_file", &file)
    });
    let mut limits = check.limits(&raw.limits, &raw.mcp, failures);
    limits.tokens_max = issuers.iter().map(|issuer| issuer.tokens_max).sum();
    let mtls = raw.auth.mtls;
    let native = check.native(&raw.native.enable);
    let roles = check.roles(raw.roles, &native);
    let certificates = check.mtls(mtls, listeners.accepts_certificates, &roles);
    let stdio = listeners.stdio.take().map(|table| check.stdio_roles(table, &roles));
    let anonymous_roles = check.anonymous_roles(&raw.rbac.anonymous_roles, &roles, &listeners);
    let grants = check.grants(&raw.rbac, &roles);
    let unused: Vec<_> =
        tls.iter().enumerate().filter(|(index, _)| !listeners.uses_profile(*index)).collect();
    for (_, profile) in unused {
        check.unused(&child("tls", &profile.name), "no listener uses this TLS profile");
    }
    if listeners.nothing_listed {
        check.no_listener();
    }
    Config {
        file,
        server: Server {
            name: raw.server.name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instructions: raw.server.instructions,
        },
        runtime: check.runtime(&raw.runtime),
        limits,
        listeners: listeners.checked,
        stdio,
        tls,
        api_key,
        issuers,
        revocations_file,
        certificates,
        roles,
        anonymous_roles,
        grants,
        shows: if raw.rbac.filter_lists { Shows::Usable } else { Shows::All },
        rate_limits: check.rate_limits(raw.rate_limits),
        native,
        log: check.log(raw.log),
    }
}

/// One run of checks.
struct Check<'a> {
    report: &'a mut Report,
    /// What relative paths of the file are relative to.
    folder: PathBuf,
}

impl Check<'_> {
    /// A text in its form, or a report that says why it is not.
    fn form<T>(&mut self, path: &str, text: &str, form: fn(&str) -> Result<T, Malformed>) -> Option<T> {
        self.form_as(Code::Malformed, path, text, form)
    }

    /// The same under another code.
    fn form_as<T>(
        &mut self,
        code: Code,
        path: &str,
        text: &str,
        form: fn(&str) -> Result<T, Malformed>,
    ) -> Option<T> {
        match form(text) {
            Ok(value) => Some(value),
            Err(Malformed { reason, help }) => {
                let problem =
                    self.report.problem(code, path, format!("`{path}` can not be {}", quoted(text)));
                problem.label(reason).help(help);
                self.report.doubt(path);
                None
            }
        }
    }

    /// A file of the configuration. Relative to the configuration's folder, or as typed after `--set`.
    fn file(&self, path: &str, text: &str) -> PathBuf {
        match self.report.place(path) {
            Some(place) if place.source > 0 => PathBuf::from(text),
            Some(_) | None => self.folder.join(text),
        }
    }

    /// The tables of a named kind in the order of the file: path, name, table.
    fn in_file_order<T>(&self, kind: &str, tables: BTreeMap<String, T>) -> Vec<(String, String, T)> {
        let named = |(name, table): (String, T)| (child(kind, &name), name, table);
        let mut tables: Vec<_> = tables.into_iter().map(named).collect();
        tables.sort_by_key(|(path, ..)| self.report.place(path));
        tables
    }

    /// Warns of a setting without effect.
    fn unused(&mut self, path: &str, message: &str) {
        if !self.report.is_doubtful(path) && !self.report.is_doubtful("listeners") {
            let problem = self.report.problem(Code::Unused, path, message);
            problem.help("remove it, or use it");
        }
    }
}
