//! Reading: get and list, and the form in which a version of a resource shows a stored object.

use std::sync::Arc;

use serde_json::Value;

use super::super::builtin::event_as_events;
use super::super::error::ApiError;
use super::super::object::as_map;
use super::super::resource::{GroupResource, ResourceInfo};
use super::super::selector::Selection;
use super::Store;
use super::state::Key;

/// A consistent list: every object as it was at `version`.
#[derive(Debug, Clone)]
pub struct Listed {
    /// A watch from here misses nothing.
    pub version: u64,
    /// In the order of namespace and name.
    pub items: Vec<Arc<Value>>,
    /// What a page leaves over.
    pub rest: Option<Rest>,
}

/// What comes after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Namespace and name of the last object of the page.
    pub after: (String, String),
    /// How many more there are; not told for a list that selects.
    pub count: Option<usize>,
}

/// A stored object as this version of the resource shows it.
pub(in super::super) fn present(info: &ResourceInfo, object: &Arc<Value>) -> Arc<Value> {
    if info.gr != info.stored_as {
        return Arc::new(event_as_events((**object).clone()));
    }
    let api_version = info.api_version();
    if info.custom.is_some() && object["apiVersion"] != api_version.as_str() {
        let mut converted = (**object).clone();
        as_map(&mut converted).insert("apiVersion".into(), api_version.into());
        return Arc::new(converted);
    }
    Arc::clone(object)
}

impl Store {
    /// One object. `namespace` is empty for cluster-scoped resources.
    ///
    /// # Errors
    /// 404 if there is none, or no such resource.
    pub fn get(&self, resource: impl Into<GroupResource>, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        self.get_in(&*self.resource(resource)?, namespace, name)
    }

    /// Objects of a resource, in one namespace or in all, selected by labels (`a=b,c`; empty selects all).
    ///
    /// # Errors
    /// 404 if there is no such resource, 400 for a selector that cannot be parsed.
    pub fn list(
        &self,
        resource: impl Into<GroupResource>,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Listed, ApiError> {
        let info = self.resource(resource)?;
        Ok(self.list_in(&info, namespace, &Selection::parse(&info, labels, "")?))
    }

    pub(in super::super) fn get_in(
        &self,
        info: &ResourceInfo,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, ApiError> {
        let state = self.lock();
        let found = state.get(&info.stored_as, &Key::new(namespace, name));
        found.map(|object| present(info, object)).ok_or_else(|| ApiError::not_found(&info.gr, name))
    }

    pub(in super::super) fn list_in(
        &self,
        info: &ResourceInfo,
        namespace: Option<&str>,
        selection: &Selection,
    ) -> Listed {
        let state = self.lock();
        let items = state
            .of_kind(&info.stored_as)
            .filter(|(key, object)| namespace.is_none_or(|n| n == key.namespace) && selection.matches(object))
            .map(|(_, object)| present(info, object))
            .collect();
        Listed { version: state.version(), items, rest: None }
    }
}
