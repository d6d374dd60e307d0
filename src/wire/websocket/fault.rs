//! Why a WebSocket connection ends before its peer closed it, and what the closing frame says.
//! Next: `decode.rs`, where most of these are decided.

/// The peer broke a rule or passed a limit: a Close with [`Self::code`] is the last thing to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A frame without a mask.
    #[error("frame is not masked")]
    NotMasked,
    /// A reserved bit, although no extension was agreed on.
    #[error("reserved bit is set")]
    ReservedBit,
    /// An opcode that means nothing.
    #[error("reserved opcode")]
    ReservedOpcode,
    /// A control frame in pieces.
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes.
    #[error("control frame too long")]
    ControlTooLong,
    /// A length written with more bytes than it needs.
    #[error("length is not minimal")]
    LengthNotMinimal,
    /// A length of 64 bits with the highest one set.
    #[error("length has its highest bit set")]
    LengthHighBit,
    /// A continuation of nothing.
    #[error("continuation without a start")]
    NothingToContinue,
    /// A new message before the last one is complete.
    #[error("message inside a message")]
    MessageInMessage,
    /// A Close whose payload is one byte, which is half a code.
    #[error("close code is cut off")]
    CloseCutOff,
    /// A Close with a code that may not be sent.
    #[error("close code may not be sent")]
    BadCloseCode,
    /// Bytes after the frame that was to be the last.
    #[error("data after close")]
    AfterClose,
    /// A binary message.
    #[error("message is binary")]
    Binary,
    /// A text that is not UTF-8.
    #[error("text is not UTF-8")]
    TextNotUtf8,
    /// A reason in a Close that is not UTF-8.
    #[error("reason is not UTF-8")]
    ReasonNotUtf8,
    /// A frame over `frame_bytes_max`.
    #[error("frame too large")]
    FrameTooLarge,
    /// A message over `message_bytes_max`.
    #[error("message too large")]
    MessageTooLarge,
    /// More frames in one message than `fragments_max`.
    #[error("too many fragments")]
    TooManyFragments,
}

impl Fault {
    /// The status code of the closing frame (RFC 6455 7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            Self::NotMasked
            | Self::ReservedBit
            | Self::ReservedOpcode
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthHighBit
            | Self::NothingToContinue
            | Self::MessageInMessage
            | Self::CloseCutOff
            | Self::BadCloseCode
            | Self::AfterClose => 1002,
            Self::Binary => 1003,
            Self::TextNotUtf8 | Self::ReasonNotUtf8 => 1007,
            // Nothing is too large here; 1008 is for what no other code describes.
            Self::TooManyFragments => 1008,
            Self::FrameTooLarge | Self::MessageTooLarge => 1009,
        }
    }

    /// One word for counters and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotMasked => "not_masked",
            Self::ReservedBit => "reserved_bit",
            Self::ReservedOpcode => "reserved_opcode",
            Self::FragmentedControl => "fragmented_control",
            Self::ControlTooLong => "control_too_long",
            Self::LengthNotMinimal => "length_not_minimal",
            Self::LengthHighBit => "length_high_bit",
            Self::NothingToContinue => "nothing_to_continue",
            Self::MessageInMessage => "message_in_message",
            Self::CloseCutOff => "close_cut_off",
            Self::BadCloseCode => "bad_close_code",
            Self::AfterClose => "after_close",
            Self::Binary => "binary",
            Self::TextNotUtf8 => "text_not_utf8",
            Self::ReasonNotUtf8 => "reason_not_utf8",
            Self::FrameTooLarge => "frame_too_large",
            Self::MessageTooLarge => "message_too_large",
            Self::TooManyFragments => "too_many_fragments",
        }
    }
}
