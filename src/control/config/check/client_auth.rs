//! Checks `[tls.NAME.client_auth]` and `[auth.mtls]`: names that can be read, lists that are somewhere, weakenings said.
//! Next: `access`, the other ways to authenticate.

use std::time::Duration;

use super::super::checked::{Listener, ListenerSecurity, TlsProfile};
use super::super::form;
use super::super::guests::{ClientAuth, Lists, Ocsp, Presence, Verdict};
use super::super::problem::Code;
use super::super::raw;
use super::super::report::{child, entry};
use super::super::settings::quoted;
use super::Check;
use crate::pipeline::authenticate::Method;
use crate::pipeline::authenticate::certificate::judge::CLIENT_AUTH;
use crate::pipeline::authenticate::certificate::names::NamePattern;
use crate::pipeline::authenticate::certificate::table::CertificateTable;
use crate::pipeline::authorize::RoleRules;

impl Check<'_> {
    /// `[tls.NAME.client_auth]`; none when clients are not asked, or when what it needs is wrong.
    pub(super) fn client_auth(&mut self, profile: &str, raw: Option<raw::ClientAuth>) -> Option<ClientAuth> {
        let raw = raw?;
        let path = child(profile, "client_auth");
        if raw.mode == Presence::Off {
            if !self.report.is_doubtful(&child(&path, "mode")) {
                self.unused(&path, "mode is \"off\", so no client is asked for a certificate");
            }
            return None;
        }
        let ca_file = child(&path, "ca_file");
        if raw.ca_file.is_none() && !self.report.is_doubtful(&ca_file) {
            let problem = self.report.problem(Code::Missing, &ca_file, format!("`{ca_file}` is missing"));
            problem.label("who certifies clients").help("add ca_file = \"clients-ca.crt\"");
        }
        let names = child(&path, "allowed_names");
        let allowed_names = self.name_patterns(&names, &raw.allowed_names);
        let purposes = self.purposes(&child(&path, "required_eku"), &raw.required_eku);
        let lists = raw.crl.map_or(Lists::Unused, |crl| self.lists(&child(&path, "crl"), crl));
        let ocsp = self.responders(&child(&path, "ocsp"), raw.ocsp);
        Some(ClientAuth {
            presence: raw.mode,
            ca_file: self.file(&ca_file, &raw.ca_file?),
            identity_from: raw.identity_from.iter().map(|from| from.kind()).collect(),
            allowed_names,
            purposes,
            lifetime_max: raw.max_client_certificate_age.map_or(Duration::MAX, |age| age.0),
            rsa_bits_min: usize::try_from(raw.min_rsa_bits).unwrap_or(usize::MAX),
            lists,
            ocsp,
        })
    }

    /// A client is its name, whichever authority certified it: two that clients may come from have to agree on names.
    pub(super) fn authorities(&mut self, listeners: &[Listener], tls: &[TlsProfile]) {
        let mut first: Option<(&TlsProfile, &ClientAuth)> = None;
        for listener in listeners.iter().filter(|listener| listener.methods.contains(&Method::Certificate)) {
            let ListenerSecurity::Tls(index) = listener.security else { continue };
            let Some(profile) = tls.get(index) else { continue };
            let Some(auth) = &profile.client_auth else { continue };
            let (other, known) = *first.get_or_insert((profile, auth));
            if known.ca_file == auth.ca_file {
                continue;
            }
            let setting = child(&child(&child("tls", &profile.name), "client_auth"), "ca_file");
            let (ours, theirs) = (&profile.name, &other.name);
            let message = format!(
                "a name is the same client, whether tls.{ours} or tls.{theirs} trusts who certified it"
            );
            self.report
                .problem(Code::NameShared, &setting, message)
                .label("another authority than there")
                .help("see to it that neither certifies the other's names, as with allowed_names");
            return;
        }
    }

    fn name_patterns(&mut self, list: &str, texts: &[String]) -> Vec<NamePattern> {
        let patterns = texts.iter().enumerate();
        patterns.filter_map(|(index, text)| self.name_pattern(&entry(list, index), text)).collect()
    }

    fn name_pattern(&mut self, path: &str, text: &str) -> Option<NamePattern> {
        match NamePattern::compile(text) {
            Ok(pattern) => Some(pattern),
            Err(reason) => {
                let message = format!("`{path}` can not be {}", quoted(text));
                let problem = self.report.problem(Code::BadPattern, path, message);
                problem
                    .label(reason)
                    .help("write \"*.agents.example.com\" or \"spiffe://example.com/agent/*\"");
                None
            }
        }
    }

    fn purposes(&mut self, list: &str, texts: &[String]) -> Vec<String> {
        let mut purposes = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let is_number = text.contains('.')
                && text
                    .split('.')
                    .all(|arc| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()));
            if text == "clientAuth" {
                purposes.push(CLIENT_AUTH.to_owned());
            } else if is_number {
                purposes.push(text.clone());
            } else {
                let path = entry(list, index);
                let message = format!("`{path}` can not be {}", quoted(text));
                let problem = self.report.problem(Code::Malformed, &path, message);
                problem.help("write \"clientAuth\", or numbers with dots such as \"1.3.6.1.5.5.7.3.2\"");
            }
        }
        purposes
    }

    fn lists(&mut self, path: &str, raw: raw::Crl) -> Lists {
        let (files, urls) = (child(path, "files"), child(path, "urls"));
        let is_doubtful = self.report.is_doubtful(&files) || self.report.is_doubtful(&urls);
        if raw.files.is_empty() && raw.urls.is_empty() && !is_doubtful {
            let problem = self.report.problem(Code::Missing, path, format!("`{path}` names no list"));
            problem.help("add files = [\"crl/*.crl\"] or urls = [\"http://ca.example.com/clients.crl\"]");
        }
        self.weakened(&child(path, "unknown"), raw.unknown, "certificates that no revocation list covers");
        self.weakened(&child(path, "expired"), raw.expired, "revocation lists past their time");
        for (index, url) in raw.urls.iter().enumerate() {
            self.form(&entry(&urls, index), url, form::public_url);
        }
        let each = raw.files.iter().enumerate();
        Lists::Used {
            files: each.map(|(index, file)| self.file(&entry(&files, index), file)).collect(),
            urls: raw.urls,
            refresh: raw.refresh.0,
            depth: raw.depth,
            unknown: raw.unknown,
            expired: raw.expired,
        }
    }

    fn responders(&mut self, path: &str, raw: raw::Ocsp) -> Ocsp {
        if !raw.enabled {
            for key in ["responder", "cache_ttl", "on_failure"].map(|key| child(path, key)) {
                if self.report.is_written(&key) {
                    self.unused(&key, "enabled is false, so no responder is asked");
                }
            }
            return Ocsp::Off;
        }
        self.weakened(&child(path, "on_failure"), raw.on_failure, "clients whose responder does not answer");
        let url = (raw.responder != "aia").then_some(raw.responder);
        if let Some(url) = &url {
            self.form(&child(path, "responder"), url, form::public_url);
        }
        Ocsp::Asked { url, ttl: raw.cache_ttl.0, on_failure: raw.on_failure }
    }

    /// A word that lets in what would not be.
    fn weakened(&mut self, path: &str, verdict: Verdict, what: &str) {
        if verdict == Verdict::Allow && !self.report.is_doubtful(path) {
            let problem = self.report.problem(Code::RevocationWeak, path, format!("{what} are accepted"));
            problem.help("write \"deny\"");
        }
    }

    /// `[auth.mtls]`.
    pub(super) fn mtls(
        &mut self,
        raw: Option<raw::Mtls>,
        is_used: bool,
        roles: &[RoleRules],
    ) -> CertificateTable {
        let Some(raw) = raw else { return CertificateTable::default() };
        if !is_used {
            self.unused("auth.mtls", "no listener accepts certificates: auth = [\"mtls\"]");
        }
        let list = "auth.mtls.roles_from";
        let mut grants = Vec::new();
        for (index, from) in raw.roles_from.iter().enumerate() {
            let path = entry(list, index);
            let indices = self.named_roles(&child(&path, "roles"), &from.roles, roles);
            let bits = indices.iter().fold(0, |bits, &role| bits | crate::control::keys::role_bit(role));
            let pattern = from.name.as_ref().and_then(|name| self.name_pattern(&child(&path, "name"), name));
            grants.extend(pattern.map(|pattern| (pattern, bits)));
        }
        CertificateTable { grants }
    }
}
