//! The Date field's value, formatted once a second instead of once a response.
//! Never: a clock of its own; the caller says what time it is.
//! Next: `pipeline/respond`, which sends it.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// The length of an IMF-fixdate (RFC 9110 5.6.7).
pub const DATE_BYTES: usize = 29;
/// 9999-12-31T23:59:59Z: the last second that four digits of a year can say.
const UNIX_S_MAX: u64 = 253_402_300_799;

/// The current second in the form `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Debug)]
pub struct DateCache {
    unix_s: u64,
    text: [u8; DATE_BYTES],
}

impl Default for DateCache {
    /// Starts at the Unix epoch.
    fn default() -> Self {
        Self { unix_s: 0, text: *b"Thu, 01 Jan 1970 00:00:00 GMT" }
    }
}

impl DateCache {
    /// Moves the cached value to `unix_s` seconds after the Unix epoch; formats only when the second changed.
    pub fn refresh(&mut self, unix_s: u64) {
        let unix_s = unix_s.min(UNIX_S_MAX);
        if unix_s == self.unix_s {
            return;
        }
        let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(unix_s));
        let written = write!(self.text.as_mut_slice(), "{date}");
        debug_assert!(written.is_ok(), "an IMF-fixdate has 29 bytes");
        self.unix_s = unix_s;
    }

    /// The value for the Date field.
    pub fn as_bytes(&self) -> &[u8; DATE_BYTES] {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unix_s: u64, expect: &str) {
        let mut date = DateCache::default();
        date.refresh(unix_s);
        assert_eq!(str::from_utf8(date.as_bytes()), Ok(expect), "{unix_s}");
    }

    #[test]
    fn formats_as_imf_fixdate() {
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(1_785_196_800, "Tue, 28 Jul 2026 00:00:00 GMT");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT");
        check(253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT");
        check(253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT");
        check(u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn follows_the_clock_both_ways() {
        let mut date = DateCache::default();
        for unix_s in [100, 101, 101, 99, 0] {
            date.refresh(unix_s);
            let mut fresh = DateCache::default();
            fresh.refresh(unix_s);
            assert_eq!(date.as_bytes(), fresh.as_bytes(), "{unix_s}");
        }
    }
}
