//! `spec.bootstrap.recovery`: the first database as it once was, out of an archive.

use super::{DataSource, Extra, LocalObjectReference, SecretKeySelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A database that is recovered from a base backup and WAL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BootstrapRecovery {
    /// A Backup of this namespace: its status says where the archive is. Instead of `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupSource>,
    /// The name of one of `externalClusters`, whose `barmanObjectStore` is the archive. Instead of `backup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Volumes that it is made out of. Instead of `backup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_snapshots: Option<Box<DataSource>>,
    /// Where to stop. Default: at the end of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_target: Option<RecoveryTarget>,
    /// Name of the application's database; made if it is not there. Default: `app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Role that owns it; made if it is not there. Default: as the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A basic-auth Secret with the owner's user name and new password. Default: `<cluster>-app`, made for you.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<LocalObjectReference>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A Backup, and how its store is reached where that is not as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSource {
    /// The Backup.
    pub name: String,
    /// The authority that signed the store's certificate. Default: as the Backup says.
    #[serde(rename = "endpointCA", default, skip_serializing_if = "Option::is_none")]
    pub endpoint_ca: Option<SecretKeySelector>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where a recovery stops: at most one of the targets; along a timeline; from a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RecoveryTarget {
    /// The backup to begin with: its folder below `base/`. Default: the newest that ended before the target; the oldest
    /// for a transaction or a restore point.
    #[serde(rename = "backupID", skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// A timeline's number, `latest` or `current` (the backup's). Default: `latest`.
    #[serde(rename = "targetTLI", skip_serializing_if = "Option::is_none")]
    pub target_tli: Option<String>,
    /// The transaction to stop at.
    #[serde(rename = "targetXID", skip_serializing_if = "Option::is_none")]
    pub target_xid: Option<String>,
    /// The restore point (`pg_create_restore_point`) to stop at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_name: Option<String>,
    /// The position in WAL to stop at.
    #[serde(rename = "targetLSN", skip_serializing_if = "Option::is_none")]
    pub target_lsn: Option<String>,
    /// The time to stop at: RFC 3339, or as postgres prints it; in UTC where it says no offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_time: Option<String>,
    /// Stop as soon as the data are consistent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_immediate: Option<bool>,
    /// Stop just before the target and not just after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<bool>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
