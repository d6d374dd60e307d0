//! The control plane: configuration, certificates, keys, logs, the life of the process. Owns no connection.
//! It meets the data plane in two places only: a `Snapshot` goes in through the mailbox, events come out.
//! Next: `config`.

pub mod cli;
pub mod options;
pub mod config;
pub mod process;
pub mod dev;
