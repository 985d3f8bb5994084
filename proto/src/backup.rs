//! The Backup: one base backup.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use crate::cluster::{
    AzureCredentials, BackupTarget, Extra, GoogleCredentials, LocalObjectReference, OnlineConfiguration, S3Credentials,
    SecretKeySelector,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a base backup is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BackupMethod {
    /// To the cluster's object store, in barman-cloud's layout.
    #[default]
    BarmanObjectStore,
    /// Snapshots of the volumes.
    VolumeSnapshot,
    /// By a CNPG-I plugin.
    Plugin,
}

/// What the user asks for.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Backup",
    plural = "backups",
    singular = "backup",
    namespaced,
    status = "BackupStatus",
    derive = "PartialEq",
    doc = "One base backup of a cluster.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster.name"),
    printcolumn(name = "Method", type_ = "string", json_path = ".spec.method"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Error", type_ = "string", json_path = ".status.error")
)]
#[serde(rename_all = "camelCase")]
pub struct BackupSpec {
    /// The cluster to back up.
    pub cluster: LocalObjectReference,
    /// How.
    #[serde(default)]
    pub method: BackupMethod,
    /// Which instance it is taken from. Default: the cluster's `backup.target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<BackupTarget>,
    /// What a plugin is told, with `method: plugin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_configuration: Option<BackupPluginConfiguration>,
    /// For volume snapshots: whether postgres goes on meanwhile. Default: the cluster's `backup.volumeSnapshot.online`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// For volume snapshots: how. Default: the cluster's `backup.volumeSnapshot.onlineConfiguration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online_configuration: Option<OnlineConfiguration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A plugin and what it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupPluginConfiguration {
    /// Its name.
    pub name: String,
    /// What it is told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The snapshots of a backup by volume snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotStatus {
    /// Each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<SnapshotElement>,
}

/// One volume snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotElement {
    /// Name of the VolumeSnapshot.
    pub name: String,
    /// `PG_DATA`, `PG_WAL` or `PG_TABLESPACE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of a tablespace: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tablespace_name: Option<String>,
}

/// Where the backup was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InstanceId {
    /// The pod.
    #[serde(rename = "podName")]
    pub pod_name: String,
    /// Its container (CNPG's spelling).
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// The manager process.
    #[serde(rename = "sessionID", skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// An attempt that was cut off by a failover, a promotion or a restart, and followed by another (ours).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailedAttempt {
    /// The folder below `base/` that it had begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// The pod that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// What cut it off.
    pub error: String,
    /// When that was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
}

/// `status.phase` of a Backup (CNPG's exact texts).
pub mod phase {
    /// Waits to be started.
    pub const PENDING: &str = "pending";
    /// A manager has it.
    pub const STARTED: &str = "started";
    /// Data is on its way.
    pub const RUNNING: &str = "running";
    /// The data is there; its WAL is not yet.
    pub const FINALIZING: &str = "finalizing";
    /// Done, for good.
    pub const COMPLETED: &str = "completed";
    /// Done, in vain.
    pub const FAILED: &str = "failed";
    /// Waits until WAL is archived again: before it is begun, and after all is copied.
    pub const WAL_ARCHIVING_FAILING: &str = "walArchivingFailing";
    /// The spec is invalid.
    pub const INVALID: &str = "invalid backup definition";
}

