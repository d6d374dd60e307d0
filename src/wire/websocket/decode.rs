//! Frames to messages, in place: a single frame is unmasked where it lies, fragments are moved down behind the first.
//! Never: an allocation, a copy outside the caller's buffer, a byte validated twice, a message that is not text.
//! Next: [`Decoder::decode`], then `tests/properties/websocket` for the laws.

use super::fault::Fault;
use super::frame::{FrameHead, Opcode, decode_head, may_be_sent, turn_mask, unmask};

/// What one incoming message may cost. The rate of control frames is not bounded here: each is a step that is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of a message, all its fragments together.
    pub message_bytes_max: usize,
    /// Bytes of payload in one frame.
    pub frame_bytes_max: usize,
    /// Frames of one message: bounds the work that empty fragments cause.
    pub fragments_max: u32,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self { message_bytes_max: 10 * 1024 * 1024, frame_bytes_max: 10 * 1024 * 1024, fragments_max: 4096 }
    }
}

/// What [`Decoder::decode`] has found. Except after `NeedMore`, the caller goes on at `input[consumed..]`.
///
/// A payload lies unmasked at `input[start..start + bytes]` until the next call. A control frame inside a fragmented
/// message has `consumed` 0: the message's beginning must stay, and the next call with the same bytes goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Everything was looked at; the same bytes must come again with more behind them.
    NeedMore,
    /// A whole text, UTF-8.
    Message {
        /// Where it starts.
        start: usize,
        /// How long it is.
        bytes: usize,
        /// Where the next message starts.
        consumed: usize,
    },
    /// A Ping, to be answered with its payload.
    Ping {
        /// Where its payload starts.
        start: usize,
        /// How long it is, at most 125.
        bytes: usize,
        /// How much is no longer needed.
        consumed: usize,
    },
    /// A Pong.
    Pong {
        /// Where its payload starts.
        start: usize,
        /// How long it is, at most 125.
        bytes: usize,
        /// How much is no longer needed.
        consumed: usize,
    },
    /// A Close, after which nothing may come.
    Close {
        /// Its status code, if it has one; it may be sent back.
        code: Option<u16>,
        /// Where its reason starts.
        start: usize,
        /// How long the reason is, at most 123; UTF-8.
        bytes: usize,
        /// How much is no longer needed.
        consumed: usize,
    },
}

/// Where in the stream the next byte stands.
///
/// ```text
///             .------<----- Ping, Pong: a step -----<------.
///             v                                            |
///  (start) > Head --Text, Continuation--> Payload          |
///             | ^                          |    |          |
///             | '---all of it, more to come'    |          |
///             | ^                               |          |
///             | '----all of it, the last: a Message        |
///             |                                            |
///             +----------control frame, whole--------------'
///             '--Close: a step--> Closed
/// ```
///
/// Whatever breaks a rule leads to `Failed`, which like `Closed` is final.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    /// `left` bytes of the frame have not arrived; `mask` belongs to the first of them.
    Payload {
        left: usize,
        mask: u32,
        last: bool,
    },
    Closed,
    Failed(Fault),
}

/// The decoder of what one client sends.
///
/// ```text
///  input:  | first head | text so far | gap: heads and control frames already used | not yet looked at |
///          0            start         write                                        read                len
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: MessageLimits,
    stage: Stage,
    read: usize,
    write: usize,
    /// Frames of the present message; none between messages.
    frames: u32,
    start: u8,
    /// Bytes before `write` that begin a character which is not yet complete: at most three.
    unfinished: u8,
}

impl Decoder {
    /// Starts at the first byte after the opening handshake.
    pub const fn new(limits: MessageLimits) -> Self {
        Self { limits, stage: Stage::Head, read: 0, write: 0, frames: 0, start: 0, unfinished: 0 }
    }

    /// Decodes up to the next step. `input` starts at the first byte of the present message and has only grown since
    /// the last `NeedMore`, or shrunk by [`Self::compact`].
    ///
    /// # Errors
    /// At the first byte that makes it certain, however the bytes were cut, save that a frame's place among the others
    /// is judged when its head is whole, and a Close when all of it is; the same fault again after that.
    pub fn decode(&mut self, input: &mut [u8]) -> Result<Step, Fault> {
        loop {
            let step = match self.stage {
                Stage::Head => self.take_head(input),
                Stage::Payload { left, mask, last } => self.take_payload(input, left, mask, last),
                Stage::Closed if input.is_empty() => return Ok(Step::NeedMore),
                Stage::Closed => Err(Fault::AfterClose),
                Stage::Failed(fault) => return Err(fault),
            };
            match step {
                Ok(Some(step)) => return Ok(step),
                Ok(None) => {}
                Err(fault) => self.stage = Stage::Failed(fault),
            }
        }
    }

    /// Closes the gap between the text so far and what was not yet looked at. Who keeps the bytes of an incomplete
    /// message calls this, or heads and control frames pile up between its fragments; with it they are never more than
    /// a message, two heads and a control frame. Payloads of earlier steps are lost.
    ///
    /// Returns by how many bytes the input shrank; the caller truncates it by as much.
    pub fn compact(&mut self, input: &mut [u8]) -> usize {
        let gap = self.read - self.write;
        if gap == 0 || self.read > input.len() {
            return 0;
        }
        input.copy_within(self.read.., self.write);
        self.read = self.write;
        gap
    }

    /// Whether a message has begun and is not complete.
    pub const fn is_inside_message(&self) -> bool {
        self.frames > 0
    }

