//! One end of a connection: TCP, TLS, a Unix socket or two pipes. It can be ended by halves, or torn.
//! Never: a wait without an end.
//! Next: `client`, which reads and writes messages on it.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConnection, StreamOwned};
use socket2::SockRef;

use crate::server::PATIENCE;

pub(crate) enum Wire {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
    Pipes {
        /// Nothing once it is closed.
        to: Option<ChildStdin>,
        from: ChildStdout,
    },
}

impl Wire {
    /// Sends nothing more, and may read on.
    pub(crate) fn end_half(&mut self) {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Self::Tls(stream) => {
                // RFC 8446 6.1: each half ends with its own close_notify.
                stream.conn.send_close_notify();
                stream.flush().unwrap();
                stream.sock.shutdown(Shutdown::Write).unwrap();
            }
            Self::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Self::Pipes { to, .. } => drop(to.take()),
        }
    }

    /// Is gone without a word, as a process that was killed; over TCP with a reset.
    pub(crate) fn tear(self) {
        match &self {
            Self::Tcp(stream) => reset(stream),
            Self::Tls(stream) => reset(&stream.sock),
            Self::Unix(_) | Self::Pipes { .. } => {}
        }
    }
}

fn reset(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            Self::Pipes { from, .. } => {
                let patience = Timespec::try_from(PATIENCE).map_err(Error::other)?;
                if poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&patience))? == 0 {
                    return Err(ErrorKind::TimedOut.into());
                }
                from.read(buffer)
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Pipes { to, .. } => to.as_mut().ok_or(ErrorKind::BrokenPipe)?.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
            Self::Pipes { to, .. } => to.as_mut().ok_or(ErrorKind::BrokenPipe)?.flush(),
        }
    }
}
