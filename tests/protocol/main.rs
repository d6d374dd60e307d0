//! The protocol over a connection without a socket: one table per rule book, bytes in, bytes out.
//! Next: `http` for framing, `modern` and `legacy` for MCP.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

#[cfg(test)]
#[path = "../fixture/mod.rs"]
mod fixture;
#[cfg(test)]
mod http;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod modern;
