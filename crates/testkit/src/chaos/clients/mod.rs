//! The clients of a run: appends and transfers through the `-rw` service, reads through `-ro` and `-r`, and a prober per
//! instance that tries to write straight to it. Each writes its own history, a line per attempt.

mod append;
mod probe;
mod read;
mod transfer;

pub use append::append;
pub use probe::probe;
pub use read::read;
pub use transfer::transfer;

use super::knowledge::Knowledge;
use crate::history::Recorder;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Between two attempts to connect.
const RECONNECT: Duration = Duration::from_millis(50);

/// What every client is given.
pub struct Client {
    /// Its number, unique in the run.
    pub number: i32,
    /// What is known of the cluster.
    pub knowledge: Knowledge,
    /// Its history.
    pub recorder: Recorder,
    /// Between two attempts.
    pub pause: Duration,
    /// Common to all.
    pub shared: Arc<Shared>,
}

/// What the run sees of its clients.
#[derive(Debug, Default)]
pub struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicU64,
}

impl Shared {
    /// Tells all clients to end after the attempt at hand.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Rows and transfers that were acknowledged through the service.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}
