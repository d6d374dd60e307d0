//! The official Rust SDK as a client of every feature, against a server with the fixtures of `src/tools/fixtures`.
//! Reads MCPRING_URL, MCPRING_CA, MCPRING_TOKEN and MCPRING_CUT (a port: to connect to it cuts what is open; there where that
//! can be resumed), or MCPRING_COMMAND to talk to the standard streams of that; the argument is the era: legacy, modern or auto.
//! What goes in and comes out is compared as JSON, whole.
//! Never: code of the project; exits 0 only when every answer was right.
//! Next: `reaching`, the transports; `noting`, the client's side of the connection.

#![expect(deprecated, reason = "sampling, roots and logging of the revisions that have them")]

mod noting;
mod reaching;

use std::fmt::Debug;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rmcp::ClientLifecycleMode;
use rmcp::model::{ProtocolVersion, ServerNotification};
use rmcp::service::ServiceError;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use noting::{Noting, Told, json, made};
use reaching::{Session, reach};

/// Answers that every step must get within.
const PATIENCE: Duration = Duration::from_secs(20);
const WATCHED: &str = "test://watched-resource";

fn same<T: PartialEq + Debug>(got: T, wanted: T, what: &str) -> Result<()> {
    ensure!(got == wanted, "{what}: got {got:?}, wanted {wanted:?}");
    println!("  ok: {what}");
    Ok(())
}

/// A session under test.
struct Desk {
    session: Session,
    told: UnboundedReceiver<Told>,
    cut: Arc<Mutex<Option<u16>>>,
    is_modern: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let era = std::env::args().nth(1).context("the era is missing")?;
    let mut desk = within(connect(&era)).await.context("connecting")?;
    within(desk.tools()).await.context("tools")?;
    within(desk.mistakes()).await.context("mistakes")?;
    within(desk.resources()).await.context("resources")?;
    within(desk.prompts()).await.context("prompts")?;
    within(desk.questions()).await.context("questions")?;
    within(desk.telling()).await.context("telling")?;
    within(desk.cancelling()).await.context("cancelling")?;
    desk.changing().await.context("changing")?;
    if !desk.is_modern {
        within(desk.resuming()).await.context("resuming")?;
    }
    desk.session.cancel().await?;
    Ok(())
}

async fn within<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, step).await.map_err(|_| anyhow!("nothing happened for too long"))?
}

async fn connect(era: &str) -> Result<Desk> {
    let modern = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = match era {
        "legacy" => ClientLifecycleMode::Initialize,
        "modern" => ClientLifecycleMode::Discover { preferred_versions: modern },
        "auto" => ClientLifecycleMode::Auto { preferred_versions: modern, legacy_version: None },
        other => bail!("no era is called {other}"),
    };
    let (sender, told) = unbounded_channel();
    let cut = Arc::default();
    let noting = Noting { told: sender, cut: Arc::clone(&cut) };
    let session = reach(noting, lifecycle).await?;
    let server = session.peer_info().context("the server did not introduce itself")?;
    let is_modern = era != "legacy";
    let wanted = if is_modern { "2026-07-28" } else { "2025-11-25" };
    same(json(&server.protocol_version)?, json!(wanted), "the revision")?;
    let name = server.server_info.as_ref().map(|server| server.name.as_str());
    same(name, Some("mcpring-fixtures"), "the server introduces itself")?;
    Ok(Desk { session, told, cut, is_modern })
}

impl Desk {
    async fn result(&self, tool: &str, arguments: Value) -> Result<Value> {
        json(&self.session.call_tool(made(json!({ "name": tool, "arguments": arguments }))?).await?)
    }

    /// Whether a call failed, and the text of its only block.
    async fn call(&self, tool: &str, arguments: Value) -> Result<(bool, String)> {
        let result = self.result(tool, arguments).await?;
        let [block] = result["content"].as_array().context("no content")?.as_slice() else {
            bail!("{tool} gave {result}")
        };
        Ok((result["isError"] == true, block["text"].as_str().unwrap_or_default().to_owned()))
    }

    async fn says(&self, tool: &str, arguments: Value, wanted: &str, what: &str) -> Result<()> {
        same(self.call(tool, arguments).await?, (false, wanted.to_owned()), what)
    }

