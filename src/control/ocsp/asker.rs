//! Asks the responders of clients' certificates while their connections wait: one desk that knows what was answered
//! lately, and a few threads that ask. Questions about the same certificate are asked once.
//! Never: a wait on a shard (a question is put down and its connection woken), a queue or a memory without a bound.
//! Next: `request` and `response`, what is said.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::config::checked::TlsProfile;
use super::super::config::guests::{self, Verdict};
use super::super::fetch::Fetcher;
use super::super::moment;
use super::super::problem::{Exit, Problem};
use super::request::{Nonce, encode_request};
use super::response::{Status, verify_response};
use super::{Issuer, REQUEST_TYPE, RESPONSE_TYPE, Subject, responders};
use crate::pipeline::authenticate::certificate::Reason;
use crate::pipeline::authenticate::certificate::inquiry::{Finding, Inquiry, Ocsp, OnFailure};

/// Questions that wait for the desk. One more is answered at once: failed.
const QUESTIONS_MAX: usize = 1024;
/// Certificates of which the answer is remembered.
const REMEMBERED_MAX: usize = 16_384;
/// Threads that ask; each may be held up by a responder for as long as a fetch may take.
const ASKERS: usize = 4;
/// How long a responder that failed is left alone, seconds: a flood of connections is not passed on to it.
const FAILED_S: i64 = 5;

/// Which question: the certificate's SHA-256, and who is asked when not whom it names.
type Key = ([u8; 32], Option<String>);

/// One question with what the profile says about it.
struct Question {
    inquiry: Arc<Inquiry>,
    url: Option<String>,
    ttl_s: i64,
}

impl Question {
    fn key(&self) -> Key {
        (self.inquiry.certificate.sha256, self.url.clone())
    }
}

/// What is remembered of a certificate.
#[derive(Clone, Copy, Debug)]
struct Known {
    finding: Finding,
    /// From when on it is asked for again, while it still holds.
    refresh_at_s: i64,
    until_s: i64,
}

#[derive(Default)]
struct Desk {
    known: HashMap<Key, Known>,
    /// Whoever waits for an answer that is being asked for.
    waiting: HashMap<Key, Vec<Arc<Inquiry>>>,
}

/// Takes questions of all shards.
#[derive(Clone)]
pub struct Asker {
    questions: SyncSender<Question>,
}

impl Asker {
    /// Starts the threads; they live as long as the process.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub fn start(fetcher: &Fetcher) -> std::io::Result<Self> {
        let (questions, asked) = sync_channel::<Question>(QUESTIONS_MAX);
        let (outward, tasks) = sync_channel::<Question>(QUESTIONS_MAX);
        let (desk, tasks) = (Arc::new(Mutex::new(Desk::default())), Arc::new(Mutex::new(tasks)));
        for _ in 0..ASKERS {
            let (desk, tasks, fetcher) = (desk.clone(), tasks.clone(), fetcher.clone());
            thread::Builder::new()
                .name("mcpring-ocsp".to_owned())
                .spawn(move || ask(&desk, &tasks, &fetcher))?;
        }
        thread::Builder::new()
            .name("mcpring-ocsp".to_owned())
            .spawn(move || asked.iter().for_each(|question| receive(&desk, &outward, question)))?;
        Ok(Self { questions })
    }

    /// Whom the judge of a profile asks; none when it asks nobody. Starts the threads when that is needed first.
    ///
    /// # Errors
    /// When a thread can not be started, or the authorities of this machine can not be read.
    pub fn desk_of(profile: &TlsProfile, asker: &mut Option<Self>) -> Result<Option<Arc<dyn Ocsp>>, Problem> {
        let Some(settings) = profile.client_auth.as_ref().map(|auth| &auth.ocsp) else { return Ok(None) };
        if *settings == guests::Ocsp::Off {
            return Ok(None);
        }
        if asker.is_none() {
            *asker = Some(Self::start(&Fetcher::build(None)?).map_err(|error| {
                let what = format!("cannot start the threads that ask about certificates: {error}");
                Problem::error("E0325", what).exit(Exit::Unavailable)
            })?);
        }
        Ok(asker.as_ref().and_then(|asker| asker.desk(settings)))
    }

    fn desk(&self, settings: &guests::Ocsp) -> Option<Arc<dyn Ocsp>> {
        let guests::Ocsp::Asked { url, ttl, on_failure } = settings else { return None };
        Some(Arc::new(Counter {
            asker: self.clone(),
            url: url.clone(),
            ttl_s: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX),
            on_failure: match on_failure {
                Verdict::Deny => OnFailure::Deny,
                Verdict::Allow => OnFailure::Allow,
            },
        }))
    }
}

/// Where the connections of a profile put their questions.
struct Counter {
    asker: Asker,
    url: Option<String>,
    ttl_s: i64,
    on_failure: OnFailure,
}

