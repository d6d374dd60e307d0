//! Pays for the first handshake before anyone waits for it. Two costs hide there: aws-lc gathers entropy from
//! CPU jitter once a process (about 21 ms), and the first handshake after that takes some 0.5 ms instead of 0.2.
//! Never: a socket; both ends live in this file.
//! Next: `process`, which calls it when a TLS listener exists.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, ServerConfig, ServerConnection, SignatureScheme};

use super::super::problem::Problem;
use crate::pipeline::snapshot::{Listener, Security};

/// Runs a first handshake on every TLS configuration, which also shows that each can complete one.
pub fn warm_first(listeners: &[Arc<Listener>]) -> Result<(), Vec<Problem>> {
    for listener in listeners {
        if let Security::Tls(config) = &listener.security {
            warm_up(config).map_err(|error| {
                let what = format!("listener `{}` cannot complete a TLS handshake: {error}", listener.name);
                vec![Problem::error("E0315", what)]
            })?;
        }
    }
    Ok(())
}

/// A thread that gathers entropy; whoever drops this waits for its end.
// aws-lc takes its source of seeds down when the process exits, and a thread that draws from it then aborts the process:
// a start that ended within those 21 ms would die of SIGABRT instead of its exit code.
pub struct Gathering(Option<JoinHandle<()>>);

impl Gathering {
    fn begin(gather: impl FnOnce() + Send + 'static) -> Self {
        // A thread that cannot be started leaves the cost to the first user: slower, not wrong.
        Self(thread::Builder::new().name("entropy".to_owned()).spawn(gather).ok())
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// Starts gathering entropy on a thread of its own; whoever needs randomness meanwhile waits for it.
#[must_use = "dropped at once, it is waited for at once"]
pub fn gather_entropy() -> Gathering {
    Gathering::begin(|| {
        let _ = SystemRandom::new().fill(&mut [0]);
    })
}

/// Runs one whole handshake in memory.
pub fn warm_up(server: &Arc<ServerConfig>) -> Result<(), Error> {
    let mut server = ServerConnection::new(Arc::clone(server))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OwnServer { provider }))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    client.resumption = Resumption::disabled();
    let name = ServerName::try_from("localhost").map_err(|error| Error::General(error.to_string()))?;
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    // A full handshake takes three flights; the bound only guards against two ends that wait for each other.
    for _ in 0..8 {
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(());
        }
        match relay(&mut client, &mut server) {
            // It asks clients for certificates and we have none: all before that has worked.
            Err(Error::NoCertificatesPresented) => return Ok(()),
            relayed => relayed?,
        }
        relay(&mut server, &mut client)?;
    }
    Err(Error::General("the handshake does not end".to_owned()))
}

/// Moves what `from` has to say into `to`.
pub(super) fn relay<A, B>(
    from: &mut rustls::ConnectionCommon<A>,
    to: &mut rustls::ConnectionCommon<B>,
) -> Result<(), Error>
where
    A: rustls::SideData,
    B: rustls::SideData,
{
    let in_memory = |error: std::io::Error| Error::General(error.to_string());
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).map_err(in_memory)?;
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).map_err(in_memory)?;
        to.process_new_packets()?;
    }
    Ok(())
}

/// Takes any certificate: the other end is the object next to it. Signatures are still checked, so that a key
/// that cannot sign shows here.
#[derive(Debug)]
struct OwnServer {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OwnServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn nobody_leaves_before_the_gathering_ends() {
        let (sender, is_over) = mpsc::channel();
        drop(Gathering::begin(move || {
            thread::yield_now();
            let _ = sender.send(());
        }));
        assert_eq!(is_over.try_recv(), Ok(()));
    }
}
