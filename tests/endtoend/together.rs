//! Many clients at once: on several shards, through a reload into the end of the server, on listeners with own limits.
//! Next: nothing; the way back is `every`.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Client, bearer, message};
use crate::server::{KEY, SECOND_KEY};
use crate::ways::{
    Era, Events, Heard, MESSAGE_BYTES_MAX, Pair, Peer as _, Place, Security, Talk, Transport, Way,
    change_tools, error_code, has_text, ways,
};

/// Enough that some of them reach each of eight shards.
const READERS: usize = 16;

fn on_shards(shards: u32) -> Place {
    Place::with("", &["--set", &format!("runtime.shards={shards}")])
}

#[test]
fn what_is_posted_to_any_shard_is_answered_where_its_client_reads() {
    for shards in [2, 8] {
        let place = on_shards(shards);
        for security in [Security::Plain, Security::Tls] {
            let way = Way { transport: Transport::Pair, era: Era::Legacy, security };
            let mut talks: Vec<Talk> = (0..READERS).map(|_| Talk::open(&place, way)).collect();
            for round in 0..4 {
                for (number, talk) in talks.iter_mut().enumerate() {
                    talk.echo(&format!("{round} {number}"));
                }
            }
            talks.into_iter().for_each(Talk::close);
            // What is posted after that meets nobody.
            let mut late = Pair::new(place.dial("plain", security));
            late.close();
            assert_eq!(late.next(), Heard::End(None));
            late.send(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
            let Heard::Message(refusal) = late.next() else { panic!("nobody answers") };
            assert_eq!(error_code(&refusal), 404);
        }
        place.close();
    }
}

/// A reader of `/events`.
struct Feed {
    client: Client,
    events: Events,
    last_id: String,
}

impl Feed {
    fn open(mut client: Client, last_id: Option<&str>) -> Self {
        let resume = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let get = format!(
            "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}{resume}\r\n",
            bearer(KEY)
        );
        client.send(get.as_bytes());
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        let mut feed = Self { client, events: Events::default(), last_id: String::new() };
        if last_id.is_none() {
            assert_eq!(feed.next(), json!({"type": "connected"}));
        }
        feed
    }

    fn next(&mut self) -> Value {
        let (event, data) = self.events.next(&mut self.client).unwrap();
        self.last_id = event.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
        serde_json::from_str(&data).unwrap()
    }

    fn hears_of_tools(&mut self) {
        let told = self.next();
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    }
}

#[test]
fn a_feed_tells_everybody_and_goes_on_where_it_was_cut() {
    for shards in [2, 8] {
        let place = on_shards(shards);
        let dials = [place.dial("plain", Security::Plain), place.dial("plain", Security::Tls)];
        let connect = |number: usize| dials[number % 2].connect();
        let mut feeds: Vec<Feed> = (0..READERS).map(|number| Feed::open(connect(number), None)).collect();
        change_tools(&place.server);
        feeds.iter_mut().for_each(Feed::hears_of_tools);
        // These come back after more has happened, whichever shard they reach.
        let ids: Vec<String> = feeds.split_off(READERS / 2).into_iter().map(|feed| feed.last_id).collect();
        change_tools(&place.server);
        feeds.extend(ids.iter().enumerate().map(|(number, id)| Feed::open(connect(number), Some(id))));
        feeds.iter_mut().for_each(Feed::hears_of_tools);
        change_tools(&place.server);
        feeds.iter_mut().for_each(Feed::hears_of_tools);
        drop(feeds);
        place.close();
    }
}

#[test]
fn a_reload_and_the_end_of_the_server_lose_no_answer() {
    let place = Place::open();
    let mut talks: Vec<Talk> = ways().into_iter().map(|way| Talk::open(&place, way)).collect();
    for talk in &mut talks {
        talk.begin(7, 25, 40);
    }
    change_tools(&place.server);
    place.server.signal(Signal::TERM);
    for talk in talks.iter().filter(|talk| talk.way.transport == Transport::Stdio) {
        change_tools(talk.server(&place));
        talk.server(&place).signal(Signal::TERM);
    }
    place.server.wait_for("draining");
    for mut talk in talks {
        let mut answers = 0;
        let end = loop {
            match talk.next() {
                Heard::Message(message) if message["id"] == 7 => {
                    assert!(has_text(&message, "done"), "{:?}: {message}", talk.way);
                    answers += 1;
                }
                Heard::Message(message) => assert!(message.get("method").is_some(), "{message}"),
                Heard::End(code) => break code,
            }
        };
        assert_eq!(answers, 1, "{:?}", talk.way);
        // RFC 6455 7.4.1: going away.
        let code = (talk.way.transport == Transport::WebSocket).then_some(1001);
        assert_eq!(end, code, "{:?}", talk.way);
        talk.leave();
    }
    let counters = crate::ways::ended(place.server);
    assert_eq!(counters["dispatch.cancelled"], 0, "{counters}");
    assert_eq!(counters["shard.leaked"], 0, "{counters}");
}

#[test]
fn a_withdrawn_key_ends_what_it_had_opened() {
    let place = Place::open();
    let network = ways().into_iter().filter(|way| way.transport != Transport::Stdio);
    let mut talks: Vec<Talk> = network.map(|way| Talk::open(&place, way)).collect();
    for talk in &mut talks {
        let steps = if talk.way.transport == Transport::Http { 20 } else { 1000 };
        talk.begin(7, steps, 20);
    }
    place.server.folder.keys(&[("second", SECOND_KEY)]);
    place.server.signal(Signal::HUP);
    place.server.wait_for("reloaded");
    for mut talk in talks {
        let mut answers = 0;
        let end = loop {
            match talk.next() {
                Heard::Message(message) => answers += usize::from(message["id"] == 7),
                Heard::End(code) => break code,
            }
        };
        // A request of HTTP's was let in by itself; all else goes with the connection.
        assert_eq!(answers, usize::from(talk.way.transport == Transport::Http), "{:?}", talk.way);
        // RFC 6455 7.4.1: a policy does not allow it.
        let code = (talk.way.transport == Transport::WebSocket).then_some(1008);
        assert_eq!(end, code, "{:?}", talk.way);
        talk.leave();
    }
    place.close();
}

/// Listeners that allow less than the others.
const NARROW: &str = r#"
[server]
public_url = "https://mcp.example.com/base"

[listeners.short]
kind = "http"
address = "127.0.0.1:0"
max_message_size = "2KiB"
transports = ["streamable_http", "websocket", "sse"]
auth = ["api_key"]

[listeners.short_lines]
kind = "tcp"
address = "127.0.0.1:0"
max_frame_size = "3KiB"
auth = ["api_key"]

[listeners.one_by_one]
kind = "tcp"
address = "127.0.0.1:0"
max_inflight_per_connection = 1
auth = ["api_key"]

[listeners.redirect]
kind = "redirect"
address = "127.0.0.1:0"
"#;

#[test]
fn each_listener_has_limits_of_its_own() {
    let place = Place::with(NARROW, &[]);
    let lines = |listener: &str| Client::plain(place.server.port(listener));
    let of = |bytes: usize| {
        let text = "x".repeat(bytes - message(1, "", Some(KEY)).len());
        message(1, &text, Some(KEY))
    };
    let (mut wide, mut short) = (lines("lines"), lines("short_lines"));
    for (bytes, is_short_enough) in [(3 << 10, true), ((3 << 10) + 1, false)] {
        assert_eq!(wide.line(&of(bytes))["id"], 1);
        let answer = short.line(&of(bytes));
        assert_eq!(answer.get("result").is_some(), is_short_enough, "{answer}");
    }
    for (bytes, status) in [(1000, 200), (3000, 413)] {
        let echo = crate::client::echo(&"x".repeat(bytes));
        assert_eq!(Client::plain(place.server.port("short")).ask(&echo).status, status);
        assert_eq!(Client::plain(place.server.port("plain")).ask(&echo).status, 200);
    }
    let mut one = lines("one_by_one");
    let slow = message(1, "x", Some(KEY))
        .replace(r#""echo""#, r#""countdown""#)
        .replace(r#"{"message":"x"}"#, r#"{"steps":1,"interval_ms":50}"#);
    // In one write, so that the second is there while the first is under way.
    let refused = one.line(&format!("{slow}\n{}", message(2, "x", None)));
    assert_eq!((&refused["id"], error_code(&refused)), (&json!(2), 429));
    assert_eq!(one.next_line()["id"], 1);
    assert_eq!(one.line(&message(3, "x", None))["id"], 3);
    place.close();
}

#[test]
fn a_redirect_sends_everybody_away_while_the_others_serve() {
    let place = Place::with(NARROW, &[]);
    let mut client = Client::plain(place.server.port("redirect"));
    for request in [
        crate::client::echo("x"),
        b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"GET /sse?x=1 HTTP/1.1\r\nHost: evil.example.com\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    ] {
        let answer = client.ask(&request);
        assert_eq!(answer.status, 308, "{answer:?}");
        assert!(answer.head.contains("location: https://mcp.example.com/base\r\n"), "{answer:?}");
    }
    for way in ways() {
        Talk::open(&place, way).close();
    }
    place.close();
}

#[test]
fn epoll_serves_in_every_way_too() {
    let place = Place::with("", &["--set", "runtime.driver=epoll"]);
    let mut talks: Vec<Talk> = ways().into_iter().map(|way| Talk::open(&place, way)).collect();
    for talk in &mut talks {
        let (message, text) = talk.request_of(MESSAGE_BYTES_MAX);
        talk.send(&message);
        assert!(has_text(&talk.hear(), &text), "{:?}", talk.way);
        talk.begin(2, 1, 5);
        assert!(has_text(&talk.hear(), "done"), "{:?}", talk.way);
    }
    talks.into_iter().for_each(Talk::close);
    place.close();
}

#[test]
fn nobody_is_let_in_unknown() {
    let place = Place::open();
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp\r\n";
    for security in [Security::Plain, Security::Tls] {
        for key in ["", "mrk_wrong"] {
            let credential = if key.is_empty() { String::new() } else { bearer(key) };
            for (request, fields) in [
                ("POST /mcp", "Content-Type: application/json\r\nContent-Length: 2\r\n"),
                ("GET /mcp", upgrade),
                ("GET /sse", "Accept: text/event-stream\r\n"),
                ("GET /events", "Accept: text/event-stream\r\n"),
                (
                    "POST /message?sessionId=0-0-00000000000000000000000000000001",
                    "Content-Type: application/json\r\nContent-Length: 2\r\n",
                ),
            ] {
                let body = if fields.ends_with("2\r\n") { "{}" } else { "" };
                let text = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{credential}{fields}\r\n{body}");
                let answer = place.dial("plain", security).connect().ask(text.as_bytes());
                assert_eq!(answer.status, 401, "{text}");
            }
            let told = message(1, "x", (!key.is_empty()).then_some(key));
            let (mut lines, mut prefixed) =
                (place.dial("lines", security).connect(), place.dial("prefixed", security).connect());
            assert_eq!(error_code(&lines.line(&told)), 401);
            assert_eq!(error_code(&prefixed.prefixed(&told)), 401);
            // A client that has only probed may still say who it is.
            assert!(has_text(&lines.line(&message(2, "x", Some(KEY))), "x"));
            assert!(has_text(&prefixed.prefixed(&message(2, "x", Some(KEY))), "x"));
        }
    }
    place.close();
}
