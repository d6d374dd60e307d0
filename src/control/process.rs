//! The life of the process: load, start, announce, then signals until the end.
//! SIGTERM and SIGINT drain; a second one ends the process at once with 128 + its number, as a shell would say it.
//! SIGHUP reloads, or drains where there is no file to reload (`stdio` ignores it then). SIGUSR1 logs the counters.
//! Never: work for a request; this thread may block on files.
//! Next: `server`, what is started and reloaded.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

use super::banner;
use super::certs::warm;
use super::config::checked::{Config, ListenerSecurity};
use super::config::{self, Colour, Loaded, Problems, Source};
use super::headers::Hsts;
use super::inherited::{Passed, close_on_exec};
use super::log::Logger;
use super::log::line::Entry;
use super::moment;
use super::options::{Audience, Check, RunOptions};
use super::problem::{Exit, Problem, exit_code};
use super::publish::{CertificateFact, Kept, Materials, load_materials};
use super::server::{Prepared, Server};
use super::stdio::{self, Client, Ended};
use super::upkeep::Upkeep;
use super::watch::Prints;
use crate::shard::address::Address;
use crate::shard::driver::Driver;

/// How often a drain asks whether the shards have ended.
const DRAIN_POLL: Duration = Duration::from_millis(5);
/// A second signal this soon after the first is the first again: timeout(1) signals its child and then the group.
const SAME_WISH: Duration = Duration::from_millis(5);
/// How long after telling the shards of a change the next one waits.
const OFFER_PAUSE: Duration = Duration::from_millis(2);
/// How often a running server looks whether its shards are still there.
const LIFE_POLL: Duration = Duration::from_secs(1);

/// How long the end of the process waits for what is being fetched.
const FETCH_GRACE: Duration = Duration::from_millis(50);

/// What SIGHUP means.
pub enum Hangup {
    /// Load the file again.
    Reload(RunOptions),
    /// The terminal is gone, and there is no file: end.
    Drain,
    /// There is no file, and the client says when it ends.
    Ignore,
}

/// What a server is started from.
pub struct Start {
    /// When the process began.
    pub began: Instant,
    /// Checked.
    pub config: Config,
    /// Certificates and keys.
    pub materials: Materials,
    /// Of the files they come from, taken before they were read.
    pub prints: Prints,
    /// What outlives reloads.
    pub kept: Kept,
    /// Whether browsers are told to insist on HTTPS.
    pub hsts: Hsts,
    /// What SIGHUP means.
    pub hangup: Hangup,
    /// The client on the standard streams, if that is who is served.
    pub client: Option<Client>,
}

/// What there is to tell once the server accepts.
pub struct Ready<'a> {
    /// As it runs.
    pub config: &'a Config,
    /// Where each listener accepts.
    pub addresses: &'a [Address],
    /// Of every shard.
    pub driver: Driver,
    /// The tools that are offered, by name.
    pub tools: Vec<String>,
    /// What is served.
    pub certificates: &'a [CertificateFact],
    /// What the operator should know.
    pub warnings: &'a [Problem],
    /// Since the process began.
    pub elapsed: Duration,
    /// The log.
    pub log: &'a Logger,
}

