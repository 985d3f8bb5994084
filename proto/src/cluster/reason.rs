//! Reasons of `status.conditions`.

/// Of `Ready`.
pub const CLUSTER_IS_READY: &str = "ClusterIsReady";
/// Of `Ready`.
pub const CLUSTER_IS_NOT_READY: &str = "ClusterIsNotReady";
/// Of `ContinuousArchiving`.
pub const ARCHIVING_SUCCESS: &str = "ContinuousArchivingSuccess";
/// Of `ContinuousArchiving`.
pub const ARCHIVING_FAILING: &str = "ContinuousArchivingFailing";
/// Of `LastBackupSucceeded`.
pub const BACKUP_STARTED: &str = "BackupStarted";
/// Of `LastBackupSucceeded`.
pub const LAST_BACKUP_SUCCEEDED: &str = "LastBackupSucceeded";
/// Of `LastBackupSucceeded`.
pub const LAST_BACKUP_FAILED: &str = "LastBackupFailed";
/// Of `ConsistentSystemID`.
pub const UNIQUE_SYSTEM_ID: &str = "Unique";
/// Of `ConsistentSystemID`.
pub const MISMATCHING_SYSTEM_ID: &str = "Mismatch";
/// Of `ConsistentSystemID`.
pub const SYSTEM_ID_NOT_FOUND: &str = "NotFound";
/// Of `ClusterFound`, status True.
pub const CLUSTER_FOUND: &str = "ClusterFound";
/// Of `ClusterFound`, status False.
pub const CLUSTER_NOT_FOUND: &str = "ClusterNotFound";
/// Of `UnsupportedFields`, status True.
pub const FIELDS_IGNORED: &str = "FieldsIgnored";
/// Of `UnsupportedFields`, status False.
pub const ALL_FIELDS_SUPPORTED: &str = "AllFieldsSupported";
