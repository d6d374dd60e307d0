//! How the server is reached: by the scheme of MCPRING_URL over Streamable HTTP, TCP or TCP with TLS, or on the standard
//! streams of MCPRING_COMMAND.
//! Never: a check of what is said.
//! Next: `main`, which checks.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rmcp::model::ServerJsonRpcMessage;
use rmcp::service::{RunningService, TxJsonRpcMessage};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess, Transport};
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::noting::{Noting, json, made};

pub(crate) type Session = RunningService<RoleClient, Noting>;

pub(crate) async fn reach(noting: Noting, lifecycle: ClientLifecycleMode) -> Result<Session> {
    let url = std::env::var("MCPRING_URL")?;
    let (scheme, place) = url.split_once(':').context("a URL without scheme")?;
    let place = place.trim_start_matches('/');
    Ok(match scheme {
        "https" => noting.serve_with_lifecycle(http(url)?, lifecycle).await?,
        "tcp" => {
            let socket = TcpStream::connect(place).await?;
            noting.serve_with_lifecycle(Introduced::over(socket)?, lifecycle).await?
        }
        "tls" => {
            let host = place.split(':').next().unwrap_or_default().to_owned();
            let socket = TcpStream::connect(place).await?;
            let socket = trusting()?.connect(ServerName::try_from(host)?, socket).await?;
            noting.serve_with_lifecycle(Introduced::over(socket)?, lifecycle).await?
        }
        "stdio" => {
            let words: Vec<String> = serde_json::from_str(&std::env::var("MCPRING_COMMAND")?)?;
            let [program, arguments @ ..] = words.as_slice() else { bail!("an empty command") };
            let mut command = Command::new(program);
            command.args(arguments);
            noting.serve_with_lifecycle(TokioChildProcess::new(command)?, lifecycle).await?
        }
        other => bail!("no transport has the scheme {other}"),
    })
}

fn http(url: String) -> Result<impl Transport<RoleClient>> {
    let authority = reqwest::Certificate::from_pem(&std::fs::read(std::env::var("MCPRING_CA")?)?)?;
    let http = reqwest::Client::builder().tls_certs_only([authority]).build()?;
    let config =
        StreamableHttpClientTransportConfig::with_uri(url).auth_header(std::env::var("MCPRING_TOKEN")?);
    Ok(StreamableHttpClientTransport::with_client(http, config))
}

fn trusting() -> Result<TlsConnector> {
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(std::env::var("MCPRING_CA")?)?)?;
    let config = ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection without headers, on which the first request carries the credential.
struct Introduced<T> {
    inner: T,
    token: Option<String>,
}

impl Introduced<()> {
    fn over<S: AsyncRead + AsyncWrite + Send + 'static>(socket: S) -> Result<impl Transport<RoleClient>> {
        let (read, write) = tokio::io::split(socket);
        let inner = AsyncRwTransport::<RoleClient, _, _>::new_client(read, write);
        Ok(Introduced { inner, token: Some(std::env::var("MCPRING_TOKEN")?) })
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Introduced<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let token = self.token.take();
        // A message that can not be changed goes out as it is, and is refused.
        let changed = token.and_then(|token| introduced(&message, &token).ok());
        self.inner.send(changed.unwrap_or(message))
    }

    fn receive(&mut self) -> impl Future<Output = Option<ServerJsonRpcMessage>> + Send {
        self.inner.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

fn introduced(message: &TxJsonRpcMessage<RoleClient>, token: &str) -> Result<TxJsonRpcMessage<RoleClient>> {
    let mut message: Value = json(message)?;
    message["params"]["_meta"]["mcpring/authorization"] = json!(format!("Bearer {token}"));
    made(message)
}
