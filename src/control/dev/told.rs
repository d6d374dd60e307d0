//! What `mcpring dev` tells: a banner with a line to try for every transport, or one line of JSON.
//! Next: `process::serve`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::banner::{driver_word, listeners};
use super::super::dev_ca::Origin;
use super::super::moment;
use super::super::options::Format;
use super::super::process::{Ready, say};
use super::PATH;

/// What the banner needs and the server does not.
pub(super) struct Told {
    pub(super) format: Format,
    pub(super) url: String,
    pub(super) token: Zeroizing<String>,
    pub(super) token_until_s: i64,
    pub(super) ca_file: PathBuf,
    pub(super) ca_origin: Origin,
    /// Of the TCP listener.
    pub(super) tcp: Option<SocketAddr>,
    /// As it was typed.
    pub(super) program: PathBuf,
}

pub(super) fn announce(ready: &Ready<'_>, told: &Told) {
    let text = Zeroizing::new(match told.format {
        Format::Json => ready_line(told, &listeners(ready)),
        Format::Text => banner(ready, told),
    });
    let mut out = io::stdout().lock();
    // Whoever started this without a stdout has no use for the banner.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    for warning in ready.warnings {
        if io::stderr().is_terminal() {
            say(&format!("{warning}\n"));
        } else {
            ready.log.problem(warning);
        }
    }
}

fn ready_line(told: &Told, listeners: &[serde_json::Value]) -> String {
    // By hand, so that the fields stand in the order a reader expects.
    let text = |value: &str| serde_json::Value::from(value).to_string();
    format!(
        "{{\"event\":\"ready\",\"url\":{},\"token\":{},\"ca_file\":{},\"listeners\":{}}}\n",
        text(&told.url),
        text(&told.token),
        text(&told.ca_file.display().to_string()),
        serde_json::Value::from(listeners),
    )
}

/// A call of `echo`, or a list of the tools where there is none, as a 2026-07-28 client would send it. `credential` is
/// for the transports without headers.
fn message(has_echo: bool, credential: Option<&str>) -> String {
    let (method, params) = match has_echo {
        true => ("tools/call", r#""name":"echo","arguments":{"message":"hello"},"#),
        false => ("tools/list", ""),
    };
    let credential =
        credential.map(|token| format!(r#","mcpring/authorization":"Bearer {token}""#)).unwrap_or_default();
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{{params}{}{credential}}}}}}}",
        concat!(
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
            r#""io.modelcontextprotocol/clientCapabilities":{},"#,
            r#""io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"}"#,
        )
    )
}

/// One line that calls over HTTP.
fn curl(told: &Told, has_echo: bool) -> String {
    let body = message(has_echo, None);
    let method = if has_echo { "tools/call" } else { "tools/list" };
    let mut headers = vec![
        format!("Authorization: Bearer {}", *told.token),
        "Content-Type: application/json".to_owned(),
        "Accept: application/json, text/event-stream".to_owned(),
        "MCP-Protocol-Version: 2026-07-28".to_owned(),
        format!("Mcp-Method: {method}"),
    ];
    if has_echo {
        headers.push("Mcp-Name: echo".to_owned());
    }
    let headers: String = headers.iter().map(|header| format!(" -H {}", quote(header))).collect();
    format!("curl --cacert {}{headers} -d {} {}", quote_path(&told.ca_file), quote(&body), told.url)
}

/// A line for each of the other transports; they share what the first sets.
fn other_lines(told: &Told, has_echo: bool) -> String {
    let (url, ca) = (&told.url, quote_path(&told.ca_file));
    let origin = url.strip_suffix(PATH).unwrap_or(url);
    let secure = url.replacen("https", "wss", 1);
    let call = quote(&message(has_echo, Some(&told.token)));
    let mut text = format!(
        "  Or         CA={ca} TOKEN={token} CALL={call}
  Events     curl -sN --cacert $CA -H \"Authorization: Bearer $TOKEN\" {origin}/events
  Old SSE    curl -sN --cacert $CA -H \"Authorization: Bearer $TOKEN\" {origin}/sse
  WebSocket  npx -y wscat --ca $CA -s mcp -H \"Authorization: Bearer $TOKEN\" -c {secure} -w 1 -x \"$CALL\"
",
        token = *told.token,
    );
    if let Some(tcp) = told.tcp {
        let port = tcp.port();
        // Writing to a String never fails.
        let _ = writeln!(
            text,
            "  TCP        echo \"$CALL\" | openssl s_client -quiet -verify_quiet -CAfile $CA -connect localhost:{port}"
        );
    }
    let _ = writeln!(text, "  Stdio      echo \"$CALL\" | {} stdio", quote_path(&told.program));
    text
}

/// One word for a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn quote_path(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '/' | '.' | '_' | '-' | '+');
    if text.chars().all(is_plain) { text } else { quote(&text) }
}

