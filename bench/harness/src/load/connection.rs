//! One connection of the load client: asks, receives, and has the answer checked.
//! Next: [`crate::carriage`] and [`crate::answer`] for what a right answer is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use rustls::ClientConnection;

use crate::carriage::Carriage;
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
    /// An answer carrying this JSON-RPC result.
    Result(Carriage, Expected),
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

    /// How many bytes the right answer at the start of `bytes` takes; `None` while it is only a part.
    fn check(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        if !self.proven.is_empty() && bytes.starts_with(&self.proven) {
            return Ok(Some(self.proven.len()));
        }
        let taken = match &self.want {
            Want::Result(carriage, expected) => carriage.check(bytes, expected)?,
            Want::Bytes(wanted) if bytes.starts_with(wanted) => Some(wanted.len()),
            Want::Bytes(wanted) if wanted.starts_with(bytes) => None,
            Want::Bytes(_) => bail!("echoed bytes differ"),
        };
        if let Some(proven) = taken.and_then(|taken| bytes.get(..taken)) {
            proven.clone_into(&mut self.proven);
        }
        Ok(taken)
    }
}

/// What an event brought.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// Nothing, or not yet all that is due.
    Part,
    /// The last of the right answers that were due.
    Answers,
}

/// One connection.
pub struct Connection {
    socket: TcpStream,
    session: Option<Box<ClientConnection>>,
    partial: Vec<u8>,
    asked_at: Instant,
    /// Answers that have not come.
    due: usize,
}

impl Connection {
    /// Takes over an opened connection.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn build(opened: Opened) -> Result<Self> {
        opened.socket.set_nonblocking(true)?;
        let Opened { socket, session, .. } = opened;
        Ok(Self { socket, session, partial: Vec::new(), asked_at: Instant::now(), due: 0 })
    }

    /// The socket, to wait on.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// When the requests in flight were sent.
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

    /// Sends `requests`, of which there are `count`, in one write.
    ///
    /// # Errors
    /// When the connection is gone, or full although nothing else is in flight.
    pub fn ask(&mut self, requests: &[u8], count: usize, now: Instant) -> Result<()> {
        self.asked_at = now;
        self.due = count;
        let Some(session) = &mut self.session else {
            let sent = self.socket.write(requests)?;
            return if sent == requests.len() { Ok(()) } else { Err(anyhow!("short write")) };
        };
        session.writer().write_all(requests)?;
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
                None => take(&mut self.partial, &mut self.due, bytes, checker)?,
                Some(session) => {
                    let count = decrypt(session, bytes, &mut scratch.plaintext)?;
                    let bytes = scratch.plaintext.get(..count).unwrap_or_default();
                    take(&mut self.partial, &mut self.due, bytes, checker)?
                }
            };
            // A short read emptied the socket; a further read would only be told to wait.
            if received == Received::Answers || count < BLOCK_BYTES {
                return Ok(received);
            }
        }
    }
}

/// Takes the answers that are whole by now; what is left waits for more.
fn take(partial: &mut Vec<u8>, due: &mut usize, bytes: &[u8], checker: &mut Checker) -> Result<Received> {
    if bytes.is_empty() {
        return Ok(Received::Part);
    }
    let held = std::mem::take(partial);
    let joined;
    let mut rest = if held.is_empty() {
        bytes
    } else {
        joined = [held.as_slice(), bytes].concat();
        joined.as_slice()
    };
    while *due > 0
        && !rest.is_empty()
        && let Some(taken) = checker.check(rest)?
    {
        rest = rest.get(taken..).unwrap_or_default();
        *due -= 1;
    }
    if *due > 0 {
        rest.clone_into(partial);
        return Ok(Received::Part);
    }
    if rest.is_empty() { Ok(Received::Answers) } else { bail!("bytes follow the answer") }
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
