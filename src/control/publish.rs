//! From a checked configuration to what the shards read: secrets loaded, TLS built, header lines made once,
//! patterns compiled, all in one immutable `Snapshot`.
//! Never: a socket (`start` binds), a change to what runs.
//! Next: `pipeline/snapshot.rs`, what comes out.

use std::sync::Arc;
use std::time::Duration;

use super::certs::clients::load_judge;
use super::certs::lists::FetchedLists;
use super::certs::load::{Identity, load_identity};
use super::certs::staple::Staples;
use super::certs::{Ticketing, TlsMaterial, build_server_config};
use super::config::checked::{self, Config, ListenerSecurity, TlsProfile};
use super::headers::{Hsts, encode_header_block};
use super::inherited::Passed;
use super::keys::{load_keys, no_keys, role_bit};
use super::metadata;
use super::ocsp::asker::Asker;
use super::offer::Offer;
use super::problem::{Exit, Problem};
use super::tokens::KeySets;
use crate::pipeline::authenticate::Identities;
use crate::pipeline::authenticate::keys::KeyTable;
use crate::pipeline::authenticate::tokens::Issuers;
use crate::pipeline::authorize::{Policy, RoleRules, RuleError, Shows};
use crate::pipeline::seal::Sealer;
use crate::pipeline::snapshot::{Listener, Security, Snapshot};
use crate::tools::{Catalog, Registry};

/// What outlives a reload, so that sessions and tickets do too.
pub struct Kept {
    /// TLS ticket keys by profile.
    pub tickets: Ticketing,
    /// Proofs that certificates are not revoked.
    pub staples: Staples,
    /// Revocation lists from elsewhere.
    pub lists: FetchedLists,
    /// The key of legacy session ids.
    pub sealer: Arc<Sealer>,
    /// What is offered.
    pub offer: Offer,
    /// Sockets that this process was started with.
    pub passed: Passed,
    /// The keys of issuers.
    pub key_sets: KeySets,
    /// Asks about certificates of clients, once a profile wants that.
    pub asker: Option<Asker>,
}

impl Kept {
    /// Fresh keys. The sealer's comes from the kernel: aws-lc's own generator takes 21 ms to start, which a
    /// server without TLS need not wait for.
    pub fn build(catalog: Catalog) -> Result<Self, Problem> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        let failed = || Problem::error("E0353", "the kernel gives no random bytes").exit(Exit::Unavailable);
        let read = rustix::rand::getrandom(key.as_mut_slice(), rustix::rand::GetRandomFlags::empty())
            .map_err(|_| failed())?;
        if read != key.len() {
            return Err(failed());
        }
        Ok(Self {
            tickets: Ticketing::default(),
            staples: Staples::default(),
            lists: FetchedLists::default(),
            sealer: Arc::new(Sealer::new(&key)),
            offer: Offer::new(catalog),
            passed: Passed::default(),
            key_sets: KeySets::default(),
            asker: None,
        })
    }
}

/// What a configuration names and does not contain.
#[derive(Clone)]
pub struct Materials {
    /// By the index of the TLS profile.
    pub tls: Vec<TlsMaterial>,
    /// Everybody who may be known.
    pub identities: Arc<Identities>,
}

/// One certificate, for the banner and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFact {
    /// The profile's name.
    pub profile: String,
    /// The certificate's first name.
    pub name: String,
    /// Unix seconds.
    pub expires_at_s: i64,
}

/// Reads certificates and keys. All problems are listed.
pub fn load_materials(config: &Config, kept: &mut Kept, now_s: i64) -> Result<Materials, Vec<Problem>> {
    let (mut tls, mut problems) = (Vec::new(), Vec::new());
    for profile in &config.tls {
        match load_profile(profile, config.limits.tls_handshake_timeout, kept, now_s) {
            Ok(loaded) => tls.push(loaded),
            Err(found) => problems.extend(found),
        }
    }
    match load_identities(config, &mut kept.key_sets) {
        Ok(identities) if problems.is_empty() => Ok(Materials { tls, identities: Arc::new(identities) }),
        Ok(_) => Err(problems),
        Err(found) => {
            problems.extend(found);
            Err(problems)
        }
    }
}

/// One TLS profile from its files; connections wait for `handshake_timeout` at most for what a responder says. All problems are listed.
pub fn load_profile(
    profile: &TlsProfile,
    handshake_timeout: Duration,
    kept: &mut Kept,
    now_s: i64,
) -> Result<TlsMaterial, Vec<Problem>> {
    let (mut certificates, mut problems) = (Vec::new(), Vec::new());
    for files in &profile.certificates {
        match load_identity(&profile.name, files, now_s) {
            Ok(identity) => certificates.push(kept.staples.attach(identity, now_s)),
            Err(found) => problems.extend(found),
        }
    }
    let ocsp = Asker::desk_of(profile, handshake_timeout, &mut kept.asker).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let judge = load_judge(profile, kept.lists.of(profile), ocsp).unwrap_or_else(|found| {
        problems.extend(found);
        None
    });
    match build_server_config(profile, &certificates, judge.as_ref(), &mut kept.tickets) {
        Ok(config) if problems.is_empty() => Ok(TlsMaterial { config, judge, certificates }),
        Ok(_) => Err(problems),
        Err(problem) => {
            problems.push(problem);
            Err(problems)
        }
    }
}

