//! Shards in this process whose readers do not read: what they cost is measured of the process, so no other test is here.
//! Next: `readers`.

#[cfg(test)]
#[path = "../fixture/mod.rs"]
pub mod fixture;
#[cfg(test)]
mod readers;
