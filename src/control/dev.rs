//! `mcpring dev`: a server to try in one command. Loopback HTTPS with a local CA, one token for an hour, the demo
//! tools, and a line to paste. It needs no file.
//! Never: an address beyond loopback; a limit that a person or a test suite would meet.
//! Next: `process::serve`, which runs it like any other server.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity};
use zeroize::Zeroizing;

use super::app::Product;
use super::banner::driver_word;
use super::certs::{build_server_config, warm};
use super::config::checked::{
    Config, Driver, HeaderPreset, Listener, ListenerSecurity, Log, LogFormat, Pin, Resumption, Runtime,
    TlsProfile, TlsVersion,
};
use super::config::default_limits;
use super::dev_ca::{DevCa, Origin};
use super::files::reason;
use super::keys::{MintedKey, mint_key};
use super::moment;
use super::options::{DevOptions, Format, Shards};
use super::problem::{Exit, Problem};
use super::process::{Hangup, Ready, Start, refuse, serve};
use super::publish::{Hsts, Kept, Materials, fact};
use crate::pipeline::admit::{RateKey, RateLimit};
use crate::pipeline::authorize::RoleRules;
use crate::pipeline::event::AccessLog;
use crate::pipeline::snapshot::{Admission, Limits, Server};
use crate::tools::DEMO_TOOLS;

const TOKEN_LIFE_S: u64 = 3_600;
const PATH: &str = "/mcp";

/// Runs until a signal ends it.
pub fn run(options: DevOptions, product: Product) -> ExitCode {
    let began = Instant::now();
    let _gathering = warm::gather_entropy();
    match prepare(&options, &product, began) {
        Ok((start, told)) => serve(start, |ready| announce(ready, &told)),
        Err(problems) => refuse(&problems),
    }
}

/// What the banner needs and the server does not.
struct Told {
    format: Format,
    url: String,
    token: Zeroizing<String>,
    token_until_s: i64,
    ca_file: PathBuf,
    ca_origin: Origin,
}

fn prepare(options: &DevOptions, product: &Product, began: Instant) -> Result<(Start, Told), Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let now_s = moment::unix_now_s();
    let addresses = addresses(options.port).map_err(one)?;
    let mut config = build_config(options, &addresses);
    if product.offers_something() {
        config.native.clear();
    }
    product.introduce(&mut config.server);
    let folder = std::path::absolute(&options.data_dir).unwrap_or_else(|_| options.data_dir.clone());
    let ca = DevCa::load_or_build(&folder, now_s).map_err(one)?;
    let identity = ca.issue(now_s)?;
    let mut kept = Kept::build(product.catalog.clone()).map_err(one)?;
    let certificates = vec![fact("dev", &identity)];
    let profile = config.tls.first().expect("build_config makes one profile");
    let tls = build_server_config(profile, &[identity], &mut kept.tickets).map_err(one)?;
    let until_s = u64::try_from(now_s).unwrap_or(0) + TOKEN_LIFE_S;
    let MintedKey { token, table, expires_at_s } = mint_key("dev", 1, until_s).map_err(one)?;
    let port = addresses.first().map_or(options.port, SocketAddr::port);
    let told = Told {
        format: options.format,
        url: format!("https://localhost:{port}{PATH}"),
        token,
        token_until_s: i64::try_from(expires_at_s).unwrap_or(i64::MAX),
        ca_file: ca.ca_file,
        ca_origin: ca.origin,
    };
    let materials = Materials { tls: vec![tls], keys: table, certificates };
    let start = Start { began, config, materials, kept, hsts: Hsts::Omitted, hangup: Hangup::Drain };
    Ok((start, told))
}

/// `127.0.0.1` and, where it exists, `::1` with the same port: `localhost` means either, and some clients try only one.
fn addresses(port: u16) -> Result<Vec<SocketAddr>, Problem> {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let chosen = TcpListener::bind(v4).and_then(|probe| probe.local_addr()).map_err(|error| {
        let problem = Problem::error("E0401", format!("cannot listen on {v4}: {}", reason(&error)));
        let problem = match super::holder::find(port) {
            Some(holder) => problem.note(format!("held by {holder}")),
            None => problem,
        };
        problem.help("mcpring dev --port 0 takes any free port").exit(Exit::Unavailable)
    })?;
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, chosen.port()));
    let is_free = TcpListener::bind(v6).is_ok();
    Ok(if is_free { vec![chosen, v6] } else { vec![chosen] })
}

