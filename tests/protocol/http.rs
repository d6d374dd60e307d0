//! HTTP/1.1 as a peer sees it: statuses, keep-alive, pipelining, bodies, deadlines, credentials, limits.
//! Next: `properties`, the same by chance.

use std::time::Duration;

use mcpring::pipeline::admit::RateKey;
use mcpring::pipeline::connection::Directive;
use mcpring::pipeline::event::Count;
use mcpring::pipeline::snapshot::{Admission, Security};

use crate::fixture::{Desk, KEY, answers, echo, modern, post, rate, snapshot, snapshot_with};

fn status_of(request: &str) -> (u16, Directive) {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let all = answers(&desk.feed(&mut connection, request.as_bytes()));
    (all[0].status, connection.directive())
}

#[test]
fn refuses_with_the_right_status_and_closes_where_framing_is_lost() {
    let good = String::from_utf8(echo("1", "x")).unwrap();
    let (open, close) = (Directive::Continue, Directive::ShutDown);
    let edit = |from: &str, to: &str| good.replace(from, to);
    let long = "x".repeat(9000);
    let many = "X-A: b\r\n".repeat(120);
    let table = [
        (good.clone(), 200, open),
        (edit("POST /mcp", "GET /mcp"), 405, open),
        (edit("POST /mcp", "DELETE /mcp"), 405, open),
        (edit("POST /mcp", "BREW /mcp"), 405, open),
        (edit("POST /mcp", "OPTIONS /mcp"), 204, open),
        (edit("POST /mcp", "POST /MCP"), 404, open),
        (edit("POST /mcp", "POST /mcp/"), 404, open),
        (edit("POST /mcp", "POST /../mcp"), 404, open),
        (edit("POST /mcp", "POST /mcp?token=x"), 200, open),
        (edit("POST /mcp", &format!("POST /{long}")), 414, close),
        (edit("Host: localhost:8443", "Host: evil.example.com"), 421, open),
        (edit("Host: localhost:8443\r\n", ""), 400, close),
        (edit("Host: localhost:8443", "Host: localhost\r\nHost: localhost"), 400, close),
        (edit("Host: localhost:8443", "Host: localhost\r\nOrigin: https://evil.example.com"), 403, open),
        (edit("Host: localhost:8443", "Host: localhost\r\nOrigin: null"), 403, open),
        (edit("Host: localhost:8443", "Host: localhost\r\nOrigin: https://localhost"), 200, open),
        (edit("Content-Type: application/json", "Content-Type: text/plain"), 415, open),
        (edit("Content-Type: application/json\r\n", ""), 415, open),
        (edit("Content-Type: application/json", "Content-Type: application/json; charset=utf-8"), 200, open),
        (
            edit(
                "Content-Type: application/json",
                "Content-Type: application/json\r\nContent-Encoding: gzip",
            ),
            415,
            open,
        ),
        (edit("application/json, text/event-stream", "text/html"), 406, open),
        (edit("application/json, text/event-stream", "*/*"), 200, open),
        (edit("Accept: application/json, text/event-stream\r\n", ""), 200, open),
        (edit("HTTP/1.1", "HTTP/2.0"), 505, close),
        (edit("HTTP/1.1", "HTTX/1.1"), 400, close),
        (edit("Content-Length", "Transfer-Encoding: chunked\r\nContent-Length"), 400, close),
        (edit("Content-Length", "Content-Length: 5\r\nContent-Length"), 400, close),
        (edit("Content-Length: ", "Content-Length: +"), 400, close),
        (edit("Content-Length", "Transfer-Encoding: gzip\r\nX"), 501, close),
        (edit("Host: localhost:8443", "Host : localhost"), 400, close),
        (edit("Host: localhost:8443", "Host: localhost\r\n folded"), 400, close),
        (edit("Host: localhost:8443", "Host: local\0host"), 400, close),
        (edit("Host: localhost:8443\r\n", "Host: localhost:8443\n"), 400, close),
        (edit("Host: localhost:8443", &format!("Host: localhost\r\n{many}X: y")), 431, close),
        (edit("Host: localhost:8443", &format!("Host: localhost\r\nX: {long}{long}")), 431, close),
        (edit("Host: localhost:8443", "Host: localhost\r\nExpect: a-miracle"), 417, close),
        (edit("Host: localhost:8443", "Host: localhost\r\nConnection: close"), 200, close),
        (edit("HTTP/1.1", "HTTP/1.0"), 200, close),
        (edit("HTTP/1.1\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n"), 200, open),
        (good.replace("Content-Length: ", "Content-Length: 9999999"), 413, close),
        (edit(&format!("Bearer {KEY}"), "Bearer wrong"), 401, open),
        (edit(&format!("Authorization: Bearer {KEY}\r\n"), ""), 401, open),
        (edit(&format!("Bearer {KEY}"), &format!("Basic {KEY}")), 401, open),
        (edit(&format!("Authorization: Bearer {KEY}"), &format!("X-API-Key: {KEY}")), 200, open),
        // RFC 6750 3.1: invalid_request.
        (edit("Host: localhost:8443", &format!("Host: localhost\r\nX-API-Key: {KEY}")), 400, open),
    ];
    for (request, status, directive) in table {
        assert_eq!(status_of(&request), (status, directive), "{}", &request[..request.len().min(300)]);
    }
}

