//! Watching: a position in the history, moved along as changes come in. Slow watchers cost no memory; one that falls
//! out of the history is told so (410) and lists again.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::super::error::ApiError;
use super::super::resource::{GroupResource, ResourceInfo};
use super::super::selector::Selection;
use super::read::present;
use super::{Change, ChangeKind, Store};

/// Where a watch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchStart {
    /// With every present object as `Added`, then the changes.
    Everything,
    /// With the changes after this version.
    After(u64),
}

/// An open watch on one resource.
pub struct Watcher {
    store: Store,
    info: Arc<ResourceInfo>,
    namespace: Option<String>,
    selection: Selection,
    position: u64,
    pending: VecDeque<(ChangeKind, Arc<Value>)>,
    latest: watch::Receiver<u64>,
}

impl Store {
    /// Watches a resource, in one namespace or in all.
    ///
    /// # Errors
    /// 404 if there is no such resource, 410 if the version has left the history.
    pub fn watch(
        &self,
        resource: impl Into<GroupResource>,
        namespace: Option<&str>,
        start: WatchStart,
    ) -> Result<Watcher, ApiError> {
        self.watch_in(self.resource(resource)?, namespace.map(str::to_owned), Selection::default(), start)
    }

    pub(in super::super) fn watch_in(
        &self,
        info: Arc<ResourceInfo>,
        namespace: Option<String>,
        selection: Selection,
        start: WatchStart,
    ) -> Result<Watcher, ApiError> {
        let latest = self.inner.latest.subscribe();
        let (position, pending) = match start {
            WatchStart::Everything => {
                let listed = self.list_in(&info, namespace.as_deref(), &selection);
                let added = listed.items.into_iter().map(|object| (ChangeKind::Added, object)).collect();
                (listed.version, added)
            }
            WatchStart::After(version) => {
                let state = self.lock();
                if version > state.version() {
                    // From another life of this server: only a list can help.
                    return Err(ApiError::expired(version, state.version()));
                }
                if let Err(oldest) = state.history().after(version) {
                    return Err(ApiError::expired(version, oldest));
                }
                (version, VecDeque::new())
            }
        };
        Ok(Watcher { store: self.clone(), info, namespace, selection, position, pending, latest })
    }
}

impl Watcher {
    /// The next change. Cancel-safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// 410 if this watcher was so slow that the history went past it; it must list again.
    pub async fn next(&mut self) -> Result<(ChangeKind, Arc<Value>), ApiError> {
        loop {
            if let Some(change) = self.pending.pop_front() {
                return Ok(change);
            }
            self.latest.borrow_and_update();
            self.advance()?;
            if self.pending.is_empty() && self.latest.changed().await.is_err() {
                return Err(ApiError::internal("the server is stopping"));
            }
        }
    }

    /// A change that is already there.
    ///
    /// # Errors
    /// As [`Watcher::next`].
    pub fn try_next(&mut self) -> Result<Option<(ChangeKind, Arc<Value>)>, ApiError> {
        if self.pending.is_empty() {
            self.advance()?;
        }
        Ok(self.pending.pop_front())
    }

    /// Everything up to this version has been handed out, once nothing is pending.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn advance(&mut self) -> Result<(), ApiError> {
        let state = self.store.lock();
        let changes =
            state.history().after(self.position).map_err(|oldest| ApiError::expired(self.position, oldest))?;
        let wanted = changes.filter(|change| {
            change.resource == self.info.stored_as && self.namespace.as_ref().is_none_or(|n| *n == change.key.namespace)
        });
        self.pending.extend(wanted.filter_map(|change| seen(&self.info, &self.selection, change)));
        self.position = state.version();
        Ok(())
    }
}

/// What a watcher with this selection sees of a change: an object that moves into the selection is added, one that moves
/// out is deleted.
fn seen(info: &ResourceInfo, selection: &Selection, change: &Change) -> Option<(ChangeKind, Arc<Value>)> {
    let before = change.before.as_deref().is_some_and(|object| selection.matches(object));
    let after = change.kind != ChangeKind::Deleted && selection.matches(&change.object);
    let kind = match (before, after) {
        (false, false) => return None,
        (false, true) => ChangeKind::Added,
        (true, true) => ChangeKind::Modified,
        (true, false) => ChangeKind::Deleted,
    };
    Some((kind, present(info, &change.object)))
}
