//! Which kind of listener reads which setting. What a kind does not read is refused where it is written: whoever wrote it
//! believes that it does something.
//! Next: `reach`.

use super::super::super::problem::Code;
use super::super::super::raw::Kind;
use super::super::super::report::child;
use super::super::Check;

const HTTP: &[Kind] = &[Kind::Http];
const TCP: &[Kind] = &[Kind::Tcp];
const STDIO: &[Kind] = &[Kind::Stdio];
/// Those with callers from elsewhere.
const CALLED: &[Kind] = &[Kind::Http, Kind::Tcp];
/// Those with a socket of their own.
const SOCKET: &[Kind] = &[Kind::Http, Kind::Tcp, Kind::Redirect];
/// Those that answer requests.
const SERVING: &[Kind] = &[Kind::Http, Kind::Tcp, Kind::Stdio];

/// Settings and the kinds that read them; `kind` and `send_timeout` belong to all.
const READ_BY: &[(&str, &[Kind])] = &[
    ("address", SOCKET),
    ("tls", CALLED),
    ("path", HTTP),
    ("transports", HTTP),
    ("websocket", HTTP),
    ("sse", HTTP),
    ("auth", CALLED),
    ("auth_required", CALLED),
    ("hostnames", HTTP),
    ("origins", HTTP),
    ("headers", HTTP),
    ("framing", TCP),
    ("max_frame_size", TCP),
    ("max_message_size", &[Kind::Http, Kind::Stdio]),
    ("max_connections", SOCKET),
    ("max_connections_per_ip", SOCKET),
    ("max_inflight_per_connection", SERVING),
    ("tcp_keepalive", SOCKET),
    ("backlog", SOCKET),
    ("socket_mode", SOCKET),
    ("allow_plaintext_network", CALLED),
    ("allow_anonymous_network", CALLED),
    ("enabled", STDIO),
    ("input_fd", STDIO),
    ("output_fd", STDIO),
    ("error_fd", STDIO),
    ("buffer_size", STDIO),
    ("principal", STDIO),
    ("roles", STDIO),
];

/// Why, and what to write instead, where there is more to say than the kind's name.
const REASONS: &[(Kind, &str, &str, &str)] = &[
    (
        Kind::Http,
        "max_frame_size",
        "a message of HTTP has no frames",
        "write max_message_size, or max_frame_size in its `websocket` table",
    ),
    (
        Kind::Http,
        "roles",
        "its callers have the roles of their keys",
        "give roles in auth.api_key.keys_file, or with rbac.anonymous_roles",
    ),
    (Kind::Tcp, "max_message_size", "a message is a frame there", "write max_frame_size"),
    (
        Kind::Tcp,
        "roles",
        "its callers have the roles of their keys",
        "give roles in auth.api_key.keys_file, or with rbac.anonymous_roles",
    ),
    (
        Kind::Tcp,
        "transports",
        "it has one way to carry messages",
        "choose it with framing = \"newline\" or \"length32\"",
    ),
    (
        Kind::Stdio,
        "address",
        "standard streams have descriptors",
        "write input_fd and output_fd where they are not 0 and 1",
    ),
    (Kind::Stdio, "tls", "nothing leaves this machine", "remove it"),
    (
        Kind::Stdio,
        "auth",
        "whoever started the process is its client",
        "name that client with `principal` and give it `roles`",
    ),
    (
        Kind::Stdio,
        "auth_required",
        "whoever started the process is its client",
        "name that client with `principal` and give it `roles`",
    ),
    (Kind::Stdio, "framing", "it has a message a line", "remove it"),
    (Kind::Stdio, "max_frame_size", "a message is a line there", "write max_message_size"),
    (Kind::Stdio, "max_connections", "it has one client", "remove it"),
    (Kind::Stdio, "max_connections_per_ip", "it has one client", "remove it"),
    (
        Kind::Redirect,
        "tls",
        "it answers plain HTTP, which is what it leads away from",
        "remove it; the listener that it leads to has TLS",
    ),
    (Kind::Redirect, "auth", "it serves nothing that would need a credential", "remove it"),
    (Kind::Redirect, "auth_required", "it serves nothing that would need a credential", "remove it"),
    (
        Kind::Redirect,
        "transports",
        "it serves nothing but the redirect",
        "remove it, or write kind = \"http\"",
    ),
    (Kind::Redirect, "path", "it answers every path", "remove it"),
];

/// The word of the file.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "http",
        Kind::Tcp => "tcp",
        Kind::Stdio => "stdio",
        Kind::Redirect => "redirect",
    }
}

impl Check<'_> {
    /// Reports the settings of other kinds.
    pub(super) fn foreign_settings(&mut self, path: &str, kind: Kind) {
        for (key, kinds) in READ_BY {
            let setting = child(path, key);
            if kinds.contains(&kind) || !self.report.is_written(&setting) {
                continue;
            }
            let message = format!("`{setting}` is not a setting of a listener of kind \"{}\"", word(kind));
            let owners: Vec<String> = kinds.iter().map(|kind| format!("\"{}\"", word(*kind))).collect();
            let owners = owners.join(" or ");
            let reason = REASONS.iter().find(|(of, name, ..)| *of == kind && name == key);
            let problem = self.report.problem(Code::OtherKind, &setting, message);
            match reason {
                Some((_, _, label, help)) => problem.label(*label).help(*help),
                None => problem.label(format!("only kind {owners} reads it")).help("remove it"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::settings::settings;
    use super::*;

    #[test]
    fn knows_whose_every_setting_is() {
        let root = settings();
        let listeners = root.inner().iter().find(|setting| setting.key == "listeners").unwrap();
        let mut keys: Vec<&str> =
            listeners.shape.inner().iter().map(|setting| setting.key.as_str()).collect();
        keys.retain(|key| !["kind", "send_timeout"].contains(key));
        let mut known: Vec<&str> = READ_BY.iter().map(|(key, _)| *key).collect();
        known.sort_unstable();
        keys.sort_unstable();
        assert_eq!(known, keys);
        for (kind, key, ..) in REASONS {
            let (_, kinds) = READ_BY.iter().find(|(name, _)| name == key).unwrap();
            assert!(!kinds.contains(kind), "{key}");
        }
    }
}
