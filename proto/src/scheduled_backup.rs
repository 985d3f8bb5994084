//! The ScheduledBackup: base backups by the clock.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use crate::backup::{BackupMethod, BackupPluginConfiguration};
use crate::cluster::{BackupTarget, Extra, LocalObjectReference, OnlineConfiguration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who owns the Backups that a schedule makes: with their owner they go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupOwner {
    /// Nobody.
    #[default]
    None,
    /// The ScheduledBackup.
    #[serde(rename = "self")]
    Schedule,
    /// The Cluster.
    Cluster,
}

/// What the user asks for.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "ScheduledBackup",
    plural = "scheduledbackups",
    singular = "scheduledbackup",
    namespaced,
    status = "ScheduledBackupStatus",
    derive = "PartialEq",
    doc = "Base backups of a cluster by the clock.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster.name"),
    printcolumn(name = "Last Backup", type_ = "date", json_path = ".status.lastScheduleTime")
)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledBackupSpec {
    /// When: `second minute hour day month weekday`, or without the seconds, or `@daily` and the like. UTC.
    #[schemars(length(min = 1))]
    pub schedule: String,
    /// The cluster to back up, of the same namespace.
    pub cluster: LocalObjectReference,
    /// Who owns the Backups.
    #[serde(default)]
    pub backup_owner_reference: BackupOwner,
    /// Takes one at creation as well.
    #[serde(default)]
    pub immediate: bool,
    /// Takes none while it is true.
    #[serde(default)]
    pub suspend: bool,
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

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduledBackupStatus {
    /// When the schedule was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_check_time: Option<Time>,
    /// When the last backup was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When the next will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// What keeps it from working.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// See [`crate::cluster::condition`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_manifest_keeps_every_field() {
        let raw: serde_json::Value =
            serde_yaml_ng::from_str(include_str!("../../docs/examples/scheduledbackup.yaml")).unwrap();
        let backup: ScheduledBackup = serde_json::from_value(raw.clone()).unwrap();
        assert_eq!(backup.spec.backup_owner_reference, BackupOwner::Schedule);
        assert_eq!(backup.spec.extra, Extra::default());
        let again = serde_json::to_value(&backup).unwrap();
        for (key, value) in raw["spec"].as_object().unwrap() {
            assert_eq!(&again["spec"][key], value);
        }
    }
}
