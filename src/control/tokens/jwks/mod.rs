//! When an issuer's keys are read again, and what becomes of the old ones: on time, when a token names a key that is
//! not known, and later and later while nobody answers. Pure but for [`Ask::run`], which is another thread's.
//! Never: an empty set because an issuer is away for a while; a question for every strange token.
//! Next: `fetch`, the client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::control::config::checked::{Jwt, KeySource};
use crate::control::fetch::{Fetched, Fetcher};
use crate::control::problem::Problem;
use crate::pipeline::authenticate::tokens::Wanted;
use crate::pipeline::authenticate::tokens::keys::{Algorithm, KeySet};

/// A token with a strange key's name has the keys read again, but not sooner than this after the last time.
const WANTED_PAUSE: Duration = Duration::from_secs(5);
/// First wait after a failure; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Larger than any key set or metadata. Bytes.
const DOCUMENT_BYTES_MAX: usize = 512 * 1024;

/// What is known of one issuer's keys.
pub struct Known {
    /// No other has it: not its predecessor under other settings either.
    number: u64,
    settings: Jwt,
    keys: Arc<KeySet>,
    wanted: Arc<Wanted>,
    /// The text the keys were read from.
    text: Vec<u8>,
    etag: Option<Etag>,
    /// When somebody last said what the keys are.
    confirmed: Option<Instant>,
    /// When to ask next.
    due: Option<Instant>,
    asked: Option<Instant>,
    is_asking: bool,
    failures: u32,
}

/// A question for an issuer.
pub struct Ask {
    number: u64,
    name: String,
    issuer: String,
    source: KeySource,
    ca_file: Option<PathBuf>,
    algorithms: Vec<Algorithm>,
    etag: Option<Etag>,
}

/// What a server calls the text it gave, which means nothing anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Etag {
    url: String,
    tag: String,
}

/// What came back.
pub struct Answer {
    /// Of which issuer's table.
    pub name: String,
    /// Who asked; settings may be others by now.
    number: u64,
    outcome: Result<Read, String>,
}

/// What came with a success.
struct Read {
    found: Found,
    max_age: Option<Duration>,
}

enum Found {
    /// Keys, the text they were read from, and what the server calls it.
    Keys(KeySet, Vec<u8>, Option<Etag>),
    /// What was known is still right.
    Same,
}

impl Known {
    /// Nothing yet; to be asked for at once.
    pub fn new(number: u64, settings: Jwt) -> Self {
        Self {
            number,
            settings,
            keys: Arc::default(),
            wanted: Arc::default(),
            text: Vec::new(),
            etag: None,
            confirmed: None,
            due: None,
            asked: None,
            is_asking: false,
            failures: 0,
        }
    }

    /// Whether the keys are those of an issuer with these settings.
    pub fn is_of(&self, settings: &Jwt) -> bool {
        let (mine, other) = (&self.settings, settings);
        mine.source == other.source
            && mine.ca_file == other.ca_file
            && mine.rules.issuer == other.rules.issuer
            && mine.rules.algorithms == other.rules.algorithms
    }

    /// Takes settings that are new in the rest, and the keys of a file.
    pub fn follow(&mut self, settings: &Jwt, set: Option<KeySet>) {
        self.settings = settings.clone();
        if let Some(set) = set {
            self.keys = Arc::new(set);
        }
    }

    /// Its table.
    pub fn name(&self) -> &str {
        &self.settings.rules.name
    }

    /// The keys.
    pub fn keys(&self) -> Arc<KeySet> {
        self.keys.clone()
    }

    /// Where shards say that a key is missing.
    pub fn wanted(&self) -> Arc<Wanted> {
        self.wanted.clone()
    }

    /// A question, if it is time for one.
    pub fn due(&mut self, now: Instant) -> Option<Ask> {
        if matches!(self.settings.source, KeySource::File(_)) || self.is_asking {
            return None;
        }
        let is_time = self.due.is_none_or(|due| now >= due);
        // While nobody answers, strange tokens do not make it ask more often.
        let may_want = self.failures == 0
            && self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= WANTED_PAUSE);
        let is_wanted = may_want && self.wanted.take();
        if !is_time && !is_wanted {
            return None;
        }
        (self.is_asking, self.asked) = (true, Some(now));
        let rules = &self.settings.rules;
        Some(Ask {
            number: self.number,
            name: rules.name.to_string(),
            issuer: rules.issuer.clone(),
            source: self.settings.source.clone(),
            ca_file: self.settings.ca_file.clone(),
            algorithms: rules.algorithms.clone(),
            etag: self.etag.clone(),
        })
    }

    /// Takes an answer; what is wrong with it, for the log.
    pub fn take(&mut self, answer: Answer, now: Instant) -> Option<Problem> {
        if answer.number != self.number {
            return None;
        }
        self.is_asking = false;
        let read = match answer.outcome {
            Ok(read) => read,
            Err(why) => return Some(self.fail(&why, now)),
        };
        let refresh = self.settings.refresh;
        // The issuer may want to be asked sooner, never more rarely than the operator does.
        let wait = read.max_age.map_or(refresh, |age| age.clamp(WANTED_PAUSE.min(refresh), refresh));
        (self.failures, self.confirmed, self.due) = (0, Some(now), now.checked_add(wait));
        let (keys, text) = match read.found {
            Found::Same => return None,
            Found::Keys(keys, text, etag) => {
                self.etag = etag;
                (keys, text)
            }
        };
        if text == self.text {
            return None;
        }
        let passed_over = keys.passed_over().join("; ");
        (self.keys, self.text) = (Arc::new(keys), text);
        (!passed_over.is_empty()).then(|| {
            Problem::warning(
                "W0611",
                format!("auth.jwt.{}: keys are passed over: {passed_over}", self.name()),
            )
        })
    }

    fn fail(&mut self, why: &str, now: Instant) -> Problem {
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(8)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.due = now.checked_add(wait);
        let next = format!("next try in {} s", wait.as_secs());
        let name = self.name();
        let problem = Problem::warning("W0610", format!("auth.jwt.{name}: {why}"));
        let problem = if self.keys.keys().is_empty() {
            problem.note(format!("tokens of this issuer are refused until it succeeds ({next})"))
        } else {
            problem.note(format!("the keys that are known are used meanwhile ({next})"))
        };
        match self.settings.ca_file {
            None => problem.help(format!("auth.jwt.{name}.ca_file = \"/path/to/ca.pem\"")),
            Some(_) => problem,
        }
    }

    /// Lets go of keys that nobody has confirmed for too long.
    pub fn forget_when_stale(&mut self, now: Instant) -> Option<Problem> {
        let confirmed = self.confirmed?;
        let good_for = self.settings.refresh.saturating_add(self.settings.stale_if_error);
        if now.saturating_duration_since(confirmed) <= good_for || self.keys.keys().is_empty() {
            return None;
        }
        (self.keys, self.confirmed, self.etag) = (Arc::default(), None, None);
        self.text.clear();
        let what = format!("auth.jwt.{}: its keys are older than jwks_stale_if_error", self.name());
        Some(Problem::warning("W0612", what).note("tokens of this issuer are refused until it answers"))
    }
}

