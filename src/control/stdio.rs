//! `mcpring stdio`: one client on descriptors of this process. They are joined to a socket pair by two plain threads, and
//! a shard serves the other end like any connection: the whole path, and no second one.
//! Never: a listening socket, a log line where answers go, a descriptor that a child would inherit.
//! Next: `process::serve`, which runs it like any other server.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use tokio::sync::oneshot;

use super::config::Finding;
use super::config::checked::{Config, HeaderPreset, Listener, ListenerSecurity, Pin, Stdio};
use super::files::reason;
use super::inherited::duplicate;
use super::problem::{Exit, Problem};
use super::publish::role_bits;
use crate::pipeline::authenticate::Principal;
use crate::pipeline::snapshot::{Admission, Speech};
use crate::shard::address::Address;
use crate::shard::listen::Options;

/// What is written at once: a client that takes less than this within `send_timeout` has stopped reading. Bytes.
const WRITE_BYTES_MAX: usize = 16 << 10;
/// How often a write that waits is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// A client that is silent is still there: its end closes the stream.
const IDLE_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// One connection needs no more. Entries.
const RING_ENTRIES_MAX: u32 = 256;

/// The configuration of a server that was started without one: everything built in, for whoever started it.
pub const BUILT_IN: &str = r#"
[listeners.stdio]
kind = "stdio"
roles = ["local"]

[roles.local]
allow = ["**"]

[native]
enable = ["echo", "time", "countdown"]
"#;

/// The same for a program with tools of its own.
pub fn built_in_without_tools() -> String {
    BUILT_IN.split("[native]").next().unwrap_or(BUILT_IN).to_owned()
}

/// Leaves of a configuration what one client on the standard streams needs.
pub fn keep_client(config: &mut Config) -> Result<(), Finding> {
    let Some(stdio) = &config.stdio else {
        return Err(Finding {
            code: "E0218",
            setting: "listeners".to_owned(),
            message: "`mcpring stdio` needs a listener of kind \"stdio\"".to_owned(),
            notes: vec!["it says who the client is and what that may do".to_owned()],
            help: vec!["add [listeners.stdio] with kind = \"stdio\" and roles = [\"agent\"]".to_owned()],
        });
    };
    config.listeners = vec![listener(stdio)];
    config.tls.clear();
    config.api_key = None;
    config.runtime.cpus.truncate(1);
    // Every client starts a server of its own; tied to one CPU they would all be on the same.
    config.runtime.pin = Pin::Floating;
    config.runtime.ring_entries = config.runtime.ring_entries.min(RING_ENTRIES_MAX);
    config.limits.idle_timeout = IDLE_TIMEOUT;
    Ok(())
}

/// What `mcpring run` says of a configuration without anything to accept on.
pub fn refuse_alone(config: &Config) -> Result<(), Finding> {
    if !config.listeners.is_empty() {
        return Ok(());
    }
    Err(Finding {
        code: "E0219",
        setting: "listeners".to_owned(),
        message: "the only listener is of kind \"stdio\", which `mcpring run` does not serve".to_owned(),
        notes: Vec::new(),
        help: vec!["start `mcpring stdio`, or add a listener with an address".to_owned()],
    })
}

fn listener(stdio: &Stdio) -> Listener {
    let principal = Principal::resident(&stdio.principal, role_bits(&stdio.roles));
    Listener {
        name: stdio.name.clone(),
        address: Address::Streams,
        socket: Options { backlog: 1, keepalive: Duration::ZERO, mode: 0 },
        security: ListenerSecurity::Plain,
        speech: Speech::Lines,
        limits: stdio.limits.clone(),
        path: String::new(),
        hostnames: Vec::new(),
        origins: Vec::new(),
        admission: Admission::Resident(principal),
        methods: Vec::new(),
        headers: HeaderPreset::None,
        resource: None,
    }
}

/// How the client left.
#[derive(Debug)]
pub enum Ended {
    /// It has all its answers, and the server's end of the pair is closed.
    Answered,
    /// It took nothing for so long.
    Stuck,
    /// Its answers can not be written.
    Broken(io::Error),
}

/// What the threads and the control plane tell each other.
#[derive(Debug)]
struct State {
    began: Instant,
    /// When the write that is under way began, milliseconds and one since `began`; 0 when none is.
    writing_since: AtomicU64,
    has_input_ended: AtomicBool,
    is_flushed: AtomicBool,
}

impl State {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The joined streams.
#[derive(Debug)]
pub struct Client {
    state: Arc<State>,
    ended: oneshot::Receiver<Ended>,
    pair: UnixStream,
    send_timeout: Duration,
}

impl Client {
    /// Joins the descriptors to a pair, whose other end is for a shard. From here on whatever this program prints goes to
    /// the log's descriptor.
    pub fn join(stdio: &Stdio) -> Result<(Self, UnixStream), Problem> {
        let input = open(stdio.input_fd, Direction::Input)?;
        let output = open(stdio.output_fd, Direction::Output)?;
        if stdio.input_fd == stdio.output_fd {
            carries_both(stdio.input_fd, &input)?;
        }
        let error = open(stdio.error_fd, Direction::Output)?;
        move_standard(&error).map_err(|error| {
            unavailable(format!("cannot move the standard streams: {}", reason(&error.into())))
        })?;
        Self::start(input.into(), output.into(), stdio.buffer_bytes, stdio.limits.send_timeout)
            .map_err(|error| unavailable(format!("cannot join the standard streams: {}", reason(&error))))
    }

