//! What OAuth clients have to know of this server before they get a token: RFC 9728.
//! Never: anything that is not public.
//! Next: `pipeline/respond/challenge.rs`, which says where this is.

use bytes::Bytes;
use serde_json::json;

use super::config::checked::{Jwt, ResourceUrl};
use crate::pipeline::authenticate::grants::Grants;
use crate::pipeline::snapshot::Resource;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// How long clients may keep it: issuers do not move often, and a reload should not be waited for.
const LIFETIME: &str = "cache-control: public, max-age=300\r\naccess-control-allow-origin: *\r\n";

/// The metadata of the endpoint at `path`, which clients know by `url`. `header_block` is what other responses carry.
pub fn build(
    url: &ResourceUrl,
    path: &str,
    issuers: &[Jwt],
    grants: &Grants,
    header_block: &[u8],
) -> Resource {
    let ResourceUrl { origin, path: public_path } = url;
    let scopes: Vec<String> = grants.scopes.keys().cloned().collect();
    let mut metadata = json!({
        "resource": format!("{origin}{public_path}"),
        "authorization_servers": issuers.iter().map(|issuer| issuer.rules.issuer.as_str()).collect::<Vec<_>>(),
        "bearer_methods_supported": ["header"],
    });
    if let Some(members) = metadata.as_object_mut().filter(|_| !scopes.is_empty()) {
        members.insert("scopes_supported".to_owned(), scopes.clone().into());
    }
    // RFC 9728 3.1: between the host and the path. Clients that look at the host alone find it too.
    let mut paths = vec![WELL_KNOWN.to_owned()];
    for path in [public_path.as_str(), path] {
        let place = format!("{WELL_KNOWN}{path}");
        if !paths.contains(&place) {
            paths.push(place);
        }
    }
    Resource {
        paths,
        // It goes into a quoted string of a header.
        url: format!("{origin}{WELL_KNOWN}{public_path}").replace('"', "%22").replace('\\', "%5C"),
        metadata: metadata.to_string().into(),
        scopes,
        header_block: public_block(header_block),
    }
}

/// The same lines, but that it may be kept, and read by any page.
fn public_block(block: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(block);
    let is_private =
        |line: &str| line.starts_with("cache-control:") || line.starts_with("cross-origin-resource-policy:");
    let lines = text.split_inclusive("\r\n").filter(|line| !is_private(line));
    let mut public: String = lines.collect();
    public.push_str("cross-origin-resource-policy: cross-origin\r\n");
    public.push_str(LIFETIME);
    public.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_who_issues_tokens_and_lets_any_page_read_it() {
        let url = ResourceUrl { origin: "https://mcp.example.com".into(), path: "/mcp".into() };
        let grants = Grants { scopes: [("mcp:call".to_owned(), 1)].into(), ..Grants::default() };
        let block = b"x-frame-options: DENY\r\ncache-control: no-store\r\ncross-origin-resource-policy: same-origin\r\n";
        let resource = build(&url, "/mcp", &[], &grants, block);
        assert_eq!(
            resource.paths,
            ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]
        );
        assert_eq!(resource.url, "https://mcp.example.com/.well-known/oauth-protected-resource/mcp");
        let metadata: serde_json::Value = serde_json::from_slice(&resource.metadata).unwrap();
        assert_eq!(metadata["resource"], "https://mcp.example.com/mcp");
        assert_eq!(metadata["scopes_supported"], json!(["mcp:call"]));
        let lines = String::from_utf8(resource.header_block.to_vec()).unwrap();
        assert!(!lines.contains("no-store") && !lines.contains("same-origin"), "{lines}");
        assert!(lines.contains("access-control-allow-origin: *\r\n") && lines.starts_with("x-frame-options"));
    }
}
