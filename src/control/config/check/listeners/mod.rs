//! Checks `[listeners.*]`: what is spoken on each one, who can reach it, and whether it is defended for that.
//! Next: `kinds`, what belongs to which kind; then `reach`, `names`, `speech` and `stdio`.

mod kinds;
mod reach;
mod names;
mod speech;
mod stdio;

use std::collections::BTreeMap;

use super::super::checked::{HeaderPreset, Listener, ListenerSecurity, TlsProfile};
use super::super::form::{self, PublicUrl};
use super::super::problem::Code;
use super::super::raw::{self, Kind};
use super::super::report::child;
use super::Check;
use crate::pipeline::authenticate::Method;
use crate::pipeline::snapshot::Admission;
use crate::shard::address::Address;
use crate::shard::listen::Options;
pub(super) use stdio::StdioTable;

/// The listeners, and what other checks ask about all of them.
pub(super) struct Listeners {
    pub(super) checked: Vec<Listener>,
    /// The one of kind `stdio`, without its roles.
    pub(super) stdio: Option<StdioTable>,
    /// The file has none, right or wrong.
    pub(super) nothing_listed: bool,
    /// Profiles that listeners name, also listeners that are wrong otherwise.
    profiles: Vec<usize>,
    /// Some listener accepts API keys.
    pub(super) accepts_keys: bool,
    /// Some listener accepts tokens.
    pub(super) accepts_tokens: bool,
    /// Some listener accepts certificates.
    pub(super) accepts_certificates: bool,
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
pub(super) struct Surroundings<'a> {
    pub(super) auth: &'a raw::Auth,
    pub(super) tls: &'a [TlsProfile],
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) limits: &'a raw::Limits,
}

/// One listener as it is being checked.
#[derive(Clone, Copy)]
struct Table<'a> {
    /// `listeners.NAME`.
    path: &'a str,
    name: &'a str,
    raw: &'a raw::Listener,
    /// None when it is wrong or missing, which is reported.
    address: Option<&'a Address>,
}

