//! The running server as the control plane holds it: what was started, and how a reload changes it.
//! A reload is all or nothing: everything is loaded, built and bound before the shards hear of it.
//! Never: a signal, a file name; `process` decides when.
//! Next: `reload` for the plan, `publish` for the snapshot, `start` for the sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::certs::{judges, warm};
use super::config::checked::{Config, Runtime};
use super::headers::Hsts;
use super::log::line::Entry;
use super::log::{Logger, decode_filter};
use super::moment;
use super::offer::{Changed, Offer};
use super::problem::{Exit, Problem};
use super::publish::{
    CertificateFact, Kept, Materials, build_listeners, build_snapshot, facts, follow_keys, follow_offer,
    load_materials,
};
use super::reload::{Fate, Plan, Slot, SlotState, place, plan};
use super::start::{self, Opened, open};
use tracing::Level;

use crate::pipeline::event::Count;
use crate::pipeline::hub::listen::Change;
use crate::pipeline::snapshot::Snapshot;
use crate::shard::address::Address;
use crate::shard::driver::Driver;
use crate::shard::fleet::{Fleet, MailboxFull, Socket};
use crate::shard::listen::SocketFile;

/// Everything that can fail before the first shard runs, done.
pub struct Prepared {
    /// With `max_connections` as it can be served.
    pub config: Arc<Config>,
    kept: Kept,
    hsts: Hsts,
    materials: Materials,
    snapshot: Arc<Snapshot>,
    sockets: Vec<Vec<Socket>>,
    usable_connections: u64,
    /// The driver of every shard.
    pub driver: Driver,
    /// Where each listener accepts, in the order of the configuration.
    pub addresses: Vec<Address>,
    /// By slot.
    files: BTreeMap<usize, SocketFile>,
    /// What the operator should know.
    pub warnings: Vec<Problem>,
    /// For the banner.
    pub certificates: Vec<CertificateFact>,
}

impl Prepared {
    /// Chooses the driver, binds, builds the first snapshot and pays for the first handshake. All problems are listed.
    pub fn build(
        mut config: Config,
        materials: Materials,
        kept: Kept,
        hsts: Hsts,
    ) -> Result<Self, Vec<Problem>> {
        let (driver, warning) = start::choose_driver(&config.runtime).map_err(|problem| vec![problem])?;
        let mut warnings: Vec<Problem> = warning.into_iter().collect();
        let usable_connections = start::raise_descriptor_limit();
        warnings.extend(bound_connections(&mut config, usable_connections));
        let shards = config.runtime.cpus.len();
        let indices: Vec<(usize, usize)> = (0..config.listeners.len()).map(|index| (index, index)).collect();
        let Opened { addresses, sockets, files } = open(&config, &indices, &kept.passed, shards)?;
        let listeners = build_listeners(&config, &materials.tls, hsts);
        warm::warm_first(&listeners)?;
        kept.offer.enable(&[], &config.native).map_err(|problem| vec![problem])?;
        let snapshot = build_snapshot(&config, Arc::clone(&materials.identities), listeners, 1, &kept)?;
        let sockets = start::share_out(sockets, shards);
        let certificates = facts(&config, &materials);
        Ok(Self {
            config: Arc::new(config),
            kept,
            hsts,
            materials,
            snapshot,
            sockets,
            usable_connections,
            driver,
            addresses,
            files,
            warnings,
            certificates,
        })
    }

    /// Starts the shards. From here on connections are accepted.
    pub fn launch(self, log: Logger) -> Result<Server, Problem> {
        let settings = start::build_settings(&self.config.runtime, self.driver);
        let fleet =
            Fleet::start(settings, &self.snapshot, self.sockets, self.config.runtime.blocking_threads)
                .map_err(|error| {
                    Problem::error(
                        "E0406",
                        format!("cannot start the shards: {}", super::files::reason(&error)),
                    )
                    .exit(Exit::Unavailable)
                })?;
        log.watch(fleet.events());
        Ok(Server {
            slots: self.config.listeners.iter().map(Slot::open).collect(),
            files: self.files,
            runtime: self.config.runtime.clone(),
            config: self.config,
            materials: self.materials,
            snapshot: self.snapshot,
            usable_connections: self.usable_connections,
            kept: self.kept,
            hsts: self.hsts,
            keys_untold: false,
            fleet,
            log,
        })
    }
}

