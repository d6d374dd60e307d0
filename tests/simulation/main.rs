//! Many connections over one shard's workspace, with a clock that only moves when told and one seed for all chance;
//! and TLS with a client in memory.
//! Next: `secure` for TLS by itself.

#[cfg(test)]
#[path = "../fixture/mod.rs"]
pub mod fixture;
#[cfg(test)]
#[path = "../fixture/secure.rs"]
pub mod client;
#[cfg(test)]
mod secure;
