//! A call driven by hand: what it emits, what wakes it, and how its questions are answered in both ways.
//! Next: `mod.rs`.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use serde::Deserialize;

use super::{ASKS_MAX, Client, Context, EMISSIONS_MAX, Emission, Progress};
use crate::tools::ask::{Ask, AskError, Capabilities, Capability};
use crate::tools::log::LogLevel;
use crate::tools::{Elicited, Sampling, ToolError};

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn all() -> Capabilities {
    Capability::ALL.into_iter().fold(Capabilities::default(), Capabilities::with)
}

fn context_of(capabilities: Capabilities) -> Context {
    let offload = Arc::new(|work: Box<dyn FnOnce() + Send>| {
        work();
        true
    });
    let client = Client { capabilities, log_level: Some(LogLevel::Info), wants_progress: true, offload };
    Context::new("ada".into(), 1000, client)
}

fn context() -> Context {
    context_of(all())
}

fn poll<F: Future>(context: &Context, future: &mut Pin<&mut F>) -> Poll<F::Output> {
    context.poll(future.as_mut(), Waker::noop())
}

fn report(progress: f64) -> Progress {
    Progress { progress, total: None, message: None }
}

fn emitted(context: &Context) -> Vec<Emission> {
    std::iter::from_fn(|| context.poll_emission()).collect()
}

#[derive(Deserialize, schemars::JsonSchema, Debug, PartialEq)]
struct Who {
    #[schemars(length(min = 1))]
    name: String,
    age: Option<u8>,
}

#[test]
fn what_outruns_its_reader_loses_the_newest_of_its_kind_and_never_a_question() {
    let context = context();
    context.log(LogLevel::Info, "first");
    for step in 0..200 {
        context.progress(report(f64::from(step)));
    }
    let mut asking = pin!(context.roots("roots"));
    assert!(poll(&context, &mut asking).is_pending());
    context.log(LogLevel::Error, "last");
    let all = emitted(&context);
    assert_eq!(all.len(), EMISSIONS_MAX + 1);
    let newest = all.iter().rev().find_map(|emission| match emission {
        Emission::Progress(report) => Some(report.progress),
        Emission::Log(_) | Emission::Ask { .. } | Emission::CloseStream => None,
    });
    assert_eq!(newest, Some(199.0));
    assert!(all.iter().any(|emission| matches!(emission, Emission::Ask { key, .. } if &**key == "roots")));
    assert!(all.iter().any(|emission| matches!(emission, Emission::Log(log) if log.data == "\"last\"")));
}

#[test]
fn a_stream_is_let_go_once_until_that_is_taken() {
    let context = context();
    context.close_stream();
    context.close_stream();
    context.progress(report(1.0));
    context.close_stream();
    let kinds: Vec<_> = emitted(&context).iter().map(|said| matches!(said, Emission::CloseStream)).collect();
    assert_eq!(kinds, [true, false, true]);
}

#[test]
fn progress_rises_and_messages_are_as_severe_as_wanted() {
    let context = context();
    for number in [1.0, 1.0, 0.5, f64::NAN, f64::INFINITY, 2.0] {
        context.progress(report(number));
    }
    context.log(LogLevel::Debug, "too little");
    context.log_as(Some("db"), LogLevel::Info, serde_json::json!({"rows": 3}));
    let all = emitted(&context);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(matches!(&all[2], Emission::Log(log) if log.data == "{\"rows\":3}" && log.logger.is_some()));
}

#[test]
fn sleeps_that_wait_together_each_keep_their_time() {
    let context = context();
    let bell = Arc::new(Bell::default());
    let inner = Waker::from(bell.clone());
    let mut long = pin!(context.sleep(Duration::from_millis(50)));
    let mut short = Box::pin(context.sleep(Duration::from_millis(20)));
    assert!(context.poll(long.as_mut(), &inner).is_pending());
    assert!(context.poll(short.as_mut(), Waker::noop()).is_pending());
    assert_eq!(context.wake_at_ms(), Some(1020));
    drop(short);
    assert_eq!(context.wake_at_ms(), Some(1050));
    context.advance(1049);
    assert_eq!((context.wake_at_ms(), bell.0.load(Ordering::SeqCst)), (Some(1050), 0));
    context.advance(1050);
    // Its own waker is not the one that polls the call, so it is told.
    assert_eq!((context.wake_at_ms(), bell.0.load(Ordering::SeqCst)), (None, 1));
    assert!(context.poll(long.as_mut(), &inner).is_ready());
}

