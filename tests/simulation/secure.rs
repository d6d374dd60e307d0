//! TLS over a connection without a socket: handshakes cut anywhere, records and messages that do not coincide, both
//! goodbyes, tickets, and what a peer gets that breaks the protocol.
//! Next: `src/pipeline/tls.rs`, which is under test.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::event::Count;
use mcpring::pipeline::snapshot::Security;
use rustls::client::ClientConfig;
use rustls::{AlertDescription, ConnectionTrafficSecrets, HandshakeKind, NamedGroup, ProtocolVersion};

use crate::client::{Authority, Client};
use crate::fixture::messages::in_chunks;
use crate::fixture::{Answer, Desk, answers, echo, snapshot_with};

/// A client and a server with nothing between them.
struct Line {
    desk: Desk,
    connection: Connection,
    client: Client,
    received: Vec<u8>,
}

impl Line {
    fn new(authority: &Authority, config: &Arc<ClientConfig>) -> Self {
        let desk = Desk::new(snapshot_with(Security::Tls(authority.server()), |_| {}));
        Self::on(desk, config)
    }

    fn on(mut desk: Desk, config: &Arc<ClientConfig>) -> Self {
        let connection = desk.connect_to(0, SocketAddr::from(([127, 0, 0, 1], 1)));
        Self { desk, connection, client: Client::new(config), received: Vec::new() }
    }

    fn with_default_client() -> Self {
        let authority = Authority::default();
        let config = authority.client(&[&rustls::version::TLS13]);
        Self::new(&authority, &config)
    }

    /// Carries bytes both ways until neither end has anything to say; the client's come in pieces of `step` bytes.
    fn settle(&mut self, step: usize) -> Result<(), rustls::Error> {
        loop {
            let ciphertext = self.client.take_ciphertext();
            if ciphertext.is_empty() {
                return Ok(());
            }
            for piece in ciphertext.chunks(step) {
                let back = self.desk.feed(&mut self.connection, piece);
                self.received.extend(self.client.receive(&back)?);
            }
        }
    }

    fn answers(&self) -> Vec<Answer> {
        answers(&self.received)
    }

    /// Everything is given back.
    fn close(mut self) {
        self.desk.release(self.connection);
        assert_eq!(self.desk.work.pool.leased(), 1);
    }
}

#[test]
fn a_handshake_cut_anywhere_agrees_on_the_same() {
    for step in [1, 2, 5, 64, 517, 1400, 20_000] {
        let mut line = Line::with_default_client();
        // Written before the handshake: it leaves together with the client's Finished.
        line.client.send(&[echo("1", "early"), echo("2", "bird")].concat());
        line.settle(step).unwrap();
        let tls = &line.client.tls;
        assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(tls.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));
        let texts: Vec<_> = line.answers().iter().map(|answer| answer.json()["id"].clone()).collect();
        assert_eq!(texts, [1, 2], "{step}");
        assert_eq!(line.desk.work.events.total(Count::TlsEstablished), 1);
        line.close();
    }
}

#[test]
fn records_and_messages_need_not_coincide() {
    for (record, step) in [(64, 1), (64, 100), (100, 20_000), (1000, 77), (16_384, 5000)] {
        let authority = Authority::default();
        let mut config = authority.client(&[&rustls::version::TLS13]);
        Arc::make_mut(&mut config).max_fragment_size = Some(record);
        let mut line = Line::new(&authority, &config);
        let long = "y".repeat(30_000);
        let mut requests = echo("0", &long);
        for id in 1..40 {
            let request = echo(&id.to_string(), "short");
            requests.extend(if id % 2 == 0 { request } else { in_chunks(&request, 50) });
        }
        line.client.send(&requests);
        line.settle(step).unwrap();
        let all = line.answers();
        assert_eq!(all.len(), 40, "{record} {step}");
        assert_eq!(all[0].json()["result"]["content"][0]["text"], long);
        assert!(all.iter().enumerate().all(|(id, answer)| answer.json()["id"] == id));
        line.close();
    }
}

