//! A client that does exactly what it is told, over TCP or TLS.
//! Next: `serving`.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::server::{KEY, PATIENCE};
use crate::wire::Wire;

/// One connection.
pub(crate) struct Client {
    stream: Wire,
    read: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        let json = self.json();
        json["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
    }
}

pub(crate) fn socket(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A client configuration that trusts one certificate.
pub(crate) fn trust(certificate: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// A TLS connection, its handshake done; the error of the handshake otherwise.
pub(crate) fn secure(
    port: u16,
    name: &str,
    config: ClientConfig,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket(port));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

impl Client {
    pub(crate) fn on(stream: Wire) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) fn plain(port: u16) -> Self {
        Self::on(Wire::Tcp(socket(port)))
    }

    pub(crate) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::on(Wire::Unix(stream))
    }

    /// Sends a message and reads the next line.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        self.send(format!("{message}\n").as_bytes());
        self.next_line()
    }

    pub(crate) fn next_line(&mut self) -> Value {
        let end = loop {
            match self.read.iter().position(|byte| *byte == b'\n') {
                Some(at) => break at,
                None => assert!(self.fill(), "closed in the middle of a line"),
            }
        };
        serde_json::from_slice(&self.take(end + 1)).unwrap()
    }

    /// Sends a message after its length and reads the next one.
    pub(crate) fn prefixed(&mut self, message: &str) -> Value {
        self.send(&u32::try_from(message.len()).unwrap().to_be_bytes());
        self.send(message.as_bytes());
        self.next_prefixed()
    }

    pub(crate) fn next_prefixed(&mut self) -> Value {
        let length = u32::from_be_bytes(self.take(4).try_into().unwrap());
        serde_json::from_slice(&self.take(usize::try_from(length).unwrap())).unwrap()
    }

    pub(crate) fn tls(port: u16, name: &str, certificate: &Path) -> Self {
        Self::on(Wire::Tls(Box::new(secure(port, name, trust(certificate)).unwrap())))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Answer {
        self.send(request);
        self.answer().expect("an answer")
    }

    /// The next answer; nothing when the server closes before one begins.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        if self.is_closed() {
            return None;
        }
        let head = self.head();
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body = match length {
            Some(length) => self.take(length.parse().unwrap()),
            None if head.contains("transfer-encoding: chunked") => self.take_chunks(),
            None => Vec::new(),
        };
        Some(Answer { status, head, body })
    }

    /// Sends nothing more, and may read on.
    pub(crate) fn end_half(&mut self) {
        self.stream.end_half();
    }

    /// Is gone without a word.
    pub(crate) fn tear(self) {
        self.stream.tear();
    }

    /// What is below, for another reader, and what has been read already.
    pub(crate) fn into_parts(self) -> (Wire, Vec<u8>) {
        (self.stream, self.read)
    }

    /// Whether the server has closed, reading nothing more before that.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.fill()
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Vec<u8> {
        while self.read.len() < bytes {
            assert!(self.fill(), "closed in the middle of a body");
        }
        self.read.drain(..bytes).collect()
    }

    fn take_chunks(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.chunk()).flatten().collect()
    }

    /// The next chunk of a body; nothing after the last.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            match self.read.windows(2).position(|window| window == b"\r\n") {
                Some(at) => break at,
                None => assert!(self.fill(), "closed in the middle of a chunk"),
            }
        };
        let line = self.take(end + 2);
        let size = usize::from_str_radix(std::str::from_utf8(&line[..end]).unwrap(), 16).unwrap();
        let mut chunk = self.take(size + 2);
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// The head of an answer whose body is then read in chunks.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                return String::from_utf8(self.read.drain(..at + 4).collect()).unwrap();
            }
            assert!(self.fill(), "closed in the middle of a head");
        }
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(bytes) => {
                self.read.extend_from_slice(&buffer[..bytes]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                panic!("TLS ended without close_notify")
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A modern call of `echo` as one message, with a credential for the transports without headers.
pub(crate) fn message(id: u64, text: &str, credential: Option<&str>) -> String {
    let credential = credential.map(|key| format!(r#","mcpring/authorization":"Bearer {key}""#));
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{text}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}{}}}}}}}"#,
        credential.unwrap_or_default()
    )
}

/// A modern call of a tool with some arguments, under some credential.
pub(crate) fn call_as(credential: &str, tool: &str, arguments: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    post(
        &format!(
            "{credential}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
        ),
        &body,
    )
}

pub(crate) fn call(tool: &str, arguments: &str) -> Vec<u8> {
    call_as(&bearer(KEY), tool, arguments)
}

pub(crate) fn echo(message: &str) -> Vec<u8> {
    call("echo", &format!(r#"{{"message":"{message}"}}"#))
}

pub(crate) fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

pub(crate) fn post(fields: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\n\
         Content-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
