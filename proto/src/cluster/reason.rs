//! Reasons of `status.conditions`.

/// Of `Ready`.
pub const CLUSTER_IS_READY: &str = "ClusterIsReady";
/// Of `Ready`.
pub const CLUSTER_IS_NOT_READY: &str = "ClusterIsNotReady";
/// Of `ContinuousArchiving`.
pub const ARCHIVING_SUCCESS: &str = "ContinuousArchivingSuccess";
/// What a message of `ContinuousArchiving` begins with where it holds; a backlog that is caught up with comes after it.
pub const ARCHIVING_WORKS: &str = "Continuous archiving is working";
/// Of `ContinuousArchiving`.
pub const ARCHIVING_FAILING: &str = "ContinuousArchivingFailing";
/// Ours, of `ContinuousArchiving`: the archive is another cluster's, or has other content under that name. It stays so until
/// somebody changes something.
pub const ARCHIVE_REFUSES: &str = "ArchiveRefuses";
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
/// Of `SyncReplicationTopologySatisfied`, status True.
pub const TOPOLOGY_SATISFIED: &str = "TopologySatisfied";
/// Of `SyncReplicationTopologySatisfied`: standbys of the primary's own domain are waited for as well.
pub const INSUFFICIENT_CROSS_DOMAIN_REPLICAS: &str = "InsufficientCrossDomainReplicas";
/// Of `SyncReplicationTopologySatisfied`: the primary's domain is not known.
pub const TOPOLOGY_NOT_EXTRACTED: &str = "TopologyNotExtracted";
/// Of `cnpg.io/hibernation`, status True.
pub const HIBERNATED: &str = "Hibernated";
/// Of `cnpg.io/hibernation`, status False.
pub const DELETING_PODS: &str = "DeletingPods";
/// Of `cnpg.io/hibernation`, status False: the message says for whom, or for what.
pub const WAITING_PODS_DELETION: &str = "WaitingPodsDeletion";
/// Ours, of `cnpg.io/hibernation`, status False: it has not begun.
pub const HIBERNATION_WAITS: &str = "HibernationWaits";
/// Of `ClusterFound`, status True.
pub const CLUSTER_FOUND: &str = "ClusterFound";
/// Of `ClusterFound`, status False.
pub const CLUSTER_NOT_FOUND: &str = "ClusterNotFound";
/// Of `UnsupportedFields`, status True.
pub const FIELDS_IGNORED: &str = "FieldsIgnored";
/// Of `UnsupportedFields`, status False.
pub const ALL_FIELDS_SUPPORTED: &str = "AllFieldsSupported";
/// Of `PrimaryElected`, status True.
pub const PRIMARY_IS_ELECTED: &str = "PrimaryIsElected";
/// Of `PrimaryElected`, status True: it is well, was to hand over, and nobody can take over.
pub const HANDOVER_REFUSED: &str = "HandoverRefused";
/// Of `PrimaryElected`: an election is due and waits for something.
pub const ELECTION_WAITS: &str = "ElectionWaits";
/// Of `PrimaryElected`: somebody was chosen and has yet to take the lease.
pub const ELECTION_UNDER_WAY: &str = "ElectionUnderWay";
/// Of `PrimaryElected`: the same, and a person accepted what may be lost.
pub const ELECTION_FORCED: &str = "ElectionForced";
/// Of `PrimaryElected`: nobody can be chosen.
pub const ELECTION_REFUSED: &str = "ElectionRefused";
/// Of `PrimaryElected`: nobody can tell who holds the lease.
pub const LEASE_UNREADABLE: &str = "LeaseUnreadable";
/// Of `PrimaryElected`: the primary is fenced, and nobody takes its place.
pub const PRIMARY_FENCED: &str = "PrimaryFenced";
/// Of `BackupProven`, status True.
pub const DRILL_SUCCEEDED: &str = "DrillSucceeded";
/// Of `BackupProven`, status False.
pub const DRILL_FAILED: &str = "DrillFailed";
