//! How the server under test and each peer are started, all giving the same answer to the same request.
//! The answer of the server under test is taken first; echo sends its bytes, nginx its headers and body.
//! Next: [`crate::process`], which runs them; `server.toml.in`, how ours is set up.

use std::cell::RefCell;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use crate::answer;
use crate::carriage::Carriage;
use crate::process::{Process, free_addresses};
use crate::scenario::Scenario;
use crate::target::Target;
use crate::tls::{self, Trust};
use crate::token;
use anyhow::{Context, Result, bail};
use aws_lc_rs::hmac;
use clap::ValueEnum;
use rustls::ClientConfig;

/// The key of the bench; it opens nothing but a server that lives for seconds.
const KEY: &str = "mrk_bench_0123456789abcdef0123456789abcdef";
const PEPPER: &str = "bench-pepper-0123456789abcdef0123456789abcdef";

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The server under test.
    Ours,
    /// The same with tokens instead of API keys.
    Token,
    /// The same with its defence taken down: nobody is asked who it is, no rate limit, one role that may do everything.
    Open,
    /// The same with certificates of clients; only its handshakes are measured.
    Mutual,
    /// Raw io_uring echo of the same bytes.
    Echo,
    /// nginx with a static reply.
    Nginx,
    /// The official Rust SDK's server.
    Rmcp,
    /// A bare rustls server: the floor of handshakes.
    Rustls,
    /// The same with certificates of clients.
    RustlsMutual,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// HTTP.
    Plain,
    /// HTTP over TLS 1.3.
    Tls,
    /// Lines.
    Lines,
    /// Lines over TLS 1.3.
    LinesTls,
    /// WebSocket.
    Websocket,
    /// WebSocket over TLS 1.3.
    WebsocketTls,
    /// Streams of events; only their memory is measured.
    Events,
    /// The same over TLS 1.3.
    EventsTls,
}

impl Wire {
    /// Short name for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Lines => "lines",
            Self::LinesTls => "lines-tls",
            Self::Websocket => "ws",
            Self::WebsocketTls => "ws-tls",
            Self::Events => "events",
            Self::EventsTls => "events-tls",
        }
    }

    /// How its messages go.
    #[must_use]
    pub fn carriage(self) -> Carriage {
        match self {
            Self::Plain | Self::Tls => Carriage::Http,
            Self::Lines | Self::LinesTls => Carriage::Lines,
            Self::Websocket | Self::WebsocketTls => Carriage::WebSocket,
            Self::Events | Self::EventsTls => Carriage::Events,
        }
    }

    /// Whether over TLS.
    #[must_use]
    pub fn is_secure(self) -> bool {
        match self {
            Self::Plain | Self::Lines | Self::Websocket | Self::Events => false,
            Self::Tls | Self::LinesTls | Self::WebsocketTls | Self::EventsTls => true,
        }
    }

    /// The same without TLS.
    #[must_use]
    pub fn in_clear(self) -> Self {
        match self.carriage() {
            Carriage::Http => Self::Plain,
            Carriage::Lines => Self::Lines,
            Carriage::WebSocket => Self::Websocket,
            Carriage::Events => Self::Events,
        }
    }
}

impl Kind {
    /// Short name for tables and raw lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Token => "token",
            Self::Open => "open",
            Self::Mutual => "mutual",
            Self::Echo => "echo",
            Self::Nginx => "nginx",
            Self::Rmcp => "rmcp",
            Self::Rustls => "rustls",
            Self::RustlsMutual => "rustls-mutual",
        }
    }

    /// Whether it takes part over `wire`.
    #[must_use]
    pub fn speaks(self, wire: Wire) -> bool {
        match self {
            Self::Echo => wire == Wire::Plain,
            Self::Rustls | Self::RustlsMutual | Self::Mutual => wire == Wire::Tls,
            Self::Ours => true,
            Self::Nginx | Self::Rmcp | Self::Token | Self::Open => wire.carriage() == Carriage::Http,
        }
    }

    /// Whether only its requests are of interest: what they cost beside those of `ours`.
    #[must_use]
    pub fn only_answers(self) -> bool {
        match self {
            Self::Token | Self::Open | Self::Echo => true,
            Self::Ours | Self::Mutual | Self::Nginx | Self::Rmcp | Self::Rustls | Self::RustlsMutual => false,
        }
    }

    /// Whether only its handshakes are of interest.
    #[must_use]
    pub fn only_shakes_hands(self) -> bool {
        match self {
            Self::Rustls | Self::RustlsMutual | Self::Mutual => true,
            Self::Ours | Self::Token | Self::Open | Self::Echo | Self::Nginx | Self::Rmcp => false,
        }
    }
}

