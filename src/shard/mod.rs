//! One core of the data plane: a thread, its ring, its listeners, its connections.
//! Never: a decision about a request; bytes and time go to `pipeline::connection`, bytes and deadlines come back.
//! Next: `fleet` for starting and steering shards, `worker` for one shard's thread, `serve` for one socket's life.

pub mod driver;
pub mod address;
pub mod listen;
pub mod fleet;
mod mailbox;
mod worker;
mod accept;
mod census;
mod clock;
mod serve;
mod jobs;
mod offload;
mod socket;
mod timers;