#[test]
fn says_which_methods_there_are_and_how_to_authenticate() {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let all = answers(&desk.feed(
        &mut connection,
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ));
    assert!(all[0].head.contains("allow: POST, OPTIONS\r\n"));
    assert_eq!(all[1].status, 204);
    let all = answers(&desk.feed(&mut connection, &post("", "{}")));
    assert!(all[0].head.contains("www-authenticate: Bearer"), "{}", all[0].head);
    let head = desk.feed(&mut connection, b"HEAD /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        head.starts_with(b"HTTP/1.1 405") && head.ends_with(b"\r\n\r\n"),
        "an answer to HEAD has no body"
    );
}

#[test]
fn pipelined_requests_are_answered_in_order_in_one_write() {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let mut input = Vec::new();
    for id in 0..20 {
        input.extend(if id % 3 == 2 {
            modern(&id.to_string(), "tools/list", "", "")
        } else {
            echo(&id.to_string(), "x")
        });
    }
    let all = answers(&desk.feed(&mut connection, &input));
    let ids: Vec<i64> = all.iter().map(|answer| answer.json()["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_body_in_chunks_is_the_same_message() {
    let request = String::from_utf8(echo("1", "chunky")).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head: String = head
        .lines()
        .filter(|line| !line.starts_with("Content-Length"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    for size in [1, 7, 100, 10_000] {
        let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.as_bytes().chunks(size) {
            chunked.push_str(&format!(
                "{:x};ext=1\r\n{}\r\n",
                chunk.len(),
                std::str::from_utf8(chunk).unwrap()
            ));
        }
        chunked.push_str("0\r\nX-Checksum: x\r\n\r\n");
        let mut desk = Desk::new(snapshot());
        let mut connection = desk.connect();
        let input = [chunked.as_bytes(), &echo("2", "next")].concat();
        let all = answers(&desk.feed(&mut connection, &input));
        assert_eq!(all[0].json()["result"]["content"][0]["text"], "chunky", "{size}");
        assert_eq!(all[1].json()["id"], 2);
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_or_refused() {
    let request = String::from_utf8(echo("1", "x"))
        .unwrap()
        .replace("Host: localhost:8443", "Host: localhost\r\nExpect: 100-continue");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let first = desk.feed(&mut connection, format!("{head}\r\n\r\n").as_bytes());
    assert_eq!(first, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(answers(&desk.feed(&mut connection, body.as_bytes()))[0].status, 200);
    let mut connection = desk.connect();
    let refused = head.replace(KEY, "wrong");
    let all = answers(&desk.feed(&mut connection, format!("{refused}\r\n\r\n").as_bytes()));
    assert_eq!((all[0].status, connection.directive()), (401, Directive::ShutDown));
}

#[test]
fn a_refused_body_is_skipped_and_the_next_request_served() {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let refused = String::from_utf8(echo("1", &"y".repeat(3000))).unwrap().replace(KEY, "wrong");
    let mut bytes = Vec::new();
    for part in [refused.as_bytes(), &echo("2", "ok")].concat().chunks(500) {
        bytes.extend(desk.feed(&mut connection, part));
    }
    let all = answers(&bytes);
    assert_eq!((all[0].status, all[1].status), (401, 200));
}

#[test]
fn a_spent_bucket_says_when_to_come_back() {
    let snapshot =
        snapshot_with(Security::Plain, |snapshot| snapshot.rate_limits = vec![rate(RateKey::Ip, 1, 2)]);
    let mut desk = Desk::new(snapshot);
    let mut connection = desk.connect();
    let all =
        answers(&desk.feed(&mut connection, &[echo("1", "x"), echo("2", "x"), echo("3", "x")].concat()));
    let statuses: Vec<u16> = all.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert!(all[2].head.contains("retry-after: 1\r\n"), "{}", all[2].head);
    assert_eq!(all[2].json()["error"]["data"]["reason"], "rate_limit_exceeded");
    assert!(all[2].json()["error"]["data"]["retryAfterMs"].as_u64().unwrap() <= 1000);
    // Guessing keys is limited by the same bucket.
    let mut wrong = desk.connect();
    let request = String::from_utf8(echo("1", "x")).unwrap().replace(KEY, "wrong");
    assert_eq!(answers(&desk.feed(&mut wrong, request.as_bytes()))[0].status, 429);
}

#[test]
fn deadlines_end_what_does_not_move() {
    let mut desk = Desk::new(snapshot());
    // Idle.
    let mut idle = desk.connect();
    assert!(desk.pass(&mut idle, 119_000).is_empty());
    assert_eq!(idle.directive(), Directive::Continue);
    desk.pass(&mut idle, 2000);
    assert_eq!(idle.directive(), Directive::ShutDown);
    // Head: bytes that trickle do not push the deadline back.
    let mut slow = desk.connect();
    let mut bytes = Vec::new();
    for byte in echo("1", "x").iter().take(60) {
        bytes.extend(desk.feed(&mut slow, &[*byte]));
        bytes.extend(desk.pass(&mut slow, 100));
    }
    assert_eq!((answers(&bytes)[0].status, slow.directive()), (408, Directive::ShutDown));
    // Body.
    let mut half = desk.connect();
    let request = echo("1", "x");
    let mut bytes = desk.feed(&mut half, &request[..request.len() - 1]);
    bytes.extend(desk.pass(&mut half, 31_000));
    assert_eq!(answers(&bytes)[0].status, 408);
    // The last answer gets two seconds to be read.
    desk.pass(&mut half, 2100);
    assert_eq!(half.directive(), Directive::Close);
    for connection in [&mut idle, &mut slow, &mut half] {
        desk.turn(&mut Vec::new(), |turn| connection.release(turn));
    }
    assert_eq!(desk.work.pool.leased(), 1, "all leases but the workspace's own are back");
}

#[test]
fn draining_finishes_what_is_in_flight_and_closes_the_rest() {
    let mut desk = Desk::new(snapshot());
    let mut idle = desk.connect();
    desk.turn(&mut Vec::new(), |turn| idle.handle_drain(turn));
    assert_eq!(idle.directive(), Directive::ShutDown);
    let mut busy = desk.connect();
    let request = echo("1", "x");
    let (one, two) = request.split_at(100);
    desk.feed(&mut busy, one);
    desk.turn(&mut Vec::new(), |turn| busy.handle_drain(turn));
    assert_eq!(busy.directive(), Directive::Continue);
    let all = answers(&desk.feed(&mut busy, two));
    assert_eq!(all[0].status, 200);
    assert!(all[0].head.contains("connection: close"));
    assert_eq!(busy.directive(), Directive::ShutDown);
}

#[test]
fn a_caller_without_a_credential_is_let_in_only_where_the_listener_says_so() {
    let snapshot = snapshot_with(Security::Plain, |snapshot| {
        let listener = std::sync::Arc::get_mut(&mut snapshot.listeners[0]).unwrap();
        listener.admission = Admission::AnonymousAllowed;
        snapshot.identities = crate::fixture::identities(vec![], 1);
    });
    let mut desk = Desk::new(snapshot);
    let mut connection = desk.connect();
    let anonymous =
        String::from_utf8(echo("1", "x")).unwrap().replace(&format!("Authorization: Bearer {KEY}\r\n"), "");
    assert_eq!(answers(&desk.feed(&mut connection, anonymous.as_bytes()))[0].status, 200);
    assert_eq!(answers(&desk.feed(&mut connection, &echo("1", "x")))[0].status, 401);
    assert_eq!(desk.work.events.total(Count::AuthenticateAnonymous), 1);
}

#[test]
fn a_cancelled_call_is_dropped_with_its_connection() {
    let snapshot =
        snapshot_with(Security::Plain, |snapshot| snapshot.limits.request_timeout = Duration::from_secs(5));
    let mut desk = Desk::new(snapshot);
    let mut connection = desk.connect();
    let request = modern(
        "1",
        "tools/call",
        r#""name":"countdown","arguments":{"steps":9,"interval_ms":500}"#,
        "Mcp-Name: countdown\r\n",
    );
    assert!(desk.feed(&mut connection, &request).is_empty());
    let mut outbox = Vec::new();
    desk.turn(&mut outbox, |turn| connection.handle_end_of_input(turn));
    assert!(outbox.is_empty());
    assert_eq!(desk.work.events.total(Count::DispatchCancelled), 1);
    assert!(!connection.has_call());
}

#[test]
fn whatever_is_refused_pays_too_but_not_from_the_bucket_all_share() {
    let limits = vec![rate(RateKey::Ip, 1, 3), rate(RateKey::Global, 1, 2)];
    let mut desk = Desk::new(snapshot_with(Security::Plain, |snapshot| snapshot.rate_limits = limits));
    let mut connection = desk.connect();
    let head = |line: &str, host: &str| format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let flood =
        [head("GET /mcp", "localhost"), head("OPTIONS *", "localhost"), head("GET /mcp", "evil")].concat();
    let all =
        answers(&desk.feed(&mut connection, format!("{flood}{}", head("GET /", "localhost")).as_bytes()));
    let statuses: Vec<u16> = all.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [405, 204, 421, 429]);
    desk.now.ms += 2000;
    let all = answers(&desk.feed(&mut connection, &[echo("1", "x"), echo("2", "x")].concat()));
    assert!(all.iter().all(|answer| answer.status == 200), "the shared bucket was not touched");
}

#[test]
fn a_reload_in_the_middle_of_a_body_is_the_snapshot_the_message_is_judged_by() {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let request = echo("1", "x");
    let (one, two) = request.split_at(request.len() - 20);
    assert!(desk.feed(&mut connection, one).is_empty());
    desk.snapshot = snapshot_with(Security::Plain, |snapshot| {
        snapshot.generation = 2;
        snapshot.identities = crate::fixture::identities(vec![], 0);
    });
    assert_eq!(answers(&desk.feed(&mut connection, two))[0].status, 401);
}

#[test]
fn an_event_stream_to_http_1_0_ends_with_the_connection() {
    let request = String::from_utf8(echo("1", "x"))
        .unwrap()
        .replace("HTTP/1.1\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n")
        .replace("application/json, text/event-stream", "text/event-stream");
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let all = answers(&desk.feed(&mut connection, request.as_bytes()));
    assert_eq!(all.len(), 1);
    assert!(all[0].is_last(), "without a length only the end of the connection ends it: {}", all[0].head);
    assert_eq!(all[0].events()[0]["id"], 1);
    assert_eq!(connection.directive(), Directive::ShutDown);
}

#[test]
fn a_call_that_drains_says_that_its_answer_is_the_last() {
    let mut desk = Desk::new(snapshot());
    let mut connection = desk.connect();
    let arguments = r#""name":"countdown","arguments":{"steps":1,"interval_ms":50}"#;
    desk.feed(&mut connection, &modern("1", "tools/call", arguments, "Mcp-Name: countdown\r\n"));
    desk.turn(&mut Vec::new(), |turn| connection.handle_drain(turn));
    assert_eq!(connection.directive(), Directive::Continue);
    let all = answers(&desk.pass(&mut connection, 50));
    assert_eq!((all.len(), all[0].status), (1, 200));
    // RFC 9112 9.6: or a client would send its next request into a closing connection.
    assert!(all[0].is_last(), "{}", all[0].head);
    assert_eq!(connection.directive(), Directive::ShutDown);
}
