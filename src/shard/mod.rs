//! One core of the data plane: a thread, its ring, its listeners, its connections.
//! Never: a decision about a request; bytes and time go to `pipeline::Connection`, bytes and deadlines come back.
//! Next: `fleet` for starting and steering shards, `connection` for one socket's life.

pub mod driver;
pub mod fleet;
pub mod listen;
