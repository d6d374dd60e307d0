//! The forms of strings, a table each: what is read, what is refused and with which advice.
//! Next: `mutations`.

use super::super::form::*;

/// One input and what it becomes; `Err` holds what the help must contain.
fn check<T: std::fmt::Display>(form: fn(&str) -> Result<T, Malformed>, table: &[(&str, Result<&str, &str>)]) {
    for (text, expect) in table {
        match (form(text), expect) {
            (Ok(value), Ok(expect)) => assert_eq!(value.to_string(), *expect, "{text:?}"),
            (Err(malformed), Err(help)) => {
                assert!(malformed.help.contains(help), "{text:?}: {malformed:?}");
                assert!(!malformed.reason.is_empty(), "{text:?}");
            }
            (Ok(value), Err(_)) => panic!("{text:?} became {value}"),
            (Err(malformed), Ok(_)) => panic!("{text:?}: {malformed:?}"),
        }
    }
}

#[test]
fn reads_addresses() {
    let long = format!("unix:/{}", "s".repeat(107));
    check(
        address,
        &[
            ("127.0.0.1:8443", Ok("127.0.0.1:8443")),
            ("[::]:0", Ok("[::]:0")),
            ("127.0.0.1", Err("\"127.0.0.1:8443\"")),
            ("[::1]", Err("\"[::1]:8443\"")),
            ("::1", Err("\"[::1]:8443\"")),
            ("fe80::1%2:80", Err("\"127.0.0.1:8443\"")),
            ("localhost:80", Err("\"127.0.0.1:80\"")),
            (":443", Err("\"[::]:443\"")),
            ("*:443", Err("\"[::]:443\"")),
            ("127.0.0.1:65536", Err("\"127.0.0.1:8443\"")),
            ("127.0.0.01:80", Err("\"127.0.0.1:8443\"")),
            ("unix:/run/mcp.sock", Ok("unix:/run/mcp.sock")),
            ("unix:mcp.sock", Err("\"unix:/run/mcpring/mcp.sock\"")),
            ("unix:@abstract", Err("\"unix:/run/mcpring/mcp.sock\"")),
            ("unix:", Err("\"unix:/run/mcpring/mcp.sock\"")),
            ("unix:/run/../s", Err("without")),
            ("unix:/run//s", Err("without")),
            ("unix:/run/", Err("without")),
            ("unix:/", Err("without")),
            (&long, Err("shorter")),
            ("systemd:https", Ok("systemd:https")),
            ("systemd:", Err("FileDescriptorName")),
            ("systemd:a b", Err("FileDescriptorName")),
            ("systemd:a:b", Err("FileDescriptorName")),
            ("", Err("\"127.0.0.1:8443\"")),
        ],
    );
}

#[test]
fn reads_modes_of_socket_files() {
    for (text, expect) in [
        ("0660", Some(0o660)),
        ("600", Some(0o600)),
        ("0666", Some(0o666)),
        ("0060", None),
        ("0770", None),
        ("0400", None),
        ("00660", None),
        ("+660", None),
        ("rw", None),
        ("", None),
    ] {
        assert_eq!(socket_mode(text).ok(), expect, "{text:?}");
    }
}

#[test]
fn reads_cpu_lists() {
    for (text, expect) in [
        ("all", Ok(None)),
        ("0", Ok(Some(vec![0]))),
        ("3, 0-2", Ok(Some(vec![3, 0, 1, 2]))),
        ("8191", Ok(Some(vec![8191]))),
        ("", Err(())),
        ("0,", Err(())),
        ("2-1", Err(())),
        ("0-99999999999", Err(())),
        ("0-8192", Err(())),
        ("1,0-2", Err(())),
        ("-1", Err(())),
        ("0-1-2", Err(())),
        ("ALL", Err(())),
    ] {
        assert_eq!(cpus(text).map_err(|_| ()), expect, "{text:?}");
    }
}

