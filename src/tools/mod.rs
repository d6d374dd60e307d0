//! Native tools: the public API to write one, the registry, the demo tools.
//! Never: a socket, a connection, a protocol revision; a tool sees arguments and a context.
//! Next: `registry`.

/// The tools this server offers, in a fixed order.
#[derive(Default)]
pub struct Registry {}

/// The demo tools: `echo`, `time` and `countdown`; only those in `names` are registered.
/// Unknown names are an error naming the known ones.
pub fn demo(_names: &[String]) -> Result<Registry, String> {
    Ok(Registry {})
}

/// The names `demo` knows.
pub const DEMO_TOOLS: &[&str] = &["echo", "time", "countdown"];
