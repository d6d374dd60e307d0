//! Messages that follow one another without HTTP: by line ends, by lengths, in WebSocket frames.
//! Never: more held than the longest message allowed; a message that could be taken for another one.
//! Next: `connection/incoming.rs`, what is done with them.

use crate::pipeline::respond::Carriage;
use crate::pipeline::snapshot::{Speech, WebSocket};
use crate::wire::lines::{LineStep, LineTooLong, Lines};
use crate::wire::prefixed::{self, PREFIX_BYTES, PrefixedError, PrefixedStep};
use crate::wire::websocket::decode::{Decoder, MessageLimits, Step};

/// What is skipped of a message too long before the connection ends: the message, if it is not much longer than allowed.
const SKIPPED_PER_ALLOWED: u64 = 4;
/// Frames of one message.
const FRAGMENTS_MAX: u32 = 4096;
/// RFC 6455 7.4.1: the message is too big.
const TOO_BIG: u16 = 1009;
/// RFC 6455 7.4.1: the peer broke the rules.
const PROTOCOL_ERROR: u16 = 1002;

/// How the present connection's messages are found.
pub enum Messages {
    /// By line ends.
    Lines {
        /// Where the search stands.
        lines: Lines,
        /// The rest of a line that was too long is skipped, up to so many bytes more.
        skip_max: Option<u64>,
    },
    /// By lengths.
    Prefixed {
        /// Bytes of a message that was too long.
        skip: u64,
    },
    /// In frames.
    Frames(Decoder),
}

/// What is at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing whole; the same bytes come again with more behind them.
    More,
    /// Nothing to be handled, up to here.
    Nothing {
        /// Bytes to forget.
        consumed: usize,
    },
    /// A message.
    Message {
        /// Where it starts.
        start: usize,
        /// How long it is.
        bytes: usize,
        /// Bytes to forget after it was handled.
        consumed: usize,
    },
    /// A message that is longer than allowed; what follows it is found again.
    TooLong {
        /// Bytes to forget.
        consumed: usize,
    },
    /// The peer asks for a sign of life.
    Ping {
        /// Where its payload starts.
        start: usize,
        /// How long it is.
        bytes: usize,
        /// Bytes to forget.
        consumed: usize,
    },
    /// The peer gives one.
    Pong {
        /// Bytes to forget.
        consumed: usize,
    },
    /// The peer says goodbye.
    Close,
    /// The peer broke the rules, and no message can be found any more.
    Fault {
        /// A WebSocket's close code.
        code: u16,
        /// The word for the log.
        reason: &'static str,
    },
}

impl Messages {
    /// How a connection of a listener begins, unless it begins with HTTP.
    pub fn first(speech: &Speech) -> Option<(Self, Carriage)> {
        match speech {
            Speech::Lines => Some((Self::Lines { lines: Lines::default(), skip_max: None }, Carriage::Line)),
            Speech::Prefixed => Some((Self::Prefixed { skip: 0 }, Carriage::Prefixed)),
            Speech::Http(_) | Speech::Redirect { .. } => None,
        }
    }

    /// How a connection goes on after it was upgraded.
    pub fn upgraded(websocket: &WebSocket, message_bytes_max: usize) -> Self {
        Self::Frames(Decoder::new(MessageLimits {
            message_bytes_max,
            frame_bytes_max: websocket.frame_bytes_max.min(message_bytes_max),
            fragments_max: FRAGMENTS_MAX,
        }))
    }

    /// Whether the peer may end its half and still read: a WebSocket says goodbye instead.
    pub fn outlive_input(&self) -> bool {
        !matches!(self, Self::Frames(_))
    }

    /// Whether part of a message has arrived that is not held any more.
    pub fn are_inside(&self) -> bool {
        match self {
            Self::Lines { skip_max, .. } => skip_max.is_some(),
            Self::Prefixed { skip } => *skip > 0,
            Self::Frames(decoder) => decoder.is_inside_message(),
        }
    }

