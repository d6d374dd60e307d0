//! Several shards without a thread, a socket or a clock: each request comes on a new connection to the next shard in turn.
//! Parcels are carried as shards do: sent when a turn ends, read before the next one begins. A connection is polled only
//! when its waker was called, so a lost wake-up shows.
//! Next: `client`, what is sent; `fleet`, what must hold.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::hub::listen::Change;
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::snapshot::Snapshot;
use mcpring::pipeline::spent::Spent;
use mcpring::pipeline::turn::Turn;
use serde_json::Value;

use crate::fixture::messages::answer;
use crate::fixture::{Answer, Desk};

/// Steps after which nothing may be left to do.
const STEPS_MAX: usize = 100_000;

/// In which order parcels of different senders arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Carry {
    /// As they were sent.
    InOrder,
    /// By chance and late, but each sender's in order, and before the next request is read.
    Shuffled(u64),
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

struct Line {
    shard: usize,
    connection: Option<Connection>,
    woken: Arc<Flag>,
    received: Vec<u8>,
}

/// One event as a client sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<u64>,
    pub(crate) data: Option<String>,
}

impl Event {
    /// Its message, unless it is empty.
    pub(crate) fn message(&self) -> Option<Value> {
        let data = self.data.as_ref().filter(|data| !data.is_empty())?;
        Some(serde_json::from_str(data).expect("an event's data is JSON"))
    }
}

/// The fleet and its peers.
pub(crate) struct Shards {
    pub(crate) desks: Vec<Desk>,
    /// What waits for the first index from the second.
    mail: Vec<Vec<VecDeque<Parcel>>>,
    lines: Vec<Line>,
    next: usize,
    carry: Carry,
    chance: u64,
}

impl Shards {
    pub(crate) fn new(count: usize, carry: Carry, snapshot: &Arc<Snapshot>) -> Self {
        let spent: Arc<Spent> = Arc::default();
        let desk = |shard: usize| {
            // No two shards, and no two fleets of different sizes, draw the same.
            let mut state = (shard + 1 + 1000 * count) as u64;
            state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let entropy = Box::new(move |bytes: &mut [u8]| {
                for byte in bytes {
                    *byte = step(&mut state).to_le_bytes()[3];
                }
            });
            let number = u16::try_from(shard).expect("few shards");
            Desk::of_fleet(snapshot.clone(), number, count, spent.clone(), entropy)
        };
        Self {
            desks: (0..count).map(desk).collect(),
            mail: (0..count).map(|_| (0..count).map(|_| VecDeque::new()).collect()).collect(),
            lines: Vec::new(),
            next: 0,
            carry,
            chance: match carry {
                Carry::InOrder => 1,
                Carry::Shuffled(seed) => seed | 1,
            },
        }
    }

    /// The shard the next request comes to.
    pub(crate) fn turn_to(&mut self, shard: usize) {
        self.next = shard;
    }

    /// Sends a request on a new connection to the next shard, and waits until nothing moves.
    pub(crate) fn open(&mut self, request: &[u8]) -> usize {
        let line = self.connect();
        self.send(line, request);
        line
    }

    /// A new connection to the next shard.
    pub(crate) fn connect(&mut self) -> usize {
        let shard = self.next % self.desks.len();
        self.next += 1;
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let connection = self.desks[shard].connect_to(0, peer);
        let woken = Arc::new(Flag(AtomicBool::new(false)));
        self.lines.push(Line { shard, connection: Some(connection), woken, received: Vec::new() });
        self.lines.len() - 1
    }

    /// Sends bytes, and waits until nothing moves.
    pub(crate) fn send(&mut self, line: usize, bytes: &[u8]) {
        self.send_only(line, bytes);
        self.settle();
    }

    /// Sends bytes; what that leads to on other shards has not happened yet.
    pub(crate) fn send_only(&mut self, line: usize, bytes: &[u8]) {
        let mut input = bytes.to_vec();
        self.act(line, |connection, turn| connection.handle_bytes(&mut input, turn));
    }

