//! Files that a configuration names, watched: says when their content is another, however it was replaced. The kernel rings
//! for whatever happens in their folders and in those of the links that lead to them; content decides.
//! Never: a meaning; a file that is held open; a wait that loses its place when it is given up.
//! Next: `upkeep`, which loads what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::files::{Print, print};
use super::problem::Problem;

/// A file and its neighbours are replaced one after another: looked at once they have settled.
const SETTLE: Duration = Duration::from_millis(150);
/// A net under the kernel's bell, which does not ring for network file systems.
const POLL: Duration = Duration::from_secs(30);
/// Links from a path to its file; the kernel's own bound.
const LINKS_MAX: usize = 40;
/// One reading of the bell. Bytes.
const EVENTS_BYTES: usize = 4096;

/// What may make a file another one. Not every single write: a file is looked at when its writer is done.
const REPLACED: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// What is at each path, as it was when it was last looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prints(BTreeMap<PathBuf, Print>);

impl Prints {
    /// Looks at all paths. A folder stands for the files in it.
    pub fn take(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), print(&path))).collect())
    }

    fn again(&self) -> Self {
        Self::take(self.0.keys().cloned())
    }
}

/// A watch over some paths.
pub struct Watch {
    prints: Prints,
    bell: Option<pipe::Receiver>,
    /// The kernel's numbers of the folders it watches.
    folders: BTreeMap<PathBuf, i32>,
    /// When to look: soon after the bell, or by the clock.
    look_at: Instant,
}

impl Watch {
    /// Watches the paths of `prints` from then on: what has changed since they were taken is a change. The problem says
    /// why it has to go by the clock alone.
    pub fn start(prints: Prints) -> (Self, Option<Problem>) {
        // It is no pipe, and read like one.
        let bell = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .and_then(pipe::Receiver::from_owned_fd_unchecked);
        let (bell, problem) = match bell {
            Ok(bell) => (Some(bell), None),
            Err(error) => (None, Some(without_bell(&super::files::reason(&error)))),
        };
        let mut watch = Self { prints, bell, folders: BTreeMap::new(), look_at: Instant::now() };
        let refused = watch.arm();
        (watch, problem.or(refused))
    }

    /// Watches other paths.
    pub fn follow(&mut self, prints: Prints) -> Option<Problem> {
        self.prints = prints;
        self.look_at = Instant::now();
        self.arm()
    }

    /// Has the next look find a change, whatever it sees: what was seen could not be used.
    pub fn forget(&mut self) {
        for print in self.prints.0.values_mut() {
            *print = Print::default();
        }
        self.look_at = Instant::now() + SETTLE;
    }

