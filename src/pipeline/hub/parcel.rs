//! What shards tell each other about streams, sessions and tasks. A shard reads its parcels before it takes a turn, so
//! whatever was sent before an answer left is known before the next request is read, on whichever shard that arrives.
//! Never: a reference to something of the sender's; a secret.
//! Next: `mod.rs`, which sends and reads them.

use std::sync::Arc;

use super::key::{Key, Owner};
use super::listen::Change;
use super::stream::Event;
use crate::tools::LogLevel;
use crate::wire::jsonrpc::OwnedId;

/// Parcels that may wait for one shard.
pub const PARCELS_MAX: usize = 4096;
/// Of those on their way out, how many may be news, which a client can send as many of as it likes.
pub const NEWS_MAX: usize = PARCELS_MAX / 2;

/// What a client answered to a request of ours: a result as JSON, or an error.
pub type ClientAnswer = Result<Vec<u8>, (i64, String)>;

/// One thing to tell another shard.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// A reader wants what comes after that place of a stream.
    Pull {
        /// The stream.
        stream: Key,
        /// Who is asking.
        owner: Owner,
        /// The last place it has.
        after: u64,
        /// Where to send it.
        to: Key,
    },
    /// The same for the stream of a session, from its newest place on.
    PullSession {
        /// The session.
        owner: Owner,
        /// Where to send it.
        to: Key,
        /// Random, for the stream's name if it has to be made.
        nonce: u128,
    },
    /// What was pulled, or, with no messages, the name of a stream that has none yet.
    Events {
        /// Where it was asked for.
        to: Key,
        /// The stream it comes from.
        from: Key,
        /// The place they follow.
        after: u64,
        /// Messages in order.
        events: Vec<Event>,
        /// What follows them.
        then: Then,
    },
    /// A reader has gone.
    Detach {
        /// What it read.
        stream: Key,
        /// Where that was sent.
        to: Key,
    },
    /// A client answered a question.
    Answer {
        /// The question.
        question: Key,
        /// Who answers.
        owner: Owner,
        /// What.
        answer: ClientAnswer,
    },
    /// A legacy client gives up on a request.
    Cancel {
        /// Who.
        owner: Owner,
        /// Which.
        id: OwnedId,
    },
    /// A session wants log messages from that level on.
    Level {
        /// Its nonce.
        session: [u8; 16],
        /// The least severe.
        level: LogLevel,
    },
    /// A session wants to be told of a resource, or no longer.
    Subscribe {
        /// The session.
        owner: Owner,
        /// The resource.
        uri: Arc<str>,
        /// Whether it does.
        is_wanted: bool,
        /// Random, for the stream's name if it has to be made.
        nonce: u128,
    },
    /// Something changed.
    Change(Change),
    /// A question about a task, or a word to it.
    Task(TaskRequest),
    /// A session is over.
    EndSession(Owner),
    /// A message for a connection of the receiver's.
    Post {
        /// Its inbox.
        channel: Key,
        /// Who posts.
        principal: [u8; 16],
        /// A JSON-RPC message.
        message: Vec<u8>,
        /// Messages that may wait there.
        messages_max: usize,
        /// Where to say what came of it.
        to: Key,
    },
}

impl Parcel {
    /// Whether somebody waits for what comes of it, and would wait for ever.
    pub(super) fn is_awaited(&self) -> bool {
        match self {
            Self::Pull { .. }
            | Self::PullSession { .. }
            | Self::Events { .. }
            | Self::Detach { .. }
            | Self::Task(_)
            | Self::EndSession(_)
            | Self::Post { .. } => true,
            Self::Answer { .. }
            | Self::Cancel { .. }
            | Self::Level { .. }
            | Self::Subscribe { .. }
            | Self::Change(_) => false,
        }
    }
}

/// What follows pulled messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// More may come.
    More,
    /// Nothing.
    Over,
    /// There is no such stream for the one who asked.
    Gone,
    /// There is no room.
    Full,
}

/// A request about a task, on its way to the shard that keeps it.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// The task.
    pub task: Key,
    /// Who is asking.
    pub principal: [u8; 16],
    /// The id of the request.
    pub id: OwnedId,
    /// What is asked.
    pub operation: TaskOperation,
    /// Where the answer goes.
    pub to: Key,
}

/// What can be asked of a task.
#[derive(Clone, Debug)]
pub enum TaskOperation {
    /// How it stands.
    Show,
    /// To take answers to what it has asked.
    Update(Vec<(String, Vec<u8>)>),
    /// To stop.
    Cancel,
}
