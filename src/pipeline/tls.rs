//! TLS for one connection: records in, one contiguous run of plaintext out, and back.
//! Records are decrypted where they were received. rustls 0.23 then hands each payload out as a copy of its own, which
//! is joined here; the move to a release that does not is a change of this file alone.
//! Never: a configuration choice (the control plane made them all), early data.
//! Next: `framing`, which reads the plaintext.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConfig};

use super::authenticate::certificate::Rejected;
use super::buffers::Pool;

/// Ciphertext that may wait for the rest of its record or handshake message. Bytes.
pub const CIPHERTEXT_BYTES_MAX: usize = 64 * 1024;

/// What a TLS record adds at most. RFC 8446 5.2.
const RECORD_OVERHEAD_BYTES: usize = 5 + 17 + 16;
const RECORD_PAYLOAD_BYTES: usize = 16 * 1024;

/// Why a TLS connection ends. The peer sees the alert that rustls chose, nothing else.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The peer broke the protocol, or we could not agree.
    #[error("{0}")]
    Protocol(#[from] rustls::Error),
    /// A record or handshake message that never ends.
    #[error("more than {CIPHERTEXT_BYTES_MAX} bytes without a complete record")]
    Overlong,
    /// rustls could not write what it owes.
    #[error("cannot encode: {0}")]
    Encode(String),
}

impl TlsFault {
    /// The peer's certificate, when that was it.
    pub fn rejected(&self) -> Option<Rejected> {
        match self {
            Self::Protocol(error) => Rejected::of(error),
            Self::Overlong | Self::Encode(_) => None,
        }
    }
}

/// What arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The handshake finished during this call.
    pub is_newly_established: bool,
    /// The peer will send nothing more (close_notify).
    pub is_peer_closed: bool,
}

/// One connection's TLS state.
pub struct Tls {
    connection: UnbufferedServerConnection,
    partial: Vec<u8>,
    is_established: bool,
}

