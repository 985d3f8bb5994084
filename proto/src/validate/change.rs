//! What may not change once a cluster is there.

use super::Report;
use crate::cel;
use crate::cluster::{ClusterSpec, PrimaryUpdateMethod};
use crate::finding::Finding;
use pgherd_core::rules::{cluster, quantity, synchronous};
use serde_json::json;
use std::collections::BTreeMap;

/// What is wrong with going from `old` to `new`, each by itself valid.
#[must_use]
pub fn change(old: &ClusterSpec, new: &ClusterSpec) -> Vec<Finding> {
    let mut report = Report::default();
    if let (Some(old), Some(new)) = (&old.storage, &new.storage)
        && !old.requested().is_empty()
        && !new.requested().is_empty()
    {
        report.rule("spec.storage.size", quantity::storage_change(old.requested(), new.requested()));
    }
    let json = |spec: &ClusterSpec| json!({ "spec": spec });
    cel::changed("Cluster", &json(old), &json(new)).into_iter().for_each(|finding| report.push(finding));
    if let (Some(old), Some(new)) = (&old.wal_storage, &new.wal_storage)
        && !old.requested().is_empty()
        && !new.requested().is_empty()
    {
        report.rule("spec.walStorage.size", quantity::storage_change(old.requested(), new.requested()));
    }
    for tablespace in &old.tablespaces {
        let path = "spec.tablespaces";
        match new.tablespaces.iter().find(|new| new.name == tablespace.name) {
            Some(new) => {
                report.rule(path, quantity::storage_change(&tablespace.storage.size, &new.storage.size));
            }
            None => report.invalid(path, "no tablespace can be deleted once created"),
        }
    }
    parameters(&mut report, old, new);
    let image = if new.image_catalog_ref.is_some() { "spec.imageCatalogRef.major" } else { "spec.imageName" };
    report.rule(image, cluster::major_change(old.postgres_major(), new.postgres_major()));
    let (old, new) = (old.replication_slots().high_availability, new.replication_slots().high_availability);
    report.rule(
        "spec.replicationSlots.highAvailability.slotPrefix",
        synchronous::slot_prefix_change(old.enabled && new.enabled, &old.slot_prefix, &new.slot_prefix),
    );
    report.into_findings()
}

fn parameters(report: &mut Report, old: &ClusterSpec, new: &ClusterSpec) {
    let none = BTreeMap::new();
    let of = |spec: &ClusterSpec| spec.postgresql.as_ref().map(|postgresql| postgresql.parameters.clone());
    let (before, after) = (of(old).unwrap_or_else(|| none.clone()), of(new).unwrap_or(none));
    let level = |all: &BTreeMap<String, String>| all.get("wal_level").map(|level| level.to_ascii_lowercase());
    if level(&after).as_deref() == Some("minimal") && level(&before).is_some_and(|level| level != "minimal") {
        let message = "Change of `wal_level` to `minimal` not allowed on an existing cluster";
        report.invalid("spec.postgresql.parameters", message);
    }
    let other_image = match (&old.image_catalog_ref, &new.image_catalog_ref) {
        (None, None) => old.postgres_image() != new.postgres_image(),
        (Some(old), Some(new)) => old != new,
        // What is in the catalog is not known here.
        _ => false,
    };
    if other_image && before != after && new.primary_update_method == PrimaryUpdateMethod::Switchover {
        let message = "Can't change image name and configuration at the same time when `primaryUpdateMethod` is set to \
                       `switchover`: change one after the other";
        report.invalid("spec.imageName", message);
    }
}
