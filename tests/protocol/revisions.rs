//! What a revision does not know is not said to it: output schemas, kinds of content.
//! Next: `results`, what every revision knows.

use serde_json::{Value, json};

use crate::client::{Modern, Session, lone};
use crate::shards::Shards;

const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

fn result(shards: &mut Shards, session: &Session, method: &str, params: Value) -> Value {
    shards.ask(&session.request(1, method, params)).json()["result"].clone()
}

#[test]
fn output_schemas_are_listed_from_2025_06_18_on() {
    let schema = |result: &Value, name: &str| {
        let tools = result["tools"].as_array().unwrap();
        tools.iter().find(|tool| tool["name"] == name).unwrap()["outputSchema"]["type"].clone()
    };
    let mut shards = lone(|_| {});
    let modern = shards.ask(&Modern::new().request(1, "tools/list", json!({}))).json()["result"].clone();
    assert_eq!((schema(&modern, "weather"), schema(&modern, "numbers")), (json!("object"), json!("array")));
    for revision in LEGACY {
        let session = Session::start(&mut shards, revision, json!({}));
        let listed = result(&mut shards, &session, "tools/list", json!({}));
        let shown = if revision >= "2025-06-18" { json!("object") } else { Value::Null };
        assert_eq!(schema(&listed, "weather"), shown, "{revision}");
        assert_eq!(schema(&listed, "numbers"), Value::Null, "{revision}: legacy schemas are of objects");
    }
}

#[test]
fn what_a_revision_can_not_carry_is_told_in_words() {
    let mut shards = lone(|_| {});
    let audience = json!({"audience": ["user"]});
    let text = json!({"type": "text", "text": "\"type\":\"audio\""});
    let sound = json!({"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"});
    let link = json!({"type": "resource_link", "uri": "docs://motto", "name": "motto",
        "mimeType": "text/plain", "annotations": audience});
    let no_sound = json!({"type": "text",
        "text": "A sound, audio/wav, which this revision of the protocol can not carry."});
    let no_link = json!({"type": "text", "text": "motto: docs://motto", "annotations": audience});
    for revision in LEGACY {
        let expect = [
            &text,
            if revision >= "2025-03-26" { &sound } else { &no_sound },
            if revision >= "2025-06-18" { &link } else { &no_link },
        ];
        let session = Session::start(&mut shards, revision, json!({}));
        let told = result(&mut shards, &session, "tools/call", json!({"name": "young_blocks"}));
        assert_eq!(told["content"], json!(expect), "{revision}");
        let told = result(&mut shards, &session, "prompts/get", json!({"name": "young_blocks"}));
        let messages = expect.map(|block| json!({"role": "user", "content": block}));
        assert_eq!(told["messages"], json!(messages), "{revision}");
    }
}
