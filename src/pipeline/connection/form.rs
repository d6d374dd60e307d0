//! The forms in which a connection writes what it reads of a stream, and whether events carry ids.
//! Next: `attached`, the reader.

use crate::pipeline::framing::Delivery;
use crate::wire::mcp::Revision;

/// How what is read is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON body: the answer.
    Json,
    /// A status: whether the message was taken.
    Receipt,
    /// One JSON body: an array of answers.
    JsonArray,
    /// JSON if nothing comes before the answer, else events.
    Either,
    /// Events; an error that comes first is answered with its status.
    Events,
    /// Events; the stream opens as soon as it has a name, so that there is something to come back to.
    Stream,
}

/// Whether events carry ids, so that the reader can come back for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// A modern stream ends with its connection.
    None,
    /// Each event has one.
    Sent,
    /// The same, and the client is told when to come back.
    Introduced,
    /// The same, and an empty event comes first, so that there is an id before there is news.
    Primed,
}

impl Ids {
    /// What clients of a revision understand.
    // MCP 2025-11-25, Streamable HTTP: a stream begins with an event that has an id and no data. Older clients choke on it.
    pub(super) fn of(revision: Revision) -> Self {
        match revision {
            Revision::V20260728 => Self::None,
            Revision::V20251125 => Self::Primed,
            Revision::V20250618 | Revision::V20250326 | Revision::V20241105 => Self::Sent,
        }
    }
}

/// How the answer of a request may be given.
pub(super) fn form_of(delivery: Delivery) -> Form {
    match delivery {
        Delivery::Json => Form::Json,
        Delivery::JsonOrStream => Form::Either,
        Delivery::Stream => Form::Events,
    }
}
