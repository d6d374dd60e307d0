//! Tables for chunked bodies: what is read, what is refused, what a limit costs.
//! Next: `tests/properties/http` for the laws.

use super::*;

const LIMITS: ChunkedLimits = ChunkedLimits {
    body_bytes_max: 32,
    extension_bytes_max: 8,
    trailer_bytes_max: 24,
    overhead_bytes_max: 64,
};

/// The payload and the bytes left over.
type Parts = (Vec<u8>, Vec<u8>);

fn read(input: &[u8], limits: ChunkedLimits) -> Result<Option<Parts>, ChunkedError> {
    let mut region = input.to_vec();
    let mut chunked = Chunked::new(limits);
    Ok(match chunked.decode(&mut region)? {
        ChunkedStep::NeedMore => None,
        ChunkedStep::Done { body_bytes, consumed } => {
            Some((region[..body_bytes].to_vec(), region[consumed..].to_vec()))
        }
    })
}

#[track_caller]
fn check(input: &str, payload: &str, rest: &str) {
    let expect = Some((payload.as_bytes().to_vec(), rest.as_bytes().to_vec()));
    assert_eq!(read(input.as_bytes(), LIMITS), Ok(expect), "{}", input.escape_debug());
}

#[track_caller]
fn check_refused(input: impl AsRef<[u8]>, expect: ChunkedError) {
    let input = input.as_ref();
    assert_eq!(read(input, LIMITS), Err(expect), "{}", input.escape_ascii());
}

#[test]
fn joins_chunks_at_the_front() {
    check("0\r\n\r\n", "", "");
    check("0000\r\n\r\n", "", "");
    check("1\r\na\r\n0\r\n\r\n", "a", "");
    check("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /", "abcde", "GET /");
    check("0000000000000003\r\nabc\r\n0\r\n\r\n", "abc", "");
    check("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "");
    check("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", "");
    check("20\r\n01234567890123456789012345678901\r\n0\r\n\r\n", "01234567890123456789012345678901", "");
}

#[test]
fn ignores_extensions_and_trailers() {
    check("1;a\r\nx\r\n0;b=c\r\n\r\n", "x", "");
    check("1;a=\"b;\"\r\nx\r\n0\r\n\r\n", "x", "");
    check("1; a = b\r\nx\r\n0\r\n\r\n", "x", "");
    check("0\r\nX: y\r\n\r\n", "", "");
    check("0\r\nX:\r\nY:\tz \r\n\r\nrest", "", "rest");
    check("0\r\nHosted: a\r\n\r\n", "", "");
    check("0\r\nX: \u{e9}\r\n\r\n", "", "");
}

#[test]
fn asks_for_more_until_the_end() {
    let whole = b"2;x\r\nab\r\n0\r\nT: u\r\n\r\n";
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length], LIMITS), Ok(None), "{length}");
    }
    assert!(read(whole, LIMITS).is_ok_and(|done| done.is_some()));
}

#[test]
fn refuses_sizes_that_are_no_plain_hexadecimal() {
    for size in [
        "",
        " 1",
        "1 ",
        "\t1",
        "+1",
        "-1",
        "0x1",
        "x1",
        "g",
        "1g",
        "1,",
        "1.",
        "\"1\"",
        "1\u{0}",
        "\u{0}1",
        "1\u{b}",
        "1 ;a",
        "\u{ff11}",
        "_1",
        "1_0",
        ";a",
        "00000000000000001",
        "#1",
        "\n1",
        "\r\n1",
    ] {
        check_refused(format!("{size}\r\nx\r\n0\r\n\r\n"), ChunkedError::BadSize);
    }
}