/// The running server.
pub struct Server {
    /// One for each of the snapshot's listeners.
    slots: Vec<Slot>,
    /// The files of Unix sockets, by slot; they go with their listeners.
    files: BTreeMap<usize, SocketFile>,
    /// As the shards were started; a reload changes only `shutdown_grace`.
    runtime: Runtime,
    /// As it runs.
    pub(super) config: Arc<Config>,
    /// What it names, as it is served.
    pub(super) materials: Materials,
    snapshot: Arc<Snapshot>,
    usable_connections: u64,
    /// What outlives reloads.
    pub(super) kept: Kept,
    hsts: Hsts,
    /// The shards do not have the keys of issuers as they are now.
    keys_untold: bool,
    fleet: Fleet,
    /// The log.
    pub log: Logger,
}

/// What a reload did.
pub struct Reloaded {
    /// Of the snapshot that runs now.
    pub generation: u64,
    /// Names of listeners that were opened, and where.
    pub added: Vec<String>,
    /// Names of listeners that were closed.
    pub closed: Vec<String>,
    /// Settings that wait for a restart.
    pub restart: Vec<String>,
    /// What the operator should know.
    pub warnings: Vec<Problem>,
}

impl Server {
    /// Moves to a new configuration, or stays with the old one and says why.
    pub fn reload(&mut self, mut config: Config) -> Result<Reloaded, Vec<Problem>> {
        let mut warnings = Vec::new();
        warnings.extend(bound_connections(&mut config, self.usable_connections));
        let plan = plan(&self.slots, &self.runtime, &config);
        decode_filter(&config.log.level).map_err(|problem| vec![problem])?;
        let materials = load_materials(&config, &mut self.kept, moment::unix_now_s())?;
        let shards = self.runtime.cpus.len();
        let opened = open(&config, &added(&plan), &self.kept.passed, shards)?;
        let built = build_listeners(&config, &materials.tls, self.hsts);
        warm::warm_first(&built)?;
        let listeners = place(&self.snapshot.listeners, &plan, &built, &judges(&config.tls, &materials.tls));
        let generation = self.snapshot.generation + 1;
        let offer = self.kept.offer.clone();
        offer.enable(&self.config.native, &config.native).map_err(|problem| vec![problem])?;
        let identities = Arc::clone(&materials.identities);
        let published =
            build_snapshot(&config, identities, listeners, generation, &self.kept).and_then(|snapshot| {
                let sockets = start::share_out(opened.sockets, shards);
                self.fleet.publish(&snapshot, sockets, &plan.closed).map_err(mailbox_full)?;
                Ok(snapshot)
            });
        let snapshot = published.inspect_err(|_| {
            // The tools that were enabled before are, so they can be again.
            let _ = offer.enable(&config.native, &self.config.native);
        })?;
        // The shards have it: from here on nothing may fail.
        let names = |indices: &mut dyn Iterator<Item = usize>| -> Vec<String> {
            indices.filter_map(|index| self.slots.get(index)).map(|slot| slot.name.clone()).collect()
        };
        let closed = names(&mut plan.closed.iter().copied());
        self.snapshot = snapshot;
        self.files.retain(|slot, _| !plan.closed.contains(slot));
        self.files.extend(opened.files);
        self.occupy(&plan, &config);
        self.runtime.shutdown_grace = config.runtime.shutdown_grace;
        if let Err(problem) = self.log.reload(&config.log) {
            warnings.push(problem);
        }
        let added = plan.placed.iter().zip(&config.listeners).filter(|((_, fate), _)| *fate == Fate::Added);
        let added = added.map(|(_, listener)| listener.name.clone()).zip(opened.addresses);
        let added = added.map(|(name, address)| format!("{name} {address}")).collect();
        self.config = Arc::new(config);
        self.materials = materials;
        Ok(Reloaded { generation, added, closed, restart: plan.restart, warnings })
    }

    /// Moves to other materials under the configuration that runs, or stays with those it has and says why.
    pub fn adopt(&mut self, materials: Materials) -> Result<u64, Vec<Problem>> {
        let config = Arc::clone(&self.config);
        let built = build_listeners(&config, &materials.tls, self.hsts);
        warm::warm_first(&built)?;
        let plan = plan(&self.slots, &self.runtime, &config);
        let listeners = place(&self.snapshot.listeners, &plan, &built, &judges(&config.tls, &materials.tls));
        let (identities, generation) = (Arc::clone(&materials.identities), self.snapshot.generation + 1);
        let snapshot = build_snapshot(&config, identities, listeners, generation, &self.kept)?;
        self.fleet.publish(&snapshot, Vec::new(), &[]).map_err(mailbox_full)?;
        self.snapshot = snapshot;
        self.materials = materials;
        Ok(generation)
    }