    fn told_so_far(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    async fn tools(&self) -> Result<()> {
        let tools = json(&self.session.list_all_tools().await?)?;
        let tools = tools.as_array().context("no list of tools")?;
        let lasting = tools.iter().filter(|tool| tool["name"] != "test_dynamic_tool").count();
        same(lasting, 37, "tools are listed")?;
        let greet = tools.iter().find(|tool| tool["name"] == "greet").context("greet is not listed")?;
        let wanted = json!({ "name": { "type": "string", "description": "Who is greeted." } });
        same(&greet["inputSchema"]["properties"], &wanted, "a tool is described")?;
        let text = "This is a simple text response for testing.";
        self.says("test_simple_text", json!({}), text, "a text").await?;
        let image = self.result("test_image_content", json!({})).await?;
        let (kind, data) = (&image["content"][0]["mimeType"], image["content"][0]["data"].as_str());
        same((kind, data.map(str::len)), (&json!("image/png"), Some(92)), "an image")?;
        let sound = self.result("test_audio_content", json!({})).await?;
        same(&sound["content"][0]["mimeType"], &json!("audio/wav"), "a sound")?;
        let held = self.result("test_embedded_resource", json!({})).await?;
        let uri = &held["content"][0]["resource"]["uri"];
        same(uri, &json!("test://embedded-resource"), "an embedded resource")?;
        let weather = json!({ "celsius": 21.5, "conditions": "clear", "stations": ["north", "south"] });
        let told = self.result("test_structured_content", json!({})).await?;
        same(&told["structuredContent"], &weather, "a structured result")?;
        for region in ["eu-west", "K\u{f6}ln \u{6f22}"] {
            let what = "an argument that is a header too";
            self.says("test_header_parameter", json!({ "region": region }), region, what).await?;
        }
        Ok(())
    }

    async fn mistakes(&self) -> Result<()> {
        let said = "This tool intentionally returns an error for testing".to_owned();
        same(self.call("test_error_handling", json!({})).await?, (true, said), "a tool's own error")?;
        let (failed, why) = self.call("greet", json!({})).await?;
        same((failed, why.contains("/name")), (true, true), "a missing argument is the tool's error")?;
        let (failed, why) = self.call("greet", json!({ "name": 7 })).await?;
        same((failed, why.contains("/name: 7 is not")), (true, true), "a wrong argument is named")?;
        refused(
            self.session.call_tool(made(json!({ "name": "no_such_tool" }))?).await,
            -32602,
            "an unknown tool",
        )?;
        // MCP 2026-07-28, resources: not found is -32602; the revisions before say -32002.
        let code = if self.is_modern { -32602 } else { -32002 };
        let read = self.session.read_resource(made(json!({ "uri": "test://nowhere" }))?).await;
        refused(read, code, "an unknown resource")?;
        refused(
            self.session.get_prompt(made(json!({ "name": "no_such_prompt" }))?).await,
            -32602,
            "an unknown prompt",
        )
    }

    async fn resources(&self) -> Result<()> {
        let listed = json(&self.session.list_all_resources().await?)?;
        let uris: Vec<&Value> = listed.as_array().into_iter().flatten().map(|one| &one["uri"]).collect();
        same(
            json(&uris)?,
            json!(["test://static-text", "test://static-binary", WATCHED]),
            "resources are listed",
        )?;
        let templates = json(&self.session.list_all_resource_templates().await?)?;
        same(&templates[0]["uriTemplate"], &json!("test://template/{id}/data"), "templates are listed")?;
        let read = async |uri: &str| -> Result<Value> {
            let read = self.session.read_resource(made(json!({ "uri": uri }))?).await?;
            Ok(json(&read)?["contents"].take())
        };
        let words = "This is the content of the static text resource.";
        let wanted = json!([{ "uri": "test://static-text", "mimeType": "text/plain", "text": words }]);
        same(read("test://static-text").await?, wanted, "a text resource")?;
        let image = read("test://static-binary").await?;
        same(image[0]["blob"].as_str().map(str::len), Some(92), "a binary resource")?;
        let data = read("test://template/4711/data").await?;
        let data: Value = serde_json::from_str(data[0]["text"].as_str().unwrap_or_default())?;
        same(&data["data"], &json!("Data for ID: 4711"), "a resource of a template")
    }

    async fn prompts(&self) -> Result<()> {
        let prompts = json(&self.session.list_all_prompts().await?)?;
        same(&prompts[1]["name"], &json!("test_prompt_with_arguments"), "prompts are listed")?;
        let arguments = json!({ "arg1": "one's", "arg2": "\u{6f22}" });
        let asked = made(json!({ "name": "test_prompt_with_arguments", "arguments": arguments }))?;
        let filled = json(&self.session.get_prompt(asked).await?)?;
        let text = "Prompt with arguments: arg1='one's', arg2='\u{6f22}'";
        let wanted = json!([{ "role": "user", "content": { "type": "text", "text": text } }]);
        same(&filled["messages"], &wanted, "a prompt with arguments")?;
        let asked = made(json!({ "name": "test_input_required_result_prompt" }))?;
        let filled = json(&self.session.get_prompt(asked).await?)?;
        let text = &filled["messages"][0]["content"]["text"];
        same(text, &json!("Use this context: rings"), "a prompt that asks")?;
        let asked = json!({
            "ref": { "type": "ref/prompt", "name": "test_prompt_with_arguments" }, "argument": { "name": "arg1", "value": "par" },
        });
        let completed = json(&self.session.complete(made(asked)?).await?)?;
        same(&completed["completion"]["values"], &json!(["paris", "park", "party"]), "completions")
    }

    async fn questions(&mut self) -> Result<()> {
        self.told_so_far();
        let none = || json!({});
        let wanted = "LLM response: sampled for a question";
        self.says("test_sampling", json!({ "prompt": "a question" }), wanted, "sampling").await?;
        same(self.told_so_far(), vec![Told::Sample(json!(100))], "what the model is asked")?;
        let wanted = r#"User response: action=accept, content={"username":"ada","email":"ada@example.org"}"#;
        self.says("test_elicitation", json!({ "message": "Who are you?" }), wanted, "elicitation").await?;
        let asked = json!({ "message": "Decline this" });
        self.says("test_elicitation", asked, "User response: action=decline", "the user declines").await?;
        let roots = "Roots: file:///ada/root, file:///ada/other";
        self.says("test_input_required_result_list_roots", none(), roots, "roots").await?;
        self.says("test_input_required_result_elicitation", none(), "Hello, Ada!", "one question").await?;
        self.says("test_input_required_result_request_state", none(), "state-ok", "a question with state")
            .await?;
        let wanted = "Ada; sampled for Generate a greeting; file:///ada/root, file:///ada/other";
        self.says("test_input_required_result_multiple_inputs", none(), wanted, "three questions at once")
            .await?;
        let rounds = "two questions in a row";
        self.says("test_input_required_result_multi_round", none(), "Ada likes teal", rounds).await?;
        self.forms().await
    }

    async fn forms(&mut self) -> Result<()> {
        let begins = "Elicitation completed: action=accept, content=";
        for (tool, field, wanted, content) in [
            (
                "test_elicitation_sep1034_defaults",
                "/score/default",
                json!(95.5),
                r#"{"name":"Ada","age":36,"score":99.5,"status":"pending","verified":false}"#,
            ),
            (
                "test_elicitation_sep1330_enums",
                "/titledSingle/oneOf/2/title",
                json!("Third Option"),
                r#"{"untitledSingle":"option2","titledSingle":"value3","legacyEnum":"opt1","untitledMulti":["option1","option3"],"titledMulti":["value1","value2"]}"#,
            ),
        ] {
            self.told_so_far();
            self.says(tool, json!({}), &format!("{begins}{content}"), "the form is filled").await?;
            let Some(Told::Form(fields)) = self.told_so_far().pop() else { bail!("{tool} shows no form") };
            same(fields.pointer(field), Some(&wanted), &format!("the form of {tool}"))?;
        }
        Ok(())
    }

    async fn telling(&mut self) -> Result<()> {
        self.told_so_far();
        let wanted = "Tool with progress executed successfully";
        self.says("test_tool_with_progress", json!({}), wanted, "a tool with progress").await?;
        let steps = [0.0, 50.0, 100.0].map(|step| Told::Progress(step, Some(100.0)));
        same(self.told_so_far(), steps.into(), "progress")?;
        let mut call = json!({ "name": "test_tool_with_logging", "arguments": {} });
        if self.is_modern {
            call["_meta"] = json!({ "io.modelcontextprotocol/logLevel": "debug" });
        } else {
            self.session.set_level(made(json!({ "level": "debug" }))?).await?;
        }
        self.session.call_tool(made(call)?).await?;
        let logs = ["Tool execution started", "Tool processing data", "Tool execution completed"];
        same(self.told_so_far(), logs.map(|said| Told::Log(json!(said))).into(), "log messages")
    }

    async fn cancelling(&self) -> Result<()> {
        let running = self.call("slow_compute", json!({ "seconds": 60, "label": "never" }));
        let other = self.call("slow_compute", json!({ "seconds": 0.2, "label": "soon" }));
        tokio::pin!(running, other);
        let soon = tokio::select! {
            said = &mut running => bail!("a long call ended at once: {said:?}"),
            said = &mut other => said?,
        };
        same(
            soon,
            (false, "Computed soon in 0.2 s".to_owned()),
            "a call beside one that runs, which is dropped",
        )?;
        self.says("greet", json!({ "name": "Ada" }), "Hello, Ada!", "and the next one is answered").await
    }

    async fn changing(&mut self) -> Result<()> {
        let subscribed = json!({ "uri": WATCHED });
        let mut listening = None;
        if self.is_modern {
            let filter = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": [WATCHED] });
            listening = Some(self.session.peer().listen(made(filter)?).await?);
        } else {
            self.session.subscribe(made(subscribed)?).await?;
        }
        self.told_so_far();
        for (trigger, what, wanted) in [
            ("test_trigger_tool_change", "notifications/tools/list_changed", Told::Tools),
            ("test_trigger_prompt_change", "notifications/prompts/list_changed", Told::Prompts),
            ("test_trigger_resource_update", "the watched resource", Told::Resource(WATCHED.to_owned())),
        ] {
            self.call(trigger, json!({})).await?;
            let coming = async {
                let Some(listening) = &mut listening else { return until(&mut self.told, &wanted).await };
                loop {
                    let told = match listening.next().await?.context("the subscription is over")? {
                        ServerNotification::ToolListChangedNotification(_) => Told::Tools,
                        ServerNotification::PromptListChangedNotification(_) => Told::Prompts,
                        ServerNotification::ResourceUpdatedNotification(told) => {
                            Told::Resource(told.params.uri)
                        }
                        _ => continue,
                    };
                    if told == wanted {
                        return Ok(());
                    }
                }
            };
            within(coming).await.context(what)?;
            println!("  ok: {what}");
        }
        if let Some(mut listening) = listening {
            listening.cancel().await?;
        }
        Ok(())
    }

    /// Calls whose stream ends before the answer.
    async fn resuming(&mut self) -> Result<()> {
        let wanted = "Reconnection test completed successfully";
        self.says("test_reconnection", json!({}), wanted, "a call whose stream the server closed").await?;
        if std::env::var_os("MCPRING_CUT").is_none() {
            return Ok(());
        }
        let running = self.call("slow_compute", json!({ "seconds": 0.6, "label": "late" }));
        let other = self.call("slow_compute", json!({ "seconds": 0.3, "label": "soon" }));
        let cutting = async {
            // The long call has begun before the short one, and the short one is over.
            other.await?;
            Ok(drop(TcpStream::connect(("127.0.0.1", cut_port()?))?))
        };
        let (late, ()) = tokio::try_join!(running, cutting)?;
        same(late, (false, "Computed late in 0.6 s".to_owned()), "a quiet call whose stream was cut")?;
        self.told_so_far();
        *self.cut.lock().await = Some(cut_port()?);
        let wanted = "Tool with progress executed successfully";
        self.says("test_tool_with_progress", json!({}), wanted, "a call whose stream was cut").await?;
        same(self.cut.lock().await.is_none(), true, "it was cut")?;
        let steps = [0.0, 50.0, 100.0].map(|step| Told::Progress(step, Some(100.0)));
        same(self.told_so_far(), steps.into(), "progress is told once, whatever is cut")
    }
}

fn cut_port() -> Result<u16> {
    Ok(std::env::var("MCPRING_CUT")?.parse()?)
}

/// Waits until the server has told that; what else it tells is passed over.
async fn until(told: &mut UnboundedReceiver<Told>, wanted: &Told) -> Result<()> {
    while told.recv().await.context("the session is over")? != *wanted {}
    Ok(())
}

fn refused<T: Debug>(asked: Result<T, ServiceError>, code: i32, what: &str) -> Result<()> {
    match asked {
        Err(ServiceError::McpError(error)) => same(error.code.0, code, &format!("{what} is refused")),
        other => bail!("{what} is not refused: {other:?}"),
    }
}