impl Ask {
    /// Asks, on a thread that may wait.
    pub fn run(self) -> Answer {
        let outcome = self.read();
        Answer { name: self.name, number: self.number, outcome }
    }

    fn read(&self) -> Result<Read, String> {
        let fetcher = Fetcher::build(self.ca_file.as_deref()).map_err(|problem| problem.what)?;
        let url = match &self.source {
            KeySource::Url(url) => url.clone(),
            KeySource::Discovery => self.discover(&fetcher)?,
            KeySource::File(_) => return Err("its keys are in a file".to_owned()),
        };
        let accept = "application/jwk-set+json, application/json";
        // RFC 9110 8.8.3: a tag tells apart what is at one place; another's text may have the same.
        let etag = self.etag.as_ref().filter(|etag| etag.url == url);
        let fetched = get(&fetcher, &url, accept, etag.map(|etag| etag.tag.as_str()))?;
        let found = match fetched.body {
            None if etag.is_none() => return Err(format!("{url}: answered 304 to a question without a tag")),
            None => Found::Same,
            Some(text) => {
                let set =
                    KeySet::decode(&text, &self.algorithms).map_err(|error| format!("{url}: {error}"))?;
                Found::Keys(set, text, fetched.etag.map(|tag| Etag { url, tag }))
            }
        };
        Ok(Read { found, max_age: fetched.max_age })
    }

    /// The place of the key set, from the issuer's own metadata.
    // OpenID Connect Discovery 1.0 4; RFC 8414 3.
    fn discover(&self, fetcher: &Fetcher) -> Result<String, String> {
        let mut first = None;
        for url in metadata_urls(&self.issuer) {
            match get(fetcher, &url, "application/json", None) {
                Ok(Fetched { body: Some(text), .. }) => return read_metadata(&url, &text, &self.issuer),
                Ok(Fetched { body: None, .. }) => {}
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        Err(first.unwrap_or_else(|| "it has no metadata".to_owned()))
    }
}

fn get(fetcher: &Fetcher, url: &str, accept: &str, etag: Option<&str>) -> Result<Fetched, String> {
    let fetched = fetcher.get(url, accept, etag).map_err(|error| format!("cannot fetch {url}: {error}"))?;
    match fetched.body.as_ref().map(Vec::len) {
        Some(bytes) if bytes > DOCUMENT_BYTES_MAX => {
            Err(format!("cannot fetch {url}: the answer is larger than {DOCUMENT_BYTES_MAX} bytes"))
        }
        Some(_) | None => Ok(fetched),
    }
}

/// Where the metadata may be: OpenID's place behind the issuer's path, OAuth's before it.
fn metadata_urls(issuer: &str) -> Vec<String> {
    let base = issuer.trim_end_matches('/');
    let path_at = base.find("://").and_then(|at| base.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let (origin, path) = path_at.and_then(|at| base.split_at_checked(at)).unwrap_or((base, ""));
    vec![
        format!("{base}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

/// The key set's place, if the metadata is the issuer's.
// RFC 8414 3.3: the issuer in it has to be the one that was asked, letter by letter.
fn read_metadata(url: &str, text: &[u8], issuer: &str) -> Result<String, String> {
    let metadata: Value = serde_json::from_slice(text).map_err(|_| format!("{url}: it is no JSON"))?;
    let member = |name: &str| metadata.get(name).and_then(Value::as_str);
    if member("issuer") != Some(issuer) {
        let said = member("issuer").unwrap_or("nobody").escape_debug();
        return Err(format!("{url}: it is the metadata of {said}, not of {issuer}"));
    }
    let place = member("jwks_uri").ok_or_else(|| format!("{url}: it names no jwks_uri"))?;
    if !crate::control::config::is_fetched_url(place) {
        return Err(format!("{url}: its jwks_uri is not https"));
    }
    Ok(place.to_owned())
}

#[cfg(test)]
mod tests;
