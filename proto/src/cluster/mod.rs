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
mod catalog;
mod certificates;
pub mod condition;
mod credentials;
mod drill;
mod drill_status;
mod election;
mod external;
mod import;
pub(crate) mod kubernetes;
mod ldap;
mod lease_timings;
mod managed;
mod metadata;
mod monitoring;
mod object_store;
pub mod phase;
mod plugin;
mod pods;
mod postgresql;
mod probes;
pub mod reason;
mod recovery;
mod reference;
mod replica;
mod replication_slots;
mod restore;
mod snapshot;
mod spec;
mod status;
mod storage;
mod synchronous;
mod tablespace;
#[cfg(test)]
mod tests;
mod update;

pub use affinity::{AffinityConfiguration, AntiAffinityType};
pub use asked_recovery::{Application, Archive, RecoveryError};
pub use backup::{BackupConfiguration, BackupTarget};
pub use bootstrap::{BootstrapConfiguration, BootstrapInitDb};
pub use catalog::{ExtensionConfiguration, ImageCatalogRef};
pub use certificates::{CertificatesConfiguration, CertificatesStatus};
pub use credentials::{AzureCredentials, GoogleCredentials};
pub use drill::DrillReport;
pub use drill_status::{Drill, DrillOrder, Proven, phase as drill_phase};
pub use election::{
    ElectionRefusal, ElectionStatus, Evidence, ForcedPromotion, Initialization, LossStatus, RestartStatus, TailStatus,
};
pub use external::ExternalCluster;
pub use import::{BootstrapPgBaseBackup, Import, ImportKind, ImportSource, SqlRefs};
pub use ldap::{LdapBindAsAuth, LdapBindSearchAuth, LdapConfig, LdapScheme};
pub use lease_timings::PrimaryLease;
pub use managed::{
    Ensure, ManagedConfiguration, ManagedRolesStatus, ManagedService, ManagedServices, PasswordState,
    RoleConfiguration, ServiceSelector, ServiceTemplateSpec, ServiceUpdateStrategy,
};
pub use metadata::{EmbeddedObjectMetadata, Metadata, ServiceAccountTemplate};
pub use monitoring::{MonitoringConfiguration, MonitoringTls, RelabelConfig};
pub use object_store::{
    BarmanObjectStore, DataCompression, DataConfiguration, Encryption, S3Credentials, WalCompression, WalConfiguration,
};
pub use plugin::PluginConfiguration;
pub use pods::{EphemeralVolumesSizeLimit, NodeMaintenanceWindow, PodSelectorRef};
pub use postgresql::PostgresConfiguration;
pub use probes::{IsolationCheck, LivenessProbe, ProbeStrategy, ProbeWithStrategy, ProbesConfiguration};
pub use recovery::{BackupSource, BootstrapRecovery, RecoveryTarget};
pub use reference::{ConfigMapKeySelector, LocalObjectReference, SecretKeySelector};
pub use replica::ReplicaClusterConfiguration;
pub use replication_slots::{HighAvailabilitySlots, ReplicationSlots, SynchronizeReplicas};
pub use restore::{RestorePreview, RestoreRequest, RestoreStatus, RevivalStatus};
pub use snapshot::{DataSource, OnlineConfiguration, SnapshotOwner, VolumeSnapshotConfiguration};
pub use spec::{Cluster, ClusterSpec, DEFAULT_IMAGE, LogLevel};
pub use status::{ClusterStatus, InstanceReportedState, Recoverability, Topology};
pub use storage::StorageConfiguration;
pub use synchronous::{DataDurability, SyncReplicaElectionConstraint, SynchronousMethod, SynchronousReplication};
pub use tablespace::{DatabaseRoleRef, TablespaceConfiguration};
pub use update::{PrimaryUpdateMethod, PrimaryUpdateStrategy};

/// Fields of a manifest that this version does not know.
pub type Extra = std::collections::BTreeMap<String, serde_json::Value>;
