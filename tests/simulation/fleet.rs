//! Several shards and clients of both eras whose every message takes a new connection to any shard: sessions, streams
//! that are cut and resumed, questions, rounds, subscriptions, ends. Parcels are read when a shard takes a turn.
//! Next: `reader`, where what arrives is held against the laws.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::hub::listen::{Change, Lists};
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::snapshot::{Security, SlowReader, Snapshot};
use mcpring::pipeline::spent::Spent;
use mcpring::pipeline::turn::Turn;

use crate::asking::{self, URI};
use crate::chance::Chance;
use crate::fixture::{Desk, identities, key, role, snapshot_with};
use crate::ledger::Shared;
use crate::line::Line;
use crate::reader::{Known, Purpose, Session, Told};
use crate::script::ALL;

const SESSIONS_MAX: usize = 6;
const LINES_MAX: usize = 24;
pub(crate) const RESUME_WINDOW_MS: u64 = 60_000;

pub(crate) struct Fleet {
    chance: Chance,
    pub(crate) desks: Vec<Desk>,
    /// Parcels on their way to each shard.
    pub(crate) inboxes: Vec<VecDeque<Parcel>>,
    pub(crate) ledger: Shared,
    pub(crate) lines: Vec<Line>,
    pub(crate) known: Known,
    /// Answers whose stream was cut, by the place to come back to.
    pub(crate) cut: Vec<(u64, usize, String)>,
    told: Vec<Told>,
    marker: u64,
}

fn publish(chance: &mut Chance, ledger: &Shared) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let registry = asking::tools(ledger);
        snapshot.policy = Policy::compile(&[role("all", &["**"])], &registry).unwrap();
        snapshot.registry = Arc::new(registry);
        snapshot.identities = identities(vec![key(ALL, ALL, 1)], 0);
        let limits = &mut snapshot.limits;
        limits.header_timeout = Duration::from_secs(600);
        limits.body_timeout = Duration::from_secs(600);
        limits.idle_timeout = Duration::from_secs(600);
        limits.request_timeout = Duration::from_secs(20);
        limits.input_timeout = Duration::from_secs(5);
        limits.resume_window = Duration::from_millis(RESUME_WINDOW_MS);
        limits.keepalive_interval = Duration::from_secs(1);
        limits.event_buffer_size = *chance.pick(&[8, 30, 100]);
        limits.slow_reader = *chance.pick(&[SlowReader::Close, SlowReader::Drop]);
    })
}