/// Everybody who may be known. All problems are listed.
fn load_identities(config: &Config, key_sets: &mut KeySets) -> Result<Identities, Vec<Problem>> {
    let keys = match &config.api_key {
        Some(settings) => load_keys(settings, &config.roles, &config.grants),
        None => Ok(no_keys()),
    };
    match (keys, key_sets.load(config)) {
        (Ok(keys), Ok(tokens)) => Ok(build_identities(config, Arc::new(keys), tokens)),
        (keys, tokens) => {
            Err(keys.err().into_iter().flatten().chain(tokens.err().into_iter().flatten()).collect())
        }
    }
}

fn build_identities(config: &Config, keys: Arc<KeyTable>, tokens: Issuers) -> Identities {
    let mut identities = Identities::build(keys, role_bits(&config.anonymous_roles));
    identities.tokens = tokens;
    identities.grants = Arc::new(config.grants.clone());
    identities.certificates = config.certificates.clone();
    identities
}

/// Everybody who may be known, part by part: what can not be loaded is as it was. The parts that are, and why.
pub fn renew_identities(
    config: &Config,
    key_sets: &mut KeySets,
    running: &Identities,
) -> (Identities, Vec<String>, Vec<Problem>) {
    let (mut kept, mut problems) = (Vec::new(), Vec::new());
    let mut keep = |part: String, found: Vec<Problem>| {
        kept.push(part);
        problems.extend(found);
    };
    let keys =
        match config.api_key.as_ref().map(|settings| load_keys(settings, &config.roles, &config.grants)) {
            Some(Ok(keys)) => Arc::new(keys),
            Some(Err(found)) => {
                keep("auth.api_key".to_owned(), found);
                running.keys.clone()
            }
            None => running.keys.clone(),
        };
    let tokens = key_sets.reload(config, &running.tokens, keep);
    (build_identities(config, keys, tokens), kept, problems)
}

/// What the banner tells of the certificates.
pub fn facts(config: &Config, materials: &Materials) -> Vec<CertificateFact> {
    let by_profile = config.tls.iter().zip(&materials.tls);
    by_profile
        .flat_map(|(profile, tls)| tls.certificates.iter().map(|identity| fact(&profile.name, identity)))
        .collect()
}

/// What a start would stumble over in what a configuration names, each with its setting: certificates, keys, tools.
/// Nothing is kept of it.
pub fn inspect(config: &Config, offered: &Registry, now_s: i64) -> Vec<(String, Problem)> {
    let (mut found, mut tickets) = (Vec::new(), Ticketing::default());
    for profile in &config.tls {
        let (mut identities, before) = (Vec::new(), found.len());
        for (index, files) in profile.certificates.iter().enumerate() {
            let setting = || format!("tls.{}.certificates[{index}]", profile.name);
            match load_identity(&profile.name, files, now_s) {
                Ok(identity) => identities.push(identity),
                Err(problems) => found.extend(problems.into_iter().map(|problem| (setting(), problem))),
            }
        }
        let judged = load_judge(profile, Vec::new(), None).err().unwrap_or_default();
        let setting = || format!("tls.{}.client_auth", profile.name);
        found.extend(judged.into_iter().map(|problem| (setting(), problem)));
        if found.len() == before {
            let built = build_server_config(profile, &identities, None, &mut tickets);
            found.extend(built.err().map(|problem| (format!("tls.{}", profile.name), problem)));
        }
    }
    if let Some(settings) = &config.api_key {
        let problems = load_keys(settings, &config.roles, &config.grants).err().unwrap_or_default();
        let setting = || "auth.api_key.keys_file".to_owned();
        found.extend(problems.into_iter().map(|problem| (setting(), problem)));
    }
    let problems = KeySets::default().load(config).err().unwrap_or_default();
    found.extend(problems.into_iter().map(|problem| ("auth".to_owned(), problem)));
    let enabled = Offer::new(Catalog::new(offered.clone())).enable(&[], &config.native);
    found.extend(enabled.err().map(|problem| ("native.enable".to_owned(), problem)));
    found
}

/// The facts of one certificate.
pub fn fact(profile: &str, identity: &Identity) -> CertificateFact {
    let name = identity.names.first().cloned().unwrap_or_else(|| "(no DNS name)".to_owned());
    CertificateFact { profile: profile.to_owned(), name, expires_at_s: identity.expires_at_s }
}

/// One bit for each role, by index.
pub fn role_bits(roles: &[usize]) -> u64 {
    roles.iter().fold(0, |bits, &index| bits | role_bit(index))
}

/// Builds what the shards know of each listener, in the order of the file.
pub fn build_listeners(config: &Config, tls: &[TlsMaterial], hsts: Hsts) -> Vec<Arc<Listener>> {
    let key_header = config.api_key.as_ref().map_or("x-api-key", |keys| keys.header.as_str());
    let built = config.listeners.iter().map(|listener| {
        let mut built = build_listener(listener, tls, key_header, hsts);
        built.resource = listener.resource.as_ref().map(|url| {
            Arc::new(metadata::build(
                url,
                &listener.path,
                &config.issuers,
                &config.grants,
                &built.header_block,
            ))
        });
        Arc::new(built)
    });
    built.collect()
}

