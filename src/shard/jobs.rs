//! One running handler's life: polled when something it waits for has happened, and when its time comes.
//! Never: a socket; what a job writes goes to a stream, which some connection reads.
//! Next: `pipeline/job.rs`.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::timers::Bell;
use super::worker::Shard;
use crate::pipeline::job::Job;

/// Attends a job until it has ended. A panic of ours ends it alone.
pub(super) async fn attend(shard: Rc<Shard>, mut job: Job) {
    let bell = Rc::new(Bell::default());
    let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    bell.listen(waker.clone());
    let mut nothing = Vec::new();
    poll_fn(|_| {
        shard.clock.tick();
        bell.take_expired();
        match shard.attempt(&waker, &mut nothing, |turn| job.poll(turn)) {
            Some(Poll::Pending) => {
                shard.wheel.set(&bell, job.poll_timeout());
                Poll::Pending
            }
            Some(Poll::Ready(())) => Poll::Ready(()),
            None => {
                shard.attempt(&waker, &mut nothing, |turn| job.abandon(turn));
                Poll::Ready(())
            }
        }
    })
    .await;
    bell.close();
}
