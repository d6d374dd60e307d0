//! A client of a WebSocket, by tungstenite; the handshake is written out.
//! Next: `talk`.

use std::io::Write as _;

use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

use super::{Heard, Peer};
use crate::client::{Client, bearer};
use crate::server::KEY;
use crate::wire::Wire;

pub(super) struct Frames {
    socket: WebSocket<Wire>,
    /// What the server said at its goodbye.
    code: Option<u16>,
}

impl Frames {
    pub(super) fn new(mut client: Client) -> Self {
        let opening = format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: mcp\r\n{}\r\n",
            bearer(KEY)
        );
        client.send(opening.as_bytes());
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // RFC 6455 1.3 has the answer to this key.
        assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        let (wire, read) = client.into_parts();
        Self { socket: WebSocket::from_partially_read(wire, read, Role::Client, None), code: None }
    }
}

impl Peer for Frames {
    fn send(&mut self, message: &[u8]) {
        let text = String::from_utf8(message.to_vec()).unwrap();
        self.socket.send(Message::text(text)).unwrap();
    }

    fn next(&mut self) -> Heard {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Heard::Message(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(frame)) => self.code = frame.map(|frame| frame.code.into()),
                Ok(Message::Binary(_) | Message::Frame(_)) => panic!("only text is sent"),
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Heard::End(self.code),
                // Once the own half is closed the goodbye can not be said back.
                Err(Error::Io(_)) if self.code.is_some() => return Heard::End(self.code),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn break_rules(&mut self) {
        self.socket.send(Message::binary(b"{}".to_vec())).unwrap();
    }

    fn end_half(&mut self) {
        self.socket.get_mut().end_half();
    }

    fn close(&mut self) {
        let code = tungstenite::protocol::frame::coding::CloseCode::Normal;
        let frame = tungstenite::protocol::CloseFrame { code, reason: "".into() };
        self.socket.close(Some(frame)).unwrap();
        self.socket.flush().unwrap();
    }

    fn send_half(&mut self, message: &[u8]) {
        // One frame, its length in two bytes, under a mask of zeros.
        let mut bytes = vec![0x81, 0x80 | 126];
        bytes.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&message[..message.len() / 2]);
        let wire = self.socket.get_mut();
        wire.write_all(&bytes).unwrap();
        wire.flush().unwrap();
    }

    fn tear(self: Box<Self>) {
        self.socket.into_inner().tear();
    }
}
