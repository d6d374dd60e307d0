//! Settings people will try because later versions or other servers have them. Nothing here reads them, so they are
//! refused, but with a reason instead of "unknown".
//! Never: a setting that is read; those are in `raw`.
//! Next: `shape`, which asks here before it calls a key unknown.

use super::problem::Code;

/// A setting that is known and not read.
pub(super) struct Recognised {
    /// `NotRead` or `NoMeaning`.
    pub(super) code: Code,
    /// Why.
    pub(super) reason: &'static str,
    /// What to do instead.
    pub(super) help: &'static str,
}

/// Plainly missing.
const LATER: &str = "this version has nothing that would read it";
/// The advice when there is no substitute.
const REMOVE: &str = "remove it";

/// Path (`*` is any one segment), reason, help. A table stands for all that is in it.
const NOT_READ: &[(&str, &str, &str)] = &[
    ("include", LATER, "write everything into one file"),
    ("server.protocol_versions", "all revisions are always served", REMOVE),
    ("server.deployment", LATER, "use `mcpring dev` for development"),
    ("runtime.multishot_accept", "the driver decides how it accepts", REMOVE),
    ("runtime.registered_buffers", "buffers are leased from the shard's pool, unregistered", REMOVE),
    ("runtime.sqpoll", LATER, REMOVE),
    ("runtime.accept_balance", "shards always share a port by SO_REUSEPORT", REMOVE),
    ("runtime.control_threads", "there is always one control thread", REMOVE),
    ("limits.send_timeout_close", "a connection that passes send_timeout is always closed", REMOVE),
    ("listeners.*.cors", LATER, "list the browsers' origins in `origins`"),
    ("listeners.*.proxy_protocol", LATER, REMOVE),
    ("listeners.*.tcp_nodelay", "TCP_NODELAY is always on", REMOVE),
    (
        "listeners.*.websocket.compression",
        "frames are never compressed: it leaks secrets and costs memory",
        REMOVE,
    ),
    ("listeners.*.sse.overflow", "mcp.slow_reader holds for every stream", "set mcp.slow_reader"),
    ("tls.*.early_data", "0-RTT can be replayed and is never accepted", REMOVE),
    ("tls.*.acme", LATER, "set certificates to files"),
    ("tls.*.client_auth.forward_headers", "nothing is forwarded upstream", REMOVE),
    ("headers", LATER, "set headers = \"strict\" or \"none\" on the listener"),
    ("cors", LATER, "list the browsers' origins in listeners.NAME.origins"),
    ("auth.failure_delay", "keys are compared in constant time, without a delay", REMOVE),
    ("auth.realm", LATER, REMOVE),
    ("auth.protected_resource_metadata", "it is served wherever tokens are accepted", REMOVE),
    ("auth.jwt.*.revocation", "auth.revocations_file holds for every issuer", "set auth.revocations_file"),
    ("rate_limits.*.tools", LATER, REMOVE),
    ("rate_limits.*.scope", "every limit holds for this process", REMOVE),
    ("rate_limit_response", "a limited request is answered with 429 and Retry-After", REMOVE),
    ("auto_block", LATER, REMOVE),
    ("network", LATER, "filter addresses in the firewall"),
    ("validation", "the strict choices are always on", REMOVE),
    ("signing", LATER, REMOVE),
    ("encryption", LATER, REMOVE),
    ("native.concurrency", LATER, REMOVE),
    ("native.files", LATER, REMOVE),
    ("upstreams", LATER, REMOVE),
    ("log.access_sample", LATER, "log.access_log = false logs only refusals and faults"),
    ("log.redact", "header values and arguments are never logged", REMOVE),
    ("metrics", LATER, REMOVE),
    ("trace", LATER, REMOVE),
    ("audit", LATER, "log.access_log logs every request"),
    ("admin", LATER, REMOVE),
    ("cluster", LATER, REMOVE),
    ("dev", "`mcpring dev` needs no file", REMOVE),
];