/// All that the runs share: files, request, answer.
pub struct Stage {
    /// Certificates, configurations and logs of this run.
    pub folder: PathBuf,
    /// What is asked.
    pub scenario: Scenario,
    /// The file it came from.
    pub scenario_file: PathBuf,
    harness: PathBuf,
    server: Option<PathBuf>,
    server_cpu: usize,
    trust: Arc<ClientConfig>,
    trust_mutual: Arc<ClientConfig>,
    /// The token that the server under test accepts.
    token: String,
    /// The answer every peer gives.
    answer: RefCell<Vec<u8>>,
}

/// A started peer.
pub struct Running {
    /// Just before exec.
    pub started_at: Instant,
    process: Process,
    log: PathBuf,
    plain: SocketAddr,
    tls: SocketAddr,
    lines: [SocketAddr; 2],
    trust: Arc<ClientConfig>,
    scenario: Scenario,
    key: String,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks on new connections until the first answer comes; returns it and when it came.
    ///
    /// # Errors
    /// When the process ends or none comes in time; what it wrote is part of the error.
    pub fn first_answer(&mut self, wire: Wire, request: &[u8]) -> Result<(Vec<u8>, Instant)> {
        let target = self.target(wire)?;
        self.process.first_answer(&target, request).with_context(|| {
            let words = fs::read_to_string(&self.log).unwrap_or_default();
            format!("the server wrote:\n{words}")
        })
    }

    /// The request's bytes for it, with the credential that it knows.
    ///
    /// # Errors
    /// When the scenario cannot be encoded.
    pub fn request(&self, wire: Wire) -> Result<Vec<u8>> {
        let target = self.target(wire)?;
        target.carriage.request(&self.scenario, &host(target.address), &self.key)
    }

    /// Where it listens, and how it is spoken to.
    ///
    /// # Errors
    /// When the scenario cannot be encoded.
    pub fn target(&self, wire: Wire) -> Result<Target> {
        let [lines, lines_tls] = self.lines;
        let address = match wire {
            Wire::Plain | Wire::Websocket | Wire::Events => self.plain,
            Wire::Tls | Wire::WebsocketTls | Wire::EventsTls => self.tls,
            Wire::Lines => lines,
            Wire::LinesTls => lines_tls,
        };
        let carriage = wire.carriage();
        let opening = carriage.opening(&self.scenario, &host(address), &self.key)?;
        let tls = wire.is_secure().then(|| Arc::clone(&self.trust));
        Ok(Target { address, tls, carriage, opening })
    }
}

