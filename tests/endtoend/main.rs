//! The real binary on loopback: serving with and without TLS, reload, drain, refusals, limits.
//! Never: a fixed port, a wait for time to pass; every wait is for a line, a byte or an end.
//! Next: `server` for starting one, `serving`, `life`, `listeners` and `stdio` for what must hold;
//! `every` for what must hold in every way there is to reach it.

#[cfg(test)]
mod server;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod client;
#[cfg(test)]
mod resuming;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod life;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod stapling;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod listeners;
#[cfg(test)]
mod stdio;
#[cfg(test)]
mod ways;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod pki;
#[cfg(test)]
mod responder;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod every;
#[cfg(test)]
mod together;
#[cfg(test)]
#[path = "../fixture/issuer.rs"]
pub mod issuer;
#[cfg(test)]
mod tokens;
