//! Checks `[listeners.*]`: who can reach each one, and whether it is defended for that.
//! Next: `access`, what those who got in may do.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::super::checked::{HeaderPreset, Listener, ListenerSecurity, TlsProfile};
use super::super::form::{self, PublicUrl};
use super::super::nearest::nearest;
use super::super::problem::Code;
use super::super::raw;
use super::super::report::{child, entry};
use super::super::settings::quoted;
use super::Check;
use crate::pipeline::snapshot::Admission;

/// The listeners, and what other checks ask about all of them.
pub(super) struct Listeners {
    pub(super) checked: Vec<Listener>,
    /// The file has none, right or wrong.
    pub(super) nothing_listed: bool,
    /// Profiles that listeners name, also listeners that are wrong otherwise.
    profiles: Vec<usize>,
    /// Some listener accepts API keys.
    pub(super) accepts_keys: bool,
    /// Some listener lets callers in without a credential.
    pub(super) accepts_anonymous: bool,
}

impl Listeners {
    /// Whether a listener names this TLS profile.
    pub(super) fn uses_profile(&self, index: usize) -> bool {
        self.profiles.contains(&index)
    }
}

/// What the listeners are checked against.
struct Surroundings<'a> {
    auth: &'a raw::Auth,
    tls: &'a [TlsProfile],
    public_url: Option<&'a PublicUrl>,
}

