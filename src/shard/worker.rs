//! One shard's thread: its runtime, its accept loops, its mailbox, its wheel.
//! Never: a lock or shared mutable state on the request path; what it shares is read at accept or written for readers.
//! Next: `serve`, one socket's life.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};
use slab::Slab;

use super::accept::{SharedListener, Stopper, accept, accept_shared};
use super::census::{Arrival, Bounds, Census, Refused};
use super::clock::Clock;
use super::driver::{Driver, ring_builder};
use super::fleet::{Settings, Socket as Bound};
use super::jobs::attend;
use super::listen::Listening;
use super::mailbox::{LETTERS_MAX, Letter, Mailbox};
use super::serve::serve;
use super::socket::Socket;
use super::timers::{Bell, Wheel};
use crate::pipeline::event::{Count, Events};
use crate::pipeline::failing::Failing;
use crate::pipeline::hub::parcel::Parcel;
use crate::pipeline::peer::Peer;
use crate::pipeline::snapshot::{Snapshot, millis};
use crate::pipeline::spent::Spent;
use crate::pipeline::turn::{Shared, Turn, Workspace};
use crate::tools::Offload;

/// How long a shard leaves letters alone after a whole mailbox of them. Whoever sends as fast as they are read would
/// otherwise keep connections and deadlines waiting.
const LETTERS_PAUSE: Duration = Duration::from_millis(1);

/// How often a shard looks for what has waited too long.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// What a shard starts with.
pub(super) struct Start {
    pub(super) index: u16,
    pub(super) settings: Settings,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) sockets: Vec<Bound>,
    pub(super) census: Arc<Census>,
    /// Of all shards, this one's included.
    pub(super) mailboxes: Arc<[Mailbox]>,
    pub(super) events: Arc<Events>,
    pub(super) spent: Arc<Spent>,
    pub(super) failing: Arc<Failing>,
    pub(super) offload: Offload,
}

/// Runs a shard until it has drained. Reports once whether it started.
pub(super) fn run(start: Start, ready: &mpsc::Sender<io::Result<()>>) {
    if let Some(cpu) = start.settings.cpu {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
            let _ = ready.send(Err(error.into()));
            return;
        }
    }
    let entries = start.settings.ring_entries;
    match start.settings.driver {
        Driver::IoUring => {
            let builder = RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring_builder());
            run_on(builder.with_entries(entries).enable_timer().build(), start, ready);
        }
        Driver::Epoll => {
            let builder = RuntimeBuilder::<LegacyDriver>::new();
            run_on(builder.with_entries(entries).enable_timer().build(), start, ready);
        }
    }
}

fn run_on<D>(runtime: io::Result<Runtime<TimeDriver<D>>>, start: Start, ready: &mpsc::Sender<io::Result<()>>)
where
    D: monoio::Driver,
    TimeDriver<D>: monoio::Driver,
{
    let mut runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(live(start, ready));
    // Operations may still be in flight, and dropping the runtime would free the memory they write to.
    std::mem::forget(runtime);
}

