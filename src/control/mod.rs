//! The control layer.
//! Next: `src/ARCHITECTURE.md`.
