//! The tools layer.
//! Next: `src/ARCHITECTURE.md`.
