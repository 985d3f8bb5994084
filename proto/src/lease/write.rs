//! Record -> Lease.

use crate::labels;
use core::time::Duration;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use pgherd_core::lease::{Holder, LeaseRecord};
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole object to PUT: `base` with `record` in it. `base` must be the Lease that the decision was made from,
/// since its `resourceVersion` goes along (I10, hole 18); everything in it that is not ours is kept.
/// `now` is wall clock, for people: no decision reads it.
#[must_use]
pub fn to_lease(base: &Lease, record: &LeaseRecord, now: Timestamp) -> Lease {
    let mut lease = base.clone();
    let annotations = lease.metadata.annotations.get_or_insert_default();
    let previous_attempt = annotations.get(labels::LEASE_ATTEMPT).cloned();
    annotate(annotations, record);
    let finalizers = lease.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|name| name == labels::LEASE_FINALIZER) {
        finalizers.push(labels::LEASE_FINALIZER.to_owned());
    }
    let spec = lease.spec.get_or_insert_default();
    let same_take = previous_attempt.as_deref() == Some(record.attempt.0.as_str());
    spec.holder_identity = record.held_by().map(|holder| holder.name.clone());
    spec.lease_duration_seconds = seconds(record.lease_duration);
    spec.lease_transitions = Some(i32::try_from(record.term.0).unwrap_or(i32::MAX));
    spec.renew_time = Some(MicroTime(now));
    if !same_take || spec.acquire_time.is_none() {
        spec.acquire_time = record.held_by().map(|_| MicroTime(now));
    }
    lease
}

/// The Lease as the controller creates it together with its cluster: nobody holds it.
#[must_use]
pub fn empty(cluster: &str, namespace: &str, owner: Option<OwnerReference>) -> Lease {
    let mut annotations = BTreeMap::new();
    annotate(&mut annotations, &LeaseRecord::default());
    Lease {
        metadata: ObjectMeta {
            name: Some(crate::names::lease(cluster)),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([(labels::CLUSTER.to_owned(), cluster.to_owned())])),
            annotations: Some(annotations),
            finalizers: Some(vec![labels::LEASE_FINALIZER.to_owned()]),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec::default()),
    }
}

fn annotate(annotations: &mut BTreeMap<String, String>, record: &LeaseRecord) {
    // No `..`: a new field of the record must find its annotation here. The duration is in `spec`.
    let LeaseRecord {
        holder,
        attempt,
        state,
        term,
        timeline,
        timeline_term,
        takers,
        records,
        tail,
        lineage,
        lease_duration: _,
    } = record;
    let mut set = |name: &str, value: Option<String>| match value {
        Some(value) => annotations.insert(name.to_owned(), value),
        None => annotations.remove(name),
    };
    let part = |of: fn(&Holder) -> &str| holder.as_ref().map(|holder| of(holder).to_owned());
    set(labels::LEASE_HOLDER, part(|holder| &holder.name));
    set(labels::LEASE_HOLDER_NONCE, part(|holder| &holder.nonce.0));
    set(labels::LEASE_HOLDER_POD_UID, part(|holder| &holder.pod_uid.0));
    set(labels::LEASE_ADDRESS, part(|holder| &holder.address));
    set(labels::LEASE_ATTEMPT, Some(attempt.0.clone()).filter(|id| !id.is_empty()));
    set(labels::LEASE_STATE, json(state).map(|quoted| quoted.trim_matches('"').to_owned()));
    set(labels::LEASE_TERM, Some(term.to_string()));
    set(labels::LEASE_TIMELINE, Some(timeline.to_string()));
    set(labels::LEASE_TIMELINE_TERM, (!timeline_term.is_unknown()).then(|| timeline_term.to_string()));
    set(labels::LEASE_TAKERS, json(takers));
    set(labels::LEASE_RECORDS, json(records));
    set(labels::LEASE_TAIL, tail.as_ref().and_then(json));
    set(labels::LEASE_LINEAGE, lineage.as_ref().and_then(json));
}

/// Whole seconds, and none too few; nothing where it is not known.
fn seconds(duration: Duration) -> Option<i32> {
    let whole = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    (whole > 0).then(|| i32::try_from(whole).unwrap_or(i32::MAX))
}

/// Strings and numbers only: this cannot fail, and a value that did would be missing, which no reader takes for free.
fn json<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}
