//! What the server of these tests offers: one tool, resource or prompt for each thing the protocol can do with it.
//! Next: `shards`, which serves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::snapshot::{Security, Snapshot};
use mcpring::tools::demo::demo_tool;
use mcpring::tools::{
    Annotations, Block, CacheScope, Capability, Catalog, Contents, Context, DEMO_TOOLS, Elicited, LogLevel,
    Messages, Progress, Prompt, Registry, RegistryError, Reply, Resource, ResourceTemplate, Role, Sampling,
    Structured, TaskSupport, Tool, ToolError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::OTHER_KEY;
use crate::fixture::{KEY, READER_KEY, identities, key, role, snapshot_with};

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Millis {
    ms: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Flood {
    messages: usize,
    bytes: usize,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Nested {
    /// Something to be wrong in.
    list: Vec<Name>,
    #[schemars(range(min = 1, max = 10))]
    count: u64,
}

#[derive(Serialize, JsonSchema)]
struct Weather {
    celsius: f64,
}

/// A catalogue of all there is here.
pub(crate) fn catalog() -> Catalog {
    let mut registry = Registry::default();
    register(&mut registry).expect("names are unique");
    Catalog::new(registry)
}

/// A snapshot that serves the catalogue as it is now, with three keys: two may do everything, one nearly nothing.
pub(crate) fn snapshot_of(catalog: &Catalog, change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let registry = catalog.registry();
        let mut reader = role("reader", &["tools/list", "tools/call:native/time", "resources/list"]);
        reader.allow.push("resources/read:native/docs://motto".into());
        snapshot.policy = Policy::compile(&[role("all", &["**"]), reader], &registry).expect("good patterns");
        snapshot.registry = registry;
        let keys = vec![key("operator", KEY, 1), key("reader", READER_KEY, 2), key("other", OTHER_KEY, 1)];
        snapshot.identities = identities(keys, 0);
        change(snapshot);
    })
}

fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    for name in DEMO_TOOLS {
        registry.register(demo_tool(name)?)?;
    }
    asking(registry)?;
    registry.register(flooding())?;
    working(registry)?;
    shapes(registry)?;
    reading(registry)
}

async fn named(context: &Context, key: &str) -> Result<String, ToolError> {
    let Name { name } = context.elicit(key, "What is your name?").await?.accepted()?;
    Ok(name)
}

/// Tools that ask their client.
fn asking(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.register(Tool::asynchronous("ask", "Asks for a name.", |_: Nothing, context| async move {
        Ok(format!("hello {}", named(&context, "who").await?))
    }))?;
    registry.register(
        Tool::asynchronous("ask_once", "The same, once a state.", |_: Name, context| async move {
            Ok(format!("hello {}", named(&context, "who").await?))
        })
        .single_use_state(),
    )?;
    let drawn = Arc::new(AtomicU64::new(0));
    registry.register(Tool::asynchronous(
        "ask_twice",
        "Draws once, asks twice.",
        move |_: Nothing, context| {
            let drawn = drawn.clone();
            async move {
                let number =
                    context.remember("draw", async { Ok(drawn.fetch_add(1, Ordering::Relaxed)) }).await?;
                let first = named(&context, "first").await?;
                let last = named(&context, "last").await?;
                Ok(format!("{number} {first} {last}"))
            }
        },
    ))?;
    registry.register(
        Tool::asynchronous("ask_needs", "Needs forms.", |_: Nothing, context| async move {
            named(&context, "who").await
        })
        .requires(Capability::ElicitationForm),
    )?;
    registry.register(Tool::asynchronous("ask_all", "Asks in every way.", |_: Nothing, context| async move {
        let page = context.elicit_url("page", "Open it.", "https://example.com/login").await?;
        let said = context.sample("model", Sampling::new(10).user("Say something.")).await?;
        let roots = context.roots("roots").await?;
        Ok(format!("{} {} {}", page == Elicited::Accepted(()), said.text(), roots.len()))
    }))
}