    /// The whole answer to one request, on a connection that then ends.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Answer {
        let line = self.open(request);
        let answer = self.answer(line);
        self.cut(line);
        answer
    }

    /// The only answer that has come, which is whole.
    #[track_caller]
    pub(crate) fn answer(&self, line: usize) -> Answer {
        let received = &self.lines[line].received;
        let text = String::from_utf8_lossy(received);
        let (whole, rest) = answer(received).unwrap_or_else(|| panic!("not a whole answer: {text:?}"));
        assert!(rest.is_empty(), "more than an answer: {text:?}");
        whole.expect("no interim answer")
    }

    /// The bytes that have come.
    pub(crate) fn received(&self, line: usize) -> &[u8] {
        &self.lines[line].received
    }

    /// Whether a whole answer has come.
    pub(crate) fn is_answered(&self, line: usize) -> bool {
        answer(&self.lines[line].received).is_some()
    }

    /// The head and the events that have come so far.
    #[track_caller]
    pub(crate) fn stream(&self, line: usize) -> (String, Vec<Event>) {
        stream_of(&self.lines[line].received)
    }

    /// The messages of a stream so far.
    #[track_caller]
    pub(crate) fn messages(&self, line: usize) -> Vec<Value> {
        self.stream(line).1.iter().filter_map(Event::message).collect()
    }

    /// The messages of the events of that name.
    #[track_caller]
    pub(crate) fn messages_named(&self, line: usize, name: &str) -> Vec<Value> {
        let events = self.stream(line).1;
        events.iter().filter(|event| event.name.as_deref() == Some(name)).filter_map(Event::message).collect()
    }

    /// The id of the newest event that has one.
    #[track_caller]
    pub(crate) fn last_id(&self, line: usize) -> Option<String> {
        self.stream(line).1.into_iter().rev().find_map(|event| event.id)
    }

    /// The peer goes away.
    pub(crate) fn cut(&mut self, line: usize) {
        self.cut_only(line);
        self.settle();
    }

    /// The same; what that leads to on other shards has not happened yet.
    pub(crate) fn cut_only(&mut self, line: usize) {
        self.act(line, Connection::handle_end_of_input);
        let Some(mut connection) = self.lines[line].connection.take() else { return };
        let shard = self.lines[line].shard;
        self.read_mail(shard);
        self.desks[shard].turn(&mut Vec::new(), |turn| connection.release(turn));
        self.post(shard);
    }

    /// The peer ends its half and reads on.
    pub(crate) fn end_input(&mut self, line: usize) {
        self.act(line, Connection::handle_end_of_input);
        self.settle();
    }

    /// Bytes that the connection holds.
    pub(crate) fn held(&self, line: usize) -> usize {
        self.lines[line].connection.as_ref().map_or(0, Connection::held_bytes)
    }

    /// Whether the server has ended the connection.
    pub(crate) fn is_over(&self, line: usize) -> bool {
        self.lines[line].connection.as_ref().is_none_or(|open| open.directive() != Directive::Continue)
    }

    /// Lets time pass on all shards; jobs, connections and housekeeping get their turns.
    pub(crate) fn pass(&mut self, millis: u64) {
        for desk in &mut self.desks {
            desk.now.ms += millis;
            desk.now.unix_ms += millis;
        }
        for shard in 0..self.desks.len() {
            self.read_mail(shard);
            self.desks[shard].attend();
            self.post(shard);
        }
        for line in 0..self.lines.len() {
            self.act(line, Connection::handle_timeout);
        }
        for desk in &mut self.desks {
            let now = desk.now;
            desk.work.hub.handle_time(now);
        }
        for shard in 0..self.desks.len() {
            self.post(shard);
        }
        self.settle();
    }

    /// All shards take new decisions.
    pub(crate) fn reload(&mut self, snapshot: &Arc<Snapshot>) {
        self.desks.iter_mut().for_each(|desk| desk.reload(snapshot.clone()));
        self.settle();
    }

    /// The control plane tells all shards of a resource's new contents.
    pub(crate) fn updated(&mut self, uri: &str) {
        self.update_only(uri);
        self.settle();
    }

    /// The same; what that leads to has not happened yet.
    pub(crate) fn update_only(&mut self, uri: &str) {
        for shard in 0..self.desks.len() {
            self.read_mail(shard);
            let Desk { work, snapshot, now, .. } = &mut self.desks[shard];
            work.receive(Parcel::Change(Change::Resource(uri.into())), snapshot, *now);
            self.post(shard);
        }
    }

    /// The server wants to stop.
    pub(crate) fn drain(&mut self) {
        for desk in &mut self.desks {
            let now = desk.now;
            desk.work.drain(now);
        }
        for line in 0..self.lines.len() {
            self.act(line, Connection::handle_drain);
        }
        self.settle();
    }

    /// Streams of all shards.
    pub(crate) fn streams(&self) -> usize {
        self.desks.iter().map(|desk| desk.work.hub.streams()).sum()
    }

    /// Handlers that run.
    pub(crate) fn running(&self) -> usize {
        self.desks.iter().map(Desk::running).sum()
    }

    /// Carries parcels and polls what was woken until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("it never settles");
    }

    /// At most so many steps of [`Self::settle`].
    pub(crate) fn walk(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
    }

    /// All peers go away.
    pub(crate) fn cut_all(&mut self) {
        (0..self.lines.len()).for_each(|line| self.cut_only(line));
        self.settle();
    }

    fn step(&mut self) -> bool {
        let count = self.desks.len();
        let from = usize::try_from(step(&mut self.chance) % (count * count) as u64).unwrap_or(0);
        let start = if matches!(self.carry, Carry::Shuffled(_)) { from } else { 0 };
        for at in (0..count * count).map(|at| (at + start) % (count * count)) {
            if let Some(parcel) = self.mail[at / count][at % count].pop_front() {
                self.receive(at / count, parcel);
                return true;
            }
        }
        let woken = |line: &Line| line.woken.0.load(Ordering::Acquire) && line.connection.is_some();
        if let Some(line) = self.lines.iter().position(woken) {
            self.lines[line].woken.0.store(false, Ordering::Release);
            self.act(line, Connection::handle_wake);
            return true;
        }
        let mut has_moved = false;
        for shard in 0..count {
            self.desks[shard].attend();
            has_moved |= self.post(shard);
        }
        has_moved
    }

    fn receive(&mut self, shard: usize, parcel: Parcel) {
        let Desk { work, snapshot, now, .. } = &mut self.desks[shard];
        work.receive(parcel, snapshot, *now);
        self.post(shard);
    }

    /// All that was sent to a shard is read before its next turn.
    fn read_mail(&mut self, shard: usize) {
        loop {
            let senders = self.mail[shard].len();
            let start = match self.carry {
                Carry::InOrder => 0,
                Carry::Shuffled(_) => usize::try_from(step(&mut self.chance) % senders as u64).unwrap_or(0),
            };
            let at =
                (0..senders).map(|at| (at + start) % senders).find(|at| !self.mail[shard][*at].is_empty());
            let Some(parcel) = at.and_then(|at| self.mail[shard][at].pop_front()) else { return };
            self.receive(shard, parcel);
        }
    }

    /// What a shard has for others is on its way.
    fn post(&mut self, shard: usize) -> bool {
        let mut has_posted = false;
        while let Some((to, parcel)) = self.desks[shard].work.hub.poll_parcel() {
            self.mail[usize::from(to)][shard].push_back(parcel);
            has_posted = true;
        }
        has_posted
    }

    fn act(&mut self, line: usize, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let shard = self.lines[line].shard;
        self.read_mail(shard);
        let Line { connection: Some(connection), woken, received, .. } = &mut self.lines[line] else {
            return;
        };
        let waker = Waker::from(woken.clone());
        let mut outbox = Vec::new();
        self.desks[shard].turn_woken_by(&waker, &mut outbox, |turn| act(connection, turn));
        received.append(&mut outbox);
        while connection.is_paused() {
            self.desks[shard].turn_woken_by(&waker, &mut outbox, |turn| connection.handle_written(turn));
            received.append(&mut outbox);
        }
        self.post(shard);
    }
}

