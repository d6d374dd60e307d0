//! The straight line a request takes, one file a stage, in this order:
//! `tls, framing, authenticate, admit, envelope, authorize, dispatch, respond`.
//! Never: I/O, a clock, a thread, a lock. Bytes and time come in, bytes and deadlines go out.
//! Next: `snapshot`, what the stages know, then `framing`.

pub mod peer;
pub mod snapshot;
pub mod buffers;
pub mod turn;
pub mod connection;
pub mod tls;
pub mod framing;
pub mod authenticate;
pub mod admit;
pub mod headers;
pub mod envelope;
pub mod authorize;
pub mod dispatch;
pub mod job;
pub mod hub;
pub mod respond;
pub mod seal;
pub mod spent;
pub mod failing;
pub mod event;
