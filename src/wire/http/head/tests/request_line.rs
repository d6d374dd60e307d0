//! Method, target, version and the Host that the target must agree with.
//! Next: `fields` for the rest of the head.

use super::*;

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
