//! The protocol over a connection without a socket: one table per rule book, bytes in, bytes out.
//! Next: `http` for framing, `modern` and `legacy` for MCP; `shards` for the fleet that everything after them runs on.

#[cfg(test)]
#[path = "../fixture/mod.rs"]
pub mod fixture;
#[cfg(test)]
#[path = "../fixture/issuer.rs"]
pub mod issuer;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod http;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod modern;
#[cfg(test)]
mod shards;
#[cfg(test)]
mod client;
#[cfg(test)]
mod offer;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod results;
#[cfg(test)]
mod revisions;
#[cfg(test)]
mod rounds;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod listens;
#[cfg(test)]
mod turmoil;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod talk;
#[cfg(test)]
mod channels;
#[cfg(test)]
mod pipes;
#[cfg(test)]
mod websockets;
#[cfg(test)]
mod feeds;
#[cfg(test)]
mod bearers;
