//! A tool that takes its time: its future, its deadline, and what it has reported.
//! Dropping it is how it is cancelled.
//! Never: a poll after it has finished; a notification for a token nobody gave.
//! Next: `connection`, which polls it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use super::CallFailure;
use crate::pipeline::envelope::Request;
use crate::pipeline::turn::{Now, Turn};
use crate::tools::context::Emission;
use crate::tools::{Context, Progress, Reply, Running};
use crate::wire::json::encode::{encode_integer, encode_str};
use crate::wire::jsonrpc::Id;
use crate::wire::mcp::Revision;

/// An id or token that outlives the message it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedId {
    /// An integer.
    Integer(i128),
    /// A string.
    Text(Box<str>),
}

impl OwnedId {
    /// A view.
    pub fn as_id(&self) -> Id<'_> {
        match self {
            Self::Integer(number) => Id::Integer(*number),
            Self::Text(text) => Id::Text(text),
        }
    }
}

impl From<Id<'_>> for OwnedId {
    fn from(id: Id<'_>) -> Self {
        match id {
            Id::Integer(number) => Self::Integer(number),
            Id::Text(text) => Self::Text(text.into()),
        }
    }
}

/// A call in flight.
pub struct RunningCall {
    future: Running,
    context: Context,
    id: OwnedId,
    revision: Revision,
    token: Option<OwnedId>,
    tool: Arc<str>,
    deadline_ms: u64,
}

impl RunningCall {
    pub(super) fn new(
        future: Running,
        context: Context,
        request: &Request<'_, '_>,
        tool: Arc<str>,
        turn: &Turn<'_>,
    ) -> Self {
        let timeout = turn.snapshot.limits.request_timeout;
        Self {
            future,
            context,
            id: request.id.into(),
            revision: request.revision,
            token: request.progress_token.map(OwnedId::from),
            tool,
            deadline_ms: turn.now.ms.saturating_add(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Polls the tool once; ready with its outcome, at the latest at its deadline.
    pub fn poll(&mut self, now: Now, turn: &Turn<'_>) -> Poll<Result<Reply, CallFailure>> {
        self.context.advance(now.ms);
        let (future, context) = (self.future.as_mut(), &self.context);
        match catch_unwind(AssertUnwindSafe(|| context.poll(future, turn.waker))) {
            Ok(Poll::Ready(outcome)) => Poll::Ready(outcome.map_err(CallFailure::Tool)),
            Ok(Poll::Pending) if now.ms >= self.deadline_ms => Poll::Ready(Err(CallFailure::TimedOut)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(CallFailure::Panicked)),
        }
    }

    /// When it must be polled at the latest.
    pub fn deadline_ms(&self) -> u64 {
        self.context.wake_at_ms().map_or(self.deadline_ms, |at| at.min(self.deadline_ms))
    }

    /// The id of its request.
    pub fn id(&self) -> Id<'_> {
        self.id.as_id()
    }

    /// The revision it is answered in.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The tool's name.
    pub fn tool(&self) -> &Arc<str> {
        &self.tool
    }

    /// Appends the oldest progress report as a notification; false when there is none, or none is wanted.
    pub fn encode_progress(&self, out: &mut Vec<u8>) -> bool {
        let (Some(Emission::Progress(report)), Some(token)) = (self.context.poll_emission(), &self.token)
        else {
            return false;
        };
        let Progress { progress, total, message } = report;
        out.extend_from_slice(
            b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":",
        );
        token.as_id().encode(out);
        out.extend_from_slice(b",\"progress\":");
        encode_number(out, progress);
        if let Some(total) = total.filter(|total| total.is_finite()) {
            out.extend_from_slice(b",\"total\":");
            encode_number(out, total);
        }
        if let Some(message) = message {
            out.extend_from_slice(b",\"message\":");
            encode_str(out, &message);
        }
        out.extend_from_slice(b"}}");
        true
    }
}

/// Whole numbers without a fraction, as clients print them.
fn encode_number(out: &mut Vec<u8>, number: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, just checked")]
        encode_integer(out, number as i64);
    } else {
        out.extend_from_slice(number.to_string().as_bytes());
    }
}
