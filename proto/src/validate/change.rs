//! What may not change once a cluster is there.

use super::Report;
use crate::cluster::ClusterSpec;
use crate::finding::Finding;
use pgherd_core::rules::quantity;

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
    report.into_findings()
}
