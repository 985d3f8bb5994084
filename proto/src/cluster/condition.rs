//! Types of `status.conditions`: CNPG's, and ours where the comment says so.

use super::reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use pgherd_core::backup::ArchivingFailure;

/// All instances are ready.
pub const READY: &str = "Ready";
/// The last WAL file was archived. Written by the primary's manager.
pub const CONTINUOUS_ARCHIVING: &str = "ContinuousArchiving";
/// The last base backup succeeded.
pub const LAST_BACKUP_SUCCEEDED: &str = "LastBackupSucceeded";
/// Every instance has the same database system identifier.
pub const CONSISTENT_SYSTEM_ID: &str = "ConsistentSystemID";
/// As many standbys as a commit waits for are in other failure domains than the primary. Only where
/// `podFailureDomainKeys` or `nodeFailureDomainKeys` ask for that.
pub const SYNC_REPLICATION_TOPOLOGY_SATISFIED: &str = "SyncReplicationTopologySatisfied";
/// The first database was made.
pub const INITIALIZED: &str = "Initialized";
/// Whether no pod runs, as annotation `cnpg.io/hibernation` asks; absent where nobody asks.
pub const HIBERNATION: &str = "cnpg.io/hibernation";
/// Ours, of a ScheduledBackup: its cluster is in its namespace; if not, the message says where there is one.
pub const CLUSTER_FOUND: &str = "ClusterFound";
/// Ours: there is a primary that need not be replaced; else the message says how its election stands: who is eligible,
/// who is not and why, what it waits for.
pub const PRIMARY_ELECTED: &str = "PrimaryElected";
/// Ours: the last restore drill proved that the archive can be restored; if not, the message says why.
pub const BACKUP_PROVEN: &str = "BackupProven";
/// Ours, of all kinds: fields are accepted that do nothing here; the message names them.
pub const UNSUPPORTED_FIELDS: &str = "UnsupportedFields";

/// Why WAL archiving fails, if a Cluster's conditions say that it does. Before the first file nobody knows.
#[must_use]
pub fn archiving_failure(conditions: &[Condition]) -> Option<ArchivingFailure<'_>> {
    let failing = |condition: &&Condition| condition.type_ == CONTINUOUS_ARCHIVING && condition.status == "False";
    let Condition { message, reason, .. } = conditions.iter().find(failing)?;
    Some(ArchivingFailure { why: message, lasting: reason == reason::ARCHIVE_REFUSES })
}
