//! The client's side of the connection: it notes what it is told, and answers what it is asked.
//! Never: a judgement; that is `main`'s.
//! Next: `main`, which compares.

use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use rmcp::model::{
    CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult, ErrorData,
    InitializeRequestParams, ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, RoleClient};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedSender;

/// What the server told outside of answers.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Progress(f64, Option<f64>),
    Log(Value),
    Tools,
    Prompts,
    Resource(String),
    /// How many tokens the model may use.
    Sample(Value),
    /// A form.
    Form(Value),
}

/// The client's side of the connection: it notes what it is told, and answers what it is asked.
pub(crate) struct Noting {
    pub(crate) told: UnboundedSender<Told>,
    /// A port to connect to at the first progress.
    pub(crate) cut: Arc<Mutex<Option<u16>>>,
}

impl Noting {
    fn note(&self, told: Told) {
        // Nobody listens when all has been checked.
        let _ = self.told.send(told);
    }
}

impl ClientHandler for Noting {
    fn get_info(&self) -> InitializeRequestParams {
        made(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } },
            "clientInfo": { "name": "features", "version": "1" },
        }))
        .unwrap_or_default()
    }

    async fn create_message(
        &self,
        asked: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let asked = json(&asked).map_err(failed)?;
        self.note(Told::Sample(asked["maxTokens"].clone()));
        let content = &asked["messages"][0]["content"];
        let said = content.get("text").unwrap_or(&content[0]["text"]);
        let text = format!("sampled for {}", said.as_str().unwrap_or("nothing"));
        made(json!({
            "role": "assistant", "content": { "type": "text", "text": text }, "model": "a-model", "stopReason": "endTurn",
        }))
        .map_err(failed)
    }

    async fn create_elicitation(
        &self,
        asked: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let asked = json(&asked).map_err(failed)?;
        self.note(Told::Form(asked["requestedSchema"]["properties"].clone()));
        let content = match asked["message"].as_str().unwrap_or_default() {
            "What is your name?" | "Step 1: What is your name?" => json!({ "name": "Ada" }),
            "Step 2: What is your favorite color?" => json!({ "color": "teal" }),
            "What context should the prompt use?" => json!({ "context": "rings" }),
            "Please confirm" => json!({ "ok": true }),
            "Who are you?" => json!({ "username": "ada", "email": "ada@example.org" }),
            "Please review and update the form fields with defaults" => json!({
                "name": "Ada", "age": 36, "score": 99.5, "status": "pending", "verified": false,
            }),
            "Please select options from the enum fields" => json!({
                "untitledSingle": "option2", "titledSingle": "value3", "legacyEnum": "opt1",
                "untitledMulti": ["option1", "option3"], "titledMulti": ["value1", "value2"],
            }),
            "Decline this" => return made(json!({ "action": "decline" })).map_err(failed),
            other => return Err(failed(anyhow!("nobody knows an answer to {other}"))),
        };
        made(json!({ "action": "accept", "content": content })).map_err(failed)
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        made(json!({ "roots": [{ "uri": "file:///ada/root", "name": "Ada's root" }, { "uri": "file:///ada/other" }] }))
            .map_err(failed)
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some(port) = self.cut.lock().await.take() {
            drop(TcpStream::connect(("127.0.0.1", port)));
        }
        self.note(Told::Progress(told.progress, told.total));
    }

    async fn on_logging_message(
        &self,
        told: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note(Told::Log(told.data));
    }

    async fn on_resource_updated(
        &self,
        told: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note(Told::Resource(told.uri));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note(Told::Tools);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note(Told::Prompts);
    }
}

fn failed(error: anyhow::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

pub(crate) fn made<T: DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

pub(crate) fn json(value: &impl Serialize) -> Result<Value> {
    Ok(serde_json::to_value(value)?)
}
