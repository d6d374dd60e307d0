//! The laws that hold for any input.
//! Next: one module for each layer that has laws to keep.

#[cfg(test)]
#[path = "../fixture/mod.rs"]
pub mod fixture;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod channel;
#[cfg(test)]
mod http;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod pipes;
#[cfg(test)]
mod websocket;
#[cfg(test)]
mod policy;
