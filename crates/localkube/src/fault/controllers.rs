//! The controller as faults see it: what the daemon keeps running, and the ways to the API that can be shut.

use nix::sys::signal::Signal;
use tokio::sync::watch;

use crate::net::valve::Valve;
use crate::node::process::ProcessId;

/// The controllers; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Controllers {
    /// The first, while it runs.
    pub first: watch::Sender<Option<ProcessId>>,
    /// The second, while it runs.
    pub second: watch::Sender<Option<ProcessId>>,
    /// There is to be a second one.
    pub doubled: watch::Sender<bool>,
    /// The ways of the first and the second to the API.
    pub ways: [Valve; 2],
}

impl Controllers {
    /// Signals the first. False if it does not run.
    pub fn signal(&self, signal: Signal) -> bool {
        let running = *self.first.borrow();
        running.is_some_and(|id| id.signal(signal))
    }

    /// Cuts the first off from the API, or joins it again.
    pub fn set_apart(&self, apart: bool) {
        let [first, _] = &self.ways;
        first.shut(apart);
    }
}