async fn live(start: Start, ready: &mpsc::Sender<io::Result<()>>) {
    let (shard, sockets) = Shard::new(start);
    let outcome = sockets.into_iter().try_for_each(|socket| shard.listen(socket));
    monoio::spawn(turn_wheel(shard.clone()));
    monoio::spawn(keep_house(shard.clone()));
    let _ = ready.send(outcome);
    let mut rest = pin!(None::<monoio::time::Sleep>);
    poll_fn(|context| {
        if rest.as_mut().as_pin_mut().is_none_or(|rest| rest.poll(context).is_ready()) {
            rest.set(None);
            if shard.read_letters(context).is_ready() {
                rest.set(Some(monoio::time::sleep(LETTERS_PAUSE)));
                if let Some(rest) = rest.as_mut().as_pin_mut() {
                    // Just begun; this has it wake us.
                    let _ = rest.poll(context);
                }
            }
        }
        shard.read_parcels();
        // What was read may have to be answered, and this shard may have no other turn.
        shard.settle();
        if shard.is_draining.get() && shard.connections.borrow().is_empty() {
            return Poll::Ready(());
        }
        *shard.last_leaves.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
    // The workspace itself keeps one.
    for _ in 1..shard.work.borrow().pool.leased() {
        shard.count(Count::ShardLeaked);
    }
}

/// Forgets what has waited too long, and sends what found no room.
async fn keep_house(shard: Rc<Shard>) {
    loop {
        monoio::time::sleep(HOUSEKEEPING).await;
        shard.clock.tick();
        shard.read_parcels();
        let now = shard.clock.now();
        shard.work.borrow_mut().hub.handle_time(now);
        shard.settle();
    }
}

/// Turns the wheel when something is due, and sleeps otherwise.
async fn turn_wheel(shard: Rc<Shard>) {
    let mut sleep = pin!(monoio::time::sleep(Duration::ZERO));
    poll_fn::<(), _>(|context| {
        shard.wheel.listen(context.waker());
        loop {
            let now_ms = shard.clock.tick().ms;
            shard.wheel.handle_time(now_ms);
            let Some(due_ms) = shard.wheel.poll_timeout() else { return Poll::Pending };
            // The coarse clock lags by one tick of the kernel; without the millisecond this would spin until it moves.
            let wait = Duration::from_millis(due_ms.saturating_sub(now_ms).max(1));
            sleep.as_mut().reset((Instant::now() + wait).into());
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// The kernel's generator: what a shard draws is a seed at its start and a nonce a legacy session, and the first use
/// of aws-lc's own costs 20 ms of a process's start.
fn fill_random(mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        match rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty()) {
            Ok(filled) => bytes = bytes.get_mut(filled..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random bytes: {error}"),
        }
    }
}

/// What all tasks of a shard share.
pub(super) struct Shard {
    snapshot: RefCell<Arc<Snapshot>>,
    work: RefCell<Workspace>,
    pub(super) wheel: Wheel,
    pub(super) clock: Clock,
    pub(super) driver: Driver,
    events: Arc<Events>,
    index: u16,
    mailboxes: Arc<[Mailbox]>,
    census: Arc<Census>,
    connections: RefCell<Slab<Rc<Bell>>>,
    /// What stops the accept loop of each listener.
    listening: RefCell<Vec<(usize, Stopper)>>,
    is_draining: Cell<bool>,
    last_leaves: RefCell<Option<Waker>>,
}

impl Shard {
    fn new(start: Start) -> (Rc<Self>, Vec<Bound>) {
        let entropy = Box::new(fill_random);
        let (spent, failing, offload) = (start.spent, start.failing, start.offload);
        let shared = Shared { events: start.events.clone(), spent, failing, offload };
        let mut work = Workspace::new(start.index, start.mailboxes.len(), shared, entropy);
        let clock = Clock::new();
        work.follow(None, &start.snapshot, clock.now());
        let shard = Self {
            snapshot: RefCell::new(start.snapshot),
            work: RefCell::new(work),
            wheel: Wheel::new(clock.now().ms),
            clock,
            driver: start.settings.driver,
            events: start.events,
            index: start.index,
            mailboxes: start.mailboxes,
            census: start.census,
            connections: RefCell::default(),
            listening: RefCell::default(),
            is_draining: Cell::new(false),
            last_leaves: RefCell::default(),
        };
        (Rc::new(shard), start.sockets)
    }

    fn listen(self: &Rc<Self>, bound: Bound) -> io::Result<()> {
        let index = bound.listener;
        let stopper = match bound.socket {
            Listening::Own(socket) => {
                let stopper = Stopper::Handle(socket.try_clone()?);
                let listener = monoio::net::TcpListener::from_std(socket)?;
                monoio::spawn(accept(self.clone(), listener, index));
                stopper
            }
            Listening::Shared(socket) => {
                let bell = Rc::new(Bell::default());
                let listener = SharedListener::new(socket)?;
                monoio::spawn(accept_shared(self.clone(), listener, index, bell.clone()));
                Stopper::Bell(bell)
            }
            Listening::Connected(stream) => {
                let socket = Socket::adopt(stream.into(), self.driver)?;
                self.admit(socket, Peer::Local, index);
                return Ok(());
            }
        };
        self.listening.borrow_mut().push((index, stopper));
        Ok(())
    }

    pub(super) fn is_listening(&self, index: usize) -> bool {
        self.listening.borrow().iter().any(|(listener, _)| *listener == index)
    }

    fn stop_listening(&self, index: usize) {
        self.listening.borrow_mut().retain(|(listener, stopper)| {
            if *listener == index {
                stopper.stop();
            }
            *listener != index
        });
    }

    fn read(self: &Rc<Self>, letter: Letter) {
        match letter {
            Letter::Publish { snapshot, sockets, closed } => {
                let now = self.clock.tick();
                self.work.borrow_mut().follow(Some(&self.snapshot.borrow()), &snapshot, now);
                let old = self.snapshot.replace(snapshot);
                // An idle connection must not stay with a certificate that was taken away.
                if self.snapshot.borrow().judges_unlike(&old) {
                    self.connections.borrow().iter().for_each(|(_, bell)| bell.judge_anew());
                }
                for index in closed {
                    self.stop_listening(index);
                }
                for socket in sockets {
                    if self.listen(socket).is_err() {
                        self.count(Count::ListenFailed);
                    }
                }
            }
            Letter::Change(change) => {
                // What a client took back before it caused the change is known before the change is told.
                self.read_parcels();
                let now = self.clock.tick();
                self.work.borrow_mut().receive(Parcel::Change(change), &self.snapshot.borrow(), now);
            }
            Letter::Drain => {
                self.is_draining.set(true);
                let now = self.clock.tick();
                self.work.borrow_mut().drain(now);
                let indices: Vec<usize> = self.listening.borrow().iter().map(|(index, _)| *index).collect();
                for index in indices {
                    self.stop_listening(index);
                }
                for (_, bell) in &*self.connections.borrow() {
                    bell.drain();
                }
            }
        }
    }

    /// Takes an accepted socket, or closes it when there are too many.
    pub(super) fn admit(self: &Rc<Self>, socket: Socket, peer: Peer, listener: usize) {
        let (process, own) = {
            let snapshot = self.snapshot.borrow();
            let limits = &snapshot.limits;
            let process =
                Bounds { total_max: limits.connections_max, address_max: limits.connections_per_ip_max };
            let own = snapshot.listeners.get(listener).map_or(process, |listener| Bounds {
                total_max: listener.limits.connections_max,
                address_max: listener.limits.connections_per_ip_max,
            });
            (process, own)
        };
        match self.census.admit(arrival(peer, listener), process, own) {
            Ok(()) => {
                self.count(Count::ListenAccepted);
                monoio::spawn(serve(self.clone(), socket, peer, listener));
            }
            Err(Refused::Total) => self.count(Count::ListenRefusedTotal),
            Err(Refused::Address) => self.count(Count::ListenRefusedAddress),
        }
    }

    /// A connection's task begins.
    pub(super) fn enter(&self, bell: Rc<Bell>) -> usize {
        if self.is_draining.get() {
            bell.drain();
        }
        self.connections.borrow_mut().insert(bell)
    }

    /// A connection's task ends.
    pub(super) fn leave(&self, key: usize, peer: Peer, listener: usize) {
        self.connections.borrow_mut().remove(key);
        self.census.release(arrival(peer, listener));
        self.count(Count::ListenClosed);
        if self.is_draining.get()
            && let Some(waker) = &*self.last_leaves.borrow()
        {
            waker.wake_by_ref();
        }
    }

    fn mailbox(&self) -> Option<&Mailbox> {
        self.mailboxes.get(usize::from(self.index))
    }

    /// Reads the letters that have come; ready when it stopped after a whole mailbox of them.
    fn read_letters(self: &Rc<Self>, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..LETTERS_MAX {
            let Some(Poll::Ready(letter)) = self.mailbox().map(|mailbox| mailbox.poll_letter(context)) else {
                return Poll::Pending;
            };
            self.read(letter);
        }
        Poll::Ready(())
    }

    /// Reads what other shards sent. What was sent before an answer left is known before the next request is read; what
    /// comes meanwhile is left for the next turn.
    fn read_parcels(&self) {
        let waiting = self.mailbox().map_or(0, Mailbox::parcels);
        for parcel in (0..waiting).map_while(|_| self.mailbox().and_then(Mailbox::poll_parcel)) {
            let now = self.clock.now();
            self.work.borrow_mut().receive(parcel, &self.snapshot.borrow(), now);
        }
    }

    /// Starts the jobs of a turn, and sends what it has for other shards.
    fn settle(self: &Rc<Self>) {
        if !self.work.borrow().hub.has_output() {
            return;
        }
        let jobs = self.work.borrow_mut().hub.take_jobs();
        for job in jobs {
            monoio::spawn(attend(self.clone(), job));
        }
        let (mut returned, mut full) = (Vec::new(), Vec::new());
        while let Some((shard, parcel)) = self.work.borrow_mut().hub.poll_parcel() {
            let Some(mailbox) = self.mailboxes.get(usize::from(shard)) else { continue };
            // A reader that comes and goes must not seem to go and come: behind one that found no room all wait.
            let sent = if full.contains(&shard) { Err(parcel) } else { mailbox.send_parcel(parcel) };
            if let Err(parcel) = sent {
                returned.push((shard, parcel));
                if !full.contains(&shard) {
                    full.push(shard);
                }
            }
        }
        // Sent again with the next turn or the next housekeeping.
        for (shard, parcel) in returned.into_iter().rev() {
            self.work.borrow_mut().hub.return_parcel(shard, parcel);
        }
    }

    /// Lends a connection what it needs for one wake-up.
    pub(super) fn turn<R>(
        self: &Rc<Self>,
        waker: &Waker,
        outbox: &mut Vec<u8>,
        act: impl FnOnce(&mut Turn<'_>) -> R,
    ) -> R {
        self.read_parcels();
        let done = {
            let snapshot = self.snapshot.borrow();
            let mut work = self.work.borrow_mut();
            let now = self.clock.now();
            work.date.refresh(now.unix_s());
            act(&mut Turn { now, snapshot: &snapshot, work: &mut work, waker, outbox })
        };
        self.settle();
        done
    }

    /// A turn whose panic ends its connection alone: it is counted, and what it left in the workspace is forgotten.
    pub(super) fn attempt<R>(
        self: &Rc<Self>,
        waker: &Waker,
        outbox: &mut Vec<u8>,
        act: impl FnOnce(&mut Turn<'_>) -> R,
    ) -> Option<R> {
        let done = catch_unwind(AssertUnwindSafe(|| self.turn(waker, outbox, act)));
        if done.is_err() {
            self.count(Count::ShardPanicked);
            self.work.borrow_mut().clear();
        }
        done.ok()
    }

    /// How long one write to a connection of this listener may wait.
    pub(super) fn send_timeout_ms(&self, listener: usize) -> u64 {
        let snapshot = self.snapshot.borrow();
        let own = snapshot.listeners.get(listener).map(|listener| listener.limits.send_timeout);
        millis(own.unwrap_or(snapshot.limits.send_timeout))
    }

    pub(super) fn lease(&self) -> Vec<u8> {
        self.work.borrow_mut().pool.lease()
    }

    pub(super) fn release(&self, buffer: Vec<u8>) {
        self.work.borrow_mut().pool.release(buffer);
    }

    pub(super) fn count(&self, count: Count) {
        self.events.count(count);
    }
}

fn arrival(peer: Peer, listener: usize) -> Arrival {
    let address = match peer {
        Peer::Network(address) => Some(address.ip()),
        Peer::Local => None,
    };
    Arrival { listener, address }
}
