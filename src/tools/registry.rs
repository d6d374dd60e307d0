//! What a server offers, found by name; the order of registration is the order of the lists.
//! A registry is cheap to clone: what is in it is shared. `catalog` edits one while a server runs.
//! Next: `shelf`, one list of it; `listing`, what is told of an entry.

use super::listing::Listing;
use super::schema::SchemaError;
use super::shelf::Shelf;
use super::template::Bindings;
use super::{Prompt, Resource, ResourceTemplate, Tool};

/// Longest name of a tool or prompt. MCP 2026-07-28, tools: 1 to 128 characters.
pub const NAME_BYTES_MAX: usize = 128;

/// Longest URI or URI template.
pub const URI_BYTES_MAX: usize = 2048;

/// Why something was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Not 1 to 128 of `A-Z a-z 0-9 _ . -`.
    #[error("name {0:?}: use 1 to 128 of A-Z a-z 0-9 _ . -")]
    Name(String),
    /// Not 1 to 2048 visible characters that begin with a scheme.
    #[error("URI {0:?}: use at most 2048 visible characters that begin with a scheme such as file:")]
    Uri(String),
    /// Registered before.
    #[error("{} {name:?} is registered twice", kind.noun())]
    Duplicate {
        /// Tool, resource, template or prompt.
        kind: Kind,
        /// Its name, URI or shape.
        name: String,
    },
    /// A schema that can not be used.
    #[error("tool {name:?}: {error}")]
    Schema {
        /// The tool.
        name: String,
        /// What is wrong with it.
        error: SchemaError,
    },
    /// A template or prompt that contradicts itself.
    #[error("{name:?}: {problem}")]
    Malformed {
        /// Its name or shape.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Asked for by name, but not there.
    #[error("no tool {name:?}; known are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// The lists of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Tools, by name.
    Tools,
    /// Resources, by URI.
    Resources,
    /// Templates of resources, by their shape.
    Templates,
    /// Prompts, by name.
    Prompts,
}

impl Kind {
    /// One of the list, in words.
    fn noun(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Resources => "resource",
            Self::Templates => "resource template",
            Self::Prompts => "prompt",
        }
    }
}

/// One thing in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'r> {
    /// Where it stands, from 0.
    pub index: usize,
    /// Its number, which stays the same while others come and go, and rises along the list.
    pub ordinal: u64,
    /// Name, URI or template.
    pub name: &'r str,
    /// What is listed of it.
    pub listing: &'r Listing,
}

/// Everything a server offers.
#[derive(Clone, Default)]
pub struct Registry {
    tools: Shelf<Tool>,
    resources: Shelf<Resource>,
    templates: Shelf<ResourceTemplate>,
    prompts: Shelf<Prompt>,
}

/// Putting in and taking out.
impl Registry {
    /// Adds a tool.
    ///
    /// # Errors
    /// When the name is malformed or taken, or a schema can not be used.
    pub fn register(&mut self, tool: Tool) -> Result<(), RegistryError> {
        check_name(tool.name())?;
        tool.check().map_err(|error| RegistryError::Schema { name: tool.name().to_owned(), error })?;
        let (name, listing) = (tool.shared_name(), Listing::of_tool(&tool));
        self.tools.insert(Kind::Tools, name, tool, listing)
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// When the URI is malformed or taken.
    pub fn register_resource(&mut self, resource: Resource) -> Result<(), RegistryError> {
        check_uri(resource.uri())?;
        let listing = Listing::same(resource.listing());
        self.resources.insert(Kind::Resources, resource.uri().into(), resource, listing)
    }

    /// Adds a template of resources.
    ///
    /// # Errors
    /// When the shape is malformed or taken, or there are suggestions for a variable that it has not.
    pub fn register_template(&mut self, template: ResourceTemplate) -> Result<(), RegistryError> {
        check_uri(template.uri_template())?;
        refuse_problem(template.uri_template(), template.problem())?;
        let listing = Listing::same(template.listing());
        self.templates.insert(Kind::Templates, template.uri_template().into(), template, listing)
    }

    /// Adds a prompt.
    ///
    /// # Errors
    /// When the name is malformed or taken, or there are suggestions for an argument that it has not.
    pub fn register_prompt(&mut self, prompt: Prompt) -> Result<(), RegistryError> {
        check_name(prompt.name())?;
        refuse_problem(prompt.name(), prompt.problem())?;
        let listing = Listing::same(prompt.listing());
        self.prompts.insert(Kind::Prompts, prompt.name().into(), prompt, listing)
    }

    /// Takes out the tool of that name; false when there is none.
    pub fn remove_tool(&mut self, name: &str) -> bool {
        self.tools.remove(name)
    }

    /// Takes out the resource of that URI; false when there is none.
    pub fn remove_resource(&mut self, uri: &str) -> bool {
        self.resources.remove(uri)
    }

    /// Takes out the template of that shape; false when there is none.
    pub fn remove_template(&mut self, uri_template: &str) -> bool {
        self.templates.remove(uri_template)
    }

    /// Takes out the prompt of that name; false when there is none.
    pub fn remove_prompt(&mut self, name: &str) -> bool {
        self.prompts.remove(name)
    }
}

/// Finding.
impl Registry {
    /// The index and the tool of that name.
    pub fn find(&self, name: &str) -> Option<(usize, &Tool)> {
        self.tools.find(name)
    }

