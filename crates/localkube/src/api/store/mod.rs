//! The store: every object in memory, every change on disk before it is seen, one counter of versions, a bounded history
//! for watches. Also the in-process client of the node: all rules of the API hold for it too.

mod admit;
mod apply;
mod collect;
mod evict;
mod history;
mod journal;
mod page;
mod read;
mod state;
mod upstream;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch as version_watch;

pub use apply::ApplyWish;
pub use history::{Change, ChangeKind};
pub use journal::JournalError;
pub use page::{At, Gone, Page};
pub use read::{Listed, Rest};
pub use upstream::{Order, Upstream, Wish};
pub use watch::{WatchStart, Watcher};
pub use write::WriteOptions;

use self::state::State;
use super::builtin::ClusterIps;
use super::error::ApiError;
use super::registry::Registry;
use super::resource::{GroupResource, ResourceInfo};

/// A handle to the store; clones share it. Calls are short and never wait for the network; a write waits for one
/// `write(2)` to the page cache (see `journal`).
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    latest: version_watch::Sender<u64>,
    cluster_ips: Arc<dyn ClusterIps>,
    upstream: OnceLock<Arc<dyn Upstream>>,
}

impl Store {
    /// Opens the store in `directory`, creating it if absent, and finishes what a crash left half done.
    ///
    /// # Errors
    /// If the journal cannot be read or written.
    pub fn open(directory: &Path, cluster_ips: Arc<dyn ClusterIps>) -> Result<Self, JournalError> {
        let state = State::open(directory)?;
        let (latest, _) = version_watch::channel(state.version());
        let (state, upstream) = (Mutex::new(state), OnceLock::new());
        let store = Self { inner: Arc::new(Inner { state, latest, cluster_ips, upstream }) };
        store.reclaim_cluster_ips();
        store.settle_all();
        Ok(store)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state half changed: every change is one insertion.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The resources that are served now.
    pub fn registry(&self) -> Arc<Registry> {
        self.lock().registry()
    }

    /// The preferred version of a resource.
    ///
    /// # Errors
    /// 404 if there is no such resource.
    pub fn resource(&self, resource: impl Into<GroupResource>) -> Result<Arc<ResourceInfo>, ApiError> {
        self.registry().preferred(&resource.into()).cloned().ok_or_else(ApiError::no_such_path)
    }

    /// The version of the latest change.
    pub fn version(&self) -> u64 {
        self.lock().version()
    }

    /// Forgets the history, as after a long time: a watch from a version of before is answered 410.
    pub fn forget_history(&self) {
        self.lock().forget_history();
    }

    /// Forces what was written to the disk; called about ten times a second by the server's own task.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&self) -> Result<(), JournalError> {
        let Some(file) = self.lock().unsynced()? else { return Ok(()) };
        file.sync_data().map_err(JournalError::Write)
    }
}
