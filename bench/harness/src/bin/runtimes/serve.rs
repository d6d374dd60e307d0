//! The same echo in each runtime, written as its own examples write it: accept, one task a connection, read,
//! write, again.
//! Next: `mcpring_bench::echo`, the bare loops.

use std::net::TcpListener;
use std::rc::Rc;

use anyhow::{Context, Result};
use mcpring_bench::echo::{Echo, REQUEST_BYTES_MAX, ready, ring};

use crate::Runtime;

const RING_ENTRIES: u32 = 4096;

/// Serves `echo` until the process ends.
pub(crate) fn serve(runtime: Runtime, listener: TcpListener, echo: Echo) -> Result<()> {
    match runtime {
        Runtime::Ring => ring::serve(&listener, echo, ring::Receive::Multi),
        Runtime::RingSingle => ring::serve(&listener, echo, ring::Receive::Single),
        Runtime::Epoll => ready::serve(&listener, &echo),
        Runtime::Monoio => {
            let mut tuned = io_uring::IoUring::builder();
            tuned.setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun();
            monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
                .with_entries(RING_ENTRIES)
                .uring_builder(tuned)
                .build()
                .context("io_uring is refused here")?
                .block_on(monoio_accept(listener, echo))
        }
        Runtime::MonoioEpoll => {
            listener.set_nonblocking(true)?;
            monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
                .build()?
                .block_on(monoio_accept(listener, echo))
        }
        // tokio-uring waits for its ring through epoll, which DEFER_TASKRUN would keep asleep: its own builder.
        Runtime::TokioUring => {
            let mut builder = tokio_uring::builder();
            builder.entries(RING_ENTRIES).start(tokio_uring_accept(listener, echo))
        }
        Runtime::Tokio => {
            listener.set_nonblocking(true)?;
            let local = tokio::task::LocalSet::new();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            local.block_on(&runtime, tokio_accept(listener, echo))
        }
    }
}

async fn monoio_accept(listener: TcpListener, echo: Echo) -> Result<()> {
    use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
    let listener = monoio::net::TcpListener::from_std(listener)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let echo = echo.clone();
        monoio::spawn(async move {
            let mut buffer = Vec::with_capacity(REQUEST_BYTES_MAX);
            let mut answer = echo.answer;
            let mut received = 0;
            loop {
                let (read, returned) = stream.read(buffer).await;
                buffer = returned;
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                received += count;
                while received >= echo.request_bytes {
                    received -= echo.request_bytes;
                    let (written, returned) = stream.write_all(answer).await;
                    answer = returned;
                    if written.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

async fn tokio_uring_accept(listener: TcpListener, echo: Echo) -> Result<()> {
    let listener = tokio_uring::net::TcpListener::from_std(listener);
    loop {
        let (stream, _) = listener.accept().await?;
        let echo = echo.clone();
        tokio_uring::spawn(async move {
            let mut buffer = Vec::with_capacity(REQUEST_BYTES_MAX);
            let mut answer = echo.answer;
            let mut received = 0;
            loop {
                let (read, returned) = stream.read(buffer).await;
                buffer = returned;
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                received += count;
                while received >= echo.request_bytes {
                    received -= echo.request_bytes;
                    let (written, returned) = stream.write_all(answer).await;
                    answer = returned;
                    if written.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

async fn tokio_accept(listener: TcpListener, echo: Echo) -> Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let echo = Rc::new(echo);
    loop {
        let (mut stream, _) = listener.accept().await?;
        let echo = Rc::clone(&echo);
        tokio::task::spawn_local(async move {
            let mut buffer = vec![0; REQUEST_BYTES_MAX];
            let mut received = 0;
            loop {
                let Some(count) = stream.read(&mut buffer).await.ok().filter(|count| *count > 0) else {
                    return;
                };
                received += count;
                while received >= echo.request_bytes {
                    received -= echo.request_bytes;
                    if stream.write_all(&echo.answer).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