/// `mcpring run` and `mcpring stdio`.
pub fn run(options: RunOptions) -> ExitCode {
    let began = Instant::now();
    // Before anything is opened: what is open now was left open by whoever started this process.
    let passed = Passed::take();
    if let Err(error) = close_on_exec() {
        return refuse(&[unavailable("cannot look through the open descriptors", &error)]);
    }
    let loaded = match load(&options) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse_configuration(&problems),
    };
    let Loaded { config, warnings } = loaded;
    let has_tls =
        config.listeners.iter().any(|listener| matches!(listener.security, ListenerSecurity::Tls(_)));
    // 21 ms on another core while this one reads files.
    let _gathering = has_tls.then(warm::gather_entropy);
    let prints = Prints::take(config.watched());
    let start =
        Kept::build(options.product.catalog.clone()).map_err(|problem| vec![problem]).and_then(|mut kept| {
            let materials = load_materials(&config, &mut kept, moment::unix_now_s())?;
            Ok((materials, kept))
        });
    let (materials, mut kept) = match start {
        Ok(start) => start,
        Err(problems) => return refuse(&problems),
    };
    kept.passed = passed;
    if options.check == Check::Only {
        return check(config, materials, kept, &warnings);
    }
    let client = match join_client(&options, &config, &mut kept) {
        Ok(client) => client,
        Err(problem) => return refuse(&[problem]),
    };
    let hangup = match (&options.source, options.audience) {
        (Source::Text { .. }, Audience::Client) => Hangup::Ignore,
        (Source::File(_) | Source::Text { .. }, _) => Hangup::Reload(options),
    };
    let start = Start { began, config, materials, prints, kept, hsts: Hsts::Sent, hangup, client };
    serve(start, |ready| banner::announce_run(ready, &warnings))
}

/// Joins the standard streams, where their client is who is served.
fn join_client(options: &RunOptions, config: &Config, kept: &mut Kept) -> Result<Option<Client>, Problem> {
    let Some(stdio) = config.stdio.as_ref().filter(|_| options.audience == Audience::Client) else {
        return Ok(None);
    };
    let (client, server) = Client::join(stdio)?;
    kept.passed = Passed::with_client(server);
    Ok(Some(client))
}

/// `mcpring run --check`: all of a start but the shards.
fn check(config: Config, materials: Materials, kept: Kept, warnings: &Problems) -> ExitCode {
    match Prepared::build(config, materials, kept, Hsts::Sent) {
        Ok(prepared) => {
            let mut text = if warnings.is_empty() { String::new() } else { warnings.to_text(Colour::Plain) };
            prepared.warnings.iter().for_each(|warning| text.push_str(&format!("{warning}\n")));
            say(&text);
            ExitCode::SUCCESS
        }
        Err(problems) => refuse(&problems),
    }
}

/// Starts, announces, and stays until a signal ends it.
pub fn serve(start: Start, announce: impl FnOnce(&Ready<'_>)) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&[unavailable("cannot start the control thread", &error)]),
    };
    let exit = runtime.block_on(async {
        // Before the first shard: a signal that comes early must drain, not kill.
        let mut signals = match Signals::build() {
            Ok(signals) => signals,
            Err(error) => return refuse(&[unavailable("cannot listen for signals", &error)]),
        };
        match launch(start, announce) {
            Ok((mut server, mut upkeep, hangup, mut client)) => {
                let cause = signals.wait(&mut server, &mut upkeep, &hangup, &mut client).await;
                let exit = cause.exit(&server, client.as_ref());
                signals.settle().await;
                // One that has left waits for nothing.
                let waiting = client.as_ref().filter(|_| matches!(cause, Cause::Asked));
                drain(server, &mut signals, waiting).await;
                exit
            }
            Err(problems) => refuse(&problems),
        }
    });
    // Nobody waits for a responder that does not answer.
    runtime.shutdown_timeout(FETCH_GRACE);
    exit
}

/// What was started, and what it is steered by.
type Launched = (Server, Upkeep, Hangup, Option<Client>);

