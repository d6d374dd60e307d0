//! The shard layer.
//! Next: `src/ARCHITECTURE.md`.
