//! Deleting, and what follows from it: dependents without an owner, the contents of namespaces, objects whose definition
//! is gone. All level-triggered: [`Store::settle`] looks at what is there, not at what happened.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::builtin::ClusterIps;
use super::super::error::ApiError;
use super::super::lifecycle::{self, DeleteOptions, Deletion, decide_delete, timestamp};
use super::super::object::{as_map, is_terminating, list, map_mut, meta_mut, text, uid};
use super::super::resource::{GroupResource, ResourceInfo};
use super::super::selector::Selection;
use super::Store;
use super::read::present;
use super::state::{Key, State};
use super::upstream::Wish;
use super::write::{circumstances, may_own};

impl Store {
    /// Deletes an object. Pods that run get a deletionTimestamp and go when they are deleted again with grace 0.
    /// Answers the last state and whether it is gone.
    ///
    /// # Errors
    /// 404 if it is absent, 409 if a precondition does not hold.
    pub fn delete(
        &self,
        resource: impl Into<GroupResource>,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(Arc<Value>, bool), ApiError> {
        let info = self.resource(resource)?;
        if let Some(known) = self.pass_on(&info, namespace, name, || Wish::Delete(options.clone())) {
            return Ok((known, false));
        }
        self.delete_in(&info, namespace, name, options)
    }

    pub(in super::super) fn delete_in(
        &self,
        info: &ResourceInfo,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(Arc<Value>, bool), ApiError> {
        let mut state = self.lock();
        let key = Key::new(namespace, name);
        let (object, gone) = self.delete_one(&mut state, info, &key, options)?;
        if gone && may_own(&object) || info.kind == "Namespace" {
            self.settle(&mut state);
        }
        self.announce(&state);
        Ok((present(info, &object), gone))
    }

    /// Deletes everything selected; answers what was there.
    pub(in super::super) fn delete_collection(
        &self,
        info: &ResourceInfo,
        namespace: Option<&str>,
        selection: &Selection,
        options: &DeleteOptions,
    ) -> Result<Vec<Arc<Value>>, ApiError> {
        let listed = self.list_in(info, namespace, selection);
        for object in &listed.items {
            match self.delete_in(info, text(object, "/metadata/namespace"), text(object, "/metadata/name"), options) {
                Err(error) if error.code != 404 => return Err(error),
                _ => {}
            }
        }
        Ok(listed.items)
    }

    fn delete_one(
        &self,
        state: &mut State,
        info: &ResourceInfo,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<(Arc<Value>, bool), ApiError> {
        let stored =
            state.get(&info.stored_as, key).cloned().ok_or_else(|| ApiError::not_found(&info.gr, &key.name))?;
        let decision = decide_delete(info, &stored, options, jiff::Timestamp::now())?;
        if options.dry_run {
            return Ok((stored, decision == Deletion::Remove));
        }
        if options.orphan {
            orphan_dependents(state, uid(&stored))?;
        }
        match decision {
            Deletion::Remove => Ok((self.remove(state, &info.stored_as, key)?, true)),
            Deletion::Mark(marked) => Ok((state.commit(&info.stored_as, key, Some(marked))?, false)),
            Deletion::Waiting => Ok((stored, false)),
        }
    }

    /// Takes an object out of the store.
    pub(super) fn remove(&self, state: &mut State, gr: &GroupResource, key: &Key) -> Result<Arc<Value>, ApiError> {
        let removed = state.commit(gr, key, None)?;
        if *gr == GroupResource::new("", "services") {
            let ip = text(&removed, "/spec/clusterIP");
            if !ip.is_empty() && ip != "None" {
                self.inner.cluster_ips.release(ip);
            }
        }
        Ok(removed)
    }

    /// Does all that follows from the present state, until nothing more does. A write that fails is retried by the next
    /// settling.
    pub(super) fn settle(&self, state: &mut State) {
        loop {
            let before = state.version();
            if let Err(error) = self.settle_once(state) {
                tracing::warn!(%error, "the local API could not finish a deletion; it will be tried again");
                return;
            }
            if state.version() == before {
                return;
            }
        }
    }

    /// Settles from outside the lock: at start, and now and then.
    pub fn settle_all(&self) {
        let mut state = self.lock();
        self.settle(&mut state);
        self.announce(&state);
    }

    fn settle_once(&self, state: &mut State) -> Result<(), ApiError> {
        let registry = state.registry();
        let alive: HashSet<&str> = state.everything().map(|(_, _, object)| uid(object)).collect();
        let is_dangling = |object: &Value| {
            let owners = list(object, "/metadata/ownerReferences");
            !owners.is_empty() && owners.iter().all(|owner| !alive.contains(text(owner, "/uid")))
        };
        let terminating: HashSet<&str> = state
            .of_kind(&GroupResource::new("", "namespaces"))
            .filter(|(_, object)| is_terminating(object))
            .map(|(key, _)| key.name.as_str())
            .collect();
        let condemned: Vec<(GroupResource, Key)> = state
            .everything()
            .filter(|(gr, key, object)| {
                let waiting = is_terminating(object) && registry.preferred(gr).is_some();
                !waiting
                    && (is_dangling(object)
                        || terminating.contains(key.namespace.as_str())
                        || registry.preferred(gr).is_none())
            })
            .map(|(gr, key, _)| (gr.clone(), key.clone()))
            .collect();
        let occupied: HashSet<&str> = state.everything().map(|(_, key, _)| key.namespace.as_str()).collect();
        let empty: Vec<String> =
            terminating.iter().filter(|name| !occupied.contains(*name)).map(|name| (*name).to_owned()).collect();
        for (gr, key) in condemned {
            match registry.preferred(&gr) {
                Some(info) => self.delete_one(state, info, &key, &DeleteOptions::default()).map(|_| ())?,
                None => self.remove(state, &gr, &key).map(|_| ())?,
            }
        }
        for name in empty {
            release_namespace(state, &name)?;
        }
        Ok(())
    }

    /// What every namespace has: a service account, and the CA in a ConfigMap if the server has told it.
    pub(super) fn furnish(&self, state: &mut State, namespace: &str) -> Result<(), ApiError> {
        let about = circumstances();
        let metadata = |name: &str| {
            let uid = uuid::Uuid::new_v4().to_string();
            json!({"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": about.now})
        };
        let accounts = GroupResource::new("", "serviceaccounts");
        let key = Key::new(namespace, "default");
        if state.get(&accounts, &key).is_none() {
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("default")});
            state.commit(&accounts, &key, Some(account))?;
        }
        let maps = GroupResource::new("", "configmaps");
        let key = Key::new(namespace, "kube-root-ca.crt");
        let data = json!({"ca.crt": state.root_ca()});
        let current = state.get(&maps, &key).cloned();
        if state.root_ca().is_empty() || current.as_deref().is_some_and(|map| map["data"] == data) {
            return Ok(());
        }
        let mut map = current.map_or_else(
            || json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("kube-root-ca.crt")}),
            |map| (*map).clone(),
        );
        as_map(&mut map).insert("data".into(), data);
        state.commit(&maps, &key, Some(map)).map(|_| ())
    }

    /// Publishes the CA certificate (PEM) as `kube-root-ca.crt` in every namespace, present and future.
    ///
    /// # Errors
    /// 500 if it cannot be stored.
    pub fn publish_root_ca(&self, pem: &str) -> Result<(), ApiError> {
        let mut state = self.lock();
        state.set_root_ca(pem);
        let namespaces: Vec<String> =
            state.of_kind(&GroupResource::new("", "namespaces")).map(|(key, _)| key.name.clone()).collect();
        for namespace in namespaces {
            self.furnish(&mut state, &namespace)?;
        }
        self.announce(&state);
        Ok(())
    }

    /// Tells the allocator, at start, which cluster IPs are in use.
    pub(super) fn reclaim_cluster_ips(&self) {
        let state = self.lock();
        let ips: &dyn ClusterIps = &*self.inner.cluster_ips;
        for (key, service) in state.of_kind(&GroupResource::new("", "services")) {
            let ip = text(service, "/spec/clusterIP");
            if ip.is_empty() || ip == "None" {
                continue;
            }
            if let Err(why) = ips.allocate(&key.namespace, &key.name, Some(ip)) {
                tracing::warn!(service = %key.name, why, "a stored cluster IP is refused by the allocator");
            }
        }
    }

    /// Removes events whose last occurrence is older than an hour, as the real server's TTL does.
    pub fn expire_events(&self, now: jiff::Timestamp) {
        let oldest = timestamp(now.checked_sub(jiff::SignedDuration::from_hours(1)).unwrap_or(now));
        let events = GroupResource::new("", "events");
        let mut state = self.lock();
        let expired: Vec<Key> = state
            .of_kind(&events)
            .filter(|(_, event)| {
                let times = [text(event, "/lastTimestamp"), text(event, "/series/lastObservedTime")];
                let last = times.into_iter().chain([text(event, "/metadata/creationTimestamp")]).max();
                last.is_some_and(|last| last < oldest.as_str())
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in expired {
            if let Err(error) = state.commit(&events, &key, None) {
                tracing::warn!(%error, "an old event could not be removed");
            }
        }
        self.announce(&state);
    }
}

/// Takes the owner out of its dependents, so that they outlive it.
fn orphan_dependents(state: &mut State, owner: &str) -> Result<(), ApiError> {
    let is_owner = |reference: &Value| text(reference, "/uid") == owner;
    let dependents: Vec<(GroupResource, Key, Arc<Value>)> = state
        .everything()
        .filter(|(_, _, object)| list(object, "/metadata/ownerReferences").iter().any(is_owner))
        .map(|(gr, key, object)| (gr.clone(), key.clone(), Arc::clone(object)))
        .collect();
    for (gr, key, object) in dependents {
        let mut orphan = (*object).clone();
        if let Some(Value::Array(owners)) = meta_mut(&mut orphan).get_mut("ownerReferences") {
            owners.retain(|reference| !is_owner(reference));
        }
        state.commit(&gr, &key, Some(orphan))?;
    }
    Ok(())
}

/// An empty namespace that is being deleted loses its finalizer, and with it itself.
fn release_namespace(state: &mut State, name: &str) -> Result<(), ApiError> {
    let (namespaces, key) = (GroupResource::new("", "namespaces"), Key::new("", name));
    let Some(object) = state.get(&namespaces, &key).cloned() else { return Ok(()) };
    let mut released = (*object).clone();
    map_mut(as_map(&mut released), "spec").remove("finalizers");
    if lifecycle::is_released(&released) {
        state.commit(&namespaces, &key, None)?;
    }
    Ok(())
}
