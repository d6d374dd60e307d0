//! TLS as the control plane sees it: certificates and keys from files, one `ServerConfig` a profile, tickets
//! that outlive a reload.
//! Never: a connection; the shards run the handshakes.
//! Next: `load` for the files, `resolve` for SNI, `tickets` for who comes back, `warm` for the first handshake.

pub mod load;
pub mod clients;
pub mod lists;
pub mod expiry;
pub mod staple;
pub mod resolve;
pub mod tickets;
pub mod warm;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::digest;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::{ServerConfig, SupportedCipherSuite};
use zeroize::Zeroizing;

use super::config::checked::{Resumption, TlsProfile, TlsVersion};
use super::config::guests::Presence;
use super::config::profile::{CipherSuite, KeyExchange, TicketKey};
use super::problem::{Exit, Problem};
use super::secret::{TICKET_KEY, load_secret};
use crate::pipeline::authenticate::certificate::judge::Judge;
use load::Identity;
use resolve::Resolver;
use tickets::Tickets;

/// A TLS profile that can be served.
#[derive(Clone)]
pub struct TlsMaterial {
    /// What the shards handshake with.
    pub config: Arc<ServerConfig>,
    /// Who judges certificates of clients, where they are asked for.
    pub judge: Option<Arc<Judge>>,
    /// What is served.
    pub certificates: Vec<Identity>,
}

/// Who judges the clients of each profile, by its name.
pub fn judges<'a>(profiles: &'a [TlsProfile], served: &[TlsMaterial]) -> Vec<(&'a str, Option<Arc<Judge>>)> {
    let by_profile = profiles.iter().zip(served);
    by_profile.map(|(profile, material)| (profile.name.as_str(), material.judge.clone())).collect()
}

/// What makes the tickets of each profile, kept across reloads so that a reload makes no session stale.
///
/// A profile has its own keys: a ticket stands for everything its handshake proved, and another profile may ask
/// for more. All shards share them, since a client comes back to any shard.
#[derive(Default)]
pub struct Ticketing {
    by_profile: BTreeMap<String, Kept>,
}

/// The tickets of one profile, and what they were built from.
struct Kept {
    origin: Origin,
    tickets: Arc<Tickets>,
}

/// What tickets are good for. Other ones are needed when it changes: a ticket stands for all that its handshake proved, and
/// must not outlive a rule that asks for more.
#[derive(PartialEq, Eq)]
struct Origin {
    /// A digest of the shared secret, empty without one.
    secret: Vec<u8>,
    rotation: Duration,
    /// What is asked of clients, as the settings print.
    client_auth: String,
}

impl Ticketing {
    /// The tickets of `profile`: those it had, unless its settings say otherwise by now.
    fn lease(&mut self, profile: &TlsProfile) -> Result<Arc<Tickets>, Problem> {
        let (name, rotation) = (&profile.name, profile.ticket_rotation);
        let secret = match &profile.ticket_key {
            TicketKey::Own => None,
            TicketKey::Shared(source) => Some(load_secret(source, &TICKET_KEY)?),
        };
        let digest = |secret: &Zeroizing<Vec<u8>>| digest::digest(&digest::SHA256, secret).as_ref().to_vec();
        let client_auth = format!("{:?}", profile.client_auth);
        let origin =
            Origin { secret: secret.as_ref().map(digest).unwrap_or_default(), rotation, client_auth };
        if let Some(kept) = self.by_profile.get(name).filter(|kept| kept.origin == origin) {
            return Ok(Arc::clone(&kept.tickets));
        }
        let tickets = match &secret {
            Some(secret) => Tickets::derived(secret, &scope(profile), rotation),
            None => Tickets::drawn(rotation),
        };
        let tickets = Arc::new(tickets.map_err(|_| {
            Problem::error("E0318", format!("tls.{name}: cannot make ticket keys")).exit(Exit::Unavailable)
        })?);
        self.by_profile.insert(name.clone(), Kept { origin, tickets: Arc::clone(&tickets) });
        Ok(tickets)
    }
}

/// What tickets of one secret are told apart by: the profile, and whether its clients show certificates.
fn scope(profile: &TlsProfile) -> String {
    let presence = profile.client_auth.as_ref().map_or(Presence::Off, |auth| auth.presence);
    format!("{} {presence:?}", profile.name)
}

/// The algorithms of `profile` in its order.
fn build_provider(profile: &TlsProfile) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: profile.cipher_suites.iter().map(|&suite| suite_of(suite)).collect(),
        kx_groups: profile.key_exchange.iter().map(|&exchange| group_of(exchange)).collect(),
        ..aws_lc_rs::default_provider()
    }
}

fn suite_of(suite: CipherSuite) -> SupportedCipherSuite {
    use aws_lc_rs::cipher_suite as known;
    match suite {
        CipherSuite::Aes256Gcm => known::TLS13_AES_256_GCM_SHA384,
        CipherSuite::Chacha20Poly1305 => known::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::Aes128Gcm => known::TLS13_AES_128_GCM_SHA256,
        CipherSuite::EcdsaAes256Gcm => known::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::RsaAes256Gcm => known::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdsaChacha20Poly1305 => known::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::RsaChacha20Poly1305 => known::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdsaAes128Gcm => known::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::RsaAes128Gcm => known::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    }
}

fn group_of(exchange: KeyExchange) -> &'static dyn SupportedKxGroup {
    use aws_lc_rs::kx_group as known;
    match exchange {
        KeyExchange::X25519MlKem768 => known::X25519MLKEM768,
        KeyExchange::X25519 => known::X25519,
        KeyExchange::Secp256r1 => known::SECP256R1,
        KeyExchange::Secp384r1 => known::SECP384R1,
    }
}

/// Builds what the shards handshake with. `identities` is never empty; its first is the fallback for SNI. Clients are
/// asked for certificates when there is a judge for them.
pub fn build_server_config(
    profile: &TlsProfile,
    identities: &[Identity],
    judge: Option<&Arc<Judge>>,
    ticketing: &mut Ticketing,
) -> Result<Arc<ServerConfig>, Problem> {
    let refused = |error: rustls::Error| {
        Problem::error("E0319", format!("tls.{}: rustls refuses it: {error}", profile.name))
    };
    let versions: &[&rustls::SupportedProtocolVersion] = match profile.min_version {
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(build_provider(profile)))
        .with_protocol_versions(versions)
        .map_err(refused)?
        .with_client_cert_verifier(match judge {
            Some(judge) => Arc::clone(judge) as Arc<dyn ClientCertVerifier>,
            None => Arc::new(NoClientAuth),
        })
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
            config.ticketer = ticketing.lease(profile)?;
            // A client seldom opens more than one connection at once, and each ticket costs 4 us.
            config.send_tls13_tickets = 1;
        }
        Resumption::Off => config.send_tls13_tickets = 0,
    }
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) mod tests;