fn build_config(options: &DevOptions, addresses: &[SocketAddr]) -> Config {
    let listener = |(index, &address): (usize, &SocketAddr)| Listener {
        name: if index == 0 { "dev".to_owned() } else { "dev6".to_owned() },
        address,
        security: ListenerSecurity::Tls(0),
        path: PATH.to_owned(),
        hostnames: ["localhost", "127.0.0.1", "::1", "[::1]"].map(str::to_owned).to_vec(),
        origins: Vec::new(),
        admission: Admission::Authenticated,
        headers: HeaderPreset::Strict,
        backlog: 1024,
    };
    let log_format = match options.format {
        Format::Text => LogFormat::Auto,
        Format::Json => LogFormat::Json,
    };
    Config {
        file: None,
        server: Server {
            name: "mcpring".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instructions: None,
        },
        runtime: build_runtime(options.driver, options.shards),
        limits: build_limits(),
        listeners: addresses.iter().enumerate().map(listener).collect(),
        tls: vec![TlsProfile {
            name: "dev".to_owned(),
            min_version: TlsVersion::Tls13,
            certificates: Vec::new(),
            resumption: Resumption::Tickets,
        }],
        api_key: None,
        roles: vec![RoleRules {
            name: "operator".to_owned(),
            allow: vec!["**".to_owned()],
            deny: Vec::new(),
        }],
        anonymous_roles: Vec::new(),
        rate_limits: vec![RateLimit {
            name: "per_ip".to_owned(),
            key: RateKey::Ip,
            rate: 10_000,
            period: Duration::from_secs(1),
            burst: 10_000,
        }],
        native: DEMO_TOOLS.iter().map(ToString::to_string).collect(),
        log: Log { format: log_format, level: "info".to_owned(), access_log: AccessLog::Every },
    }
}

fn build_runtime(driver: Driver, shards: Shards) -> Runtime {
    let cpus: Vec<usize> = match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        Err(_) => (0..thread::available_parallelism().map_or(1, usize::from)).collect(),
    };
    let shards = match shards {
        Shards::Auto => cpus.len(),
        Shards::Count(count) => count.get(),
    };
    Runtime {
        // More shards than CPUs is fine for trying things: nothing is pinned here.
        cpus: cpus.iter().copied().cycle().take(shards).collect(),
        pin: Pin::Floating,
        driver,
        blocking_threads: 4,
        ring_entries: 1024,
        shutdown_grace: Duration::from_secs(5),
    }
}

/// One person has one address, and a test suite may open a connection a request.
fn build_limits() -> Limits {
    Limits { connections_max: 1_000, connections_per_ip_max: 1_000, ..default_limits() }
}

fn announce(ready: &Ready<'_>, told: &Told) {
    let text = Zeroizing::new(match told.format {
        Format::Json => ready_line(told),
        Format::Text => banner(ready, told),
    });
    let mut out = io::stdout().lock();
    // Whoever started this without a stdout has no use for the banner.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    for warning in ready.warnings {
        if io::stderr().is_terminal() {
            super::process::say(&format!("{warning}\n"));
        } else {
            ready.log.problem(warning);
        }
    }
}

fn ready_line(told: &Told) -> String {
    // By hand, so that the fields stand in the order a reader expects.
    let text = |value: &str| serde_json::Value::from(value).to_string();
    format!(
        "{{\"event\":\"ready\",\"url\":{},\"token\":{},\"ca_file\":{}}}\n",
        text(&told.url),
        text(&told.token),
        text(&told.ca_file.display().to_string()),
    )
}

/// One line that calls `echo`, or lists the tools where there is none, as a 2026-07-28 client would.
fn curl(told: &Told, has_echo: bool) -> String {
    let (method, params) = match has_echo {
        true => ("tools/call", r#""name":"echo","arguments":{"message":"hello"},"#),
        false => ("tools/list", ""),
    };
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{{params}{}}}}}",
        concat!(
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
            r#""io.modelcontextprotocol/clientCapabilities":{},"#,
            r#""io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"}}"#,
        )
    );
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
    format!(
        "mcpring {version}  development mode, loopback only

  MCP        {url}        streamable_http
  Token      {token}
             role operator, until {until}
  Tools      {tools}        {shards} shards, {driver}

  Try        {curl}

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
        curl = curl(told, ready.tools.iter().any(|tool| tool == "echo")),
        elapsed = ready.elapsed.as_millis(),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn options() -> DevOptions {
        DevOptions {
            port: 0,
            data_dir: PathBuf::new(),
            driver: Driver::Auto,
            shards: Shards::Auto,
            format: Format::Text,
        }
    }

    /// A configuration for tests of the control plane.
    pub(crate) fn config() -> Config {
        let mut config = build_config(&options(), &["127.0.0.1:0".parse().unwrap()]);
        config.runtime.cpus = vec![0];
        config
    }

    fn told(ca_file: &str) -> Told {
        Told {
            format: Format::Json,
            url: "https://localhost:8443/mcp".to_owned(),
            token: Zeroizing::new("mrk_abcdef_x".to_owned()),
            token_until_s: 0,
            ca_file: ca_file.into(),
            ca_origin: Origin::Kept,
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
        let line = ready_line(&told("/d/ca.crt"));
        assert_eq!(line.matches('\n').count(), 1);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expect = serde_json::json!({
            "event": "ready", "url": "https://localhost:8443/mcp", "token": "mrk_abcdef_x", "ca_file": "/d/ca.crt",
        });
        assert_eq!(json, expect);
    }

    #[test]
    fn listens_on_loopback_only_with_one_port() {
        let found = addresses(0).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == found[0].port()));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let problem = addresses(taken.local_addr().unwrap().port()).unwrap_err();
        assert_eq!((problem.code, problem.exit), ("E0401", Exit::Unavailable));
    }

    #[test]
    fn runs_as_many_shards_as_asked() {
        for shards in [1, 3, 64].map(|count| NonZeroUsize::new(count).unwrap()) {
            assert_eq!(build_runtime(Driver::Auto, Shards::Count(shards)).cpus.len(), shards.get());
        }
        assert!(!build_runtime(Driver::Auto, Shards::Auto).cpus.is_empty());
    }
}