impl Check<'_> {
    /// `[listeners.*]`.
    pub(super) fn listeners(
        &mut self,
        tables: BTreeMap<String, raw::Listener>,
        around: &Surroundings<'_>,
    ) -> Listeners {
        let mut all = Listeners {
            checked: Vec::new(),
            stdio: None,
            nothing_listed: tables.is_empty() && !self.report.is_doubtful("listeners"),
            profiles: Vec::new(),
            accepts_keys: tables.values().any(|listener| listener.auth.contains(&raw::Method::ApiKey)),
            accepts_tokens: tables.values().any(|listener| listener.auth.contains(&raw::Method::Jwt)),
            accepts_certificates: tables.values().any(|listener| listener.auth.contains(&raw::Method::Mtls)),
            accepts_anonymous: tables.values().any(|listener| !listener.auth_required),
        };
        let mut taken = Vec::new();
        for (path, name, raw) in self.in_file_order("listeners", tables) {
            let mut table = Table { path: &path, name: &name, raw: &raw, address: None };
            let Some(kind) = raw.kind.filter(|_| !self.report.is_doubtful(&child(&path, "kind"))) else {
                // What else belongs to it is not known, but a profile that does not exist is wrong for every kind.
                let security = raw.tls.as_ref().and_then(|_| self.security(&table, around));
                all.profiles.extend(profile_of(security));
                continue;
            };
            self.foreign_settings(&path, kind);
            if kind == Kind::Stdio {
                self.stdio(&table, around, &mut all.stdio);
                continue;
            }
            let address = self.address(&table, kind, &mut taken);
            table.address = address.as_ref();
            let (listener, security) = self.listener(&table, kind, around);
            all.profiles.extend(profile_of(security));
            all.checked.extend(listener);
        }
        self.stdio_alone(&all);
        all
    }

    /// A listener that accepts connections; nothing when what it needs is wrong. And its security, as far as it is
    /// known.
    fn listener(
        &mut self,
        table: &Table<'_>,
        kind: Kind,
        around: &Surroundings<'_>,
    ) -> (Option<Listener>, Option<ListenerSecurity>) {
        let (path, raw) = (table.path, table.raw);
        let is_called = kind != Kind::Redirect;
        let security = if is_called { self.security(table, around) } else { Some(ListenerSecurity::Plain) };
        let mut admission = Admission::AnonymousAllowed;
        if is_called {
            self.authentication(table, around);
            admission = self.admission(table);
        }
        let limits = self.listener_limits(table, kind, around);
        let socket = self.socket_options(table);
        let (mut hostnames, mut origins, mut endpoint) = (Vec::new(), Vec::new(), Some(String::new()));
        if kind == Kind::Http {
            endpoint = self.form(&child(path, "path"), &raw.path, form::endpoint_path);
            hostnames = self.hostnames(table, around);
            origins = self.origins(table, around);
            if raw.headers == HeaderPreset::None {
                let message = format!("responses of listener `{}` carry no security headers", table.name);
                let problem = self.report.problem(Code::NoHeaders, &child(path, "headers"), message);
                problem.help("write headers = \"strict\"");
            }
        }
        let speech = self.speech(table, kind, around, &limits);
        let complete = (table.address, security, endpoint, socket, speech);
        let (Some(address), Some(tls), Some(path), Some(socket), Some(speech)) = complete else {
            return (None, security);
        };
        let resource = self.resource(table, kind, around);
        let listener = Listener {
            name: table.name.to_owned(),
            address: address.clone(),
            socket,
            security: tls,
            speech,
            limits,
            path,
            hostnames,
            origins,
            admission,
            methods: raw.auth.iter().copied().map(method).collect(),
            headers: raw.headers,
            resource,
        };
        (Some(listener), security)
    }

    /// Reports that there is nothing to serve.
    pub(super) fn no_listener(&mut self) {
        let problem = self.report.problem(Code::NoListener, "listeners", "there is no listener");
        problem.label("add it here").help(
            "add [listeners.https] with kind = \"http\", address = \"127.0.0.1:8443\" and tls = \"main\"",
        );
    }

    /// The address, which no other listener may have.
    fn address(
        &mut self,
        table: &Table<'_>,
        kind: Kind,
        taken: &mut Vec<(Address, String)>,
    ) -> Option<Address> {
        let setting = child(table.path, "address");
        let Some(written) = table.raw.address.as_deref() else {
            if !self.report.is_doubtful(&setting) {
                let problem = self.report.problem(Code::Missing, &setting, format!("`{setting}` is missing"));
                problem.label("where it listens").help(format!("add address = \"{}\"", example(kind)));
            }
            return None;
        };
        let address = self.form(&setting, written, form::address)?;
        match taken.iter().find(|(other, _)| address.collides(other)) {
            Some((_, other)) => {
                let message = format!("{address} is the address of two listeners");
                let problem = self.report.problem(Code::SameAddress, &setting, message);
                problem
                    .label(format!("[{other}] has it already"))
                    .help("choose another address, or remove one listener");
            }
            None => taken.push((address.clone(), table.path.to_owned())),
        }
        Some(address)
    }

    /// How the socket is opened, and a word on what this address has no use for.
    fn socket_options(&mut self, table: &Table<'_>) -> Option<Options> {
        let raw = table.raw;
        let setting = child(table.path, "socket_mode");
        let mode = self.form(&setting, &raw.socket_mode, form::socket_mode);
        let useless: &[(&str, &str)] = match table.address {
            Some(Address::Tcp(_)) => &[("socket_mode", "only the file of a Unix socket has a mode")],
            Some(Address::Unix(_)) => &[("tcp_keepalive", "a Unix socket needs none")],
            Some(Address::Systemd(_)) => &[
                ("socket_mode", "systemd has opened the socket; write SocketMode= in its unit"),
                ("backlog", "systemd has opened the socket; write Backlog= in its unit"),
            ],
            Some(Address::Streams) | None => &[],
        };
        for (key, reason) in useless {
            let setting = child(table.path, key);
            if self.report.is_written(&setting) {
                self.unused(&setting, reason);
            }
        }
        Some(Options { backlog: raw.backlog, keepalive: raw.tcp_keepalive.0, mode: mode? })
    }
}

/// An address that would do.
fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Http | Kind::Stdio => "127.0.0.1:8443",
        Kind::Tcp => "127.0.0.1:9000",
        Kind::Redirect => "[::]:8080",
    }
}

fn method(raw: raw::Method) -> Method {
    match raw {
        raw::Method::ApiKey => Method::ApiKey,
        raw::Method::Jwt => Method::Jwt,
        raw::Method::Mtls => Method::Certificate,
    }
}

fn profile_of(security: Option<ListenerSecurity>) -> Option<usize> {
    match security? {
        ListenerSecurity::Tls(index) => Some(index),
        ListenerSecurity::Plain => None,
    }
}
