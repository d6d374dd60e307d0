//! What a running server looks after by itself: files that change, certificates that expire, proofs to staple.
//! Never: a new configuration (that is SIGHUP's); a wait for the network on this thread.
//! Next: `watch` for the files, `certs::expiry` and `certs::staple` for the rest.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::Level;

use super::certs::expiry::{Expiries, Notice, Told};
use super::certs::lists;
use super::certs::staple::{Outcome, Question};
use super::certs::{TlsMaterial, build_server_config};
use super::config::checked::Config;
use super::config::profile::OnChange;
use super::fetch::Fetcher;
use super::log::Logger;
use super::log::line::Entry;
use super::moment;
use super::ocsp::REQUEST_TYPE;
use super::problem::Problem;
use super::publish::{Materials, load_profile, renew_identities};
use super::server::Server;
use super::watch::{Prints, Watch};
use crate::pipeline::authenticate::certificate::judge::Judge;

/// How often dates are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a key that a token names is asked for.
const KEYS_LOOK: Duration = Duration::from_millis(200);
/// Answers of responders that may wait. Each comes from a thread of its own, which can.
const ANSWERS_MAX: usize = 16;
/// What an answer of a responder is.
const RESPONSE_TYPE: &str = "application/ocsp-response";

/// What a revocation list is.
const LIST_TYPE: &str = "application/pkix-crl";

/// Something to do.
pub enum Work {
    /// A file is another.
    Changed,
    /// A responder has answered, or not.
    Answered(Question, Result<Vec<u8>, String>),
    /// A revocation list has come, or not.
    Listed(String, Result<Vec<u8>, String>),
    /// A second has passed.
    Look,
    /// Keys of issuers may be there, or be wanted.
    Keys,
}

/// What is looked after.
pub struct Upkeep {
    watch: Watch,
    expiries: Expiries,
    look: tokio::time::Interval,
    keys: tokio::time::Interval,
    sender: mpsc::Sender<(Question, Result<Vec<u8>, String>)>,
    answers: mpsc::Receiver<(Question, Result<Vec<u8>, String>)>,
    lister: mpsc::Sender<(String, Result<Vec<u8>, String>)>,
    lists: mpsc::Receiver<(String, Result<Vec<u8>, String>)>,
}

impl Upkeep {
    /// Looks after `server`. `prints` were taken before its files were read.
    pub fn start(server: &Server, prints: Prints) -> Self {
        let (watch, problem) = Watch::start(prints);
        if let Some(problem) = problem {
            server.log.problem(&problem);
        }
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let (lister, lists) = mpsc::channel(ANSWERS_MAX);
        Self {
            watch,
            expiries: Expiries::default(),
            look: tokio::time::interval(LOOK),
            keys: tokio::time::interval(KEYS_LOOK),
            sender,
            answers,
            lister,
            lists,
        }
    }

    /// Looks after another configuration from now on.
    pub fn follow(&mut self, server: &Server, prints: Prints) {
        if let Some(problem) = self.watch.follow(prints) {
            server.log.problem(&problem);
        }
    }

    /// Waits for work. May be given up at any time and asked again.
    pub async fn next(&mut self) -> Work {
        tokio::select! {
            () = self.watch.changed() => Work::Changed,
            Some((question, answer)) = self.answers.recv() => Work::Answered(question, answer),
            Some((url, answer)) = self.lists.recv() => Work::Listed(url, answer),
            _ = self.look.tick() => Work::Look,
            _ = self.keys.tick() => Work::Keys,
        }
    }

    /// Does it.
    pub fn carry_out(&mut self, server: &mut Server, work: Work) {
        match work {
            Work::Changed => self.refresh(server),
            Work::Keys => server.tend_keys(),
            Work::Answered(question, answer) => staple(server, &question, answer),
            Work::Listed(url, answer) => self.take_list(server, &url, answer),
            Work::Look => {
                let now_s = moment::unix_now_s();
                for told in self.expiries.due(&server.config.tls, &server.materials.tls, now_s) {
                    server.log.entry(entry(&told));
                }
                if server.kept.staples.is_stale(&server.materials.tls, now_s) {
                    restaple(server, now_s);
                }
                for question in server.kept.staples.due(&server.config.tls, &server.materials.tls, now_s) {
                    self.ask(question);
                }
                for url in server.kept.lists.due(&server.config.tls, now_s) {
                    self.fetch_list(url);
                }
            }
        }
    }

