//! Tables for the request head: what is read and how, and what is refused with which error.
//! Next: `tests/properties/http.rs` for the laws and the request smuggling vectors.

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 400, fields_max: 5, target_bytes_max: 40 };

fn read<T>(input: &[u8], look: impl FnOnce(&Head<'_, '_>) -> T) -> Result<T, HeadError> {
    let end = HeadScan::default().find_end(input, &LIMITS)?.expect("the table has whole heads");
    let mut storage = field_storage();
    decode(&input[..end], &mut storage, &LIMITS).map(|head| look(&head))
}

#[track_caller]
fn check_refused(input: impl AsRef<[u8]>, expect: HeadError) {
    let input = input.as_ref();
    let refused = read(input, |_| ()).expect_err("must be refused");
    assert_eq!(refused, expect, "{}", input.escape_ascii());
}

/// A refusal that the scan and `decode` word differently, each seeing it on its own.
#[track_caller]
fn check_refused_twice(input: impl AsRef<[u8]>, by_scan: HeadError, by_decode: HeadError) {
    let input = input.as_ref();
    check_refused(input, by_scan);
    let mut storage = field_storage();
    assert_eq!(decode(input, &mut storage, &LIMITS).expect_err("must be refused"), by_decode);
}

fn with_fields(fields: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

fn with_target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn reads_methods_by_case() {
    let check = |name: &str, expect| {
        let input = format!("{name} /mcp HTTP/1.1\r\nHost: a\r\n\r\n");
        let found = read(input.as_bytes(), |head| (head.method, head.method_name.to_owned()));
        assert_eq!(found, Ok((expect, name.to_owned())));
    };
    check("GET", Method::Get);
    check("HEAD", Method::Head);
    check("POST", Method::Post);
    check("DELETE", Method::Delete);
    check("OPTIONS", Method::Options);
    check("PUT", Method::Put);
    check("PATCH", Method::Patch);
    check("TRACE", Method::Trace);
    check("get", Method::Other);
    check("POSTER", Method::Other);
    check("M-SEARCH", Method::Other);
    check("ABCDEFGHIJKLMNOPQRSTUVWX", Method::Other);
}

#[test]
fn reads_targets_as_sent() {
    let check = |method: &str, target: &str, path: &str, query: Option<&str>| {
        let input = format!("{method} {target} HTTP/1.1\r\nHost: h:80\r\n\r\n");
        let found = read(input.as_bytes(), |head| {
            (head.path.to_owned(), head.query.map(str::to_owned), head.host.map(str::to_owned))
        });
        let expect = (path.to_owned(), query.map(str::to_owned), Some("h:80".to_owned()));
        assert_eq!(found, Ok(expect), "{target}");
    };
    check("GET", "/", "/", None);
    check("GET", "/a/../b/./c", "/a/../b/./c", None);
    check("GET", "/a%2fb%2E", "/a%2fb%2E", None);
    check("GET", "//a", "//a", None);
    check("GET", "/a?", "/a", Some(""));
    check("GET", "/a?b=c?d/e", "/a", Some("b=c?d/e"));
    check("GET", "/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@", None);
    check("OPTIONS", "*", "*", None);
    check("OPTIONS", "/a", "/a", None);
    check("GET", "http://h:80/a?b", "/a", Some("b"));
    check("GET", "HTTPS://H:80/a", "/a", None);
    check("GET", "http://h:80", "/", None);
    check("GET", "http://h:80?b", "/", Some("b"));
    check("OPTIONS", "http://h:80", "*", None);
    check("OPTIONS", "http://h:80?b", "/", Some("b"));
    check("OPTIONS", "http://h:80/", "/", None);
}

#[test]
fn refuses_bad_targets() {
    for target in [
        "a",
        "*",
        "a:80",
        "h",
        "?a",
        "/#a",
        "/a#",
        "/a\"b",
        "/a<b",
        "/a>b",
        "/a\\b",
        "/a^b",
        "/a`b",
        "/a{b",
        "/a|b",
        "/a}b",
        "/a[b",
        "/a]b",
        "/%",
        "/%4",
        "/%4g",
        "/%g4",
        "/a?%x0",
        "ftp://a/",
        "http:/a",
        "http:///b",
        "http://u@a/",
        "http://a:/",
        "http://a:x/",
        "http://a[/",
        "://a/",
        "http://a/[",
        "/\u{7f}",
    ] {
        let error = read(with_target(target).as_bytes(), |_| ()).expect_err(target);
        assert!(matches!(error, HeadError::BadTarget | HeadError::BadRequestLine), "{target} {error:?}");
    }
    check_refused(with_target("http://a/["), HeadError::BadTarget);
    check_refused("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", HeadError::BadTarget);
    check_refused("CONNECT /a HTTP/1.1\r\nHost: a:80\r\n\r\n", HeadError::BadTarget);
    check_refused(with_target("/\u{e9}"), HeadError::BadTarget);
    check_refused(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::BadRequestLine);
    check_refused(with_target("http://b/"), HeadError::AuthorityMismatch);
    check_refused(with_target("http://a:80/"), HeadError::AuthorityMismatch);
}

#[test]
fn refuses_bad_request_lines() {
    use HeadError::{BadRequestLine, BadVersion, MethodTooLong, VersionNotSupported};
    let check = |line: &str, expect| check_refused(format!("{line}\r\nHost: a\r\n\r\n"), expect);
    check("GET  / HTTP/1.1", BadRequestLine);
    check("GET /a b HTTP/1.1", BadVersion);
    check("GET / HTTP/1.1 ", HeadError::BareLineEnd);
    check(" GET / HTTP/1.1", BadRequestLine);
    check("\tGET / HTTP/1.1", BadRequestLine);
    check("GET\t/ HTTP/1.1", BadRequestLine);
    check("GET /\tHTTP/1.1", BadRequestLine);
    check("GET /", BadRequestLine);
    check("GET", BadRequestLine);
    check("G(T / HTTP/1.1", BadRequestLine);
    check("G\u{e9}T / HTTP/1.1", BadRequestLine);
    check("GET / HTTP/2.0", VersionNotSupported);
    check("GET / HTTP/1.2", VersionNotSupported);
    check("GET / HTTP/0.9", VersionNotSupported);
    check("GET / HTTP/3.0", VersionNotSupported);
    check("GET / HTTP/1", BadVersion);
    check("GET / HTTP/1.10", HeadError::BareLineEnd);
    check("GET / HTTP/11.1", BadVersion);
    check("GET / http/1.1", BadVersion);
    check("GET / HTTP/1,1", BadVersion);
    check("GET / ICY/1.1", BadVersion);
    check("GET / ", BadVersion);
    check("ABCDEFGHIJKLMNOPQRSTUVWXY / HTTP/1.1", MethodTooLong);
    check_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VersionNotSupported);
    check_refused("\r\n\r\n", BadRequestLine);
    check_refused("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine);
    assert_eq!(read(b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", |head| head.path == "/a"), Ok(true));
}

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
fn reads_hosts() {
    let check = |host: &str, expect: bool| {
        let input = format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n");
        let found = read(input.as_bytes(), |head| head.host.map(str::to_owned));
        let expect = if expect { Ok(Some(host.trim().to_owned())) } else { Err(HeadError::BadHost) };
        assert_eq!(found, expect, "{host}");
    };
    for host in [
        "a",
        " a ",
        "example.com",
        "EXAMPLE.com",
        "a_b-c.d",
        "127.0.0.1",
        "127.0.0.1:8080",
        "a:0",
        "a:65535",
        "[::1]",
        "[::1]:443",
        "[2001:db8::7]",
        "[::ffff:1.2.3.4]",
        "localhost.",
    ] {
        check(host, true);
    }
    for host in [
        "",
        " ",
        ":80",
        "a:",
        "a:65536",
        "a:-1",
        "a:+1",
        "a:80:80",
        "a: 80",
        "a b",
        "a,b",
        "a/b",
        "a@b",
        "http://a",
        "a?b",
        "a#b",
        "a%20",
        "a\\b",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[]",
        "[a]",
        "[fe80::1%25eth0]",
        "[v1.a]",
    ] {
        check(host, false);
    }
    check_refused(b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n", HeadError::NonAsciiField);
    check_refused("GET / HTTP/1.1\r\n\r\n", HeadError::MissingHost);
    check_refused("GET http://a/ HTTP/1.1\r\n\r\n", HeadError::MissingHost);
    check_refused("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", HeadError::DoubledField);
    check_refused("GET / HTTP/1.0\r\nHost: \r\n\r\n", HeadError::BadHost);
    let host_of = |input: &str| read(input.as_bytes(), |head| head.host.map(str::to_owned));
    assert_eq!(host_of("GET / HTTP/1.0\r\n\r\n"), Ok(None));
    assert_eq!(host_of("GET http://b/ HTTP/1.0\r\n\r\n"), Ok(Some("b".to_owned())));
}

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
        assert_eq!((head.has_twice("X-A"), head.has_twice("host")), (true, false));
    });
    assert_eq!(checked, Ok(()));
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
        assert_eq!((error.status(), error.trust()), (expect, super::super::Framing::Broken), "{error:?}");
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
