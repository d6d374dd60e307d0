//! What the configuration promises, asked of whole files.
//! Next: `mistakes`, then `values`.

mod codes;
mod environment;
mod forms;
mod listeners;
mod mistakes;
mod mutations;
mod client_auth;
mod values;
mod tokens;

use super::*;

/// A file with every kind of table and nothing wrong.
const GOOD: &str = r#"version = 1

[server]
name = "demo"
public_url = "https://mcp.example.com"

[runtime]
cpus = "0"

[limits]
max_message_size = "1MiB"

[listeners.https]
kind = "http"
address = "[::]:8443"
tls = "public"
auth = ["api_key"]

[listeners.local]
kind = "http"
address = "127.0.0.1:8080"
auth_required = false

[tls.public]
certificates = [{ cert_file = "server.crt", key_file = "/etc/server.key" }]

[auth.api_key]
pepper = { env = "MCPRING_PEPPER" }
keys_file = "keys.toml"

[roles.reader]
allow = ["tools/list"]

[roles.agent]
allow = ["tools/call:native/*"]
deny = ["tools/call:native/countdown"]

[rbac]
anonymous_roles = ["reader"]

[rate_limits.per_ip]
key = "ip"
rate = 100

[native]
enable = ["echo", "time"]
"#;

/// Loads a text as if it were in `/srv/mcpring.toml`, without a look at the machine.
fn load_text(text: &str, overrides: &[&str]) -> Result<Loaded, Problems> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let source = Source::Text { name: "/srv/mcpring.toml".to_owned(), text: text.to_owned() };
    load_without_environment(&source, &overrides)
}

/// The problems of a text, warnings too.
fn problems(text: &str, overrides: &[&str]) -> Problems {
    load_text(text, overrides).map_or_else(|problems| problems, |loaded| loaded.warnings)
}

/// `GOOD` with one piece replaced.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} must be in the file once");
    GOOD.replace(from, to)
}

/// The codes of problems, in order.
fn codes(problems: &Problems) -> Vec<&'static str> {
    problems.iter().map(Problem::code).collect()
}
