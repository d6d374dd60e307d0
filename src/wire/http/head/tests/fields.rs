//! The fields: body length, persistence, expectation and those known by name.
//! Next: `bounds` for what no head may hold or cost.

use super::*;

#[test]
fn delimits_bodies_in_one_way() {
    use HeadError::{BadContentLength, BadTransferEncoding, DoubledField, LengthWithCoding, UnknownCoding};
    let check = |fields: &str, expect: Result<BodyLength, HeadError>| {
        assert_eq!(read(with_fields(fields).as_bytes(), |head| head.body), expect, "{fields}");
    };
    check("X: y", Ok(BodyLength::None));
    check("Content-Length: 0", Ok(BodyLength::Length(0)));
    check("content-LENGTH:  42\t", Ok(BodyLength::Length(42)));
    check("Content-Length: 18446744073709551615", Ok(BodyLength::Length(u64::MAX)));
    check("Transfer-Encoding: chunked", Ok(BodyLength::Chunked));
    check("transfer-encoding:\tCHUNKED ", Ok(BodyLength::Chunked));
    for value in [
        "",
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "5 5",
        "05",
        "00",
        "0x5",
        "5a",
        "5.0",
        "18446744073709551616",
        "99999999999999999999999",
        "\u{b2}",
    ] {
        let error =
            read(with_fields(&format!("Content-Length: {value}")).as_bytes(), |_| ()).expect_err(value);
        assert!(matches!(error, BadContentLength | HeadError::NonAsciiField), "{value}");
    }
    check("Content-Length: 5\r\nContent-Length: 5", Err(DoubledField));
    check("Content-Length: 5\r\nContent-Length: 6", Err(DoubledField));
    check("Content-Length: 5\r\nTransfer-Encoding: chunked", Err(LengthWithCoding));
    check("Transfer-Encoding: chunked\r\nContent-Length: 5", Err(LengthWithCoding));
    check("Transfer-Encoding: gzip\r\nContent-Length: x", Err(LengthWithCoding));
    check("Transfer-Encoding: gzip", Err(UnknownCoding));
    check("Transfer-Encoding: xchunked", Err(UnknownCoding));
    check("Transfer-Encoding: \"chunked\"", Err(UnknownCoding));
    check("Transfer-Encoding: chunked x", Err(UnknownCoding));
    check("Transfer-Encoding: identity", Err(UnknownCoding));
    check("Transfer-Encoding: gzip, chunked", Err(UnknownCoding));
    check("Transfer-Encoding: gzip;q=1, chunked", Err(UnknownCoding));
    check("Transfer-Encoding: chunked, gzip", Err(BadTransferEncoding));
    check("Transfer-Encoding: chunked, identity", Err(BadTransferEncoding));
    check("Transfer-Encoding: chunked, chunked", Err(BadTransferEncoding));
    check("Transfer-Encoding: gzip, chunked, gzip", Err(BadTransferEncoding));
    check("Transfer-Encoding: chunked;a=b", Err(BadTransferEncoding));
    check("Transfer-Encoding: chunked,", Err(BadTransferEncoding));
    check("Transfer-Encoding: ,chunked", Err(BadTransferEncoding));
    check("Transfer-Encoding:", Err(BadTransferEncoding));
    check("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Err(BadTransferEncoding));
    check("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Err(BadTransferEncoding));
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_refused(old, HeadError::CodingInOldVersion);
}

#[test]
fn decides_persistence_by_version_and_connection() {
    use Persistence::{Close, KeepAlive};
    let check = |version: &str, fields: &str, expect: Persistence| {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(read(input.as_bytes(), |head| head.persistence), Ok(expect), "{version} {fields}");
    };
    check("1.1", "", KeepAlive);
    check("1.0", "", Close);
    check("1.1", "Connection: close\r\n", Close);
    check("1.1", "Connection: x , CLOSE\r\n", Close);
    check("1.1", "Connection: keep-alive\r\nConnection: close\r\n", Close);
    check("1.1", "Connection: closed\r\n", KeepAlive);
    check("1.1", "Connection: Upgrade\r\n", KeepAlive);
    check("1.0", "Connection: Keep-Alive\r\n", KeepAlive);
    check("1.0", "Connection: keep-alive, close\r\n", Close);
}

#[test]
fn expects_continue_only_for_a_body_to_come() {
    let check = |version: &str, fields: &str, expect: Result<Expectation, HeadError>| {
        let input = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(read(input.as_bytes(), |head| head.expectation), expect, "{version} {fields}");
    };
    check("1.1", "Content-Length: 1\r\n", Ok(Expectation::None));
    check("1.1", "Expect: 100-continue\r\nContent-Length: 1\r\n", Ok(Expectation::Continue));
    check("1.1", "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", Ok(Expectation::Continue));
    check("1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", Ok(Expectation::None));
    check("1.1", "Expect: 100-continue\r\n", Ok(Expectation::None));
    check("1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", Ok(Expectation::None));
    check("1.1", "Expect: 200-ok\r\n", Err(HeadError::UnknownExpectation));
    check("1.1", "Expect:\r\n", Err(HeadError::UnknownExpectation));
    check("1.1", "Expect: 100-continue, x\r\n", Err(HeadError::UnknownExpectation));
    check("1.1", "Expect: 100-continue\r\nExpect: 100-continue\r\n", Err(HeadError::DoubledField));
}

/// One row for each known field: its name, how to find it, and whether it may stand twice.
type KnownRow = (&'static str, for<'a> fn(&Known<'a>) -> Option<&'a [u8]>, bool);

const KNOWN: [KnownRow; 14] = [
    ("Origin", |known| known.origin, false),
    ("Authorization", |known| known.authorization, false),
    ("X-API-Key", |known| known.x_api_key, false),
    ("Content-Type", |known| known.content_type, false),
    ("Content-Encoding", |known| known.content_encoding, false),
    ("MCP-Protocol-Version", |known| known.mcp_protocol_version, false),
    ("Mcp-Method", |known| known.mcp_method, false),
    ("Mcp-Name", |known| known.mcp_name, false),
    ("Mcp-Session-Id", |known| known.mcp_session_id, false),
    ("Last-Event-ID", |known| known.last_event_id, false),
    ("Accept", |known| known.accept, true),
    ("X-Request-Id", |known| known.x_request_id, true),
    ("Upgrade", |known| known.upgrade, true),
    ("User-Agent", |known| known.user_agent, true),
];

#[test]
fn finds_known_fields_in_any_case() {
    for (name, look, may_double) in KNOWN {
        for name in [name.to_owned(), name.to_uppercase(), name.to_lowercase()] {
            let once = with_fields(&format!("{name}: \t a b \t"));
            let found = read(once.as_bytes(), |head| look(&head.known).map(<[u8]>::to_vec));
            assert_eq!(found, Ok(Some(b"a b".to_vec())), "{name}");
            let twice = with_fields(&format!("{name}: a\r\n{}: b", name.to_lowercase()));
            let found = read(twice.as_bytes(), |head| look(&head.known).map(<[u8]>::to_vec));
            let expect = if may_double { Ok(Some(b"a".to_vec())) } else { Err(HeadError::DoubledField) };
            assert_eq!(found, expect, "{name} twice");
            let empty = with_fields(&format!("{name}:"));
            let found = read(empty.as_bytes(), |head| look(&head.known).map(<[u8]>::to_vec));
            assert_eq!(found, Ok(Some(Vec::new())), "{name} empty");
            let not_ascii = read(with_fields(&format!("{name}: \u{e9}")).as_bytes(), |_| ());
            let expect =
                if name.eq_ignore_ascii_case("user-agent") { Ok(()) } else { Err(HeadError::NonAsciiField) };
            assert_eq!(not_ascii, expect, "{name} not ASCII");
        }
        let longer = with_fields(&format!("{name}s: a\r\n{}: b", name.replace('-', "_") + "_"));
        assert_eq!(read(longer.as_bytes(), |head| look(&head.known).is_some()), Ok(false), "{name} longer");
        let altered: String = name.chars().map(|letter| if letter == 'e' { 'f' } else { letter }).collect();
        if altered != name {
            let altered = with_fields(&format!("{altered}: a"));
            assert_eq!(
                read(altered.as_bytes(), |head| look(&head.known).is_some()),
                Ok(false),
                "{name} altered"
            );
        }
    }
}

#[test]
fn walks_all_fields_in_order() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nAccept: b\r\nx-a: \xe9\r\nACCEPT: c\r\n\r\n";
    let checked = read(input, |head| {
        let all: Vec<_> = head.fields().collect();
        assert_eq!(
            all,
            [("Host", b"a".as_slice()), ("X-A", b"1"), ("Accept", b"b"), ("x-a", b"\xe9"), ("ACCEPT", b"c"),]
        );
        assert_eq!(head.accept().collect::<Vec<_>>(), [b"b", b"c"]);
        assert_eq!(head.values("X-a").collect::<Vec<_>>(), [b"1", b"\xe9"]);
        assert_eq!((head.field("x-A"), head.field("x-b")), (Some(b"1".as_slice()), None));
        assert_eq!(head.elements("x-A").collect::<Vec<_>>(), [b"1", b"\xe9"]);
        assert_eq!((head.has_twice("X-A"), head.has_twice("host")), (true, false));
    });
    assert_eq!(checked, Ok(()));
}

#[test]
fn walks_the_elements_of_a_list_over_its_lines() {
    let input = with_fields("X-A: a , b,\t,c\r\nX-B: x\r\nx-a:\r\nX-A: ,d");
    let checked = read(input.as_bytes(), |head| {
        assert_eq!(head.elements("x-a").collect::<Vec<_>>(), [b"a", b"b", b"c", b"d"]);
        assert_eq!(head.elements("x-c").next(), None);
    });
    assert_eq!(checked, Ok(()));
}