#[test]
fn both_sides_say_goodbye() {
    let mut line = Line::with_default_client();
    line.settle(10_000).unwrap();
    line.client.send(&echo("1", "last words"));
    line.client.tls.send_close_notify();
    line.settle(10_000).unwrap();
    assert_eq!(line.answers().len(), 1, "what came before the goodbye is answered");
    assert!(line.client.is_server_closed);
    assert_eq!(line.connection.directive(), Directive::ShutDown);
    line.close();

    let mut line = Line::with_default_client();
    let request = String::from_utf8(echo("1", "x")).unwrap().replace("Host:", "Connection: close\r\nHost:");
    line.client.send(request.as_bytes());
    line.settle(10_000).unwrap();
    assert!(line.answers()[0].is_last() && line.client.is_server_closed);
    assert_eq!(line.connection.directive(), Directive::ShutDown);
    line.close();

    let mut line = Line::with_default_client();
    line.settle(10_000).unwrap();
    let back = line.desk.pass(&mut line.connection, 121_000);
    line.client.receive(&back).unwrap();
    assert!(line.client.is_server_closed, "an idle connection is not just dropped");
    line.close();
}

#[test]
fn a_ticket_is_good_on_another_connection() {
    let authority = Authority::default();
    let server = authority.server();
    let config = authority.client(&[&rustls::version::TLS13]);
    let mut desk = Desk::new(snapshot_with(Security::Tls(server), |_| {}));
    for expect in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        let mut line = Line::on(desk, &config);
        line.client.send(&echo("1", "x"));
        line.settle(300).unwrap();
        assert_eq!(line.client.tls.handshake_kind(), Some(expect));
        assert_eq!(line.answers()[0].status, 200);
        line.desk.release(line.connection);
        desk = line.desk;
    }
}

#[test]
fn a_client_that_speaks_only_tls12_is_told_so() {
    let authority = Authority::default();
    let mut line = Line::new(&authority, &authority.client(&[&rustls::version::TLS12]));
    let error = line.settle(10_000).unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(AlertDescription::ProtocolVersion));
    assert_eq!(line.connection.directive(), Directive::ShutDown);
    line.close();
}

/// A record in clear.
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1], length.as_slice(), payload].concat()
}

#[test]
fn what_is_no_handshake_gets_an_alert_and_an_end() {
    let hello = Client::new(&Authority::default().client(&[&rustls::version::TLS13])).take_ciphertext();
    let (front, back) = hello[5..].split_at(100);
    let halves = |back: &[u8]| [record(22, front), record(22, back)].concat();
    let table: &[(&str, Vec<u8>)] = &[
        ("plain HTTP", b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("zeros", vec![0; 600]),
        ("an alert", record(21, &[2, 40])),
        ("data", record(23, b"hello")),
        ("a message of no kind", record(22, &[99, 0, 0, 1, 0])),
        ("an empty hello", record(22, &[1, 0, 0, 0])),
        ("half a hello, then data", [record(22, front), record(23, b"hello")].concat()),
        ("half a hello, then garbage", [record(22, front), b"GET / HTTP/1.1\r\n\r\n".to_vec()].concat()),
        ("a hello that lies", halves(&back.iter().map(|byte| !byte).collect::<Vec<_>>())),
        ("a hello of 16 MiB", [record(22, &[1, 255, 255, 255]), record(22, &[0; 16_000]).repeat(5)].concat()),
    ];
    for (what, bytes) in table {
        for step in [1, 50, 100_000] {
            let mut desk = Desk::new(snapshot_with(Security::Tls(Authority::default().server()), |_| {}));
            let mut connection = desk.connect();
            let mut back = Vec::new();
            for piece in bytes.chunks(step.min(16_000)) {
                back.extend(desk.feed(&mut connection, piece));
            }
            assert_eq!(connection.directive(), Directive::ShutDown, "{what} {step}");
            assert!(back.len() <= 7 && back.first().is_none_or(|kind| *kind == 21), "{what} {back:?}");
            assert_eq!(desk.work.events.total(Count::TlsFailed), 1, "{what}");
            assert_eq!(desk.work.events.total(Count::FramingDecoded), 0, "{what}");
            desk.pass(&mut connection, 3000);
            assert_eq!(connection.directive(), Directive::Close, "{what}");
            desk.release(connection);
            assert_eq!(desk.work.pool.leased(), 1, "{what}");
        }
    }
    // Two halves of a sound hello in two records are a hello.
    let mut desk = Desk::new(snapshot_with(Security::Tls(Authority::default().server()), |_| {}));
    let mut connection = desk.connect();
    assert!(desk.feed(&mut connection, &halves(back)).starts_with(&[22]));
}

#[test]
fn a_record_that_was_touched_ends_the_connection() {
    let mut line = Line::with_default_client();
    line.settle(10_000).unwrap();
    line.client.send(&echo("1", "x"));
    let mut ciphertext = line.client.take_ciphertext();
    ciphertext[40] ^= 1;
    let back = line.desk.feed(&mut line.connection, &ciphertext);
    let error = line.client.receive(&back).unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(AlertDescription::BadRecordMac));
    assert_eq!(line.desk.work.events.total(Count::FramingDecoded), 0);
    line.close();
}

