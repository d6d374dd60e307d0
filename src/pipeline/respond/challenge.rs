//! `WWW-Authenticate`: what a client without a good credential is told about getting one.
//! Never: why a credential was refused.
//! Next: `refusal`, which answers have it.

use crate::pipeline::snapshot::Resource;

/// What the field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A credential is needed.
    Missing,
    /// The one that came is not accepted, whatever is wrong with it.
    Refused,
    /// What came can not be read as a credential.
    Malformed,
}

impl Challenge {
    /// Appends the field.
    // RFC 6750 3: no error where no token came. RFC 9728 5.1: where the metadata is. MCP 2026-07-28, Authorization: the
    // scopes.
    pub(super) fn encode(self, out: &mut Vec<u8>, resource: Option<&Resource>) {
        out.extend_from_slice(b"www-authenticate: Bearer realm=\"mcpring\"");
        match self {
            Self::Missing => {}
            Self::Refused => encode_parameter(out, "error", "invalid_token"),
            Self::Malformed => encode_parameter(out, "error", "invalid_request"),
        }
        if let Some(resource) = resource {
            encode_parameter(out, "resource_metadata", &resource.url);
            if !resource.scopes.is_empty() {
                encode_parameter(out, "scope", &resource.scopes);
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Names, URLs and scopes are checked when they are configured: nothing in them needs an escape.
fn encode_parameter(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b", ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}
