//! Native tools: the public API to write one, the registry, the demo tools.
//! A tool sees its arguments, its caller and a context; the pipeline has already decided that it may run.
//! Never: a socket, a connection, a protocol revision.
//! Next: `tool` for writing one, `demo` for three examples, `registry` for how they are found.

#![doc = include_str!("GUIDE.md")]

pub mod tool;
mod typed;
mod words;
pub(crate) mod action;
pub mod call;
pub mod reply;
pub mod block;
pub mod error;
pub mod resource;
pub mod template;
mod pattern;
pub mod contents;
pub mod prompt;
pub mod messages;
pub mod completions;
pub mod context;
pub mod ask;
pub mod elicit;
mod form;
pub mod sampling;
pub mod log;
pub mod schema;
pub mod registry;
mod shelf;
pub mod listing;
pub mod catalog;
pub mod demo;
#[cfg(feature = "fixtures")]
pub mod fixtures;
pub mod native;
#[cfg(test)]
mod tests;

pub use action::Running;
pub use ask::{AskError, Capabilities, Capability};
pub use block::{Annotations, Block, Role};
pub use call::Call;
pub use catalog::{Catalog, Change};
pub use completions::{Arguments, Completions};
pub use contents::Contents;
pub use context::{BlockingContext, Context, Offload, Progress};
pub use demo::{DEMO_TOOLS, demo};
pub use elicit::{Elicited, Root};
pub use error::ToolError;
#[cfg(feature = "fixtures")]
pub use fixtures::fixtures;
pub use listing::{Listing, OutputKnown};
pub use log::{LogLevel, LogMessage};
pub use messages::Messages;
pub use native::{native, native_names};
pub use prompt::Prompt;
pub use registry::{Entry, Kind, Registry, RegistryError};
pub use reply::{IntoReply, Reply, Structured};
pub use resource::{CacheScope, Resource};
pub use sampling::{Sampled, Sampling};
pub use schema::header::{HeaderKind, ParameterHeader};
pub use schema::{Faults, Invalid};
pub use template::{ResourceTemplate, Variables};
pub use tool::{TaskSupport, Tool};
pub use words::Icon;
