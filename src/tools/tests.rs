//! Things on offer as a client meets them: what is listed, what a call gives, what is refused when registered.
//! Next: `registry`, which holds them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::action::Action;
use super::call::Subject;
use super::context::{Client, Context};
use super::error::Failure;
use super::{
    Annotations, Block, Call, Capabilities, Catalog, Change, Completions, Contents, Entry, Icon, Kind,
    Messages, OutputKnown, Prompt, Registry, RegistryError, Reply, Resource, ResourceTemplate, Role,
    Structured, Tool, ToolError,
};
use crate::wire::json::value::SpareTape;
use crate::wire::json::{JsonLimits, PADDING, Scratch};

#[derive(Deserialize, schemars::JsonSchema)]
struct Sum {
    a: i32,
    b: i32,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Total {
    total: i32,
}

/// Runs a call to its end, work on threads included.
fn run(action: &Action, arguments: &str, subject: Subject<'_>) -> Result<Reply, ToolError> {
    let mut scratch = Scratch::default();
    let mut padded = arguments.as_bytes().to_vec();
    padded.resize(arguments.len() + PADDING, 0);
    let limits = JsonLimits { depth_max: 64, nodes_max: 1000 };
    let document = scratch.decode(&mut padded, arguments.len(), limits).unwrap();
    let spare = SpareTape::default();
    let call = Call::new(Some(document.root()), &spare, "ada", 0, subject);
    match action {
        Action::Immediate(function) => {
            let mut reply = Reply::with_memory(Vec::new());
            function(&call, &mut reply).map(|()| reply)
        }
        Action::Deferred(start) => {
            let offload = Arc::new(|work: Box<dyn FnOnce() + Send>| {
                work();
                true
            });
            let capabilities = Capabilities::default();
            let client = Client { capabilities, log_level: None, wants_progress: false, offload };
            let context = Context::new("ada".into(), 0, client);
            let mut running: Pin<Box<dyn Future<Output = _>>> = start(&call, context.clone())?;
            match context.poll(running.as_mut(), Waker::noop()) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => panic!("nothing here waits"),
            }
        }
    }
}

fn items(reply: &Reply) -> Json {
    let text = String::from_utf8(reply.items().to_vec()).unwrap();
    serde_json::from_str(&format!("[{text}]")).unwrap()
}

fn listed(registry: &Registry, kind: Kind) -> Vec<Json> {
    registry
        .entries(kind)
        .map(|entry| serde_json::from_slice(entry.listing.json(OutputKnown::All)).unwrap())
        .collect()
}

fn sum(name: &str) -> Tool {
    Tool::function(name, "Adds.", |Sum { a, b }| Ok(Structured(Total { total: a + b })))
}