fn step(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The events in the text of a stream, the last one perhaps still growing.
fn events(body: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for block in body.split_inclusive("\n\n").filter(|block| block.ends_with("\n\n")) {
        let mut event = Event::default();
        for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
            match line.split_once(": ").or_else(|| line.split_once(':')) {
                Some(("event", name)) => event.name = Some(name.to_owned()),
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("data", data)) => event.data = Some(data.to_owned()),
                Some(("retry", retry)) => event.retry = Some(retry.parse().expect("milliseconds")),
                other => panic!("a line nobody sends: {other:?} in {body:?}"),
            }
        }
        if event != Event::default() {
            events.push(event);
        }
    }
    events
}

/// The head and the events in what has come of a stream: one head, well-formed chunks, perhaps cut anywhere.
#[track_caller]
pub(crate) fn stream_of(received: &[u8]) -> (String, Vec<Event>) {
    let text = std::str::from_utf8(received).expect("a stream is text");
    let Some((head, mut rest)) = text.split_once("\r\n\r\n") else { return (text.to_owned(), Vec::new()) };
    let mut body = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size =
            usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no chunk: {rest:?} in {text:?}"));
        if size == 0 {
            assert!("\r\n".starts_with(more), "nothing follows the end: {text:?}");
            break;
        }
        let Some((chunk, after)) = more.split_at_checked(size) else {
            body.push_str(more);
            break;
        };
        body.push_str(chunk);
        let Some(after) = after.strip_prefix("\r\n") else {
            assert!("\r\n".starts_with(after), "a chunk ends: {text:?}");
            break;
        };
        rest = after;
    }
    (head.to_owned(), events(&body))
}
