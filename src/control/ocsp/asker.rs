//! Asks the responders of clients' certificates while their connections wait: one desk that knows what was answered
//! lately, and a few threads that ask. Questions about the same certificate are asked once; a responder that is slow holds up
//! its own questions only (`lanes`).
//! Never: a wait on a shard (a question is put down and its connection woken), a queue or a memory without a bound.
//! Next: `request` and `response`, what is said.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::config::checked::TlsProfile;
use super::super::config::guests::{self, Verdict};
use super::super::fetch::Fetcher;
use super::super::moment;
use super::super::problem::{Exit, Problem};
use super::lanes::{Entered, Lanes, host_of};
use super::request::{Nonce, encode_request};
use super::response::{Status, verify_response};
use super::{Issuer, REQUEST_TYPE, RESPONSE_TYPE, Subject, responders};
use crate::pipeline::authenticate::certificate::Reason;
use crate::pipeline::authenticate::certificate::inquiry::{Finding, Inquiry, Ocsp, OnFailure};

/// Questions that wait for the desk. One more is answered at once: failed.
const QUESTIONS_MAX: usize = 1024;
/// Certificates of which the answer is remembered.
const REMEMBERED_MAX: usize = 16_384;
/// Threads that ask; each may be held up by a responder for as long as a handshake may take.
const ASKERS: usize = 8;
/// How long a responder that failed is left alone, seconds: a flood of connections is not passed on to it.
pub(super) const FAILED_S: i64 = 5;

/// Which question: the certificate's SHA-256, and who is asked when not whom it names.
type Key = ([u8; 32], Option<String>);

/// One question with what the profile says about it.
pub(super) struct Question {
    inquiry: Arc<Inquiry>,
    url: Option<String>,
    ttl_s: i64,
    /// Whoever asks has given up by then.
    deadline: Instant,
}

impl Question {
    fn key(&self) -> Key {
        (self.inquiry.certificate.sha256, self.url.clone())
    }

