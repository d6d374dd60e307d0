//! Checks who a caller is and what it may do: `[auth]`, `[roles]`, `[rbac]`, `[rate_limits]`, `[native]`.
//! Next: `environment`, whether files and secrets are there.

use std::collections::BTreeMap;

use super::super::checked::{ApiKeys, SecretSource, Stdio};
use super::super::form;
use super::super::nearest::nearest;
use super::super::problem::{Code, Finding, NOTHING_SERVED};
use super::super::raw::{self, RateKey};
use super::super::report::{child, entry};
use super::super::settings::quoted;
use super::Check;
use super::listeners::{Listeners, StdioTable};
use super::patterns::unmatched;
use crate::pipeline::admit;
use crate::pipeline::authorize::{Policy, RoleRules};
use crate::tools;

/// One bit a role in a principal.
const ROLES_MAX: usize = 64;

impl Check<'_> {
    /// `[auth.api_key]`.
    pub(super) fn api_keys(&mut self, raw: raw::ApiKey, listeners: &Listeners) -> Option<ApiKeys> {
        if !listeners.accepts_keys {
            self.unused("auth.api_key", "no listener accepts API keys");
        }
        let header = self.form("auth.api_key.header", &raw.header, form::header_name);
        let pepper = raw.pepper.and_then(|pepper| self.secret("auth.api_key.pepper", &pepper));
        let keys_file = self.file("auth.api_key.keys_file", &raw.keys_file?);
        Some(ApiKeys { header: header?, pepper: pepper?, keys_file })
    }

    /// Where a secret is; the shape check has seen to it that exactly one place is written.
    pub(super) fn secret(&mut self, setting: &str, raw: &raw::Pepper) -> Option<SecretSource> {
        let path = |key| child(setting, key);
        if let Some(name) = &raw.env {
            return self.form(&path("env"), name, form::source_name).map(SecretSource::Env);
        }
        if let Some(name) = &raw.credential {
            return self.form(&path("credential"), name, form::source_name).map(SecretSource::Credential);
        }
        raw.file.as_ref().map(|file| SecretSource::File(self.file(&path("file"), file)))
    }

    /// `native.enable`.
    pub(super) fn native(&mut self, names: &[String]) -> Vec<String> {
        let known: Vec<&str> = tools::native_names().collect();
        let mut tools: Vec<String> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let path = entry("native.enable", index);
            if !known.contains(&name.as_str()) {
                let message = format!("there is no native tool {}", quoted(name));
                let problem = self.report.problem(Code::NoSuchTool, &path, message);
                if let Some(near) = nearest(name, known.iter().copied()) {
                    problem.help(format!("did you mean {}?", quoted(near)));
                }
                problem.help(format!("native tools: {}", known.join(", ")));
            } else if tools.contains(name) {
                let message = format!("tool {} is named twice", quoted(name));
                self.report.problem(Code::Contradiction, &path, message).help("remove one");
            } else {
                tools.push(name.clone());
            }
        }
        if names.is_empty() && !self.report.is_doubtful("native") {
            let problem = self.report.problem(Code::NothingCallable, "native.enable", NOTHING_SERVED);
            problem
                .label("no native tool is enabled")
                .help(format!("add [native] with enable = [\"{}\"]", tools::DEMO_TOOLS.join("\", \"")));
        }
        tools
    }

    /// `[roles.*]`.
    pub(super) fn roles(&mut self, tables: BTreeMap<String, raw::Role>, native: &[String]) -> Vec<RoleRules> {
        let registry = tools::native(native).map(|catalog| catalog.registry()).unwrap_or_default();
        let mut roles = Vec::new();
        for (path, name, raw) in self.in_file_order("roles", tables) {
            if roles.len() == ROLES_MAX {
                let problem = self.report.problem(Code::OutOfRange, &path, "there are too many roles");
                problem.label(format!("this is the 65th; at most {ROLES_MAX} can be told apart"));
                problem.help("merge roles that allow the same");
            }
            for (list, patterns) in [("allow", &raw.allow), ("deny", &raw.deny)] {
                for (index, text) in patterns.iter().enumerate() {
                    self.pattern(&entry(&child(&path, list), index), text, &registry);
                }
            }
            roles.push(RoleRules { name, allow: raw.allow, deny: raw.deny });
        }
        for (code, Finding { setting, message, help, .. }) in unmatched(&roles, &registry) {
            let problem = self.report.problem(code, &setting, message);
            help.into_iter().for_each(|help| {
                problem.help(help);
            });
        }
        if roles.iter().all(|role| role.allow.is_empty()) && !self.report.is_doubtful("roles") {
            let problem = self.report.problem(Code::NothingCallable, "roles", "no role allows anything");
            problem
                .label("what no role allows is denied")
                .help("add [roles.agent] with allow = [\"tools/list\", \"tools/call:native/*\"]");
        }
        roles
    }

    /// One pattern, by the policy's own compiler.
    fn pattern(&mut self, path: &str, text: &str, registry: &tools::Registry) {
        if self.form_as(Code::BadPattern, path, text, form::pattern).is_none() {
            return;
        }
        let alone = RoleRules { name: String::new(), allow: vec![text.to_owned()], deny: Vec::new() };
        if let Err(error) = Policy::compile(&[alone], registry) {
            let message = format!("`{path}` can not be {}", quoted(text));
            let problem = self.report.problem(Code::BadPattern, path, message);
            problem
                .label(error.reason)
                .help("write \"<method>\" or \"<method>:native/<tool>\", with `*` and `**`");
        }
    }

    /// `rbac.anonymous_roles`.
    pub(super) fn anonymous_roles(
        &mut self,
        names: &[String],
        roles: &[RoleRules],
        listeners: &Listeners,
    ) -> Vec<usize> {
        let indices = self.named_roles("rbac.anonymous_roles", names, roles);
        if !names.is_empty() && !listeners.accepts_anonymous {
            self.unused("rbac.anonymous_roles", "no listener lets callers in without a credential");
        }
        indices
    }

    /// `listeners.NAME.roles` of the listener of kind `stdio`.
    pub(super) fn stdio_roles(&mut self, table: StdioTable, roles: &[RoleRules]) -> Stdio {
        let setting = child(&table.path, "roles");
        let indices = self.named_roles(&setting, &table.roles, roles);
        if table.roles.is_empty() && !self.report.is_doubtful(&setting) && !self.report.is_doubtful("roles") {
            let message =
                format!("the client of listener `{}` has no role, so it may do nothing", table.stdio.name);
            let problem = self.report.problem(Code::NothingCallable, &setting, message);
            let role = roles.first().map_or("agent", |role| role.name.as_str());
            problem.label("what no role allows is denied").help(format!("add roles = [\"{role}\"]"));
        }
        Stdio { roles: indices, ..table.stdio }
    }

    /// The roles of a list of names, by index.
    pub(super) fn named_roles(&mut self, list: &str, names: &[String], roles: &[RoleRules]) -> Vec<usize> {
        let mut indices = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match roles.iter().position(|role| role.name == *name) {
                Some(role) => indices.push(role),
                None if self.report.is_doubtful(&child("roles", name)) => {}
                None => self.no_such_role(&entry(list, index), name, roles),
            }
        }
        indices
    }

    /// Reports a role that is named and not defined.
    fn no_such_role(&mut self, path: &str, name: &str, roles: &[RoleRules]) {
        let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
        let message = format!("role {} is not defined", quoted(name));
        let problem = self.report.problem(Code::NoSuchRole, path, message);
        if let Some(near) = nearest(name, names.iter().copied()) {
            problem.help(format!("did you mean {}?", quoted(near)));
        }
        match names.is_empty() {
            true => problem.help(format!("add [roles.{name}] with allow = [\"tools/list\"]")),
            false => problem.help(format!("defined roles: {}", names.join(", "))),
        };
    }

    /// `[rate_limits.*]`.
    pub(super) fn rate_limits(&mut self, tables: BTreeMap<String, raw::RateLimit>) -> Vec<admit::RateLimit> {
        let limit = |(_, name, raw): (String, String, raw::RateLimit)| {
            let key = match raw.key? {
                RateKey::Ip => admit::RateKey::Ip,
                RateKey::Global => admit::RateKey::Global,
            };
            Some(admit::RateLimit { name, key, rate: raw.rate?, period: raw.period.0, burst: raw.burst })
        };
        self.in_file_order("rate_limits", tables).into_iter().filter_map(limit).collect()
    }
}