    /// At the end of the input: whether what is held of the last message is one that lacks nothing but its line end, which
    /// is then added. Half a JSON object never ends like a whole one by accident that parses.
    pub fn complete(&self, held: &mut Vec<u8>) -> bool {
        let is_line = matches!(self, Self::Lines { skip_max: None, .. });
        let is_whole = is_line && matches!(held.trim_ascii_end().last(), Some(b'}' | b']'));
        if is_whole {
            held.push(b'\n');
        }
        is_whole
    }

    /// Closes the gaps in an incomplete message at the front of `input`; by how many bytes it is shorter then. Without
    /// this a peer could have the heads of fragments and its pings between them held for ever.
    pub fn compact(&mut self, input: &mut [u8]) -> usize {
        match self {
            Self::Frames(decoder) => decoder.compact(input),
            Self::Lines { .. } | Self::Prefixed { .. } => 0,
        }
    }

    /// Finds what is at the front of `input`.
    pub fn find(&mut self, input: &mut [u8], message_bytes_max: usize) -> Found {
        match self {
            Self::Lines { lines, skip_max: Some(left) } => {
                let skipped = lines.skip(input);
                let bytes = skipped.unwrap_or(input.len());
                match (skipped, left.checked_sub(bytes as u64)) {
                    (_, None) => return Found::Fault { code: TOO_BIG, reason: "line_without_end" },
                    (Some(_), Some(_)) => *self = Self::Lines { lines: Lines::default(), skip_max: None },
                    (None, Some(rest)) => *left = rest,
                }
                Found::Nothing { consumed: bytes }
            }
            Self::Lines { lines, skip_max } => match lines.find(input, message_bytes_max) {
                Ok(LineStep::NeedMore) => Found::More,
                Ok(LineStep::Blank { consumed }) => Found::Nothing { consumed },
                Ok(LineStep::Message { start, bytes, consumed }) => Found::Message { start, bytes, consumed },
                Err(LineTooLong) => {
                    *skip_max = Some(message_bytes_max as u64 * SKIPPED_PER_ALLOWED);
                    Found::TooLong { consumed: 0 }
                }
            },
            Self::Prefixed { skip } if *skip > 0 => {
                let bytes = usize::try_from(*skip).unwrap_or(usize::MAX).min(input.len());
                *skip -= bytes as u64;
                Found::Nothing { consumed: bytes }
            }
            Self::Prefixed { skip } => match prefixed::decode(input, message_bytes_max) {
                Ok(PrefixedStep::NeedMore) => Found::More,
                Ok(PrefixedStep::Message { start, bytes, consumed }) => {
                    Found::Message { start, bytes, consumed }
                }
                Err(PrefixedError::TooLong { bytes })
                    if u64::from(bytes) <= message_bytes_max as u64 * SKIPPED_PER_ALLOWED =>
                {
                    *skip = u64::from(bytes);
                    Found::TooLong { consumed: PREFIX_BYTES }
                }
                Err(PrefixedError::TooLong { .. }) => {
                    Found::Fault { code: TOO_BIG, reason: "message_too_long" }
                }
                Err(PrefixedError::Empty) => Found::Fault { code: PROTOCOL_ERROR, reason: "empty_message" },
            },
            Self::Frames(decoder) => match decoder.decode(input) {
                Ok(Step::NeedMore) => Found::More,
                Ok(Step::Message { start, bytes, consumed }) => Found::Message { start, bytes, consumed },
                Ok(Step::Ping { start, bytes, consumed }) => Found::Ping { start, bytes, consumed },
                Ok(Step::Pong { consumed, .. }) => Found::Pong { consumed },
                Ok(Step::Close { .. }) => Found::Close,
                Err(fault) => Found::Fault { code: fault.code(), reason: fault.word() },
            },
        }
    }
}
