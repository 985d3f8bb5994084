//! The sampler on a paused clock, and on a probe that hangs.

use super::{Look, Probe, Sampler, SamplerSettings};
use crate::http::Sampled;
use core::time::Duration;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

/// Answers with an error at once, or never.
struct Scripted {
    hangs: bool,
    asked: mpsc::UnboundedSender<Instant>,
}

#[async_trait::async_trait]
impl Probe for Scripted {
    async fn look(&mut self) -> Result<Look, String> {
        let _ = self.asked.send(Instant::now());
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err("no postgres in this test".to_owned())
    }
}

fn start(
    hangs: bool,
) -> (Arc<tokio::sync::Notify>, watch::Receiver<Option<Arc<Sampled>>>, mpsc::UnboundedReceiver<Instant>) {
    let settings = SamplerSettings {
        period: Duration::from_secs(1),
        deadline: Duration::from_millis(700),
        pg_wal: "/nonexistent".into(),
        wal_mount: None,
        clock: crate::clock::now,
    };
    let (sampler, seen) = Sampler::new(settings);
    let nudge = sampler.nudge();
    let (asked, times) = mpsc::unbounded_channel();
    tokio::spawn(sampler.run(Scripted { hangs, asked }));
    (nudge, seen, times)
}

#[tokio::test(start_paused = true)]
async fn a_sample_is_taken_each_second_and_at_once_on_a_nudge() {
    let (nudge, mut seen, mut times) = start(false);
    let first = times.recv().await.unwrap();
    let second = times.recv().await.unwrap();
    assert_eq!(second - first, Duration::from_secs(1));
    seen.changed().await.unwrap();
    let before = Instant::now();
    nudge.notify_one();
    assert_eq!(times.recv().await.unwrap(), before);
    seen.wait_for(|sampled| sampled.as_ref().is_some_and(|sampled| sampled.count == 3)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_postgres_that_hangs_is_an_error_after_the_deadline_and_is_asked_again() {
    let (_nudge, mut seen, mut times) = start(true);
    timeout(Duration::from_secs(2), seen.changed()).await.unwrap().unwrap();
    let said = seen.borrow_and_update().clone().unwrap();
    assert_eq!(said.postgres.as_ref().unwrap_err(), "no answer within 700ms");
    times.recv().await.unwrap();
    times.recv().await.unwrap();
}
