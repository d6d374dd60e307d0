//! How the server under test and each peer are started, all giving the same answer to the same request.
//! The answer of the server under test is taken first; echo sends its bytes, nginx its headers and body.

use std::cell::RefCell;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use aws_lc_rs::hmac;
use clap::ValueEnum;
use mcpring_bench::answer;
use mcpring_bench::process::{Process, free_addresses};
use mcpring_bench::scenario::Scenario;
use mcpring_bench::target::Target;
use mcpring_bench::tls::{self, Trust};
use rustls::ClientConfig;

use crate::Arguments;

/// The key of the bench; it opens nothing but a server that lives for seconds.
const KEY: &str = "mrk_bench_0123456789abcdef0123456789abcdef";
const PEPPER: &str = "bench-pepper-0123456789abcdef0123456789abcdef";
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The server under test.
    Ours,
    /// Raw io_uring echo of the same bytes.
    Echo,
    /// nginx with a static reply.
    Nginx,
    /// The official Rust SDK's server.
    Rmcp,
    /// A bare rustls server: the floor of handshakes.
    Rustls,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wire {
    /// HTTP.
    Plain,
    /// HTTP over TLS 1.3.
    Tls,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Echo => "echo",
            Self::Nginx => "nginx",
            Self::Rmcp => "rmcp",
            Self::Rustls => "rustls",
        }
    }

    pub(crate) fn speaks(self, wire: Wire) -> bool {
        match self {
            Self::Echo => wire == Wire::Plain,
            Self::Rustls => wire == Wire::Tls,
            Self::Ours | Self::Nginx | Self::Rmcp => true,
        }
    }
}

/// All that the runs share: files, request, answer.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) scenario: Scenario,
    pub(crate) scenario_file: PathBuf,
    pub(crate) key: String,
    harness: PathBuf,
    server: Option<PathBuf>,
    server_cpu: usize,
    trust: Arc<ClientConfig>,
    /// The answer every peer gives.
    answer: RefCell<Vec<u8>>,
}

/// A started peer.
pub(crate) struct Running {
    pub(crate) started_at: Instant,
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    trust: Arc<ClientConfig>,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn target(&self, wire: Wire) -> Result<Target> {
        Ok(match wire {
            Wire::Plain => Target { address: self.plain, tls: None },
            Wire::Tls => Target { address: self.tls, tls: Some(Arc::clone(&self.trust)) },
        })
    }
}

impl Stage {
    pub(crate) fn build(arguments: &Arguments) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("mcpring-bench-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        tls::write_certificates(&folder)?;
        let scenario_file =
            arguments.harness.join("scenarios").join(&arguments.scenario).with_extension("json");
        let sample = fs::read(arguments.harness.join("answer.http")).context("answer.http")?;
        Ok(Self {
            scenario: Scenario::load(&scenario_file)?,
            scenario_file,
            key: KEY.to_owned(),
            harness: arguments.harness.clone(),
            server: arguments.server.clone(),
            server_cpu: arguments.server_cpu,
            trust: tls::client_config(&Trust::Authority(&folder.join("ca.pem")))?,
            answer: RefCell::new(sample),
            folder,
        })
    }

    /// Asks the server under test once and makes its answer everybody's.
    pub(crate) fn take_sample(&self) -> Result<()> {
        let running = self.start(Kind::Ours)?;
        let target = running.target(Wire::Plain)?;
        let (bytes, _) = target.ask_until_answered(&self.request(target.address)?, START_PATIENCE)?;
        answer::check(&bytes, &self.scenario.expect)?.context("incomplete answer")?;
        self.answer.replace(bytes);
        Ok(())
    }

    pub(crate) fn request(&self, address: SocketAddr) -> Result<Vec<u8>> {
        // Every port the kernel hands out has five digits, so requests are equally long for every peer.
        self.scenario.encode(&format!("localhost:{:05}", address.port()), &self.key)
    }

    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        let own = std::env::current_exe()?;
        Ok(own.parent().context("the folder of this program")?.join(name))
    }

    /// Starts a peer on the servers' processor; it may not listen yet.
    pub(crate) fn start(&self, kind: Kind) -> Result<Running> {
        let [plain, tls] = free_addresses()?;
        let mut command = match kind {
            Kind::Ours => self.ours(plain, tls)?,
            Kind::Echo => self.echo(plain)?,
            Kind::Nginx => self.nginx(plain, tls)?,
            Kind::Rmcp | Kind::Rustls => self.sdk(kind, plain, tls)?,
        };
        let log = File::create(self.folder.join(format!("{}.log", kind.name())))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started_at = Instant::now();
        let process = Process::start(&mut command, self.server_cpu)?;
        Ok(Running { started_at, process, plain, tls, trust: Arc::clone(&self.trust) })
    }

    fn ours(&self, plain: SocketAddr, tls: SocketAddr) -> Result<Command> {
        let server = self.server.as_ref().context("no server binary was named")?;
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, PEPPER.as_bytes()), KEY.as_bytes());
        let mac = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.write_private("pepper", PEPPER)?;
        self.write_private("keys.toml", &self.template("keys.toml.in")?.replace("@KEY_MAC@", &mac))?;
        let config = self.fill(&self.template("server.toml.in")?, plain, tls);
        let file = self.write_private("mcpring.toml", &config)?;
        let mut command = Command::new(server);
        command.args(["run", "--config"]).arg(file);
        Ok(command)
    }

    fn echo(&self, plain: SocketAddr) -> Result<Command> {
        let answer = self.folder.join("answer.http");
        fs::write(&answer, &*self.answer.borrow())?;
        let mut command = Command::new(self.program("echo_ring")?);
        let bytes = self.request(plain)?.len();
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
        let mut command = Command::new(self.program(&format!("peer_{}", kind.name()))?);
        command.args(["--tls", &tls.to_string(), "--cert"]).arg(self.folder.join("cert.pem"));
        command.arg("--key").arg(self.folder.join("key.pem"));
        if kind == Kind::Rmcp {
            command.args(["--plain", &plain.to_string()]);
        } else {
            let answer = self.folder.join("answer.http");
            fs::write(&answer, &*self.answer.borrow())?;
            let bytes = self.request(tls)?.len();
            command.args(["--request-bytes", &bytes.to_string(), "--answer"]).arg(answer);
        }
        Ok(command)
    }

    /// Removes the folder with configurations and logs.
    pub(crate) fn clear(&self) -> Result<()> {
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

fn restrict(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).context("file mode")
}