/// Writes records that rustls' client would never write.
struct Forger {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Forger {
    fn new(client: Client) -> Self {
        let secrets = client.tls.dangerous_extract_secrets().unwrap();
        let (sequence, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
            panic!("another suite than expected")
        };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        Self { key, iv: iv.as_ref().try_into().unwrap(), sequence }
    }

    /// RFC 8446 5.2.
    fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut inner = [payload, &[kind]].concat();
        let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let head = [23, 3, 3, length[0], length[1]];
        let mut nonce = self.iv;
        for (to, from) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *to ^= from;
        }
        self.sequence += 1;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(head), &mut inner).unwrap();
        [&head[..], &inner].concat()
    }
}

/// An established connection, and someone who has the client's keys.
fn forged() -> (Desk, Connection, Forger) {
    let authority = Authority::default();
    let mut config = authority.client(&[&rustls::version::TLS13]);
    Arc::make_mut(&mut config).enable_secret_extraction = true;
    let mut line = Line::new(&authority, &config);
    line.settle(10_000).unwrap();
    let Line { desk, connection, client, .. } = line;
    (desk, connection, Forger::new(client))
}

#[test]
fn half_a_handshake_message_in_an_open_connection_breaks_nothing() {
    // The front of a KeyUpdate; its end never comes.
    let front = [24, 0, 0];
    type Act = fn(&mut Desk, &mut Connection, &mut Forger);
    let acts: &[(&str, Act)] = &[
        ("idle", |desk, connection, _| drop(desk.pass(connection, 121_000))),
        ("drained", |desk, connection, _| {
            desk.turn(&mut Vec::new(), |turn| connection.handle_drain(turn));
        }),
        ("the peer ends", |desk, connection, _| {
            desk.turn(&mut Vec::new(), |turn| connection.handle_end_of_input(turn));
        }),
        ("data in between", |desk, connection, forger| {
            let data = forger.record(23, b"x");
            desk.feed(connection, &data);
        }),
        ("garbage", |desk, connection, _| drop(desk.feed(connection, &[0; 100]))),
        ("a goodbye", |desk, connection, forger| {
            let goodbye = forger.record(21, &[1, 0]);
            desk.feed(connection, &goodbye);
        }),
    ];
    for (what, act) in acts {
        for before in [Vec::new(), echo("1", "x")] {
            let (mut desk, mut connection, mut forger) = forged();
            let mut input = Vec::new();
            if !before.is_empty() {
                input.extend(forger.record(23, &before));
            }
            input.extend(forger.record(22, &front));
            let back = desk.feed(&mut connection, &input);
            assert_eq!(back.is_empty(), before.is_empty(), "{what}: what came before is answered");
            assert_eq!(connection.directive(), Directive::Continue, "{what}");
            act(&mut desk, &mut connection, &mut forger);
            assert_ne!(connection.directive(), Directive::Continue, "{what}");
            desk.release(connection);
            assert_eq!(desk.work.pool.leased(), 1, "{what}");
        }
    }
}
