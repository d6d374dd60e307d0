//! The raw values become the checked configuration. What is wrong is reported and left out, so every check sees as
//! much of the file as can be used.
//! Never: a look at the machine beyond its CPUs; files and secrets are `environment`.
//! Next: `listeners`, where most settings meet.

mod access;
mod listeners;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::checked::{AccessLog, Certificate, Config, Log, Pin, Runtime, TlsProfile, TlsVersion};
use super::form::{self, Malformed};
use super::problem::Code;
use super::raw::{self, Shards};
use super::report::{Report, child, entry};
use super::settings::quoted;
use crate::pipeline::snapshot::{Limits, Server};

/// Checks all values; complete only when the report has no error.
pub(super) fn check(raw: raw::File, file: Option<PathBuf>, report: &mut Report) -> Config {
    let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let mut check = Check { report, folder };
    let public_url = raw.server.public_url.as_deref();
    let public_url = public_url.and_then(|text| check.form("server.public_url", text, form::public_url));
    let tls = check.tls(raw.tls);
    let listeners = check.listeners(raw.listeners, &raw.auth, &tls, public_url.as_ref());
    let api_key = raw.auth.api_key.and_then(|keys| check.api_keys(keys, &listeners));
    let native = check.native(&raw.native.enable);
    let roles = check.roles(raw.roles, &native);
    let anonymous_roles = check.anonymous_roles(&raw.rbac.anonymous_roles, &roles, &listeners);
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
        limits: check.limits(&raw.limits),
        listeners: listeners.checked,
        tls,
        api_key,
        roles,
        anonymous_roles,
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

    /// `[tls.*]`.
    fn tls(&mut self, tables: BTreeMap<String, raw::Tls>) -> Vec<TlsProfile> {
        let mut profiles = Vec::new();
        for (path, name, tls) in self.in_file_order("tls", tables) {
            let version = child(&path, "min_version");
            let is_known =
                !self.report.is_doubtful(&version) && !self.report.is_doubtful(&child(&path, "allow_tls12"));
            match (tls.min_version, tls.allow_tls12) {
                (TlsVersion::Tls12, false) if is_known => {
                    let message =
                        format!("TLS profile `{name}` accepts TLS 1.2 without saying that it is meant");
                    let problem = self.report.problem(Code::Tls12NotAllowed, &version, message);
                    problem.help("write min_version = \"1.3\"; if you mean it, add allow_tls12 = true");
                }
                (TlsVersion::Tls12, true) if is_known => {
                    let message = format!("TLS profile `{name}` accepts TLS 1.2");
                    let problem = self.report.problem(Code::Tls12Allowed, &version, message);
                    problem.help("remove min_version and allow_tls12 once all clients speak TLS 1.3");
                }
                (TlsVersion::Tls13, true) if is_known => {
                    self.unused(&child(&path, "allow_tls12"), "min_version is \"1.3\", so TLS 1.2 stays off");
                }
                (TlsVersion::Tls12 | TlsVersion::Tls13, _) => {}
            }
            let list = child(&path, "certificates");
            let certificate = |(index, pair): (usize, raw::Certificate)| {
                let path = entry(&list, index);
                Some(Certificate {
                    cert_file: self.file(&child(&path, "cert_file"), &pair.cert_file?),
                    key_file: self.file(&child(&path, "key_file"), &pair.key_file?),
                })
            };
            let certificates = tls.certificates.into_iter().enumerate().filter_map(certificate).collect();
            profiles.push(TlsProfile {
                name,
                min_version: tls.min_version,
                certificates,
                resumption: tls.session_resumption,
            });
        }
        profiles
    }

    /// `[runtime]`. CPUs are settled here so that nothing later has to ask the machine.
    fn runtime(&mut self, raw: &raw::Runtime) -> Runtime {
        let named = self.form("runtime.cpus", &raw.cpus, form::cpus).flatten();
        let available = named.unwrap_or_else(super::environment::usable_cpus);
        let count = match raw.shards {
            Shards::Auto => available.len(),
            Shards::Count(count) => usize::try_from(count).expect("a shard count fits"),
        };
        if count > available.len() && !self.report.is_doubtful("runtime") {
            let message = format!("{count} shards share {} CPUs", available.len());
            let problem = self.report.problem(Code::CpusShared, "runtime.shards", message);
            problem.help("write shards = \"auto\"; a shard is fastest with a CPU of its own");
        }
        Runtime {
            cpus: available.iter().copied().cycle().take(count).collect(),
            pin: if raw.pin { Pin::Pinned } else { Pin::Floating },
            driver: raw.driver,
            ring_entries: raw.ring_entries,
            shutdown_grace: raw.shutdown_grace.0,
        }
    }

    /// `[limits]`.
    fn limits(&mut self, raw: &raw::Limits) -> Limits {
        let count = |count: u64| usize::try_from(count).expect("a range has checked it");
        let per_ip = "limits.max_connections_per_ip";
        let is_both_written =
            self.report.is_written(per_ip) && self.report.is_written("limits.max_connections");
        if is_both_written && raw.max_connections_per_ip > raw.max_connections {
            let message = format!(
                "one address may have {} connections, all together only {}",
                raw.max_connections_per_ip, raw.max_connections
            );
            let problem = self.report.problem(Code::Contradiction, per_ip, message);
            problem.help(format!("write max_connections_per_ip = {} or less", raw.max_connections));
        }
        Limits {
            connections_max: count(raw.max_connections),
            connections_per_ip_max: count(raw.max_connections_per_ip.min(raw.max_connections)),
            message_bytes_max: count(raw.max_message_size.0),
            head_bytes_max: count(raw.max_header_size.0),
            json_depth_max: count(raw.max_json_depth),
            json_nodes_max: count(raw.max_json_nodes),
            tls_handshake_timeout: raw.tls_handshake_timeout.0,
            header_timeout: raw.header_timeout.0,
            body_timeout: raw.body_timeout.0,
            send_timeout: raw.send_timeout.0,
            idle_timeout: raw.idle_timeout.0,
            request_timeout: raw.request_timeout.0,
        }
    }

    /// `[log]`.
    fn log(&mut self, raw: raw::Log) -> Log {
        self.form("log.level", &raw.level, form::log_filter);
        let access_log = if raw.access_log { AccessLog::Every } else { AccessLog::Refused };
        Log { format: raw.format, level: raw.level, access_log }
    }
}
