//! What a new configuration changes in a running server: which listeners stay, open or close, and which
//! settings have to wait for a restart. Pure: old and new in, a plan out.
//! Never: a socket, a file.
//! Next: `process`, which carries the plan out.

use std::sync::Arc;

use super::config::checked::{Config, Listener, Runtime};
use crate::pipeline::authenticate::certificate::judge::Judge;
use crate::pipeline::snapshot::{self, Admission};
use crate::shard::address::Address;
use crate::shard::listen::Options;

/// A place in `Snapshot::listeners`. Connections remember its index for life, so places are never removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The listener's table name.
    pub name: String,
    /// As configured; port 0 stays 0.
    pub address: Address,
    /// As its socket was opened.
    pub options: Options,
    /// Whether it accepts.
    pub state: SlotState,
}

/// Whether a slot accepts connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// It does.
    Open,
    /// Its listener was removed; connections it had may live on.
    Closed,
}

impl Slot {
    /// An open slot for a configured listener.
    pub fn open(listener: &Listener) -> Self {
        Self {
            name: listener.name.clone(),
            address: listener.address.clone(),
            options: listener.socket,
            state: SlotState::Open,
        }
    }
}

/// What happens to a listener of the new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its socket stays.
    Kept,
    /// Its socket has to be bound.
    Added,
}

/// What a reload will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// For each new listener, by its index in the configuration: its slot and its fate. A slot number past
    /// the running slots is appended.
    pub placed: Vec<(usize, Fate)>,
    /// Slots that stop accepting.
    pub closed: Vec<usize>,
    /// Closed slots whose old connections follow the settings of a new listener of the same name: slot, then
    /// index in the configuration.
    pub followed: Vec<(usize, usize)>,
    /// Settings that need a restart, as `name old -> new`.
    pub restart: Vec<String>,
}

/// Decides. A listener keeps its socket when its address stays, even under another name; a changed address is
/// one listener removed and one added.
pub fn plan(running: &[Slot], old: &Runtime, new: &Config) -> Plan {
    let mut plan = Plan { restart: restart_needed(old, &new.runtime), ..Plan::default() };
    let mut taken = vec![false; running.len()];
    let kept = keep(running, &new.listeners, &mut taken);
    plan.closed =
        open_slots(running).filter(|&(index, _)| !is_taken(&taken, index)).map(|(index, _)| index).collect();
    let mut next = running.len();
    for (listener, kept) in new.listeners.iter().zip(&kept) {
        if let Some(index) = kept {
            plan.placed.push((*index, Fate::Kept));
            if let Some(slot) = running.get(*index) {
                plan.restart.extend(reopening_needed(&listener.name, &slot.options, &listener.socket));
            }
            continue;
        }
        // A slot that closed in an earlier reload is free again for its name; one that closes now is not, since a
        // shard would have to tell the two sockets of one index apart.
        let again = running.iter().enumerate().find(|(index, slot)| {
            slot.state == SlotState::Closed && slot.name == listener.name && !is_taken(&taken, *index)
        });
        let index = again.map_or(next, |(index, _)| index);
        match taken.get_mut(index) {
            Some(taken) => *taken = true,
            None => next += 1,
        }
        plan.placed.push((index, Fate::Added));
    }
    plan.followed = followed(running, &plan, &new.listeners);
    plan
}

fn is_taken(taken: &[bool], index: usize) -> bool {
    taken.get(index).copied().unwrap_or(true)
}

fn open_slots(running: &[Slot]) -> impl Iterator<Item = (usize, &Slot)> {
    running.iter().enumerate().filter(|(_, slot)| slot.state == SlotState::Open)
}

/// The open slot whose socket each listener keeps: the one of its name first, since several may ask for port 0.
fn keep(running: &[Slot], listeners: &[Listener], taken: &mut [bool]) -> Vec<Option<usize>> {
    let mut kept = vec![None; listeners.len()];
    for named in [true, false] {
        for (listener, kept) in listeners.iter().zip(&mut kept) {
            let found = open_slots(running).find(|(index, slot)| {
                let is_same = slot.address == listener.address && (slot.name == listener.name || !named);
                is_same && !is_taken(taken, *index)
            });
            if let (None, Some((index, _))) = (*kept, found) {
                *kept = Some(index);
                if let Some(taken) = taken.get_mut(index) {
                    *taken = true;
                }
            }
        }
    }
    kept
}