    /// The tool of that index.
    pub fn tool(&self, index: usize) -> Option<&Tool> {
        self.tools.at(index)
    }

    /// How many tools there are.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are no tools.
    pub fn is_empty(&self) -> bool {
        self.tools.len() == 0
    }

    /// All tools in order.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.things()
    }

    /// The index and the resource of that URI.
    pub fn find_resource(&self, uri: &str) -> Option<(usize, &Resource)> {
        self.resources.find(uri)
    }

    /// All resources, by index.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.things()
    }

    /// The resource of that index.
    pub fn resource(&self, index: usize) -> Option<&Resource> {
        self.resources.at(index)
    }

    /// The first template that `uri` is of the shape of, and what its variables stand for.
    pub fn find_template(&self, uri: &str) -> Option<(usize, &ResourceTemplate, Bindings)> {
        self.templates
            .things()
            .enumerate()
            .find_map(|(index, template)| Some((index, template, template.matches(uri)?)))
    }

    /// The index and the template of exactly that shape, which is how a completion names it.
    pub fn find_template_text(&self, uri_template: &str) -> Option<(usize, &ResourceTemplate)> {
        self.templates.find(uri_template)
    }

    /// The template of that index.
    pub fn template(&self, index: usize) -> Option<&ResourceTemplate> {
        self.templates.at(index)
    }

    /// The index and the prompt of that name.
    pub fn find_prompt(&self, name: &str) -> Option<(usize, &Prompt)> {
        self.prompts.find(name)
    }

    /// The prompt of that index.
    pub fn prompt(&self, index: usize) -> Option<&Prompt> {
        self.prompts.at(index)
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Tools => self.tools.len(),
            Kind::Resources => self.resources.len(),
            Kind::Templates => self.templates.len(),
            Kind::Prompts => self.prompts.len(),
        }
    }

    /// Whether anything suggests values.
    pub fn has_completers(&self) -> bool {
        self.prompts.things().any(Prompt::has_completers)
            || self.templates.things().any(ResourceTemplate::has_completers)
    }

    /// One list, in order.
    pub fn entries(&self, kind: Kind) -> impl Iterator<Item = Entry<'_>> {
        let (mut tools, mut resources, mut templates, mut prompts) = (None, None, None, None);
        match kind {
            Kind::Tools => tools = Some(self.tools.entries()),
            Kind::Resources => resources = Some(self.resources.entries()),
            Kind::Templates => templates = Some(self.templates.entries()),
            Kind::Prompts => prompts = Some(self.prompts.entries()),
        }
        let rest = resources.into_iter().flatten().chain(templates.into_iter().flatten());
        tools.into_iter().flatten().chain(rest).chain(prompts.into_iter().flatten())
    }

    /// Whether any list of `other` is another than this one's.
    pub(super) fn differs(&self, other: &Self) -> bool {
        [Kind::Tools, Kind::Resources, Kind::Templates, Kind::Prompts]
            .into_iter()
            .any(|kind| self.revision(kind) != other.revision(kind))
    }

    /// A number that changes whenever that list does.
    pub fn revision(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Tools => self.tools.revision(),
            Kind::Resources => self.resources.revision(),
            Kind::Templates => self.templates.revision(),
            Kind::Prompts => self.prompts.revision(),
        }
    }
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(RegistryError::Name(name.to_owned()));
    }
    Ok(())
}

fn check_uri(uri: &str) -> Result<(), RegistryError> {
    // RFC 3986 3.1: a scheme.
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme));
    let is_visible = !uri.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    if !has_scheme || !is_visible || uri.len() > URI_BYTES_MAX {
        return Err(RegistryError::Uri(uri.to_owned()));
    }
    Ok(())
}

fn refuse_problem(name: &str, problem: Option<String>) -> Result<(), RegistryError> {
    match problem {
        Some(problem) => Err(RegistryError::Malformed { name: name.to_owned(), problem }),
        None => Ok(()),
    }
}
