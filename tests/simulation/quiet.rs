//! How the throng's turns are taken and how its connections end; how a run comes to rest, and what must be true then.
//! Next: `src/pipeline/hub`, whose tables must be empty.

use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::event::Count;
use mcpring::pipeline::hub::Held;
use mcpring::pipeline::turn::Turn;

use crate::fixture::carried::Cut;
use crate::reader::Purpose;
use crate::script::{ALL, MARK};
use crate::talker::Kind;
use crate::throng::Throng;

/// Longer than any call takes once its gate is open and its questions have timed out.
const CALL_MS_MAX: u64 = 60_000;
/// Longer than anything is kept for somebody who may come back.
const FORGOTTEN_MS: u64 = 24 * 3600 * 1000;

impl Throng {
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

    /// A shard takes a turn that is nobody's.
    pub(crate) fn pump(&mut self, shard: usize) {
        self.receive_parcels(shard);
        self.desks[shard].turn(&mut Vec::new(), |_| {});
        let desk = &mut self.desks[shard];
        desk.work.hub.handle_time(desk.now);
        self.send_parcels(shard);
    }

    pub(crate) fn turn(&mut self, at: usize, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let shard = self.talkers[at].shard;
        self.receive_parcels(shard);
        self.talkers[at].turn(&mut self.desks[shard], act);
        self.send_parcels(shard);
    }

