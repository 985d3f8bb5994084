//! A store that is a copy of what another API server has: what is read is the copy, what is written in the process is
//! ordered from the other server, and seen once that server has done it. So the node runs unchanged against a real one.

use std::sync::Arc;

use serde_json::Value;

use super::super::error::ApiError;
use super::super::lifecycle::{DeleteOptions, Part};
use super::super::resource::{GroupResource, ResourceInfo};
use super::Store;
use super::state::Key;

/// What is ordered.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// A new object; one that is there already is well too.
    Create(Value),
    /// A merge patch of metadata and spec.
    Merge(Value),
    /// A merge patch of the status.
    MergeStatus(Value),
    /// A removal.
    Delete(DeleteOptions),
}

/// One write, and the object it is of.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its resource.
    pub resource: Arc<ResourceInfo>,
    /// Its namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is to be done.
    pub wish: Wish,
}

/// Takes orders and carries them out in their order, sooner or later.
pub trait Upstream: Send + Sync {
    /// Takes one. Does not wait.
    fn order(&self, order: Order);
}

impl Store {
    /// From now on writes in this process go to `upstream`. The first one that is given stays.
    pub fn follow(&self, upstream: Arc<dyn Upstream>) {
        let _given_before = self.inner.upstream.set(upstream);
    }

    /// What the other server has of an object, or that it has it no more.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn mirror(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
        object: Option<Value>,
    ) -> Result<(), ApiError> {
        let key = Key::new(namespace, name);
        let mut state = self.lock();
        if object.is_none() && state.get(resource, &key).is_none() {
            return Ok(());
        }
        state.commit(resource, &key, object)?;
        self.announce(&state);
        Ok(())
    }

    /// Passes a write on, if this is a copy; answers the object as it is known until then.
    pub(super) fn pass_on(
        &self,
        info: &Arc<ResourceInfo>,
        namespace: &str,
        name: &str,
        wish: impl FnOnce() -> Wish,
    ) -> Option<Arc<Value>> {
        let upstream = self.inner.upstream.get()?;
        let known = self.get_in(info, namespace, name).unwrap_or_default();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        upstream.order(Order { resource: Arc::clone(info), namespace, name, wish: wish() });
        Some(known)
    }
}

/// Which wish a merge of a part is.
pub(super) fn merge_of(part: Part, patch: &Value) -> Wish {
    if part == Part::Status { Wish::MergeStatus(patch.clone()) } else { Wish::Merge(patch.clone()) }
}
