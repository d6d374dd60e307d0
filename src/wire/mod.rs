//! Bytes to values and back: codecs that borrow from the buffer they are given.
//! Never: I/O, a clock, a connection, a decision about who may do what.
//! Next: `http` for the frame a request arrives in, `json` and `jsonrpc` for the message inside it, `mcp` for its meaning.

pub mod http;
pub mod json;
pub mod jsonrpc;
pub mod mcp;
pub mod sse;
pub mod lines;
pub mod prefixed;
pub mod websocket;