    /// Whom to ask, one after the other.
    fn urls(&self) -> Vec<String> {
        match (&self.url, self.inquiry.certificate.chain.first()) {
            (Some(url), _) => vec![url.clone()],
            (None, Some(leaf)) => responders(leaf),
            (None, None) => Vec::new(),
        }
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
    lanes: Lanes,
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

    /// Whom the judge of a profile asks; none when it asks nobody. Whoever asks waits for `patience`. Starts the threads when
    /// that is needed first.
    ///
    /// # Errors
    /// When a thread can not be started, or the authorities of this machine can not be read.
    pub fn desk_of(
        profile: &TlsProfile,
        patience: Duration,
        asker: &mut Option<Self>,
    ) -> Result<Option<Arc<dyn Ocsp>>, Problem> {
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
        Ok(asker.as_ref().and_then(|asker| asker.desk(settings, patience)))
    }

    fn desk(&self, settings: &guests::Ocsp, patience: Duration) -> Option<Arc<dyn Ocsp>> {
        let guests::Ocsp::Asked { url, ttl, on_failure } = settings else { return None };
        Some(Arc::new(Counter {
            asker: self.clone(),
            url: url.clone(),
            patience,
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
    patience: Duration,
    ttl_s: i64,
    on_failure: OnFailure,
}

impl Ocsp for Counter {
    fn ask(&self, inquiry: &Arc<Inquiry>) {
        let question = Question {
            inquiry: inquiry.clone(),
            url: self.url.clone(),
            ttl_s: self.ttl_s,
            deadline: Instant::now() + self.patience,
        };
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
        desk.give_up(&key);
    }
}

/// One of the threads that ask.
fn ask(desk: &Mutex<Desk>, tasks: &Mutex<Receiver<Question>>, fetcher: &Fetcher) {
    loop {
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(question) = task else { return };
        let host = question.urls().first().map(|url| host_of(url)).unwrap_or_default();
        let entered = lock(desk).lanes.enter(&host, question);
        let mut next = match entered {
            Entered::Asking(question) => Some(*question),
            Entered::Parked => None,
            Entered::Full(question) => {
                lock(desk).give_up(&question.key());
                None
            }
        };
        while let Some(question) = next {
            let found = find_out(&question, desk, fetcher);
            let mut desk = lock(desk);
            desk.remember(question.key(), found);
            let waiting = desk.waiting.remove(&question.key()).unwrap_or_default();
            next = desk.lanes.leave(&host, moment::unix_now_s());
            drop(desk);
            waiting.iter().for_each(|inquiry| inquiry.answer(found.finding));
        }
    }
}

impl Desk {
    /// Answers whoever waits for it that there is no answer.
    fn give_up(&mut self, key: &Key) {
        let failed = Finding::Bad(Reason::OcspFailed);
        self.waiting.remove(key).unwrap_or_default().iter().for_each(|inquiry| inquiry.answer(failed));
    }

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
fn find_out(question: &Question, desk: &Mutex<Desk>, fetcher: &Fetcher) -> Known {
    let inquiry = &question.inquiry;
    let urls = question.urls();
    let issuer = Issuer { name: inquiry.issuer.name.clone(), spki: inquiry.issuer.spki.clone() };
    let subject = Subject { issuer, serial: inquiry.certificate.serial.clone() };
    let answers = urls.iter().map(|url| {
        let host = host_of(url);
        if lock(desk).lanes.has_failed(&host, moment::unix_now_s()) {
            return Err("it is left alone for a while".to_owned());
        }
        let left = question.deadline.saturating_duration_since(Instant::now());
        let answer = match left.is_zero() {
            true => Err("nobody waits for it any more".to_owned()),
            false => ask_one(url, &subject, left, fetcher).unwrap_or_else(|silence| {
                lock(desk).lanes.note_failure(&host, moment::unix_now_s());
                Err(silence)
            }),
        };
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

/// What a responder says and until when that holds, or why it is not believed.
type Said = Result<(Status, i64), String>;

/// What one responder says; an error when it says nothing.
fn ask_one(url: &str, subject: &Subject, timeout: Duration, fetcher: &Fetcher) -> Result<Said, String> {
    let mut nonce: Nonce = [0; 32];
    let drawn = rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty());
    if drawn != Ok(nonce.len()) {
        return Ok(Err("the kernel gives no random bytes".to_owned()));
    }
    let Ok(request) = encode_request(subject, Some(&nonce)) else {
        return Ok(Err("the issuer's key is not readable".to_owned()));
    };
    let fetched = fetcher.post_within(timeout, url, REQUEST_TYPE, RESPONSE_TYPE, &request);
    let fetched = fetched.map_err(|error| error.to_string())?;
    let body = fetched.body.unwrap_or_default();
    let answer = verify_response(&body, subject, Some(&nonce), moment::unix_now_s());
    Ok(answer.map(|answer| (answer.status, answer.good_until_s)).map_err(|why| why.to_string()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::task::{Wake, Waker};

    use super::*;
    use crate::pipeline::authenticate::certificate::ClientCertificate;
    use crate::pipeline::authenticate::certificate::inquiry;
    use crate::pipeline::authenticate::certificate::names::NameKind;
    use crate::pipeline::authenticate::certificate::tests::Authority;

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn awaited(inquiry: &Inquiry) -> Finding {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match inquiry.poll(&waker) {
                Some(finding) => return finding,
                None => thread::park(),
            }
        }
    }

    #[test]
    fn a_responder_that_is_silent_holds_up_nobody_elses_clients() {
        let authority = Authority::new("clients");
        let issuer = super::super::Issuer::of(&authority.certificate).unwrap();
        let patience = Duration::from_secs(2);
        let asker = Asker::start(&Fetcher::build(None).unwrap()).unwrap();
        let ask = |url: &str| {
            let chain = [authority.client(|_| {})];
            let certificate = ClientCertificate::read(&chain, &[NameKind::Uri]).unwrap();
            let issuer = inquiry::Issuer { name: issuer.name.clone(), spki: issuer.spki.clone() };
            let inquiry = Arc::new(Inquiry::new(Arc::new(certificate), issuer));
            let (url, ttl, on_failure) = (Some(url.to_owned()), Duration::from_secs(60), Verdict::Deny);
            let desk = asker.desk(&guests::Ocsp::Asked { url, ttl, on_failure }, patience).unwrap();
            desk.ask(&inquiry);
            inquiry
        };
        // The one takes connections and says nothing, the other hangs up.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent_url = format!("http://{}/", silent.local_addr().unwrap());
        let dead = TcpListener::bind("127.0.0.1:0").unwrap();
        let dead_url = format!("http://{}/", dead.local_addr().unwrap());
        thread::spawn(move || dead.incoming().for_each(drop));
        let began = Instant::now();
        let slow: Vec<_> = (0..3 * ASKERS).map(|_| ask(&silent_url)).collect();
        assert_eq!(awaited(&ask(&dead_url)), Finding::Bad(Reason::OcspFailed));
        assert!(began.elapsed() < patience / 2, "{:?}", began.elapsed());
        for inquiry in slow {
            assert_eq!(awaited(&inquiry), Finding::Bad(Reason::OcspFailed));
        }
        // All of them have waited together, and who comes now does not wait at all.
        assert!(began.elapsed() < 2 * patience, "{:?}", began.elapsed());
        let again = Instant::now();
        assert_eq!(awaited(&ask(&silent_url)), Finding::Bad(Reason::OcspFailed));
        assert!(again.elapsed() < patience / 2, "{:?}", again.elapsed());
        drop(silent);
    }
}
