//! The rules of volumes: sizes, tablespaces, and WAL beside what it is on.

use super::Report;
use crate::cluster::{ClusterSpec, StorageConfiguration};
use crate::finding::{Finding, Kind};
use pgherd_core::rules::{names, quantity, sizes};
use std::collections::BTreeSet;

pub(super) fn check(report: &mut Report, spec: &ClusterSpec) {
    one(report, "spec.storage", spec.storage.as_ref());
    if let Some(wal) = &spec.wal_storage {
        one(report, "spec.walStorage", Some(wal));
    }
    let mut seen = BTreeSet::new();
    for (index, tablespace) in spec.tablespaces.iter().enumerate() {
        let path = format!("spec.tablespaces[{index}]");
        report.rule(&format!("{path}.name"), names::tablespace(&tablespace.name));
        if !seen.insert(tablespace.name.to_ascii_lowercase()) {
            report.invalid(&format!("{path}.name"), "duplicate tablespace name");
        }
        one(report, &format!("{path}.storage"), Some(&tablespace.storage));
    }
    let snapshots = spec.backup.as_ref().and_then(|backup| backup.volume_snapshot.as_ref());
    for name in snapshots.into_iter().flat_map(|snapshots| snapshots.tablespace_class_name.keys()) {
        if !spec.tablespaces.iter().any(|tablespace| tablespace.name == *name) {
            let message = format!("there is no tablespace {name:?} in spec.tablespaces");
            report.invalid("spec.backup.volumeSnapshot.tablespaceClassName", &message);
        }
    }
    if let Some(postgresql) = &spec.postgresql {
        let volume = spec.wal_storage.as_ref().and_then(|wal| quantity::quantity(wal.requested()).ok());
        for error in sizes::wal(&postgresql.parameters, volume) {
            report.rule::<(), _>("spec.postgresql.parameters", Err(error));
        }
        for error in sizes::switches(&postgresql.parameters) {
            report.rule::<(), _>("spec.postgresql.parameters", Err(error));
        }
    }
}

fn one(report: &mut Report, path: &str, storage: Option<&StorageConfiguration>) {
    let missing = || {
        Finding::new(Kind::Invalid, format!("{path}.size"), "is required and missing").hint("write size: 10Gi, for one")
    };
    let Some(storage) = storage else { return report.push(missing()) };
    let template = storage.pvc_template.as_deref();
    let requested = template
        .and_then(|claim| claim.resources.as_ref()?.requests.as_ref()?.get("storage"))
        .map(|size| size.0.clone());
    match (storage.size.as_str(), &requested) {
        ("", None) => report.push(missing()),
        ("", Some(size)) => {
            report.rule(&format!("{path}.pvcTemplate.resources.requests.storage"), quantity::storage_size(size));
        }
        (size, requested) => {
            report.rule(&format!("{path}.size"), quantity::storage_size(size));
            if requested.is_some() {
                both(report, path, "size", "pvcTemplate.resources.requests.storage");
            }
        }
    }
    if storage.storage_class.is_some() && template.is_some_and(|claim| claim.storage_class_name.is_some()) {
        both(report, path, "storageClass", "pvcTemplate.storageClassName");
    }
}

/// CNPG's warning of the same.
fn both(report: &mut Report, path: &str, used: &str, other: &str) {
    let message = format!("{used} and {other} are both specified, {used} will be used");
    report.push(Finding::new(Kind::Advice, format!("{path}.{used}"), message));
}