#[test]
fn reads_host_names() {
    let long = format!("{}.example", "a".repeat(64));
    check(
        hostname,
        &[
            ("MCP.example.com", Ok("mcp.example.com")),
            ("localhost", Ok("localhost")),
            ("mcp_1.internal", Ok("mcp_1.internal")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("10.0.0.5", Ok("10.0.0.5")),
            ("[::0001]", Ok("::1")),
            ("::1", Ok("::1")),
            ("mcp.example.com:8443", Err("\"mcp.example.com\"")),
            ("https://mcp.example.com", Err("host alone")),
            ("*.example.com", Err("each name")),
            ("b\u{fc}cher.example", Err("xn--")),
            ("1.2.3.256", Err("name such as")),
            ("a..b", Err("name such as")),
            ("mcp.example.com.", Err("name such as")),
            ("-a.example", Err("name such as")),
            ("[::1", Err("")),
            ("a b", Err("name such as")),
            ("", Err("name such as")),
            (&long, Err("name such as")),
        ],
    );
}

#[test]
fn reads_origins_as_browsers_send_them() {
    check(
        origin,
        &[
            ("https://a.example", Ok("https://a.example")),
            ("HTTPS://A.example:8443", Ok("https://a.example:8443")),
            ("http://[::1]:3000", Ok("http://[::1]:3000")),
            ("https://a.example/", Err("\"https://a.example\"")),
            ("https://a.example:443", Err("\"https://a.example\"")),
            ("http://[0:0::1]:80/x", Err("\"http://[::1]\"")),
            ("a.example", Err("\"https://a.example\"")),
            ("https://::1", Err("")),
            ("ftp://a.example", Err("\"https://a.example\"")),
            ("https://user@a.example", Err("before `@`")),
            ("https://a.example:0", Err("\"https://a.example\"")),
            ("https://a.example:x", Err("\"https://a.example\"")),
            ("https://*.example", Err("each name")),
            ("https://", Err("")),
            ("null", Err("you trust")),
            ("*", Err("you trust")),
        ],
    );
}

#[test]
fn reads_what_a_public_url_points_to() {
    let url = |text| public_url(text).map(|url| (url.origin, url.host)).map_err(|malformed| malformed.help);
    let is = |origin: &str, host: &str| Ok((origin.to_owned(), host.to_owned()));
    assert_eq!(url("https://MCP.example.com:443/base"), is("https://mcp.example.com", "mcp.example.com"));
    assert_eq!(url("http://[::1]:8080"), is("http://[::1]:8080", "::1"));
    for text in ["https://a.example?x", "https://a.example/#f", "https://a.example/ b", "//a", "https://@a"] {
        assert!(url(text).is_err(), "{text}");
    }
}

#[test]
fn reads_paths_headers_filters_and_names() {
    check(
        endpoint_path,
        &[
            ("/", Ok("/")),
            ("/v1/mcp~a", Ok("/v1/mcp~a")),
            ("mcp", Err("\"/mcp\"")),
            ("", Err("\"/\"")),
            ("/mcp?x=1", Err("query")),
            ("/mcp#x", Err("query")),
            ("/%41", Err("query")),
            ("/a b", Err("query")),
            ("//mcp", Err("`//`")),
            ("/a/../b", Err("`/../`")),
        ],
    );
    check(
        header_name,
        &[
            ("X-API-Key", Ok("x-api-key")),
            ("Authorization", Err("X-API-Key")),
            ("X API", Err("X-API-Key")),
            ("x:", Err("X-API-Key")),
            ("", Err("X-API-Key")),
        ],
    );
    check(
        log_filter,
        &[
            ("info", Ok("info")),
            ("warn,mcpring::pipeline=debug", Ok("warn,mcpring::pipeline=debug")),
            ("inof", Err("\"info\"")),
            ("INFO", Err("\"info\"")),
            ("mcpring=loud", Err("info")),
            ("", Err("info")),
        ],
    );
    check(
        source_name,
        &[("A_B-1.c", Ok("A_B-1.c")), ("", Err("letters")), ("..", Err("letters")), ("a/b", Err("letters"))],
    );
    check(pattern, &[("tools/*", Ok("tools/*")), ("", Err("tools/list")), ("a b", Err("tools/list"))]);
}

#[test]
fn knows_which_addresses_stay_on_the_machine() {
    let check = |text: &str, expect: bool| assert_eq!(address(text).unwrap().is_local(), expect, "{text}");
    check("127.0.0.1:1", true);
    check("127.1.2.3:1", true);
    check("[::1]:1", true);
    check("[::ffff:127.0.0.1]:1", true);
    check("0.0.0.0:1", false);
    check("[::]:1", false);
    check("10.0.0.1:1", false);
}
