//! Whether the object store is within reach, by how the last requests to it went.
//!
//! A store that is off or slow must not hold up a promotion, nor anything else that has another way: once a request
//! has failed, nobody waits for the next one; it is made beside, and its success ends the outage.

use super::control::StoreConfig;
use pgherd_core::wal::WalName;
use pgherd_telemetry::chain;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two requests to a store that is out of reach.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What was seen of it longer ago says nothing.
const BELIEVED: Duration = Duration::from_secs(30);
/// For each of them.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Shared by all who ask the store.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    outage: Option<Outage>,
    probe: Option<Probe>,
}

#[derive(Debug)]
struct Outage {
    why: String,
    asked: Instant,
}

#[derive(Debug)]
struct Probe(JoinHandle<()>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reach {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It answered.
    pub(super) fn answered(&self) {
        self.state().outage = None;
    }

    /// It did not, or too late.
    pub(super) fn failed(&self, why: &str) {
        self.state().outage = Some(Outage { why: why.to_owned(), asked: Instant::now() });
    }

    /// Why there is no use in waiting for the store, where there is none.
    pub(super) fn outage(&self) -> Option<String> {
        self.state().outage.as_ref().filter(|outage| outage.asked.elapsed() < BELIEVED).map(|outage| outage.why.clone())
    }

    /// The same; and asks it again, beside, when it is time to.
    pub(super) fn outage_asking(&self, config: &StoreConfig, name: WalName) -> Option<String> {
        let mut state = self.state();
        let outage = state.outage.as_ref()?;
        let why = outage.why.clone();
        let idle = state.probe.as_ref().is_none_or(|probe| probe.0.is_finished());
        if idle && outage.asked.elapsed() >= ASK_AGAIN {
            let (reach, archive) = (self.clone(), config.archive.clone());
            state.probe = Some(Probe(tokio::spawn(async move {
                match tokio::time::timeout(ANSWER_WITHIN, archive.get(name)).await {
                    Ok(Ok(_)) => reach.answered(),
                    Ok(Err(error)) => reach.failed(&chain(&error)),
                    Err(_) => reach.failed("no answer in time"),
                }
            })));
        }
        Some(why)
    }
}
