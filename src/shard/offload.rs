//! Threads for work that would block a shard: a bounded number of them, behind a line for each principal.
//! The lines are served in turn, one of their works after another, so nobody waits for all that somebody else wants.
//! Never: all threads or the whole room for one principal while others want some; a wait of the shard's for a thread.
//! Next: `tools/context/offload.rs`, who sends work here.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::tools::Offload;

/// Work that may wait for a thread, for each thread.
const WAITING_PER_THREAD_MAX: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

/// Starts the threads; what is returned gives them work, or says that there is no room. One principal's work runs on up
/// to `threads` of them; one more stands by for everybody else.
///
/// # Errors
/// When the system refuses a thread.
pub(super) fn start(threads: usize) -> io::Result<Offload> {
    let lines =
        Lines { running_max: threads, waiting_max: threads * WAITING_PER_THREAD_MAX, ..Lines::default() };
    let desk = Arc::new(Desk { lines: Mutex::new(lines), bell: Condvar::new() });
    for index in 0..=threads {
        let desk = desk.clone();
        std::thread::Builder::new().name(format!("blocking-{index}")).spawn(move || desk.work())?;
    }
    let door = Door(desk);
    Ok(Arc::new(move |principal, work| door.enter(principal, work)))
}

/// Where work is handed over.
struct Desk {
    /// Held for a look at the lines, never while work runs or is dropped.
    lines: Mutex<Lines>,
    bell: Condvar,
}

/// The shards' side; when it is gone, the threads end once nothing waits.
struct Door(Arc<Desk>);

/// Who wants what.
#[derive(Default)]
struct Lines {
    /// The next one to be served is in front.
    lines: VecDeque<Line>,
    waiting: usize,
    running_max: usize,
    waiting_max: usize,
    is_closed: bool,
}

/// One principal's work. It is there as long as there is some.
struct Line {
    principal: Arc<str>,
    waiting: VecDeque<Work>,
    running: usize,
}

impl Lines {
    /// Takes work in. When there is no room, whoever has most waiting gives way before anybody who has less is refused.
    /// The work that finds no room comes back, to be dropped by the caller.
    fn enter(&mut self, principal: &Arc<str>, work: Work) -> (bool, Option<Work>) {
        let own = self.find(principal).map_or(0, |line| line.waiting.len());
        let mut given_up = None;
        if self.waiting >= self.waiting_max {
            let longest = self.lines.iter_mut().max_by_key(|line| line.waiting.len());
            let Some(longest) = longest.filter(|line| line.waiting.len() > own + 1) else {
                return (false, Some(work));
            };
            given_up = longest.waiting.pop_back();
            self.waiting -= 1;
        }
        match self.find(principal) {
            Some(line) => line.waiting.push_back(work),
            None => self.lines.push_back(Line {
                principal: principal.clone(),
                waiting: VecDeque::from([work]),
                running: 0,
            }),
        }
        self.waiting += 1;
        (true, given_up)
    }

    /// The work whose turn it is.
    fn next(&mut self) -> Option<(Arc<str>, Work)> {
        let is_due = |line: &Line| !line.waiting.is_empty() && line.running < self.running_max;
        let at = self.lines.iter().position(is_due)?;
        let mut line = self.lines.remove(at)?;
        let work = line.waiting.pop_front();
        self.waiting -= usize::from(work.is_some());
        line.running += 1;
        let principal = line.principal.clone();
        self.lines.push_back(line);
        Some((principal, work?))
    }

    /// One work of the principal's has run.
    fn leave(&mut self, principal: &Arc<str>) {
        if let Some(line) = self.find(principal) {
            line.running -= 1;
        }
        self.lines.retain(|line| line.running > 0 || !line.waiting.is_empty());
    }

    fn find(&mut self, principal: &Arc<str>) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.principal == *principal)
    }
}

