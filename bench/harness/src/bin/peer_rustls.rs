//! `peer_rustls`: handshake, one request counted by its bytes, a fixed answer: the floor of TLS handshakes.
//! Never: HTTP; what a server spends on it must not hide in the floor.
//! Next: `mcpring_bench::handshakes`, what is asked of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use mcpring_bench::{echo, tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bare rustls server; runs where it is started, so pin the process.
#[derive(Parser)]
struct Arguments {
    /// Address to listen on.
    #[arg(long)]
    tls: SocketAddr,
    /// Certificate chain, PEM.
    #[arg(long)]
    cert: PathBuf,
    /// Private key, PEM.
    #[arg(long)]
    key: PathBuf,
    /// Authorities of clients, PEM: each then needs a certificate.
    #[arg(long)]
    clients: Option<PathBuf>,
    /// Bytes of one request.
    #[arg(long)]
    request_bytes: usize,
    /// File with the whole answer, head and body.
    #[arg(long)]
    answer: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let acceptor =
        TlsAcceptor::from(tls::server_config(&arguments.cert, &arguments.key, arguments.clients.as_deref())?);
    let answer: Arc<[u8]> = std::fs::read(&arguments.answer)?.into();
    let listener = echo::listen(arguments.tls)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        tokio::spawn(async move {
            // A connection that breaks is the client's affair; the load client counts it.
            let _ended = converse(socket, acceptor, arguments.request_bytes, &answer).await.ok();
        });
    }
}

async fn converse(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    request_bytes: usize,
    answer: &[u8],
) -> Result<()> {
    let mut stream = acceptor.accept(socket).await?;
    let mut request = vec![0; request_bytes];
    loop {
        stream.read_exact(&mut request).await?;
        stream.write_all(answer).await?;
        stream.flush().await?;
    }
}
