//! What the `authenticate` stage needs for tokens: issuers with their keys, and what was taken back.
//! Keys outlive a reload: an issuer that does not answer just then is no reason to refuse its tokens.
//! Never: a key set that a token names; only what is configured is read.
//! Next: `jwks`, when and from where keys are read; `pipeline/authenticate/tokens`, who uses them.

pub mod jwks;
pub mod revocations;
pub mod command;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::config::checked::{Config, Jwt, KeySource};
use super::files::load_public;
use super::problem::Problem;
use crate::pipeline::authenticate::tokens::keys::KeySet;
use crate::pipeline::authenticate::tokens::revoked::Revocations;
use crate::pipeline::authenticate::tokens::{Issuer, Issuers};
use jwks::{Answer, Ask, Known};

/// The keys of every issuer, and what is asked for just now.
pub struct KeySets {
    by_name: BTreeMap<String, Known>,
    /// How many there have been, so that each has a number of its own.
    known: u64,
    answers: Receiver<Answer>,
    answer: Sender<Answer>,
}

impl Default for KeySets {
    fn default() -> Self {
        let (answer, answers) = channel();
        Self { by_name: BTreeMap::new(), known: 0, answers, answer }
    }
}

/// What looking after the keys has brought.
#[derive(Default)]
pub struct Tended {
    /// The shards have to be told.
    pub has_changed: bool,
    /// For the log.
    pub problems: Vec<Problem>,
    /// Issuers whose keys are others now.
    pub renewed: Vec<String>,
}

impl KeySets {
    /// Puts issuers, keys and list together. Files are read now; what has to be fetched is as it was known before.
    ///
    /// # Errors
    /// All problems of the files.
    pub fn load(&mut self, config: &Config) -> Result<Issuers, Vec<Problem>> {
        let (mut sets, mut problems) = (Vec::new(), Vec::new());
        for settings in &config.issuers {
            match load_file(settings) {
                Ok(set) => sets.push((settings, set)),
                Err(problem) => problems.push(problem),
            }
        }
        match load_revoked(config) {
            Ok(revoked) if problems.is_empty() => {
                let issuers = sets.into_iter().map(|(settings, set)| self.follow(settings, set)).collect();
                let names: Vec<&str> = config.issuers.iter().map(|issuer| &*issuer.rules.name).collect();
                self.by_name.retain(|name, _| names.contains(&name.as_str()));
                Ok(Issuers::build(issuers, Arc::new(revoked)))
            }
            Ok(_) => Err(problems),
            Err(found) => {
                problems.extend(found);
                Err(problems)
            }
        }
    }

    /// Reads the files of the running configuration again, each by itself: what is taken back counts, whatever is wrong
    /// with somebody's keys. What can not be read is as it was; `kept` is told each such setting with its problems.
    pub fn reload(
        &mut self,
        config: &Config,
        running: &Issuers,
        mut kept: impl FnMut(String, Vec<Problem>),
    ) -> Issuers {
        let mut issuers = Vec::new();
        for settings in &config.issuers {
            let name = &settings.rules.name;
            match load_file(settings) {
                Ok(set) => issuers.push(self.follow(settings, set)),
                Err(problem) => {
                    kept(format!("auth.jwt.{name}"), vec![problem]);
                    issuers.extend(running.list().iter().find(|issuer| issuer.name == *name).cloned());
                }
            }
        }
        match load_revoked(config) {
            Ok(revoked) => Issuers::build(issuers, Arc::new(revoked)),
            Err(found) => {
                kept("auth.revocations_file".to_owned(), found);
                running.with(issuers)
            }
        }
    }

    fn follow(&mut self, settings: &Jwt, set: Option<KeySet>) -> Issuer {
        let name = settings.rules.name.to_string();
        let is_same = self.by_name.get(&name).is_some_and(|known| known.is_of(settings));
        if !is_same {
            self.known += 1;
            self.by_name.insert(name.clone(), Known::new(self.known, settings.clone()));
        }
        let mut rules = settings.rules.clone();
        if let Some(known) = self.by_name.get_mut(&name) {
            known.follow(settings, set);
            rules.keys = known.keys();
            rules.wanted = known.wanted();
        }
        rules
    }

    /// Takes what was fetched, and asks for what is due. Nothing here waits.
    pub fn tend(&mut self, now: Instant) -> Tended {
        let mut tended = Tended::default();
        while let Ok(answer) = self.answers.try_recv() {
            let Some(known) = self.by_name.get_mut(&answer.name) else { continue };
            let before = known.keys();
            tended.problems.extend(known.take(answer, now));
            if !Arc::ptr_eq(&before, &known.keys()) {
                tended.has_changed = true;
                tended.renewed.push(known.name().to_owned());
            }
        }
        let stale = self.by_name.values_mut().filter_map(|known| known.forget_when_stale(now));
        let stale: Vec<Problem> = stale.collect();
        tended.has_changed |= !stale.is_empty();
        tended.problems.extend(stale);
        let due: Vec<Ask> = self.by_name.values_mut().filter_map(|known| known.due(now)).collect();
        for ask in due {
            self.answer_later(ask, &mut tended);
        }
        tended
    }