impl Desk {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread's life.
    fn work(&self) {
        let mut lines = self.lines();
        loop {
            if let Some((principal, work)) = lines.next() {
                drop(lines);
                // Whoever waits for it sees that it is gone.
                let _ = catch_unwind(AssertUnwindSafe(work));
                lines = self.lines();
                lines.leave(&principal);
            } else if lines.is_closed && lines.waiting == 0 {
                // Those who waited for work that only this thread could do need wait no more.
                return self.bell.notify_all();
            } else {
                lines = self.bell.wait(lines).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Door {
    fn enter(&self, principal: &Arc<str>, work: Work) -> bool {
        let (is_taken, refused) = self.0.lines().enter(principal, work);
        self.0.bell.notify_one();
        // Here the lock is free: what is dropped is somebody's code.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(refused)));
        is_taken
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.0.lines().is_closed = true;
        self.0.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    fn lines(running_max: usize, waiting_max: usize) -> Lines {
        Lines { running_max, waiting_max, ..Lines::default() }
    }

    /// Enters one work for each letter; tells which were refused.
    fn enter(lines: &mut Lines, principals: &str) -> String {
        let refused = |principal: &char| !lines.enter(&Arc::from(principal.to_string()), Box::new(|| ())).0;
        principals.chars().filter(refused).collect()
    }

    /// Whose work runs next, until nobody's may.
    fn order(lines: &mut Lines) -> String {
        std::iter::from_fn(|| lines.next()).map(|(principal, _)| principal.to_string()).collect()
    }

    #[test]
    fn lines_are_served_in_turn_and_none_on_all_threads() {
        let mut lines = lines(3, 100);
        assert_eq!(enter(&mut lines, "aaaaaabbc"), "");
        assert_eq!(order(&mut lines), "abcaba");
        lines.leave(&Arc::from("b"));
        assert_eq!(order(&mut lines), "", "the rest is a's, which has three running");
        lines.leave(&Arc::from("a"));
        assert_eq!(order(&mut lines), "a");
        for principal in ["a", "a", "a", "b", "c"] {
            lines.leave(&Arc::from(principal));
        }
        assert_eq!(order(&mut lines), "aa");
        assert_eq!((lines.lines.len(), lines.waiting), (1, 0));
        (0..2).for_each(|_| lines.leave(&Arc::from("a")));
        assert!(lines.lines.is_empty());
    }

    #[test]
    fn whoever_has_most_gives_way_when_there_is_no_room() {
        for (before, entering, refused, left) in [
            ("aaaaaa", "a", "a", "aaaaaa"),
            ("aaaaaa", "b", "", "abaaaa"),
            ("aaaaaa", "bbbb", "b", "ababab"),
            ("aaaabb", "bcc", "", "abcabc"),
            ("abcdef", "gab", "gab", "abcdef"),
        ] {
            let mut lines = lines(6, 6);
            assert_eq!(enter(&mut lines, before), "");
            assert_eq!(enter(&mut lines, entering), refused, "{before} {entering}");
            assert_eq!(order(&mut lines), left, "{before} {entering}");
        }
    }

    /// Work that says that it began, and ends when it is told to.
    fn held(began: &Sender<&'static str>, name: &'static str) -> (Work, Sender<()>) {
        let (free, freed): (Sender<()>, Receiver<()>) = channel();
        let began = began.clone();
        let work = move || {
            let _ = began.send(name);
            let _ = freed.recv();
        };
        (Box::new(work), free)
    }

    #[test]
    fn one_principal_leaves_a_thread_to_the_others_and_all_that_waits_is_done() {
        let offload = start(2).unwrap();
        let (began, seen) = channel();
        let (ada, bob) = (Arc::from("ada"), Arc::from("bob"));
        let mut frees = Vec::new();
        for name in ["1", "2", "3"] {
            let (work, free) = held(&began, name);
            assert!(offload(&ada, work));
            frees.push(free);
        }
        let mut first = [seen.recv().unwrap(), seen.recv().unwrap()];
        first.sort_unstable();
        assert_eq!(first, ["1", "2"]);
        let (work, free) = held(&began, "bob");
        assert!(offload(&bob, work));
        assert_eq!(seen.recv().unwrap(), "bob", "while two of ada's run and a third waits");
        drop(free);
        drop((offload, began));
        drop(frees);
        assert_eq!(seen.recv().unwrap(), "3", "what waited when the server ended is done");
        assert!(seen.recv().is_err());
    }

    #[test]
    fn work_that_panics_costs_no_thread() {
        let offload = start(1).unwrap();
        let (sender, seen) = channel();
        for _ in 0..4 {
            assert!(offload(&Arc::from("ada"), Box::new(|| std::panic::resume_unwind(Box::new(())))));
        }
        assert!(offload(&Arc::from("ada"), Box::new(move || sender.send(7).unwrap())));
        assert_eq!(seen.recv(), Ok(7));
    }
}
