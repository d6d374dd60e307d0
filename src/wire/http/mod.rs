//! HTTP/1.1 on the wire, strict by RFC 9112: whatever could be read in two ways is refused.
//! Never: I/O, a clock, an allocation while decoding, a decision about paths or principals.
//! Next: [`head`] for the request head, [`chunked`] for the body that comes in pieces.

pub mod head;
pub mod chunked;
pub mod negotiation;
pub mod date;

/// What a peer's byte stream is still worth after one request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The start of the next request is known: the connection may go on.
    Trusted,
    /// The start of the next request cannot be known: answer, then close.
    Broken,
}