    fn take_head(&mut self, input: &mut [u8]) -> Result<Option<Step>, Fault> {
        let rest = input.get(self.read..).unwrap_or_default();
        let Some(head) = decode_head(rest)? else { return Ok(Some(Step::NeedMore)) };
        match head.opcode {
            Opcode::Text | Opcode::Binary | Opcode::Continuation => self.begin_payload(head).map(|()| None),
            Opcode::Close | Opcode::Ping | Opcode::Pong => self.take_control(input, head).map(Some),
        }
    }

    fn begin_payload(&mut self, head: FrameHead) -> Result<(), Fault> {
        match (head.opcode, self.frames) {
            // RFC 6455 5.4: fragments of one message MUST NOT be interleaved with another's, and follow a first one.
            (Opcode::Continuation, 0) => return Err(Fault::NothingToContinue),
            (Opcode::Text | Opcode::Binary, 1..) => return Err(Fault::MessageInMessage),
            (Opcode::Binary, 0) => return Err(Fault::Binary),
            (Opcode::Text, 0)
            | (Opcode::Continuation, 1..)
            | (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {}
        }
        let payload_bytes = usize::try_from(head.payload_bytes).unwrap_or(usize::MAX);
        if payload_bytes > self.limits.frame_bytes_max {
            return Err(Fault::FrameTooLarge);
        }
        self.read += usize::from(head.head_bytes);
        if self.frames == 0 {
            self.start = head.head_bytes;
            self.write = self.read;
        }
        if payload_bytes > self.limits.message_bytes_max.saturating_sub(self.text_bytes()) {
            return Err(Fault::MessageTooLarge);
        }
        if self.frames >= self.limits.fragments_max {
            return Err(Fault::TooManyFragments);
        }
        self.frames += 1;
        self.stage = Stage::Payload { left: payload_bytes, mask: head.mask, last: head.last };
        Ok(())
    }

    /// Takes what has arrived of a data frame: moves it down, removes its mask and validates it, each byte once.
    fn take_payload(
        &mut self,
        input: &mut [u8],
        left: usize,
        mask: u32,
        last: bool,
    ) -> Result<Option<Step>, Fault> {
        let taken = input.len().saturating_sub(self.read).min(left);
        if taken > 0 {
            if self.read != self.write {
                input.copy_within(self.read..self.read + taken, self.write);
            }
            let end = self.write + taken;
            unmask(input.get_mut(self.write..end).unwrap_or_default(), mask);
            self.read += taken;
            self.validate(input, end)?;
        }
        let left = left - taken;
        if left > 0 {
            self.stage = Stage::Payload { left, mask: turn_mask(mask, taken), last };
            return Ok(Some(Step::NeedMore));
        }
        self.stage = Stage::Head;
        Ok(if last { Some(self.finish()?) } else { None })
    }

    /// Validates the text up to `end`, beginning with the character that was not complete before.
    fn validate(&mut self, input: &[u8], end: usize) -> Result<(), Fault> {
        let from = self.write - usize::from(self.unfinished);
        let fresh = input.get(from..end).unwrap_or_default();
        self.write = end;
        self.unfinished = match str::from_utf8(fresh) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => {
                u8::try_from(fresh.len() - error.valid_up_to()).unwrap_or(u8::MAX)
            }
            // RFC 6455 8.1: a text that is not UTF-8 fails the connection; 5.6: a fragment may end inside a character.
            Err(_) => return Err(Fault::TextNotUtf8),
        };
        Ok(())
    }

    fn finish(&mut self) -> Result<Step, Fault> {
        if self.unfinished > 0 {
            return Err(Fault::TextNotUtf8);
        }
        let message =
            Step::Message { start: usize::from(self.start), bytes: self.text_bytes(), consumed: self.read };
        self.forget();
        Ok(message)
    }

    /// Nothing of what was read is needed any longer.
    const fn forget(&mut self) {
        (self.read, self.write, self.start, self.frames) = (0, 0, 0, 0);
    }

    fn take_control(&mut self, input: &mut [u8], head: FrameHead) -> Result<Step, Fault> {
        let bytes = usize::try_from(head.payload_bytes).unwrap_or(usize::MAX);
        let start = self.read + usize::from(head.head_bytes);
        let Some(payload) = start.checked_add(bytes).and_then(|end| input.get_mut(start..end)) else {
            return Ok(Step::NeedMore);
        };
        unmask(payload, head.mask);
        let end = start + bytes;
        let consumed = if self.frames > 0 {
            self.read = end;
            0
        } else {
            end
        };
        match head.opcode {
            Opcode::Ping => Ok(Step::Ping { start, bytes, consumed }),
            Opcode::Pong => Ok(Step::Pong { start, bytes, consumed }),
            Opcode::Close | Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                let code = decode_close(payload)?;
                self.stage = Stage::Closed;
                self.forget();
                let code_bytes = if code.is_some() { 2 } else { 0 };
                Ok(Step::Close { code, start: start + code_bytes, bytes: bytes - code_bytes, consumed: end })
            }
        }
    }

    fn text_bytes(&self) -> usize {
        self.write - usize::from(self.start)
    }
}

/// The code in the payload of a Close, after a look at the reason behind it (RFC 6455 5.5.1).
fn decode_close(payload: &[u8]) -> Result<Option<u16>, Fault> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Fault::CloseCutOff) };
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_sent(code) {
        return Err(Fault::BadCloseCode);
    }
    if str::from_utf8(reason).is_err() {
        return Err(Fault::ReasonNotUtf8);
    }
    Ok(Some(code))
}
