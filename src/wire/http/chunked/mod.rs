//! Chunked bodies, decoded in place: the payload moves to the front of the region it arrived in.
//! Never: an allocation, a copy outside the region, a chunk line read leniently.
//! Next: [`Chunked::decode`].

#[cfg(test)]
mod tests;

use super::Framing;

/// RFC 9112 7.1 sets no bound on the digits of a chunk size; 16 are all that 64 bits can need.
const SIZE_DIGITS_MAX: u32 = 16;
/// As long as the longest name in [`TrailerName::is_forbidden`].
const TRAILER_NAME_BYTES_KEPT: usize = 20;

/// What one chunked body may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkedLimits {
    /// Bytes of payload.
    pub body_bytes_max: u64,
    /// Bytes of extensions on one chunk line.
    pub extension_bytes_max: usize,
    /// Bytes of all trailer lines together.
    pub trailer_bytes_max: usize,
    /// Bytes of chunk lines, line ends and trailers beyond one for each byte of payload: bounds the work that a
    /// peer can cause with tiny chunks.
    pub overhead_bytes_max: u64,
}

impl Default for ChunkedLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 * 1024 * 1024,
            extension_bytes_max: 256,
            trailer_bytes_max: 8 * 1024,
            overhead_bytes_max: 64 * 1024,
        }
    }
}

/// What [`Chunked::decode`] has to say after looking at the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedStep {
    /// Everything in the region was used; more bytes must be appended to it.
    NeedMore,
    /// The body is complete.
    Done {
        /// The payload is the first `body_bytes` of the region.
        body_bytes: usize,
        /// The next request starts at this offset of the region.
        consumed: usize,
    },
}

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkedError {
    /// Not `1*16HEXDIG`, then an extension or CRLF.
    #[error("malformed chunk size")]
    BadSize,
    /// A byte that no chunk extension may hold.
    #[error("malformed chunk extension")]
    BadExtension,
    /// Anything but CRLF where a line of the framing ends.
    #[error("malformed line end in chunked body")]
    BadLineEnd,
    /// A trailer line that is no field line.
    #[error("malformed trailer")]
    BadTrailer,
    /// A trailer that would change how the message is read.
    #[error("forbidden trailer")]
    ForbiddenTrailer,
    /// More payload than `body_bytes_max`.
    #[error("body too large")]
    BodyTooLarge,
    /// More bytes on one chunk line than `extension_bytes_max`.
    #[error("chunk extension too large")]
    ExtensionTooLarge,
    /// More trailer bytes than `trailer_bytes_max`.
    #[error("trailers too large")]
    TrailersTooLarge,
    /// More framing than payload and `overhead_bytes_max` together.
    #[error("chunks too small")]
    OverheadTooLarge,
}

impl ChunkedError {
    /// The status code of the answer: 413 for what is too much, 400 for what is wrong.
    pub const fn status(self) -> u16 {
        match self {
            Self::BodyTooLarge
            | Self::ExtensionTooLarge
            | Self::TrailersTooLarge
            | Self::OverheadTooLarge => 413,
            Self::BadSize
            | Self::BadExtension
            | Self::BadLineEnd
            | Self::BadTrailer
            | Self::ForbiddenTrailer => 400,
        }
    }

    /// Always [`Framing::Broken`]: the end of the body will never be known.
    pub const fn trust(self) -> Framing {
        Framing::Broken
    }
}

/// Where in the framing the next byte stands.
///
/// ```text
///                     .---------------------<--------------------.
///                     v                                          |
///  (start) --------> Size --CR--> SizeLf --LF, size > 0--> Data --> DataCr --> DataLf
///                     | ';'        ^  |
///                     v            |  '--LF, size = 0--> TrailerStart --CR--> EndLf --LF--> Done
///                  Extension --CR--'                      | ^
///                                              token byte | '---LF---.
///                                                         v          |
///                                                   TrailerName --':'--> TrailerValue --CR--> TrailerLf
/// ```
///
/// Any other byte leads to `Failed`, which like `Done` is final.
#[derive(Clone, Copy, Debug)]
enum State {
    Size { size: u64, digits: u32 },
    Extension { size: u64, bytes: usize },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
    Failed(ChunkedError),
}

impl State {
    const SIZE_START: Self = Self::Size { size: 0, digits: 0 };
}

