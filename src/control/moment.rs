//! Points in time as people and logs write them. All UTC.
//! Never: a clock of its own beyond `unix_now_s`; callers pass the time they decide by.
//! Next: `certs` and `keys`, which compare against it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Now, in Unix seconds.
pub fn unix_now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Now, in Unix milliseconds.
pub fn unix_now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Reads RFC 3339, `2026-12-31T23:59:59Z`, into Unix seconds.
pub fn decode_rfc3339(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// `2026-11-22 09:14 UTC`.
pub fn minute(unix_s: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(unix_s) {
        Ok(at) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02} UTC",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute()
        ),
        Err(_) => format!("{unix_s} s after 1970"),
    }
}

/// `2026-11-22T09:14:03.250Z`, appended.
pub fn encode_millis(out: &mut Vec<u8>, unix_ms: u64) {
    use std::io::Write as _;
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Writing to a Vec never fails.
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        unix_ms % 1000
    );
}

/// `2 days`, `3 hours`, `1 minute`: the largest unit that is not zero.
pub fn distance(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        86_400.. => (seconds / 86_400, "day"),
        3_600.. => (seconds / 3_600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_moments() {
        assert_eq!(decode_rfc3339("1970-01-02T00:00:01Z"), Some(86_401));
        assert_eq!(decode_rfc3339("1970-01-02T01:00:01+01:00"), Some(86_401));
        for wrong in ["", "tomorrow", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00"] {
            assert_eq!(decode_rfc3339(wrong), None, "{wrong}");
        }
        assert_eq!(minute(1_795_338_840), "2026-11-22 09:14 UTC");
        let mut out = Vec::new();
        encode_millis(&mut out, 1_795_338_843_250);
        assert_eq!(out, b"2026-11-22T09:14:03.250Z");
    }

    #[test]
    fn says_how_long_in_the_largest_unit() {
        for (seconds, words) in
            [(0, "0 seconds"), (1, "1 second"), (119, "1 minute"), (7_200, "2 hours"), (172_799, "1 day")]
        {
            assert_eq!(distance(Duration::from_secs(seconds)), words);
        }
    }
}