fn launch(start: Start, announce: impl FnOnce(&Ready<'_>)) -> Result<Launched, Vec<Problem>> {
    let Start { began, config, materials, prints, kept, hsts, hangup, client } = start;
    let prepared = Prepared::build(config, materials, kept, hsts)?;
    let log = Logger::start(&prepared.config.log).map_err(|problem| vec![problem])?;
    log.write_panics();
    let config = Arc::clone(&prepared.config);
    let (driver, addresses) = (prepared.driver, prepared.addresses.clone());
    let (warnings, certificates) = (prepared.warnings.clone(), prepared.certificates.clone());
    let server = prepared.launch(log).map_err(|problem| vec![problem])?;
    let tools = server.offer().registry().tools().map(|tool| tool.name().to_owned()).collect();
    announce(&Ready {
        config: &config,
        addresses: &addresses,
        driver,
        tools,
        certificates: &certificates,
        warnings: &warnings,
        elapsed: began.elapsed(),
        log: &server.log,
    });
    let upkeep = Upkeep::start(&server, prints);
    Ok((server, upkeep, hangup, client))
}

/// Why the server ends.
enum Cause {
    Asked,
    /// Every shard is gone, which only a bug of ours can do.
    ShardsEnded,
    /// The client on the standard streams has left.
    ClientLeft(Ended),
}

impl Cause {
    /// The exit code, and a line in the log where it is not that of a clean end.
    fn exit(&self, server: &Server, client: Option<&Client>) -> ExitCode {
        let log = |event, message: String| {
            server.log.entry(Entry::new(Level::ERROR, event).with("message", message));
        };
        let has_left = client.is_some_and(Client::has_input_ended);
        match self {
            Self::Asked => return ExitCode::SUCCESS,
            Self::ShardsEnded => log("shards_ended", "every shard has ended".to_owned()),
            Self::ClientLeft(Ended::Answered | Ended::Broken(_)) if has_left => return ExitCode::SUCCESS,
            Self::ClientLeft(Ended::Answered) => {
                log("client_cut", "the server has closed the client's stream".to_owned());
            }
            Self::ClientLeft(Ended::Stuck) => {
                log("client_stuck", "the client has stopped reading".to_owned());
            }
            Self::ClientLeft(Ended::Broken(error)) => {
                log("client_broken", format!("answers can not be written: {}", super::files::reason(error)));
            }
        }
        ExitCode::FAILURE
    }
}

/// Waits until the client has left; for ever where there is none.
async fn client_left(client: &mut Option<Client>) -> Ended {
    match client {
        Some(client) => client.ended().await,
        None => std::future::pending().await,
    }
}

/// The signals this process answers.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    fn build() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next request to end, by its signal.
    async fn end(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }

    /// Takes what belongs to a request to end that was just read. Before anything is said of the drain, so that
    /// whoever has heard of it and signals again is not mistaken.
    async fn settle(&mut self) {
        let mut over = std::pin::pin!(tokio::time::sleep(SAME_WISH));
        loop {
            tokio::select! {
                _ = self.end() => {}
                () = &mut over => return,
            }
        }
    }

    /// Serves signals until one says to end.
    async fn wait(
        &mut self,
        server: &mut Server,
        upkeep: &mut Upkeep,
        hangup: &Hangup,
        client: &mut Option<Client>,
    ) -> Cause {
        let mut life = tokio::time::interval_at((Instant::now() + LIFE_POLL).into(), LIFE_POLL);
        let mut gathering = None;
        let offer = server.offer();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Cause::Asked,
                _ = self.interrupt.recv() => return Cause::Asked,
                _ = self.user1.recv() => server.log.counters(),
                _ = self.hangup.recv() => match hangup {
                    Hangup::Reload(options) => reload(server, upkeep, options),
                    Hangup::Drain => return Cause::Asked,
                    Hangup::Ignore => {}
                },
                ended = client_left(client) => return Cause::ClientLeft(ended),
                changed = offer.changed() => {
                    server.follow(changed);
                    // Edits that follow each other closely are told together, and a full mailbox has time to empty.
                    tokio::time::sleep(OFFER_PAUSE).await;
                }
                work = upkeep.next() => upkeep.carry_out(server, work),
                _ = life.tick() => {
                    // A server without TLS starts without randomness; now nobody waits for the 21 ms.
                    gathering.get_or_insert_with(warm::gather_entropy);
                    if server.is_finished() {
                        return Cause::ShardsEnded;
                    }
                }
            }
        }
    }
}

