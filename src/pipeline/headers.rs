//! What is said about a message beside it: by HTTP's headers, or by the connection that carries nothing else.
//! Never: a session of another principal, an ended one, or one past its time.
//! Next: `envelope`, which holds it against the body.

use super::authenticate::Principal;
use super::respond::Refusal;
use super::seal::{Sealer, principal_digest};
use super::spent::Spent;
use crate::wire::http::head::Head;
use crate::wire::mcp::session::Claims;
use crate::wire::mcp::{Era, Revision};

/// What a message is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting {
    /// An HTTP request, whose headers must agree with the body.
    #[default]
    Request,
    /// A connection that has no headers.
    Connection,
    /// The same after a legacy handshake: the session is the connection's.
    Session(Claims),
}

/// What the transport's headers say about the message.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    /// Where the message stands.
    pub setting: Setting,
    /// `MCP-Protocol-Version`
    pub protocol_version: Option<&'a [u8]>,
    /// `Mcp-Method`
    pub method: Option<&'a [u8]>,
    /// `Mcp-Name`
    pub name: Option<&'a [u8]>,
    /// `Mcp-Session-Id`
    pub session: Option<&'a [u8]>,
    /// `Last-Event-ID`
    pub last_event_id: Option<&'a [u8]>,
    /// All of them.
    pub head: Option<&'a Head<'a, 'a>>,
}

impl<'a> Headers<'a> {
    /// From an HTTP head.
    pub fn decode(head: &'a Head<'a, 'a>) -> Self {
        Self {
            setting: Setting::Request,
            last_event_id: head.known.last_event_id,
            head: Some(head),
            protocol_version: head.known.mcp_protocol_version,
            method: head.known.mcp_method,
            name: head.known.mcp_name,
            session: head.known.mcp_session_id,
        }
    }

    /// Of a connection without headers.
    pub fn none(session: Option<Claims>) -> Self {
        let setting = session.map_or(Setting::Connection, Setting::Session);
        Self { setting, ..Self::default() }
    }

    /// Whether the transport has none.
    pub fn are_absent(&self) -> bool {
        self.setting != Setting::Request
    }

    /// Whether they name a session.
    pub(super) fn have_session(&self) -> bool {
        match self.setting {
            Setting::Request => self.session.is_some(),
            Setting::Connection => false,
            Setting::Session(_) => true,
        }
    }

    /// The only value of `Mcp-Param-{name}`; none when it stands twice.
    pub fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        const PREFIX: &str = "mcp-param-";
        let is_it = |field: &str| {
            field.split_at_checked(PREFIX.len()).is_some_and(|(prefix, rest)| {
                prefix.eq_ignore_ascii_case(PREFIX) && rest.eq_ignore_ascii_case(name)
            })
        };
        let mut values = self.head?.fields().filter(|(field, _)| is_it(field)).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() { None } else { value }
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        std::str::from_utf8(self.protocol_version?).ok().and_then(Revision::decode)
    }

    /// What they alone say; for messages that carry no metadata.
    pub(super) fn era(&self) -> Era {
        match self.setting {
            Setting::Request => self.revision().map_or(Era::Legacy, Revision::era),
            Setting::Connection => Era::Modern,
            Setting::Session(_) => Era::Legacy,
        }
    }
}

/// What the envelope needs to know of sessions.
#[derive(Clone, Copy)]
pub struct Sessions<'s> {
    /// Opens their ids.
    pub sealer: &'s Sealer,
    /// Those that were ended.
    pub spent: &'s Spent,
    /// Unix seconds.
    pub now_s: u64,
    /// How long one lives. Seconds.
    pub ttl_s: u64,
}

impl Sessions<'_> {
    /// The claims of the session that the headers name. One of another principal does not exist.
    ///
    /// # Errors
    /// When none is named, or when it is not ours, not the principal's, too old or ended.
    pub fn open(&self, headers: &Headers<'_>, principal: &Principal) -> Result<Claims, Refusal<'static>> {
        match headers.setting {
            Setting::Request => {}
            Setting::Connection => return Err(Refusal::Uninitialized),
            Setting::Session(claims) => return Ok(claims),
        }
        let id = headers.session.ok_or(Refusal::SessionMissing)?;
        let is_alive = |claims: &Claims| {
            claims.principal == principal_digest(&principal.id)
                && self.now_s < claims.end_s(self.ttl_s)
                && !self.spent.is_ended(claims.nonce, self.now_s)
        };
        self.sealer.open(id).filter(is_alive).ok_or(Refusal::SessionUnknown)
    }
}