fn banner(ready: &Ready<'_>, told: &Told) -> String {
    let ca = quote_path(&told.ca_file);
    let remade = match &told.ca_origin {
        Origin::Kept => String::new(),
        Origin::Made => "! A local CA was made for this user; clients have to trust it once.\n".to_owned(),
        Origin::Remade(why) => {
            format!("! The local CA was made anew ({why}); clients have to trust the new one.\n")
        }
    };
    let shards = ready.config.runtime.cpus.len();
    let has_echo = ready.tools.iter().any(|tool| tool == "echo");
    let tcp =
        told.tcp.map(|tcp| format!("\n             tls://localhost:{}         a message a line", tcp.port()));
    format!(
        "mcpring {version}  development mode, loopback only

  MCP        {url}        streamable_http, websocket, sse{tcp}
  Token      {token}
             role operator, until {until}
  Tools      {tools}        {shards} shards, {driver}

  Try        {curl}

{others}
  Trust      curl --cacert {ca}
             NODE_EXTRA_CA_CERTS={ca}   (Node.js)
             SSL_CERT_FILE={ca}   (Python, OpenSSL, Go)

{remade}Ready in {elapsed} ms. Ctrl-C stops.
",
        version = env!("CARGO_PKG_VERSION"),
        url = told.url,
        token = *told.token,
        until = moment::minute(told.token_until_s),
        tools = ready.tools.join(", "),
        driver = driver_word(ready.driver),
        tcp = tcp.unwrap_or_default(),
        curl = curl(told, has_echo),
        others = other_lines(told, has_echo),
        elapsed = ready.elapsed.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ca_file: &str) -> Told {
        Told {
            format: Format::Json,
            url: "https://localhost:8443/mcp".to_owned(),
            token: Zeroizing::new("mrk_abcdef_x".to_owned()),
            token_until_s: 0,
            ca_file: ca_file.into(),
            ca_origin: Origin::Kept,
            tcp: Some(([127, 0, 0, 1], 8444).into()),
            program: PathBuf::from("./mcpring"),
        }
    }

    #[test]
    fn writes_a_curl_line_that_a_shell_takes_apart_again() {
        let line = curl(&told("/data/o'brien/my data/ca.crt"), true);
        assert_eq!(line.lines().count(), 1);
        let script = format!("set -- {line}; for word; do printf '%s\\n' \"$word\"; done");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = words.lines().collect();
        assert_eq!(words[..3], ["curl", "--cacert", "/data/o'brien/my data/ca.crt"]);
        assert_eq!(words.last(), Some(&"https://localhost:8443/mcp"));
        assert!(words.contains(&"Authorization: Bearer mrk_abcdef_x"));
        let body = words[words.iter().position(|word| *word == "-d").unwrap() + 1];
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["params"]["name"], "echo");
        assert_eq!(body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    }

    #[test]
    fn leaves_a_plain_path_unquoted() {
        assert_eq!(quote_path(Path::new("/data/a/.local/share/ca.crt")), "/data/a/.local/share/ca.crt");
        assert_eq!(quote_path(Path::new("/a b")), "'/a b'");
        assert_eq!(quote_path(Path::new("/$(x)")), "'/$(x)'");
    }

    #[test]
    fn writes_one_line_of_json_for_programs() {
        let listeners = [serde_json::json!({ "name": "dev-tcp", "address": "127.0.0.1:8444" })];
        let line = ready_line(&told("/d/ca.crt"), &listeners);
        assert_eq!(line.matches('\n').count(), 1);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expect = serde_json::json!({
            "event": "ready", "url": "https://localhost:8443/mcp", "token": "mrk_abcdef_x", "ca_file": "/d/ca.crt",
            "listeners": listeners,
        });
        assert_eq!(json, expect);
    }

    #[test]
    fn writes_a_line_for_every_other_transport() {
        let text = other_lines(&told("/data/o'brien/my data/ca.crt"), true);
        let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["Or", "Events", "Old", "WebSocket", "TCP", "Stdio"]);
        let line = |name: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            line.get(13..).unwrap().to_owned()
        };
        assert!(line("Events").ends_with("https://localhost:8443/events"));
        assert!(line("WebSocket").contains(" -c wss://localhost:8443/mcp "));
        assert!(line("TCP").ends_with("-connect localhost:8444"));
        assert_eq!(line("Stdio"), "echo \"$CALL\" | ./mcpring stdio");
        // What the first line sets is what the others use.
        let script = format!("{}; printf '%s\\n' \"$CA\" \"$TOKEN\" \"$CALL\"", line("Or"));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = words.lines().collect();
        assert_eq!(words[..2], ["/data/o'brien/my data/ca.crt", "mrk_abcdef_x"]);
        let call: serde_json::Value = serde_json::from_str(words[2]).unwrap();
        assert_eq!(call["params"]["_meta"]["mcpring/authorization"], "Bearer mrk_abcdef_x");
        assert_eq!(call["params"]["name"], "echo");
    }
}
