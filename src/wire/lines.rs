//! Messages that end with a line feed, as over standard input: where the next one lies.
//! Never: a copy, a second look at a byte, a line longer than its bound held for its end.
//! Next: `prefixed.rs`, the same with lengths.

use memchr::memchr;

/// What [`Lines::find`] has found. Except after `NeedMore`, the caller goes on at `input[consumed..]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStep {
    /// No line is complete; the same bytes must come again with more behind them.
    NeedMore,
    /// Lines with nothing but white space, which are no messages and may be forgotten.
    Blank {
        /// Where the line after them starts.
        consumed: usize,
    },
    /// A message at `input[start..start + bytes]`, without its line end; blank lines may lie before it.
    Message {
        /// Where it starts.
        start: usize,
        /// How long it is; at least one byte that is no white space.
        bytes: usize,
        /// Where the next line starts.
        consumed: usize,
    },
}

/// The line at the front of the input is longer than allowed; [`Lines::skip`] gets rid of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line too long")]
pub struct LineTooLong;

/// Remembers how far the search for the end of a line has gone.
///
/// Each call must be given what the one before has left over: bytes may be added at the end, and only what a step
/// has consumed may be taken away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// Bytes before this offset hold no line feed.
    scanned: usize,
}

impl Lines {
    /// Looks for the next message.
    ///
    /// # Errors
    /// As soon as the line at the front is certain to have more than `line_bytes_max` bytes, line end not counted.
    pub fn find(&mut self, input: &[u8], line_bytes_max: usize) -> Result<LineStep, LineTooLong> {
        let mut start = 0;
        loop {
            let end = self.find_end(input);
            let line = input.get(start..end.unwrap_or(input.len())).unwrap_or_default();
            // The CR of a CRLF may be the last byte that has arrived.
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let too_long = line.len() > line_bytes_max;
            let Some(end) = end.filter(|_| !too_long) else {
                self.scanned -= start;
                return match start {
                    0 if too_long => Err(LineTooLong),
                    0 => Ok(LineStep::NeedMore),
                    // What is wrong with the line behind the blank ones is found again by the next call.
                    _ => Ok(LineStep::Blank { consumed: start }),
                };
            };
            self.scanned = end + 1;
            if !is_blank(line) {
                self.scanned = 0;
                return Ok(LineStep::Message { start, bytes: line.len(), consumed: end + 1 });
            }
            start = end + 1;
        }
    }

    /// Skips the line at the front: how much of the input to forget when its end has arrived, `None` when all of the
    /// input is to be forgotten and more of the line will come.
    pub fn skip(&mut self, input: &[u8]) -> Option<usize> {
        let end = self.find_end(input);
        self.scanned = 0;
        end.map(|end| end + 1)
    }

    /// The first line feed; everything before it has then been scanned.
    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        let found = memchr(b'\n', input.get(self.scanned..).unwrap_or_default());
        let end = found.map(|offset| self.scanned + offset);
        self.scanned = end.unwrap_or(input.len());
        end
    }
}

/// RFC 8259 2: what JSON takes for white space, and nothing more.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8;

    /// What one stream says; `None` for a line too long. Bytes arrive `step` at a time.
    fn read(input: &[u8], step: usize) -> (Vec<Option<Vec<u8>>>, usize) {
        let (mut lines, mut held, mut said, mut skipping) = (Lines::default(), Vec::new(), Vec::new(), false);
        for piece in input.chunks(step) {
            held.extend_from_slice(piece);
            loop {
                if skipping {
                    let used = lines.skip(&held);
                    held.drain(..used.unwrap_or(held.len()));
                    skipping = used.is_none();
                    if skipping {
                        break;
                    }
                }
                match lines.find(&held, MAX) {
                    Ok(LineStep::NeedMore) => break,
                    Ok(LineStep::Blank { consumed }) => drop(held.drain(..consumed)),
                    Ok(LineStep::Message { start, bytes, consumed }) => {
                        said.push(Some(held[start..start + bytes].to_vec()));
                        held.drain(..consumed);
                    }
                    Err(LineTooLong) => {
                        said.push(None);
                        skipping = true;
                    }
                }
            }
            assert!(held.len() <= MAX + 1, "held {}", held.len());
        }
        (said, held.len())
    }

    #[track_caller]
    fn check(input: &str, expect: &[&str], left: usize) {
        let expect: Vec<_> =
            expect.iter().map(|line| (*line != "-").then(|| line.as_bytes().to_vec())).collect();
        for step in [usize::MAX, 1, 2, 3, 5] {
            assert_eq!(
                read(input.as_bytes(), step),
                (expect.clone(), left),
                "{} {step}",
                input.escape_debug()
            );
        }
    }

    #[test]
    fn finds_lines() {
        check("", &[], 0);
        check("{}", &[], 2);
        check("{}\n", &["{}"], 0);
        check("{}\n[]\nx", &["{}", "[]"], 1);
        check(" {} \n", &[" {} "], 0);
        check("a\0b\n\u{e9}\n", &["a\0b", "\u{e9}"], 0);
        check("\u{c}\n", &["\u{c}"], 0);
    }

    #[test]
    fn takes_a_carriage_return_for_part_of_the_line_end() {
        check("{}\r\n[]\r\n", &["{}", "[]"], 0);
        check("a\r\r\n", &["a\r"], 0);
        check("a\rb\n", &["a\rb"], 0);
        check("{}\r", &[], 3);
        check("12345678\r\n", &["12345678"], 0);
        check("12345678\r", &[], 9);
    }

    #[test]
    fn skips_blank_lines() {
        check("\n\r\n \t\n\r\r\n{}\n\n", &["{}"], 0);
        check("\n\n{}", &[], 2);
        check("\r\n\r", &[], 1);
        let mut lines = Lines::default();
        let found = lines.find(b"\n \n{}\n[", MAX);
        assert_eq!(found, Ok(LineStep::Message { start: 3, bytes: 2, consumed: 6 }));
        assert_eq!(lines.find(b"\n\n{", MAX), Ok(LineStep::Blank { consumed: 2 }));
        assert_eq!(lines.find(b"{}\n", MAX), Ok(LineStep::Message { start: 0, bytes: 2, consumed: 3 }));
    }

    #[test]
    fn refuses_long_lines_and_goes_on_behind_them() {
        check("12345678\n", &["12345678"], 0);
        check("123456789\n{}\n", &["-", "{}"], 0);
        check("12345678\rx\n{}\n", &["-", "{}"], 0);
        check("12345678\r\r\n{}\n", &["-", "{}"], 0);
        check("\n\n1234567890123456789012345\n\n{}\n", &["-", "{}"], 0);
        check("1234567890", &["-"], 0);
        check("          \n{}\n", &["-", "{}"], 0);
    }

    #[test]
    fn looks_at_no_byte_twice() {
        let mut lines = Lines::default();
        assert_eq!(lines.find(b"1234", MAX), Ok(LineStep::NeedMore));
        assert_eq!(lines.scanned, 4);
        // The search goes on where it stopped: a line feed put in front of that is not seen.
        assert_eq!(lines.find(b"\n23456", MAX), Ok(LineStep::NeedMore));
        assert_eq!(lines.find(b"123456\n", MAX), Ok(LineStep::Message { start: 0, bytes: 6, consumed: 7 }));
        assert_eq!(lines.scanned, 0);
        assert_eq!(lines.find(b"\n\n123", MAX), Ok(LineStep::Blank { consumed: 2 }));
        assert_eq!(lines.scanned, 3);
    }
}
