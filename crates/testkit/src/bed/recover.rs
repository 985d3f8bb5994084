//! Base backups of the cluster, and a second cluster beside it that is recovered from its archive.

use super::{Bed, text};
use crate::wait;
use anyhow::{Context as _, bail};
use core::time::Duration;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use pgherd_proto::backup::{BackupStatus, phase};
use serde_json::{Value, json};

/// Our kinds' group.
const GROUP: &str = "postgresql.cnpg.io";
/// What the second cluster calls the archive of the first.
pub const FIRST: &str = "first";

impl Bed {
    /// Changes the Cluster's spec by a merge patch.
    ///
    /// # Errors
    /// Of the API.
    pub async fn change_spec(&self, spec: &Value) -> anyhow::Result<()> {
        let clusters = self.objects(GROUP, "Cluster");
        let patch = Patch::Merge(json!({"spec": spec}));
        let changed = clusters.patch(&self.place.cluster, &PatchParams::default(), &patch).await;
        changed.context("failed to change the Cluster").map(drop)
    }

    /// Asks for a base backup.
    ///
    /// # Errors
    /// Of the API.
    pub async fn order_backup(&self, name: &str) -> anyhow::Result<()> {
        let backup: DynamicObject = serde_json::from_value(json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Backup", "metadata": {"name": name},
            "spec": {"cluster": {"name": self.place.cluster}}
        }))?;
        let made = self.objects(GROUP, "Backup").create(&PostParams::default(), &backup).await;
        made.context("failed to make the Backup").map(drop)
    }

    /// Asks for a base backup and waits until it is complete; `seen` is told what its status says, each time it changed.
    ///
    /// # Errors
    /// If it fails, or is not complete in time.
    pub async fn back_up(
        &self,
        name: &str,
        within: Duration,
        seen: impl Fn(&BackupStatus),
    ) -> anyhow::Result<BackupStatus> {
        self.order_backup(name).await?;
        let backups = self.objects(GROUP, "Backup");
        let last = std::sync::Mutex::new(BackupStatus::default());
        let ended = wait::until("a base backup", within, async || {
            let found = backups.get(name).await.map_err(|error| error.to_string())?;
            let found = found.data.get("status").cloned().unwrap_or_default();
            let status: BackupStatus = serde_json::from_value(found).unwrap_or_default();
            if let Ok(mut last) = last.lock()
                && *last != status
            {
                seen(&status);
                last.clone_from(&status);
            }
            if status.is_done() { Ok(status) } else { Err(format!("{:?}", status.phase)) }
        });
        let ended = ended.await?;
        if ended.phase.as_deref() == Some(phase::COMPLETED) {
            return Ok(ended);
        }
        bail!("failed to take a base backup: {}", ended.error.unwrap_or_default())
    }

    /// Makes another cluster beside this one, with its spec but for a `bootstrap.recovery` from its archive (which
    /// `recovery` calls [`FIRST`]) and what `edit` does to it; the same bed, to look at the other one.
    ///
    /// # Errors
    /// Of the API.
    pub async fn recovered(&self, name: &str, recovery: &Value, edit: impl FnOnce(&mut Value)) -> anyhow::Result<Self> {
        let mut spec = self.cluster().await?.get("spec").cloned().context("the Cluster has no spec")?;
        let mut store = spec.pointer("/backup/barmanObjectStore").cloned().context("the Cluster has no archive")?;
        let server = text(&store, "/serverName");
        let server = if server.is_empty() { self.place.cluster.clone() } else { server };
        if let (Some(spec), Some(store)) = (spec.as_object_mut(), store.as_object_mut()) {
            store.insert("serverName".to_owned(), server.into());
            spec.insert("externalClusters".to_owned(), json!([{"name": FIRST, "barmanObjectStore": store}]));
            spec.insert("bootstrap".to_owned(), json!({"recovery": recovery}));
        }
        edit(&mut spec);
        let cluster: DynamicObject = serde_json::from_value(json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Cluster",
            "metadata": {"name": name, "namespace": self.place.namespace}, "spec": spec,
        }))?;
        let made = self.objects(GROUP, "Cluster").create(&PostParams::default(), &cluster).await;
        made.context("failed to make the second Cluster")?;
        let mut other = self.clone();
        name.clone_into(&mut other.place.cluster);
        Ok(other)
    }
}