#[test]
fn an_answer_wakes_the_call_that_waits_for_it() {
    let context = context();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut asking = pin!(context.elicit::<Who>("who", "Name?"));
    assert!(context.poll(asking.as_mut(), &waker).is_pending());
    assert!(context.has_unanswered());
    context.answer("other", Ok(b"{}".to_vec()));
    assert_eq!(bell.0.load(Ordering::SeqCst), 0);
    context.answer("who", Ok(br#"{"action":"accept","content":{"name":"Ada"}}"#.to_vec()));
    assert!(bell.0.load(Ordering::SeqCst) > 0 && !context.has_unanswered());
    context.answer("who", Err(AskError::TimedOut));
    let answered = context.poll(asking.as_mut(), &waker);
    assert_eq!(answered, Poll::Ready(Ok(Elicited::Accepted(Who { name: "Ada".into(), age: None }))));
}

#[test]
fn an_answer_is_what_was_asked_for_or_an_error() {
    for (json, expect) in [
        (
            r#"{"action":"accept","content":{"name":"Ada","age":36}}"#,
            "Ok(Accepted(Who { name: \"Ada\", age: Some(36) }))",
        ),
        (r#"{"action":"decline"}"#, "Ok(Declined)"),
        (r#"{"action":"cancel"}"#, "Ok(Cancelled)"),
        (r#"{"action":"accept"}"#, "Err(Invalid(\"/name: is required\"))"),
        (r#"{"action":"accept","content":{"name":""}}"#, "/name: \\\"\\\" is shorter"),
        (r#"{"action":"accept","content":{"name":"Ada","age":300}}"#, "/age"),
        (r#"{"action":"accept","content":"Ada"}"#, "Err(Invalid"),
        (r#"{"action":"maybe"}"#, "Err(Invalid"),
        ("[]", "Err(Invalid"),
        ("", "Err(Invalid"),
    ] {
        let context = context();
        context.preload("who".into(), json.as_bytes().to_vec());
        let mut asking = pin!(context.elicit::<Who>("who", "Name?"));
        let Poll::Ready(answer) = poll(&context, &mut asking) else { panic!("{json}: it is known") };
        assert!(format!("{answer:?}").contains(expect), "{json}: {answer:?}");
        assert!(emitted(&context).is_empty(), "what is known is not asked");
    }
}

#[test]
fn a_client_is_asked_only_what_it_offers() {
    let roots = context_of(Capabilities::default().with(Capability::Roots).with(Capability::Sampling));
    let mut form = pin!(roots.elicit::<Who>("who", "Name?"));
    let Poll::Ready(refused) = poll(&roots, &mut form) else { panic!("not offered") };
    assert_eq!(refused, Err(AskError::Unsupported(Capability::ElicitationForm)));
    let mut tools = pin!(roots.sample("s", Sampling::new(9).user("hi").tools(serde_json::json!([]))));
    let Poll::Ready(refused) = poll(&roots, &mut tools) else { panic!("not offered") };
    assert_eq!(refused, Err(AskError::Unsupported(Capability::SamplingTools)));
    assert!(!roots.has_unanswered() && emitted(&roots).is_empty());
    let mut plain = pin!(roots.sample("t", Sampling::new(9).user("hi")));
    assert!(poll(&roots, &mut plain).is_pending());
    let Some(Emission::Ask { ask: Ask::Sample { params }, .. }) = roots.poll_emission() else {
        panic!("asked")
    };
    let params: serde_json::Value = serde_json::from_str(&params).unwrap();
    assert_eq!(params["messages"][0]["content"]["text"], "hi");
    roots.answer(
        "t",
        Ok(br#"{"role":"assistant","model":"m","content":{"type":"text","text":"ho"}}"#.to_vec()),
    );
    let Poll::Ready(Ok(sampled)) = poll(&roots, &mut plain) else { panic!("answered") };
    assert_eq!((sampled.text().as_str(), sampled.model.as_str()), ("ho", "m"));
}

#[test]
fn questions_are_bounded_and_those_that_wait_together_are_all_sent() {
    let context = context();
    let mut waiting: Vec<_> =
        (0..=ASKS_MAX).map(|at| Box::pin(context.roots(&format!("roots-{at}")))).collect();
    let last = waiting.pop().map(|mut last| {
        for asking in &mut waiting {
            assert!(poll(&context, &mut asking.as_mut()).is_pending());
        }
        poll(&context, &mut last.as_mut())
    });
    assert_eq!(last, Some(Poll::Ready(Err(AskError::TooMany))));
    assert_eq!(emitted(&context).len(), ASKS_MAX);
    let mut empty = pin!(context.roots(""));
    assert!(matches!(poll(&context, &mut empty), Poll::Ready(Err(AskError::Unaskable(_)))));
}

#[test]
fn the_answer_to_one_question_is_no_answer_to_another_of_its_key() {
    let context = context();
    context.preload("who".into(), br#"{"action":"accept","content":{"name":"Ada"}}"#.to_vec());
    for message in ["Name?", "Name?"] {
        let mut same = pin!(context.elicit::<Who>("who", message));
        assert!(matches!(poll(&context, &mut same), Poll::Ready(Ok(Elicited::Accepted(_)))));
    }
    let mut other = pin!(context.elicit::<Who>("who", "Whose house burns down?"));
    let Poll::Ready(Err(AskError::Unaskable(why))) = poll(&context, &mut other) else { panic!("answered") };
    assert!(why.contains("\"who\" has another question"), "{why}");
    let mut waiting = pin!(context.roots("roots"));
    assert!(poll(&context, &mut waiting).is_pending() && poll(&context, &mut waiting).is_pending());
    let mut other = pin!(context.elicit::<Who>("roots", "Name?"));
    assert!(matches!(poll(&context, &mut other), Poll::Ready(Err(AskError::Unaskable(_)))));
}

#[test]
fn an_effect_happens_once_over_two_runs() {
    async fn run(context: Context, effects: Arc<AtomicUsize>) -> Result<(usize, String), ToolError> {
        let effect = async { Ok(effects.fetch_add(1, Ordering::SeqCst)) };
        let number = context.remember("number", effect).await?;
        let who = context.elicit::<Who>("who", "Name?").await?.accepted()?;
        Ok((number, who.name))
    }
    let effects = Arc::new(AtomicUsize::new(7));
    let first = context();
    let mut running = pin!(run(first.clone(), effects.clone()));
    assert!(poll(&first, &mut running).is_pending() && first.has_unanswered());
    let carried = first.remembered();
    assert_eq!(carried.len(), 1);
    assert!(carried.iter().all(|(key, _)| !Context::is_answer_key(key)));
    let second = context();
    for (key, json) in carried {
        second.preload(key, json);
    }
    second.preload("who".into(), br#"{"action":"accept","content":{"name":"Ada"}}"#.to_vec());
    second.preload("who".into(), br#"{"action":"decline"}"#.to_vec());
    let mut running = pin!(run(second.clone(), effects.clone()));
    assert_eq!(poll(&second, &mut running), Poll::Ready(Ok((7, "Ada".into()))));
    assert_eq!(effects.load(Ordering::SeqCst), 8);
    assert_eq!(second.remembered().len(), 2);
}

#[test]
fn a_call_learns_that_it_is_cancelled() {
    let context = context();
    let bell = Arc::new(Bell::default());
    let mut waiting = pin!(context.cancelled());
    assert!(context.poll(waiting.as_mut(), &Waker::from(bell.clone())).is_pending());
    let blocking = context.blocking();
    assert!(!blocking.is_cancelled());
    context.cancel();
    assert!(bell.0.load(Ordering::SeqCst) > 0 && context.is_cancelled() && blocking.is_cancelled());
    assert!(context.blocking().is_cancelled());
    assert!(poll(&context, &mut waiting).is_ready());
}

#[test]
fn work_on_a_thread_comes_back_with_its_value_or_says_why_not() {
    let here = context();
    let blocking = here.blocking();
    let mut working = pin!(here.offload(move || {
        blocking.progress(report(1.0));
        blocking.log(LogLevel::Debug, "unwanted");
        blocking.log(LogLevel::Error, "wanted");
        blocking.principal().to_owned()
    }));
    assert_eq!(poll(&here, &mut working), Poll::Ready(Ok("ada".to_owned())));
    assert_eq!(emitted(&here).len(), 2);
    for is_taken in [false, true] {
        // Full, or given up without having run.
        let offload = Arc::new(move |_| is_taken);
        let client = Client { capabilities: all(), log_level: None, wants_progress: false, offload };
        let context = Context::new("ada".into(), 0, client);
        let mut working = pin!(context.offload(|| 1));
        assert!(matches!(poll(&context, &mut working), Poll::Ready(Err(_))), "{is_taken}");
    }
}
