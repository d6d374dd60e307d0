//! Decides one request. What depends on no condition is two `and`s; conditions are read only where they can turn the
//! decision, and each at most once a request.
//! Never: an allowance by a role whose condition can not be read; a denial passed over because its condition can not.
//! Next: `condition`.

use std::cell::Cell;

use super::condition::{Circumstances, Verdict};
use super::policy::{Masks, Policy, Shows};
use super::use_of;
use crate::pipeline::authenticate::Principal;
use crate::pipeline::envelope::Request;
use crate::pipeline::peer::Peer;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Now;
use crate::tools::registry::Kind;
use crate::wire::json::Value;
use crate::wire::mcp::Method;

/// Who asks, and from where.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Who it is.
    pub principal: &'a Principal,
    /// The other end.
    pub peer: Peer,
    /// Where it came in.
    pub listener: &'a Listener,
    /// The time.
    pub now: Now,
}

/// What a decision is for.
#[derive(Clone, Copy)]
pub enum Occasion<'a> {
    /// This request.
    Request(&'a Request<'a, 'a>),
    /// Whether something may be shown, or told of: as if it were used, with arguments nobody knows yet.
    Prospect,
}

/// A policy, for one caller on one occasion.
pub struct Rights<'a> {
    policy: &'a Policy,
    roles: u64,
    asker: Asker<'a>,
    occasion: Occasion<'a>,
    read: Cell<Read>,
    met_unreadable: Cell<bool>,
}

/// What is known of conditions by now, as roles.
#[derive(Clone, Copy, Default)]
struct Read {
    done: u64,
    /// Held, as far as it allows.
    allows: u64,
    /// Held, as far as it denies.
    denies: u64,
}

impl Policy {
    /// The policy, for that caller on that occasion.
    pub fn rights<'a>(&'a self, asker: Asker<'a>, occasion: Occasion<'a>) -> Rights<'a> {
        Rights {
            policy: self,
            roles: asker.principal.roles,
            asker,
            occasion,
            read: Cell::default(),
            met_unreadable: Cell::default(),
        }
    }
}

impl Rights<'_> {
    /// Whether the caller may use `method`, its target aside.
    pub fn allows_method(&self, method: Method) -> bool {
        // The handshake's second half, keep-alive and giving up are part of having a session at all.
        matches!(method, Method::Ping | Method::Initialized | Method::Cancelled)
            || self.allows(self.policy.of_method(method), method, "")
    }

    /// Whether the caller may use the entry of that kind and index in the registry, and of that name.
    pub fn allows_entry(&self, kind: Kind, index: usize, name: &str) -> bool {
        self.allows(self.policy.of_entry(kind, index), use_of(kind), name)
    }

    /// The same for a name that is not registered, so that only who may use it learns that it is not there.
    pub fn allows_name(&self, method: Method, name: &str) -> bool {
        self.allows(self.policy.of_name(method, name), method, name)
    }

    /// Whether the entry is in the caller's lists.
    pub fn shows_entry(&self, kind: Kind, index: usize, name: &str) -> bool {
        self.policy.shows == Shows::All || self.allows_entry(kind, index, name)
    }

    /// Whether a condition gave no answer.
    pub fn met_unreadable(&self) -> bool {
        self.met_unreadable.get()
    }

    /// Deny wins.
    fn allows(&self, masks: Masks, method: Method, name: &str) -> bool {
        if masks.allow & self.roles != 0 && masks.deny & self.roles == 0 {
            return true;
        }
        self.policy.conditional != 0 && self.weigh(masks, method, name)
    }

    /// What conditions make of it.
    #[cold]
    fn weigh(&self, Masks { own, .. }: Masks, method: Method, name: &str) -> bool {
        let policy = self.policy;
        let within_reach = policy.reach(self.roles);
        if own.allow & within_reach == 0 || own.deny & policy.sure(self.roles) != 0 {
            return false;
        }
        let has_a_say = own.allow | own.deny;
        let mut read = self.read.get();
        for (bit, role, condition) in policy.conditions(within_reach & !read.done) {
            if role.reach & has_a_say == 0 {
                continue;
            }
            let verdict = condition.judge(&self.circumstances(method, name));
            if verdict == Verdict::Unreadable {
                self.met_unreadable.set(true);
            }
            read.done |= bit;
            read.allows |= if verdict.allows() { bit } else { 0 };
            read.denies |= if verdict.denies() { bit } else { 0 };
        }
        let always = !policy.conditional;
        let allowing = policy.held(self.roles, always | read.allows);
        let denying = policy.held(self.roles, always | read.denies);
        self.read.set(match self.occasion {
            Occasion::Request(_) => read,
            // Another thing is another request, to a condition that asks what is requested.
            Occasion::Prospect => read.without(policy.depends_on_request),
        });
        own.allow & allowing != 0 && own.deny & denying == 0
    }

    fn circumstances<'f>(&'f self, method: Method, name: &'f str) -> Circumstances<'f> {
        let Asker { principal, peer, listener, now } = self.asker;
        match self.occasion {
            Occasion::Request(request) => {
                let member = |name| request.params.and_then(|params| params.member(name));
                let name = request.method.named_by().and_then(member).and_then(Value::as_str);
                let arguments = Some(member("arguments"));
                let name = name.unwrap_or_default();
                Circumstances {
                    method: request.method.name(),
                    name,
                    arguments,
                    principal,
                    peer,
                    listener,
                    now,
                }
            }
            Occasion::Prospect => {
                Circumstances { method: method.name(), name, arguments: None, principal, peer, listener, now }
            }
        }
    }
}

impl Read {
    fn without(self, roles: u64) -> Self {
        Self { done: self.done & !roles, allows: self.allows & !roles, denies: self.denies & !roles }
    }
}

impl Verdict {
    fn allows(self) -> bool {
        match self {
            Self::Held | Self::Open => true,
            Self::NotHeld | Self::Unreadable => false,
        }
    }

    fn denies(self) -> bool {
        match self {
            Self::Held | Self::Unreadable => true,
            Self::NotHeld | Self::Open => false,
        }
    }
}
