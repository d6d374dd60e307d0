//! TLS as the control plane sees it: certificates and keys from files, one `ServerConfig` a profile, tickets
//! that outlive a reload.
//! Never: a connection; the shards run the handshakes.
//! Next: `load` for the files, `resolve` for SNI, `warm` for the first handshake.

pub mod load;
pub mod resolve;
pub mod warm;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use super::config::checked::{Resumption, TlsProfile, TlsVersion};
use super::problem::{Exit, Problem};
use load::Identity;
use resolve::Resolver;

/// The ticket keys of each profile, kept across reloads so that a reload makes no session stale.
///
/// A profile has its own keys: a ticket stands for everything its handshake proved, and another profile may ask
/// for more. All shards share them, since a client comes back to any shard.
#[derive(Default)]
pub struct Tickets {
    by_profile: BTreeMap<String, Arc<dyn ProducesTickets>>,
}

impl Tickets {
    /// The keys of `profile`, made on first use.
    fn lease(&mut self, profile: &str) -> Result<Arc<dyn ProducesTickets>, Problem> {
        if let Some(ticketer) = self.by_profile.get(profile) {
            return Ok(Arc::clone(ticketer));
        }
        let ticketer = aws_lc_rs::Ticketer::new().map_err(|error| {
            Problem::error("E0318", format!("tls.{profile}: cannot make ticket keys: {error}"))
                .exit(Exit::Unavailable)
        })?;
        self.by_profile.insert(profile.to_owned(), Arc::clone(&ticketer));
        Ok(ticketer)
    }
}

/// The algorithms of `version` in the server's order of preference.
fn build_provider(version: TlsVersion) -> CryptoProvider {
    use aws_lc_rs::{cipher_suite, kx_group};
    let mut suites = vec![
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ];
    if version == TlsVersion::Tls12 {
        // RFC 9325 4.2: in 1.2 only ECDHE with an AEAD.
        suites.extend([
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ]);
    }
    CryptoProvider {
        cipher_suites: suites,
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    }
}

/// Builds what the shards handshake with. `identities` is never empty; its first is the fallback for SNI.
pub fn build_server_config(
    profile: &TlsProfile,
    identities: &[Identity],
    tickets: &mut Tickets,
) -> Result<Arc<ServerConfig>, Problem> {
    let refused = |error: rustls::Error| {
        Problem::error("E0319", format!("tls.{}: rustls refuses it: {error}", profile.name))
    };
    let versions: &[&rustls::SupportedProtocolVersion] = match profile.min_version {
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(build_provider(profile.min_version)))
        .with_protocol_versions(versions)
        .map_err(refused)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver::build(identities)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    // RFC 8446 8: 0-RTT can be replayed.
    config.max_early_data_size = 0;
    // RFC 7627 5.4: a 1.2 session without the extended master secret is open to triple handshakes.
    config.require_ems = true;
    // The default store is a lock that every handshake of every shard would take.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match profile.resumption {
        Resumption::Tickets => {
            config.ticketer = tickets.lease(&profile.name)?;
            // A client seldom opens more than one connection at once, and each ticket costs 4 us.
            config.send_tls13_tickets = 1;
        }
        Resumption::Off => config.send_tls13_tickets = 0,
    }
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) mod tests;