impl Ocsp for Counter {
    fn ask(&self, inquiry: &Arc<Inquiry>) {
        let question = Question { inquiry: inquiry.clone(), url: self.url.clone(), ttl_s: self.ttl_s };
        if self.asker.questions.try_send(question).is_err() {
            inquiry.answer(Finding::Bad(Reason::OcspFailed));
        }
    }

    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers from memory, or has it asked for.
fn receive(desk: &Mutex<Desk>, outward: &SyncSender<Question>, question: Question) {
    let (key, now_s) = (question.key(), moment::unix_now_s());
    let mut desk = lock(desk);
    let known = desk.known.get(&key).copied().filter(|known| now_s < known.until_s);
    if let Some(known) = known {
        question.inquiry.answer(known.finding);
        if now_s < known.refresh_at_s {
            return;
        }
    }
    if let Some(waiting) = desk.waiting.get_mut(&key) {
        // As many as there may be connections; each has a deadline of its own.
        if known.is_none() {
            waiting.push(question.inquiry);
        }
        return;
    }
    let first = if known.is_none() { vec![question.inquiry.clone()] } else { Vec::new() };
    desk.waiting.insert(key.clone(), first);
    if outward.try_send(question).is_err() {
        let failed = Finding::Bad(Reason::OcspFailed);
        desk.waiting.remove(&key).unwrap_or_default().iter().for_each(|inquiry| inquiry.answer(failed));
    }
}

/// One of the threads that ask.
fn ask(desk: &Mutex<Desk>, tasks: &Mutex<Receiver<Question>>, fetcher: &Fetcher) {
    loop {
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(question) = task else { return };
        let found = find_out(&question, fetcher);
        let mut desk = lock(desk);
        desk.remember(question.key(), found);
        let waiting = desk.waiting.remove(&question.key()).unwrap_or_default();
        drop(desk);
        waiting.iter().for_each(|inquiry| inquiry.answer(found.finding));
    }
}

impl Desk {
    fn remember(&mut self, key: Key, found: Known) {
        let now_s = moment::unix_now_s();
        // An answer that still holds is better than none.
        let holds = self.known.get(&key).is_some_and(|known| now_s < known.until_s);
        if holds && found.finding == Finding::Bad(Reason::OcspFailed) {
            return;
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.retain(|_, known| now_s < known.until_s);
        }
        if self.known.len() < REMEMBERED_MAX || self.known.contains_key(&key) {
            self.known.insert(key, found);
        }
    }
}

/// Asks one responder after the other until one can be believed.
fn find_out(question: &Question, fetcher: &Fetcher) -> Known {
    let inquiry = &question.inquiry;
    let urls = match (&question.url, inquiry.certificate.chain.first()) {
        (Some(url), _) => vec![url.clone()],
        (None, Some(leaf)) => responders(leaf),
        (None, None) => Vec::new(),
    };
    let issuer = Issuer { name: inquiry.issuer.name.clone(), spki: inquiry.issuer.spki.clone() };
    let subject = Subject { issuer, serial: inquiry.certificate.serial.clone() };
    let answers = urls.iter().map(|url| {
        let answer = ask_one(url, &subject, fetcher);
        if let Err(why) = &answer {
            let serial: String = subject.serial.iter().map(|byte| format!("{byte:02x}")).collect();
            tracing::warn!(url, serial, "no answer about a certificate: {why}");
        }
        answer
    });
    let now_s = moment::unix_now_s();
    let Some((status, good_until_s)) = answers.filter_map(Result::ok).next() else {
        let until_s = now_s.saturating_add(FAILED_S);
        return Known { finding: Finding::Bad(Reason::OcspFailed), refresh_at_s: until_s, until_s };
    };
    let until_s = good_until_s.min(now_s.saturating_add(question.ttl_s));
    let finding = match status {
        Status::Good => Finding::Good { until_s: u64::try_from(until_s).unwrap_or(0) },
        Status::Revoked => Finding::Bad(Reason::RevokedByOcsp),
        Status::Unknown => Finding::Bad(Reason::OcspUnknown),
    };
    Known { finding, refresh_at_s: now_s.saturating_add(until_s.saturating_sub(now_s) / 2), until_s }
}

fn ask_one(url: &str, subject: &Subject, fetcher: &Fetcher) -> Result<(Status, i64), String> {
    let mut nonce: Nonce = [0; 32];
    let drawn = rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty());
    if drawn != Ok(nonce.len()) {
        return Err("the kernel gives no random bytes".to_owned());
    }
    let request = encode_request(subject, Some(&nonce)).map_err(|_| "the issuer's key is not readable")?;
    let fetched =
        fetcher.post(url, REQUEST_TYPE, RESPONSE_TYPE, &request).map_err(|error| error.to_string())?;
    let body = fetched.body.unwrap_or_default();
    let answer = verify_response(&body, subject, Some(&nonce), moment::unix_now_s());
    answer.map(|answer| (answer.status, answer.good_until_s)).map_err(|why| why.to_string())
}
