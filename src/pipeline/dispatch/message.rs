//! The messages a running handler sends beside its answer: progress, log entries, and what it asks its client.
//! Next: `job.rs`, which sends them.

use crate::tools::ask::Ask;
use crate::tools::{LogMessage, Progress};
use crate::wire::json::encode::{encode_integer, encode_str};
use crate::wire::jsonrpc::Id;
use crate::wire::mcp::{Era, Revision};

/// A progress notification.
pub(in crate::pipeline) fn encode_progress(token: Id<'_>, report: &Progress) -> Vec<u8> {
    let Progress { progress, total, message } = report;
    let mut out =
        b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":".to_vec();
    token.encode(&mut out);
    out.extend_from_slice(b",\"progress\":");
    encode_number(&mut out, *progress);
    if let Some(total) = total.filter(|total| total.is_finite()) {
        out.extend_from_slice(b",\"total\":");
        encode_number(&mut out, total);
    }
    if let Some(message) = message {
        out.extend_from_slice(b",\"message\":");
        encode_str(&mut out, message);
    }
    out.extend_from_slice(b"}}");
    out
}

/// A log notification.
pub(in crate::pipeline) fn encode_log(entry: &LogMessage) -> Vec<u8> {
    let mut out =
        b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":".to_vec();
    encode_str(&mut out, entry.level.name());
    if let Some(logger) = &entry.logger {
        out.extend_from_slice(b",\"logger\":");
        encode_str(&mut out, logger);
    }
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(entry.data.as_bytes());
    out.extend_from_slice(b"}}");
    out
}

/// Tells a legacy client that its answer to a question is no longer awaited.
pub(in crate::pipeline) fn encode_cancelled(id: &str) -> Vec<u8> {
    let mut out =
        b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":".to_vec();
    encode_str(&mut out, id);
    out.extend_from_slice(b",\"reason\":\"no answer in time\"}}");
    out
}

/// A request of ours to a legacy client.
pub(in crate::pipeline) fn encode_question(id: &str, ask: &Ask, revision: Revision) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
    encode_str(&mut out, id);
    out.push(b',');
    let ask = encode_ask(ask, revision.era(), Some(id));
    out.extend_from_slice(ask.strip_prefix(b"{").unwrap_or(&ask));
    out
}

/// `{"method":…,"params":{…}}`. A legacy URL needs an id of its own, for which the question's serves.
pub(in crate::pipeline) fn encode_ask(ask: &Ask, era: Era, id: Option<&str>) -> Vec<u8> {
    let mut out = b"{\"method\":".to_vec();
    match ask {
        Ask::Form { message, schema } => {
            out.extend_from_slice(b"\"elicitation/create\",\"params\":{");
            // Revisions before 2025-11-25 know forms only, and no word for them.
            if era == Era::Modern {
                out.extend_from_slice(b"\"mode\":\"form\",");
            }
            out.extend_from_slice(b"\"message\":");
            encode_str(&mut out, message);
            out.extend_from_slice(b",\"requestedSchema\":");
            out.extend_from_slice(schema.as_bytes());
            out.push(b'}');
        }
        Ask::Url { message, url } => {
            out.extend_from_slice(b"\"elicitation/create\",\"params\":{\"mode\":\"url\",\"message\":");
            encode_str(&mut out, message);
            out.extend_from_slice(b",\"url\":");
            encode_str(&mut out, url);
            if let (Era::Legacy, Some(id)) = (era, id) {
                out.extend_from_slice(b",\"elicitationId\":");
                encode_str(&mut out, id);
            }
            out.push(b'}');
        }
        Ask::Sample { params } => {
            out.extend_from_slice(b"\"sampling/createMessage\",\"params\":");
            out.extend_from_slice(params.as_bytes());
        }
        Ask::Roots => out.extend_from_slice(b"\"roots/list\",\"params\":{}"),
    }
    out.push(b'}');
    out
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