    /// Loads what the configuration names again. What can not be used leaves what there was.
    fn refresh(&mut self, server: &mut Server) {
        let began = Instant::now();
        let Refreshed { materials, kept, problems } = refresh_materials(server, moment::unix_now_s());
        problems.iter().for_each(|problem| server.log.problem(problem));
        if !kept.is_empty() {
            refuse(&server.log, &kept);
        }
        let (config, before) = (server.config.clone(), server.materials.tls.clone());
        match server.adopt(materials) {
            Ok(generation) => {
                let elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                let entry = Entry::new(Level::INFO, "refreshed").with("generation", generation);
                let entry = entry.with("certificates", renewed(&config, &before, &server.materials.tls));
                server.log.entry(entry.with("elapsed_us", elapsed_us));
            }
            Err(problems) => {
                problems.iter().for_each(|problem| server.log.problem(problem));
                refuse(&server.log, &["everything".to_owned()]);
                self.watch.forget();
            }
        }
    }

    /// Fetches a revocation list on a thread that may wait.
    fn fetch_list(&self, url: String) {
        let sender = self.lister.clone();
        tokio::task::spawn_blocking(move || {
            let fetched = Fetcher::build(None).map_err(|problem| problem.what).and_then(|fetcher| {
                let fetched = fetcher.get(&url, LIST_TYPE, None).map_err(|error| error.to_string())?;
                fetched.body.ok_or_else(|| "there is nothing in it".to_owned())
            });
            // Nobody there any more: the server ends.
            let _ = sender.blocking_send((url, fetched));
        });
    }

    /// Takes what a fetch led to; another list is another judge.
    fn take_list(&mut self, server: &mut Server, url: &str, answer: Result<Vec<u8>, String>) {
        let served = server.config.tls.iter().zip(&server.materials.tls);
        let wanting = served.filter(|(profile, _)| lists::is_wanted(profile, url));
        let judges: Vec<&Judge> = wanting.filter_map(|(_, material)| material.judge.as_deref()).collect();
        match server.kept.lists.answered(url, answer, &judges, moment::unix_now_s()) {
            lists::Outcome::Changed => {
                server.log.entry(Entry::new(Level::INFO, "crl_fetched").with("url", url));
                self.refresh(server);
            }
            lists::Outcome::Same => {}
            lists::Outcome::Failed(reason) => {
                let entry = Entry::new(Level::WARN, "crl_fetch_failed").with("url", url);
                server.log.entry(entry.with("message", reason));
            }
        }
    }

    /// Asks on a thread that may wait.
    fn ask(&self, question: Question) {
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            let answer = fetch(&question);
            // Nobody there any more: the server ends.
            let _ = sender.blocking_send((question, answer));
        });
    }
}

/// What a refresh has loaded.
struct Refreshed {
    materials: Materials,
    /// What stays as it was although it should be another.
    kept: Vec<String>,
    problems: Vec<Problem>,
}

/// Each part by itself: a certificate that is broken keeps no other, and no key that was revoked, in use.
fn refresh_materials(server: &mut Server, now_s: i64) -> Refreshed {
    let (config, mut materials) = (server.config.clone(), server.materials.clone());
    let (mut kept, mut problems) = (Vec::new(), Vec::new());
    let handshake_timeout = config.limits.tls_handshake_timeout;
    for (profile, material) in config.tls.iter().zip(&mut materials.tls) {
        // Lists that are fetched are none of the files that wait for a signal.
        if profile.on_change == OnChange::Wait && server.kept.lists.of(profile).is_empty() {
            continue;
        }
        match load_profile(profile, handshake_timeout, &mut server.kept, now_s) {
            Ok(loaded) => *material = loaded,
            Err(found) => {
                problems.extend(found);
                kept.push(format!("tls.{}", profile.name));
            }
        }
    }
    let renewed = renew_identities(&config, &mut server.kept.key_sets, &materials.identities);
    let (identities, kept_parts, found) = renewed;
    materials.identities = identities.into();
    kept.extend(kept_parts);
    problems.extend(found);
    Refreshed { materials, kept, problems }
}