fn build_listener(
    listener: &checked::Listener,
    tls: &[TlsMaterial],
    key_header: &str,
    hsts: Hsts,
) -> Listener {
    let (security, judge) = match listener.security {
        ListenerSecurity::Plain => (Security::Plain, None),
        ListenerSecurity::Tls(index) => {
            let tls = tls.get(index).expect("the checked configuration indexes its own TLS profiles");
            (Security::Tls(Arc::clone(&tls.config)), tls.judge.clone())
        }
    };
    let over_tls = match security {
        Security::Plain => Hsts::Omitted,
        Security::Tls(_) => hsts,
    };
    Listener {
        name: listener.name.as_str().into(),
        security,
        judge,
        speech: listener.speech.clone(),
        limits: listener.limits.clone(),
        path: listener.path.clone(),
        hostnames: listener.hostnames.clone(),
        origins: listener.origins.clone(),
        admission: listener.admission.clone(),
        methods: listener.methods.clone(),
        key_header: key_header.to_owned(),
        header_block: encode_header_block(listener.headers, over_tls),
        resource: None,
    }
}

/// Compiles the roles for what is offered.
fn build_policy(roles: &[RoleRules], shows: Shows, registry: &Registry) -> Result<Policy, Vec<Problem>> {
    let mut policy = Policy::compile(roles, registry).map_err(|RuleError { role, fault }| {
        let role = roles.get(role).map_or("?", |role| role.name.as_str());
        vec![Problem::error("E0361", format!("roles.{role}: {fault}"))]
    })?;
    policy.shows = shows;
    Ok(policy)
}

/// The same snapshot with what is offered now.
pub fn follow_offer(
    running: &Snapshot,
    roles: &[RoleRules],
    registry: Arc<Registry>,
) -> Result<Arc<Snapshot>, Vec<Problem>> {
    follow(running, roles, registry, Arc::clone(&running.identities))
}

/// The next snapshot of the same configuration.
fn follow(
    running: &Snapshot,
    roles: &[RoleRules],
    registry: Arc<Registry>,
    identities: Arc<Identities>,
) -> Result<Arc<Snapshot>, Vec<Problem>> {
    let policy = build_policy(roles, running.policy.shows, &registry)?;
    Ok(Arc::new(Snapshot {
        generation: running.generation + 1,
        modern_ending: running.modern_ending.clone(),
        server: running.server.clone(),
        limits: running.limits.clone(),
        listeners: running.listeners.clone(),
        identities,
        policy,
        rate_limits: running.rate_limits.clone(),
        registry,
        access_log: running.access_log,
        sealer: Arc::clone(&running.sealer),
    }))
}

/// The same snapshot with the keys of issuers as they are now.
pub fn follow_keys(
    running: &Snapshot,
    roles: &[RoleRules],
    key_sets: &KeySets,
) -> Result<Arc<Snapshot>, Vec<Problem>> {
    let mut identities = Identities::clone(&running.identities);
    identities.tokens = key_sets.renew(&identities.tokens);
    follow(running, roles, running.registry.clone(), Arc::new(identities))
}

/// Puts everything together. `listeners` are by the index that connections remember.
pub fn build_snapshot(
    config: &Config,
    identities: Arc<Identities>,
    listeners: Vec<Arc<Listener>>,
    generation: u64,
    kept: &Kept,
) -> Result<Arc<Snapshot>, Vec<Problem>> {
    let registry = kept.offer.registry();
    let policy = build_policy(&config.roles, config.shows, &registry)?;
    Ok(Arc::new(Snapshot {
        generation,
        modern_ending: config.server.modern_ending(),
        server: config.server.clone(),
        limits: config.limits.clone(),
        listeners,
        identities,
        policy,
        rate_limits: config.rate_limits.clone(),
        registry,
        access_log: config.log.access_log,
        sealer: Arc::clone(&kept.sealer),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::certs::tests::{identity, material};
    use super::super::config::checked::Resumption;
    use super::super::dev::tests::config;
    use super::*;

    #[test]
    fn sends_hsts_over_tls_only_and_never_in_development() {
        let mut config = config();
        let mut plain = config.listeners[0].clone();
        plain.security = ListenerSecurity::Plain;
        config.listeners = vec![plain, config.listeners[0].clone()];
        let profile = TlsProfile { resumption: Resumption::Off, ..TlsProfile::without_files("dev") };
        let tls = [material(&profile, vec![identity(&["localhost"])])];
        let sent = |hsts| -> Vec<bool> {
            let listeners = build_listeners(&config, &tls, hsts);
            listeners.iter().map(|listener| listener.header_block.starts_with(b"strict-transport")).collect()
        };
        assert_eq!(sent(Hsts::Sent), [false, true]);
        assert_eq!(sent(Hsts::Omitted), [false, false]);
    }
}
