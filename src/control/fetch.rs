//! What the control plane fetches from elsewhere: key sets, revocation lists, answers about certificates.
//! Every call blocks its thread and is bounded in time and size, so callers run it away from the control thread.
//! Never: a redirect followed (what was configured is what is asked), a cookie, a credential.
//! Next: whoever wants something; each checks what it gets.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

use super::files::load_public;
use super::problem::Problem;

/// From the first byte out to the last byte in.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of one answer. Revocation lists are the largest things fetched. Bytes.
pub const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest time an answer is taken to be good for by its own word.
const MAX_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// One HTTP client with its own idea of whom to trust.
#[derive(Clone)]
pub struct Fetcher {
    agent: Agent,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetched {
    /// None when the server says that what is known is still right (304).
    pub body: Option<Vec<u8>>,
    /// For the next question.
    pub etag: Option<String>,
    /// How long the server says it may be kept.
    pub max_age: Option<Duration>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, or none in HTTP.
    #[error("{0}")]
    Failed(String),
    /// An answer that is no success.
    #[error("answered {0}")]
    Status(u16),
    /// More than [`ANSWER_BYTES_MAX`].
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

impl Fetcher {
    /// A client that trusts the authorities in `ca_file`, PEM, or without one those of this machine.
    ///
    /// # Errors
    /// When the file can not be read or holds no certificate.
    pub fn build(ca_file: Option<&Path>) -> Result<Self, Problem> {
        let roots = match ca_file {
            Some(path) => read_roots(path)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let roots = roots.iter().map(|der| Certificate::from_der(der).to_owned());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots.collect::<Vec<_>>()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent("mcpring")
            .build();
        Ok(Self { agent: config.into() })
    }

    /// Asks for what is at `url`, or whether it is still what `etag` names.
    ///
    /// # Errors
    /// When there is no answer of status 200 or 304 in time and bounds.
    pub fn get(&self, url: &str, accept: &str, etag: Option<&str>) -> Result<Fetched, FetchError> {
        let mut request = self.agent.get(url).header("accept", accept);
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        read(request.call().map_err(failed)?)
    }

    /// Sends `body` to `url`.
    ///
    /// # Errors
    /// When there is no answer of status 200 in time and bounds.
    pub fn post(
        &self,
        url: &str,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Result<Fetched, FetchError> {
        self.post_within(TIMEOUT, url, content_type, accept, body)
    }

    /// The same in less time, if `timeout` is less.
    ///
    /// # Errors
    /// When there is no answer of status 200 in time and bounds.
    pub fn post_within(
        &self,
        timeout: Duration,
        url: &str,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Result<Fetched, FetchError> {
        let request = self.agent.post(url).config().timeout_global(Some(timeout.min(TIMEOUT))).build();
        let request = request.header("content-type", content_type).header("accept", accept);
        read(request.send(body).map_err(failed)?)
    }
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let pem = load_public(path)?;
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match roots {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        Ok(_) | Err(_) => Err(Problem::error("E0310", format!("{} holds no certificate", path.display()))
            .help("PEM is expected: -----BEGIN CERTIFICATE-----")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn failed(error: ureq::Error) -> FetchError {
    FetchError::Failed(error.to_string())
}

fn read(response: ureq::http::Response<Body>) -> Result<Fetched, FetchError> {
    let (parts, mut body) = response.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let etag = text("etag").map(str::to_owned);
    let max_age = text("cache-control").and_then(max_age);
    match parts.status.as_u16() {
        200 => {
            let mut bytes = Vec::new();
            let mut bounded = body.as_reader().take(ANSWER_BYTES_MAX + 1);
            bounded.read_to_end(&mut bytes).map_err(|error| FetchError::Failed(error.to_string()))?;
            if bytes.len() as u64 > ANSWER_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            Ok(Fetched { body: Some(bytes), etag, max_age })
        }
        304 => Ok(Fetched { body: None, etag, max_age }),
        status => Err(FetchError::Status(status)),
    }
}

/// RFC 9111 5.2: `max-age`, unless the answer must not be kept at all.
fn max_age(value: &str) -> Option<Duration> {
    let mut words = value.split(',').map(|word| word.trim().to_ascii_lowercase());
    if words.clone().any(|word| word == "no-store" || word == "no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds = words.find_map(|word| word.strip_prefix("max-age=")?.parse().ok())?;
    Some(Duration::from_secs(seconds).min(MAX_AGE_MAX))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with `answer`, and returns what was asked.
    fn serve(answer: Vec<u8>) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let served = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut asked = vec![0; 4096];
            let bytes = peer.read(&mut asked).unwrap();
            // A client that has had enough may be gone.
            let _ = peer.write_all(&answer);
            String::from_utf8_lossy(&asked[..bytes]).to_lowercase()
        });
        (url, served)
    }

    fn get(answer: &str, etag: Option<&str>) -> (Result<Fetched, FetchError>, String) {
        let (url, served) = serve(answer.as_bytes().to_vec());
        let fetched = Fetcher::build(None).unwrap().get(&url, "application/json", etag);
        (fetched, served.join().unwrap())
    }

    #[test]
    fn reads_an_answer_and_how_long_it_is_good() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\netag: \"a\"\r\ncache-control: public, max-age=60\r\n\r\n{}";
        let (fetched, asked) = get(answer, None);
        let max_age = Some(Duration::from_secs(60));
        assert_eq!(
            fetched.unwrap(),
            Fetched { body: Some(b"{}".to_vec()), etag: Some("\"a\"".into()), max_age }
        );
        assert!(asked.starts_with("get /keys http/1.1\r\n"), "{asked}");
        assert!(!asked.contains("if-none-match") && !asked.contains("cookie"), "{asked}");
        let (fetched, asked) = get("HTTP/1.1 304 Not Modified\r\n\r\n", Some("\"a\""));
        assert_eq!(fetched.unwrap().body, None);
        assert!(asked.contains("if-none-match: \"a\"\r\n"), "{asked}");
    }

    #[test]
    fn follows_no_redirect_and_takes_no_error_for_an_answer() {
        let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        assert!(matches!(get(moved, None).0, Err(FetchError::Status(302))));
        let broken = "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}";
        assert!(matches!(get(broken, None).0, Err(FetchError::Status(500))));
        assert!(matches!(get("nonsense\r\n\r\n", None).0, Err(FetchError::Failed(_))));
        let unreachable = Fetcher::build(None).unwrap().get("http://127.0.0.1:1/", "*/*", None);
        assert!(matches!(unreachable, Err(FetchError::Failed(_))));
    }

    #[test]
    fn reads_max_age_within_bounds() {
        let table = [
            ("max-age=60", Some(60)),
            ("public, Max-Age=5", Some(5)),
            ("max-age=99999999", Some(24 * 60 * 60)),
            ("no-store, max-age=60", Some(0)),
            ("public", None),
            ("max-age=soon", None),
        ];
        for (value, seconds) in table {
            assert_eq!(max_age(value), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
