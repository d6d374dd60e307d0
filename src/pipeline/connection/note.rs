//! What is written down about a request: one record, when it is refused or when everything is recorded.
//! Never: an argument, a credential, a body.
//! Next: `event`, where records go.

use std::sync::Arc;

use super::Connection;
use crate::pipeline::authenticate::Principal;
use crate::pipeline::authorize::Target;
use crate::pipeline::envelope::Request;
use crate::pipeline::event::{AccessLog, Outcome, Record, Stage};
use crate::pipeline::respond::Row;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;

/// What is known about a request when it is recorded.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'k> {
    pub(super) principal: Option<&'k Arc<str>>,
    pub(super) method: &'static str,
    pub(super) tool: Option<&'k Arc<str>>,
    pub(super) detail: Option<&'k str>,
    pub(super) started_ms: Option<u64>,
}

impl Connection {
    pub(super) fn note_answer(
        &self,
        request: &Request<'_, '_>,
        target: Target,
        principal: &Principal,
        listener: &Listener,
        turn: &Turn<'_>,
    ) {
        if turn.snapshot.access_log == AccessLog::Refused {
            return;
        }
        let tool = match target {
            Target::Tool(tool) => turn.snapshot.registry.tool(tool).map(|tool| tool.shared_name()),
            Target::Method => None,
        };
        let known = Known {
            principal: Some(&principal.id),
            method: request.method.name(),
            tool: tool.as_ref(),
            ..Known::default()
        };
        self.note_done(turn, listener, known);
    }

    pub(super) fn note_done(&self, turn: &Turn<'_>, listener: &Listener, known: Known<'_>) {
        if turn.snapshot.access_log == AccessLog::Every {
            let row = Row { stage: Stage::Respond, status: 200, code: 0, reason: "answered", message: "" };
            self.queue(turn, listener, Outcome::Answered, row, known);
        }
    }

    /// Records a refusal.
    pub(super) fn note(&self, turn: &Turn<'_>, listener: &Listener, row: Row, known: Known<'_>) {
        self.queue(turn, listener, Outcome::Refused, row, known);
    }

    fn queue(&self, turn: &Turn<'_>, listener: &Listener, outcome: Outcome, row: Row, known: Known<'_>) {
        let elapsed_ms = known.started_ms.map_or(0, |started| turn.now.ms.saturating_sub(started));
        turn.work.events.record(Record {
            at_ms: turn.now.unix_ms,
            outcome,
            stage: row.stage,
            reason: row.reason,
            peer: self.peer,
            listener: listener.name.clone(),
            principal: known.principal.cloned(),
            method: known.method,
            tool: known.tool.cloned(),
            status: row.status,
            elapsed_us: elapsed_ms.saturating_mul(1000),
            detail: known.detail.map(Into::into),
        });
    }
}
