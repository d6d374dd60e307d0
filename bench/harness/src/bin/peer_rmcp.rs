//! `peer_rmcp`: the official Rust SDK's Streamable HTTP server with an echo tool, at its best settings:
//! stateless, JSON answers, mimalloc, hyper without a router, one thread, TCP_NODELAY, plain and TLS.
//! Never: authentication or limits; the peer does less than the server it is compared with.
//! Next: `mcpring_bench::peer`, which starts it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use mcpring_bench::{echo, tls};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The rmcp peer; runs where it is started, so pin the process.
#[derive(Parser)]
struct Arguments {
    /// Address for HTTP.
    #[arg(long)]
    plain: SocketAddr,
    /// Address for HTTPS.
    #[arg(long)]
    tls: SocketAddr,
    /// Certificate chain, PEM.
    #[arg(long)]
    cert: PathBuf,
    /// Private key, PEM.
    #[arg(long)]
    key: PathBuf,
}

/// Arguments of the echo tool.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Message {
    /// What to say back.
    message: String,
}

#[derive(Clone)]
struct EchoServer {
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl EchoServer {
    #[tool(description = "Says back what it is told")]
    async fn echo(&self, Parameters(Message { message }): Parameters<Message>) -> String {
        message
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for EchoServer {}

type Service = StreamableHttpService<EchoServer, NeverSessionManager>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let server = EchoServer { tool_router: EchoServer::tool_router() };
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let acceptor = TlsAcceptor::from(tls::server_config(&arguments.cert, &arguments.key, None)?);
    let plain = accept_from(listen(arguments.plain)?, service.clone(), None);
    let secured = accept_from(listen(arguments.tls)?, service, Some(acceptor));
    tokio::try_join!(plain, secured)?;
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = echo::listen(address)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

async fn accept_from(listener: TcpListener, service: Service, acceptor: Option<TlsAcceptor>) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(converse(socket, service.clone(), acceptor.clone()));
    }
}

async fn converse(socket: TcpStream, service: Service, acceptor: Option<TlsAcceptor>) {
    let service = TowerToHyperService::new(service);
    // A connection that breaks is the client's affair; the load client counts it.
    let _ended = match acceptor {
        None => http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.ok(),
        Some(acceptor) => match acceptor.accept(socket).await {
            Ok(stream) => http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok(),
            Err(_) => None,
        },
    };
}
