//! What may not change once a cluster is there.

use super::Report;
use crate::cluster::ClusterSpec;
use crate::finding::Finding;
use pgherd_core::rules::{cluster, quantity, synchronous};

/// What is wrong with going from `old` to `new`, each by itself valid.
#[must_use]
pub fn change(old: &ClusterSpec, new: &ClusterSpec) -> Vec<Finding> {
    let mut report = Report::default();
    if let (Some(old), Some(new)) = (&old.storage, &new.storage)
        && !old.size.is_empty()
        && !new.size.is_empty()
    {
        report.rule("spec.storage.size", quantity::storage_change(&old.size, &new.size));
    }
    report.rule("spec.imageName", cluster::image_change(old.postgres_image(), new.postgres_image()));
    let (old, new) = (old.replication_slots().high_availability, new.replication_slots().high_availability);
    report.rule(
        "spec.replicationSlots.highAvailability.slotPrefix",
        synchronous::slot_prefix_change(old.enabled && new.enabled, &old.slot_prefix, &new.slot_prefix),
    );
    report.into_findings()
}