    fn start(
        input: File,
        output: File,
        buffer_bytes: usize,
        send_timeout: Duration,
    ) -> io::Result<(Self, UnixStream)> {
        let (pair, server) = UnixStream::pair()?;
        let state = Arc::new(State {
            began: Instant::now(),
            writing_since: AtomicU64::new(0),
            has_input_ended: AtomicBool::new(false),
            is_flushed: AtomicBool::new(false),
        });
        let (sender, ended) = oneshot::channel();
        let (inward, shared) = (pair.try_clone()?, Arc::clone(&state));
        thread::Builder::new()
            .name("stdio-in".to_owned())
            .spawn(move || carry_in(input, &inward, &shared, buffer_bytes))?;
        let (outward, shared) = (pair.try_clone()?, Arc::clone(&state));
        thread::Builder::new().name("stdio-out".to_owned()).spawn(move || {
            let outcome = carry_out(&outward, output, &shared, buffer_bytes);
            shared.is_flushed.store(true, Ordering::Release);
            // Nobody waits any more when a signal has ended the server.
            let _ = sender.send(match outcome {
                Ok(()) => Ended::Answered,
                Err(error) => Ended::Broken(error),
            });
        })?;
        Ok((Self { state, ended, pair, send_timeout }, server))
    }

    /// Waits until the client has left, one way or another.
    pub async fn ended(&mut self) -> Ended {
        let mut watch = tokio::time::interval(WATCH_INTERVAL);
        loop {
            tokio::select! {
                ended = &mut self.ended => return ended.unwrap_or(Ended::Answered),
                _ = watch.tick() => {
                    let since = self.state.writing_since.load(Ordering::Relaxed);
                    let waited = self.state.now_ms().saturating_sub(since.saturating_sub(1));
                    if since > 0 && u128::from(waited) > self.send_timeout.as_millis() {
                        // The shard need not wait for what will never be read.
                        let _ = self.pair.shutdown(Shutdown::Both);
                        return Ended::Stuck;
                    }
                }
            }
        }
    }

    /// Whether the client closed its end first.
    pub fn has_input_ended(&self) -> bool {
        self.state.has_input_ended.load(Ordering::Acquire)
    }

    /// Whether everything that was answered is written.
    pub fn is_flushed(&self) -> bool {
        self.state.is_flushed.load(Ordering::Acquire)
    }
}

fn unavailable(what: String) -> Problem {
    Problem::error("E0422", what).exit(Exit::Unavailable)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Input,
    Output,
}

/// A duplicate of a descriptor that is open the right way round.
fn open(number: u32, direction: Direction) -> Result<OwnedFd, Problem> {
    let (word, verb) = match direction {
        Direction::Input => ("input_fd", "read"),
        Direction::Output => ("output_fd or error_fd", "write"),
    };
    let refused = |why: &str| {
        Problem::error("E0420", format!("cannot {verb} descriptor {number}: {why}"))
            .help(format!("start it with the descriptor open, or change {word} of the listener"))
            .exit(Exit::Unavailable)
    };
    let descriptor = duplicate(number).map_err(|error| refused(&reason(&error)))?;
    let flags = rustix::fs::fcntl_getfl(&descriptor).map_err(|error| refused(&reason(&error.into())))?;
    let mode = flags & OFlags::RWMODE;
    let is_open = match direction {
        Direction::Input => mode != OFlags::WRONLY,
        Direction::Output => mode != OFlags::RDONLY,
    };
    if is_open { Ok(descriptor) } else { Err(refused(&format!("it is not open to {verb}"))) }
}

/// One descriptor in both directions: a socket or a terminal, since a pipe would bring back what was written to it.
fn carries_both(number: u32, descriptor: &OwnedFd) -> Result<(), Problem> {
    let kind = descriptor.try_clone().and_then(|descriptor| File::from(descriptor).metadata());
    let kind = kind.map(|facts| facts.file_type());
    if kind.is_ok_and(|kind| kind.is_socket() || kind.is_char_device()) {
        return Ok(());
    }
    Err(Problem::error("E0421", format!("descriptor {number} can not be input_fd and output_fd"))
        .note("it is neither a socket nor a terminal, so answers would be read as requests")
        .help("write another output_fd"))
}

/// Nothing that this program prints, or a tool in it, can be taken for an answer, and no tool reads a request.
fn move_standard(error: &OwnedFd) -> rustix::io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(null)?;
    rustix::stdio::dup2_stdout(error)?;
    rustix::stdio::dup2_stderr(error)
}

