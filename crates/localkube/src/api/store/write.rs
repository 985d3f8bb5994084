//! Changing objects: every write runs the rules, then commits.

use std::sync::Arc;

use serde_json::Value;

use super::super::builtin::prepare_service;
use super::super::crd;
use super::super::error::ApiError;
use super::super::fields::{self, Managers, Writer};
use super::super::lifecycle::{self, Circumstances, Part};
use super::super::object::{as_map, is_terminating, list, name, namespace, text, uid};
use super::super::patch::{PatchType, apply_patch};
use super::super::resource::{GroupResource, ResourceInfo};
use super::Store;
use super::admit::admit;
use super::read::present;
use super::state::{Key, State, definitions};
use super::upstream::{Wish, merge_of};

/// How a write is to be done.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// All rules run, nothing is stored.
    pub dry_run: bool,
    /// Unknown fields are refused instead of dropped.
    pub strict: bool,
    /// Who writes, for `metadata.managedFields`; the local environment itself if empty.
    pub manager: String,
}

impl WriteOptions {
    pub(super) fn writer<'a>(&'a self, part: Part, now: &'a str) -> Writer<'a> {
        let manager = if self.manager.is_empty() { OURSELVES } else { &self.manager };
        Writer { manager, subresource: if part == Part::Status { "status" } else { "" }, now }
    }
}

/// The manager of what the local environment writes itself, as the kubelet and the kube-controller-manager do.
const OURSELVES: &str = "pgherd-local";

/// What a change wishes: the object, and its owners where the change has decided on them.
pub(super) struct Wished {
    pub object: Value,
    pub managers: Option<Managers>,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub(in super::super) struct Written {
    pub object: Arc<Value>,
    /// Paths of unknown fields that were dropped.
    pub dropped: Vec<String>,
    pub created: bool,
}

impl Store {
    /// Creates an object; `namespace` is empty for cluster-scoped resources. Answers what was stored.
    ///
    /// # Errors
    /// 404 without its namespace, 409 if it exists, 400 and 422 if it is not right.
    pub fn create(
        &self,
        resource: impl Into<GroupResource>,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let info = self.resource(resource)?;
        if let Some(known) = self.pass_on(&info, namespace, name(&object), || Wish::Create(object.clone())) {
            return Ok(known);
        }
        self.create_in(&info, namespace, object, &WriteOptions::default()).map(|written| written.object)
    }

    /// Replaces an object's metadata and spec. With a resourceVersion, only if that is the current one.
    ///
    /// # Errors
    /// 404 if it is absent, 409 if it is newer, 400 and 422 if it is not right.
    pub fn update(&self, resource: impl Into<GroupResource>, object: Value) -> Result<Arc<Value>, ApiError> {
        self.replace(&*self.resource(resource)?, object, Part::Main)
    }

    /// Replaces an object's status. With a resourceVersion, only if that is the current one.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn update_status(&self, resource: impl Into<GroupResource>, object: Value) -> Result<Arc<Value>, ApiError> {
        self.replace(&*self.resource(resource)?, object, Part::Status)
    }

    fn replace(&self, info: &ResourceInfo, object: Value, part: Part) -> Result<Arc<Value>, ApiError> {
        let (namespace, name) = (namespace(&object).to_owned(), name(&object).to_owned());
        let written = self.put_in(info, &namespace, &name, part, object, &WriteOptions::default())?;
        Ok(written.object)
    }