fn refuse(log: &Logger, kept: &[String]) {
    let entry = Entry::new(Level::ERROR, "refresh_refused").with("kept", kept.to_vec());
    log.entry(entry.with("message", "what was loaded before stays in use"));
}

/// The certificates that were not there before: profile, name, end.
fn renewed(config: &Config, before: &[TlsMaterial], now: &[TlsMaterial]) -> Vec<String> {
    let mut renewed = Vec::new();
    for ((profile, before), now) in config.tls.iter().zip(before).zip(now) {
        for identity in &now.certificates {
            if before.certificates.iter().any(|known| known.fingerprint == identity.fingerprint) {
                continue;
            }
            let name = identity.names.first().map_or("(no DNS name)", String::as_str);
            renewed.push(format!(
                "tls.{} {name} until {}",
                profile.name,
                moment::minute(identity.expires_at_s)
            ));
        }
    }
    renewed
}

/// Takes the answer of a responder.
fn staple(server: &mut Server, question: &Question, answer: Result<Vec<u8>, String>) {
    let now_s = moment::unix_now_s();
    let profile = format!("tls.{}", question.profile);
    let entry = |level, event| Entry::new(level, event).with("profile", profile.as_str());
    let outcome = server.kept.staples.answered(question, answer, now_s);
    // Told when it is so.
    restaple(server, now_s);
    let entry = match outcome {
        Outcome::Stapled(until_s) => entry(Level::INFO, "stapled").with("until", moment::minute(until_s)),
        Outcome::Failed(reason) => {
            let entry = entry(Level::WARN, "stapling_failed").with("responders", question.urls.clone());
            entry.with("message", reason)
        }
        Outcome::Revoked => {
            let message = "the responder says that the certificate was revoked: replace it";
            entry(Level::ERROR, "certificate_revoked").with("message", message)
        }
        Outcome::Forgotten => return,
    };
    server.log.entry(entry);
}

/// Serves the proofs there are now. No file is read for it but that of the ticket key.
fn restaple(server: &mut Server, now_s: i64) {
    let mut materials = server.materials.clone();
    let config = server.config.clone();
    let mut problems = Vec::new();
    for (profile, material) in config.tls.iter().zip(&mut materials.tls) {
        let stapled: Vec<_> = material
            .certificates
            .iter()
            .map(|identity| server.kept.staples.attach(identity.clone(), now_s))
            .collect();
        match build_server_config(profile, &stapled, material.judge.as_ref(), &mut server.kept.tickets) {
            Ok(config) => *material = TlsMaterial { config, certificates: stapled, ..material.clone() },
            Err(problem) => problems.push(problem),
        }
    }
    if let Err(found) = server.adopt(materials) {
        problems.extend(found);
    }
    problems.iter().for_each(|problem| server.log.problem(problem));
}

/// The first answer that comes.
fn fetch(question: &Question) -> Result<Vec<u8>, String> {
    let fetcher = Fetcher::build(None).map_err(|problem| problem.what)?;
    let mut reason = "it names no responder".to_owned();
    for url in &question.urls {
        match fetcher.post(url, REQUEST_TYPE, RESPONSE_TYPE, &question.body) {
            Ok(fetched) => return Ok(fetched.body.unwrap_or_default()),
            Err(error) => reason = format!("{url}: {error}"),
        }
    }
    Err(reason)
}

fn entry(told: &Told) -> Entry {
    let days = |time: Duration| moment::distance(time);
    let (level, event, message) = match told.notice {
        Notice::Expires(left) => {
            (Level::WARN, "certificate_expires", format!("it expires in {}", days(left)))
        }
        Notice::Expired => (Level::ERROR, "certificate_expired", "it has expired".to_owned()),
        Notice::TooLong(lifetime) => {
            let message = format!("it is valid for {}, longer than max_certificate_age", days(lifetime));
            (Level::WARN, "certificate_lives_long", message)
        }
    };
    Entry::new(level, event)
        .with("profile", format!("tls.{}", told.profile))
        .with("name", told.name.as_str())
        .with("until", moment::minute(told.expires_at_s))
        .with("message", message)
}