    /// What is offered, to wait for its changes.
    pub fn offer(&self) -> Offer {
        self.kept.offer.clone()
    }

    /// Looks after the keys of issuers: takes what was fetched, asks for what is due. Nothing here waits.
    pub fn tend_keys(&mut self) {
        let tended = self.kept.key_sets.tend(Instant::now());
        tended.problems.iter().for_each(|problem| self.log.problem(problem));
        if tended.has_changed {
            self.keys_untold = true;
        }
        if !tended.renewed.is_empty() {
            self.log.entry(Entry::new(Level::INFO, "keys_renewed").with("issuers", tended.renewed));
        }
        // A mailbox that is full has room the next time.
        if self.keys_untold {
            match follow_keys(&self.snapshot, &self.config.roles, &self.kept.key_sets) {
                Ok(snapshot) if self.fleet.publish(&snapshot, Vec::new(), &[]).is_ok() => {
                    self.materials.identities = Arc::clone(&snapshot.identities);
                    (self.snapshot, self.keys_untold) = (snapshot, false);
                }
                Ok(_) => {}
                Err(problems) => problems.iter().for_each(|problem| self.log.problem(problem)),
            }
        }
    }

    /// Tells the shards what has changed in what is offered. What finds no room now is to be told again.
    pub fn follow(&mut self, mut changed: Changed) {
        let registry = self.kept.offer.registry();
        if changed.lists && !Arc::ptr_eq(&registry, &self.snapshot.registry) {
            match follow_offer(&self.snapshot, &self.config.roles, registry) {
                Ok(snapshot) => {
                    if self.fleet.publish(&snapshot, Vec::new(), &[]).is_ok() {
                        self.snapshot = snapshot;
                        changed.lists = false;
                    }
                }
                Err(problems) => problems.iter().for_each(|problem| self.log.problem(problem)),
            }
        } else {
            changed.lists = false;
        }
        while let Some(uri) = changed.resources.pop_first() {
            if self.fleet.tell(&Change::Resource(Arc::clone(&uri))).is_err() {
                changed.resources.insert(uri);
                break;
            }
        }
        if changed.lost > 0 {
            self.log.entry(Entry::new(Level::WARN, "updates_lost").with("resources", changed.lost));
            changed.lost = 0;
        }
        if changed != Changed::default() {
            self.kept.offer.restore(changed);
        }
    }

    /// Brings the slots in line with the plan that was carried out.
    fn occupy(&mut self, plan: &Plan, config: &Config) {
        for &index in &plan.closed {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.state = SlotState::Closed;
            }
        }
        for (&(index, fate), listener) in plan.placed.iter().zip(&config.listeners) {
            let mut fresh = Slot::open(listener);
            match self.slots.get_mut(index) {
                Some(slot) => {
                    if fate == Fate::Kept {
                        // The socket is the old one, and so is how it was opened.
                        fresh.options = slot.options;
                    }
                    *slot = fresh;
                }
                None => self.slots.push(fresh),
            }
        }
    }

    /// Stops accepting; what is in flight is finished.
    pub fn drain(&self) {
        self.fleet.drain();
    }

    /// Whether every shard has ended.
    pub fn is_finished(&self) -> bool {
        self.fleet.is_finished()
    }

    /// How long a drain may take.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        let events = self.fleet.events();
        let sum = |count| events.iter().map(|events| events.total(count)).sum::<u64>();
        sum(Count::ListenAccepted).saturating_sub(sum(Count::ListenClosed))
    }

    /// Writes what is left of the log. Shards that have not ended go with the process.
    pub fn finish(self) {
        self.log.finish();
    }
}

fn mailbox_full(error: MailboxFull) -> Vec<Problem> {
    vec![Problem::error("E0405", error.to_string()).exit(Exit::Unavailable)]
}

/// Configuration index and slot of each listener that has to be bound.
fn added(plan: &Plan) -> Vec<(usize, usize)> {
    let numbered = plan.placed.iter().enumerate();
    numbered.filter(|(_, (_, fate))| *fate == Fate::Added).map(|(index, (slot, _))| (index, *slot)).collect()
}

