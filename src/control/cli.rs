//! The command line: what may be typed, and the commands that need no server.
//! Never: a shard, a socket; `run` and `dev` are handed on.
//! Next: `config` for `validate` and `schema`, `process` for `run`, `dev` for `dev`.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::app::Product;
use super::config::checked::{self, Config, ListenerSecurity};
use super::config::{self, Colour, Finding, Loaded, Problems, Severity, Source};
use super::keys::{self, KeyCommand};
use super::options::{Audience, Check, DevOptions, Format, RunOptions, Shards};
use super::problem::Problem;
use super::publish::inspect;
use super::tokens::command::{self, Token};
use super::{dev, moment, process, stdio};
use crate::shard::driver;

/// sysexits EX_CONFIG: the configuration is refused.
const EXIT_CONFIG: u8 = 78;

const EXIT_CODES: &str = "\
Exit codes:
   0  success; `run` ended cleanly
   1  unexpected error
   2  wrong usage
  69  cannot start: port in use, or io_uring is demanded and not available
  77  a permission is missing, or a secret file is open to others
  78  the configuration is refused";

const EXAMPLES: &str = "\
Examples:
  mcpring dev                                     try it: HTTPS on localhost, demo tools, a token
  mcpring validate mcpring.toml                   every problem of a file, with place and fix
  mcpring run --config mcpring.toml
  mcpring stdio                                   for a client that starts its servers itself
  mcpring run --set limits.max_connections=500 --set log.level=debug
  mcpring schema > mcpring.schema.json            for editors
  mcpring schema --format markdown                every setting with default and range

A configuration is looked for in --config, $MCPRING_CONFIG, ./mcpring.toml,
$XDG_CONFIG_HOME/mcpring/mcpring.toml and /etc/mcpring/mcpring.toml.
";

/// A secure, very fast Model Context Protocol server
#[derive(Debug, Parser)]
#[command(name = "mcpring", version, after_help = "`--help` has examples and exit codes.")]
#[command(after_long_help = format!("{EXAMPLES}\n{EXIT_CODES}"), arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve in the foreground
    ///
    /// SIGHUP reloads the configuration, SIGTERM finishes what is in flight and exits, a second SIGTERM exits at once.
    #[command(after_long_help = EXIT_CODES)]
    Run(Run),
    /// Serve one client on stdin and stdout
    ///
    /// Without `--config` or `$MCPRING_CONFIG` it serves the built-in tools; no file is looked for. The log goes to stderr.
    /// The end of stdin ends it, once everything is answered.
    #[command(after_long_help = EXIT_CODES)]
    Stdio(Stdio),
    /// Try it in one command: loopback HTTPS with a local CA, a token and demo tools
    #[command(after_long_help = EXIT_CODES)]
    Dev(Dev),
    /// Check a configuration: syntax, references, files and secrets
    #[command(after_long_help = EXIT_CODES)]
    Validate(Validate),
    /// Make, list, revoke and replace API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Mint, inspect and revoke tokens
    Token(Token),
    /// Print the JSON Schema or the reference of mcpring.toml
    Schema(Schema),
    /// Print the version
    Version(Version),
}

