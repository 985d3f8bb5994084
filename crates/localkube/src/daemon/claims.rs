//! PersistentVolumeClaims: bound at once to a directory or a file system of its own; kept while a pod uses them, and
//! removed with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::options::Volumes;
use crate::api::object::{is_terminating, list, name, namespace, text, uid};
use crate::api::{ApiError, ChangeKind, DeleteOptions, Store, WatchStart};
use crate::node::{PodUser, bytes, claim_directory, disk};

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
/// Keeps a claim until no pod uses it any more.
const PROTECTION: &str = "kubernetes.io/pvc-protection";
/// How long to wait after a volume could not be made.
const RETRY: Duration = Duration::from_secs(2);

/// What makes volumes.
pub(super) struct Claims {
    pub store: Store,
    /// The node's.
    pub directory: PathBuf,
    pub volumes: Volumes,
    pub user: PodUser,
}

impl Claims {
    /// Binds, protects and releases claims until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.follow() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow(&self) {
        loop {
            let watchers = (
                self.store.watch(CLAIMS, None, WatchStart::Everything),
                self.store.watch("pods", None, WatchStart::Everything),
            );
            let (Ok(mut claims), Ok(mut pods)) = watchers else { return };
            let mut all_well = true;
            loop {
                let retry =
                    async { if all_well { std::future::pending().await } else { tokio::time::sleep(RETRY).await } };
                tokio::select! {
                    change = claims.next() => match change {
                        Ok((ChangeKind::Deleted, claim)) => self.release(&claim).await,
                        Ok(_) => {}
                        Err(_) => break,
                    },
                    // Only a pod that goes can free a claim.
                    change = pods.next() => match change {
                        Ok((ChangeKind::Deleted, _)) => {}
                        Ok(_) => continue,
                        Err(_) => break,
                    },
                    () = retry => {}
                }
                all_well = self.look().await;
            }
        }
    }

    /// Looks at every claim. False if one is to be looked at again soon.
    async fn look(&self) -> bool {
        let claims = self.store.list(CLAIMS, None, "").map(|listed| listed.items).unwrap_or_default();
        let mut all_well = true;
        for claim in claims {
            let done = if is_terminating(&claim) {
                if self.is_used(&claim) { Ok(()) } else { self.unprotect(&claim).map_err(|error| error.to_string()) }
            } else {
                self.keep(&claim).await
            };
            if let Err(error) = done {
                tracing::warn!(error, claim = name(&claim), "a claim is not as it should be; tried again");
                all_well = false;
            }
        }
        all_well
    }

    /// The volume is there, and the claim bound to it.
    async fn keep(&self, claim: &Value) -> Result<(), String> {
        let path = self.directory_of(claim);
        if self.volumes == Volumes::Ext4 && !disk::is_mounted(&path) {
            let size = bytes(text(claim, "/spec/resources/requests/storage")).unwrap_or(disk::SIZE_LIMIT);
            let provided = disk::provide(&path, size, self.user).await;
            provided.map_err(|error| pgherd_telemetry::chain(&error))?;
        }
        if text(claim, "/status/phase") == "Bound" {
            return Ok(());
        }
        self.bind(claim, &path).map_err(|error| error.to_string())
    }

    fn directory_of(&self, claim: &Value) -> PathBuf {
        claim_directory(&self.directory, namespace(claim), name(claim), uid(claim))
    }

    /// A pod that is bound to a node uses it. One that waits for a node does not keep what it waits for.
    fn is_used(&self, claim: &Value) -> bool {
        let pods = self.store.list("pods", Some(namespace(claim)), "").map(|listed| listed.items).unwrap_or_default();
        pods.iter().any(|pod| {
            !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
                && !text(pod, "/spec/nodeName").is_empty()
                && list(pod, "/spec/volumes").iter().any(|volume| claim_of(pod, volume) == name(claim))
        })
    }

    fn unprotect(&self, claim: &Value) -> Result<(), ApiError> {
        let all = list(claim, "/metadata/finalizers");
        let others: Vec<&Value> = all.iter().filter(|finalizer| finalizer.as_str() != Some(PROTECTION)).collect();
        if others.len() == all.len() {
            return Ok(());
        }
        let patch = json!({"metadata": {"uid": uid(claim), "finalizers": others}});
        self.store.merge(CLAIMS, namespace(claim), name(claim), &patch).map(drop)
    }

    fn bind(&self, claim: &Value, path: &Path) -> Result<(), ApiError> {
        let volume = volume_name(claim);
        let size = claim.pointer("/spec/resources/requests/storage").cloned().unwrap_or(json!("1Gi"));
        let modes = claim.pointer("/spec/accessModes").cloned().unwrap_or(json!(["ReadWriteOnce"]));
        let class = text(claim, "/spec/storageClassName");
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
        match self.store.create(VOLUMES, "", object) {
            Err(error) if error.reason != "AlreadyExists" => return Err(error),
            _ => {}
        }
        let mut finalizers = list(claim, "/metadata/finalizers").to_vec();
        if !finalizers.contains(&json!(PROTECTION)) {
            finalizers.push(json!(PROTECTION));
        }
        let patch = json!({"metadata": {"finalizers": finalizers}, "spec": {"volumeName": volume}});
        self.store.merge(CLAIMS, namespace(claim), name(claim), &patch)?;
        let status = json!({"status": {"phase": "Bound", "accessModes": modes, "capacity": {"storage": size}}});
        self.store.merge_status(CLAIMS, namespace(claim), name(claim), &status).map(drop)
    }

    async fn release(&self, claim: &Value) {
        if let Err(error) = self.store.delete(VOLUMES, "", &volume_name(claim), &DeleteOptions::default()) {
            tracing::debug!(%error, "a claim had no volume");
        }
        let path = self.directory_of(claim);
        if let Err(error) = disk::release(&path).await {
            tracing::warn!(error = pgherd_telemetry::chain(&error), path = %path.display(), "a volume stays mounted");
        }
        let _directory_only = tokio::fs::remove_file(disk::image_of(&path)).await;
        // A pod that was force-deleted and runs on keeps its mount; the files are gone, as when a disk is taken away.
        match tokio::fs::remove_dir_all(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "a volume's directory cannot be removed");
            }
            _ => {}
        }
    }
}

/// The claim that a volume of a pod is of; empty if it is of none. That of an ephemeral volume is called after both.
fn claim_of(pod: &Value, volume: &Value) -> String {
    match volume.get("ephemeral") {
        Some(_) => format!("{}-{}", name(pod), text(volume, "/name")),
        None => text(volume, "/persistentVolumeClaim/claimName").to_owned(),
    }
}

fn volume_name(claim: &Value) -> String {
    format!("pvc-{}", uid(claim))
}
