//! The words of the Model Context Protocol: revisions, methods, metadata keys, codes, session claims.
//! Never: what a method does; that is `pipeline/dispatch.rs`.
//! Next: `revision` for the two eras, `meta` for what each modern request carries.

pub mod meta;
pub mod method;
pub mod name;
pub mod revision;
pub mod session;

use std::time::Duration;

pub use method::Method;
pub use revision::{Era, Revision};

/// A header is missing, malformed or says something else than the body.
pub const HEADER_MISMATCH: i32 = -32020;
/// The client did not declare a capability the request needs.
pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
/// The protocol version is not served.
pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;

/// No such resource, in the legacy era.
pub const RESOURCE_NOT_FOUND: i32 = -32002;

/// How long a client may keep `server/discover` and list results.
pub const LIST_TTL: Duration = Duration::from_secs(60);
