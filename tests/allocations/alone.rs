//! rustls by itself: what it allocates is not ours to save.
//! Next: `../allocations.rs`, which counts both.

use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};

/// rustls' server and nothing around it.
pub(crate) struct Alone {
    tls: UnbufferedServerConnection,
    pub(crate) outbox: Vec<u8>,
}

impl Alone {
    pub(crate) fn new(config: Arc<rustls::ServerConfig>) -> Self {
        let tls = UnbufferedServerConnection::new(config).expect("a server starts");
        Self { tls, outbox: Vec::with_capacity(64 * 1024) }
    }

    pub(crate) fn receive(&mut self, input: &mut [u8]) {
        self.outbox.clear();
        let mut used = 0;
        loop {
            let rest = input.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(rest);
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "rustls' list; all others mean that it wants more"
            )]
            let is_done = match state.expect("the client keeps to the protocol") {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        discard += record.expect("a sound record").discard;
                    }
                    false
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    let start = self.outbox.len();
                    self.outbox.resize(start + 256, 0);
                    let written = match data.encode(self.outbox.get_mut(start..).unwrap_or_default()) {
                        Ok(written) => written,
                        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                            self.outbox.resize(start + required_size, 0);
                            data.encode(self.outbox.get_mut(start..).unwrap_or_default())
                                .expect("as much room as it asked for")
                        }
                        Err(EncodeError::AlreadyEncoded) => 0,
                    };
                    self.outbox.truncate(start + written);
                    false
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    false
                }
                _ => true,
            };
            used += discard;
            if is_done {
                return;
            }
        }
    }

    pub(crate) fn send(&mut self, plaintext: &[u8]) {
        let state = self.tls.process_tls_records(&mut []).state.expect("an open connection");
        let ConnectionState::WriteTraffic(mut traffic) = state else { panic!("not ready to write") };
        self.outbox.resize(plaintext.len() + 64, 0);
        let written = traffic.encrypt(plaintext, &mut self.outbox).expect("there is room");
        self.outbox.truncate(written);
    }
}
