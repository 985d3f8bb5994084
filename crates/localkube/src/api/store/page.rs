//! Lists in pages and at versions of before, put together from what is there now and the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::error::ApiError;
use super::super::resource::ResourceInfo;
use super::super::selector::Selection;
use super::Store;
use super::read::{Listed, Rest, present};
use super::state::{Key, State};

/// Of which version a list is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The latest.
    Now,
    /// The latest, which must not be older than this.
    NotOlderThan(u64),
    /// This one.
    Exactly(u64),
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Of which version.
    pub at: At,
    /// Only what comes after this namespace and name.
    pub after: Option<(String, String)>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Why there is no page.
#[derive(Debug)]
pub enum Gone {
    /// The version has left the history.
    Expired,
    /// Something else.
    Refused(ApiError),
}

impl Store {
    pub(in super::super) fn page_in(
        &self,
        info: &ResourceInfo,
        namespace: Option<&str>,
        selection: &Selection,
        page: &Page,
    ) -> Result<Listed, Gone> {
        let state = self.lock();
        let current = state.version();
        if let At::NotOlderThan(asked) | At::Exactly(asked) = page.at
            && asked > current
        {
            return Err(Gone::Refused(ApiError::too_large_version(asked, current)));
        }
        let (version, objects) = match page.at {
            At::Exactly(version) => (version, as_it_was(&state, info, version)?),
            _ => (
                current,
                state.of_kind(&info.stored_as).map(|(key, object)| (key.clone(), Arc::clone(object))).collect(),
            ),
        };
        drop(state);
        let after = page.after.as_ref().map(|(namespace, name)| Key::new(namespace, name));
        let mut selected = objects.into_iter().filter(|(key, object)| {
            namespace.is_none_or(|n| n == key.namespace)
                && after.as_ref().is_none_or(|after| key > after)
                && selection.matches(object)
        });
        let taken: Vec<_> = selected.by_ref().take(page.limit.unwrap_or(usize::MAX)).collect();
        let left = selected.count();
        let last = taken.last().filter(|_| left > 0);
        let rest = last.map(|(key, _)| Rest {
            after: (key.namespace.clone(), key.name.clone()),
            count: (*selection == Selection::default()).then_some(left),
        });
        let items = taken.iter().map(|(_, object)| present(info, object)).collect();
        Ok(Listed { version, items, rest })
    }
}

/// Every object of a kind as it was at a version: the changes since then undone, the newest first.
fn as_it_was(state: &State, info: &ResourceInfo, version: u64) -> Result<BTreeMap<Key, Arc<Value>>, Gone> {
    let mut objects: BTreeMap<Key, Arc<Value>> =
        state.of_kind(&info.stored_as).map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
    let changes: Vec<_> = state.history().after(version).map_err(|_| Gone::Expired)?.collect();
    for change in changes.into_iter().rev().filter(|change| change.resource == info.stored_as) {
        match &change.before {
            Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
            None => objects.remove(&change.key),
        };
    }
    Ok(objects)
}
