//! When an issuer's keys are read again, and what becomes of the old ones: on time, when a token names a key that is
//! not known, and later and later while nobody answers. Pure but for [`Ask::run`], which is another thread's.
//! Never: an empty set because an issuer is away for a while; a question for every strange token.
//! Next: `fetch`, the client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::config::checked::{Jwt, KeySource};
use super::super::fetch::{Fetched, Fetcher};
use super::super::problem::Problem;
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
    etag: Option<String>,
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
    etag: Option<String>,
}

/// What came back.
pub struct Answer {
    /// Of which issuer's table.
    pub name: String,
    /// Who asked; settings may be others by now.
    number: u64,
    outcome: Result<Read, String>,
}

/// Keys, or that they are still the same.
struct Read {
    keys: Option<(KeySet, Vec<u8>)>,
    etag: Option<String>,
    max_age: Option<Duration>,
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
        self.etag = read.etag.or(self.etag.take());
        let (keys, text) = read.keys?;
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
        let fetched = get(&fetcher, &url, accept, self.etag.as_deref())?;
        let keys = match fetched.body {
            None => None,
            Some(text) => {
                let set =
                    KeySet::decode(&text, &self.algorithms).map_err(|error| format!("{url}: {error}"))?;
                Some((set, text))
            }
        };
        Ok(Read { keys, etag: fetched.etag, max_age: fetched.max_age })
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
    if !super::super::config::is_fetched_url(place) {
        return Err(format!("{url}: its jwks_uri is not https"));
    }
    Ok(place.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::authenticate::tokens::Issuer;

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn settings() -> Jwt {
        Jwt {
            rules: Issuer::named("corp", "https://idp.example.com"),
            source: KeySource::Url("https://idp.example.com/keys".to_owned()),
            ca_file: None,
            refresh: Duration::from_secs(900),
            stale_if_error: Duration::from_secs(3600),
            tokens_max: 0,
        }
    }

    fn known() -> Known {
        Known::new(1, settings())
    }

    fn answer(known: &Known, outcome: Result<Read, String>) -> Answer {
        Answer { name: known.name().to_owned(), number: known.number, outcome }
    }

    fn keys(text: &[u8]) -> Result<Read, String> {
        let set = KeySet::decode(text, &Algorithm::ALL).map_err(|error| error.to_string())?;
        Ok(Read { keys: Some((set, text.to_vec())), etag: Some("\"1\"".to_owned()), max_age: None })
    }

    #[test]
    fn asks_at_once_then_on_time_then_when_a_key_is_wanted() {
        let (mut known, start) = (known(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(known.due(start).is_some());
        assert!(known.due(after(99)).is_none(), "one question at a time");
        let read = answer(&known, keys(SET));
        assert!(known.take(read, start).is_none());
        assert_eq!(known.keys().keys().len(), 1);
        assert!(known.due(after(899)).is_none());
        assert_eq!(known.due(after(900)).unwrap().etag.as_deref(), Some("\"1\""));
        // Still the same: the very set stays, so that nobody has to be told.
        let before = known.keys();
        let same = answer(&known, Ok(Read { keys: None, etag: None, max_age: None }));
        assert!(known.take(same, after(900)).is_none());
        let again = answer(&known, keys(SET));
        assert!(known.take(again, after(900)).is_none());
        assert!(Arc::ptr_eq(&before, &known.keys()));
        // A strange name, but not twice within the pause.
        known.wanted().ask();
        assert!(known.due(after(904)).is_none());
        assert!(known.due(after(905)).is_some());
        let again = answer(&known, keys(SET));
        known.take(again, after(905));
        known.wanted().ask();
        assert!(known.due(after(906)).is_none());
    }

    #[test]
    fn the_issuer_may_be_asked_sooner_and_not_more_rarely() {
        for (max_age, wait) in [(None, 900), (Some(60), 60), (Some(0), 5), (Some(86_400), 900)] {
            let (mut known, start) = (known(), Instant::now());
            known.due(start);
            let read = keys(SET).map(|read| Read { max_age: max_age.map(Duration::from_secs), ..read });
            let read = answer(&known, read);
            known.take(read, start);
            assert!(known.due(start + Duration::from_secs(wait - 1)).is_none(), "{max_age:?}");
            assert!(known.due(start + Duration::from_secs(wait)).is_some(), "{max_age:?}");
        }
    }

    #[test]
    fn keys_outlive_an_issuer_that_is_away_for_so_long_and_no_longer() {
        let (mut known, start) = (known(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        known.due(start);
        let read = answer(&known, keys(SET));
        known.take(read, start);
        let (mut at, mut waits) = (900, Vec::new());
        for _ in 0..6 {
            assert!(known.due(after(at)).is_some(), "{at}");
            let failed = answer(&known, Err("cannot fetch".to_owned()));
            let problem = known.take(failed, after(at)).unwrap();
            assert!(problem.notes[0].starts_with("the keys that are known are used"), "{problem}");
            // Strange tokens do not have an issuer asked that is in trouble.
            known.wanted().ask();
            let wait = (1..=60).find(|wait| known.due(after(at + wait)).is_some()).unwrap();
            known.is_asking = false;
            waits.push(wait);
            at += wait;
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert!(known.forget_when_stale(after(900 + 3600)).is_none());
        assert_eq!(known.forget_when_stale(after(900 + 3601)).unwrap().code, "W0612");
        assert!(known.keys().keys().is_empty());
        assert!(known.forget_when_stale(after(9999)).is_none(), "told once");
    }

    #[test]
    fn an_answer_to_a_question_of_before_a_reload_is_passed_over() {
        let (mut before, start) = (known(), Instant::now());
        before.due(start);
        let read = answer(&before, keys(SET));
        let mut algorithms = settings();
        algorithms.rules.algorithms = vec![Algorithm::Es256];
        let authority = Jwt { ca_file: Some("ca.pem".into()), ..settings() };
        let source = Jwt { source: KeySource::Discovery, ..settings() };
        for other in [&algorithms, &authority, &source] {
            assert!(!before.is_of(other), "it is asked anew");
        }
        assert!(before.is_of(&Jwt { refresh: Duration::from_secs(60), ..settings() }));
        let mut after = Known::new(2, authority);
        assert!(after.due(start).is_some());
        assert!(after.take(read, start).is_none());
        assert!(after.keys().keys().is_empty());
        assert!(after.due(start).is_none(), "its own question is still open");
        let read = answer(&after, keys(SET));
        after.take(read, start);
        assert_eq!(after.keys().keys().len(), 1);
    }

    #[test]
    fn believes_only_the_issuers_own_metadata() {
        let issuer = "https://idp.example.com/tenant";
        assert_eq!(
            metadata_urls(issuer),
            [
                "https://idp.example.com/tenant/.well-known/openid-configuration",
                "https://idp.example.com/.well-known/oauth-authorization-server/tenant",
            ]
        );
        let read = |text: &str| read_metadata("url", text.as_bytes(), issuer);
        let good = r#"{"issuer":"https://idp.example.com/tenant","jwks_uri":"https://keys.example.com/a"}"#;
        assert_eq!(read(good).as_deref(), Ok("https://keys.example.com/a"));
        for (wrong, why) in [
            (good.replace("/tenant\"", "/tenant/\""), "not of"),
            (good.replace("\"issuer\"", "\"iss\""), "of nobody"),
            (good.replace("https://keys", "http://keys"), "not https"),
            (good.replace("https://keys.example.com/a", "file:///etc/passwd"), "not https"),
            (good.replace("jwks_uri", "jwks"), "no jwks_uri"),
            ("<html>".to_owned(), "no JSON"),
        ] {
            let error = read(&wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
