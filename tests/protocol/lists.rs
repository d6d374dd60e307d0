//! Lists page by page, and the hints that say how long what was read may be kept.
//! Next: `results`.

use serde_json::{Value, json};

use crate::client::{Modern, OTHER_KEY, Session, code, lone};
use crate::fixture::READER_KEY;
use crate::offer::{catalog, snapshot_of};
use crate::shards::{Carry, Shards};

const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
    ("prompts/list", "prompts", "name"),
];

fn page(shards: &mut Shards, client: &Modern, method: &str, cursor: Option<&Value>) -> Value {
    let params = cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
    shards.ask(&client.request(1, method, params)).json()["result"].clone()
}

fn names(page: &Value, list: &str, name: &str) -> Vec<String> {
    let entries = page[list].as_array().unwrap_or_else(|| panic!("no list: {page}"));
    entries.iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
}

fn paged(size: usize) -> Shards {
    let catalog = catalog();
    Shards::new(3, Carry::InOrder, &snapshot_of(&catalog, |snapshot| snapshot.limits.page_size = size))
}

#[test]
fn pages_are_complete_disjoint_and_in_order() {
    for (method, list, name) in LISTS {
        let whole = names(&page(&mut paged(100), &Modern::new(), method, None), list, name);
        assert!(!whole.is_empty(), "{method}");
        for size in 1..=whole.len() + 1 {
            let mut shards = paged(size);
            let (mut all, mut cursor) = (Vec::new(), None);
            for _ in 0..=whole.len() {
                let page = page(&mut shards, &Modern::new(), method, cursor.as_ref());
                let shown = names(&page, list, name);
                assert!(!shown.is_empty() && shown.len() <= size, "{method}: a page of {}", shown.len());
                all.extend(shown);
                cursor = page.get("nextCursor").cloned();
                assert!(page["ttlMs"].is_u64() && page["cacheScope"] == "private", "{page}");
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!((&all, cursor), (&whole, None), "{method} by {size}");
        }
    }
}

#[test]
fn a_cursor_is_worth_something_only_where_it_was_given() {
    let mut shards = paged(1);
    let client = Modern::new();
    let cursor = page(&mut shards, &client, "tools/list", None)["nextCursor"].clone();
    let text = cursor.as_str().unwrap().to_owned();
    assert!(text.is_ascii() && !text.contains("echo"));
    let mut tampered = text.clone().into_bytes();
    tampered[5] = if tampered[5] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for (key, method, cursor) in [
        (client.key, "tools/list", json!("")),
        (client.key, "tools/list", json!("garbage")),
        (client.key, "tools/list", json!(7)),
        (client.key, "tools/list", json!(null)),
        (client.key, "tools/list", json!("x".repeat(100_000))),
        (client.key, "tools/list", json!(tampered)),
        (client.key, "tools/list", json!(text[1..])),
        (client.key, "tools/list", json!(format!("{text}="))),
        (client.key, "resources/list", cursor.clone()),
        (client.key, "prompts/list", cursor.clone()),
        (OTHER_KEY, "tools/list", cursor.clone()),
        (READER_KEY, "tools/list", cursor.clone()),
    ] {
        let answer =
            shards.ask(&Modern { key, ..Modern::new() }.request(1, method, json!({"cursor": cursor})));
        assert_eq!((answer.status, code(&answer)), (200, -32602), "{method} {cursor}");
    }
    // The same place in the legacy era.
    let session = Session::start(&mut shards, "2025-06-18", json!({}));
    let next = shards.ask(&session.request(1, "tools/list", json!({"cursor": cursor}))).json();
    assert_eq!(next["result"]["tools"].as_array().unwrap().len(), 1);
    assert!(next["result"].get("ttlMs").is_none());
}

#[test]
fn an_edit_between_two_pages_neither_repeats_nor_skips_what_stays() {
    let catalog = catalog();
    let served = || snapshot_of(&catalog, |snapshot| snapshot.limits.page_size = 2);
    let mut shards = Shards::new(2, Carry::InOrder, &served());
    let whole = names(&page(&mut paged(100), &Modern::new(), "tools/list", None), "tools", "name");
    let first = page(&mut shards, &Modern::new(), "tools/list", None);
    // One that was shown goes, one that was not shown goes, and one comes.
    catalog.remove_tool(&whole[0]);
    catalog.remove_tool(&whole[3]);
    let new = mcpring::tools::Tool::function("brand_new", "Is new.", |_: serde_json::Value| Ok("new"));
    catalog.register(new.input_schema(r#"{"type":"object"}"#)).unwrap();
    shards.reload(&served());
    let (mut rest, mut cursor) = (Vec::new(), first["nextCursor"].clone());
    while !cursor.is_null() {
        let page = page(&mut shards, &Modern::new(), "tools/list", Some(&cursor));
        rest.extend(names(&page, "tools", "name"));
        cursor = page["nextCursor"].clone();
    }
    let mut expect: Vec<String> = whole[2..].iter().filter(|name| **name != whole[3]).cloned().collect();
    expect.push("brand_new".to_owned());
    assert_eq!(rest, expect);
}

#[test]
fn what_may_be_kept_says_for_how_long_and_for_whom() {
    let mut shards = lone(|_| {});
    let client = Modern::new();
    for (method, params, is_hinted) in [
        ("server/discover", json!({}), true),
        ("tools/list", json!({}), true),
        ("resources/list", json!({}), true),
        ("resources/templates/list", json!({}), true),
        ("prompts/list", json!({}), true),
        ("resources/read", json!({"uri": "me://name"}), true),
        ("resources/read", json!({"uri": "notes://rings"}), true),
        ("tools/call", json!({"name": "echo", "arguments": {"message": "x"}}), false),
        ("prompts/get", json!({"name": "review", "arguments": {"code": "x"}}), false),
    ] {
        let result = shards.ask(&client.request(1, method, params.clone())).json()["result"].clone();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "mcpring");
        assert_eq!(result["ttlMs"].is_u64(), is_hinted, "{method}: {result}");
        assert_eq!(result["cacheScope"] == "private", is_hinted, "{method}: {result}");
    }
    let motto = shards.ask(&client.request(1, "resources/read", json!({"uri": "docs://motto"}))).json();
    assert_eq!(
        (&motto["result"]["ttlMs"], &motto["result"]["cacheScope"]),
        (&json!(3_600_000), &json!("public"))
    );
    let session = Session::start(&mut shards, "2025-11-25", json!({}));
    for (method, params) in [("tools/list", json!({})), ("resources/read", json!({"uri": "docs://motto"}))] {
        let result = shards.ask(&session.request(1, method, params)).json()["result"].clone();
        for member in ["ttlMs", "cacheScope", "resultType", "_meta"] {
            assert!(result.get(member).is_none(), "{method}: {result}");
        }
    }
}
