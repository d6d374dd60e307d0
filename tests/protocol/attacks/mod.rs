//! What a hostile, hasty or unlucky client tries with streams, sessions, tasks and states.
//! Next: `streams` and `bounds`; then `modern` and `legacy`, what a friendly one sees.

mod batches;
mod bounds;
mod channels;
mod reloads;
mod rights;
mod shards;
mod states;
mod streams;
mod tokens;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use mcpring::pipeline::authorize::Policy;
use mcpring::pipeline::connection::{Connection, Directive};
use mcpring::pipeline::hub::listen::{Change, Lists};
use mcpring::pipeline::hub::parcel::Parcel;
use mcpring::pipeline::snapshot::{Security, Snapshot};
use mcpring::pipeline::turn::Entropy;
use mcpring::tools::{Progress, Registry, Reply, Resource, TaskSupport, Tool, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::fixture::messages::answer;
use crate::fixture::{Answer, Desk, KEY, READER_KEY, answers, modern, post, role, snapshot_with};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Deserialize, JsonSchema)]
struct Amount {
    amount: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
struct Agreement {
    ok: bool,
}

/// What an author's call may hold.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        panic!("dropped half-way");
    }
}

fn said(text: &str) -> Result<Reply, ToolError> {
    let mut reply = Reply::new();
    reply.text(text);
    Ok(reply)
}

fn guarded() -> Tool {
    Tool::deferred::<Nothing, _>("guarded", "", |_, context| {
        Ok(async move {
            let _guard = Guard;
            context.sleep(Duration::from_secs(10)).await;
            said("rested")
        })
    })
}

fn voluminous() -> Tool {
    Tool::deferred::<Nothing, _>("voluminous", "", |_, context| {
        Ok(async move {
            context.sleep(Duration::from_secs(1)).await;
            said(&"x".repeat(10 << 20))
        })
    })
    .tasks(TaskSupport::Allowed)
}

/// Tools that let go of their reader, that talk more than a stream keeps, and that rest.
fn tools() -> Registry {
    let mut registry = Registry::default();
    let tools = [
        Tool::deferred::<Nothing, _>("letting_go", "", |_, context| {
            Ok(async move {
                context.close_stream();
                context.sleep(Duration::from_secs(1)).await;
                said("back")
            })
        }),
        Tool::deferred::<Nothing, _>("talkative", "", |_, context| {
            Ok(async move {
                for step in 0..8u32 {
                    context.progress(Progress { progress: f64::from(step), total: None, message: None });
                }
                context.sleep(Duration::from_secs(1)).await;
                said("done")
            })
        }),
        Tool::deferred::<Nothing, _>("letting_go_twice", "", |_, context| {
            Ok(async move {
                for _ in 0..2 {
                    context.close_stream();
                    context.sleep(Duration::from_secs(1)).await;
                }
                said("back")
            })
        }),
        Tool::deferred::<Nothing, _>("outliving", "", |_, context| {
            Ok(async move {
                context.sleep(Duration::from_secs(10)).await;
                said("rested")
            })
        })
        .tasks(TaskSupport::Allowed),
        Tool::deferred::<Amount, _>("paying", "", |call, context| {
            let Amount { amount } = call.parse()?;
            Ok(async move {
                let quoted = context.remember("quoted", async move { Ok(amount.unwrap_or(1)) }).await?;
                let Agreement { ok } = context.elicit("agreed", "Is that right?").await?.accepted()?;
                said(&format!("{ok}: {quoted} for {}", amount.unwrap_or(1)))
            })
        }),
        Tool::deferred::<Nothing, _>("impatient", "", |_, context| {
            Ok(async move {
                context.progress(Progress { progress: 1.0, total: None, message: None });
                let mut asked = Box::pin(context.elicit::<Agreement>("agreed", "Is that right?"));
                poll_fn(|task| Poll::Ready(asked.as_mut().poll(task).is_ready())).await;
                said("did not wait")
            })
        }),
        guarded(),
        voluminous(),
        Tool::deferred::<Nothing, _>("resting", "", |_, context| {
            Ok(async move {
                context.sleep(Duration::from_secs(10)).await;
                said("rested")
            })
        }),
    ];
    for tool in tools {
        registry.register(tool).expect("names are unique");
    }
    registry.register_resource(Resource::text("note://one", "one", "text/plain", "1")).expect("one resource");
    registry
}

fn snapshot(change: impl FnOnce(&mut Snapshot)) -> Arc<Snapshot> {
    snapshot_with(Security::Plain, |snapshot| {
        let registry = tools();
        let rules = [role("operator", &["**"]), role("reader", &["**"])];
        snapshot.policy = Policy::compile(&rules, &registry).expect("the patterns are well-formed");
        snapshot.registry = Arc::new(registry);
        change(snapshot);
    })
}

/// Numbers that do not come again as soon as a desk's own do.
fn entropy(seed: u64) -> Entropy {
    let mut state = seed;
    Box::new(move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
    })
}

fn desk(snapshot: Arc<Snapshot>) -> Desk {
    Desk::of_fleet(snapshot, 0, 1, Arc::default(), entropy(7))
}

/// A session of that revision for the owner of that key.
fn session(desk: &mut Desk, key: &str, version: &str) -> String {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    );
    let mut connection = desk.connect();
    let answer =
        answers(&desk.feed(&mut connection, &post(&format!("X-API-Key: {key}\r\n"), &body))).remove(0);
    let line = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    line.expect("a handshake opens a session").to_owned()
}

fn within(session: &str, key: &str, body: &str) -> Vec<u8> {
    post(&format!("X-API-Key: {key}\r\nMcp-Session-Id: {session}\r\n"), body)
}

/// A request without a message.
fn bare(method: &str, session: &str, extra: &str) -> Vec<u8> {
    bare_by(KEY, method, session, extra)
}

fn bare_by(key: &str, method: &str, session: &str, extra: &str) -> Vec<u8> {
    format!(
        "{method} /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nX-API-Key: {key}\r\n\
         Mcp-Session-Id: {session}\r\n{extra}\r\n"
    )
    .into_bytes()
}

fn call(id: u32, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{{"progressToken":{id}}}}}}}"#
    )
}

fn is_open(connection: &Connection) -> bool {
    connection.directive() == Directive::Continue
}

/// A modern call; `params` stand before its metadata.
fn modern_call(desk: &mut Desk, key: &str, tool: &str, capabilities: &str, params: &str) -> Answer {
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities}}}"#
    );
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}",{params},{meta}}}}}"#
    );
    let fields = format!(
        "X-API-Key: {key}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
    );
    let mut connection = desk.connect();
    answers(&desk.feed(&mut connection, &post(&fields, &body))).remove(0)
}

fn last_event_id(sent: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(sent);
    text.lines().rev().find_map(|line| line.strip_prefix("id: ").map(str::to_owned))
}
