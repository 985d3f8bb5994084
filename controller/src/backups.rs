//! Backups: what of them does nothing yet is said on each of them, as on a Cluster.

use crate::caches::{Caches, Key};
use crate::conditions::{ignored, merge, unsupported_fields, write_status};
use kube::{Client, ResourceExt};
use pgherd_proto::backup::{Backup, BackupStatus};
use serde_json::json;

/// Says so in the status of each Backup of this cluster. One that is done (by whoever served this API before) is left
/// as it is: nobody will act on it any more.
pub async fn explain(client: &Client, caches: &Caches, key: &Key) {
    let of_cluster = |backup: &Backup| {
        backup.spec.cluster.name == key.name && backup.metadata.namespace.as_ref() == Some(&key.namespace)
    };
    let is_open = |backup: &Backup| !backup.status.as_ref().is_some_and(BackupStatus::is_done);
    for backup in caches.backups.state_filter(|backup| of_cluster(backup) && is_open(backup)) {
        let object = json!({ "metadata": { "annotations": backup.annotations() }, "spec": backup.spec });
        let before = backup.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        let wanted = vec![unsupported_fields(&ignored("Backup", &object))];
        let conditions = merge(before.clone(), wanted, backup.metadata.generation);
        if before != conditions {
            write_status(client, &*backup, json!({ "conditions": conditions })).await;
        }
    }
}
