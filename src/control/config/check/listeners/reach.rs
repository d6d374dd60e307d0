//! Who can reach a listener, and whether it is defended for that: TLS, a credential.
//! Next: `speech`, what it offers to those who are let in.

use super::super::super::checked::{ListenerSecurity, ResourceUrl};
use super::super::super::nearest::nearest;
use super::super::super::problem::Code;
use super::super::super::raw::{Kind, Method};
use super::super::super::report::child;
use super::super::super::settings::quoted;
use super::super::Check;
use super::{Surroundings, Table};
use crate::pipeline::snapshot::Admission;
use crate::shard::address::Address;

impl Check<'_> {
    /// TLS, or plaintext where that is permitted.
    pub(super) fn security(
        &mut self,
        table: &Table<'_>,
        around: &Surroundings<'_>,
    ) -> Option<ListenerSecurity> {
        let Table { path, name, raw, address } = *table;
        let setting = child(path, "tls");
        let Some(wanted) = raw.tls.as_deref() else {
            let network = address.filter(|address| !address.is_local());
            if let Some(address) = network
                && !self.report.is_doubtful(&setting)
            {
                self.plaintext(table, address);
            }
            return Some(ListenerSecurity::Plain);
        };
        if let Some(index) = around.tls.iter().position(|profile| profile.name == wanted) {
            return Some(ListenerSecurity::Tls(index));
        }
        if self.report.is_doubtful(&child("tls", wanted)) {
            return None;
        }
        let names: Vec<&str> = around.tls.iter().map(|profile| profile.name.as_str()).collect();
        let message = format!("listener `{name}` uses TLS profile {}, which is not defined", quoted(wanted));
        let problem = self.report.problem(Code::NoSuchProfile, &setting, message);
        if let Some(near) = nearest(wanted, names.iter().copied()) {
            problem.help(format!("did you mean tls = {}?", quoted(near)));
        }
        match names.is_empty() {
            true => {
                problem.help(format!("add [tls.{wanted}] with certificates = [{{ cert_file, key_file }}]"))
            }
            false => problem.help(format!("defined profiles: {}", names.join(", "))),
        };
        self.report.doubt(&setting);
        None
    }

    /// Plaintext on an address of the network.
    fn plaintext(&mut self, table: &Table<'_>, address: &Address) {
        let Table { path, name, raw, .. } = *table;
        let allow = child(path, "allow_plaintext_network");
        if self.report.is_doubtful(&allow) {
            return;
        }
        let message = format!("listener `{name}` is reachable from the network ({address}) without TLS");
        if raw.allow_plaintext_network {
            let problem = self.report.problem(Code::PlaintextAllowed, &allow, message);
            problem.label("API keys and results can be read on the way");
            problem.help("write tls = \"...\" with the name of a [tls.NAME] table");
        } else {
            let problem = self.report.problem(Code::PlaintextNetwork, &child(path, "address"), message);
            problem.label("not loopback, and the listener has no `tls`");
            problem.help("add tls = \"...\" with the name of a [tls.NAME] table, or bind to 127.0.0.1");
            problem.help("if you mean it: allow_plaintext_network = true");
        }
    }

    /// Whether a caller can authenticate at all.
    pub(super) fn authentication(&mut self, table: &Table<'_>, around: &Surroundings<'_>) {
        let Table { path, name, raw, .. } = *table;
        let setting = child(path, "auth");
        let is_doubtful = self.report.is_doubtful(&setting);
        let is_required = raw.auth_required && !self.report.is_doubtful(&child(path, "auth_required"));
        if raw.auth.is_empty() && is_required && !is_doubtful {
            let message =
                format!("listener `{name}` requires authentication but accepts no way to authenticate");
            let problem = self.report.problem(Code::NoMethod, &setting, message);
            problem.help("add auth = [\"api_key\"] and [auth.api_key]");
        }
        if raw.auth.contains(&Method::Jwt) && around.auth.jwt.is_empty() && !self.report.is_doubtful("auth") {
            let message = format!("listener `{name}` accepts tokens, but there is no [auth.jwt.NAME]");
            let problem = self.report.problem(Code::NoIssuer, &setting, message);
            problem.help(
                "add [auth.jwt.corp] with issuer, audiences and jwks_url, jwks_file or discovery = true",
            );
        }
        let accepts_keys = raw.auth.contains(&Method::ApiKey);
        if accepts_keys && around.auth.api_key.is_none() && !self.report.is_doubtful("auth") {
            let message = format!("listener `{name}` accepts API keys, but [auth.api_key] is missing");
            let problem = self.report.problem(Code::NoApiKeys, &setting, message);
            problem.help("add [auth.api_key] with pepper = { env = \"MCPRING_PEPPER\" } and keys_file = \"api-keys.toml\"");
        }
        if raw.auth.contains(&Method::Mtls) && !is_doubtful {
            self.certificates_asked_for(table, around);
        }
    }

    /// Whether a listener that lets callers in by their certificates asks for them.
    fn certificates_asked_for(&mut self, table: &Table<'_>, around: &Surroundings<'_>) {
        let Table { path, name, raw, .. } = *table;
        let wanted = raw.tls.as_deref();
        let profile = around.tls.iter().find(|profile| Some(profile.name.as_str()) == wanted);
        let is_wrong = match (wanted, profile) {
            (None, _) => !self.report.is_doubtful(&child(path, "tls")),
            (Some(wanted), Some(profile)) => {
                profile.client_auth.is_none() && !self.report.is_doubtful(&child("tls", wanted))
            }
            // A profile that is not there has its own report.
            (Some(_), None) => false,
        };
        if is_wrong {
            let message =
                format!("listener `{name}` lets callers in by certificates and does not ask for any");
            let problem = self.report.problem(Code::NoClientAuth, &child(path, "auth"), message);
            let profile = wanted.unwrap_or("NAME");
            problem.help(format!(
                "add [tls.{profile}.client_auth] with mode = \"required\" and ca_file = \"clients-ca.crt\""
            ));
        }
    }

    /// What OAuth clients are told, where tokens are accepted.
    pub(super) fn resource(
        &mut self,
        table: &Table<'_>,
        kind: Kind,
        around: &Surroundings<'_>,
    ) -> Option<ResourceUrl> {
        let Table { path, name, raw, .. } = *table;
        if kind != Kind::Http || !raw.auth.contains(&Method::Jwt) {
            return None;
        }
        let Some(url) = around.public_url else {
            if !self.report.is_doubtful("server.public_url") {
                let message = format!("clients of listener `{name}` are not told where to get a token");
                let problem = self.report.problem(Code::NoMetadata, &child(path, "auth"), message);
                problem.label("the metadata of RFC 9728 needs server.public_url");
                problem.help("add public_url = \"https://mcp.example.com\" to [server]");
            }
            return None;
        };
        // A URL that names the endpoint is the resource; one that only names the host is completed.
        let path = url.path.trim_end_matches('/');
        let path = if path.is_empty() { raw.path.as_str() } else { path };
        Some(ResourceUrl { origin: url.origin.clone(), path: path.to_owned() })
    }

    /// Whether a caller must authenticate.
    pub(super) fn admission(&mut self, table: &Table<'_>) -> Admission {
        let Table { path, name, raw, address } = *table;
        if raw.auth_required {
            return Admission::Authenticated;
        }
        let allow = child(path, "allow_anonymous_network");
        let required = child(path, "auth_required");
        let network = address.filter(|address| !address.is_local() && !self.report.is_doubtful(&allow));
        if let Some(address) = network {
            let message = format!(
                "listener `{name}` is reachable from the network ({address}) and auth_required is false"
            );
            if raw.allow_anonymous_network {
                let problem = self.report.problem(Code::AnonymousAllowed, &allow, message);
                problem.help("remove auth_required = false");
            } else {
                let problem = self.report.problem(Code::AnonymousNetwork, &required, message);
                problem.label("anybody may call");
                problem.help("write auth_required = true with auth = [\"api_key\"], or bind to 127.0.0.1");
                problem.help("if you mean it: allow_anonymous_network = true");
            }
        }
        Admission::AnonymousAllowed
    }
}