impl Check<'_> {
    /// `[listeners.*]`.
    pub(super) fn listeners(
        &mut self,
        tables: BTreeMap<String, raw::Listener>,
        auth: &raw::Auth,
        tls: &[TlsProfile],
        public_url: Option<&PublicUrl>,
    ) -> Listeners {
        let around = Surroundings { auth, tls, public_url };
        let mut all = Listeners {
            checked: Vec::new(),
            nothing_listed: tables.is_empty() && !self.report.is_doubtful("listeners"),
            profiles: Vec::new(),
            accepts_keys: tables.values().any(|listener| !listener.auth.is_empty()),
            accepts_anonymous: tables.values().any(|listener| !listener.auth_required),
        };
        let mut addresses = Vec::new();
        for (path, name, raw) in self.in_file_order("listeners", tables) {
            if self.report.is_doubtful(&child(&path, "kind")) {
                // What else belongs to it is not known, but a profile that does not exist is wrong for every kind.
                let security =
                    raw.tls.as_ref().and_then(|_| self.security(&path, &name, &raw, &around, None));
                if let Some(ListenerSecurity::Tls(index)) = security {
                    all.profiles.push(index);
                }
                continue;
            }
            let address = self.address(&path, &raw, &mut addresses);
            let security = self.security(&path, &name, &raw, &around, address);
            if let Some(ListenerSecurity::Tls(index)) = security {
                all.profiles.push(index);
            }
            self.authentication(&path, &name, &raw, &around);
            let admission = self.admission(&path, &name, &raw, address);
            let endpoint = self.form(&child(&path, "path"), &raw.path, form::endpoint_path);
            let hostnames = self.hostnames(&path, &name, &raw, &around, address);
            let origins = self.origins(&path, &raw, &around);
            if raw.headers == HeaderPreset::None {
                let message = format!("responses of listener `{name}` carry no security headers");
                let problem = self.report.problem(Code::NoHeaders, &child(&path, "headers"), message);
                problem.help("write headers = \"strict\"");
            }
            if let (Some(address), Some(security), Some(endpoint)) = (address, security, endpoint) {
                all.checked.push(Listener {
                    name,
                    address,
                    security,
                    path: endpoint,
                    hostnames,
                    origins,
                    admission,
                    headers: raw.headers,
                    backlog: raw.backlog,
                });
            }
        }
        all
    }

    /// Reports that there is nothing to serve.
    pub(super) fn no_listener(&mut self) {
        let problem = self.report.problem(Code::NoListener, "listeners", "there is no listener");
        problem.label("add it here").help(
            "add [listeners.https] with kind = \"http\", address = \"127.0.0.1:8443\" and tls = \"main\"",
        );
    }

    /// The address, which no other listener may have. Port 0 is a port of the kernel's choice, so it is always free.
    fn address(
        &mut self,
        path: &str,
        raw: &raw::Listener,
        taken: &mut Vec<(SocketAddr, String)>,
    ) -> Option<SocketAddr> {
        let setting = child(path, "address");
        let address = self.form(&setting, raw.address.as_deref()?, form::address)?;
        match taken.iter().find(|(other, _)| *other == address && address.port() != 0) {
            Some((_, other)) => {
                let message = format!("{address} is the address of two listeners");
                let problem = self.report.problem(Code::SameAddress, &setting, message);
                problem
                    .label(format!("[{other}] has it already"))
                    .help("choose another port, or remove one listener");
            }
            None => taken.push((address, path.to_owned())),
        }
        Some(address)
    }

    /// TLS, or plain HTTP where that is permitted.
    fn security(
        &mut self,
        path: &str,
        name: &str,
        raw: &raw::Listener,
        around: &Surroundings<'_>,
        address: Option<SocketAddr>,
    ) -> Option<ListenerSecurity> {
        let setting = child(path, "tls");
        let Some(wanted) = raw.tls.as_deref() else {
            let is_network = address.is_some_and(|address| !form::is_loopback(address));
            if is_network && !self.report.is_doubtful(&setting) {
                self.plaintext(path, name, raw, address?);
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

    /// Plain HTTP on an address of the network.
    fn plaintext(&mut self, path: &str, name: &str, raw: &raw::Listener, address: SocketAddr) {
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
    fn authentication(&mut self, path: &str, name: &str, raw: &raw::Listener, around: &Surroundings<'_>) {
        let setting = child(path, "auth");
        let is_doubtful = self.report.is_doubtful(&setting);
        if raw.auth.is_empty() {
            if raw.auth_required && !is_doubtful && !self.report.is_doubtful(&child(path, "auth_required")) {
                let message =
                    format!("listener `{name}` requires authentication but accepts no way to authenticate");
                let problem = self.report.problem(Code::NoMethod, &setting, message);
                problem.help("add auth = [\"api_key\"] and [auth.api_key]");
            }
        } else if around.auth.api_key.is_none() && !self.report.is_doubtful("auth") {
            let message = format!("listener `{name}` accepts API keys, but [auth.api_key] is missing");
            let problem = self.report.problem(Code::NoApiKeys, &setting, message);
            problem.help("add [auth.api_key] with pepper = { env = \"MCPRING_PEPPER\" } and keys_file = \"api-keys.toml\"");
        }
    }

    /// Whether a caller must authenticate.
    fn admission(
        &mut self,
        path: &str,
        name: &str,
        raw: &raw::Listener,
        address: Option<SocketAddr>,
    ) -> Admission {
        if raw.auth_required {
            return Admission::Authenticated;
        }
        let allow = child(path, "allow_anonymous_network");
        let required = child(path, "auth_required");
        let network =
            address.filter(|address| !form::is_loopback(*address) && !self.report.is_doubtful(&allow));
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

    /// The Host allow-list.
    fn hostnames(
        &mut self,
        path: &str,
        name: &str,
        raw: &raw::Listener,
        around: &Surroundings<'_>,
        address: Option<SocketAddr>,
    ) -> Vec<String> {
        let setting = child(path, "hostnames");
        if let Some(written) = &raw.hostnames {
            return self.each_form(&setting, written, form::hostname);
        }
        let is_loopback = address.is_some_and(form::is_loopback);
        let own = if is_loopback { form::loopback_names().to_vec() } else { Vec::new() };
        let public = around.public_url.map(|url| url.host.clone());
        let names: Vec<String> = own.into_iter().chain(public).collect();
        let is_doubtful = self.report.is_doubtful(&setting) || self.report.is_doubtful("server.public_url");
        if let (Some(address), true, false) = (address, names.is_empty(), is_doubtful) {
            let message = format!("listener `{name}` on {address} does not know its host name");
            let problem = self.report.problem(Code::NoHostnames, &setting, message);
            problem.label("requests with a foreign Host must be refused (DNS rebinding)");
            problem.help("add hostnames = [\"mcp.example.com\"], or public_url = \"https://mcp.example.com\" in [server]");
        }
        let mut unique: Vec<String> = Vec::new();
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        unique
    }

    /// The Origin allow-list.
    fn origins(&mut self, path: &str, raw: &raw::Listener, around: &Surroundings<'_>) -> Vec<String> {
        match &raw.origins {
            Some(written) => self.each_form(&child(path, "origins"), written, form::origin),
            None => around.public_url.map(|url| url.origin.clone()).into_iter().collect(),
        }
    }

    /// A list of texts in one form.
    fn each_form(
        &mut self,
        path: &str,
        texts: &[String],
        form: fn(&str) -> Result<String, form::Malformed>,
    ) -> Vec<String> {
        let entries = texts.iter().enumerate();
        entries.filter_map(|(index, text)| self.form(&entry(path, index), text, form)).collect()
    }
}
