//! What no head may hold, what none may cost, and how each refusal is answered.
//! Next: `tests/properties/http` for the laws.

use super::*;
use crate::wire::http::Framing;

#[test]
fn refuses_bytes_that_no_head_may_hold() {
    use HeadError::{BadFieldName, BadFieldValue, BadRequestLine, BareLineEnd, ControlByte, ObsFold};
    let head = |line: &str| format!("GET / HTTP/1.1\r\n{line}\r\nHost: a\r\n\r\n");
    check_refused_twice(head("X: a\nY: b"), BareLineEnd, BareLineEnd);
    check_refused_twice(head("X: a\rY: b"), BareLineEnd, BadFieldValue);
    check_refused_twice(head("X: a\r\rY: b"), BareLineEnd, BadFieldValue);
    check_refused_twice(head("X: a\0"), ControlByte, BadFieldValue);
    check_refused_twice(head("X\0: a"), ControlByte, BadFieldName);
    check_refused_twice(head("X: \u{1}"), ControlByte, BadFieldValue);
    check_refused_twice(head("X: \u{b}a"), ControlByte, BadFieldValue);
    check_refused_twice(head("X: \u{1f}"), ControlByte, BadFieldValue);
    check_refused_twice(head("X: a\r\n b"), ObsFold, BadFieldName);
    check_refused_twice(head("X: a\r\n\tb"), ObsFold, BadFieldName);
    check_refused_twice(head(" X: a"), ObsFold, BadFieldName);
    check_refused_twice(head("X: a\r\n "), ObsFold, BadFieldName);
    check_refused_twice("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineEnd, BareLineEnd);
    check_refused_twice("GET / HTTP/1.1\r\nHost: a\r\n\n", BareLineEnd, BareLineEnd);
    check_refused_twice("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineEnd, BadRequestLine);
    check_refused_twice("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineEnd, BadRequestLine);
    check_refused_twice("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", ControlByte, BadRequestLine);
    check_refused(head("X: \u{7f}"), BadFieldValue);
    check_refused(head("X\u{7f}: a"), BadFieldName);
    check_refused(head("X : a"), BadFieldName);
    check_refused(head("X\t: a"), BadFieldName);
    check_refused(head(": a"), BadFieldName);
    check_refused(head("X"), BadFieldName);
    check_refused(head("X(: a"), BadFieldName);
    check_refused(head("X\u{e9}: a"), BadFieldName);
}

#[test]
fn keeps_the_limits() {
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(read(fields(5).as_bytes(), |head| head.fields().count()), Ok(5));
    check_refused_twice(fields(6), HeadError::TooManyFields, HeadError::TooManyFields);

    let target = |length: usize| with_target(&format!("/{}", "a".repeat(length - 1)));
    assert_eq!(read(target(40).as_bytes(), |head| head.path.len()), Ok(40));
    check_refused(target(41), HeadError::TargetTooLong);
    check_refused(target(71), HeadError::TargetTooLong);
    check_refused(target(300), HeadError::TargetTooLong);

    let head = |length: usize| {
        let rest = with_fields("X: ").len();
        with_fields(&format!("X: {}", "a".repeat(length - rest)))
    };
    assert_eq!(read(head(400).as_bytes(), |_| ()), Ok(()));
    check_refused_twice(head(401), HeadError::HeadTooLarge, HeadError::HeadTooLarge);
    let limits = HeadLimits { fields_max: usize::MAX, ..HeadLimits::default() };
    let mut storage = field_storage();
    assert!(decode(fields(100).as_bytes(), &mut storage, &limits).is_ok());
    let mut storage = field_storage();
    let refused = decode(fields(101).as_bytes(), &mut storage, &limits).expect_err("101 fields");
    assert_eq!(refused, HeadError::TooManyFields);
}

#[test]
fn refuses_as_soon_as_the_bytes_show_it() {
    let check = |input: &[u8], expect: Result<Option<usize>, HeadError>| {
        assert_eq!(HeadScan::default().find_end(input, &LIMITS), expect, "{}", input.escape_ascii());
    };
    check(b"", Ok(None));
    check(b"\r", Ok(None));
    check(b"\r\n", Ok(None));
    check(b"\r\n\r", Ok(None));
    check(b"GET / HTTP/1.1", Ok(None));
    check(b"GET / HTTP/1.1\r", Ok(None));
    check(b"GET / HTTP/1.1\r\n\r", Ok(None));
    check(b"GET / HTTP/1.1\r\n\r\n", Ok(Some(18)));
    check(b"GET / HTTP/1.1\r\n\r\nrest\n", Ok(Some(18)));
    check(b"\n", Err(HeadError::BareLineEnd));
    check(b"\rG", Err(HeadError::BareLineEnd));
    check(b" ", Err(HeadError::BadRequestLine));
    check(b"\r\n\r\n", Err(HeadError::BadRequestLine));
    check(b"\x16\x03\x01", Err(HeadError::ControlByte));
    check(b"GET / HTTP/1.1\r\n ", Err(HeadError::ObsFold));
    check(&[b'a'; 74], Ok(None));
    check(&[b'a'; 75], Err(HeadError::TargetTooLong));
    let mut large = b"GET / HTTP/1.1\r\n".to_vec();
    large.resize(399, b'a');
    check(&large, Ok(None));
    large.push(b'a');
    check(&large, Err(HeadError::HeadTooLarge));
}

#[test]
fn decodes_exactly_one_head() {
    let check = |input: &[u8], expect| {
        let mut storage = field_storage();
        assert_eq!(decode(input, &mut storage, &LIMITS).expect_err("not one head"), expect);
    };
    check(b"", HeadError::NotOneHead);
    check(b"\r\n", HeadError::NotOneHead);
    check(b"GET / HTTP/1.1\r\nHost: a\r\n", HeadError::NotOneHead);
    check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx", HeadError::NotOneHead);
}

#[test]
fn shows_no_secret_in_debug_output() {
    let input = b"GET /a?token=hidden HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hidden\r\n\r\n";
    let shown = read(input, |head| format!("{head:?}"));
    assert_eq!(shown.map(|shown| shown.contains("hidden")), Ok(false));
}

#[test]
fn gives_each_error_its_status() {
    let check = |error: HeadError, expect: u16| {
        assert_eq!((error.status(), error.trust()), (expect, Framing::Broken), "{error:?}");
    };
    check(HeadError::HeadTooLarge, 431);
    check(HeadError::TooManyFields, 431);
    check(HeadError::TargetTooLong, 414);
    check(HeadError::VersionNotSupported, 505);
    check(HeadError::UnknownExpectation, 417);
    check(HeadError::UnknownCoding, 501);
    check(HeadError::MethodTooLong, 501);
    check(HeadError::BadHost, 400);
    check(HeadError::LengthWithCoding, 400);
}