impl Fleet {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let ledger = Shared::default();
        let snapshot = publish(&mut chance, &ledger);
        let shards = *chance.pick(&[1, 2, 3, 8]);
        let spent = Arc::new(Spent::default());
        let desks = (0..shards).map(|shard| {
            let mut random = Chance::new(chance.next());
            let entropy =
                Box::new(move |bytes: &mut [u8]| bytes.fill_with(|| random.next().to_le_bytes()[0]));
            let index = u16::try_from(shard).unwrap();
            Desk::of_fleet(snapshot.clone(), index, shards, spent.clone(), entropy)
        });
        let desks = desks.collect();
        Self {
            desks,
            chance,
            inboxes: (0..shards).map(|_| VecDeque::new()).collect(),
            ledger,
            lines: Vec::new(),
            known: Known::default(),
            cut: Vec::new(),
            told: Vec::new(),
            marker: 0,
        }
    }

    pub(crate) fn run(mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
        self.settle();
        self.end();
    }

    fn step(&mut self) {
        let alive = self.known.sessions.iter().filter(|session| !session.is_ending).count();
        if alive < SESSIONS_MAX && self.chance.is(3) {
            self.open_session();
        }
        match self.chance.below(100) {
            0..12 => self.ask(),
            12..16 => self.read_a_session(),
            16..22 => self.come_back(),
            22..32 => self.act_on_what_was_told(),
            32..34 => self.tell_a_change(),
            34 if self.chance.is(30) => self.cancel(),
            35 if self.chance.is(20) => self.end_a_session(),
            36..39 => self.open_a_gate(),
            39..42 => self.pass_time(),
            42..45 => self.cut_a_line(),
            45..52 => {
                let shard = self.chance.below(self.desks.len());
                self.pump(shard);
            }
            _ => {}
        }
        if !self.lines.is_empty() {
            for _ in 0..3 {
                let at = self.chance.below(self.lines.len());
                let part = *self.chance.pick(&[1, 60, 400, usize::MAX, usize::MAX]);
                self.move_line(at, part);
                if self.lines.is_empty() {
                    return;
                }
            }
        }
    }

    fn shard(&mut self) -> usize {
        self.chance.below(self.desks.len())
    }

    /// A shard takes a turn that is nobody's.
    pub(crate) fn pump(&mut self, shard: usize) {
        self.receive_parcels(shard);
        self.desks[shard].turn(&mut Vec::new(), |_| {});
        self.send_parcels(shard);
    }

    fn receive_parcels(&mut self, shard: usize) {
        let desk = &mut self.desks[shard];
        while let Some(parcel) = self.inboxes[shard].pop_front() {
            desk.work.receive(parcel, &desk.snapshot, desk.now);
        }
    }

    fn send_parcels(&mut self, shard: usize) {
        while let Some((to, parcel)) = self.desks[shard].work.hub.poll_parcel() {
            self.inboxes[usize::from(to)].push_back(parcel);
        }
    }

    /// Lets a line's connection take a turn, as its shard would.
    fn turn(&mut self, at: usize, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let shard = self.lines[at].shard;
        self.receive_parcels(shard);
        self.lines[at].turn(&mut self.desks[shard], act);
        self.send_parcels(shard);
    }

    fn connect(&mut self, bytes: Vec<u8>, purpose: Purpose, session: Option<usize>) {
        let shard = self.shard();
        let connection = self.desks[shard].connect();
        let must_refuse = session.is_some_and(|session| self.known.sessions[session].is_ended);
        self.lines.push(Line::new(connection, shard, bytes, purpose, session, must_refuse));
    }

    /// The handshake, all at once.
    fn open_session(&mut self) {
        let revision = *self.chance.pick(&["2025-11-25", "2025-11-25", "2025-06-18", "2025-03-26"]);
        let shard = self.shard();
        let mut connection = self.desks[shard].connect();
        let bytes = self.desks[shard].feed(&mut connection, &asking::initialize(revision));
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let id = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("a session");
        let id = id.to_owned();
        self.desks[shard].release(connection);
        self.known.sessions.push(Session { id, revision, is_ending: false, is_ended: false, last_id: None });
    }

    fn any_session(&mut self) -> Option<usize> {
        let count = self.known.sessions.len();
        (count > 0).then(|| self.chance.below(count))
    }

    fn ask(&mut self) {
        if self.lines.len() >= LINES_MAX {
            return;
        }
        self.marker += 1;
        let marker = self.marker;
        let tool = *self.chance.pick(&["mark", "gate", "steps", "ask", "once", "burst", "ask"]);
        let session = if self.chance.is(65) { self.any_session() } else { None };
        let Some(session) = session else {
            if self.chance.is(15) {
                self.known.ask(marker, None, "listen");
                return self.connect(asking::listen(marker), Purpose::Listen(marker), None);
            }
            self.known.ask(marker, None, tool);
            return self.connect(
                self.in_some_form(asking::call(marker, tool)),
                Purpose::Answer(marker),
                None,
            );
        };
        let known = &self.known.sessions[session];
        let mut markers = vec![(marker, tool)];
        let body = if self.chance.is(10) {
            markers = vec![(marker, "subscribe")];
            asking::subscribe(marker)
        } else if known.revision == "2025-03-26" && self.chance.is(40) {
            markers.extend([(marker + 1, "ask"), (marker + 2, "mark")]);
            self.marker += 2;
            self.known.batches.insert(marker);
            let calls: Vec<String> =
                markers.iter().map(|(marker, tool)| asking::legacy_call(*marker, tool)).collect();
            format!("[{}]", calls.join(","))
        } else {
            asking::legacy_call(marker, tool)
        };
        let is_ending = known.is_ending;
        let request = asking::legacy(known, &body);
        for (marker, tool) in markers {
            self.known.ask(marker, Some(session), tool);
            if is_ending {
                self.known.excuse(marker);
            }
        }
        self.connect(request, Purpose::Answer(marker), Some(session));
    }

    /// The request, for a client that takes one body only, one event stream only, or either.
    fn in_some_form(&self, request: Vec<u8>) -> Vec<u8> {
        let forms = ["application/json", "text/event-stream", "application/json, text/event-stream"];
        let form = forms[usize::try_from(self.marker % 3).unwrap()];
        let text = String::from_utf8(request).unwrap();
        text.replace("application/json, text/event-stream", form).into_bytes()
    }

    /// One stream at a time is read of each session, so that who gets a message is no question.
    fn read_a_session(&mut self) {
        let Some(session) = self.any_session() else { return };
        let purpose = Purpose::Stream(session);
        if self.lines.iter().any(|line| line.purpose == purpose) {
            return;
        }
        let known = &self.known.sessions[session];
        let last_id = known.last_id.clone().filter(|_| self.chance.is(60));
        let bytes = asking::bare("GET", known, last_id.as_deref());
        self.connect(bytes, purpose, Some(session));
    }

    /// A client comes back for an answer.
    pub(crate) fn come_back(&mut self) {
        if self.cut.is_empty() {
            return;
        }
        let (marker, session, id) = self.cut.swap_remove(self.chance.below(self.cut.len()));
        let bytes = asking::bare("GET", &self.known.sessions[session], Some(&id));
        self.connect(bytes, Purpose::Answer(marker), Some(session));
        self.lines.last_mut().expect("it was just pushed").last_id = Some(id);
    }

    fn act_on_what_was_told(&mut self) {
        if self.told.is_empty() {
            return;
        }
        match self.told.swap_remove(self.chance.below(self.told.len())) {
            Told::Question { session, id } => {
                // Some questions are never answered, some twice, and some by a stranger first.
                for _ in 0..self.chance.below(3) {
                    let bytes = asking::legacy(&self.known.sessions[session], &asking::answer(&id, "yes"));
                    self.connect(bytes, Purpose::Note(session), Some(session));
                }
                let stranger = self.chance.below(self.known.sessions.len());
                if stranger != session {
                    let bytes =
                        asking::legacy(&self.known.sessions[stranger], &asking::answer(&id, "stolen"));
                    self.connect(bytes, Purpose::Note(stranger), Some(stranger));
                }
            }
            Told::Round { marker, state } => {
                let first = self.known.origin(marker);
                let tool = self.known.asked[&marker].tool;
                for _ in 0..1 + self.chance.below(2) {
                    self.marker += 1;
                    self.known.ask(self.marker, None, tool);
                    self.known.retries.insert(self.marker, first);
                    let bytes = asking::retry(self.marker, first, tool, &state, "yes");
                    self.connect(bytes, Purpose::Answer(self.marker), None);
                }
                if self.chance.is(20) {
                    // The state of one call is worth nothing to another.
                    self.marker += 1;
                    self.known.ask(self.marker, None, tool);
                    let bytes = asking::retry(self.marker, first + 1_000_000, tool, &state, "stolen");
                    self.connect(bytes, Purpose::Answer(self.marker), None);
                }
            }
        }
    }

    /// The control plane tells every shard, each when it gets there.
    fn tell_a_change(&mut self) {
        let change = if self.chance.is(50) {
            Change::Resource(URI.into())
        } else {
            Change::Lists(Lists { tools: true, prompts: false, resources: false })
        };
        for _ in 0..*self.chance.pick(&[1, 1, 1, 30]) {
            for inbox in &mut self.inboxes {
                inbox.push_back(Parcel::Change(change.clone()));
            }
        }
    }

    fn cancel(&mut self) {
        let running = self.known.asked.iter().filter(|(_, asked)| asked.answers == 0);
        let legacy: Vec<(u64, usize)> =
            running.filter_map(|(marker, asked)| Some((*marker, asked.session?))).collect();
        if !legacy.is_empty() {
            let (marker, session) = *self.chance.pick(&legacy);
            self.known.excuse(marker);
            let bytes = asking::legacy(&self.known.sessions[session], &asking::cancel(marker));
            self.connect(bytes, Purpose::Note(session), Some(session));
        }
    }

    fn end_a_session(&mut self) {
        let Some(session) = self.any_session() else { return };
        self.known.sessions[session].is_ending = true;
        for asked in self.known.asked.values_mut().filter(|asked| asked.session == Some(session)) {
            asked.is_excused = true;
        }
        self.cut.retain(|(_, of, _)| *of != session);
        let bytes = asking::bare("DELETE", &self.known.sessions[session], None);
        self.connect(bytes, Purpose::End(session), Some(session));
    }

    fn open_a_gate(&mut self) {
        let mut ledger = self.ledger.lock().unwrap();
        let gates = ledger.closed_gates();
        if !gates.is_empty() {
            ledger.open(*self.chance.pick(&gates));
        }
    }

    fn pass_time(&mut self) {
        let millis = self.chance.next() % *self.chance.pick(&[20, 20, 200, 2000]);
        self.advance(millis);
    }

    pub(crate) fn advance(&mut self, millis: u64) {
        for desk in &mut self.desks {
            desk.now.ms += millis;
            desk.now.unix_ms += millis;
        }
    }

    fn cut_a_line(&mut self) {
        if !self.lines.is_empty() {
            let at = self.chance.below(self.lines.len());
            self.close(at);
        }
    }

    /// Something of what is on its way on a line arrives; the line ends when its answer has.
    pub(crate) fn move_line(&mut self, at: usize, most: usize) {
        if let Some(mut input) = self.lines[at].next_input(most) {
            self.turn(at, |connection, turn| connection.handle_bytes(&mut input, turn));
        }
        if self.lines[at].is_woken() {
            self.turn(at, Connection::handle_wake);
        }
        let shard = self.lines[at].shard;
        if self.lines[at].connection.poll_timeout() <= self.desks[shard].now.ms {
            self.turn(at, Connection::handle_timeout);
        }
        if let Some(written) = self.lines[at].writing.take() {
            let line = &mut self.lines[at];
            let events = line.incoming.take(&written);
            self.desks[shard].work.pool.release(written);
            for event in events {
                let line = &mut self.lines[at];
                let told = self.known.take(event, line.purpose, line.session, &mut line.last_id);
                self.told.extend(told);
            }
            self.turn(at, Connection::handle_written);
        }
        let line = &self.lines[at];
        if line.incoming.is_whole() || line.connection.directive() != Directive::Continue {
            self.finish(at);
        }
    }

    /// An answer is whole.
    fn finish(&mut self, at: usize) {
        let line = &self.lines[at];
        let status = line.incoming.status();
        assert!(line.incoming.is_whole(), "the server ends a connection in the middle of {:?}", line.purpose);
        if line.must_refuse {
            assert_eq!(status, Some(404), "served an ended session: {:?}", line.purpose);
        }
        let is_ending = line.session.is_some_and(|session| self.known.sessions[session].is_ending);
        match line.purpose {
            Purpose::Note(_) => assert!(status == Some(202) || is_ending, "{status:?}"),
            Purpose::End(session) => {
                assert!(status == Some(204) || is_ending, "{status:?}");
                self.known.sessions[session].is_ended = true;
            }
            Purpose::Stream(_) => assert!(status == Some(200) || is_ending, "{status:?}"),
            Purpose::Listen(_) | Purpose::Answer(_) => {}
        }
        self.close(at);
    }

    /// The client's end of a line is closed; a legacy client comes back for what it has not had.
    fn close(&mut self, at: usize) {
        if !self.lines[at].has_ended() {
            self.turn(at, Connection::handle_end_of_input);
        }
        let line = self.lines.swap_remove(at);
        let (shard, purpose, session) = (line.shard, line.purpose, line.session);
        let is_whole = line.incoming.is_whole();
        let last_id = line.release(&mut self.desks[shard]);
        self.send_parcels(shard);
        match (purpose, session, last_id) {
            (Purpose::Stream(session), _, Some(id)) => self.known.sessions[session].last_id = Some(id),
            (Purpose::Answer(marker), Some(session), Some(id)) if self.known.is_owed(marker) => {
                self.cut.push((marker, session, id));
            }
            (Purpose::Answer(marker), _, _) => {
                assert!(!is_whole || !self.known.is_owed(marker), "an answer to {marker} without the answer");
                self.known.excuse(marker);
            }
            (Purpose::Stream(_) | Purpose::Listen(_) | Purpose::Note(_) | Purpose::End(_), _, _) => {}
        }
    }
}