/// The front of a trailer name in lower case, kept across calls so that it can be compared when complete.
#[derive(Clone, Copy, Debug)]
struct TrailerName {
    bytes: [u8; TRAILER_NAME_BYTES_KEPT],
    length: usize,
}

impl TrailerName {
    const EMPTY: Self = Self { bytes: [0; TRAILER_NAME_BYTES_KEPT], length: 0 };

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte.to_ascii_lowercase();
        }
        self.length = self.length.saturating_add(1);
    }

    /// RFC 9110 6.5.1: no trailer for framing, routing, request modifiers, authentication or content handling.
    fn is_forbidden(&self) -> bool {
        matches!(
            self.bytes.get(..self.length).unwrap_or_default(),
            b"content-length"
                | b"transfer-encoding"
                | b"host"
                | b"connection"
                | b"upgrade"
                | b"te"
                | b"trailer"
                | b"expect"
                | b"authorization"
                | b"x-api-key"
                | b"cookie"
                | b"origin"
                | b"content-type"
                | b"content-encoding"
                | b"mcp-protocol-version"
                | b"mcp-method"
                | b"mcp-name"
                | b"mcp-session-id"
        )
    }
}

/// The decoder of one chunked body.
///
/// ```text
///  region:  | payload so far | gap: framing already used | not yet looked at |
///           0                write                       read                len
/// ```
#[derive(Clone, Debug)]
pub struct Chunked {
    limits: ChunkedLimits,
    state: State,
    read: usize,
    write: usize,
    overhead_bytes: u64,
    trailer_bytes: usize,
    trailer_name: TrailerName,
}

impl Chunked {
    /// Starts at the first byte after the head.
    pub const fn new(limits: ChunkedLimits) -> Self {
        Self {
            limits,
            state: State::SIZE_START,
            read: 0,
            write: 0,
            overhead_bytes: 0,
            trailer_bytes: 0,
            trailer_name: TrailerName::EMPTY,
        }
    }

    /// Decodes what has arrived. `region` starts at the first byte of the body and has only grown since the last
    /// call, or shrunk by [`Self::compact`]; the payload is moved to its front.
    ///
    /// # Errors
    /// At the first byte that breaks the framing or a limit, however the bytes were cut; the same error again after that.
    pub fn decode(&mut self, region: &mut [u8]) -> Result<ChunkedStep, ChunkedError> {
        loop {
            match self.state {
                State::Done => return Ok(ChunkedStep::Done { body_bytes: self.write, consumed: self.read }),
                State::Failed(error) => return Err(error),
                State::Data { left } => {
                    if self.move_payload(region, left) {
                        return Ok(ChunkedStep::NeedMore);
                    }
                }
                State::Size { .. }
                | State::Extension { .. }
                | State::SizeLf { .. }
                | State::DataCr
                | State::DataLf
                | State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLf
                | State::EndLf => {
                    let Some(byte) = region.get(self.read) else { return Ok(ChunkedStep::NeedMore) };
                    self.read += 1;
                    self.state = self.count().and_then(|()| self.next(*byte)).unwrap_or_else(State::Failed);
                }
            }
        }
    }

    /// Closes the gap between the payload and what was not yet looked at.
    ///
    /// Returns by how many bytes the region shrank; the caller truncates it by as much.
    pub fn compact(&mut self, region: &mut [u8]) -> usize {
        let gap = self.read - self.write;
        if gap == 0 || self.read > region.len() {
            return 0;
        }
        region.copy_within(self.read.., self.write);
        self.read = self.write;
        gap
    }

    /// The bytes of payload at the front of the region so far.
    pub const fn body_bytes(&self) -> usize {
        self.write
    }

    /// Moves what has arrived of the current chunk; true when the chunk needs more bytes.
    fn move_payload(&mut self, region: &mut [u8], left: u64) -> bool {
        let arrived = region.len().saturating_sub(self.read);
        let moved = usize::try_from(left).unwrap_or(usize::MAX).min(arrived);
        if moved > 0 {
            region.copy_within(self.read..self.read + moved, self.write);
        }
        self.read += moved;
        self.write += moved;
        let left = left - moved as u64;
        self.state = if left == 0 { State::DataCr } else { State::Data { left } };
        left > 0
    }

    /// Counts one byte of framing.
    fn count(&mut self) -> Result<(), ChunkedError> {
        self.overhead_bytes += 1;
        if self.overhead_bytes > self.limits.overhead_bytes_max.saturating_add(self.write as u64) {
            return Err(ChunkedError::OverheadTooLarge);
        }
        Ok(())
    }

