//! The Cluster: what a user asks for, and what there is.
//!
//! Every object of the spec keeps the fields that this version does not know in `extra`
//! (`x-kubernetes-preserve-unknown-fields` in the CRD). Kubernetes would prune them, and then nobody could tell
//! the user that a field of his CNPG manifest does nothing here: condition `UnsupportedFields` and
//! `pgherd validate` name what is in `extra`, and [`crate::unsupported`] says which of them are refused.
//! The status keeps them too, since it is written by full PUT: an older manager must not drop what a newer
//! controller wrote.

mod affinity;
mod asked;
mod asked_recovery;
mod backup;
mod bootstrap;
pub mod condition;
mod drill;
mod drill_status;
mod election;
mod lease_timings;
mod monitoring;
mod object_store;
pub mod phase;
mod postgresql;
pub mod reason;
mod recovery;
mod reference;
mod replication_slots;
mod restore;
mod spec;
mod status;
mod storage;
mod synchronous;
#[cfg(test)]
mod tests;
mod update;

pub use affinity::{AffinityConfiguration, AntiAffinityType};
pub use asked_recovery::{Application, Archive, RecoveryError};
pub use backup::{BackupConfiguration, BackupTarget};
pub use bootstrap::{BootstrapConfiguration, BootstrapInitDb};
pub use drill::DrillReport;
pub use drill_status::{Drill, DrillOrder, Proven, phase as drill_phase};
pub use election::{
    ElectionRefusal, ElectionStatus, Evidence, ForcedPromotion, Initialization, LossStatus, RestartStatus, TailStatus,
};
pub use lease_timings::PrimaryLease;
pub use monitoring::MonitoringConfiguration;
pub use object_store::{
    BarmanObjectStore, DataCompression, DataConfiguration, Encryption, S3Credentials, WalCompression, WalConfiguration,
};
pub use postgresql::PostgresConfiguration;
pub use recovery::{BackupSource, BootstrapRecovery, ExternalCluster, RecoveryTarget};
pub use reference::{LocalObjectReference, SecretKeySelector};
pub use replication_slots::{HighAvailabilitySlots, ReplicationSlots, SynchronizeReplicas};
pub use restore::{RestorePreview, RestoreRequest, RestoreStatus, RevivalStatus};
pub use spec::{Cluster, ClusterSpec, DEFAULT_IMAGE, LogLevel};
pub use status::{ClusterStatus, InstanceReportedState, Recoverability, Topology};
pub use storage::StorageConfiguration;
pub use synchronous::{DataDurability, SyncReplicaElectionConstraint, SynchronousMethod, SynchronousReplication};
pub use update::{PrimaryUpdateMethod, PrimaryUpdateStrategy};

/// Fields of a manifest that this version does not know.
pub type Extra = std::collections::BTreeMap<String, serde_json::Value>;
