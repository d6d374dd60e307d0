//! What a connection waits for, and until when.
//! Never: a clock; the shard says what time it is and asks for the next deadline.
//! Next: `shard/timers.rs`, which keeps the deadlines of all connections.

use std::time::Duration;

use super::{Connection, Drain, Framing, Life, listener_of};
use crate::pipeline::authenticate::certificate::Reason;
use crate::pipeline::authenticate::certificate::inquiry::Finding;
use crate::pipeline::event::{Count, Outcome, Stage};
use crate::pipeline::respond::{self, Exchange, Goodbye, Refusal};
use crate::pipeline::snapshot::millis;
use crate::pipeline::turn::Turn;

/// How long a peer may take to read the last answer and close.
const LINGER: Duration = Duration::from_secs(2);

/// The same while the server drains: a restart must not wait for peers that never close.
const LINGER_DRAINING: Duration = Duration::from_millis(300);

/// What the deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The handshake's end.
    Handshake,
    /// What the responder of the peer's certificate says.
    Responder,
    /// The next request.
    Idle,
    /// The end of a head.
    Head,
    /// The end of a body.
    Body,
    /// The attached stream: its next sign of life.
    Call,
    /// The end of a write, which has its own deadline in the shard.
    Written,
    /// The peer's FIN.
    Linger,
}

impl Connection {
    /// When [`Self::handle_timeout`] must be called at the latest, monotonic milliseconds.
    pub fn poll_timeout(&self) -> u64 {
        self.deadline_ms
    }

    /// The deadline may have passed.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        if turn.now.ms < self.deadline_ms {
            return;
        }
        if self.wait != Wait::Responder {
            self.recognise_client(turn);
            if self.is_asking() {
                return self.end_turn(turn);
            }
        }
        match self.wait {
            Wait::Handshake => {
                turn.count(Count::TlsTimedOut);
                self.record(turn, Outcome::Fault, Stage::Tls, "handshake_timed_out", None);
                self.life = Life::Closed;
            }
            Wait::Responder => self.found(Finding::Bad(Reason::OcspFailed), turn),
            Wait::Idle => {
                turn.count(Count::FramingIdle);
                self.part(Goodbye::GoingAway, turn);
            }
            Wait::Head | Wait::Body => {
                turn.count(Count::FramingTimedOut);
                self.record(turn, Outcome::Fault, Stage::Framing, "request_timed_out", None);
                // A refused request has had its answer, and half a record is no request; an answer to nothing would be
                // taken for the next one's.
                let is_owed = !matches!(self.framing, Framing::Discard(_) | Framing::Messages(_))
                    && !self.held.is_empty();
                if let Some(listener) = listener_of(turn.snapshot, self.listener).filter(|_| is_owed) {
                    respond::refuse(turn, listener, Exchange::BROKEN, &Refusal::RequestTimeout, None);
                }
                self.part(Goodbye::Overloaded, turn);
            }
            Wait::Call if self.channel.is_some() => self.keep_channel_alive(turn),
            Wait::Call => self.keep_alive(turn),
            Wait::Written => {}
            Wait::Linger => self.life = Life::Closed,
        }
        self.end_turn(turn);
    }

    /// The attached stream may have news.
    pub fn handle_wake(&mut self, turn: &mut Turn<'_>) {
        if self.has_call() {
            self.recognise_client(turn);
            if !self.is_asking() {
                self.poll_attached(turn);
            }
            self.end_turn(turn);
        }
    }

    /// Sets what is waited for after a turn. A wait that goes on keeps its deadline.
    pub(super) fn settle(&mut self, turn: &Turn<'_>) {
        let next = match (self.life, self.wait, &self.framing) {
            (Life::Closing | Life::Closed, _, _) => Wait::Linger,
            (Life::Open, Wait::Handshake | Wait::Responder, _) => return,
            (Life::Open, _, Framing::Busy) => Wait::Call,
            // What is held has arrived in time, and waits for the peer to read.
            (Life::Open, _, _) if self.is_paused => Wait::Written,
            (Life::Open, _, Framing::Body(_) | Framing::Discard(_)) => Wait::Body,
            (Life::Open, _, Framing::Messages(messages)) => {
                let is_partial = !self.held.is_empty() || self.has_partial_record() || messages.are_inside();
                // What is cut off by the end of the input is not waited for.
                if is_partial && !self.has_input_ended {
                    Wait::Body
                } else if self.is_expected(turn) {
                    Wait::Call
                } else {
                    Wait::Idle
                }
            }
            (Life::Open, _, Framing::Head(_)) if !self.held.is_empty() || self.has_partial_record() => {
                Wait::Head
            }
            (Life::Open, _, Framing::Head(_)) => Wait::Idle,
        };
        // Bytes that bring no request must not push a deadline back: neither half a record nor an empty one.
        let has_progressed = std::mem::take(&mut self.has_progressed);
        if has_progressed || !matches!(self.wait, Wait::Idle | Wait::Head | Wait::Body) {
            self.idle_by_ms = u64::MAX;
        }
        let goes_on = match next {
            Wait::Head | Wait::Body | Wait::Linger | Wait::Handshake | Wait::Responder => next == self.wait,
            Wait::Idle => next == self.wait && !has_progressed,
            Wait::Call | Wait::Written => false,
        };
        if !goes_on {
            self.wait_for(next, turn);
        }
    }

    fn has_partial_record(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_partial())
    }

    pub(super) fn wait_for(&mut self, wait: Wait, turn: &Turn<'_>) {
        let limits = &turn.snapshot.limits;
        let timeout = match wait {
            Wait::Handshake | Wait::Responder => limits.tls_handshake_timeout,
            Wait::Idle => limits.idle_timeout,
            Wait::Head => limits.header_timeout,
            Wait::Body => limits.body_timeout,
            Wait::Linger => match self.drain {
                Drain::Serving => LINGER,
                Drain::Draining => LINGER_DRAINING,
            },
            Wait::Written => Duration::MAX,
            Wait::Call => {
                self.wait = wait;
                self.deadline_ms = self.alive_at_ms();
                return;
            }
        };
        self.wait = wait;
        self.deadline_ms = turn.now.ms.saturating_add(millis(timeout));
        if wait == Wait::Idle {
            self.deadline_ms = self.deadline_ms.min(self.idle_by_ms);
            self.idle_by_ms = self.deadline_ms;
        }
    }
}