/// A connection made before its listener moved must not keep the old listener's permissions.
fn followed(running: &[Slot], plan: &Plan, listeners: &[Listener]) -> Vec<(usize, usize)> {
    let is_placed = |index: usize| plan.placed.iter().any(|&(slot, _)| slot == index);
    running
        .iter()
        .enumerate()
        .filter(|&(index, _)| !is_placed(index))
        .filter_map(|(index, slot)| {
            let listener = listeners.iter().position(|listener| listener.name == slot.name)?;
            Some((index, listener))
        })
        .collect()
}

/// The listeners of the next snapshot: the running ones with the new ones in their places. A listener that is gone
/// keeps its entry for the connections it still has; `judges` are those of all TLS profiles, by name.
pub fn place(
    running: &[Arc<snapshot::Listener>],
    plan: &Plan,
    built: &[Arc<snapshot::Listener>],
    judges: &[(&str, Option<Arc<Judge>>)],
) -> Vec<Arc<snapshot::Listener>> {
    let mut listeners = running.to_vec();
    for (&(index, _), listener) in plan.placed.iter().zip(built) {
        match listeners.get_mut(index) {
            Some(place) => *place = Arc::clone(listener),
            None => listeners.push(Arc::clone(listener)),
        }
    }
    for &(index, new) in &plan.followed {
        if let (Some(place), Some(listener)) = (listeners.get_mut(index), built.get(new)) {
            *place = Arc::clone(listener);
        }
    }
    // Whoever came without a name to a listener that is gone may not stay for ever.
    for &index in &plan.closed {
        if let Some(place) = listeners.get_mut(index)
            && place.admission == Admission::AnonymousAllowed
        {
            *place = Arc::new(snapshot::Listener {
                admission: Admission::Authenticated,
                ..snapshot::Listener::clone(place)
            });
        }
    }
    for (index, place) in listeners.iter_mut().enumerate() {
        let is_configured = plan.placed.iter().any(|&(slot, _)| slot == index)
            || plan.followed.iter().any(|&(slot, _)| slot == index);
        if !is_configured {
            rejudge(place, judges);
        }
    }
    listeners
}

/// Who came with a certificate to a listener that is gone is judged as its TLS profile says now: what is revoked later is
/// revoked there too. Where the profile is gone as well nobody could tell, and nobody stays.
fn rejudge(place: &mut Arc<snapshot::Listener>, judges: &[(&str, Option<Arc<Judge>>)]) {
    let Some(old) = &place.judge else { return };
    let current = judges.iter().find(|(name, _)| *name == &*old.rules.profile);
    let judge = match current {
        Some((_, judge)) => judge.clone(),
        None => Some(Arc::new(old.of_nobody())),
    };
    *place = Arc::new(snapshot::Listener { judge, ..snapshot::Listener::clone(place) });
}

/// What a socket that stays open does not follow.
fn reopening_needed(name: &str, old: &Options, new: &Options) -> Vec<String> {
    let mut changed = Vec::new();
    if old.backlog != new.backlog {
        changed.push(format!("listeners.{name}.backlog {} -> {}", old.backlog, new.backlog));
    }
    if old.keepalive != new.keepalive {
        changed.push(format!("listeners.{name}.tcp_keepalive {:?} -> {:?}", old.keepalive, new.keepalive));
    }
    if old.mode != new.mode {
        changed.push(format!("listeners.{name}.socket_mode {:04o} -> {:04o}", old.mode, new.mode));
    }
    changed
}

/// Threads, cores and rings are fixed for the life of the process.
fn restart_needed(old: &Runtime, new: &Runtime) -> Vec<String> {
    let mut changed = Vec::new();
    let mut compare = |name: &str, old: String, new: String| {
        if old != new {
            changed.push(format!("runtime.{name} {old} -> {new}"));
        }
    };
    compare("cpus", list(&old.cpus), list(&new.cpus));
    compare("pin", format!("{:?}", old.pin), format!("{:?}", new.pin));
    compare("driver", format!("{:?}", old.driver), format!("{:?}", new.driver));
    compare("ring_entries", old.ring_entries.to_string(), new.ring_entries.to_string());
    changed
}

