//! The official Rust SDK as a client of the server under test: negotiates, lists and calls the demo tools.
//! Reads MCPRING_URL, MCPRING_CA and MCPRING_TOKEN; the argument is the era: legacy, modern or auto.
//! Never: code of the project; exits 0 only when every answer was right.
//! Next: `tests/conformance/run`, which starts it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rmcp::model::{CallToolRequestParams, CallToolResult, ProgressNotificationParam, ProtocolVersion};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};

/// Answers that every call must get within.
const PATIENCE: Duration = Duration::from_secs(30);

/// The client's side of the connection: it notes the progress it is told.
#[derive(Clone, Default)]
struct Listener {
    steps: Arc<Mutex<Vec<f64>>>,
}

impl ClientHandler for Listener {
    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(told.progress);
    }
}

type Session = RunningService<RoleClient, Listener>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let era = std::env::args().nth(1).context("the era is missing")?;
    let listener = Listener::default();
    let session = tokio::time::timeout(PATIENCE, connect(&era, listener.clone())).await??;
    tokio::time::timeout(PATIENCE, check(&session, &era, &listener)).await??;
    session.cancel().await?;
    Ok(())
}

async fn connect(era: &str, listener: Listener) -> Result<Session> {
    let authority = reqwest::Certificate::from_pem(&std::fs::read(std::env::var("MCPRING_CA")?)?)?;
    let http = reqwest::Client::builder().tls_certs_only([authority]).build()?;
    let config = StreamableHttpClientTransportConfig::with_uri(std::env::var("MCPRING_URL")?)
        .auth_header(std::env::var("MCPRING_TOKEN")?);
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match era {
        "legacy" => ClientLifecycleMode::Initialize,
        "modern" => ClientLifecycleMode::Discover { preferred_versions: modern },
        "auto" => ClientLifecycleMode::Auto { preferred_versions: modern, legacy_version: None },
        other => bail!("no era is called {other}"),
    };
    let transport = StreamableHttpClientTransport::with_client(http, config);
    Ok(listener.serve_with_lifecycle(transport, lifecycle).await?)
}

async fn check(session: &Session, era: &str, listener: &Listener) -> Result<()> {
    let spoken = session.peer_info().context("the server did not introduce itself")?.protocol_version.clone();
    ensure!((spoken == ProtocolVersion::V_2026_07_28) == (era != "legacy"), "revision {spoken} in era {era}");
    println!("  ok: revision {spoken}");

    let tools = session.list_all_tools().await?;
    for name in ["echo", "time", "countdown"] {
        let tool = tools.iter().find(|tool| tool.name == name);
        let tool = tool.with_context(|| format!("{name} is not listed"))?;
        ensure!(tool.description.as_ref().is_some_and(|said| !said.is_empty()), "{name} has no description");
        ensure!(tool.input_schema.get("type") == Some(&json!("object")), "{name} has no object schema");
    }
    println!("  ok: the demo tools are listed");

    for message in
        ["hello", "", "quotes \" and \\ and \n", "\u{e4}\u{6f22}\u{1f980}\u{0}", &"x".repeat(100_000)]
    {
        let answer = call(session, "echo", json!({ "message": message })).await?;
        ensure!(text(&answer)? == message, "echo of {} characters is wrong", message.chars().count());
    }
    println!("  ok: echo");

    let told = text(&call(session, "time", json!({})).await?)?;
    let when = time::OffsetDateTime::parse(&told, &time::format_description::well_known::Rfc3339)?;
    let away = (time::OffsetDateTime::now_utc() - when).abs();
    ensure!(when.offset().is_utc() && away < time::Duration::MINUTE, "time is wrong: {told}");
    println!("  ok: time");

    let answer = text(&call(session, "countdown", json!({ "steps": 5, "interval_ms": 20 })).await?)?;
    let steps = listener.steps.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(
        answer == "done" && steps == [1.0, 2.0, 3.0, 4.0, 5.0],
        "countdown said {answer} after {steps:?}"
    );
    println!("  ok: countdown and its progress");

    for (tool, arguments) in [("no_such_tool", json!({})), ("echo", json!({}))] {
        ensure!(call(session, tool, arguments).await.is_err(), "{tool} was not refused");
    }
    let answer = call(session, "echo", json!({ "message": "still here" })).await?;
    ensure!(text(&answer)? == "still here", "a refusal ended the session");
    println!("  ok: what is wrong is refused");
    Ok(())
}

/// The result of a call; an error too when the tool says so.
async fn call(session: &Session, tool: &'static str, arguments: Value) -> Result<CallToolResult> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let answer = session.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await?;
    ensure!(answer.is_error != Some(true), "{tool} failed");
    Ok(answer)
}

/// The text of an answer that is one text.
fn text(answer: &CallToolResult) -> Result<String> {
    let [block] = answer.content.as_slice() else { bail!("{} blocks of content", answer.content.len()) };
    Ok(block.as_text().context("the content is no text")?.text.clone())
}