    /// Merges a patch into an object's metadata and spec.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn merge(
        &self,
        resource: impl Into<GroupResource>,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        self.merge_part(&self.resource(resource)?, namespace, name, Part::Main, patch)
    }

    /// Merges a patch (`{"status": {...}}`) into an object's status.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn merge_status(
        &self,
        resource: impl Into<GroupResource>,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        self.merge_part(&self.resource(resource)?, namespace, name, Part::Status, patch)
    }

    fn merge_part(
        &self,
        info: &Arc<ResourceInfo>,
        namespace: &str,
        name: &str,
        part: Part,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        if let Some(known) = self.pass_on(info, namespace, name, || merge_of(part, patch)) {
            return Ok(known);
        }
        let change = |old: &Value| apply_patch(PatchType::Merge, info.custom.is_some(), old, patch);
        self.update_in(info, namespace, name, part, change, &WriteOptions::default()).map(|written| written.object)
    }

    pub(in super::super) fn create_in(
        &self,
        info: &ResourceInfo,
        in_namespace: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        self.create_with(info, in_namespace, Wished { object, managers: None }, options)
    }

    pub(super) fn create_with(
        &self,
        info: &ResourceInfo,
        in_namespace: &str,
        wished: Wished,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let about = circumstances();
        let object = lifecycle::prepare_create(info, in_namespace, wished.object, &about)?;
        let assigned = fields::assigned(info, &object);
        let (mut object, dropped) = admit(info, None, object, options)?;
        let managers = wished.managers.unwrap_or_else(|| {
            let by = options.writer(Part::Main, &about.now);
            fields::updated(info, None, &object, Managers::default(), &by).without(&assigned)
        });
        let key = Key::new(namespace(&object), name(&object));
        let mut state = self.lock();
        if info.namespaced {
            check_namespace(&state, info, &key)?;
        }
        if state.get(&info.stored_as, &key).is_some() {
            return Err(ApiError::already_exists(&info.gr, &key.name));
        }
        if options.dry_run {
            managers.put(&mut object);
            return Ok(Written { object: present(info, &Arc::new(object)), dropped, created: true });
        }
        if info.kind == "Service" {
            self.fill_service(info, &mut object, None)?;
        }
        if info.stored_as == definitions() {
            let status = crd::accepted_status(&object, &about.now);
            as_map(&mut object).insert("status".into(), status);
        }
        managers.put(&mut object);
        let owned = !list(&object, "/metadata/ownerReferences").is_empty();
        let stored = state.commit(&info.stored_as, &key, Some(object))?;
        if info.kind == "Namespace" {
            self.furnish(&mut state, &key.name)?;
        }
        if owned {
            self.settle(&mut state);
        }
        self.announce(&state);
        Ok(Written { object: present(info, &stored), dropped, created: true })
    }

    pub(in super::super) fn put_in(
        &self,
        info: &ResourceInfo,
        namespace: &str,
        name: &str,
        part: Part,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        if part == Part::Main && info.create_on_update && self.get_in(info, namespace, name).is_err() {
            // As the real server: a UID is a precondition, a resourceVersion is not looked at when there is nothing.
            if !uid(&object).is_empty() {
                let why = format!("Precondition failed: UID in precondition: {}, UID in object meta: ", uid(&object));
                return Err(ApiError::conflict(&info.gr, name, why));
            }
            let mut object = object;
            super::super::object::meta_mut(&mut object).remove("resourceVersion");
            return self.create_in(info, namespace, object, options);
        }
        self.update_in(info, namespace, name, part, |_| Ok(object), options)
    }

    /// Reads, changes and writes in one step: `change` sees the current object and answers the wished one.
    pub(in super::super) fn update_in(
        &self,
        info: &ResourceInfo,
        namespace: &str,
        name: &str,
        part: Part,
        change: impl FnOnce(&Value) -> Result<Value, ApiError>,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let change = |old: &Value| Ok(Wished { object: change(old)?, managers: None });
        self.change_in(info, namespace, name, part, change, options)
    }

    pub(super) fn change_in(
        &self,
        info: &ResourceInfo,
        namespace: &str,
        name: &str,
        part: Part,
        change: impl FnOnce(&Value) -> Result<Wished, ApiError>,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let key = Key::new(namespace, name);
        let mut state = self.lock();
        let stored = state.get(&info.stored_as, &key).cloned().ok_or_else(|| ApiError::not_found(&info.gr, name))?;
        let old = present(info, &stored);
        let wished = change(&old)?;
        let brought = fields::given(&old, wished.object.pointer("/metadata/managedFields"));
        let new = lifecycle::prepare_update(info, &old, wished.object, part)?;
        let (mut new, dropped) = admit(info, Some(&stored), new, options)?;
        if info.kind == "Service" {
            self.fill_service(info, &mut new, Some(&stored))?;
        }
        if info.stored_as == definitions() {
            let status = crd::accepted_status(&new, &circumstances().now);
            as_map(&mut new).insert("status".into(), status);
        }
        lifecycle::count_generation(info, &stored, &mut new);
        let managers = wished.managers.unwrap_or_else(|| {
            let now = lifecycle::timestamp(jiff::Timestamp::now());
            fields::updated(info, Some(&stored), &new, brought, &options.writer(part, &now))
        });
        managers.put(&mut new);
        if new == *stored || options.dry_run {
            // A write that changes nothing makes no version and no event, as in the real server.
            return Ok(Written { object: present(info, &Arc::new(new)), dropped, created: false });
        }
        let released = lifecycle::is_released(&new);
        let owned = new.pointer("/metadata/ownerReferences") != stored.pointer("/metadata/ownerReferences");
        let mut object = state.commit(&info.stored_as, &key, Some(new))?;
        if released {
            object = self.remove(&mut state, &info.stored_as, &key)?;
        }
        if released || owned || info.kind == "Namespace" {
            self.settle(&mut state);
        }
        self.announce(&state);
        Ok(Written { object: present(info, &object), dropped, created: false })
    }

    fn fill_service(&self, info: &ResourceInfo, service: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
        prepare_service(service, old, &*self.inner.cluster_ips).map_err(|why| ApiError {
            code: 422,
            reason: "Invalid",
            message: format!("{} {:?} is invalid: {why}", info.kind, name(service)),
            details: None,
        })
    }

    /// Tells the watchers that there is a new version.
    pub(super) fn announce(&self, state: &State) {
        self.inner.latest.send_replace(state.version());
    }
}

/// Objects go only into a namespace that exists and is not being deleted.
fn check_namespace(state: &State, info: &ResourceInfo, key: &Key) -> Result<(), ApiError> {
    let namespaces = GroupResource::new("", "namespaces");
    let found = state.get(&namespaces, &Key::new("", &key.namespace));
    let Some(found) = found else { return Err(ApiError::not_found(&namespaces, &key.namespace)) };
    if is_terminating(found) {
        let why = format!("unable to create new content in namespace {} because it is being terminated", key.namespace);
        return Err(ApiError::forbidden(&info.gr, &key.name, why));
    }
    Ok(())
}

/// The clock and the dice: the one place where the store reads them for a write.
pub(super) fn circumstances() -> Circumstances {
    // The letters Kubernetes uses: no vowels and nothing that looks like another character.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rng = rand::rng();
    let suffix = (0..5)
        .filter_map(|_| LETTERS.get(rand::Rng::random_range(&mut rng, 0..LETTERS.len())).copied())
        .map(char::from)
        .collect();
    Circumstances { now: lifecycle::timestamp(jiff::Timestamp::now()), uid: uuid::Uuid::new_v4().to_string(), suffix }
}

/// Whether an object of a kind may ever own others; what cannot needs no search for dependents when it goes.
pub(super) fn may_own(object: &Value) -> bool {
    !matches!(text(object, "/kind"), "Event" | "Lease" | "Endpoints" | "EndpointSlice")
}
