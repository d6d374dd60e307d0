//! What a modern client has asked to be told of, and what changes can be told.
//! Never: a kind of change that was not asked for.
//! Next: `mod.rs`, which tells them.

use std::sync::Arc;

use super::key::Key;
use crate::wire::json::encode::encode_str;
use crate::wire::jsonrpc::{OwnedId, encode_result_start};
use crate::wire::mcp::meta::SUBSCRIPTION_ID;

/// Resources and tasks one subscription may name.
pub const LISTEN_NAMES_MAX: usize = 64;

/// Lists that can change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// `tools/list`
    pub tools: bool,
    /// `prompts/list`
    pub prompts: bool,
    /// `resources/list` and `resources/templates/list`
    pub resources: bool,
}

impl Lists {
    /// Whether any of them is meant.
    pub fn any(self) -> bool {
        self.tools || self.prompts || self.resources
    }
}

/// Something that clients can ask to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Lists have new contents.
    Lists(Lists),
    /// A resource has new contents.
    Resource(Arc<str>),
    /// A task has a new state, with its members as JSON.
    Task {
        /// The task.
        task: Key,
        /// Whose it is.
        principal: [u8; 16],
        /// Its members, separated by commas.
        members: Arc<[u8]>,
    },
}

/// Longest URI that can be subscribed to; it is kept as long as the subscription. Bytes.
pub const URI_BYTES_MAX: usize = 2048;

/// One subscription.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The id of the request that asked, which tags every notification.
    pub id: OwnedId,
    /// Lists.
    pub lists: Lists,
    /// Resources by URI.
    pub resources: Vec<Arc<str>>,
    /// Tasks.
    pub tasks: Vec<Key>,
}

impl Listen {
    /// Appends what is honoured, as the acknowledgement says it.
    pub fn encode_filter(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let comma = |out: &mut Vec<u8>| {
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
        };
        for (is_honoured, name) in [
            (self.lists.tools, "toolsListChanged"),
            (self.lists.prompts, "promptsListChanged"),
            (self.lists.resources, "resourcesListChanged"),
        ] {
            if is_honoured {
                comma(out);
                encode_str(out, name);
                out.extend_from_slice(b":true");
            }
        }
        if !self.resources.is_empty() {
            comma(out);
            out.extend_from_slice(b"\"resourceSubscriptions\":");
            encode_list(out, self.resources.iter().map(AsRef::as_ref));
        }
        if !self.tasks.is_empty() {
            comma(out);
            out.extend_from_slice(b"\"taskIds\":");
            let names: Vec<String> = self.tasks.iter().map(|task| task.encode()).collect();
            encode_list(out, names.iter().map(String::as_str));
        }
        out.push(b'}');
    }

    /// Appends `"_meta":{…}` with the subscription's tag.
    pub fn encode_tag(&self, out: &mut Vec<u8>) {
        encode_tag(out, &self.id);
    }

    /// The first message: what is honoured.
    pub fn encode_acknowledged(&self) -> Vec<u8> {
        let mut out = start("notifications/subscriptions/acknowledged");
        self.encode_tag(&mut out);
        out.extend_from_slice(b",\"notifications\":");
        self.encode_filter(&mut out);
        out.extend_from_slice(b"}}");
        out
    }

    /// What a server that ends a subscription says first.
    // MCP 2026-07-28 asks for this on one page and for a result on another, so both are sent.
    pub fn encode_cancelled(&self) -> Vec<u8> {
        let mut out = start("notifications/cancelled");
        out.extend_from_slice(b"\"requestId\":");
        self.id.as_id().encode(&mut out);
        out.extend_from_slice(b",\"reason\":\"the server ends the subscription\",");
        self.encode_tag(&mut out);
        out.extend_from_slice(b"}}");
        out
    }

    /// The answer to the request that asked, which ends the stream.
    pub fn encode_end(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode_result_start(&mut out, self.id.as_id());
        out.extend_from_slice(b"{\"resultType\":\"complete\",");
        self.encode_tag(&mut out);
        out.extend_from_slice(b"}}");
        out
    }

    /// The notifications that this change is to this subscription.
    pub fn notifications(&self, change: &Change, principal: [u8; 16]) -> Vec<Vec<u8>> {
        let tagged = |method: &str, members: &[u8]| {
            let mut out = start(method);
            self.encode_tag(&mut out);
            if !members.is_empty() {
                out.push(b',');
                out.extend_from_slice(members);
            }
            out.extend_from_slice(b"}}");
            out
        };
        match change {
            Change::Lists(lists) => list_methods(*lists)
                .zip([self.lists.tools, self.lists.prompts, self.lists.resources])
                .filter_map(|(method, is_wanted)| method.filter(|_| is_wanted))
                .map(|method| tagged(method, b""))
                .collect(),
            Change::Resource(uri) if self.resources.contains(uri) => {
                vec![tagged("notifications/resources/updated", &uri_member(uri))]
            }
            Change::Task { task, principal: owner, members } => {
                let is_told = *owner == principal && self.tasks.contains(task);
                is_told.then(|| tagged("notifications/tasks", members)).into_iter().collect()
            }
            Change::Resource(_) => Vec::new(),
        }
    }
}

/// Appends `"_meta":{…}` with the tag of the subscription that the request of that id opened.
pub fn encode_tag(out: &mut Vec<u8>, id: &OwnedId) {
    out.extend_from_slice(b"\"_meta\":{");
    encode_str(out, SUBSCRIPTION_ID);
    out.push(b':');
    id.as_id().encode(out);
    out.push(b'}');
}

/// The notifications that this change is to a legacy session with those subscriptions.
pub fn legacy_notifications(change: &Change, subscriptions: &[Arc<str>]) -> Vec<Vec<u8>> {
    match change {
        Change::Lists(lists) => list_methods(*lists)
            .flatten()
            .map(|method| {
                let mut out = b"{\"jsonrpc\":\"2.0\",\"method\":".to_vec();
                encode_str(&mut out, method);
                out.push(b'}');
                out
            })
            .collect(),
        Change::Resource(uri) if subscriptions.contains(uri) => {
            let mut out = start("notifications/resources/updated");
            out.extend_from_slice(&uri_member(uri));
            out.extend_from_slice(b"}}");
            vec![out]
        }
        Change::Resource(_) | Change::Task { .. } => Vec::new(),
    }
}

fn start(method: &str) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"method\":".to_vec();
    encode_str(&mut out, method);
    out.extend_from_slice(b",\"params\":{");
    out
}

fn uri_member(uri: &str) -> Vec<u8> {
    let mut out = b"\"uri\":".to_vec();
    encode_str(&mut out, uri);
    out
}

fn list_methods(lists: Lists) -> impl Iterator<Item = Option<&'static str>> {
    [
        lists.tools.then_some("notifications/tools/list_changed"),
        lists.prompts.then_some("notifications/prompts/list_changed"),
        lists.resources.then_some("notifications/resources/list_changed"),
    ]
    .into_iter()
}

fn encode_list<'n>(out: &mut Vec<u8>, names: impl Iterator<Item = &'n str>) {
    out.push(b'[');
    for (at, name) in names.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode_str(out, name);
    }
    out.push(b']');
}
