//! `params._meta`: what a modern request says about itself, and the progress token of both eras.
//! Never: a fallback from a malformed modern envelope to the legacy era.
//! Next: `pipeline/envelope.rs`, which holds it against the headers.

use crate::wire::json::Value;

/// `_meta` key of the revision.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` key of what the client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` key of the server's name in results.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// `_meta` key of the least severe log message that is wanted.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// `_meta` key that tags what belongs to a subscription.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The extension for calls that take long.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// `_meta` key of our own: the value of HTTP's `Authorization`, for transports that have no headers. It counts in the
/// first message of a connection.
pub const AUTHORIZATION: &str = "mcpring/authorization";
/// `_meta` key of the token that progress notifications carry.
pub const PROGRESS_TOKEN: &str = "progressToken";

/// Longest string token that is accepted and echoed. Bytes.
pub const TOKEN_BYTES_MAX: usize = 256;

/// What `_meta` holds, before any judgement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meta<'t, 'i> {
    /// The revision's name; its presence makes a request modern.
    pub protocol_version: Option<Value<'t, 'i>>,
    /// An object, when the request is well-formed.
    pub client_capabilities: Option<Value<'t, 'i>>,
    /// A string or an integer, when well-formed.
    pub progress_token: Option<Value<'t, 'i>>,
    /// The name of a level, when well-formed.
    pub log_level: Option<Value<'t, 'i>>,
    /// Whether one of the keys above stood twice.
    pub has_duplicates: bool,
}

impl<'t, 'i> Meta<'t, 'i> {
    /// Reads `params._meta`; absent or of another type gives an empty one.
    pub fn decode(params: Option<Value<'t, 'i>>) -> Self {
        let mut meta = Self::default();
        let Some(object) = params.and_then(|params| params.member("_meta")) else { return meta };
        for (key, value) in object.members() {
            let slot = match key {
                PROTOCOL_VERSION => &mut meta.protocol_version,
                CLIENT_CAPABILITIES => &mut meta.client_capabilities,
                PROGRESS_TOKEN => &mut meta.progress_token,
                LOG_LEVEL => &mut meta.log_level,
                _ => continue,
            };
            meta.has_duplicates |= slot.replace(value).is_some();
        }
        meta
    }
}
