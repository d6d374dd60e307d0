//! The protocol over a connection without a socket: one table per rule book, bytes in, bytes out.
//! Next: `http` for framing, `modern` and `legacy` for MCP.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
mod http;
mod legacy;
mod modern;
