//! What is written down about a request: one record, when it is refused or when everything is recorded.
//! Never: an argument, a credential, a body.
//! Next: `event`, where records go.

use std::sync::Arc;

use super::Connection;
use crate::pipeline::authenticate::Principal;
use crate::pipeline::authorize::Target;
use crate::pipeline::envelope::Request;
use crate::pipeline::event::{AccessLog, Outcome, Record};
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
}

impl Connection {
    pub(super) fn note_answer(
        &self,
        request: &Request<'_, '_>,
        target: Target,
        principal: &Principal,
        listener: &Listener,
        row: Row,
        turn: &Turn<'_>,
    ) {
        if row.code == 0 && turn.snapshot.access_log == AccessLog::Refused {
            return;
        }
        let tool = match target {
            Target::Tool(tool) => turn.snapshot.registry.tool(tool).map(|tool| tool.shared_name()),
            Target::Method | Target::Resource(_) | Target::Template(_) | Target::Prompt(_) => None,
        };
        let known = Known {
            principal: Some(&principal.id),
            method: request.method.name(),
            tool: tool.as_ref(),
            ..Known::default()
        };
        let outcome = if row.code == 0 { Outcome::Answered } else { Outcome::Refused };
        self.queue(turn, listener, outcome, row, known);
    }

    /// Records a refusal.
    pub(super) fn note(&self, turn: &Turn<'_>, listener: &Listener, row: Row, known: Known<'_>) {
        self.queue(turn, listener, Outcome::Refused, row, known);
    }

    fn queue(&self, turn: &Turn<'_>, listener: &Listener, outcome: Outcome, row: Row, known: Known<'_>) {
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
            elapsed_us: 0,
            detail: known.detail.map(Into::into),
        });
    }
}