    fn next(&mut self, byte: u8) -> Result<State, ChunkedError> {
        match self.state {
            State::Size { size, digits } => self.next_in_size(size, digits, byte),
            State::Extension { size, bytes } => self.next_in_extension(size, bytes, byte),
            State::SizeLf { size: 0 } => line_feed(byte, State::TrailerStart),
            State::SizeLf { size } => line_feed(byte, State::Data { left: size }),
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataCr => Err(ChunkedError::BadLineEnd),
            State::DataLf => line_feed(byte, State::SIZE_START),
            State::TrailerStart if byte == b'\r' => Ok(State::EndLf),
            State::TrailerStart => {
                self.trailer_name = TrailerName::EMPTY;
                self.next_in_trailer_name(byte)
            }
            State::TrailerName => self.next_in_trailer_name(byte),
            State::TrailerValue => self.next_in_trailer_value(byte),
            State::TrailerLf => line_feed(byte, State::TrailerStart),
            State::EndLf => line_feed(byte, State::Done),
            State::Data { .. } | State::Done | State::Failed(_) => Ok(self.state),
        }
    }

    /// RFC 9112 7.1: `chunk-size = 1*HEXDIG`, so no sign, no prefix, no white space on either side.
    fn next_in_size(&self, size: u64, digits: u32, byte: u8) -> Result<State, ChunkedError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if digits > 0 => return Ok(State::SizeLf { size }),
            // RFC 9112 7.1.1: bad white space before the ';' is for senders to avoid and is refused here.
            b';' if digits > 0 => return Ok(State::Extension { size, bytes: 0 }),
            _ => return Err(ChunkedError::BadSize),
        };
        if digits == SIZE_DIGITS_MAX {
            return Err(ChunkedError::BadSize);
        }
        let size = size << 4 | u64::from(digit);
        if size > self.limits.body_bytes_max.saturating_sub(self.write as u64) {
            return Err(ChunkedError::BodyTooLarge);
        }
        Ok(State::Size { size, digits: digits + 1 })
    }

    /// RFC 9112 7.1.1: unknown extensions are ignored, and all are unknown here; their bytes are bounded.
    fn next_in_extension(&self, size: u64, bytes: usize, byte: u8) -> Result<State, ChunkedError> {
        match byte {
            b'\r' => Ok(State::SizeLf { size }),
            b'\t' | b' '..=b'~' if bytes < self.limits.extension_bytes_max => {
                Ok(State::Extension { size, bytes: bytes + 1 })
            }
            b'\t' | b' '..=b'~' => Err(ChunkedError::ExtensionTooLarge),
            _ => Err(ChunkedError::BadExtension),
        }
    }

    /// RFC 9112 7.1.2 and 5.1: trailers are field lines; no space before the colon, no folding.
    fn next_in_trailer_name(&mut self, byte: u8) -> Result<State, ChunkedError> {
        self.count_trailer()?;
        match byte {
            b':' if self.trailer_name.length == 0 => Err(ChunkedError::BadTrailer),
            b':' if self.trailer_name.is_forbidden() => Err(ChunkedError::ForbiddenTrailer),
            b':' => Ok(State::TrailerValue),
            _ if is_token_byte(byte) => {
                self.trailer_name.push(byte);
                Ok(State::TrailerName)
            }
            _ => Err(ChunkedError::BadTrailer),
        }
    }

    fn next_in_trailer_value(&mut self, byte: u8) -> Result<State, ChunkedError> {
        self.count_trailer()?;
        match byte {
            b'\r' => Ok(State::TrailerLf),
            b'\t' | b' '..=b'~' | 0x80.. => Ok(State::TrailerValue),
            _ => Err(ChunkedError::BadTrailer),
        }
    }

    fn count_trailer(&mut self) -> Result<(), ChunkedError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > self.limits.trailer_bytes_max {
            return Err(ChunkedError::TrailersTooLarge);
        }
        Ok(())
    }
}

/// RFC 9112 2.2: only CRLF ends a line of the framing.
fn line_feed(byte: u8, state: State) -> Result<State, ChunkedError> {
    if byte == b'\n' { Ok(state) } else { Err(ChunkedError::BadLineEnd) }
}

/// RFC 9110 5.6.2: `tchar`.
const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
    )
}