#[test]
fn refuses_line_ends_other_than_crlf() {
    check_refused("1\nx\r\n0\r\n\r\n", ChunkedError::BadSize);
    check_refused("1\rx\r\n0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("1\r\rx\r\n0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("1\r\nx\n0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("1\r\nx\r0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("1\r\nxy\r\n0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("2\r\nx\r\n0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("1\r\nx0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("0\n\n", ChunkedError::BadSize);
    check_refused("0\r\n\rx", ChunkedError::BadLineEnd);
    check_refused("0\r\n\n", ChunkedError::BadTrailer);
    check_refused("1;a\nx\r\n0\r\n\r\n", ChunkedError::BadExtension);
    check_refused("1;a\rx\r\n0\r\n\r\n", ChunkedError::BadLineEnd);
    check_refused("0\r\nX: y\n\r\n", ChunkedError::BadTrailer);
    check_refused("0\r\nX: y\rZ\r\n\r\n", ChunkedError::BadLineEnd);
}

#[test]
fn refuses_bytes_that_extensions_and_trailers_may_not_hold() {
    check_refused("1;\0\r\nx\r\n0\r\n\r\n", ChunkedError::BadExtension);
    check_refused("1;\u{7f}\r\nx\r\n0\r\n\r\n", ChunkedError::BadExtension);
    check_refused("1;\u{e9}\r\nx\r\n0\r\n\r\n", ChunkedError::BadExtension);
    for trailer in [
        ": y",
        "X",
        "X : y",
        "X\t: y",
        " X: y",
        "\tX: y",
        "X: \0",
        "X: \u{7f}",
        "X\0: y",
        "(: y",
        "\u{e9}: y",
    ] {
        check_refused(format!("0\r\n{trailer}\r\n\r\n"), ChunkedError::BadTrailer);
    }
    check_refused("0\r\nX: y\r\n z\r\n\r\n", ChunkedError::BadTrailer);
}

#[test]
fn refuses_trailers_that_would_change_the_message() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "TRANSFER-ENCODING",
        "Host",
        "Connection",
        "te",
        "Trailer",
        "Expect",
        "Authorization",
        "Mcp-Session-Id",
        "MCP-Protocol-Version",
    ] {
        check_refused(format!("0\r\n{name}: 1\r\n\r\n"), ChunkedError::ForbiddenTrailer);
        check_refused(format!("0\r\nX:\r\n{name}: 1\r\n\r\n"), ChunkedError::ForbiddenTrailer);
    }
}

#[test]
fn keeps_the_limits_before_the_bytes_arrive() {
    check_refused("21", ChunkedError::BodyTooLarge);
    check_refused("ffffffffffffffff", ChunkedError::BodyTooLarge);
    check_refused("1f\r\n0123456789012345678901234567890\r\n2", ChunkedError::BodyTooLarge);
    check_refused("1;123456789", ChunkedError::ExtensionTooLarge);
    assert_eq!(read(b"1;12345678\r\n", LIMITS), Ok(None));
    check_refused(format!("0\r\nX: {}\r\n", "y".repeat(24)), ChunkedError::TrailersTooLarge);
    check_refused("0\r\nX: 1234567\r\nY: 12345678901", ChunkedError::TrailersTooLarge);
    let ample = ChunkedLimits { trailer_bytes_max: 1000, ..LIMITS };
    let trailer = |length: usize| format!("0\r\nX:{}", "y".repeat(length));
    assert_eq!(read(trailer(59).as_bytes(), ample), Ok(None));
    assert_eq!(read(trailer(60).as_bytes(), ample), Err(ChunkedError::OverheadTooLarge));
    check_refused("1\r\nx\r\n".repeat(20), ChunkedError::OverheadTooLarge);
}

#[test]
fn stays_refused() {
    let mut chunked = Chunked::new(LIMITS);
    let mut region = b"zz\r\n".to_vec();
    assert_eq!(chunked.decode(&mut region), Err(ChunkedError::BadSize));
    region.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(chunked.decode(&mut region), Err(ChunkedError::BadSize));
}

#[test]
fn stays_done() {
    let mut chunked = Chunked::new(LIMITS);
    let mut region = b"1\r\nx\r\n0\r\n\r\nnext".to_vec();
    let done = Ok(ChunkedStep::Done { body_bytes: 1, consumed: 11 });
    assert_eq!((chunked.decode(&mut region), chunked.decode(&mut region)), (done, done));
    let gap = chunked.compact(&mut region);
    region.truncate(region.len() - gap);
    assert_eq!((gap, region.as_slice()), (10, b"xnext".as_slice()));
    assert_eq!(chunked.decode(&mut region), Ok(ChunkedStep::Done { body_bytes: 1, consumed: 1 }));
}

#[test]
fn gives_each_error_its_status() {
    let check = |error: ChunkedError, expect: u16| {
        assert_eq!((error.status(), error.trust()), (expect, Framing::Broken), "{error:?}");
    };
    check(ChunkedError::BadSize, 400);
    check(ChunkedError::ForbiddenTrailer, 400);
    check(ChunkedError::BodyTooLarge, 413);
    check(ChunkedError::OverheadTooLarge, 413);
}
