//! The measuring side of mcpring: a load client that checks every answer, the peers it is compared with, and
//! the readings of processor time and memory.
//! Never: part of the product; the product is driven here only as a process behind a socket.
//! Next: [`scenario`] for what is asked, [`load`] for who asks, [`echo`] for the floor every ratio stands on.

pub mod scenario;
pub mod answer;
pub mod carriage;
pub mod tls;
pub mod token;
pub mod target;
pub mod load;
pub mod idle;
pub mod handshakes;
pub mod echo;
pub mod peer;
pub mod process;
pub mod affinity;
pub mod usage;
pub mod latency;
pub mod spread;
pub mod machine;
