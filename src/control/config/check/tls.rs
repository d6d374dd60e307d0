//! Checks `[tls.*]`: versions that are meant, algorithms that fit them, files in their folder.
//! Next: `listeners`, which name the profiles.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::checked::{Certificate, Resumption, TlsProfile, TlsVersion};
use super::super::form;
use super::super::problem::Code;
use super::super::profile::{CipherSuite, KeyExchange, OnChange, Stapling, TicketKey};
use super::super::raw;
use super::super::report::{child, entry};
use super::Check;

impl Check<'_> {
    /// `[tls.*]`.
    pub(super) fn tls(&mut self, tables: BTreeMap<String, raw::Tls>) -> Vec<TlsProfile> {
        let mut profiles = Vec::new();
        for (path, name, tls) in self.in_file_order("tls", tables) {
            self.version(&path, &name, &tls);
            let cipher_suites = self.cipher_suites(&path, &name, &tls);
            self.key_exchange(&path, &name, &tls);
            let stapling = self.stapling(&path, &tls);
            let ticket_key = self.ticket_key(&path, &tls);
            let list = child(&path, "certificates");
            let certificate = |(index, pair): (usize, raw::Certificate)| {
                let path = entry(&list, index);
                Some(Certificate {
                    cert_file: self.file(&child(&path, "cert_file"), &pair.cert_file?),
                    key_file: self.file(&child(&path, "key_file"), &pair.key_file?),
                })
            };
            let certificates = tls.certificates.into_iter().enumerate().filter_map(certificate).collect();
            let mut expiry_warnings: Vec<Duration> = tls.expiry_warning.iter().map(|time| time.0).collect();
            expiry_warnings.sort_by(|left, right| right.cmp(left));
            let client_auth = self.client_auth(&path, tls.client_auth);
            profiles.push(TlsProfile {
                name,
                min_version: tls.min_version,
                certificates,
                cipher_suites,
                key_exchange: tls.key_exchange,
                resumption: tls.session_resumption,
                ticket_rotation: tls.ticket_rotation.0,
                ticket_key,
                on_change: if tls.reload_on_change { OnChange::Reload } else { OnChange::Wait },
                expiry_warnings,
                certificate_age_max: tls.max_certificate_age.map_or(Duration::MAX, |age| age.0),
                stapling,
                client_auth,
            });
        }
        profiles
    }

    /// TLS 1.2 is a word of its own.
    fn version(&mut self, path: &str, name: &str, tls: &raw::Tls) {
        let version = child(path, "min_version");
        let is_known =
            !self.report.is_doubtful(&version) && !self.report.is_doubtful(&child(path, "allow_tls12"));
        match (tls.min_version, tls.allow_tls12) {
            (TlsVersion::Tls12, false) if is_known => {
                let message = format!("TLS profile `{name}` accepts TLS 1.2 without saying that it is meant");
                let problem = self.report.problem(Code::Tls12NotAllowed, &version, message);
                problem.help("write min_version = \"1.3\"; if you mean it, add allow_tls12 = true");
            }
            (TlsVersion::Tls12, true) if is_known => {
                let message = format!("TLS profile `{name}` accepts TLS 1.2");
                let problem = self.report.problem(Code::Tls12Allowed, &version, message);
                problem.help("remove min_version and allow_tls12 once all clients speak TLS 1.3");
            }
            (TlsVersion::Tls13, true) if is_known => {
                self.unused(&child(path, "allow_tls12"), "min_version is \"1.3\", so TLS 1.2 stays off");
            }
            (TlsVersion::Tls12 | TlsVersion::Tls13, _) => {}
        }
    }

    /// At least one suite for each version that is accepted, and none for another.
    fn cipher_suites(&mut self, path: &str, name: &str, tls: &raw::Tls) -> Vec<CipherSuite> {
        let path = child(path, "cipher_suites");
        let is_tls12 = tls.min_version == TlsVersion::Tls12;
        let Some(suites) = tls.cipher_suites.as_ref().filter(|_| !self.report.is_doubtful(&path)) else {
            let older = CipherSuite::TLS12.into_iter().filter(|_| is_tls12);
            return CipherSuite::TLS13.into_iter().chain(older).collect();
        };
        self.refuse_doubles(&path, suites);
        let has = |wanted: bool| suites.iter().any(|suite| suite.is_tls12() == wanted);
        let mut refuse = |message: String, help: &str| {
            self.report.problem(Code::Contradiction, &path, message).help(help);
        };
        if !has(false) {
            let message = format!("TLS profile `{name}` has no suite of TLS 1.3");
            refuse(message, "add \"TLS_AES_256_GCM_SHA384\"");
        }
        if is_tls12 && !has(true) {
            let message = format!("TLS profile `{name}` accepts TLS 1.2 and has no suite for it");
            refuse(
                message,
                "add \"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\", or write min_version = \"1.3\"",
            );
        }
        if !is_tls12 && has(true) {
            self.unused(&path, "min_version is \"1.3\", so suites of TLS 1.2 are never used");
        }
        suites.iter().copied().filter(|suite| is_tls12 || !suite.is_tls12()).collect()
    }

    fn key_exchange(&mut self, path: &str, name: &str, tls: &raw::Tls) {
        let path = child(path, "key_exchange");
        if self.report.is_doubtful(&path) {
            return;
        }
        self.refuse_doubles(&path, &tls.key_exchange);
        let is_classical = tls.key_exchange.iter().copied().any(KeyExchange::is_classical);
        if tls.min_version == TlsVersion::Tls12 && !is_classical {
            let message = format!("TLS profile `{name}` accepts TLS 1.2 and has no key exchange for it");
            self.report.problem(Code::Contradiction, &path, message).help("add \"X25519\"");
        }
    }

    fn refuse_doubles<T: PartialEq>(&mut self, path: &str, list: &[T]) {
        let double =
            list.iter().enumerate().find(|(index, item)| list.iter().take(*index).any(|own| own == *item));
        if let Some((index, _)) = double {
            let path = entry(path, index);
            self.report
                .problem(Code::Contradiction, &path, format!("`{path}` is named twice"))
                .help("remove one");
        }
    }

    fn stapling(&mut self, path: &str, tls: &raw::Tls) -> Stapling {
        let responder = child(path, "ocsp_responder");
        match (&tls.ocsp_responder, tls.ocsp_stapling) {
            (Some(_), false) => {
                self.unused(&responder, "ocsp_stapling is false, so no responder is asked");
                Stapling::Off
            }
            (None, false) => Stapling::Off,
            (None, true) => Stapling::Named,
            (Some(url), true) => match self.form(&responder, url, form::public_url) {
                Some(_) => Stapling::Responder(url.clone()),
                None => Stapling::Named,
            },
        }
    }

    fn ticket_key(&mut self, path: &str, tls: &raw::Tls) -> TicketKey {
        if tls.session_resumption == Resumption::Off {
            for key in ["ticket_key", "ticket_rotation"].map(|key| child(path, key)) {
                if self.report.is_written(&key) {
                    self.unused(&key, "session_resumption is \"off\", so there are no tickets");
                }
            }
        }
        let source = tls.ticket_key.as_ref().and_then(|raw| self.secret(&child(path, "ticket_key"), raw));
        source.map_or(TicketKey::Own, TicketKey::Shared)
    }
}