/// How far a backup is (ours). Its manager writes it every other second: that it changes shows that it lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupProgress {
    /// Bytes read of the server's files.
    pub bytes_done: i64,
    /// Bytes that there were to read when it began.
    pub bytes_total: i64,
    /// Bytes that became of them in the store.
    pub bytes_stored: i64,
    /// Of the bytes that there are to read.
    pub percent: i32,
    /// Bytes read a second, lately.
    pub bytes_per_second: i64,
    /// Seconds until all is read, at that rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<i64>,
    /// When this was written, by the manager's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// When something was last read or stored, by the manager's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<Time>,
    /// What it waits for, where nothing has moved lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupStatus {
    /// One of [`phase`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The folder below `base/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// `backup-<time>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_name: Option<String>,
    /// The first WAL file that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin_wal: Option<String>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_wal: Option<String>,
    /// Where it starts.
    #[serde(rename = "beginLSN", skip_serializing_if = "Option::is_none")]
    pub begin_lsn: Option<String>,
    /// Where it becomes consistent.
    #[serde(rename = "endLSN", skip_serializing_if = "Option::is_none")]
    pub end_lsn: Option<String>,
    /// When it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
    /// As in the cluster at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_path: Option<String>,
    /// As in the cluster at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// As in the cluster at that time.
    #[serde(rename = "endpointURL", skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// As in the cluster at that time.
    #[serde(rename = "endpointCA", skip_serializing_if = "Option::is_none")]
    pub endpoint_ca: Option<SecretKeySelector>,
    /// As in the cluster at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_credentials: Option<S3Credentials>,
    /// As in the cluster at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_credentials: Option<Box<AzureCredentials>>,
    /// As in the cluster at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_credentials: Option<Box<GoogleCredentials>>,
    /// As in the cluster at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// What a command wrote (CNPG's; nothing here runs one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_output: Option<String>,
    /// What a command wrote as it failed (CNPG's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_error: Option<String>,
    /// The backup label of a backup by volume snapshots, in base64 (CNPG's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_label_file: Option<String>,
    /// The map of tablespaces of a backup by volume snapshots, in base64 (CNPG's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tablespace_map_file: Option<String>,
    /// The volume snapshots (CNPG's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_backup_status: Option<SnapshotStatus>,
    /// Whether postgres went on meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// What a plugin noted (CNPG's).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plugin_metadata: BTreeMap<String, String>,
    /// Where it was taken.
    #[serde(rename = "instanceID", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// How it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<BackupMethod>,
    /// PostgreSQL major.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major_version: Option<i32>,
    /// How far it is (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<BackupProgress>,
    /// The attempts before this one (ours).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_attempts: Vec<FailedAttempt>,
    /// See [`crate::cluster::condition`] (ours).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl BackupStatus {
    /// Completed, failed or refused: nobody will touch it again.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.phase.as_deref(), Some(phase::COMPLETED | phase::FAILED | phase::INVALID))
    }

    /// A manager was told to take it, and has not said yet how it ended.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        match self.phase.as_deref() {
            Some(phase::STARTED | phase::RUNNING | phase::FINALIZING) => true,
            // One that is not begun yet waits in the same phase, and is nobody's.
            Some(phase::WAL_ARCHIVING_FAILING) => self.instance_id.is_some(),
            _ => false,
        }
    }

    /// The folders below `base/` that nobody writes into any more.
    pub fn ended_ids(&self) -> impl Iterator<Item = &str> {
        let last = self.backup_id.as_deref().filter(|_| self.is_done());
        self.failed_attempts.iter().filter_map(|attempt| attempt.backup_id.as_deref()).chain(last)
    }
}

/// What of a status is written where its attempt was cut off and another follows: it is pending once more, with nothing
/// of `this` attempt but its line among those that failed, after the `earlier` ones.
#[must_use]
pub fn tried_again(earlier: &[FailedAttempt], this: FailedAttempt, why: &str) -> Value {
    let mut attempts = earlier.to_vec();
    attempts.push(this);
    json!({
        "phase": phase::PENDING, "error": why, "failedAttempts": attempts,
        "instanceID": null, "backupId": null, "backupName": null, "startedAt": null, "stoppedAt": null,
        "beginWal": null, "endWal": null, "beginLSN": null, "endLSN": null, "majorVersion": null, "progress": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: Value) -> BackupStatus {
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_backup_that_waits_for_archiving_is_under_way_once_somebody_has_it() {
        let waits = status(json!({"phase": "walArchivingFailing"}));
        assert!(!waits.is_under_way() && !waits.is_done());
        let taken = status(json!({"phase": "walArchivingFailing", "instanceID": {"podName": "c-2"}}));
        assert!(taken.is_under_way() && !taken.is_done());
    }

    #[test]
    fn an_attempt_that_was_cut_off_leaves_a_pending_backup_that_remembers_it() {
        let first = FailedAttempt { backup_id: Some("20261128T020000".into()), ..FailedAttempt::default() };
        let second = FailedAttempt { error: "c-2 was promoted".into(), ..FailedAttempt::default() };
        let again = status(tried_again(&[first], second, "another follows"));
        assert!(!again.is_under_way() && !again.is_done());
        assert_eq!(again.error.as_deref(), Some("another follows"));
        assert_eq!(again.failed_attempts.len(), 2);
        assert_eq!(
            again.ended_ids().collect::<Vec<_>>(),
            ["20261128T020000"],
            "its parts are given up by the next one"
        );
    }
}