/// The configuration, with what the program itself says.
fn load(options: &RunOptions) -> Result<Loaded, Problems> {
    let load = match options.audience {
        Audience::Callers => config::load,
        Audience::Client => config::load_for_streams,
    };
    let mut loaded = load(&options.source, &options.overrides)?;
    let fit = match options.audience {
        Audience::Callers => stdio::refuse_alone(&loaded.config),
        Audience::Client => stdio::keep_client(&mut loaded.config),
    };
    if let Err(finding) = fit {
        loaded.warnings.add(finding);
        return Err(loaded.warnings);
    }
    options.product.introduce(&mut loaded.config.server);
    if options.product.offers_something() {
        config::follow_product(&mut loaded, &options.product.catalog.registry());
    }
    Ok(loaded)
}

/// Loads the file again and moves to it, or says why not.
fn reload(server: &mut Server, upkeep: &mut Upkeep, options: &RunOptions) {
    let began = Instant::now();
    let loaded = match load(options) {
        Ok(loaded) => loaded,
        Err(problems) => {
            log_problems(&server.log, Level::ERROR, &problems);
            return log_refused(server);
        }
    };
    log_problems(&server.log, Level::WARN, &loaded.warnings);
    let prints = Prints::take(loaded.config.watched());
    match server.reload(loaded.config) {
        Ok(done) => {
            upkeep.follow(server, prints);
            done.warnings.iter().for_each(|warning| server.log.problem(warning));
            let mut entry = Entry::new(Level::INFO, "reloaded").with("generation", done.generation);
            for (name, list) in
                [("added", done.added), ("closed", done.closed), ("restart_needed", done.restart)]
            {
                if !list.is_empty() {
                    entry = entry.with(name, list);
                }
            }
            let elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            server.log.entry(entry.with("elapsed_us", elapsed_us));
        }
        Err(problems) => {
            problems.iter().for_each(|problem| server.log.problem(problem));
            log_refused(server);
        }
    }
}

fn log_refused(server: &Server) {
    let message = "the configuration that was running keeps running";
    server.log.entry(Entry::new(Level::ERROR, "reload_refused").with("message", message));
}

/// One entry a problem of the configuration.
pub fn log_problems(log: &Logger, level: Level, problems: &Problems) {
    if let serde_json::Value::Array(list) = problems.to_json() {
        for problem in list {
            log.entry(Entry::new(level, "problem").with("problem", problem));
        }
    }
}

/// Finishes what is in flight, at most for `runtime.shutdown_grace`.
async fn drain(server: Server, signals: &mut Signals, client: Option<&Client>) {
    let (began, grace) = (Instant::now(), server.runtime().shutdown_grace);
    server.log.entry(Entry::new(Level::INFO, "draining").with("connections", server.open_connections()));
    server.drain();
    let mut poll = tokio::time::interval(DRAIN_POLL);
    let is_over = || server.is_finished() && client.is_none_or(Client::is_flushed);
    while !is_over() && began.elapsed() < grace {
        tokio::select! {
            _ = poll.tick() => {}
            kind = signals.end() => {
                // Asked twice: the connections and the rest of the log are given up.
                std::process::exit(128 + kind.as_raw_value());
            }
        }
    }
    let cut = if server.is_finished() { 0 } else { server.open_connections() };
    let (level, elapsed_ms) = (if cut == 0 { Level::INFO } else { Level::WARN }, began.elapsed().as_millis());
    let entry = Entry::new(level, "stopped").with("connections_cut", cut);
    server.log.entry(entry.with("elapsed_ms", u64::try_from(elapsed_ms).unwrap_or(u64::MAX)));
    server.finish();
}

/// Prints what stands in the way and gives the exit code.
pub fn refuse(problems: &[Problem]) -> ExitCode {
    let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    say(&text);
    ExitCode::from(exit_code(problems).max(1))
}

fn refuse_configuration(problems: &Problems) -> ExitCode {
    say(&problems.to_text(banner::colour()));
    let exit = if problems.is_permission_only() { Exit::Permission } else { Exit::Configuration };
    ExitCode::from(exit.code())
}

fn unavailable(what: &str, error: &io::Error) -> Problem {
    Problem::error("E0407", format!("{what}: {}", super::files::reason(error))).exit(Exit::Unavailable)
}

/// To stderr. Nobody listening is no reason to fail.
pub fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
