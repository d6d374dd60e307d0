//! A program of one's own: tools, resources and prompts, served by the whole of mcpring and its command line.
//! Never: a setting; how it is served is for the configuration to say.
//! Next: `cli`, the command line.

use std::process::ExitCode;

use super::cli;
use super::problem::{Exit, Problem};
use super::process::refuse;
use crate::pipeline::snapshot::Server;
use crate::tools::{Catalog, Prompt, Registry, RegistryError, Resource, ResourceTemplate, Tool};

/// What a program offers. [`App::main`] is its whole `main`: it understands `dev`, `run`, `validate` and `schema` as
/// `mcpring` itself does.
///
/// ```no_run
/// use mcpring::App;
/// use mcpring::tools::Tool;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Greet {
///     /// Who is greeted.
///     name: String,
/// }
///
/// fn main() -> std::process::ExitCode {
///     App::new("greeter", "1.0.0")
///         .tool(Tool::function("greet", "Greets someone.", |greet: Greet| Ok(format!("Hello, {}!", greet.name))))
///         .main()
/// }
/// ```
pub struct App {
    server: Server,
    registry: Registry,
    errors: Vec<RegistryError>,
}

impl App {
    /// A program of that name and version, which are what clients are told in `serverInfo`.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            server: Server { name: name.to_owned(), version: version.to_owned(), instructions: None },
            registry: Registry::default(),
            errors: Vec::new(),
        }
    }

    /// What a model should know before it uses the tools, unless the configuration says it.
    #[must_use]
    pub fn instructions(mut self, instructions: &str) -> Self {
        self.server.instructions = Some(instructions.to_owned());
        self
    }

    /// Offers a tool.
    #[must_use]
    pub fn tool(self, tool: Tool) -> Self {
        self.with(|registry| registry.register(tool))
    }

    /// Offers a resource.
    #[must_use]
    pub fn resource(self, resource: Resource) -> Self {
        self.with(|registry| registry.register_resource(resource))
    }

    /// Offers a family of resources.
    #[must_use]
    pub fn template(self, template: ResourceTemplate) -> Self {
        self.with(|registry| registry.register_template(template))
    }

    /// Offers a prompt.
    #[must_use]
    pub fn prompt(self, prompt: Prompt) -> Self {
        self.with(|registry| registry.register_prompt(prompt))
    }

    fn with(mut self, register: impl FnOnce(&mut Registry) -> Result<(), RegistryError>) -> Self {
        self.errors.extend(register(&mut self.registry).err());
        self
    }

    /// Does what the command line says, until it is done or a signal ends it.
    pub fn main(self) -> ExitCode {
        self.main_with(|_| {})
    }

    /// The same, and hands out the catalogue first: whoever keeps it can change what is offered while it is served.
    ///
    /// ```no_run
    /// use mcpring::App;
    /// use mcpring::tools::Resource;
    ///
    /// fn main() -> std::process::ExitCode {
    ///     let news = Resource::text("news://latest", "latest", "text/plain", "none yet");
    ///     App::new("news", "1.0.0").resource(news).main_with(|catalog| {
    ///         let catalog = catalog.clone();
    ///         std::thread::spawn(move || {
    ///             catalog.resource_updated("news://latest");
    ///         });
    ///     })
    /// }
    /// ```
    pub fn main_with(self, start: impl FnOnce(&Catalog)) -> ExitCode {
        let Self { server, registry, errors } = self;
        if !errors.is_empty() {
            let problem =
                |error: &RegistryError| Problem::error("E0362", error.to_string()).exit(Exit::Configuration);
            return refuse(&errors.iter().map(problem).collect::<Vec<_>>());
        }
        let catalog = Catalog::new(registry);
        start(&catalog);
        cli::run(Product { server, catalog })
    }
}

/// A program as the commands see it.
#[derive(Clone)]
pub struct Product {
    /// Who it says it is.
    pub server: Server,
    /// What it offers.
    pub catalog: Catalog,
}

impl Product {
    /// Whether it offers something of its own.
    pub fn offers_something(&self) -> bool {
        let registry = self.catalog.registry();
        use crate::tools::Kind::{Prompts, Resources, Templates, Tools};
        [Tools, Resources, Templates, Prompts].into_iter().any(|kind| registry.count(kind) > 0)
    }

    /// Fills in what the configuration does not say of the server.
    pub fn introduce(&self, configured: &mut Server) {
        if configured.name == env!("CARGO_PKG_NAME") {
            configured.name.clone_from(&self.server.name);
        }
        configured.version.clone_from(&self.server.version);
        if configured.instructions.is_none() {
            configured.instructions.clone_from(&self.server.instructions);
        }
    }
}
