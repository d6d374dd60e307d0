//! Proofs that the server's certificate is not revoked: fetched from the responder that it names, verified, and sent along
//! in handshakes. The responder is `openssl ocsp`.
//! Next: `responder`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcpring::control::moment::unix_now_ms;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType, SerialNumber};
use rustix::process::Signal;
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::client::secure;
use crate::pki::Pki;
use crate::responder::{Mood, Responder};
use crate::server::{Folder, Server};

/// Verifies as a client does and keeps what was stapled.
#[derive(Debug)]
struct Reader {
    inner: Arc<WebPkiServerVerifier>,
    stapled: Arc<Mutex<Vec<u8>>>,
}

impl ServerCertVerifier for Reader {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.stapled.lock().unwrap() = ocsp_response.to_vec();
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What a server staples whose certificate names this responder.
fn stapled(server: &Server, pki: &Pki) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.root_pem().as_bytes()).unwrap()).unwrap();
    let stapled = Arc::new(Mutex::new(Vec::new()));
    let inner = WebPkiServerVerifier::builder(Arc::new(roots)).build().unwrap();
    let reader = Reader { inner, stapled: stapled.clone() };
    let mut config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(reader))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    secure(server.port("secure"), "localhost", config).unwrap();
    let stapled = stapled.lock().unwrap();
    stapled.clone()
}

/// A server whose certificate an authority has issued that answers like that.
fn start(mood: Mood) -> (Server, Pki, Responder) {
    let (folder, pki) = (Folder::new(), Pki::new(unix_now_ms() / 1000));
    let responder = Responder::start(&pki, &folder.0);
    responder.set(mood);
    certify(&folder, &pki, &responder);
    (Server::start_in(folder, &[]), pki, responder)
}

fn certify(folder: &Folder, pki: &Pki, responder: &Responder) {
    let key = KeyPair::generate().unwrap();
    let leaf = pki.certify(&key, |params: &mut CertificateParams| {
        params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.serial_number = Some(SerialNumber::from(0x2a));
        params.custom_extensions.push(responder.extension());
    });
    folder.write("localhost.crt", &format!("{leaf}{}", pki.root_pem()));
    folder.write("localhost.key", &key.serialize_pem());
}

#[test]
fn a_proof_is_fetched_verified_and_stapled_also_to_a_certificate_that_came_later() {
    let (server, pki, responder) = start(Mood::Good);
    server.wait_for("stapled");
    let first = stapled(&server, &pki);
    assert!(!first.is_empty());
    assert_eq!(responder.asked(), 1);
    certify(&server.folder, &pki, &responder);
    server.wait_for("refreshed");
    server.wait_for("stapled");
    let second = stapled(&server, &pki);
    assert!(!second.is_empty() && second != first);
}

#[test]
fn what_proves_nothing_is_not_stapled_and_is_told() {
    for (mood, event) in [
        (Mood::Revoked, "certificate_revoked"),
        (Mood::Unknown, "stapling_failed"),
        (Mood::Expired, "stapling_failed"),
        (Mood::WrongSigner, "stapling_failed"),
        (Mood::Nonsense, "stapling_failed"),
        (Mood::Dead, "stapling_failed"),
    ] {
        let (server, pki, _responder) = start(mood);
        let told = server.wait_for(event);
        assert_eq!(told["profile"], "tls.main", "{mood:?}");
        assert!(stapled(&server, &pki).is_empty(), "{mood:?}");
    }
}

#[test]
fn a_responder_that_never_answers_holds_up_nobody_not_even_the_end() {
    let (mut server, pki, responder) = start(Mood::Slow);
    while responder.asked() == 0 {
        std::thread::yield_now();
    }
    assert!(stapled(&server, &pki).is_empty());
    let asked = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
