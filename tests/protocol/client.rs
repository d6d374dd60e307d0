//! Requests of both eras as their clients write them.
//! Next: `offer`, the server they meet.

use mcpring::tools::Catalog;
use serde_json::{Value, json};

use crate::fixture::{Answer, KEY, post};
use crate::offer::{catalog, snapshot_of};
use crate::shards::{Carry, Shards};

/// Another key whose role may do everything.
pub(crate) const OTHER_KEY: &str = "mrk_other_secret";

/// Everything a client can be asked, and tasks.
pub(crate) fn all_capabilities() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {},
           "extensions": {"io.modelcontextprotocol/tasks": {}}})
}

/// The same without tasks.
pub(crate) fn answering() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}})
}

/// A modern client.
#[derive(Clone)]
pub(crate) struct Modern {
    pub(crate) key: &'static str,
    pub(crate) capabilities: Value,
    /// Further members of `_meta`.
    pub(crate) meta: Value,
    /// Further header lines.
    pub(crate) headers: String,
    pub(crate) accept: &'static str,
}

impl Modern {
    pub(crate) fn new() -> Self {
        Self {
            key: KEY,
            capabilities: json!({}),
            meta: json!({}),
            headers: String::new(),
            accept: "application/json, text/event-stream",
        }
    }

    pub(crate) fn with(capabilities: Value) -> Self {
        Self { capabilities, ..Self::new() }
    }

    pub(crate) fn request(&self, id: impl Into<Value>, method: &str, params: Value) -> Vec<u8> {
        let mut params = params;
        let named = match method {
            "tools/call" | "prompts/get" => params.get("name"),
            "resources/read" => params.get("uri"),
            "tasks/get" | "tasks/update" | "tasks/cancel" => params.get("taskId"),
            _ => None,
        };
        let named =
            named.and_then(Value::as_str).map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let mut meta = self.meta.clone();
        meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        params["_meta"] = meta;
        let body = json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params});
        let fields = format!(
            "Authorization: Bearer {}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{named}{}",
            self.key, self.headers
        );
        accepting(&post(&fields, &body.to_string()), self.accept)
    }

    pub(crate) fn call(&self, id: impl Into<Value>, name: &str, arguments: Value) -> Vec<u8> {
        self.request(id, "tools/call", json!({"name": name, "arguments": arguments}))
    }
}

/// The same request with other wishes for its answer.
pub(crate) fn accepting(request: &[u8], accept: &str) -> Vec<u8> {
    let text = std::str::from_utf8(request).expect("requests are text");
    text.replacen("application/json, text/event-stream", accept, 1).into_bytes()
}

/// A legacy client.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) revision: &'static str,
    pub(crate) key: &'static str,
}

impl Session {
    /// Shakes hands.
    #[track_caller]
    pub(crate) fn start(shards: &mut Shards, revision: &'static str, capabilities: Value) -> Self {
        Self::start_as(KEY, shards, revision, capabilities)
    }

    #[track_caller]
    pub(crate) fn start_as(
        key: &'static str,
        shards: &mut Shards,
        revision: &'static str,
        capabilities: Value,
    ) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": capabilities,
            "clientInfo": {"name": "c", "version": "1"}}});
        let answer = shards.ask(&post(&format!("Authorization: Bearer {key}\r\n"), &body.to_string()));
        assert_eq!(answer.json()["result"]["protocolVersion"], revision);
        let id = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        let session = Self { id: id.expect("a session").to_owned(), revision, key };
        let ready = session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(shards.ask(&ready).status, 202);
        session
    }

    fn fields(&self) -> String {
        // Clients of 2025-03-26 do not know the header.
        let version = match self.revision {
            "2025-03-26" => String::new(),
            revision => format!("MCP-Protocol-Version: {revision}\r\n"),
        };
        format!("Authorization: Bearer {}\r\nMcp-Session-Id: {}\r\n{version}", self.key, self.id)
    }

    pub(crate) fn post(&self, body: &Value) -> Vec<u8> {
        post(&self.fields(), &body.to_string())
    }

    pub(crate) fn request(&self, id: impl Into<Value>, method: &str, params: Value) -> Vec<u8> {
        self.post(&json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}))
    }

    pub(crate) fn call(&self, id: impl Into<Value>, name: &str, arguments: Value) -> Vec<u8> {
        self.request(id, "tools/call", json!({"name": name, "arguments": arguments}))
    }

    pub(crate) fn cancel(&self, id: impl Into<Value>) -> Vec<u8> {
        self.post(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id.into()}}))
    }

    pub(crate) fn get(&self, last_event_id: Option<&str>) -> Vec<u8> {
        let last = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}{last}\r\n",
            self.fields()
        )
        .into_bytes()
    }

    pub(crate) fn delete(&self) -> Vec<u8> {
        format!("DELETE /mcp HTTP/1.1\r\nHost: localhost\r\n{}\r\n", self.fields()).into_bytes()
    }

    /// Answers a question of the server's.
    pub(crate) fn reply(&self, question: &Value, result: Value) -> Vec<u8> {
        self.post(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}))
    }
}

/// A form filled in.
pub(crate) fn accept(content: Value) -> Value {
    json!({"action": "accept", "content": content})
}

/// The code of an error.
pub(crate) fn code(answer: &Answer) -> i64 {
    answer.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {:?}", answer.json()))
}

/// The first text of a tool's result.
pub(crate) fn text(message: &Value) -> String {
    message["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {message}"))
        .to_owned()
}

/// Fleets a rule must hold in.
pub(crate) fn fleets() -> Vec<(Shards, Catalog)> {
    let sizes = [
        (1, Carry::InOrder),
        (2, Carry::InOrder),
        (8, Carry::InOrder),
        (8, Carry::Shuffled(11)),
        (3, Carry::Shuffled(5)),
    ];
    let fleet = |(count, carry)| {
        let catalog = catalog();
        (Shards::new(count, carry, &snapshot_of(&catalog, |_| {})), catalog)
    };
    sizes.into_iter().map(fleet).collect()
}

/// The default snapshot.
pub(crate) fn catalog_snapshot() -> std::sync::Arc<mcpring::pipeline::snapshot::Snapshot> {
    snapshot_of(&catalog(), |_| {})
}

/// One shard with its snapshot changed.
pub(crate) fn lone(change: impl FnOnce(&mut mcpring::pipeline::snapshot::Snapshot)) -> Shards {
    Shards::new(1, Carry::InOrder, &snapshot_of(&catalog(), change))
}
