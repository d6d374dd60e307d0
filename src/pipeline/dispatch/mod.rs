//! The stage that runs what was asked: a method of the protocol, or a handler of a tool, resource, prompt or completion.
//! A handler's panic or delay is its own: it is answered with an error and the connection lives.
//! Never: a caller that was not authorized; a tool found by anything but the body.
//! Next: `call` for running one, `conclude` for what becomes of its outcome, `lists`, `changes`, `tasks`, `legacy`.

mod changes;
pub(super) mod conclude;
mod content;
mod call;
mod legacy;
mod lists;
pub(super) mod message;
pub mod result;
pub(super) mod retry;
mod tasks;

use super::authenticate::Principal;
use super::authorize::{Asker, Target};
use super::envelope::Request;
use super::framing::Delivery;
use super::headers::Headers;
use super::hub::key::{Key, Owner};
use super::job::Job;
use super::peer::Peer;
use super::respond::{Refusal, Row};
use super::seal::principal_digest;
use super::snapshot::Listener;
use super::turn::{Now, Turn};
use crate::tools::registry::Kind;
use crate::wire::mcp::Method;

pub(super) use conclude::ANSWERED;

/// Who asks, over what, and how it can be answered.
#[derive(Clone, Copy)]
pub struct Visitor<'v> {
    /// Who it is.
    pub principal: &'v Principal,
    /// The other end.
    pub peer: Peer,
    /// Where it came in.
    pub listener: &'v Listener,
    /// What forms of answer it takes.
    pub delivery: Delivery,
    /// What the transport's headers say.
    pub headers: &'v Headers<'v>,
}

impl Visitor<'_> {
    /// As the policy asks.
    pub fn asker(&self, now: Now) -> Asker<'_> {
        Asker { principal: self.principal, peer: self.peer, listener: self.listener, now }
    }

    /// To whom belongs what the request makes.
    pub fn owner(&self, request: &Request<'_, '_>) -> Owner {
        match request.session {
            Some(claims) => Owner { principal: claims.principal, session: claims.nonce },
            None => Owner { principal: principal_digest(&self.principal.id), session: [0; 16] },
        }
    }
}

/// What came of a request.
pub enum Dispatched {
    /// The turn's body holds the answer.
    Answered(Row),
    /// The turn's body holds the answer to a handshake, whose session id goes into the head.
    Session(String),
    /// A handler runs; what it writes has yet to be given a stream.
    Running(Box<Job>),
    /// The answer comes to that stream.
    Awaiting(Key),
}

/// Runs an authorized request.
///
/// # Errors
/// The refusal to answer instead.
pub fn dispatch<'i>(
    request: &Request<'_, 'i>,
    target: Target,
    visitor: &Visitor<'_>,
    turn: &mut Turn<'_>,
) -> Result<Dispatched, Refusal<'i>> {
    let list = |kind, turn: &mut Turn<'_>| {
        lists::page(request, kind, visitor, turn).map(|()| Dispatched::Answered(ANSWERED))
    };
    match request.method {
        Method::ToolsCall => call::call(request, target, visitor, turn),
        Method::ResourcesRead => call::read(request, target, visitor, turn),
        Method::PromptsGet => call::get(request, target, visitor, turn),
        Method::Complete => call::complete(request, visitor, turn),
        Method::Discover => {
            result::encode_discover(&mut turn.work.body, request, turn.snapshot);
            Ok(Dispatched::Answered(ANSWERED))
        }
        Method::ToolsList => list(Kind::Tools, turn),
        Method::ResourcesList => list(Kind::Resources, turn),
        Method::TemplatesList => list(Kind::Templates, turn),
        Method::PromptsList => list(Kind::Prompts, turn),
        Method::Listen => changes::listen(request, visitor, turn),
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => tasks::ask(request, visitor, turn),
        Method::Initialize => legacy::initialize(request, visitor.principal, turn),
        Method::Ping => {
            result::encode_empty(&mut turn.work.body, request);
            Ok(Dispatched::Answered(ANSWERED))
        }
        Method::SetLevel => legacy::set_level(request, turn),
        Method::Subscribe | Method::Unsubscribe => legacy::subscribe(request, visitor, turn),
        Method::Initialized | Method::Cancelled => Err(Refusal::MethodNotFound(request.revision.era())),
    }
}
