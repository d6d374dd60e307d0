//! How a run of the fleet comes to rest, and what must be true then: everything asked is answered, nothing is kept.
//! Next: `src/pipeline/hub`, whose tables must be empty.

use mcpring::pipeline::event::Count;
use mcpring::pipeline::hub::Held;

use crate::fleet::{Fleet, RESUME_WINDOW_MS};
use crate::reader::Purpose;

/// Longer than any call takes once its gate is open and its questions have timed out.
const CALL_MS_MAX: u64 = 60_000;

impl Fleet {
    /// Whether something moves without the clock.
    fn is_moving(&self) -> bool {
        self.lines.iter().any(|line| line.is_busy())
            || self.inboxes.iter().any(|inbox| !inbox.is_empty())
            || !self.cut.is_empty()
    }

    fn let_all_move(&mut self) {
        for _ in 0..10_000 {
            for shard in 0..self.desks.len() {
                self.pump(shard);
            }
            for at in (0..self.lines.len()).rev() {
                self.move_line(at, usize::MAX);
            }
            self.come_back();
            if !self.is_moving() {
                return;
            }
        }
        panic!("the fleet does not come to rest");
    }

    /// Lets everything arrive and every call end. No more questions are answered.
    pub(crate) fn settle(&mut self) {
        let is_waiting = |fleet: &Self| {
            fleet.lines.iter().any(|line| matches!(line.purpose, Purpose::Answer(_)))
                || !fleet.cut.is_empty()
                || fleet.desks.iter().any(|desk| desk.running() > 0)
        };
        let mut waited_ms = 0;
        self.let_all_move();
        while is_waiting(self) {
            let gates = self.ledger.lock().unwrap().closed_gates();
            for gate in gates {
                self.ledger.lock().unwrap().open(gate);
            }
            assert!(waited_ms < CALL_MS_MAX, "calls do not end");
            waited_ms += 50;
            self.advance(50);
            self.let_all_move();
        }
        for (marker, asked) in &self.known.asked {
            let is_owed = asked.answers == 0 && !asked.is_excused && asked.tool != "listen";
            assert!(!is_owed, "no answer to {marker}, {}", asked.tool);
        }
    }

    /// Everything closes, windows pass, and nothing is left.
    pub(crate) fn end(&mut self) {
        for session in &self.known.sessions {
            let is_read = |line: &crate::line::Line| {
                line.session.is_some_and(|of| self.known.sessions[of].id == session.id)
            };
            assert!(!session.is_ended || !self.lines.iter().any(is_read), "an ended session is read on");
        }
        for desk in &mut self.desks {
            desk.work.drain(desk.now);
        }
        self.let_all_move();
        assert!(self.lines.is_empty(), "{} streams outlive the end of the server", self.lines.len());
        self.advance(RESUME_WINDOW_MS + 1);
        for shard in 0..self.desks.len() {
            self.pump(shard);
            let desk = &mut self.desks[shard];
            desk.work.hub.handle_time(desk.now);
            assert_eq!(desk.work.hub.held(), Held::default(), "shard {shard} keeps something");
            assert_eq!(desk.running(), 0);
            assert_eq!(desk.work.pool.leased(), 1, "every lease is back but the workspace's own");
            for count in [Count::ShardPanicked, Count::DispatchPanicked, Count::HubDropped, Count::HubFull] {
                assert_eq!(desk.work.events.total(count), 0, "{}", count.name());
            }
        }
    }
}