    pub(crate) fn turn_line(&mut self, at: usize, act: impl FnOnce(&mut Connection, &mut Turn<'_>)) {
        let shard = self.lines[at].0.shard;
        self.receive_parcels(shard);
        self.lines[at].0.turn(&mut self.desks[shard], act);
        self.send_parcels(shard);
    }

    /// A connection is over: the server had a reason, and who ended its half had its answers.
    pub(crate) fn finish(&mut self, at: usize) {
        let talker = &self.talkers[at];
        let (number, is_over) = (talker.number, talker.connection.directive() != Directive::Continue);
        let is_pipe = matches!(talker.kind, Kind::Both(Cut::Lines | Cut::Prefixed));
        let is_welcome = [ALL, MARK].contains(&talker.key);
        if is_pipe && is_over && is_welcome && !talker.is_gone {
            assert!(talker.has_ended || self.is_draining, "ended for nothing: {:?}", talker.kind);
            let is_answered = self.heard.open(number).iter().all(|marker| !self.heard.is_owed(*marker));
            assert!(is_answered, "ended without answers: {:?}", talker.kind);
        }
        if is_over {
            talker.check_end();
        }
        if !talker.has_ended {
            self.end_input(at);
        }
        for marker in self.heard.open(number) {
            self.heard.excuse(marker);
        }
        let talker = self.talkers.swap_remove(at);
        let shard = talker.shard;
        talker.release(&mut self.desks[shard]);
        self.send_parcels(shard);
    }

    /// A request of HTTP's has had its answer.
    pub(crate) fn finish_line(&mut self, at: usize) {
        let (line, marker, number) = &self.lines[at];
        let (marker, number, status) = (*marker, *number, line.incoming.status());
        let is_whole = line.incoming.is_whole();
        let is_excused = self.heard.asked.get(&marker).is_none_or(|asked| asked.is_excused);
        assert!(
            is_whole || (self.is_draining && is_excused),
            "the server ends a connection in the middle of an answer"
        );
        match line.purpose {
            Purpose::Note(_) => {
                let is_there = self.talkers.iter().any(|talker| talker.number == number && talker.is_open());
                // The channel may be gone, the key too, and more may wait than a channel takes.
                let may_be_refused = !is_there || self.is_draining || matches!(status, Some(401 | 429));
                assert!(status == Some(202) || may_be_refused, "{status:?}");
                if status != Some(202) {
                    self.heard.excuse(marker);
                }
            }
            Purpose::Answer(_) => {
                assert!(!is_whole || !self.heard.is_owed(marker), "an answer without the answer");
                self.heard.excuse(marker);
            }
            Purpose::Stream(_) | Purpose::Listen(_) | Purpose::End(_) => {}
        }
        if !self.lines[at].0.has_ended() {
            self.turn_line(at, Connection::handle_end_of_input);
        }
        let (line, _, _) = self.lines.swap_remove(at);
        let shard = line.shard;
        line.release(&mut self.desks[shard]);
        self.send_parcels(shard);
    }

    fn is_moving(&self) -> bool {
        self.talkers.iter().any(|talker| talker.is_busy())
            || self.lines.iter().any(|(line, _, _)| line.is_busy())
            || self.inboxes.iter().any(|inbox| !inbox.is_empty())
    }

    fn let_all_move(&mut self) {
        for _ in 0..10_000 {
            for shard in 0..self.desks.len() {
                self.pump(shard);
            }
            for at in (0..self.talkers.len()).rev() {
                self.move_talker(at, usize::MAX);
            }
            for at in (0..self.lines.len()).rev() {
                self.move_line(at, usize::MAX);
            }
            if !self.is_moving() {
                return;
            }
        }
        let busy: Vec<_> =
            self.talkers.iter().filter(|talker| talker.is_busy()).map(|talker| talker.kind).collect();
        let lines = self.lines.iter().filter(|(line, _, _)| line.is_busy()).count();
        panic!("the throng does not come to rest: {busy:?}, {lines} lines");
    }

    /// Lets everything arrive and every call end.
    pub(crate) fn settle(&mut self) {
        let mut waited_ms = 0;
        self.let_all_move();
        while !self.lines.is_empty()
            || self.desks.iter().any(|desk| desk.running() > 0)
            || self.heard.asked.keys().any(|marker| self.heard.is_owed(*marker))
        {
            let gates = self.ledger.lock().unwrap().closed_gates();
            for gate in gates {
                self.ledger.lock().unwrap().open(gate);
            }
            let owed: Vec<_> =
                self.heard.asked.iter().filter(|(marker, _)| self.heard.is_owed(**marker)).collect();
            let owed: Vec<_> = owed.iter().map(|(marker, asked)| (*marker, asked.by, asked.tool)).collect();
            assert!(waited_ms < CALL_MS_MAX, "no answers to {owed:?}, {} lines", self.lines.len());
            waited_ms += 50;
            self.advance(50);
            self.let_all_move();
        }
    }

    /// The server stops: whatever it had begun is answered, everything closes, nothing is left.
    pub(crate) fn end(&mut self) {
        self.is_draining = true;
        for desk in &mut self.desks {
            desk.work.drain(desk.now);
        }
        for at in (0..self.talkers.len()).rev() {
            // What has not arrived by now may not be answered, and is not begun.
            if !self.talkers[at].has_arrived() {
                for marker in self.heard.open(self.talkers[at].number) {
                    self.heard.excuse(marker);
                }
            }
            self.turn(at, Connection::handle_drain);
        }
        for at in (0..self.lines.len()).rev() {
            if self.lines[at].0.is_sending() {
                self.heard.excuse(self.lines[at].1);
            }
            self.turn_line(at, Connection::handle_drain);
        }
        self.settle();
        let left: Vec<_> =
            self.talkers.iter().map(|talker| (talker.kind, talker.key, talker.number)).collect();
        assert!(left.is_empty(), "{left:?} outlive the end of the server");
        self.advance(FORGOTTEN_MS);
        for shard in 0..self.desks.len() {
            self.pump(shard);
        }
        for shard in 0..self.desks.len() {
            self.pump(shard);
            let desk = &mut self.desks[shard];
            assert_eq!(desk.work.hub.held(), Held::default(), "shard {shard} keeps something");
            assert_eq!(desk.running(), 0);
            assert_eq!(desk.work.pool.leased(), 1, "every lease is back but the workspace's own");
            for count in [Count::ShardPanicked, Count::DispatchPanicked, Count::HubDropped, Count::HubFull] {
                assert_eq!(desk.work.events.total(count), 0, "{}", count.name());
            }
        }
    }
}