/// Tools that take their time.
fn working(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.register(Tool::asynchronous(
        "report",
        "Reports, then answers.",
        |_: Nothing, context| async move {
            for step in 1..=3u8 {
                context.progress(Progress {
                    progress: step.into(),
                    total: Some(3.0),
                    message: Some("on".into()),
                });
                context.log(LogLevel::Debug, json!(format!("debug {step}")));
                context.log(LogLevel::Warning, json!(format!("warning {step}")));
                context.sleep(Duration::from_millis(100)).await;
            }
            Ok("reported")
        },
    ))?;
    registry.register(Tool::asynchronous(
        "cut",
        "Lets its reader go.",
        |_: Nothing, context| async move {
            context.close_stream();
            context.sleep(Duration::from_millis(100)).await;
            Ok("after the cut")
        },
    ))?;
    registry.register(Tool::asynchronous(
        "cut_late",
        "Lets its reader go later.",
        |_: Nothing, context| async move {
            context.sleep(Duration::from_millis(100)).await;
            context.close_stream();
            context.sleep(Duration::from_millis(100)).await;
            Ok("after the cut")
        },
    ))?;
    tasks(registry)
}

/// A tool that says much at once.
fn flooding() -> Tool {
    Tool::asynchronous("flood", "Says much.", |flood: Flood, context| async move {
        context.sleep(Duration::from_millis(10)).await;
        for at in 0..flood.messages {
            context.log(LogLevel::Warning, json!(format!("{at:0width$}", width = flood.bytes)));
            // One poll for each, or the call's own mailbox would drop some.
            context.sleep(Duration::from_millis(1)).await;
        }
        Ok("flooded")
    })
}

/// Tools that may outlive their request.
fn tasks(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.register(
        Tool::asynchronous("work", "Works for a while.", |work: Millis, context| async move {
            context.sleep(Duration::from_millis(work.ms)).await;
            Ok("worked")
        })
        .tasks(TaskSupport::Allowed),
    )?;
    registry.register(
        Tool::asynchronous("work_asks", "Asks two things at work.", |_: Nothing, context| async move {
            let first = named(&context, "first").await?;
            let last = named(&context, "last").await?;
            Ok(format!("worked for {first} {last}"))
        })
        .tasks(TaskSupport::Allowed),
    )?;
    registry.register(
        Tool::asynchronous("ask_then_work", "Asks, then works.", |_: Nothing, context| async move {
            let name = named(&context, "who").await?;
            context.sleep(Duration::from_millis(100)).await;
            Ok(format!("worked for {name}"))
        })
        .tasks(TaskSupport::Allowed)
        .asks_before_task(),
    )?;
    registry.register(
        Tool::asynchronous("work_fails", "Fails in words.", |_: Nothing, _| async move {
            Err::<&str, _>(ToolError::new("no luck"))
        })
        .tasks(TaskSupport::Allowed),
    )?;
    registry.register(
        Tool::asynchronous("work_breaks", "Fails as the protocol does.", |_: Nothing, _| async move {
            Err::<&str, _>(ToolError::protocol(1234, "broken"))
        })
        .tasks(TaskSupport::Required),
    )
}

