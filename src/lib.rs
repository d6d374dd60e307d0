//! mcpring: a secure, very fast Model Context Protocol server for Linux.
//!
//! The module list below is in reading order: what a request passes first stands first. The map with the
//! tenets, the path table and the recipes is `src/ARCHITECTURE.md`; why things are as they are, `src/DECISIONS.md`.
//! Next: [`App`] for a server of one's own, [`tools`] for the guide to what it offers, [`pipeline`] for the request path.

pub mod control;
pub mod shard;
pub mod pipeline;
pub mod tools;
pub mod wire;

pub use control::app::App;

/// The code in the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