fn bound_connections(config: &mut Config, usable: u64) -> Option<Problem> {
    let (bounded, warning) = start::bound_connections(config.limits.connections_max, usable);
    config.limits.connections_max = bounded;
    warning
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::super::config::checked::ListenerSecurity;
    use super::super::dev::tests::config;
    use super::super::keys::no_keys;
    use super::*;
    use crate::pipeline::authenticate::Identities;
    use crate::pipeline::snapshot::Admission;
    use crate::tools::{Catalog, Registry};

    /// A development configuration without TLS, with these listeners: a name and an address each.
    fn plain(listeners: &[(&str, SocketAddr)]) -> Config {
        let mut config = config();
        let model = config.listeners.remove(0);
        config.tls.clear();
        config.log.level = "off".to_owned();
        config.listeners.extend(listeners.iter().map(|&(name, address)| {
            let mut listener = model.clone();
            (listener.name, listener.address) = (name.to_owned(), address.into());
            listener.security = ListenerSecurity::Plain;
            listener
        }));
        config
    }

    fn launch(config: Config) -> (Server, Vec<SocketAddr>) {
        let materials = Materials { tls: Vec::new(), identities: Arc::new(Identities::build(no_keys(), 0)) };
        let prepared = Prepared::build(
            config,
            materials,
            Kept::build(Catalog::new(Registry::default())).unwrap(),
            Hsts::Sent,
        )
        .unwrap();
        let addresses = prepared.addresses.iter().filter_map(Address::tcp).collect();
        let log = Logger::start(&prepared.config.log).unwrap();
        (prepared.launch(log).unwrap(), addresses)
    }

    fn names(server: &Server) -> Vec<&str> {
        server.snapshot.listeners.iter().map(|listener| &*listener.name).collect()
    }

    #[test]
    fn moves_to_a_new_configuration_or_stays_whole_with_the_old() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (mut server, addresses) = launch(plain(&[("a", any)]));
        TcpStream::connect(addresses[0]).unwrap();
        let done = server.reload(plain(&[("a", any), ("b", any)])).unwrap();
        assert_eq!((done.generation, done.closed.len(), done.restart.len()), (2, 0, 0));
        let (name, address) = done.added[0].split_once(' ').unwrap();
        assert_eq!(name, "b");
        let second: SocketAddr = address.parse().unwrap();
        TcpStream::connect(second).unwrap();
        // One listener could be opened, the other could not: neither is, and the running ones stay.
        let taken = TcpListener::bind(any).unwrap();
        let refused = server
            .reload(plain(&[("a", any), ("c", any), ("d", taken.local_addr().unwrap())]))
            .err()
            .unwrap();
        assert_eq!(refused.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["E0401"]);
        assert_eq!((server.snapshot.generation, names(&server)), (2, vec!["a", "b"]));
        TcpStream::connect(addresses[0]).unwrap();
        TcpStream::connect(second).unwrap();
        let done = server.reload(plain(&[("b", any)])).unwrap();
        assert_eq!((done.generation, done.closed), (3, vec!["a".to_owned()]));
        assert_eq!(names(&server), ["a", "b"], "connections remember their index");
        assert_eq!(
            server.slots.iter().map(|slot| slot.state).collect::<Vec<_>>(),
            [SlotState::Closed, SlotState::Open]
        );
        server.drain();
    }

    #[test]
    fn a_listener_that_is_gone_lets_nobody_stay_without_a_name() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let with = |listeners: &[(&str, SocketAddr)]| {
            let mut config = plain(listeners);
            config.listeners.iter_mut().for_each(|it| it.admission = Admission::AnonymousAllowed);
            config
        };
        let (mut server, _) = launch(with(&[("a", any), ("b", any)]));
        server.reload(with(&[("b", any)])).unwrap();
        let admissions = server.snapshot.listeners.iter().map(|listener| listener.admission.clone());
        assert_eq!(admissions.collect::<Vec<_>>(), [Admission::Authenticated, Admission::AnonymousAllowed]);
        server.drain();
    }

    #[test]
    fn refuses_settings_that_cannot_be_built_and_names_them() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (mut server, _) = launch(plain(&[("a", any)]));
        let mut refused = |change: fn(&mut Config)| {
            let mut config = plain(&[("a", any)]);
            change(&mut config);
            server.reload(config).err().unwrap().remove(0).to_string()
        };
        assert!(refused(|config| config.native = vec!["teleport".to_owned()]).contains("native.enable"));
        assert!(refused(|config| config.log.level = "loud".to_owned()).contains("\"loud\" is no level"));
        let pattern = refused(|config| config.roles[0].allow = vec!["a b".to_owned()]);
        assert!(pattern.contains("roles.operator: pattern \"a b\""), "{pattern}");
        assert_eq!(server.snapshot.generation, 1);
        server.drain();
    }
}