#[derive(Debug, Args)]
struct Overrides {
    /// Set one value over the file, such as limits.max_connections=500; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Args)]
struct Run {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Load, bind and exit
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Args)]
struct Stdio {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Debug, Args)]
struct Dev {
    /// TCP port on loopback; the next free one is for messages in lines
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Where the local CA is kept [default: $XDG_DATA_HOME/mcpring]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How shards wait for the kernel
    #[arg(long, value_enum, default_value_t = DriverName::Auto)]
    driver: DriverName,
    /// How many shards [default: one for each CPU]
    #[arg(long, value_name = "N")]
    shards: Option<NonZeroUsize>,
    /// How the banner is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
struct Validate {
    /// The configuration file; without one it is looked for as by `run`
    file: Option<PathBuf>,
    /// The same
    #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Do not look at files, secrets and CPUs of this machine
    #[arg(long)]
    no_environment: bool,
    /// Refuse warnings too
    #[arg(long)]
    strict: bool,
    /// How problems are written; json goes to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
struct Schema {
    /// What to print
    #[arg(long, value_enum, default_value_t = SchemaFormat::Json)]
    format: SchemaFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaFormat {
    /// JSON Schema, draft 2020-12
    Json,
    /// A table of every setting
    Markdown,
}

#[derive(Debug, Args)]
struct Version {
    /// Also the build, the TLS library, io_uring and the protocol revisions
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DriverName {
    /// io_uring, else epoll
    Auto,
    /// io_uring or nothing
    #[value(name = "io_uring")]
    IoUring,
    /// epoll
    Epoll,
}

/// Reads the command line and does what it says.
pub fn run(product: Product) -> ExitCode {
    match Cli::parse().command {
        Command::Run(run) => serve(run, product),
        Command::Stdio(stdio) => serve_client(stdio, product),
        Command::Dev(dev) => develop(dev, product),
        Command::Validate(validate) => check_configuration(&validate, &product),
        Command::Key(command) => keys::run(command),
        Command::Token(token) => command::run(token),
        Command::Schema(schema) => print(&match schema.format {
            SchemaFormat::Json => format!("{:#}\n", config::schema()),
            SchemaFormat::Markdown => config::markdown(),
        }),
        Command::Version(version) => print(&version_text(&version)),
    }
}

/// `mcpring run`.
fn serve(run: Run, product: Product) -> ExitCode {
    match Source::find(run.config) {
        Ok(source) => {
            let check = if run.check { Check::Only } else { Check::Serve };
            let overrides = run.overrides.set;
            process::run(RunOptions { source, overrides, check, audience: Audience::Callers, product })
        }
        Err(problems) => refuse(&problems),
    }
}

/// `mcpring stdio`. A file that is named must be there.
fn serve_client(stdio: Stdio, product: Product) -> ExitCode {
    let built_in = || {
        let text = if product.offers_something() {
            stdio::built_in_without_tools()
        } else {
            stdio::BUILT_IN.to_owned()
        };
        Source::Text { name: "(built in)".to_owned(), text }
    };
    let source = Source::named(stdio.config).unwrap_or_else(built_in);
    let (overrides, check) = (stdio.overrides.set, Check::Serve);
    process::run(RunOptions { source, overrides, check, audience: Audience::Client, product })
}

/// `mcpring dev`.
fn develop(dev: Dev, product: Product) -> ExitCode {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HOME").map(|home| home.join(".local/share"));
    let Some(data_dir) =
        dev.data_dir.or_else(|| folder("XDG_DATA_HOME").or_else(home).map(|dir| dir.join("mcpring/dev-ca")))
    else {
        talk("error: neither $XDG_DATA_HOME nor $HOME is set\n  = help: mcpring dev --data-dir DIR\n");
        return ExitCode::FAILURE;
    };
    let driver = match dev.driver {
        DriverName::Auto => checked::Driver::Auto,
        DriverName::IoUring => checked::Driver::IoUring,
        DriverName::Epoll => checked::Driver::Epoll,
    };
    let shards = dev.shards.map_or(Shards::Auto, Shards::Count);
    dev::run(DevOptions { port: dev.port, data_dir, driver, shards, format: dev.format }, product)
}

/// `mcpring validate`.
fn check_configuration(validate: &Validate, product: &Product) -> ExitCode {
    let load = if validate.no_environment { config::load_without_environment } else { config::load };
    let named = validate.file.clone().or_else(|| validate.config.clone());
    let source = match Source::find(named) {
        Ok(source) => source,
        Err(problems) => return verdict(validate, &problems),
    };
    match load(&source, &validate.overrides.set) {
        Err(problems) => verdict(validate, &problems),
        Ok(mut loaded) => {
            if product.offers_something() {
                config::follow_product(&mut loaded, &product.catalog.registry());
            }
            let Loaded { mut warnings, config } = loaded;
            if !validate.no_environment {
                // Files that can be read may still hold what no start accepts.
                for (setting, problem) in inspect(&config, &product.catalog.registry(), moment::unix_now_s())
                {
                    let Problem { code, what: message, notes, help, .. } = problem;
                    warnings.add(Finding { code, setting, message, notes, help });
                }
            }
            if validate.format == Format::Text && warnings.count(Severity::Error) == 0 {
                print(&stages(&config, &source, validate.no_environment));
            }
            verdict(validate, &warnings)
        }
    }
}

/// Prints the problems and the last line; the exit code follows from both.
fn verdict(validate: &Validate, problems: &Problems) -> ExitCode {
    let errors = problems.count(Severity::Error);
    let warnings = problems.count(Severity::Warning);
    let is_valid = errors == 0 && (warnings == 0 || !validate.strict);
    let word = if is_valid { "valid" } else { "invalid" };
    match validate.format {
        Format::Json => {
            print(&format!("{:#}\n", problems.to_json()));
        }
        Format::Text => {
            talk(&problems.to_text(colour()));
            let line = format!("{word} ({}, {})\n", count(errors, "error"), count(warnings, "warning"));
            if is_valid {
                print(&line);
            } else {
                talk(&line);
            }
        }
    }
    if is_valid { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONFIG) }
}

/// One line a stage, for a configuration that passed them.
fn stages(config: &Config, source: &Source, no_environment: bool) -> String {
    let tls = config.listeners.iter().filter(|listener| listener.security != ListenerSecurity::Plain).count();
    let references = [
        format!(
            "{} ({tls} with TLS)",
            count(config.listeners.len() + usize::from(config.stdio.is_some()), "listener")
        ),
        count(config.tls.len(), "TLS profile"),
        count(config.roles.len(), "role"),
        count(config.rate_limits.len(), "rate limit"),
        count(config.native.len(), "native tool"),
    ];
    let environment = if no_environment {
        "- environment  not looked at\n".to_owned()
    } else {
        let certificates = config.tls.iter().map(|profile| profile.certificates.len()).sum();
        let key_store = if config.api_key.is_some() { "API keys and pepper" } else { "no API keys" };
        let cpus = count(config.runtime.cpus.len(), "shard");
        format!("\u{2713} environment  {}, {key_store}, {cpus}\n", count(certificates, "certificate"))
    };
    format!(
        "\u{2713} syntax       {}\n\u{2713} references   {}\n{environment}",
        source.name(),
        references.join(", ")
    )
}

/// `1 error`, `2 errors`.
fn count(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Prints problems and gives the exit code for them.
pub fn refuse(problems: &Problems) -> ExitCode {
    talk(&problems.to_text(colour()));
    ExitCode::from(if problems.is_permission_only() { 77 } else { EXIT_CONFIG })
}

/// Whether stderr takes colour: it is a terminal, unless the variables that everybody knows say otherwise.
pub fn colour() -> Colour {
    let is_set =
        |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty() && value != OsStr::new("0"));
    let is_forced = is_set("CLICOLOR_FORCE");
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == OsStr::new("dumb"));
    if !is_set("NO_COLOR") && (is_forced || (io::stderr().is_terminal() && !is_dumb)) {
        Colour::Styled
    } else {
        Colour::Plain
    }
}

/// `mcpring version`.
fn version_text(version: &Version) -> String {
    let mut text = format!("mcpring {}\n", env!("CARGO_PKG_VERSION"));
    if version.verbose {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let io_uring = match driver::probe(4096) {
            Ok(()) => "available".to_owned(),
            Err(error) => format!("not available here ({error})"),
        };
        text.push_str(&format!("build      {profile}, {} {}\n", env::consts::OS, env::consts::ARCH));
        text.push_str(&format!(
            "tls        rustls {}, aws-lc-rs {}\n",
            locked("rustls"),
            locked("aws-lc-rs")
        ));
        text.push_str(&format!("io_uring   {io_uring}\n"));
        text.push_str(&format!("protocol   {}\n", PROTOCOL_REVISIONS.join(", ")));
    }
    text
}

/// Newest first.
const PROTOCOL_REVISIONS: &[&str] = &["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The version of a dependency that this binary was built with.
fn locked(package: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")));
    let version = entry.and_then(|entry| entry.split_once("version = \"")?.1.split('"').next());
    version.unwrap_or("unknown")
}

/// Writes data to stdout. A reader that went away is no error.
pub fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes talk to stderr. There is nowhere left to report a failure.
pub fn talk(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn describes_itself_on_one_screen() {
        Cli::command().debug_assert();
        let short = Cli::command().render_help().to_string();
        assert!(short.lines().count() <= 24, "{short}");
        let long = Cli::command().render_long_help().to_string();
        assert!(long.contains("Examples:") && long.contains("78  the configuration is refused"), "{long}");
        let short: Vec<_> = short.lines().filter(|line| line.len() > 100).collect();
        assert!(short.is_empty(), "{short:?}");
    }

    #[test]
    fn reads_the_command_line() {
        let read = |line: &str| Cli::try_parse_from(line.split(' '));
        let Command::Run(run) =
            read("mcpring run --config a.toml --set a.b=1 --set c=2 --check").unwrap().command
        else {
            panic!("it is run")
        };
        assert_eq!(
            (run.config, run.overrides.set, run.check),
            (Some("a.toml".into()), vec!["a.b=1".into(), "c=2".into()], true)
        );
        for line in [
            "mcpring dev --port 0 --driver io_uring --shards 2 --format json --data-dir d",
            "mcpring stdio",
            "mcpring stdio --config a.toml --set limits.max_json_depth=8",
            "mcpring validate",
            "mcpring validate a.toml --no-environment --strict --format json --set a=1",
            "mcpring schema --format markdown",
            "mcpring key add --id ci --roles agent,reader --expires 90d --config a.toml",
            "mcpring key list",
            "mcpring key revoke --name ci --prefix mrk_9f2c7a",
            "mcpring key rotate --id ci --overlap 1h --expires 90d",
            "mcpring version --verbose",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
        for line in [
            "mcpring dev --shards 0",
            "mcpring validate a.toml --config b.toml",
            "mcpring serve",
            "mcpring run a b",
        ] {
            let error = read(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn knows_the_libraries_it_was_built_with() {
        for package in ["rustls", "aws-lc-rs"] {
            let version = locked(package);
            assert!(
                version.split('.').count() == 3 && version.starts_with(|c: char| c.is_ascii_digit()),
                "{version}"
            );
        }
        assert_eq!(locked("no-such-package"), "unknown");
    }
}