fn list(cpus: &[usize]) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::UnixTime;

    use super::super::config::checked::{Driver, ListenerSecurity, Pin};
    use super::super::dev::tests::config;
    use super::super::headers::Hsts;
    use super::super::publish::build_listeners;
    use super::*;
    use crate::pipeline::authenticate::certificate::judge::Rules;
    use crate::pipeline::authenticate::certificate::tests::{Authority, judge, now, rules};

    const OPTIONS: Options = Options { backlog: 64, keepalive: Duration::from_secs(60), mode: 0o660 };

    fn slot(text: &str) -> Slot {
        let (state, text) = match text.strip_prefix('-') {
            Some(rest) => (SlotState::Closed, rest),
            None => (SlotState::Open, text),
        };
        let (name, port) = text.split_once(':').unwrap();
        let address = Address::Tcp(([127, 0, 0, 1], port.parse().unwrap()).into());
        Slot { name: name.to_owned(), address, options: OPTIONS, state }
    }

    fn listeners(text: &str) -> Config {
        let mut config = config();
        let model = config.listeners[0].clone();
        config.listeners = text
            .split_whitespace()
            .map(|text| {
                let slot = slot(text);
                Listener { name: slot.name, address: slot.address, socket: OPTIONS, ..model.clone() }
            })
            .collect();
        config
    }

    #[test]
    fn keeps_the_sockets_of_paths_and_of_systemd() {
        let mut config = listeners("a:1 b:2");
        config.listeners[0].address = Address::Unix("/run/a".into());
        config.listeners[1].address = Address::Systemd("b".to_owned());
        let running: Vec<Slot> = config.listeners.iter().map(Slot::open).collect();
        let same = plan(&running, &config.runtime, &config);
        assert_eq!(same.placed, [(0, Fate::Kept), (1, Fate::Kept)]);
        assert!(same.restart.is_empty() && same.closed.is_empty());
        config.listeners[0].address = Address::Unix("/run/b".into());
        let moved = plan(&running, &config.runtime, &config);
        assert_eq!((moved.placed, moved.closed), (vec![(2, Fate::Added), (1, Fate::Kept)], vec![0]));
    }

    #[test]
    fn keeps_adds_and_closes_listeners() {
        use Fate::{Added, Kept};
        // `name:port`, a leading `-` for a slot that closed earlier.
        type Case = (
            &'static str,
            &'static str,
            &'static [(usize, Fate)],
            &'static [usize],
            &'static [(usize, usize)],
        );
        let table: &[Case] = &[
            ("a:1", "a:1", &[(0, Kept)], &[], &[]),
            ("a:1 b:2", "b:2 a:1", &[(1, Kept), (0, Kept)], &[], &[]),
            ("a:1", "a:1 b:2", &[(0, Kept), (1, Added)], &[], &[]),
            ("a:1 b:2", "b:2", &[(1, Kept)], &[0], &[]),
            ("a:1", "a:2", &[(1, Added)], &[0], &[(0, 0)]),
            ("a:1", "b:1", &[(0, Kept)], &[], &[]),
            ("a:1 b:2", "a:2 b:1", &[(1, Kept), (0, Kept)], &[], &[]),
            ("-a:1 a:2", "a:1", &[(0, Added)], &[1], &[(1, 0)]),
            ("-a:1 a:2", "a:3", &[(0, Added)], &[1], &[(1, 0)]),
            ("-a:1 a:2", "a:2", &[(1, Kept)], &[], &[(0, 0)]),
            ("-a:1 b:2", "b:2 c:3", &[(1, Kept), (2, Added)], &[], &[]),
            ("-a:1 b:2", "a:2", &[(1, Kept)], &[], &[(0, 0)]),
            ("a:0 b:0", "b:0 a:0", &[(1, Kept), (0, Kept)], &[], &[]),
            ("a:0", "a:0 b:0", &[(0, Kept), (1, Added)], &[], &[]),
            ("a:1", "b:2 c:3", &[(1, Added), (2, Added)], &[0], &[]),
        ];
        for (old, new, placed, closed, followed) in table {
            let running: Vec<Slot> = old.split_whitespace().map(slot).collect();
            let config = listeners(new);
            let plan = plan(&running, &config.runtime, &config);
            assert_eq!(plan.placed, *placed, "{old} => {new}");
            assert_eq!(plan.closed, *closed, "{old} => {new}");
            assert_eq!(plan.followed, *followed, "{old} => {new}");
            assert!(plan.restart.is_empty());
        }
    }

    #[test]
    fn a_listener_that_is_gone_judges_as_its_profile_does_now() {
        let authority = Authority::new("clients");
        let by = |version: u8, profile: &str| {
            let rules = Rules { profile: profile.into(), ..rules(&[]) };
            let mut judge = judge(&[&authority], &[], rules);
            judge.version = [version; 32];
            Some(Arc::new(judge))
        };
        let plain = |text| {
            let mut config = listeners(text);
            config.listeners.iter_mut().for_each(|listener| listener.security = ListenerSecurity::Plain);
            config
        };
        let (old, config) = (plain("a:1"), plain("b:2"));
        let build = |config: &Config, judge: &Option<Arc<Judge>>| {
            let built = build_listeners(config, &[], Hsts::Omitted);
            let judged = |listener: &Arc<snapshot::Listener>| {
                Arc::new(snapshot::Listener { judge: judge.clone(), ..snapshot::Listener::clone(listener) })
            };
            built.iter().map(judged).collect::<Vec<_>>()
        };
        let running: Vec<Slot> = old.listeners.iter().map(Slot::open).collect();
        let closing = plan(&running, &old.runtime, &config);
        let (before, built) = (build(&old, &by(1, "x")), build(&config, &by(1, "x")));
        let versions = |placed: &[Arc<snapshot::Listener>]| -> Vec<Option<u8>> {
            placed.iter().map(|listener| listener.judge.as_ref().map(|judge| judge.version[0])).collect()
        };
        let placed = place(&before, &closing, &built, &[("y", by(3, "y")), ("x", by(2, "x"))]);
        assert_eq!(versions(&placed), [Some(2), Some(1)]);
        // And with every later change.
        let mut slots = running.clone();
        slots[0].state = SlotState::Closed;
        slots.extend(config.listeners.iter().map(Slot::open));
        let later = plan(&slots, &config.runtime, &config);
        let placed = place(&placed, &later, &built, &[("x", by(4, "x"))]);
        assert_eq!(versions(&placed), [Some(4), Some(1)]);
        assert_eq!(versions(&place(&placed, &later, &built, &[("x", None)])), [None, Some(1)]);
        // The profile is gone: nobody may stay.
        let placed = place(&placed, &later, &built, &[("y", by(5, "y"))]);
        assert_eq!(versions(&placed), [Some(0), Some(1)]);
        let moment = UnixTime::since_unix_epoch(Duration::from_secs(now().unix_s()));
        let client = [authority.client(|_| {})];
        assert!(placed[1].judge.as_ref().unwrap().judge(&client, moment).is_ok());
        assert!(placed[0].judge.as_ref().unwrap().judge(&client, moment).is_err());
    }

    #[test]
    fn names_what_needs_a_restart() {
        let old = config().runtime;
        let changed = |change: fn(&mut Runtime)| {
            let mut config = config();
            change(&mut config.runtime);
            plan(&[], &old, &config).restart
        };
        assert_eq!(changed(|runtime| runtime.cpus = vec![0, 2]), ["runtime.cpus 0 -> 0,2"]);
        assert_eq!(changed(|runtime| runtime.pin = Pin::Pinned), ["runtime.pin Floating -> Pinned"]);
        assert_eq!(changed(|runtime| runtime.driver = Driver::Epoll), ["runtime.driver Auto -> Epoll"]);
        assert_eq!(changed(|runtime| runtime.ring_entries = 8), ["runtime.ring_entries 1024 -> 8"]);
        assert!(changed(|runtime| runtime.shutdown_grace = Duration::ZERO).is_empty());
        let mut config = listeners("a:1");
        config.listeners[0].socket = Options { backlog: 128, keepalive: Duration::ZERO, mode: 0o600 };
        assert_eq!(
            plan(&[slot("a:1")], &config.runtime, &config).restart,
            [
                "listeners.a.backlog 64 -> 128",
                "listeners.a.tcp_keepalive 60s -> 0ns",
                "listeners.a.socket_mode 0660 -> 0600",
            ]
        );
    }
}
