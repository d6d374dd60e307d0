//! WebSocket on the wire, the server's side of RFC 6455: the opening request judged, frames decoded in place and encoded.
//! Never: I/O, an allocation while decoding, an extension, a lenient reading, a decision about paths or principals.
//! Next: [`frame`] for what a frame looks like, [`decode`] for how frames become messages, [`handshake`] for how it starts.

pub mod handshake;
pub mod frame;
pub mod decode;
pub mod fault;
pub mod encode;
#[cfg(test)]
mod tests;
