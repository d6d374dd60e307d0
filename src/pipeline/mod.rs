//! The pipeline layer.
//! Next: `src/ARCHITECTURE.md`.