/// Tools whose arguments or results have a shape.
fn shapes(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.register(Tool::function("young_blocks", "Gives what old revisions lack.", |_: Nothing| {
        Ok(Vec::from(young_blocks()))
    }))?;
    registry.register(Tool::function("nested", "Takes what is nested.", |_: Nested| Ok("fits")))?;
    registry.register(Tool::function("weather", "An object.", |_: Nothing| {
        Ok(Structured(Weather { celsius: 21.5 }))
    }))?;
    registry.register(
        Tool::function("numbers", "A list.", |_: Nothing| {
            let mut reply = Reply::new();
            reply.text("[1,2]").structured(&json!([1, 2]))?;
            Ok(reply)
        })
        .output_schema(r#"{"type":"array","items":{"type":"integer"}}"#),
    )?;
    registry.register(
        Tool::function("broken", "Not what it promises.", |_: Nothing| {
            let mut reply = Reply::new();
            reply.text("oops").structured(&json!({"celsius": "warm"}))?;
            Ok(reply)
        })
        .output_schema(r#"{"type":"object","properties":{"celsius":{"type":"number"}}}"#),
    )?;
    registry.register(
        Tool::function("unkept", "Promises what it does not give.", |_: Nothing| {
            let mut reply = Reply::new();
            reply.text("oops");
            Ok(reply)
        })
        .output_schema(r#"{"type":"object"}"#),
    )?;
    registry.register(Tool::asynchronous(
        "wordy",
        "Fails at length.",
        |wait: Millis, context| async move {
            context.sleep(Duration::from_millis(wait.ms)).await;
            Err::<(), _>(ToolError::internal("é".repeat(1000)))
        },
    ))?;
    registry.register(
        Tool::function("mirrored", "Has arguments in headers.", |_: serde_json::Value| Ok("same"))
            .input_schema(
                r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},
            "size":{"type":"integer","x-mcp-header":"Size"},"dry":{"type":"boolean","x-mcp-header":"Dry"}}}"#,
            ),
    )
}

/// A block of each kind that some revision lacks.
fn young_blocks() -> [Block; 3] {
    let hints = Annotations::default().audience(&[Role::User]);
    let link = Block::resource_link("docs://motto", "motto", Some("text/plain")).annotated(&hints);
    [Block::text("\"type\":\"audio\""), Block::audio(b"RIFF", "audio/wav"), link]
}

/// Resources and prompts.
fn reading(registry: &mut Registry) -> Result<(), RegistryError> {
    let messages = young_blocks().iter().fold(Messages::new(), |all, block| all.push(Role::User, block));
    registry
        .register_prompt(Prompt::new("young_blocks", "Gives what old revisions lack.").fixed(messages))?;
    registry.register_resource(
        Resource::text("docs://motto", "motto", "text/plain", "Fast, then faster.")
            .cache(Duration::from_secs(3600), CacheScope::Public),
    )?;
    registry.register_resource(Resource::read("me://name", "me", "text/plain", |context| async move {
        Ok(Contents::text(context.principal()))
    }))?;
    registry.register_resource(Resource::read(
        "ask://name",
        "asked",
        "text/plain",
        |context| async move { Ok(Contents::text(&named(&context, "who").await?)) },
    ))?;
    registry.register_template(
        ResourceTemplate::new("notes://{topic}", "notes", "text/markdown", |variables, _| async move {
            match variables.text("topic") {
                "rings" => Ok(Contents::text("# Rings")),
                _ => Err(ToolError::not_found()),
            }
        })
        .complete("topic", |typed, _| {
            ["rings", "rods"]
                .into_iter()
                .filter(|topic| topic.starts_with(typed))
                .map(String::from)
                .collect::<Vec<_>>()
        }),
    )?;
    registry.register_prompt(
        Prompt::new("review", "Asks for a review.")
            .argument("code", "What is reviewed.", true)
            .argument("tone", "How.", false)
            .complete("tone", |typed, known| {
                let tones = ["kind", "keen", known.value("code").unwrap_or("none")];
                tones.into_iter().filter(|tone| tone.starts_with(typed)).map(String::from).collect::<Vec<_>>()
            })
            .get(|arguments, _| async move {
                let tone = arguments.value("tone").unwrap_or("kind");
                Ok(Messages::new().user(&format!("Be {tone}: {}", arguments.text("code"))))
            }),
    )?;
    registry.register_prompt(
        Prompt::new("asked", "Asks who wants it.")
            .get(|_, context| async move { Ok(Messages::new().user(&named(&context, "who").await?)) }),
    )
}
