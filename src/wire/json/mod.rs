//! JSON in place: simd-json fills a reused tape from the bytes where they lie, within limits of depth and nodes.
//! Strings are unescaped in the buffer, so a decoded buffer is no longer JSON: decode once, then only read the tape.
//! Never: an allocation in steady state, a copy of the message.
//! Next: `value` to read a tape, `encode` to write JSON, `jsonrpc` for the message.

pub mod encode;
pub mod value;
mod tree;
mod shape;
#[cfg(test)]
mod tests;

use simd_json::{Buffers, ErrorType, Node, Tape};

pub use shape::Shape;
pub use tree::Elements;
pub use value::Value;

/// Bytes that must follow a message in its buffer, with any content.
pub const PADDING: usize = simd_json::INPUT_PADDING;

/// Above this a reused buffer is given back rather than kept for the next message. Bytes.
const KEEP_BYTES_MAX: usize = 256 * 1024;

/// Bounds on one message.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// Nesting of arrays and objects.
    pub depth_max: usize,
    /// Values and keys.
    pub nodes_max: usize,
}

/// Why a message is not acceptable JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON by RFC 8259.
    #[error("not JSON")]
    Syntax,
    /// Bytes or escapes that are not Unicode text.
    #[error("not UTF-8")]
    Utf8,
    /// Nested deeper than allowed.
    #[error("nested too deep")]
    Depth,
    /// More values than allowed.
    #[error("too many values")]
    Nodes,
    /// A number that fits neither 64-bit integers nor a double.
    #[error("a number is out of range")]
    Number,
}

/// Reused parser state; one a shard.
pub struct Scratch {
    buffers: Buffers,
    depth_max: usize,
    tape: Vec<Node<'static>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { buffers: Buffers::with_max_depth(4096, 64), depth_max: 64, tape: Vec::with_capacity(256) }
    }
}

impl Scratch {
    /// Decodes `padded[..len]`; at least [`PADDING`] bytes must follow. Give the tape back with [`Self::recycle`].
    ///
    /// # Errors
    /// When the bytes are not JSON within `limits`.
    pub fn decode<'i>(
        &mut self,
        padded: &'i mut [u8],
        len: usize,
        limits: JsonLimits,
    ) -> Result<Document<'i>, JsonError> {
        let text = padded.get(..len).ok_or(JsonError::Syntax)?;
        // A value takes at least two bytes (itself and its separator), so only long messages can have too many.
        if len / 2 > limits.nodes_max && count_nodes(text) > limits.nodes_max {
            return Err(JsonError::Nodes);
        }
        if self.depth_max != limits.depth_max {
            self.buffers = Buffers::with_max_depth(4096, limits.depth_max);
            self.depth_max = limits.depth_max;
        }
        let mut tape = Tape(std::mem::take(&mut self.tape)).reset();
        let filled = simd_json::fill_tape_padded(padded, len, &mut self.buffers, &mut tape);
        if len > KEEP_BYTES_MAX {
            self.buffers = Buffers::with_max_depth(4096, self.depth_max);
        }
        match filled {
            Ok(()) if tape.0.len() <= limits.nodes_max => Ok(Document { tape }),
            Ok(()) => {
                self.recycle(Document { tape });
                Err(JsonError::Nodes)
            }
            Err(error) => {
                self.recycle(Document { tape });
                Err(classify(error.error()))
            }
        }
    }

    /// Takes a document's memory back for the next message.
    pub fn recycle(&mut self, document: Document<'_>) {
        let mut nodes = document.tape.reset().0;
        if nodes.capacity() * size_of::<Node<'static>>() > KEEP_BYTES_MAX {
            nodes = Vec::with_capacity(256);
        }
        self.tape = nodes;
    }
}

/// A decoded message.
pub struct Document<'i> {
    tape: Tape<'i>,
}

impl<'i> Document<'i> {
    /// The outermost value.
    pub fn root(&self) -> Value<'_, 'i> {
        Value::new(&self.tape.0)
    }
}

/// An upper bound on values and keys, without building anything: separators outside strings, plus one.
fn count_nodes(text: &[u8]) -> usize {
    let mut count = 1;
    let mut in_string = false;
    let mut escaped = false;
    for &byte in text {
        if in_string {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                in_string = false;
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b',' | b':' | b'[' | b'{' => count += 1,
                _ => {}
            }
        }
    }
    count
}

fn classify(kind: &ErrorType) -> JsonError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's own list, of which these matter")]
    match kind {
        ErrorType::InvalidUtf8 | ErrorType::InvalidUnicodeCodepoint | ErrorType::InvalidUnicodeEscape => {
            JsonError::Utf8
        }
        ErrorType::DepthLimitExceeded => JsonError::Depth,
        ErrorType::InvalidNumber => JsonError::Number,
        _ => JsonError::Syntax,
    }
}
