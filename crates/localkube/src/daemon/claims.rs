//! PersistentVolumeClaims: bound at once to a directory; removed with it.

use std::path::Path;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::api::object::{is_terminating, name, namespace, text, uid};
use crate::api::{ApiError, ChangeKind, DeleteOptions, Store, WatchStart};
use crate::node::claim_directory;

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";

/// Binds claims until `stop`. `directory` is the node's.
pub(super) async fn run(store: Store, directory: std::path::PathBuf, stop: CancellationToken) {
    let work = async {
        loop {
            let Ok(mut watcher) = store.watch(CLAIMS, None, WatchStart::Everything) else { return };
            while let Ok((kind, claim)) = watcher.next().await {
                match kind {
                    ChangeKind::Deleted => release(&store, &directory, &claim).await,
                    ChangeKind::Added | ChangeKind::Modified => {
                        let open = text(&claim, "/status/phase") != "Bound" && !is_terminating(&claim);
                        if open && let Err(error) = bind(&store, &directory, &claim) {
                            tracing::warn!(%error, claim = name(&claim), "a claim cannot be bound");
                        }
                    }
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

fn volume_name(claim: &Value) -> String {
    format!("pvc-{}", uid(claim))
}

fn bind(store: &Store, directory: &Path, claim: &Value) -> Result<(), ApiError> {
    let volume = volume_name(claim);
    let size = claim.pointer("/spec/resources/requests/storage").cloned().unwrap_or(json!("1Gi"));
    let modes = claim.pointer("/spec/accessModes").cloned().unwrap_or(json!(["ReadWriteOnce"]));
    let class = text(claim, "/spec/storageClassName");
    let path = claim_directory(directory, namespace(claim), name(claim), uid(claim));
    let object = json!({
        "metadata": {"name": volume},
        "spec": {
            "capacity": {"storage": size}, "accessModes": modes, "storageClassName": class,
            "persistentVolumeReclaimPolicy": "Delete", "hostPath": {"path": path},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace(claim),
                "name": name(claim), "uid": uid(claim)},
        },
        "status": {"phase": "Bound"},
    });
    match store.create(VOLUMES, "", object) {
        Err(error) if error.reason != "AlreadyExists" => return Err(error),
        _ => {}
    }
    store.merge(CLAIMS, namespace(claim), name(claim), &json!({"spec": {"volumeName": volume}}))?;
    let status = json!({"status": {"phase": "Bound", "accessModes": modes, "capacity": {"storage": size}}});
    store.merge_status(CLAIMS, namespace(claim), name(claim), &status).map(drop)
}

async fn release(store: &Store, directory: &Path, claim: &Value) {
    if let Err(error) = store.delete(VOLUMES, "", &volume_name(claim), &DeleteOptions::default()) {
        tracing::debug!(%error, "a claim had no volume");
    }
    let path = claim_directory(directory, namespace(claim), name(claim), uid(claim));
    // A pod that still runs keeps its mount; the files are gone, as when a disk is taken away.
    match tokio::fs::remove_dir_all(&path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a volume's directory cannot be removed");
        }
        _ => {}
    }
}
