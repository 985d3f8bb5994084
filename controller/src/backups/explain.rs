//! What of a Backup does nothing is said on each of them, as on a Cluster.

use super::of_cluster;
use crate::caches::{Caches, Key};
use crate::conditions::{ignored, merge, unsupported_fields, write_status};
use kube::{Client, ResourceExt};
use pgherd_proto::backup::BackupStatus;
use serde_json::json;

/// Says so in the status of each Backup of this cluster. One that is done (by whoever served this API before) is left
/// as it is: nobody will act on it any more; and one under way is its manager's to write.
pub async fn explain(client: &Client, caches: &Caches, key: &Key) {
    for backup in of_cluster(caches, key) {
        if backup.status.as_ref().is_some_and(|status: &BackupStatus| status.is_done() || status.is_under_way()) {
            continue;
        }
        let object = json!({ "metadata": { "annotations": backup.annotations() }, "spec": backup.spec });
        let before = backup.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        let wanted = vec![unsupported_fields(&ignored("Backup", &object))];
        let conditions = merge(before.clone(), wanted, backup.metadata.generation);
        if before != conditions {
            write_status(client, &*backup, json!({ "conditions": conditions })).await;
        }
    }
}
