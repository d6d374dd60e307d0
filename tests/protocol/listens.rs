//! `subscriptions/listen`: the acknowledgement first, nothing that was not asked for, a tag on everything, a proper end.
//! Next: `fleet`, the same on many shards.

use serde_json::{Value, json};

use crate::client::{Modern, OTHER_KEY, accepting, all_capabilities, code, fleets, lone};
use crate::offer::snapshot_of;
use crate::shards::Shards;

const TAG: &str = "io.modelcontextprotocol/subscriptionId";

fn listen(shards: &mut Shards, id: impl Into<Value>, filter: Value) -> usize {
    let client = Modern::with(all_capabilities());
    shards.open(&client.request(id, "subscriptions/listen", json!({"notifications": filter})))
}

fn methods(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["method"].as_str().unwrap_or("answer")).collect()
}

#[test]
fn what_is_honoured_is_said_first_and_nothing_more_is_sent() {
    const ACK: &str = "notifications/subscriptions/acknowledged";
    for (filter, honoured, told) in [
        (json!({}), json!({}), vec![]),
        (json!({"toolsListChanged": true}), json!({"toolsListChanged": true}), vec!["tools/list_changed"]),
        (json!({"toolsListChanged": false, "promptsListChanged": "yes"}), json!({}), vec![]),
        (
            json!({"promptsListChanged": true, "resourcesListChanged": true, "other": true}),
            json!({"promptsListChanged": true, "resourcesListChanged": true}),
            vec!["prompts/list_changed", "resources/list_changed"],
        ),
        (
            json!({"resourceSubscriptions": ["docs://motto", "docs://motto", "docs://nope"]}),
            json!({"resourceSubscriptions": ["docs://motto"]}),
            vec!["resources/updated"],
        ),
        (json!({"resourceSubscriptions": []}), json!({}), vec![]),
    ] {
        for (mut shards, catalog) in fleets() {
            for id in [json!("s"), json!(7), json!("7")] {
                let line = listen(&mut shards, id.clone(), filter.clone());
                let first = shards.messages(line)[0].clone();
                assert_eq!(first["method"], ACK);
                assert_eq!(first["params"]["notifications"], honoured, "{filter}");
                shards.cut(line);
            }
            let line = listen(&mut shards, 7, filter.clone());
            catalog.remove_tool("echo");
            catalog.remove_prompt("asked");
            catalog.remove_resource("ask://name");
            shards.reload(&snapshot_of(&catalog, |_| {}));
            shards.updated("docs://motto");
            shards.updated("me://name");
            let messages = shards.messages(line);
            let expect: Vec<String> = told.iter().map(|method| format!("notifications/{method}")).collect();
            assert_eq!(methods(&messages)[1..], expect, "{filter}");
            for message in &messages {
                assert_eq!(
                    message["params"]["_meta"][TAG],
                    json!(7),
                    "the type of the id is kept: {message}"
                );
            }
            assert!(
                shards.stream(line).1.iter().all(|event| event.id.is_none()),
                "nobody can come back to it"
            );
            shards.cut(line);
            assert_eq!(shards.streams(), 0, "a subscription ends with its connection");
        }
    }
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let mut shards = lone(|_| {});
    let client = Modern::new();
    let many: Vec<String> = (0..65).map(|at| format!("docs://{at}")).collect();
    for params in [
        json!({}),
        json!({"notifications": null}),
        json!({"notifications": []}),
        json!({"notifications": {"resourceSubscriptions": "docs://motto"}}),
        json!({"notifications": {"resourceSubscriptions": [7]}}),
        json!({"notifications": {"resourceSubscriptions": many}}),
    ] {
        let answer = shards.ask(&client.request(1, "subscriptions/listen", params.clone()));
        assert_eq!(code(&answer), -32602, "{params}");
    }
    let json_only = client.request(1, "subscriptions/listen", json!({"notifications": {}}));
    assert_eq!(shards.ask(&accepting(&json_only, "application/json")).status, 406);
    assert_eq!(shards.streams(), 0);
}

#[test]
fn several_subscriptions_each_get_their_own_copy_up_to_a_bound() {
    let mut shards = lone(|snapshot| snapshot.limits.listens_per_principal_max = 3);
    let filter = json!({"resourceSubscriptions": ["docs://motto"]});
    let lines: Vec<usize> = (0..3).map(|id| listen(&mut shards, id, filter.clone())).collect();
    let client = Modern::new();
    let more = client.request(3, "subscriptions/listen", json!({"notifications": filter}));
    let answer = shards.ask(&more);
    assert_eq!((answer.status, code(&answer)), (429, 429));
    let other = Modern { key: OTHER_KEY, ..client };
    let line = shards.open(&other.request(3, "subscriptions/listen", json!({"notifications": filter})));
    shards.updated("docs://motto");
    for line in lines.iter().chain([&line]) {
        assert_eq!(methods(&shards.messages(*line))[1..], ["notifications/resources/updated"]);
    }
    shards.cut(lines[0]);
    let line = shards.open(&more);
    assert_eq!(shards.messages(line).len(), 1, "one that has gone makes room");
}

#[test]
fn a_server_that_stops_says_so_twice_and_ends_the_stream() {
    for (mut shards, _) in fleets() {
        let lines: Vec<(usize, Value)> = [json!("s"), json!(7)]
            .into_iter()
            .map(|id| (listen(&mut shards, id.clone(), json!({"toolsListChanged": true})), id))
            .collect();
        shards.drain();
        for (line, id) in lines {
            let messages = shards.messages(line);
            assert_eq!(methods(&messages)[1..], ["notifications/cancelled", "answer"], "{messages:?}");
            assert_eq!(messages[1]["params"]["requestId"], id);
            assert_eq!(messages[2]["id"], id);
            assert_eq!(messages[2]["result"]["resultType"], "complete");
            assert_eq!(messages[2]["result"]["_meta"][TAG], id);
            assert!(shards.is_answered(line) && shards.is_over(line));
        }
        assert_eq!(shards.streams(), 0);
    }
}

#[test]
fn a_task_is_told_of_in_full_to_its_principal_only() {
    for (mut shards, _) in fleets() {
        let client = Modern::with(all_capabilities());
        let id = shards.ask(&client.call(1, "work", json!({"ms": 1000}))).json()["result"]["taskId"].clone();
        let filter = json!({"notifications": {"taskIds": [id, id, "nonsense"]}});
        let line = shards.open(&client.request("l", "subscriptions/listen", filter.clone()));
        let strange = shards.open(&Modern { key: OTHER_KEY, ..client.clone() }.request(
            "l",
            "subscriptions/listen",
            filter,
        ));
        assert_eq!(shards.messages(line)[0]["params"]["notifications"], json!({"taskIds": [id]}));
        shards.pass(1000);
        let told = shards.messages(line);
        assert_eq!(methods(&told)[1..], ["notifications/tasks"]);
        let seen =
            shards.ask(&client.request(2, "tasks/get", json!({"taskId": id}))).json()["result"].clone();
        for member in ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs", "result"]
        {
            assert_eq!(told[1]["params"][member], seen[member], "{member}");
        }
        assert_eq!(shards.messages(strange).len(), 1, "an acknowledgement tells nothing");
    }
}
