//! Checks `[tls.*]`: versions that are meant, files in their folder.
//! Next: `listeners`, which name the profiles.

use std::collections::BTreeMap;

use super::super::checked::{Certificate, TlsProfile, TlsVersion};
use super::super::problem::Code;
use super::super::raw;
use super::super::report::{child, entry};
use super::Check;

impl Check<'_> {
    /// `[tls.*]`.
    pub(super) fn tls(&mut self, tables: BTreeMap<String, raw::Tls>) -> Vec<TlsProfile> {
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
}