#[test]
fn every_kind_of_tool_gives_the_same_answer() {
    let tools = [
        sum("sum"),
        Tool::asynchronous(
            "sum",
            "",
            |Sum { a, b }, _| async move { Ok(Structured(Total { total: a + b })) },
        ),
        Tool::blocking("sum", "", |Sum { a, b }, _| Ok(Structured(Total { total: a + b }))),
        Tool::immediate::<Sum>("sum", "", |call, reply| {
            let Sum { a, b } = call.parse()?;
            reply.structured(&Total { total: a + b }).map(|_| ())
        }),
    ];
    for tool in tools {
        let reply = run(tool.action(), r#"{"a":2,"b":3}"#, Subject::Tool).unwrap();
        assert_eq!(reply.structured_json(), Some(br#"{"total":5}"#.as_slice()));
        assert_eq!(items(&reply), json!([{"type": "text", "text": "{\"total\":5}"}]));
        assert!(run(tool.action(), r#"{"a":2}"#, Subject::Tool).is_err());
        assert!(!reply.is_error() && !reply.into_memory().is_empty());
    }
}

#[test]
fn blocks_are_written_as_the_protocol_has_them() {
    let mut reply = Reply::new();
    reply.text("a\"b").annotate(&Annotations::default().audience(&[Role::User]).priority(2.0));
    reply.image(b"abc", "image/png").audio_base64("YQ==", "audio/wav");
    reply.embedded_text("a://b", "text/plain", "t").embedded_blob("a://c", "x/y", &[0]);
    reply.resource_link("a://d", "d", Some("text/plain"));
    reply.push(&Block::text("e").annotated(&Annotations::default())).fail();
    assert_eq!(
        items(&reply),
        json!([
            {"type": "text", "text": "a\"b", "annotations": {"audience": ["user"], "priority": 1}},
            {"type": "image", "data": "YWJj", "mimeType": "image/png"},
            {"type": "audio", "data": "YQ==", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "a://b", "mimeType": "text/plain", "text": "t"}},
            {"type": "resource", "resource": {"uri": "a://c", "mimeType": "x/y", "blob": "AA=="}},
            {"type": "resource_link", "uri": "a://d", "name": "d", "mimeType": "text/plain"},
            {"type": "text", "text": "e", "annotations": {}}
        ])
    );
    assert!(reply.is_error());
}

#[test]
fn a_tool_is_listed_with_all_it_says_and_a_reader_gets_the_schemas_it_knows() {
    let raw = "{ \"type\":\"object\", \"x\": 1.50 }";
    let mut registry = Registry::default();
    registry
        .register(
            sum("all")
                .title("T")
                .input_schema(raw)
                .icon(Icon::new("data:,x").mime("image/png").sizes(&["48x48"]))
                .read_only()
                .destructive(false)
                .idempotent()
                .open_world(false),
        )
        .unwrap();
    registry.register(Tool::function("number", "", |_: Sum| Ok(Structured(1)))).unwrap();
    let all: Vec<_> = registry.entries(Kind::Tools).collect();
    let text = String::from_utf8(all[0].listing.json(OutputKnown::All).to_vec()).unwrap();
    assert!(text.contains(&format!("\"inputSchema\":{raw}")), "{text}");
    let json = &listed(&registry, Kind::Tools)[0];
    assert_eq!(json["annotations"]["readOnlyHint"], true);
    assert_eq!(json["annotations"]["openWorldHint"], false);
    assert_eq!(json["icons"], json!([{"src": "data:,x", "mimeType": "image/png", "sizes": ["48x48"]}]));
    assert_eq!((json["title"].as_str(), json["outputSchema"]["type"].as_str()), (Some("T"), Some("object")));
    for (known, of_objects, of_numbers) in [
        (OutputKnown::All, true, true),
        (OutputKnown::Objects, true, false),
        (OutputKnown::None, false, false),
    ] {
        let has_output =
            |entry: &Entry<'_>| String::from_utf8_lossy(entry.listing.json(known)).contains("outputSchema");
        assert_eq!((has_output(&all[0]), has_output(&all[1])), (of_objects, of_numbers), "{known:?}");
    }
}

#[test]
fn arguments_and_results_are_checked_by_the_tool() {
    let mut registry = Registry::default();
    registry.register(sum("sum")).unwrap();
    let (_, tool) = registry.find("sum").unwrap();
    assert_eq!(tool.validate(None).unwrap_err().to_string(), "/a: is required");
    assert!(tool.validate_output(br#"{"total":1}"#).is_ok());
    assert!(tool.validate_output(br#"{"total":"1"}"#).unwrap_err().starts_with("/total: "));
    assert!(tool.validate_output(b"").is_err());
}

#[test]
fn an_integer_that_does_not_fit_its_type_is_refused_by_the_schema() {
    let mut registry = Registry::default();
    registry.register(sum("sum")).unwrap();
    let (_, tool) = registry.find("sum").unwrap();
    let schema: Json = serde_json::from_str(tool.input_schema_text()).unwrap();
    assert_eq!(schema["properties"]["a"]["minimum"], i32::MIN);
    assert_eq!(schema["properties"]["a"]["maximum"], i32::MAX);
    let loose = sum("loose").input_schema(r#"{"type":"object"}"#);
    let refused = run(loose.action(), r#"{"a":3000000000,"b":1}"#, Subject::Tool).map(drop).unwrap_err();
    assert!(format!("{refused:?}").contains("an integer within the range"), "{refused:?}");
}

#[test]
fn what_can_not_be_offered_is_refused_when_registered() {
    let mut registry = Registry::default();
    let schema = |text: &str| sum("s").input_schema(text);
    for (tool, expect) in [
        (sum(""), "use 1 to 128"),
        (sum("a b"), "use 1 to 128"),
        (sum(&"x".repeat(129)), "use 1 to 128"),
        (schema("{"), "input schema: not JSON"),
        (schema("true"), "the root must say"),
        (schema(r#"{"type":"array"}"#), "the root must say"),
        (schema(r#"{"type":"object","$ref":"http://localhost/"}"#), "leads out"),
        (schema(r#"{"type":"object","x-mcp-header":"A"}"#), "x-mcp-header"),
        (sum("s").output_schema("7"), "output schema"),
    ] {
        let told = registry.register(tool).unwrap_err().to_string();
        assert!(told.contains(expect), "{told}");
    }
    registry.register(sum("sum")).unwrap();
    assert_eq!(registry.register(sum("sum")), Err(RegistryError::Duplicate("sum".into())));
    let resource = |uri: &str| Resource::text(uri, "n", "", "t");
    for uri in ["", "a", ":a", "1:a", "a: b", "a:\n"] {
        assert!(registry.register_resource(resource(uri)).is_err(), "{uri:?}");
    }
    let template = |shape: &str| {
        ResourceTemplate::new(shape, "n", "", |_, _| async { Err(ToolError::not_found()) })
            .complete("x", |_, _| Vec::<String>::new())
    };
    for shape in ["a://{x", "a://{y}", "{x}"] {
        assert!(registry.register_template(template(shape)).is_err(), "{shape}");
    }
    let prompt = Prompt::new("p", "").argument("a", "", true);
    assert!(registry.register_prompt(prompt.complete("b", |_, _| Vec::<String>::new())).is_err());
    let twice = Prompt::new("p", "").argument("a", "", true).argument("a", "", true);
    assert!(registry.register_prompt(twice).is_err());
    let late = Prompt::new("p", "").get(|_, _| async { Ok(Messages::new()) }).argument("a", "", true);
    assert!(registry.register_prompt(late).is_err());
    assert_eq!((registry.len(), registry.count(Kind::Resources)), (1, 0));
}

#[test]
fn ordinals_stay_and_revisions_move_while_things_come_and_go() {
    let mut registry = Registry::default();
    for name in ["a", "b", "c"] {
        registry.register(sum(name)).unwrap();
    }
    let kept = registry.clone();
    let before = registry.revision(Kind::Tools);
    assert!(registry.remove_tool("a") && !registry.remove_tool("a"));
    registry.register(sum("a")).unwrap();
    let seen: Vec<_> =
        registry.entries(Kind::Tools).map(|e| (e.index, e.ordinal, e.name.to_owned())).collect();
    assert_eq!(seen, [(0, 1, "b".into()), (1, 2, "c".into()), (2, 3, "a".into())]);
    for (index, _, name) in &seen {
        assert_eq!(
            registry.find(name).map(|(found, tool)| (found, tool.name())),
            Some((*index, name.as_str()))
        );
    }
    assert!(registry.revision(Kind::Tools) > before && registry.revision(Kind::Prompts) == 0);
    assert_eq!((kept.revision(Kind::Tools), kept.find("a").map(|(at, _)| at)), (before, Some(0)));
}

#[test]
fn resources_are_read_fixed_and_by_template() {
    let mut registry = Registry::default();
    registry.register_resource(Resource::binary("a://b", "b", "x/y", [1, 2]).title("B")).unwrap();
    let more = |_| async { Ok(Contents::text("t").and_blob("a://d", "", [0])) };
    registry.register_resource(Resource::read("a://c", "c", "text/plain", more)).unwrap();
    registry
        .register_template(ResourceTemplate::new(
            "n://{x}/{+y}",
            "n",
            "text/plain",
            |variables, _| async move {
                Ok(Contents::text(format!("{} {}", variables.text("x"), variables.text("y"))))
            },
        ))
        .unwrap();
    assert_eq!(
        listed(&registry, Kind::Resources)[0],
        json!(
        {"uri": "a://b", "name": "b", "title": "B", "mimeType": "x/y", "size": 2})
    );
    assert_eq!(
        listed(&registry, Kind::Templates)[0],
        json!(
        {"uriTemplate": "n://{x}/{+y}", "name": "n", "mimeType": "text/plain"})
    );
    for (uri, expect) in [
        ("a://b", json!([{"uri": "a://b", "mimeType": "x/y", "blob": "AQI="}])),
        (
            "a://c",
            json!([{"uri": "a://c", "mimeType": "text/plain", "text": "t"}, {"uri": "a://d", "blob": "AA=="}]),
        ),
    ] {
        let (_, resource) = registry.find_resource(uri).unwrap();
        let reply = run(resource.action(), "{}", Subject::Resource { uri, variables: &[] }).unwrap();
        assert_eq!(items(&reply), expect);
    }
    let uri = "n://1/2/3";
    let (_, template, variables) = registry.find_template(uri).unwrap();
    let reply = run(template.action(), "{}", Subject::Resource { uri, variables: &variables }).unwrap();
    assert_eq!(items(&reply), json!([{"uri": uri, "mimeType": "text/plain", "text": "1 2/3"}]));
    assert!(registry.find_template("n://1").is_none());
}

#[test]
fn prompts_are_filled_in_and_completed() {
    let prompt = Prompt::new("p", "P.")
        .argument("who", "Whom.", true)
        .argument("how", "", false)
        .complete("who", |typed, known| {
            let all = (0..150).map(|at| format!("{typed}{at}{}", known.text("how")));
            Completions::new(all.collect()).total(500)
        })
        .get(|arguments, _| async move {
            let picture = Block::image(b"abc", "image/png");
            Ok(Messages::new().description("D").user(arguments.text("who")).push(Role::Assistant, &picture))
        });
    let mut registry = Registry::default();
    registry.register_prompt(prompt).unwrap();
    assert_eq!(
        listed(&registry, Kind::Prompts)[0]["arguments"],
        json!([
        {"name": "who", "description": "Whom.", "required": true}, {"name": "how", "required": false}])
    );
    let (_, prompt) = registry.find_prompt("p").unwrap();
    let reply = run(prompt.action(), r#"{"who":"Ada"}"#, Subject::Prompt).unwrap();
    assert_eq!(reply.description(), Some("D"));
    assert_eq!(items(&reply)[0], json!({"role": "user", "content": {"type": "text", "text": "Ada"}}));
    assert_eq!(items(&reply)[1]["content"]["type"], "image");
    for (arguments, expect) in
        [("{}", "who"), (r#"{"who":1}"#, "string"), (r#"{"who":"a","who":"b"}"#, "twice")]
    {
        let failure = run(prompt.action(), arguments, Subject::Prompt).unwrap_err().into_failure();
        assert!(matches!(&failure, Failure::InvalidParams(told) if told.contains(expect)), "{failure:?}");
    }
    assert!(prompt.completer("how").is_none() && registry.has_completers());
    let subject = Subject::Completion { value: "x" };
    let reply = run(prompt.completer("who").unwrap(), r#"{"how":"!"}"#, subject).unwrap();
    assert_eq!(items(&reply).as_array().map(Vec::len), Some(100));
    assert_eq!(items(&reply)[7], "x7!");
    assert_eq!((reply.total(), reply.has_more()), (Some(500), Some(true)));
}

#[test]
fn a_catalogue_tells_of_each_change_once_and_shows_it_already() {
    let catalog = Catalog::new(Registry::default());
    let told: Arc<Mutex<Vec<(Change, usize)>>> = Arc::default();
    let (seen, own) = (told.clone(), catalog.clone());
    catalog.subscribe(move |change| seen.lock().unwrap().push((change.clone(), own.registry().len())));
    catalog.register(sum("a")).unwrap();
    assert!(catalog.register(sum("a")).is_err() && !catalog.remove_tool("b"));
    catalog.edit(|registry| registry.remove_tool("a") && registry.register(sum("b")).is_ok());
    catalog.resource_updated("a://b");
    let before = catalog.registry();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        catalog.edit(|registry| {
            registry.remove_tool("b");
            panic!("on purpose")
        })
    }));
    assert!(panicked.is_err() && Arc::ptr_eq(&before, &catalog.registry()));
    let expect = [(Change::Lists, 1), (Change::Lists, 1), (Change::ResourceUpdated("a://b".into()), 1)];
    assert_eq!(*told.lock().unwrap(), expect);
    assert!(before.find("a").is_none() && before.find("b").is_some());
}
