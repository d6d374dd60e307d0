//! What a start tells: a banner on a terminal, one `ready` line in a log.
//! Never: a secret.
//! Next: `process`, which calls it once the shards accept.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use tracing::Level;

use super::config::checked::{Config, Listener, ListenerSecurity, TlsVersion};
use super::config::{Colour, Problems};
use super::log::format_of;
use super::log::line::{Entry, Format};
use super::moment;
use super::process::{Ready, log_problems, say};
use super::publish::CertificateFact;
use crate::pipeline::snapshot::{Admission, Speech};
use crate::shard::address::Address;
use crate::shard::driver::Driver;

/// Whether stderr shows colours. no-color.org: any value but the empty one switches them off.
pub fn colour() -> Colour {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !is_unwanted { Colour::Styled } else { Colour::Plain }
}

/// Tells that the server accepts.
pub fn announce_run(ready: &Ready<'_>, warnings: &Problems) {
    if format_of(ready.config.log.format) == Format::Text && io::stderr().is_terminal() {
        let mut text = if warnings.is_empty() { String::new() } else { warnings.to_text(colour()) };
        for warning in ready.warnings {
            text.push_str(&format!("{warning}\n"));
        }
        text.push_str(&banner(ready));
        say(&text);
    } else {
        log_problems(ready.log, Level::WARN, warnings);
        ready.warnings.iter().for_each(|warning| ready.log.problem(warning));
        ready.log.entry(entry(ready));
    }
}

/// The word for a driver, as the configuration writes it.
pub fn driver_word(driver: Driver) -> &'static str {
    match driver {
        Driver::IoUring => "io_uring",
        Driver::Epoll => "epoll",
    }
}

/// `https://127.0.0.1:8443/mcp`, `tls://127.0.0.1:9000`; nothing where no URL leads to.
pub fn url(listener: &Listener, address: &Address) -> Option<String> {
    let address = address.tcp()?;
    let is_plain = listener.security == ListenerSecurity::Plain;
    let (plain, tls, path) = match &listener.speech {
        Speech::Http(_) => ("http", "https", listener.path.as_str()),
        Speech::Lines | Speech::Prefixed => ("tcp", "tls", ""),
        Speech::Redirect { .. } => ("http", "https", "/"),
    };
    Some(format!("{}://{address}{path}", if is_plain { plain } else { tls }))
}

/// What is spoken on a listener, in the words of the configuration.
pub fn spoken(speech: &Speech) -> Vec<&'static str> {
    match speech {
        Speech::Http(transports) => [
            (transports.streamable_http, "streamable_http"),
            (transports.websocket.is_some(), "websocket"),
            (transports.sse.is_some(), "sse"),
        ]
        .into_iter()
        .filter_map(|(is_offered, word)| is_offered.then_some(word))
        .collect(),
        Speech::Lines => vec!["newline"],
        Speech::Prefixed => vec!["length32"],
        Speech::Redirect { .. } => vec!["redirect"],
    }
}

/// Each listener with its address and URL.
pub fn listeners(ready: &Ready<'_>) -> Vec<serde_json::Value> {
    let listeners = ready.config.listeners.iter().zip(ready.addresses);
    listeners
        .map(|(listener, address)| {
            serde_json::json!({
                "name": listener.name,
                "address": address.to_string(),
                "url": url(listener, address),
                "transports": spoken(&listener.speech),
            })
        })
        .collect()
}

/// The `ready` line.
pub fn entry(ready: &Ready<'_>) -> Entry {
    let file = ready.config.file.as_ref().map(|file| file.display().to_string());
    Entry::new(Level::INFO, "ready")
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("pid", std::process::id())
        .with("config", file)
        .with("driver", driver_word(ready.driver))
        .with("shards", ready.config.runtime.cpus.len())
        .with("listeners", listeners(ready))
        .with("elapsed_us", u64::try_from(ready.elapsed.as_micros()).unwrap_or(u64::MAX))
}

fn banner(ready: &Ready<'_>) -> String {
    let config = ready.config;
    let file = config.file.as_ref().map_or("(none)".to_owned(), |file| file.display().to_string());
    let mut text = format!("mcpring {}  config {file}\n\n", env!("CARGO_PKG_VERSION"));
    let mut row = |name: &str, value: &str| {
        // Writing to a String never fails.
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    row("Shards", &shards(config, ready.driver));
    for (listener, address) in config.listeners.iter().zip(ready.addresses) {
        row(&listener.name, &listener_row(config, listener, address));
    }
    row("Tools", &or_none(&config.native));
    let roles: Vec<String> = config.roles.iter().map(|role| role.name.clone()).collect();
    row("Roles", &format!("{}        Limits  {}", or_none(&roles), config.rate_limits.len()));
    if !ready.certificates.is_empty() {
        let now_s = moment::unix_now_s();
        let certificates: Vec<String> =
            ready.certificates.iter().map(|certificate| certificate_word(certificate, now_s)).collect();
        row("Certs", &certificates.join("        "));
    }
    let _ = write!(text, "\nReady in {} ms.\n", ready.elapsed.as_millis());
    text
}

fn certificate_word(certificate: &CertificateFact, now_s: i64) -> String {
    let left = Duration::from_secs(u64::try_from(certificate.expires_at_s - now_s).unwrap_or(0));
    format!("{} {}", certificate.name, moment::distance(left))
}

fn shards(config: &Config, driver: Driver) -> String {
    let cpus: Vec<String> = config.runtime.cpus.iter().map(usize::to_string).collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    format!("{} on cores {}, {}, kernel {kernel}", cpus.len(), cpus.join(","), driver_word(driver))
}

fn listener_row(config: &Config, listener: &Listener, address: &Address) -> String {
    if let Speech::Redirect { location } = &listener.speech {
        return format!("{address}    -> {}", String::from_utf8_lossy(location));
    }
    let security = match listener.security {
        ListenerSecurity::Plain => "no TLS".to_owned(),
        ListenerSecurity::Tls(index) => match config.tls.get(index).map(|profile| profile.min_version) {
            Some(TlsVersion::Tls12) => "TLS 1.3 and 1.2, X25519MLKEM768".to_owned(),
            Some(TlsVersion::Tls13) | None => "TLS 1.3, X25519MLKEM768".to_owned(),
        },
    };
    let admission = match listener.admission {
        Admission::Authenticated => "auth api_key",
        Admission::Resident(_) => "started by its client",
        Admission::AnonymousAllowed => "anonymous allowed",
    };
    let spoken = spoken(&listener.speech).join(", ");
    let origins = match listener.speech {
        Speech::Http(_) => format!("   origins {}", listener.origins.len()),
        Speech::Lines | Speech::Prefixed | Speech::Redirect { .. } => String::new(),
    };
    format!("{address}{}    {spoken}   {security}   {admission}{origins}", listener.path)
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}
