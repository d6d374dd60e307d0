//! One connection of the load client: asks, receives, and has the answer checked.
//! Next: [`crate::answer`] for what a right answer is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use rustls::ClientConnection;

use crate::answer;
use crate::scenario::Expected;
use crate::target::Opened;

const BLOCK_BYTES: usize = 64 * 1024;

/// Receive buffers shared by all connections.
pub struct Scratch {
    received: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Scratch {
    /// Allocates the buffers.
    #[must_use]
    pub fn new() -> Self {
        Self { received: vec![0; BLOCK_BYTES], plaintext: vec![0; BLOCK_BYTES] }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Decides whether bytes are the expected answer.
///
/// The last answer proved right is kept: equal bytes are right again, at the price of one comparison.
pub struct Checker {
    proven: Vec<u8>,
    want: Want,
}

/// What is wanted.
pub enum Want {
    /// An HTTP answer carrying this JSON-RPC result.
    Result(Expected),
    /// Exactly these bytes.
    Bytes(Vec<u8>),
}

impl Checker {
    /// A checker that has seen nothing yet.
    #[must_use]
    pub fn new(want: Want) -> Self {
        Self { proven: Vec::new(), want }
    }

    /// Size of the last right answer.
    #[must_use]
    pub fn answer_bytes(&self) -> usize {
        self.proven.len()
    }

    /// Whether `bytes` are a whole right answer and nothing more; `false` while they are only a part.
    fn check(&mut self, bytes: &[u8]) -> Result<bool> {
        if !bytes.is_empty() && bytes == self.proven {
            return Ok(true);
        }
        let taken = match &self.want {
            Want::Result(expected) => answer::check(bytes, expected)?,
            Want::Bytes(wanted) if wanted.starts_with(bytes) => {
                (wanted.len() == bytes.len()).then_some(bytes.len())
            }
            Want::Bytes(_) => bail!("echoed bytes differ"),
        };
        match taken {
            None => Ok(false),
            Some(taken) if taken < bytes.len() => bail!("bytes follow the answer"),
            Some(_) => {
                bytes.clone_into(&mut self.proven);
                Ok(true)
            }
        }
    }
}

/// What an event brought.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// Nothing or a part of an answer.
    Part,
    /// The rest of a right answer.
    Answer,
}

/// One connection.
pub struct Connection {
    socket: TcpStream,
    session: Option<Box<ClientConnection>>,
    partial: Vec<u8>,
    asked_at: Instant,
}

impl Connection {
    /// Takes over an opened connection.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn build(opened: Opened) -> Result<Self> {
        opened.socket.set_nonblocking(true)?;
        let Opened { socket, session } = opened;
        Ok(Self { socket, session, partial: Vec::new(), asked_at: Instant::now() })
    }

    /// The socket, to wait on.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// When the request in flight was sent.
    #[must_use]
    pub fn asked_at(&self) -> Instant {
        self.asked_at
    }

    /// The negotiated TLS suite and group.
    #[must_use]
    pub fn suite(&self) -> Option<String> {
        let session = self.session.as_ref()?;
        let suite = session.negotiated_cipher_suite()?.suite();
        let group = session.negotiated_key_exchange_group()?.name();
        Some(format!("{suite:?} {group:?}"))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the connection is gone, or full although only one request is in flight.
    pub fn ask(&mut self, request: &[u8], now: Instant) -> Result<()> {
        self.asked_at = now;
        let Some(session) = &mut self.session else {
            let sent = self.socket.write(request)?;
            return if sent == request.len() { Ok(()) } else { Err(anyhow!("short write")) };
        };
        session.writer().write_all(request)?;
        while session.wants_write() {
            session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Reads what has arrived.
    ///
    /// # Errors
    /// When the connection ended or the answer is wrong.
    pub fn receive(&mut self, scratch: &mut Scratch, checker: &mut Checker) -> Result<Received> {
        loop {
            let count = match self.socket.read(&mut scratch.received) {
                Ok(0) => bail!("connection closed by the server"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Part),
                Err(error) => return Err(error.into()),
            };
            let bytes = scratch.received.get(..count).unwrap_or_default();
            let received = match &mut self.session {
                None => take(&mut self.partial, bytes, checker)?,
                Some(session) => {
                    let count = decrypt(session, bytes, &mut scratch.plaintext)?;
                    let bytes = scratch.plaintext.get(..count).unwrap_or_default();
                    take(&mut self.partial, bytes, checker)?
                }
            };
            // A short read emptied the socket; a further read would only be told to wait.
            if received == Received::Answer || count < BLOCK_BYTES {
                return Ok(received);
            }
        }
    }
}

fn take(partial: &mut Vec<u8>, bytes: &[u8], checker: &mut Checker) -> Result<Received> {
    if bytes.is_empty() {
        return Ok(Received::Part);
    }
    if partial.is_empty() {
        if checker.check(bytes)? {
            return Ok(Received::Answer);
        }
        partial.extend_from_slice(bytes);
        return Ok(Received::Part);
    }
    partial.extend_from_slice(bytes);
    if checker.check(partial)? {
        partial.clear();
        return Ok(Received::Answer);
    }
    Ok(Received::Part)
}

/// Decrypts all of `bytes` into `plaintext` and returns how much there is.
fn decrypt(session: &mut ClientConnection, bytes: &[u8], plaintext: &mut Vec<u8>) -> Result<usize> {
    let mut rest = bytes;
    let mut total = 0;
    while !rest.is_empty() {
        session.read_tls(&mut rest)?;
        let state = session.process_new_packets()?;
        let end = total + state.plaintext_bytes_to_read();
        if plaintext.len() < end {
            plaintext.resize(end, 0);
        }
        let Some(room) = plaintext.get_mut(total..end) else { bail!("no room") };
        if !room.is_empty() {
            session.reader().read_exact(room)?;
        }
        total = end;
        if state.peer_has_closed() && total == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(total)
}
