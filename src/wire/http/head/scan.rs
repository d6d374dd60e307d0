//! Finds where a request head ends and refuses, as early as the bytes show it, one that can never be valid.
//! Never: a second look at a byte, so a peer that sends single bytes costs no more than one that sends all at once.
//! Next: `decode` in `mod.rs`, for the bytes up to the end found here.

use super::{HeadError, HeadLimits, REQUEST_LINE_REST_BYTES_MAX};

/// Remembers how far the search for the end of one head has gone.
///
/// Belongs to one head: the bytes given to each call must start where the head starts and may only have grown.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    /// Bytes before this offset need no second look.
    at: usize,
    /// Where the line that holds `at` starts.
    line_start: usize,
    lines: Lines,
}

/// What the scan has passed so far.
///
/// ```text
///  Start --empty line--> Blank --request line--> Fields(0) --field line--> Fields(n) --empty line--> (end)
///    '--------------------request line--------------^
/// ```
#[derive(Clone, Copy, Debug, Default)]
enum Lines {
    #[default]
    Start,
    Blank,
    Fields(usize),
}

impl HeadScan {
    /// Looks for the end of the head in `bytes`: the offset just past the empty line, or `None` when more is needed.
    ///
    /// # Errors
    /// As soon as a limit is passed or a bare CR, a bare LF, a control byte or a folded line is seen, whether or not
    /// the end has arrived; the error is the same however the bytes were cut.
    pub fn find_end(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        let window = bytes.get(..limits.head_bytes_max).unwrap_or(bytes);
        loop {
            if self.at == self.line_start {
                self.check_line_start(window)?;
            }
            let Some(found) = find_control(window, self.at) else {
                return self.pause(window.len(), window, limits);
            };
            self.check_request_line(found, limits)?;
            match (window.get(found), window.get(found + 1)) {
                (Some(b'\t'), _) => {
                    self.at = found + 1;
                    continue;
                }
                (Some(b'\r'), Some(b'\n')) => {}
                (Some(b'\r'), None) => return self.pause(found, window, limits),
                // RFC 9112 2.2: a bare CR is invalid; a bare LF may be tolerated, and is not: proxies disagree about it.
                (Some(b'\r' | b'\n'), _) => return Err(HeadError::BareLineEnd),
                // RFC 9110 5.5: NUL and other control bytes are invalid and dangerous.
                (Some(_) | None, _) => return Err(HeadError::ControlByte),
            }
            let line_is_empty = found == self.line_start;
            self.at = found + 2;
            self.line_start = self.at;
            match (self.lines, line_is_empty) {
                // RFC 9112 2.2: at least one empty line before the request line is ignored; here at most one.
                (Lines::Start, true) => self.lines = Lines::Blank,
                (Lines::Blank, true) => return Err(HeadError::BadRequestLine),
                (Lines::Start | Lines::Blank, false) => self.lines = Lines::Fields(0),
                (Lines::Fields(_), true) => return Ok(Some(self.at)),
                (Lines::Fields(count), false) if count >= limits.fields() => {
                    return Err(HeadError::TooManyFields);
                }
                (Lines::Fields(count), false) => self.lines = Lines::Fields(count + 1),
            }
        }
    }

    /// Stops at `at` for want of bytes, unless no further byte could help.
    fn pause(&mut self, at: usize, window: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        self.check_request_line(at, limits)?;
        if window.len() >= limits.head_bytes_max {
            return Err(HeadError::HeadTooLarge);
        }
        self.at = at;
        Ok(None)
    }

    fn check_line_start(&self, window: &[u8]) -> Result<(), HeadError> {
        match (window.get(self.line_start), self.lines) {
            (Some(b' ' | b'\t'), Lines::Start | Lines::Blank) => Err(HeadError::BadRequestLine),
            // RFC 9112 5.2 and 2.2: neither a folded field nor white space after the request line.
            (Some(b' ' | b'\t'), Lines::Fields(_)) => Err(HeadError::ObsFold),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Refuses a request line that reaches `end` when no target within the limit can make it that long.
    fn check_request_line(&self, end: usize, limits: &HeadLimits) -> Result<(), HeadError> {
        let line_bytes_max = limits.target_bytes_max.saturating_add(REQUEST_LINE_REST_BYTES_MAX);
        match self.lines {
            Lines::Start | Lines::Blank if end - self.line_start > line_bytes_max => {
                Err(HeadError::TargetTooLong)
            }
            Lines::Start | Lines::Blank | Lines::Fields(_) => Ok(()),
        }
    }
}

/// The offset of the first byte below 0x20 at or after `from`. DEL is left to `decode`.
fn find_control(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let (words, tail) = rest.as_chunks::<8>();
    let mut at = from;
    for word in words {
        let controls = controls_in(u64::from_le_bytes(*word));
        if controls != 0 {
            return Some(at + controls.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    tail.iter().position(|byte| *byte < 0x20).map(|offset| at + offset)
}

/// The high bit of each byte that is below 0x20, the first byte lowest.
const fn controls_in(word: u64) -> u64 {
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    const CARRY_FROM_0X20: u64 = u64::from_ne_bytes([0x60; 8]);
    // Adding 0x60 to the low seven bits sets the high bit exactly when they are 0x20 or more.
    !(((word & !HIGH_BITS) + CARRY_FROM_0X20) | word) & HIGH_BITS
}
