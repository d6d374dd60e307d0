//! Descriptors that whoever started this process left open for it: the standard streams of `mcpring stdio`, wherever
//! they are, and the sockets that systemd passes.
//! A home of unsafe code: such a descriptor is known by its number alone.
//! Never: a descriptor taken away; what is handed out is a duplicate.
//! Next: `start` for sockets, `stdio` for streams.
#![expect(
    unsafe_code,
    reason = "a descriptor that was inherited has no owner in this program, only a number"
)]

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};

/// The first descriptor that systemd passes (sd_listen_fds(3)).
const PASSED_FIRST: u32 = 3;
/// No unit passes more; a larger number is not systemd's.
const PASSED_MAX: u32 = 256;

/// A duplicate of an open descriptor, close-on-exec.
///
/// # Errors
/// EBADF when it is not open.
pub fn duplicate(number: u32) -> io::Result<OwnedFd> {
    let descriptor = RawFd::try_from(number).map_err(|_| io::Error::from(rustix::io::Errno::BADF))?;
    // SAFETY: the number is not -1. Whether it is open is what the call finds out, and it changes nothing about it; the
    // borrow ends with the call.
    let inherited = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(fcntl_dupfd_cloexec(inherited, RawFd::try_from(PASSED_FIRST).unwrap_or(RawFd::MAX))?)
}

/// Marks every open descriptor beyond the standard ones close-on-exec, whoever opened it.
pub fn close_on_exec() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
        if number <= 2 {
            continue;
        }
        // SAFETY: the kernel has just listed the number as open. Should its owner close it meanwhile the calls fail with
        // EBADF, or mark a descriptor of this process that should be marked anyway; the borrow ends with the calls.
        let inherited = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(inherited)
            && !flags.contains(FdFlags::CLOEXEC)
        {
            fcntl_setfd(inherited, flags | FdFlags::CLOEXEC)?;
        }
    }
    Ok(())
}

/// The sockets that systemd has passed, each with its name. They stay for the life of the process, so that a reload can
/// take them again. And the one client of `mcpring stdio`.
#[derive(Debug, Default)]
pub struct Passed {
    sockets: Vec<(String, OwnedFd)>,
    client: RefCell<Option<UnixStream>>,
}

impl Passed {
    /// Those of this process: `LISTEN_PID` must name it.
    pub fn take() -> Self {
        Self::take_with(&|name| std::env::var(name).ok(), std::process::id(), &duplicate)
    }

    fn take_with(
        variable: &dyn Fn(&str) -> Option<String>,
        pid: u32,
        duplicate: &dyn Fn(u32) -> io::Result<OwnedFd>,
    ) -> Self {
        let number = |name| variable(name).and_then(|text| text.parse::<u32>().ok());
        if number("LISTEN_PID") != Some(pid) {
            return Self::default();
        }
        let count = number("LISTEN_FDS").unwrap_or(0).min(PASSED_MAX);
        let names = variable("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').filter(|name| !name.is_empty());
        let passed = (PASSED_FIRST..PASSED_FIRST + count).filter_map(|number| {
            // As sd_listen_fds_with_names(3) calls those without a name.
            let name = names.next().unwrap_or("unknown");
            Some((name.to_owned(), duplicate(number).ok()?))
        });
        Self { sockets: passed.collect(), client: RefCell::default() }
    }

    /// The client that the standard streams are joined to.
    pub fn with_client(client: UnixStream) -> Self {
        Self { sockets: Vec::new(), client: RefCell::new(Some(client)) }
    }

    /// Gives the client away.
    pub fn take_client(&self) -> Option<UnixStream> {
        self.client.take()
    }

    /// Every socket of this name: a unit with several addresses passes several.
    pub fn find<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OwnedFd> {
        self.sockets.iter().filter(move |(other, _)| other == name).map(|(_, socket)| socket)
    }

    /// What was passed, in its order.
    pub fn names(&self) -> Vec<&str> {
        self.sockets.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn takes_what_is_meant_for_this_process_under_its_name() {
        let null = || Ok(fs::File::open("/dev/null").unwrap().into());
        let take = |set: &[(&str, &str)]| {
            let variable = |name: &str| {
                set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            };
            let passed = Passed::take_with(&variable, 42, &|_| null());
            passed.names().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let (pid, two) = (("LISTEN_PID", "42"), ("LISTEN_FDS", "2"));
        assert_eq!(take(&[pid, two, ("LISTEN_FDNAMES", "https:tcp")]), ["https", "tcp"]);
        assert_eq!(take(&[pid, two, ("LISTEN_FDNAMES", "https")]), ["https", "unknown"]);
        assert_eq!(take(&[pid, two]), ["unknown", "unknown"]);
        assert_eq!(take(&[("LISTEN_PID", "41"), two]), [""; 0]);
        assert_eq!(take(&[two]), [""; 0]);
        assert_eq!(take(&[pid, ("LISTEN_FDS", "-1")]), [""; 0]);
        assert_eq!(take(&[pid, ("LISTEN_FDS", "4294967295")]).len(), 256);
    }

    #[test]
    fn duplicates_what_is_open_and_refuses_what_is_not() {
        let file = fs::File::open("/dev/null").unwrap();
        let again = duplicate(u32::try_from(file.as_raw_fd()).unwrap()).unwrap();
        assert!(fcntl_getfd(&again).unwrap().contains(FdFlags::CLOEXEC));
        assert_ne!(again.as_raw_fd(), file.as_raw_fd());
        for number in [1_000_000, u32::MAX] {
            assert!(duplicate(number).is_err());
        }
    }

    #[test]
    fn marks_what_was_not_marked() {
        let file = fs::File::open("/dev/null").unwrap();
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        close_on_exec().unwrap();
        assert!(fcntl_getfd(&file).unwrap().contains(FdFlags::CLOEXEC));
    }
}
