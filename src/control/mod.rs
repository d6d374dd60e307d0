//! The control plane: configuration, certificates, keys, logs, the life of the process. Owns no connection.
//! It meets the data plane in two places only: a `Snapshot` goes in through the mailbox, events come out.
//! Next: `config`.

pub mod app;
pub mod cli;
pub mod options;
pub mod config;
pub mod process;
pub mod stdio;
pub mod server;
pub mod start;
pub mod inherited;
pub mod reload;
pub mod upkeep;
pub mod watch;
pub mod publish;
pub mod headers;
pub mod offer;
pub mod certs;
pub mod ocsp;
pub mod secret;
pub mod keys;
pub mod tokens;
pub mod metadata;
pub mod dev;
pub mod dev_ca;
pub mod log;
pub mod banner;
pub mod problem;
pub mod holder;
pub mod files;
pub mod replace;
pub mod fetch;
pub mod moment;
