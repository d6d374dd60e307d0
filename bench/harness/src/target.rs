//! The server under load as a client sees it: an address, TLS or not; opens connections and asks single questions.
//! Next: [`crate::load`] for many questions.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use crate::carriage::Carriage;

/// How long a blocking step may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the server is and how it is spoken to.
#[derive(Clone)]
pub struct Target {
    /// Socket address, always on loopback.
    pub address: SocketAddr,
    /// TLS settings; plain without.
    pub tls: Option<Arc<ClientConfig>>,
    /// How messages go.
    pub carriage: Carriage,
    /// What is sent before the first request.
    pub opening: Vec<u8>,
}

/// An open connection, its handshake done.
pub struct Opened {
    /// The socket, blocking.
    pub socket: TcpStream,
    /// The TLS session, if any.
    pub session: Option<Box<ClientConnection>>,
    carriage: Carriage,
}

impl Target {
    /// A server that speaks HTTP.
    #[must_use]
    pub fn http(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { address, tls, carriage: Carriage::Http, opening: Vec::new() }
    }

    /// Connects and completes the handshake, which has to be a full one, and what opens the conversation.
    ///
    /// # Errors
    /// When the server is not there, refuses, or resumes a session.
    pub fn open(&self) -> Result<Opened> {
        let mut opened = self.connect()?;
        if !self.opening.is_empty() {
            let carriage = self.carriage;
            opened.exchange(&self.opening, |bytes| Ok(carriage.is_opened(bytes)?))?;
        }
        Ok(opened)
    }

    fn connect(&self) -> Result<Opened> {
        let mut socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let Some(config) = &self.tls else {
            return Ok(Opened { socket, session: None, carriage: self.carriage });
        };
        let name = ServerName::try_from("localhost")?;
        let mut session = Box::new(ClientConnection::new(Arc::clone(config), name)?);
        while session.is_handshaking() {
            session.complete_io(&mut socket).context("TLS handshake")?;
        }
        if session.wants_write() {
            session.complete_io(&mut socket).context("TLS handshake")?;
        }
        match session.handshake_kind() {
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => {}
            kind @ (Some(_) | None) => bail!("not a full handshake: {kind:?}"),
        }
        Ok(Opened { socket, session: Some(session), carriage: self.carriage })
    }

    /// Opens a connection, asks once and returns the raw answer.
    ///
    /// # Errors
    /// When no complete answer arrives in time.
    pub fn ask(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut opened = self.open()?;
        let answer = opened.ask(request)?;
        opened.close()?;
        Ok(answer)
    }
}

impl Opened {
    /// Sends `request` and reads one answer, blocking.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        // Where events come, the opening has had its answer and nothing is asked.
        if request.is_empty() {
            return Ok(Vec::new());
        }
        let carriage = self.carriage;
        self.exchange(request, |bytes| Ok(carriage.is_complete(bytes)?))
    }

    fn exchange(&mut self, request: &[u8], is_whole: impl Fn(&[u8]) -> Result<bool>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match &mut self.session {
            None => {
                self.socket.write_all(request)?;
                read(&mut self.socket, &mut bytes, is_whole)?;
            }
            Some(session) => {
                let mut stream = rustls::Stream::new(&mut **session, &mut self.socket);
                stream.write_all(request)?;
                read(&mut stream, &mut bytes, is_whole)?;
            }
        }
        Ok(bytes)
    }

    /// Says goodbye, as TLS asks, and closes.
    fn close(mut self) -> Result<()> {
        if let Some(session) = &mut self.session {
            session.send_close_notify();
            session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

fn read(stream: &mut impl Read, bytes: &mut Vec<u8>, is_whole: impl Fn(&[u8]) -> Result<bool>) -> Result<()> {
    let mut block = [0; 16384];
    while !is_whole(bytes)? {
        let count = stream.read(&mut block)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.extend_from_slice(block.get(..count).unwrap_or_default());
    }
    Ok(())
}
