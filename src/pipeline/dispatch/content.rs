//! Content for a revision that lacks a kind of it: whoever can not read a sound or a link is told of it in words.
//! Never: work for an answer that has nothing of the kind.
//! Next: `result`, which writes the answer around it.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::{Value, json};

use crate::wire::mcp::Revision;

/// The kinds of blocks that a revision has not, as a block begins with them.
// MCP 2025-03-26 brought sounds and 2025-06-18 links; the older schemas refuse an answer with a block they do not know.
fn lacking(revision: Revision) -> &'static [&'static str] {
    match revision {
        Revision::V20241105 => &["audio", "resource_link"],
        Revision::V20250326 => &["resource_link"],
        Revision::V20250618 | Revision::V20251125 | Revision::V20260728 => &[],
    }
}

/// Blocks, or messages of one block each, JSON separated by commas; with words for what the revision has not.
pub(super) fn known(items: &[u8], revision: Revision) -> Cow<'_, [u8]> {
    let lacking = lacking(revision);
    let has = |kind: &&str| memmem::find(items, format!("\"type\":\"{kind}\"").as_bytes()).is_some();
    if lacking.iter().any(has) {
        in_words(items, lacking).map_or(Cow::Borrowed(items), Cow::Owned)
    } else {
        Cow::Borrowed(items)
    }
}

fn in_words(items: &[u8], lacking: &[&str]) -> Option<Vec<u8>> {
    let mut list: Vec<Value> = serde_json::from_slice(&[b"[", items, b"]"].concat()).ok()?;
    for item in &mut list {
        let block = if item.get("content").is_some() { item.get_mut("content")? } else { item };
        let text = |member: &str| block.get(member).and_then(Value::as_str).unwrap_or_default();
        if !lacking.contains(&text("type")) {
            continue;
        }
        let words = match text("type") {
            "audio" => {
                format!("A sound, {}, which this revision of the protocol can not carry.", text("mimeType"))
            }
            _ => format!("{}: {}", text("name"), text("uri")),
        };
        *block = match block.get("annotations") {
            Some(annotations) => json!({"type": "text", "text": words, "annotations": annotations}),
            None => json!({"type": "text", "text": words}),
        };
    }
    let written = serde_json::to_vec(&list).ok()?;
    Some(written.strip_prefix(b"[")?.strip_suffix(b"]")?.to_vec())
}
