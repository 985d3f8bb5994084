//! Asking a store again for as long as an outage may pass by itself.

use pgherd_core::archive::Backoff;
use pgherd_objectstore::{StoreError, Then};
use std::time::{Duration, Instant};

const PAUSES: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// How long an outage is put up with: a recovery waits, then gives up, and never takes it for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(Duration::from_secs(300))
    }
}

impl Patience {
    /// Calls until there is an answer, or an error that will not pass by itself, or the patience is over.
    pub(crate) async fn ask<T, F>(self, mut call: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let began = Instant::now();
        let mut failures = 0_u32;
        loop {
            match call().await {
                Err(error) if error.then() == Then::RetryLater && began.elapsed() < self.0 => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        tracing::warn!(%error, "the object store does not answer, and is asked again");
                    }
                    tokio::time::sleep(PAUSES.pause(failures, rand::random())).await;
                }
                answer => return answer,
            }
        }
    }
}
