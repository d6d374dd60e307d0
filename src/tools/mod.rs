//! Native tools: the public API to write one, the registry, the demo tools.
//! A tool sees its arguments, its caller and a context; the pipeline has already decided that it may run.
//! Never: a socket, a connection, a protocol revision.
//! Next: `tool` for writing one, `demo` for three examples, `registry` for how they are found.

pub mod call;
pub mod context;
pub mod demo;
pub mod registry;
pub mod reply;
pub mod tool;

pub use call::Call;
pub use context::{Context, Progress};
pub use demo::{DEMO_TOOLS, demo};
pub use registry::Registry;
pub use reply::{Reply, ToolError};
pub use tool::{Running, Tool};