impl Stage {
    /// Makes the run's folder with fresh certificates. `harness` holds templates and scenarios; `server` is the
    /// binary under test, if it takes part; servers run on `server_cpu`.
    ///
    /// # Errors
    /// When a file is missing or cannot be written.
    pub fn build(harness: &Path, scenario: &str, server: Option<&Path>, server_cpu: usize) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mcpring-bench-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        tls::write_certificates(&folder)?;
        let scenario_file = harness.join("scenarios").join(scenario).with_extension("json");
        let sample = fs::read(harness.join("answer.http")).context("answer.http")?;
        Ok(Self {
            scenario: Scenario::load(&scenario_file)?,
            scenario_file,
            harness: harness.to_owned(),
            server: server.map(Path::to_owned),
            server_cpu,
            trust: tls::client_config(&Trust::Authority(&folder.join("ca.pem")), None)?,
            trust_mutual: tls::client_config(
                &Trust::Authority(&folder.join("ca.pem")),
                Some((&folder.join("client.pem"), &folder.join("client-key.pem"))),
            )?,
            token: token::write_key_set(&folder.join("jwks.json"))?,
            answer: RefCell::new(sample),
            folder,
        })
    }

    /// Asks the server under test once and makes its answer everybody's.
    ///
    /// # Errors
    /// When it does not start or does not answer as expected.
    pub fn take_sample(&self) -> Result<()> {
        let mut running = self.start(Kind::Ours)?;
        let request = running.request(Wire::Plain)?;
        let (bytes, _) = running.first_answer(Wire::Plain, &request)?;
        answer::check(&bytes, &self.scenario.expect)?.context("incomplete answer")?;
        self.answer.replace(bytes);
        Ok(())
    }

    /// The request's bytes for a peer that asks nobody who it is.
    fn request(&self, target: &Target) -> Result<Vec<u8>> {
        target.carriage.request(&self.scenario, &host(target.address), KEY)
    }

    /// A program of this package, built beside the running one.
    ///
    /// # Errors
    /// When the running program's place is unknown.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let own = std::env::current_exe()?;
        Ok(own.parent().context("the folder of this program")?.join(name))
    }

    /// Starts a peer on the servers' processor; it may not listen yet.
    ///
    /// # Errors
    /// When it cannot be configured or started.
    pub fn start(&self, kind: Kind) -> Result<Running> {
        let [plain, tls, lines, lines_tls] = free_addresses()?;
        let mut command = match kind {
            Kind::Ours | Kind::Token | Kind::Open | Kind::Mutual => {
                self.ours(kind, [plain, tls, lines, lines_tls])?
            }
            Kind::Echo => self.echo(plain)?,
            Kind::Nginx => self.nginx(plain, tls)?,
            Kind::Rmcp | Kind::Rustls | Kind::RustlsMutual => self.sdk(kind, plain, tls)?,
        };
        let log = self.folder.join(format!("{}.log", kind.name()));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let started_at = Instant::now();
        let process = Process::start(&mut command, self.server_cpu)?;
        Ok(Running {
            started_at,
            process,
            log,
            plain,
            tls,
            lines: [lines, lines_tls],
            trust: Arc::clone(match kind {
                Kind::Mutual | Kind::RustlsMutual => &self.trust_mutual,
                Kind::Ours
                | Kind::Token
                | Kind::Open
                | Kind::Echo
                | Kind::Nginx
                | Kind::Rmcp
                | Kind::Rustls => &self.trust,
            }),
            scenario: self.scenario.clone(),
            key: match kind {
                Kind::Token => self.token.clone(),
                Kind::Open => String::new(),
                Kind::Ours
                | Kind::Mutual
                | Kind::Echo
                | Kind::Nginx
                | Kind::Rmcp
                | Kind::Rustls
                | Kind::RustlsMutual => KEY.to_owned(),
            },
        })
    }

    /// The command that puts `running` under load from processor `load_cpu`.
    ///
    /// # Errors
    /// When the load program's place is unknown.
    pub fn load(
        &self,
        running: &Running,
        wire: Wire,
        (connections, in_flight): (usize, usize),
        load_cpu: usize,
    ) -> Result<Command> {
        let mut command = Command::new(self.program("load")?);
        command.arg(running.target(wire)?.address.to_string()).arg("--scenario").arg(&self.scenario_file);
        command.args(["--key", &running.key, "--connections", &connections.to_string()]);
        command.args(["--in-flight", &in_flight.to_string(), "--carriage"]);
        let carriage = wire.carriage().to_possible_value().context("every carriage has a name")?;
        command.arg(carriage.get_name());
        command.args(["--pid", &running.pid().to_string(), "--cpu", &load_cpu.to_string()]);
        if wire.is_secure() {
            command.arg("--ca").arg(self.folder.join("ca.pem"));
        }
        Ok(command)
    }

    fn ours(&self, kind: Kind, [plain, tls, lines, lines_tls]: [SocketAddr; 4]) -> Result<Command> {
        let server = self.server.as_ref().context("no server binary was named")?;
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, PEPPER.as_bytes()), KEY.as_bytes());
        let mac = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.write_private("pepper", PEPPER)?;
        self.write_private("keys.toml", &self.template("keys.toml.in")?.replace("@KEY_HASH@", &mac))?;
        let template = if kind == Kind::Open { "open.toml.in" } else { "server.toml.in" };
        let config = self.fill(&self.template(template)?, plain, tls);
        let client_auth = if kind == Kind::Mutual { "required" } else { "off" };
        let config = config.replace("@CLIENT_AUTH@", client_auth);
        let config = config.replace("@LINES_ADDRESS@", &lines.to_string());
        let config = config.replace("@LINES_TLS_ADDRESS@", &lines_tls.to_string());
        let file = self.write_private("mcpring.toml", &config)?;
        let mut command = Command::new(server);
        command.args(["run", "--config"]).arg(file);
        Ok(command)
    }

    fn echo(&self, plain: SocketAddr) -> Result<Command> {
        let answer = self.folder.join("answer.http");
        fs::write(&answer, &*self.answer.borrow())?;
        let mut command = Command::new(self.program("echo_ring")?);
        let bytes = self.request(&Target::http(plain, None))?.len();
        command.arg(plain.to_string()).args(["--request-bytes", &bytes.to_string()]);
        command.arg("--answer").arg(answer);
        Ok(command)
    }

    fn nginx(&self, plain: SocketAddr, tls: SocketAddr) -> Result<Command> {
        // nginx writes these itself.
        const OWN: [&str; 6] =
            ["server", "date", "content-type", "content-length", "connection", "transfer-encoding"];
        let parts = answer::parts(&self.answer.borrow())?;
        let body = String::from_utf8(parts.body)?;
        let mut headers = String::new();
        for (name, value) in parts.fields {
            if !OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                headers.push_str(&format!("            add_header {name} \"{value}\";\n"));
            }
        }
        if body.contains(['\'', '$', '\\']) || headers.contains('$') {
            bail!("the answer has characters that an nginx configuration would change");
        }
        let text = self.fill(&self.template("nginx.conf.in")?, plain, tls);
        let text = text.replace("@HEADERS@\n", &headers).replace("@BODY@", &body);
        let file = self.write_private("nginx.conf", &text)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(file).arg("-e").arg(self.folder.join("nginx-error.log"));
        Ok(command)
    }

    fn sdk(&self, kind: Kind, plain: SocketAddr, tls: SocketAddr) -> Result<Command> {
        let program = if kind == Kind::Rmcp { "peer_rmcp" } else { "peer_rustls" };
        let mut command = Command::new(self.program(program)?);
        command.args(["--tls", &tls.to_string(), "--cert"]).arg(self.folder.join("cert.pem"));
        command.arg("--key").arg(self.folder.join("key.pem"));
        if kind == Kind::RustlsMutual {
            command.arg("--clients").arg(self.folder.join("ca.pem"));
        }
        if kind == Kind::Rmcp {
            command.args(["--plain", &plain.to_string()]);
        } else {
            let answer = self.folder.join("answer.http");
            fs::write(&answer, &*self.answer.borrow())?;
            let bytes = self.request(&Target::http(tls, None))?.len();
            command.args(["--request-bytes", &bytes.to_string(), "--answer"]).arg(answer);
        }
        Ok(command)
    }

    /// Removes the folder with configurations and logs.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn clear(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| self.folder.display().to_string())
    }

    fn template(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.harness.join(name)).with_context(|| name.to_owned())
    }

    fn fill(&self, text: &str, plain: SocketAddr, tls: SocketAddr) -> String {
        text.replace("@FOLDER@", &self.folder.display().to_string())
            .replace("@PLAIN_ADDRESS@", &plain.to_string())
            .replace("@TLS_ADDRESS@", &tls.to_string())
            .replace("@PATH@", &self.scenario.path)
            .replace("@CPU@", &self.server_cpu.to_string())
            .replace("@CPU_MASK@", &format!("{:b}", 1_u128 << self.server_cpu.min(127)))
    }

    fn write_private(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        restrict(&path)?;
        Ok(path)
    }
}

/// The authority of a server; every port the kernel hands out has five digits, so requests are equally long for all.
fn host(address: SocketAddr) -> String {
    format!("localhost:{:05}", address.port())
}

fn restrict(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).context("file mode")
}
