//! The opening handshake: which requests may be answered with 101, and with what.
//! Next: `decoding`, what follows it.

use super::super::super::http::head::{Head, HeadLimits, decode, field_storage};
use super::super::handshake::{Upgrade, UpgradeError, accept, is_upgrade, judge};

const SERVED: [&str; 2] = ["mcp", "mcp.v2"];
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const OTHERS: [&str; 4] =
    ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mcp"];

fn read<T>(input: &str, look: impl FnOnce(&Head<'_, '_>) -> T) -> T {
    let mut storage = field_storage();
    look(&decode(input.as_bytes(), &mut storage, &HeadLimits::default()).expect("the table has sound heads"))
}

fn request(line: &str, fields: &[&str]) -> String {
    format!("{line}\r\nHost: a\r\n{}\r\n\r\n", fields.join("\r\n"))
}

/// A sound request in which the field that starts like `instead` is replaced by those lines, or left out.
fn with(instead: &str) -> String {
    let name = instead.split(':').next().expect("a name");
    let others = [&[KEY], OTHERS.as_slice()].concat();
    let mut fields: Vec<&str> = others.into_iter().filter(|field| !field.starts_with(name)).collect();
    if instead.contains(':') {
        fields.push(instead);
    }
    request("GET /mcp HTTP/1.1", &fields)
}

#[track_caller]
fn check(input: &str, expect: Result<&str, UpgradeError>) {
    let judged = read(input, |head| judge(head, &SERVED));
    let expect = expect.map(|subprotocol| Upgrade { accept: *b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", subprotocol });
    assert_eq!(judged, expect, "{input}");
    let asked = matches!(judged, Ok(_) | Err(UpgradeError::Body | UpgradeError::NoConnection))
        || matches!(judged, Err(UpgradeError::UnsupportedVersion))
        || matches!(judged, Err(UpgradeError::BadKey | UpgradeError::NoSubprotocol));
    assert_eq!(read(input, is_upgrade), asked, "{input}");
}

#[test]
fn answers_the_key_of_the_standard() {
    // RFC 6455 1.3
    assert_eq!(&accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn accepts_what_the_standard_allows() {
    check(&with(OTHERS[0]), Ok("mcp"));
    check(&with("Upgrade: WebSocket"), Ok("mcp"));
    check(&with("Upgrade: h2c , WEBSOCKET"), Ok("mcp"));
    check(&with("Upgrade: h2c\r\nupgrade: websocket"), Ok("mcp"));
    check(&with("Connection: keep-alive, Upgrade"), Ok("mcp"));
    check(&with("Connection: keep-alive\r\nconnection: , UPGRADE,"), Ok("mcp"));
    check(&with("Content-Length: 0"), Ok("mcp"));
    check(&with("Sec-WebSocket-Extensions: permessage-deflate"), Ok("mcp"));
}

#[test]
fn chooses_the_first_served_subprotocol() {
    check(&with("Sec-WebSocket-Protocol: mcp.v2"), Ok("mcp.v2"));
    check(&with("Sec-WebSocket-Protocol: mcp.v2, mcp"), Ok("mcp"));
    check(&with("Sec-WebSocket-Protocol: other ,mcp.v2"), Ok("mcp.v2"));
    check(&with("Sec-WebSocket-Protocol: other\r\nsec-websocket-protocol: mcp.v2\t, x"), Ok("mcp.v2"));
    for offered in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: MCP"] {
        check(&with(offered), Err(UpgradeError::NoSubprotocol));
    }
    check(&with("Sec-WebSocket-Protocol: mcp;v=1, mcp2, m, \"mcp\", m cp"), Err(UpgradeError::NoSubprotocol));
    let none_served = read(&with(OTHERS[0]), |head| judge(head, &[]));
    assert_eq!(none_served, Err(UpgradeError::NoSubprotocol));
}

#[test]
fn refuses_what_is_no_opening_request() {
    let all = [&[KEY], OTHERS.as_slice()].concat();
    check(&request("POST /mcp HTTP/1.1", &all), Err(UpgradeError::NotGet));
    check(&request("GET /mcp HTTP/1.0", &all), Err(UpgradeError::OldHttp));
    check(&with("Content-Length: 1"), Err(UpgradeError::Body));
    check(&with("Transfer-Encoding: chunked"), Err(UpgradeError::Body));
    for upgrade in ["Upgrade", "Upgrade:", "Upgrade: h2c", "Upgrade: websocket/13", "Upgrade: web socket"] {
        check(&with(upgrade), Err(UpgradeError::NoUpgrade));
    }
    for connection in
        ["Connection", "Connection: keep-alive", "Connection: upgrades", "Connection: Upgrade x"]
    {
        check(&with(connection), Err(UpgradeError::NoConnection));
    }
}

#[test]
fn refuses_every_version_but_one() {
    for version in [
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Version:",
        "Sec-WebSocket-Version: 8",
        "Sec-WebSocket-Version: 013",
        "Sec-WebSocket-Version: 13, 8",
        "Sec-WebSocket-Version: 13\r\nsec-websocket-version: 13",
        "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13",
    ] {
        check(&with(version), Err(UpgradeError::UnsupportedVersion));
    }
}

#[test]
fn refuses_keys_that_are_not_16_bytes_in_base64() {
    for key in [
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Key:",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ-==",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Key: \u{e9}GhlIHNhbXBsZSBub25jQ==",
    ] {
        check(&with(key), Err(UpgradeError::BadKey));
    }
}

#[test]
fn gives_each_error_its_status() {
    assert_eq!(UpgradeError::UnsupportedVersion.status(), 426);
    assert_eq!(UpgradeError::NotGet.status(), 405);
    assert_eq!(UpgradeError::BadKey.status(), 400);
    assert_eq!(UpgradeError::NoSubprotocol.status(), 400);
}
