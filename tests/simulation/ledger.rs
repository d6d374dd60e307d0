//! The tools of the simulated server. They write down every call that reaches them, by the marker it carries, and some
//! wait: for the clock, or for a gate that the simulation opens.
//! Next: `world`, which holds what was written down against what was answered.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use mcpring::tools::{Progress, Registry, Reply, Tool};

/// What reached a tool.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Calls by marker.
    pub(crate) calls: BTreeMap<u64, u64>,
    gates: BTreeMap<u64, Gate>,
}

#[derive(Default)]
struct Gate {
    is_open: bool,
    waker: Option<Waker>,
}

/// One ledger for the tools and the simulation.
pub(crate) type Shared = Arc<Mutex<Ledger>>;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Marked {
    marker: u64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Steps {
    marker: u64,
    steps: u32,
    interval_ms: u64,
}

impl Ledger {
    fn note(&mut self, marker: u64) {
        *self.calls.entry(marker).or_default() += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Gates that a call waits at.
    pub(crate) fn closed_gates(&self) -> Vec<u64> {
        self.gates.iter().filter(|(_, gate)| !gate.is_open).map(|(marker, _)| *marker).collect()
    }

    /// Opens a gate and wakes who waits.
    pub(crate) fn open(&mut self, marker: u64) {
        let gate = self.gates.entry(marker).or_default();
        gate.is_open = true;
        if let Some(waker) = gate.waker.take() {
            waker.wake();
        }
    }
}

/// The text a call of that marker is answered with.
pub(crate) fn text(marker: u64) -> String {
    format!("marker {marker}")
}

fn reply(marker: u64) -> Reply {
    let mut reply = Reply::new();
    reply.text(&text(marker));
    reply
}

/// `mark` and `private` answer at once, `gate` when its gate opens, `steps` after its steps.
pub(crate) fn registry(ledger: &Shared) -> Registry {
    let mut registry = Registry::default();
    for name in ["mark", "private"] {
        let ledger = ledger.clone();
        let tool = Tool::immediate::<Marked>(name, "Answers.", move |call, reply| {
            let Marked { marker } = call.parse()?;
            ledger.lock().unwrap().note(marker);
            reply.text(&text(marker));
            Ok(())
        });
        registry.register(tool).unwrap();
    }
    let shared = ledger.clone();
    let gate = Tool::deferred::<Marked, _>("gate", "Waits.", move |call, _| {
        let Marked { marker } = call.parse()?;
        shared.lock().unwrap().note(marker);
        shared.lock().unwrap().gates.entry(marker).or_default();
        let shared = shared.clone();
        Ok(async move {
            poll_fn(|context| {
                let mut ledger = shared.lock().unwrap();
                let gate = ledger.gates.entry(marker).or_default();
                if gate.is_open {
                    return Poll::Ready(());
                }
                gate.waker = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
            Ok(reply(marker))
        })
    });
    registry.register(gate).unwrap();
    let ledger = ledger.clone();
    let steps = Tool::deferred::<Steps, _>("steps", "Counts.", move |call, context| {
        let Steps { marker, steps, interval_ms } = call.parse()?;
        ledger.lock().unwrap().note(marker);
        Ok(async move {
            for step in 1..=steps {
                context.sleep(Duration::from_millis(interval_ms)).await;
                let (progress, total) = (f64::from(step), Some(f64::from(steps)));
                context.progress(Progress { progress, total, message: None });
            }
            Ok(reply(marker))
        })
    });
    registry.register(steps).unwrap();
    registry
}