    /// One thread a question: an issuer that takes its time keeps no other waiting. It ends by itself, within the
    /// client's time limit.
    fn answer_later(&self, ask: Ask, tended: &mut Tended) {
        let answer = self.answer.clone();
        let thread = std::thread::Builder::new().name("keys".to_owned());
        let started = thread.spawn(move || drop(answer.send(ask.run())));
        if let Err(error) = started {
            let what = format!("cannot start a thread to fetch keys: {}", super::files::reason(&error));
            tended.problems.push(Problem::warning("W0610", what));
        }
    }

    /// Asks for everything now, and waits for it. For commands; a server has [`KeySets::tend`].
    pub fn fetch(&mut self) -> Vec<Problem> {
        let now = Instant::now();
        let due: Vec<Ask> = self.by_name.values_mut().filter_map(|known| known.due(now)).collect();
        let mut problems = Vec::new();
        for answer in due.into_iter().map(Ask::run) {
            if let Some(known) = self.by_name.get_mut(&answer.name) {
                problems.extend(known.take(answer, now));
            }
        }
        problems
    }

    /// The same issuers with the keys as they are now.
    pub fn renew(&self, issuers: &Issuers) -> Issuers {
        let renewed = |issuer: &Issuer| {
            let keys = self.by_name.get(&*issuer.name).map(Known::keys);
            Issuer { keys: keys.unwrap_or_else(|| issuer.keys.clone()), ..issuer.clone() }
        };
        issuers.with(issuers.list().iter().map(renewed).collect())
    }
}

fn load_revoked(config: &Config) -> Result<Revocations, Vec<Problem>> {
    config.revocations_file.as_deref().map_or_else(|| Ok(Revocations::default()), revocations::load)
}

/// The set of an issuer whose keys are in a file.
fn load_file(settings: &Jwt) -> Result<Option<KeySet>, Problem> {
    let KeySource::File(path) = &settings.source else { return Ok(None) };
    let bytes = load_public(path)?;
    let set = KeySet::decode(&bytes, &settings.rules.algorithms).map_err(|error| {
        let what = format!("auth.jwt.{}: {}: {error}", settings.rules.name, path.display());
        Problem::error("E0354", what).help("a key set is JSON: {\"keys\": [...]}, public keys only")
    })?;
    Ok(Some(set))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::super::certs::tests::Scratch;
    use super::super::dev;
    use super::*;

    const SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn of_file(name: &str, scratch: &Scratch) -> Jwt {
        Jwt {
            rules: Issuer::named(name, &format!("https://{name}.example.com")),
            source: KeySource::File(scratch.write(&format!("{name}.json"), SET, 0o644)),
            ca_file: None,
            refresh: Duration::from_secs(900),
            stale_if_error: Duration::from_secs(3600),
            tokens_max: 0,
        }
    }

    #[test]
    fn a_broken_file_holds_up_no_other_and_no_revocation() {
        let scratch = Scratch::new();
        let list = scratch.write("revoked.toml", "", 0o644);
        let mut config = dev::tests::config();
        config.issuers = ["one", "two"].map(|name| of_file(name, &scratch)).to_vec();
        config.revocations_file = Some(list.clone());
        let mut sets = KeySets::default();
        let mut running = sets.load(&config).unwrap();
        // Keys of each issuer, revocations, what was kept.
        let mut reload = || {
            let mut kept = Vec::new();
            running = sets.reload(&config, &running, |part, problems| {
                assert!(!problems.is_empty(), "{part}");
                kept.push(part);
            });
            let keys: Vec<usize> = running.list().iter().map(|issuer| issuer.keys.keys().len()).collect();
            (keys, running.revoked().len(), kept)
        };
        let broken = |name: &str| fs::write(scratch.path().join(name), "{").unwrap();
        let entry = "[[revoked]]\njti = \"a\"\n";
        broken("one.json");
        fs::write(&list, entry).unwrap();
        assert_eq!(reload(), (vec![1, 1], 1, vec!["auth.jwt.one".to_owned()]));
        // The same key under another name.
        let second = SET.replace("}]}", r#"},{"kid":"b","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#);
        fs::write(scratch.path().join("two.json"), second).unwrap();
        broken("revoked.toml");
        let kept = vec!["auth.jwt.one".to_owned(), "auth.revocations_file".to_owned()];
        assert_eq!(reload(), (vec![1, 2], 1, kept));
        fs::write(scratch.path().join("one.json"), SET).unwrap();
        fs::write(&list, "").unwrap();
        assert_eq!(reload(), (vec![1, 2], 0, Vec::new()));
        // A start, and a reload of the settings, want everything right.
        broken("one.json");
        assert_eq!(sets.load(&config).err().unwrap()[0].code, "E0354");
    }
}