impl Tls {
    /// A connection that waits for a ClientHello.
    ///
    /// # Errors
    /// When rustls refuses the configuration.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            partial: Vec::new(),
            is_established: false,
        })
    }

    /// Whether application data may flow.
    pub fn is_established(&self) -> bool {
        self.is_established
    }

    /// Whether a record or handshake message has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// The negotiated version and suite, once known.
    pub fn negotiated(&self) -> Option<(ProtocolVersion, CipherSuite)> {
        Some((self.connection.protocol_version()?, self.connection.negotiated_cipher_suite()?.suite()))
    }

    /// What the peer proved to hold, its own certificate first; empty without one.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    /// Whether the peer came back with a ticket, so that nothing was verified now.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Takes ciphertext, appends plaintext to `plaintext` and handshake bytes to `outbox`.
    ///
    /// # Errors
    /// The connection must end after `outbox`, which then ends with the alert, has been sent.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        plaintext: &mut Vec<u8>,
        outbox: &mut Vec<u8>,
        pool: &mut Pool,
    ) -> Result<Received, TlsFault> {
        if self.partial.capacity() == 0 {
            let (received, used) = self.drive(input, plaintext, outbox)?;
            let rest = input.get(used..).unwrap_or_default();
            if !rest.is_empty() {
                self.partial = pool.lease();
                self.partial.extend_from_slice(rest);
            }
            return Ok(received);
        }
        if self.partial.len() + input.len() > CIPHERTEXT_BYTES_MAX {
            return Err(TlsFault::Overlong);
        }
        let mut partial = std::mem::take(&mut self.partial);
        partial.extend_from_slice(input);
        let driven = self.drive(&mut partial, plaintext, outbox);
        match driven {
            Ok((received, used)) if used < partial.len() => {
                partial.drain(..used);
                self.partial = partial;
                Ok(received)
            }
            Ok((received, _)) => {
                pool.release(partial);
                Ok(received)
            }
            Err(fault) => {
                pool.release(partial);
                Err(fault)
            }
        }
    }

    /// Runs rustls over `input` until it needs more; returns how many bytes it used.
    fn drive(
        &mut self,
        input: &mut [u8],
        plaintext: &mut Vec<u8>,
        outbox: &mut Vec<u8>,
    ) -> Result<(Received, usize), TlsFault> {
        let mut received = Received::default();
        let mut used = 0;
        loop {
            let rest = input.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let is_blocked = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plaintext.extend_from_slice(record.payload);
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode_with(outbox, |out| data.encode(out).map_err(needed_to_encode))?;
                    false
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    received.is_peer_closed = true;
                    false
                }
                Ok(ConnectionState::Closed) => {
                    received.is_peer_closed = true;
                    true
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    received.is_newly_established |= !self.is_established;
                    self.is_established = true;
                    true
                }
                Ok(ConnectionState::BlockedHandshake) => true,
                // RFC 8446 2.3: early data can be replayed; the configuration offers none, so none can come.
                Ok(_) => return Err(rustls::Error::General("early data was not offered".into()).into()),
                Err(error) => {
                    self.is_established = false;
                    self.send_alert(input.get_mut(used + discard..).unwrap_or_default(), outbox);
                    return Err(error.into());
                }
            };
            used += discard;
            if is_blocked {
                return Ok((received, used));
            }
        }
    }

    /// Appends the alert rustls queued when it failed, if it did. It must not be asked again: it would fail once more.
    /// `rest` is what it has not used up; half a handshake message stays in the input, and it looks for it there.
    fn send_alert(&mut self, rest: &mut [u8], outbox: &mut Vec<u8>) {
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = self.connection.process_tls_records(rest).state
        {
            // A failure here leaves the peer without the alert; the connection ends in any case.
            let _ = encode_with(outbox, |out| data.encode(out).map_err(needed_to_encode));
        }
    }

    /// Encrypts `plaintext` into `outbox`. Nothing is sent before the handshake is done.
    ///
    /// # Errors
    /// When rustls can not encrypt any more, or the peer broke the protocol; the connection must end.
    pub fn send(&mut self, plaintext: &[u8], outbox: &mut Vec<u8>) -> Result<(), TlsFault> {
        if !self.is_established {
            return Err(TlsFault::Encode("the connection is not open".into()));
        }
        let records = plaintext.len().div_ceil(RECORD_PAYLOAD_BYTES);
        let reserve = plaintext.len() + records * RECORD_OVERHEAD_BYTES;
        self.write_traffic(outbox, |traffic, outbox| {
            let start = outbox.len();
            outbox.resize(start + reserve, 0);
            loop {
                let space = outbox.get_mut(start..).unwrap_or_default();
                match traffic.encrypt(plaintext, space) {
                    Ok(written) => {
                        outbox.truncate(start + written);
                        return Ok(());
                    }
                    Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                        outbox.resize(start + required_size, 0);
                    }
                    Err(error) => return Err(TlsFault::Encode(error.to_string())),
                }
            }
        })
    }

    /// Appends close_notify.
    pub fn close(&mut self, outbox: &mut Vec<u8>) {
        if !self.is_established {
            return;
        }
        // A failure here leaves the peer without close_notify; the connection ends in any case.
        let _ = self.write_traffic(outbox, |traffic, outbox| {
            encode_with(outbox, |out| {
                traffic.queue_close_notify(out).map_err(|error| match error {
                    EncryptError::InsufficientSize(size) => Needed::Bytes(size.required_size),
                    EncryptError::EncryptExhausted => Needed::Nothing(error.to_string()),
                })
            })
        });
    }

    /// Gives held buffers back.
    pub fn release(&mut self, pool: &mut Pool) {
        if self.partial.capacity() > 0 {
            pool.release(std::mem::take(&mut self.partial));
        }
    }

    /// rustls hands out its writer only from one state; whatever it owes the peer before that is sent first. It must see
    /// what it has not used up: half a handshake message stays in the input, and it looks for it there.
    fn write_traffic(
        &mut self,
        outbox: &mut Vec<u8>,
        write: impl FnOnce(
            &mut rustls::unbuffered::WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut Vec<u8>,
        ) -> Result<(), TlsFault>,
    ) -> Result<(), TlsFault> {
        loop {
            #[expect(clippy::wildcard_enum_match_arm, reason = "rustls' list; only these lead to the writer")]
            match self.connection.process_tls_records(&mut self.partial).state? {
                ConnectionState::WriteTraffic(mut traffic) => return write(&mut traffic, outbox),
                ConnectionState::EncodeTlsData(mut data) => {
                    encode_with(outbox, |out| data.encode(out).map_err(needed_to_encode))?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => {}
                other => return Err(TlsFault::Encode(format!("cannot write in state {other:?}"))),
            }
        }
    }
}

enum Needed {
    Bytes(usize),
    Nothing(String),
}

fn needed_to_encode(error: EncodeError) -> Needed {
    match error {
        EncodeError::InsufficientSize(size) => Needed::Bytes(size.required_size),
        EncodeError::AlreadyEncoded => Needed::Nothing(error.to_string()),
    }
}

/// Appends what `encode` writes, growing once to the size it asks for.
fn encode_with(
    outbox: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, Needed>,
) -> Result<(), TlsFault> {
    let start = outbox.len();
    let mut space = 256;
    for _ in 0..2 {
        outbox.resize(start + space, 0);
        match encode(outbox.get_mut(start..).unwrap_or_default()) {
            Ok(written) => {
                outbox.truncate(start + written);
                return Ok(());
            }
            Err(Needed::Bytes(bytes)) => space = bytes,
            Err(Needed::Nothing(why)) => {
                outbox.truncate(start);
                return Err(TlsFault::Encode(why));
            }
        }
    }
    outbox.truncate(start);
    Err(TlsFault::Encode("the size asked for was not enough".into()))
}