/// Words of a setting that are not read, in the same form.
const WORDS_NOT_READ: &[(&str, &str, &str)] = &[
    ("auth.jwt.*.algorithms none", "a token without a signature proves nothing", "write \"ES256\""),
    ("auth.jwt.*.algorithms HS256", "a published key set holds no secrets", "write \"ES256\""),
    ("auth.jwt.*.algorithms HS384", "a published key set holds no secrets", "write \"ES256\""),
    ("auth.jwt.*.algorithms HS512", "a published key set holds no secrets", "write \"ES256\""),
    ("listeners.*.headers classic", LATER, "headers = \"strict\""),
    (
        "tls.*.session_resumption stateful",
        "shards share no session store",
        "session_resumption = \"tickets\"",
    ),
    ("rate_limits.*.key session", LATER, "key = \"ip\" or \"global\""),
    ("rate_limits.*.key subject", LATER, "key = \"ip\" or \"global\""),
    ("rate_limits.*.key api_key", LATER, "key = \"ip\" or \"global\""),
    ("rate_limits.*.key tool", LATER, "key = \"ip\" or \"global\""),
];

/// Keys of other servers' TLS settings, wherever they stand.
const NO_MEANING: &[(&str, &str, &str)] = &[
    ("dhfile", "rustls has no finite-field DH; key exchange is X25519MLKEM768, X25519 or P-256", REMOVE),
    ("dh_params", "rustls has no finite-field DH; key exchange is X25519MLKEM768, X25519 or P-256", REMOVE),
    (
        "curves",
        "curves are listed with the other key exchanges",
        "key_exchange = [\"X25519MLKEM768\", \"X25519\"]",
    ),
    (
        "eccs",
        "curves are listed with the other key exchanges",
        "key_exchange = [\"X25519MLKEM768\", \"X25519\"]",
    ),
    ("secure_renegotiate", "TLS 1.3 has no renegotiation and rustls never does it in 1.2", REMOVE),
    ("client_renegotiation", "TLS 1.3 has no renegotiation and rustls never does it in 1.2", REMOVE),
    ("honor_cipher_order", "the server's order of suites is always honoured", REMOVE),
    ("honor_ecc_order", "of the key exchanges that are accepted the client's favourite is taken", REMOVE),
    ("reuse_sessions", "resumption works by tickets", "session_resumption = \"tickets\" or \"off\""),
    ("versions", "a range of versions is given by its lower end", "min_version = \"1.3\""),
    (
        "ciphers",
        "suites are listed one by one, under their names of the standard",
        "cipher_suites = [\"TLS_AES_256_GCM_SHA384\"]",
    ),
    (
        "certfile",
        "a certificate stands with its key",
        "certificates = [{ cert_file = \"...\", key_file = \"...\" }]",
    ),
    (
        "keyfile",
        "a key stands with its certificate",
        "certificates = [{ cert_file = \"...\", key_file = \"...\" }]",
    ),
    ("password", "encrypted key files are not read", "decrypt the key and protect it by its file mode"),
    (
        "cacertfile",
        "authorities of clients belong to client_auth",
        "client_auth.ca_file = \"clients-ca.crt\"",
    ),
    ("verify", "what is wanted of clients belongs to client_auth", "client_auth.mode = \"required\""),
    (
        "verify_fun",
        "what is wanted of clients belongs to client_auth",
        "client_auth.allowed_names = [\"*.agents.example.com\"]",
    ),
    (
        "fail_if_no_peer_cert",
        "what is wanted of clients belongs to client_auth",
        "client_auth.mode = \"required\"",
    ),
    ("log_level", "levels are a filter", "log.level = \"info\""),
];

/// What is known about a key that no setting has.
pub(super) fn key(path: &str) -> Option<Recognised> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let not_read = NOT_READ.iter().find(|(pattern, ..)| matches(pattern, path));
    let no_meaning = NO_MEANING.iter().find(|(name, ..)| *name == last);
    found(Code::NotRead, not_read).or_else(|| found(Code::NoMeaning, no_meaning))
}

/// What is known about a word that a setting does not take. `path` may end in an index.
pub(super) fn word(path: &str, word: &str) -> Option<Recognised> {
    let path = path.split('[').next().unwrap_or(path);
    let row = WORDS_NOT_READ.iter().find(|(pattern, ..)| {
        pattern.split_once(' ').is_some_and(|(pattern, known)| known == word && matches(pattern, path))
    });
    found(Code::NotRead, row)
}

/// A row of a table as an answer.
fn found(code: Code, row: Option<&(&'static str, &'static str, &'static str)>) -> Option<Recognised> {
    row.map(|&(_, reason, help)| Recognised { code, reason, help })
}

/// Whether a path is the one a pattern names.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('.'), path.split('.'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(left), Some(right)) if left == right => {}
            _ => return false,
        }
    }
}
