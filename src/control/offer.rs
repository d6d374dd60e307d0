//! What is offered: the catalogue of whoever wrote the program, with the built-in tools that the configuration enables.
//! It may change at any moment and on any thread; what changed waits here, in bounded space, for the control thread.
//! Never: an edit lost; two edits may be told as one.
//! Next: `server`, which publishes what has changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::problem::Problem;
use crate::tools::demo::demo_tool;
use crate::tools::{Catalog, Change, Registry, RegistryError};

/// Resources whose change may wait to be told; beyond that, changes are lost and the loss is told.
const UPDATED_MAX: usize = 4096;

/// The catalogue and what has changed in it.
#[derive(Clone)]
pub struct Offer {
    catalog: Catalog,
    pending: Arc<Pending>,
}

#[derive(Default)]
struct Pending {
    changed: Mutex<Changed>,
    notify: Notify,
}

/// What has changed since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// A list has.
    pub lists: bool,
    /// Resources with new contents.
    pub resources: BTreeSet<Arc<str>>,
    /// Resources for which there was no room.
    pub lost: usize,
}

impl Offer {
    /// What a catalogue offers.
    pub fn new(catalog: Catalog) -> Self {
        let pending = Arc::new(Pending::default());
        let told = Arc::clone(&pending);
        catalog.subscribe(move |change| told.note(change));
        Self { catalog, pending }
    }

    /// What is offered now.
    pub fn registry(&self) -> Arc<Registry> {
        self.catalog.registry()
    }

    /// Enables the built-in tools `new` in place of `old`.
    ///
    /// # Errors
    /// When a name is unknown or taken; then nothing has changed.
    pub fn enable(&self, old: &[String], new: &[String]) -> Result<(), Problem> {
        if old == new {
            return Ok(());
        }
        let enabled = self.catalog.edit(|registry| -> Result<(), RegistryError> {
            let mut next = registry.clone();
            for name in old {
                next.remove_tool(name);
            }
            for name in new.iter().filter(|name| !is_set(name)) {
                next.register(demo_tool(name)?)?;
            }
            *registry = next;
            Ok(())
        });
        let enabled = enabled.and_then(|()| self.enable_sets(old, new));
        enabled.map_err(|error| {
            let problem = Problem::error("E0360", format!("native.enable: {error}"));
            match error {
                RegistryError::Duplicate(name) => problem
                    .help(format!("the program has a tool \"{name}\" of its own: leave the native one out")),
                RegistryError::Name(_)
                | RegistryError::Uri(_)
                | RegistryError::Schema { .. }
                | RegistryError::Malformed { .. }
                | RegistryError::Unknown { .. } => problem,
            }
        })
    }

    /// What is registered as a whole, and stays.
    #[cfg(feature = "fixtures")]
    fn enable_sets(&self, old: &[String], new: &[String]) -> Result<(), RegistryError> {
        if new.iter().any(|name| is_set(name)) && !old.iter().any(|name| is_set(name)) {
            crate::tools::fixtures(&self.catalog)?;
        }
        Ok(())
    }

    #[cfg(not(feature = "fixtures"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with the fixtures there is more to do"
    )]
    fn enable_sets(&self, _: &[String], _: &[String]) -> Result<(), RegistryError> {
        Ok(())
    }

    /// Waits for a change and takes all there are.
    pub async fn changed(&self) -> Changed {
        loop {
            let changed = std::mem::take(&mut *self.pending.lock());
            if changed != Changed::default() {
                return changed;
            }
            self.pending.notify.notified().await;
        }
    }

    /// Puts back what could not be told yet.
    pub fn restore(&self, changed: Changed) {
        let mut pending = self.pending.lock();
        pending.lists |= changed.lists;
        pending.resources.extend(changed.resources);
        pending.lost += changed.lost;
    }
}

/// Whether the name stands for more than one tool.
fn is_set(name: &str) -> bool {
    cfg!(feature = "fixtures") && name == "fixtures"
}

impl Pending {
    fn lock(&self) -> std::sync::MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: &Change) {
        {
            let mut changed = self.lock();
            match change {
                Change::Lists => changed.lists = true,
                Change::ResourceUpdated(_) if changed.resources.len() >= UPDATED_MAX => changed.lost += 1,
                Change::ResourceUpdated(uri) => {
                    changed.resources.insert(Arc::clone(uri));
                }
            }
        }
        self.notify.notify_one();
    }
}