    /// Waits until something is another. May be given up at any time and asked again.
    pub async fn changed(&mut self) {
        loop {
            if Instant::now() >= self.look_at {
                self.look_at = Instant::now() + POLL;
                // First the folders, then the files: what is replaced in between rings.
                self.arm();
                let now = self.prints.again();
                if now != self.prints {
                    self.prints = now;
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(self.look_at) => {}
                () = rung(self.bell.as_ref()) => {
                    self.look_at = self.look_at.min(Instant::now() + SETTLE);
                }
            }
        }
    }

    /// Has the kernel watch the folders that matter by now.
    fn arm(&mut self) -> Option<Problem> {
        let bell = self.bell.as_ref()?;
        let wanted: BTreeSet<PathBuf> = self.prints.0.keys().flat_map(|path| folders(path)).collect();
        let (mut armed, mut refused) = (BTreeMap::new(), None);
        for folder in wanted {
            // Again for those it has: the path may lead to another folder. The number of the same one stays.
            match inotify::add_watch(bell, &folder, REPLACED | WatchFlags::ONLYDIR) {
                Ok(number) => {
                    armed.insert(folder, number);
                }
                Err(Errno::NOSPC | Errno::NOMEM) => {
                    refused =
                        Some(without_bell("too many folders are watched (fs.inotify.max_user_watches)"));
                }
                // Not there, or not ours to look into. It is seen by the clock, or when the folder above rings.
                Err(_) => {}
            }
        }
        let kept: BTreeSet<i32> = armed.values().copied().collect();
        for number in self.folders.values().filter(|number| !kept.contains(number)) {
            // The folder may be gone, and its number with it.
            let _ = inotify::remove_watch(bell, *number);
        }
        self.folders = armed;
        refused
    }
}

fn without_bell(reason: &str) -> Problem {
    let what = format!("changed files are seen up to {} s late: {reason}", POLL.as_secs());
    Problem::warning("W0315", what).help("SIGHUP loads them at once")
}

/// Waits until the bell has rung, and empties it. For ever where there is none.
async fn rung(bell: Option<&pipe::Receiver>) {
    let Some(bell) = bell else { return std::future::pending().await };
    let mut events = [0; EVENTS_BYTES];
    loop {
        if bell.readable().await.is_err() {
            return std::future::pending().await;
        }
        match bell.try_read(&mut events) {
            Ok(bytes) if bytes > 0 => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => return std::future::pending().await,
        }
    }
}

/// The folders in which something may happen that makes `path` another file: its own, and that of every link on the way.
fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let parts = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
    };
    let (mut rest, mut at, mut links) = (parts(&path), PathBuf::new(), 0);
    let mut found = BTreeSet::new();
    while let Some(part) = rest.pop() {
        if Path::new(&part).components().next() == Some(Component::ParentDir) {
            at.pop();
            continue;
        }
        let folder = at.clone();
        at.push(&part);
        let Ok(target) = fs::read_link(&at) else { continue };
        links += 1;
        if links > LINKS_MAX {
            break;
        }
        found.insert(folder.clone());
        rest.extend(parts(&target));
        at = if target.is_absolute() { PathBuf::new() } else { folder };
    }
    if at.is_dir() {
        found.insert(at.clone());
    }
    found.extend(at.parent().map(Path::to_owned));
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::certs::tests::Scratch;
    use super::*;

    fn watch(paths: &[PathBuf]) -> Watch {
        let (watch, problem) = Watch::start(Prints::take(paths.iter().cloned()));
        assert_eq!(problem, None);
        watch
    }

    /// Whether the bell makes a change seen, long before the clock would.
    async fn is_seen(watch: &mut Watch) -> bool {
        tokio::time::timeout(POLL / 2, watch.changed()).await.is_ok()
    }

    /// Whether a look finds nothing. The bell is not waited for: what is tested is the comparison.
    async fn is_quiet(watch: &mut Watch) -> bool {
        watch.look_at = Instant::now();
        tokio::time::timeout(SETTLE * 2, watch.changed()).await.is_err()
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn sees_a_file_written_replaced_removed_and_made_again() {
        run(async {
            let scratch = Scratch::new();
            let path = scratch.write("a.crt", "one", 0o644);
            let mut watch = watch(std::slice::from_ref(&path));
            assert!(is_quiet(&mut watch).await);
            scratch.write("a.crt", "two", 0o644);
            assert!(is_seen(&mut watch).await);
            // Same content: nothing has changed, whatever rings.
            scratch.write("a.crt", "two", 0o644);
            scratch.write("neighbour", "x", 0o644);
            assert!(is_quiet(&mut watch).await);
            fs::rename(scratch.write("next", "three", 0o644), &path).unwrap();
            assert!(is_seen(&mut watch).await);
            fs::remove_file(&path).unwrap();
            assert!(is_seen(&mut watch).await);
            scratch.write("a.crt", "four", 0o644);
            assert!(is_seen(&mut watch).await);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(is_seen(&mut watch).await);
        });
    }

    /// Kubernetes: `tls.crt -> ..data/tls.crt`, `..data -> ..2026_01`, and `..data` is renamed over.
    #[test]
    fn sees_a_folder_swapped_under_its_links() {
        run(async {
            let scratch = Scratch::new();
            let root = scratch.path();
            for (folder, text) in [("..2026_01", "one"), ("..2026_02", "two")] {
                fs::create_dir(root.join(folder)).unwrap();
                fs::write(root.join(folder).join("tls.crt"), text).unwrap();
            }
            symlink("..2026_01", root.join("..data")).unwrap();
            symlink("..data/tls.crt", root.join("tls.crt")).unwrap();
            let mut watch = watch(&[root.join("tls.crt")]);
            symlink("..2026_02", root.join("..data_tmp")).unwrap();
            fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
            assert!(is_seen(&mut watch).await);
            // The new folder is watched, too.
            fs::write(root.join("..2026_02/tls.crt"), "three").unwrap();
            assert!(is_seen(&mut watch).await);
        });
    }

    /// certbot: `live/a/cert.pem -> ../../archive/a/cert1.pem`, and the link is replaced.
    #[test]
    fn sees_a_link_replaced_and_a_linked_folder_replaced() {
        run(async {
            let scratch = Scratch::new();
            let root = scratch.path();
            for folder in ["live/a", "archive/a", "other/a"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            for (name, text) in
                [("archive/a/cert1.pem", "1"), ("archive/a/cert2.pem", "2"), ("other/a/cert.pem", "3")]
            {
                fs::write(root.join(name), text).unwrap();
            }
            let link = root.join("live/a/cert.pem");
            symlink("../../archive/a/cert1.pem", &link).unwrap();
            symlink("live", root.join("current")).unwrap();
            let mut watch = watch(&[root.join("current/a/cert.pem")]);
            fs::remove_file(&link).unwrap();
            symlink("../../archive/a/cert2.pem", &link).unwrap();
            assert!(is_seen(&mut watch).await);
            fs::remove_file(root.join("current")).unwrap();
            symlink("other", root.join("current")).unwrap();
            assert!(is_seen(&mut watch).await);
        });
    }

    #[test]
    fn sees_a_file_come_into_a_watched_folder() {
        run(async {
            let scratch = Scratch::new();
            let folder = scratch.path().join("crl");
            fs::create_dir(&folder).unwrap();
            let mut watch = watch(std::slice::from_ref(&folder));
            fs::write(folder.join("a.crl"), "1").unwrap();
            assert!(is_seen(&mut watch).await);
            fs::write(folder.join("a.crl"), "2").unwrap();
            assert!(is_seen(&mut watch).await);
        });
    }

    #[test]
    fn sees_what_changed_before_it_began_and_what_could_not_be_used() {
        run(async {
            let scratch = Scratch::new();
            let path = scratch.write("a", "one", 0o644);
            let prints = Prints::take([path]);
            scratch.write("a", "two", 0o644);
            let (mut watch, _) = Watch::start(prints);
            assert!(is_seen(&mut watch).await);
            watch.forget();
            assert!(is_seen(&mut watch).await);
        });
    }

    #[test]
    fn follows_links_in_circles_no_further_than_the_kernel() {
        let scratch = Scratch::new();
        symlink("b", scratch.path().join("a")).unwrap();
        symlink("a", scratch.path().join("b")).unwrap();
        assert!(folders(&scratch.path().join("a")).contains(scratch.path()));
    }
}
