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
use crate::control::keys::role_bit;
use crate::control::publish::role_bits;
use crate::pipeline::admit;
use crate::pipeline::authenticate::grants::Grants;
use crate::pipeline::authorize::{Condition, ConditionError, Pattern, RoleRules, circle};
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
        let prefix = self.form("auth.api_key.prefix", &raw.prefix, form::key_prefix);
        let keys_file = self.file("auth.api_key.keys_file", &raw.keys_file?);
        Some(ApiKeys { header: header?, pepper: pepper?, prefix: prefix?, keys_file })
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
                    self.pattern(&entry(&child(&path, list), index), text);
                }
            }
            if let Some(when) = &raw.when {
                self.condition(&child(&path, "when"), when);
            }
            let when = raw.when.unwrap_or_default();
            roles.push(RoleRules { name, inherits: raw.inherits, allow: raw.allow, deny: raw.deny, when });
        }
        self.inheritance(&roles);
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
    fn pattern(&mut self, path: &str, text: &str) {
        if self.form_as(Code::BadPattern, path, text, form::pattern).is_none() {
            return;
        }
        if let Err(reason) = Pattern::compile(text) {
            let message = format!("`{path}` can not be {}", quoted(text));
            let problem = self.report.problem(Code::BadPattern, path, message);
            problem.label(reason).help("write \"<method>\" or \"<method>:native/<tool>\", with `*` and `**`");
        }
    }

    /// `roles.NAME.when`, by the policy's own reader.
    fn condition(&mut self, path: &str, text: &str) {
        if let Err(ConditionError { place, what }) = Condition::compile(text) {
            let problem = self.report.problem(Code::BadCondition, path, format!("`{path}` can not be read"));
            let place = place.map_or(String::new(), |(line, column)| format!("{line}:{column}: "));
            problem.label(format!("{place}{what}"));
            problem.help("write CEL, for example 'request.ip in [\"10.0.0.0/8\"]'");
            self.report.doubt(path);
        }
    }

    /// `roles.NAME.inherits`: every role is defined, and none inherits itself.
    fn inheritance(&mut self, roles: &[RoleRules]) {
        for role in roles {
            self.named_roles(&child(&child("roles", &role.name), "inherits"), &role.inherits, roles);
        }
        if let Some((role, line)) = circle(roles) {
            let path = child(&child("roles", &role), "inherits");
            let problem = self.report.problem(
                Code::CircleOfRoles,
                &path,
                format!("role {} inherits itself", quoted(&role)),
            );
            problem.label(line.join(" -> ")).help("remove one of them");
        }
    }

    /// `rbac.scope_roles` and `rbac.subjects`.
    pub(super) fn grants(&mut self, raw: &raw::Rbac, roles: &[RoleRules]) -> Grants {
        let mut read = |list: &str, given: &BTreeMap<String, Vec<String>>| {
            let bits = given.iter().map(|(key, names)| {
                let named = self.named_roles(&child(list, key), names, roles);
                (key.clone(), role_bits(&named))
            });
            bits.collect()
        };
        let by_name = roles.iter().enumerate().map(|(index, role)| (role.name.clone(), role_bit(index)));
        Grants {
            scopes: read("rbac.scope_roles", &raw.scope_roles),
            subjects: read("rbac.subjects", &raw.subjects),
            roles: by_name.collect(),
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
