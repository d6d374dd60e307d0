//! A registry that changes while a server runs: each edit makes a new one, and whoever serves it is told.
//! Never: a lock on the path of a request; a shard reads the registry of its snapshot.
//! Next: `registry`, what is edited.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::registry::RegistryError;
use super::{Prompt, Registry, Resource, ResourceTemplate, Tool};

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something was registered or removed; [`Catalog::registry`] is the new state.
    Lists,
    /// The contents of the resource with that URI.
    ResourceUpdated(Arc<str>),
}

type Subscriber = Arc<dyn Fn(&Change) + Send + Sync>;

/// A handle that may be cloned and used on any thread.
///
/// ```
/// use mcpring::tools::{Catalog, Registry, Resource};
///
/// let catalog = Catalog::new(Registry::default());
/// catalog.register_resource(Resource::text("docs://a", "a", "text/plain", "A"))?;
/// assert!(catalog.registry().find_resource("docs://a").is_some());
/// catalog.edit(|registry| registry.remove_resource("docs://a"));
/// assert!(catalog.registry().find_resource("docs://a").is_none());
/// # Ok::<(), mcpring::tools::RegistryError>(())
/// ```
#[derive(Clone)]
pub struct Catalog {
    state: Arc<Mutex<State>>,
}

struct State {
    registry: Arc<Registry>,
    subscribers: Vec<Subscriber>,
}

impl Catalog {
    /// A catalogue that begins with `registry`.
    pub fn new(registry: Registry) -> Self {
        let state = State { registry: Arc::new(registry), subscribers: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// What is offered now.
    pub fn registry(&self) -> Arc<Registry> {
        self.state().registry.clone()
    }

    /// Changes what is offered: all that `change` did becomes visible at once. Other edits wait meanwhile, so `change`
    /// must not use the catalogue itself. When it panics, nothing has changed.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Registry) -> R) -> R {
        let (result, subscribers) = {
            let mut state = self.state();
            let mut registry = Registry::clone(&state.registry);
            let result = change(&mut registry);
            if !registry.differs(&state.registry) {
                return result;
            }
            state.registry = Arc::new(registry);
            (result, state.subscribers.clone())
        };
        tell(&subscribers, &Change::Lists);
        result
    }

    /// Adds a tool.
    ///
    /// # Errors
    /// As [`Registry::register`].
    pub fn register(&self, tool: Tool) -> Result<(), RegistryError> {
        self.edit(|registry| registry.register(tool))
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// As [`Registry::register_resource`].
    pub fn register_resource(&self, resource: Resource) -> Result<(), RegistryError> {
        self.edit(|registry| registry.register_resource(resource))
    }

    /// Adds a template.
    ///
    /// # Errors
    /// As [`Registry::register_template`].
    pub fn register_template(&self, template: ResourceTemplate) -> Result<(), RegistryError> {
        self.edit(|registry| registry.register_template(template))
    }

    /// Adds a prompt.
    ///
    /// # Errors
    /// As [`Registry::register_prompt`].
    pub fn register_prompt(&self, prompt: Prompt) -> Result<(), RegistryError> {
        self.edit(|registry| registry.register_prompt(prompt))
    }

    /// Takes out a tool; false when there is none of that name.
    pub fn remove_tool(&self, name: &str) -> bool {
        self.edit(|registry| registry.remove_tool(name))
    }

    /// Takes out a resource; false when there is none of that URI.
    pub fn remove_resource(&self, uri: &str) -> bool {
        self.edit(|registry| registry.remove_resource(uri))
    }

    /// Takes out a template; false when there is none of that shape.
    pub fn remove_template(&self, uri_template: &str) -> bool {
        self.edit(|registry| registry.remove_template(uri_template))
    }

    /// Takes out a prompt; false when there is none of that name.
    pub fn remove_prompt(&self, name: &str) -> bool {
        self.edit(|registry| registry.remove_prompt(name))
    }

    /// Says that a resource reads otherwise than before, for clients that watch it.
    pub fn resource_updated(&self, uri: &str) {
        let subscribers = self.state().subscribers.clone();
        tell(&subscribers, &Change::ResourceUpdated(uri.into()));
    }

    /// Calls `listen` after each change, on the thread that made it: it must not block.
    pub fn subscribe(&self, listen: impl Fn(&Change) + Send + Sync + 'static) {
        self.state().subscribers.push(Arc::new(listen));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // An edit swaps a finished registry in, so a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(subscribers: &[Subscriber], change: &Change) {
    for listen in subscribers {
        listen(change);
    }
}