/// From the client to the shard, until one of them ends it.
fn carry_in(mut input: File, mut pair: &UnixStream, state: &State, buffer_bytes: usize) {
    let mut buffer = vec![0; buffer_bytes];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => {
                if pair.write_all(buffer.get(..bytes).unwrap_or_default()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(&input, PollFlags::IN),
            // Also the EIO of a terminal whose other side is gone.
            Err(_) => break,
        }
    }
    state.has_input_ended.store(true, Ordering::Release);
    // The shard may have closed first.
    let _ = pair.shutdown(Shutdown::Write);
}

/// From the shard to the client, until the shard has closed.
fn carry_out(mut pair: &UnixStream, mut output: File, state: &State, buffer_bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let bytes = match pair.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(()),
        };
        for part in buffer.get(..bytes).unwrap_or_default().chunks(WRITE_BYTES_MAX) {
            state.writing_since.store(state.now_ms() + 1, Ordering::Relaxed);
            let outcome = write(&mut output, part);
            state.writing_since.store(0, Ordering::Relaxed);
            if outcome.is_err() {
                let _ = pair.shutdown(Shutdown::Both);
                return outcome;
            }
        }
    }
}

/// Writes all of `part`, also to a descriptor that whoever opened it made non-blocking.
fn write(output: &mut File, mut part: &[u8]) -> io::Result<()> {
    while !part.is_empty() {
        match output.write(part) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => part = part.get(bytes..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(&*output, PollFlags::OUT),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for(descriptor: &impl AsFd, flags: PollFlags) {
    // A failed wait is a short one: the next read or write says what is wrong.
    let _ = poll(&mut [PollFd::new(descriptor, flags)], None);
}

#[cfg(test)]
mod tests {
    use super::super::config::{Source, load_for_streams};
    use super::*;

    fn files() -> ((File, File), (File, File)) {
        let pipe = || {
            let (read, write) = io::pipe().unwrap();
            (File::from(OwnedFd::from(read)), File::from(OwnedFd::from(write)))
        };
        (pipe(), pipe())
    }

    fn wait(client: &mut Client) -> Ended {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.ended())
    }

    #[test]
    fn what_comes_in_goes_out_to_the_last_byte() {
        let ((input, mut to), (mut from, output)) = files();
        let (mut client, mut server) = Client::start(input, output, 7, Duration::from_secs(60)).unwrap();
        let echo = thread::spawn(move || {
            let mut bytes = Vec::new();
            server.read_to_end(&mut bytes).unwrap();
            server.write_all(&bytes).unwrap();
        });
        let sent: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        let expect = sent.clone();
        let feed = thread::spawn(move || to.write_all(&sent).unwrap());
        let read = thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            bytes
        });
        assert!(matches!(wait(&mut client), Ended::Answered));
        assert!(client.has_input_ended() && client.is_flushed());
        [echo, feed].into_iter().for_each(|thread| thread.join().unwrap());
        assert!(read.join().unwrap() == expect);
    }

    #[test]
    fn a_reader_that_stops_is_noticed_and_one_that_is_gone_too() {
        let ((input, _to), (from, output)) = files();
        let (mut client, mut server) = Client::start(input, output, 4096, Duration::from_millis(20)).unwrap();
        let flood = thread::spawn(move || while server.write_all(&[b'x'; 4096]).is_ok() {});
        assert!(matches!(wait(&mut client), Ended::Stuck));
        flood.join().unwrap();
        drop(from);
        let ((input, _to), (from, output)) = files();
        let (mut client, mut server) = Client::start(input, output, 4096, Duration::from_secs(60)).unwrap();
        drop(from);
        server.write_all(b"x").unwrap();
        assert!(
            matches!(wait(&mut client), Ended::Broken(error) if error.kind() == io::ErrorKind::BrokenPipe)
        );
        assert!(!client.has_input_ended());
    }

    #[test]
    fn the_configuration_without_a_file_serves_one_client_everything() {
        let source = Source::Text { name: "built in".to_owned(), text: BUILT_IN.to_owned() };
        let mut loaded = load_for_streams(&source, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        keep_client(&mut loaded.config).unwrap();
        let listener = loaded.config.listeners.first().unwrap();
        let Admission::Resident(principal) = &listener.admission else { panic!("{listener:?}") };
        assert_eq!((&*principal.id, principal.roles, loaded.config.runtime.cpus.len()), ("local", 1, 1));
        loaded.config.stdio = None;
        assert_eq!(keep_client(&mut loaded.config).unwrap_err().code, "E0218");
        loaded.config.listeners.clear();
        assert_eq!(refuse_alone(&loaded.config).unwrap_err().code, "E0219");
    }

    #[test]
    fn one_descriptor_for_both_directions_must_be_a_socket_or_a_terminal() {
        let (socket, _other) = UnixStream::pair().unwrap();
        assert!(carries_both(0, &socket.into()).is_ok());
        let ((read, _), _) = files();
        assert_eq!(carries_both(0, &read.into()).unwrap_err().code, "E0421");
        assert_eq!(carries_both(0, &File::open("/dev/zero").unwrap().into()).map_err(|_| ()), Ok(()));
        assert_eq!(open(1_000_000, Direction::Input).unwrap_err().code, "E0420");
    }
}
