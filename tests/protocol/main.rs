//! The protocol over a connection without a socket: one table per rule book, bytes in, bytes out.
//! Next: `http` for framing, `modern` and `legacy` for MCP.

#[cfg(test)]
#[path = "../fixture/mod.rs"]
pub mod fixture;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod http;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod modern;
