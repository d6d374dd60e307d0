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
    /// It is accepted, and with one of these scopes it would do: one bit each, by index into `Resource::scopes`.
    Scope(u64),
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
            Self::Scope(_) => encode_parameter(out, "error", "insufficient_scope"),
        }
        if let Some(resource) = resource {
            encode_parameter(out, "resource_metadata", &resource.url);
            let wanted = match self {
                Self::Scope(bits) => bits,
                Self::Missing | Self::Refused | Self::Malformed => u64::MAX,
            };
            let is_wanted =
                |at: usize| u32::try_from(at).is_ok_and(|at| wanted.checked_shr(at).unwrap_or(0) & 1 == 1);
            let scopes =
                resource.scopes.iter().enumerate().filter(|(at, scope)| is_wanted(*at) && is_scope(scope));
            let scopes: Vec<&str> = scopes.map(|(_, scope)| scope.as_str()).collect();
            if !scopes.is_empty() {
                encode_parameter(out, "scope", &scopes.join(" "));
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 6749 3.3.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Names, URLs and scopes are checked when they are configured: nothing in them needs an escape.
fn encode_parameter(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b", ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}
