//! `spec` of a Cluster.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use super::lease_timings::seconds;
use super::{
    AffinityConfiguration, BackupConfiguration, BootstrapConfiguration, BootstrapInitDb, CertificatesConfiguration,
    ClusterStatus, EmbeddedObjectMetadata, EphemeralVolumesSizeLimit, ExternalCluster, Extra, ImageCatalogRef,
    LocalObjectReference, ManagedConfiguration, MonitoringConfiguration, NodeMaintenanceWindow, PluginConfiguration,
    PodSelectorRef, PostgresConfiguration, PrimaryLease, PrimaryUpdateMethod, PrimaryUpdateStrategy,
    ProbesConfiguration, ReplicaClusterConfiguration, ReplicationSlots, ServiceAccountTemplate, StorageConfiguration,
    TablespaceConfiguration,
};
use core::time::Duration;
use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, EphemeralVolumeSource, PodSecurityContext, ProjectedVolumeSource, ResourceRequirements,
    SeccompProfile, SecurityContext, TopologySpreadConstraint,
};
use kube::CustomResource;
use pgherd_core::lease::Timings;
use pgherd_core::rules::cluster::image_major;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much the manager and the controller say about this cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What must be looked at.
    Error,
    /// What may have to be.
    Warning,
    /// What happens.
    #[default]
    Info,
    /// How it happens.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What the user asks for. Defaults are CNPG's, except where the field says otherwise.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Cluster",
    plural = "clusters",
    singular = "cluster",
    namespaced,
    status = "ClusterStatus",
    derive = "PartialEq",
    doc = "A PostgreSQL cluster: one primary and its standbys.",
    scale(
        spec_replicas_path = ".spec.instances",
        status_replicas_path = ".status.instances",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Instances",
        type_ = "integer",
        json_path = ".status.instances",
        description = "Number of instances"
    ),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.readyInstances",
        description = "Number of ready instances"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.phase",
        description = "Cluster current status"
    ),
    printcolumn(name = "Primary", type_ = "string", json_path = ".status.currentPrimary", description = "Primary pod")
)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterSpec {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How many instances there are: one primary, the others its standbys.
    #[schemars(range(min = 1))]
    pub instances: i32,
    /// The image that the instances run. Default: the one that this version was released with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// When that image is pulled. Default: Kubernetes'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// The user id of postgres in the image.
    #[serde(rename = "postgresUID")]
    pub postgres_uid: i64,
    /// The group id of postgres in the image.
    #[serde(rename = "postgresGID")]
    pub postgres_gid: i64,
    /// What postgres is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgresql: Option<PostgresConfiguration>,
    /// Where the first database comes from. Default: initdb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapConfiguration>,
    /// Other clusters, for `bootstrap.recovery.source`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_clusters: Vec<ExternalCluster>,
    /// The volume of each instance. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageConfiguration>,
    /// Whether `postgres` has a password, kept in `<cluster>-superuser`.
    pub enable_superuser_access: bool,
    /// The superuser's own basic-auth Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superuser_secret: Option<LocalObjectReference>,
    /// Where WAL and base backups go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupConfiguration>,
    /// Where the instances may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<AffinityConfiguration>,
    /// What the postgres container asks for and may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// How the instances are watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<MonitoringConfiguration>,
    /// Timings of the primary's lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_lease: Option<PrimaryLease>,
    /// The replication slots on every instance. Absent: CNPG's defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_slots: Option<ReplicationSlots>,
    /// The least number of standbys that a commit waits for, while so many are healthy. The older form of
    /// `postgresql.synchronous`.
    #[schemars(range(min = 0))]
    pub min_sync_replicas: i32,
    /// How many standbys a commit waits for. Above 0, it turns synchronous replication on.
    #[schemars(range(min = 0))]
    pub max_sync_replicas: i32,
    /// Seconds that an instance has to start.
    #[schemars(range(min = 1))]
    pub start_delay: i32,
    /// Seconds that an instance has to stop, before it is killed.
    #[schemars(range(min = 1))]
    pub stop_delay: i32,
    /// Seconds of a stop in which clients may finish by themselves. Absent: 180 for a standby or the only instance;
    /// a primary that has somebody to hand over to does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub smart_shutdown_timeout: Option<i32>,
    /// Seconds that a demoted primary has to stop in order, before it is stopped at once.
    #[schemars(range(min = 0))]
    pub switchover_delay: i32,
    /// Seconds that an unhealthy primary is waited for.
    #[schemars(range(min = 0))]
    pub failover_delay: i32,
    /// What is done to a primary whose postgres must restart.
    pub primary_update_method: PrimaryUpdateMethod,
    /// Whether the primary's turn comes by itself.
    pub primary_update_strategy: PrimaryUpdateStrategy,
    /// How much is logged.
    pub log_level: LogLevel,
    /// Environment of the postgres container. Ours cannot be overridden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::kubernetes::bare::<Vec<EnvVar>>")]
    pub env: Vec<EnvVar>,
    /// Environment of the postgres container, from ConfigMaps and Secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::kubernetes::bare::<Vec<EnvFromSource>>")]
    pub env_from: Vec<EnvFromSource>,
    /// Whether PodDisruptionBudgets are made.
    #[serde(rename = "enablePDB")]
    pub enable_pdb: bool,
    /// Labels and annotations of every object of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherited_metadata: Option<Box<EmbeddedObjectMetadata>>,
    /// The image by its major, out of a catalog. Instead of `imageName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_catalog_ref: Option<Box<ImageCatalogRef>>,
    /// Secrets for the images' registry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Who finds nodes for the pods. Default: Kubernetes' scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// The pods' PriorityClass. Default: the Kubernetes cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// How the instances are spread over zones and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::kubernetes::bare::<Vec<TopologySpreadConstraint>>")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// A volume for WAL beside the data volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_storage: Option<Box<StorageConfiguration>>,
    /// Volumes for tablespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tablespaces: Vec<TablespaceConfiguration>,
    /// The volume of scratch files. Default: an emptyDir.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<EphemeralVolumeSource>")]
    pub ephemeral_volume_source: Option<Box<EphemeralVolumeSource>>,
    /// How large shared memory and scratch files may become.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_volumes_size_limit: Option<Box<EphemeralVolumesSizeLimit>>,
    /// Further files in `/projected`: Secrets, ConfigMaps, fields of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<ProjectedVolumeSource>")]
    pub projected_volume_template: Option<Box<ProjectedVolumeSource>>,
    /// Name of a ServiceAccount that is there, in place of the one that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Labels and annotations of the ServiceAccount that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_template: Option<Box<ServiceAccountTemplate>>,
    /// The pods' seccomp profile. Default: `RuntimeDefault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<SeccompProfile>")]
    pub seccomp_profile: Option<Box<SeccompProfile>>,
    /// The pods' security context: each field that it has takes the place of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<PodSecurityContext>")]
    pub pod_security_context: Option<Box<PodSecurityContext>>,
    /// The containers' security context: each field that it has takes the place of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<SecurityContext>")]
    pub security_context: Option<Box<SecurityContext>>,
    /// How the kubelet asks how an instance is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<Box<ProbesConfiguration>>,
    /// Seconds without an answer to the liveness probe, before the container is restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe_timeout: Option<i32>,
    /// Certificates that the user brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Box<CertificatesConfiguration>>,
    /// Roles and services that are kept as the manifest says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<Box<ManagedConfiguration>>,
    /// A cluster that follows another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<Box<ReplicaClusterConfiguration>>,
    /// CNPG-I plugins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PluginConfiguration>,
    /// Work on nodes is going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_maintenance_window: Option<Box<NodeMaintenanceWindow>>,
    /// Pods that `pg_hba` may refer to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pod_selector_refs: Vec<PodSelectorRef>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            description: None,
            instances: 1,
            image_name: None,
            image_pull_policy: None,
            postgres_uid: 26,
            postgres_gid: 26,
            postgresql: None,
            bootstrap: None,
            external_clusters: Vec::new(),
            storage: None,
            enable_superuser_access: false,
            superuser_secret: None,
            backup: None,
            affinity: None,
            resources: None,
            monitoring: None,
            primary_lease: None,
            replication_slots: None,
            min_sync_replicas: 0,
            max_sync_replicas: 0,
            start_delay: 3600,
            stop_delay: 1800,
            smart_shutdown_timeout: None,
            switchover_delay: 3600,
            failover_delay: 0,
            primary_update_method: PrimaryUpdateMethod::default(),
            primary_update_strategy: PrimaryUpdateStrategy::default(),
            log_level: LogLevel::Info,
            env: Vec::new(),
            env_from: Vec::new(),
            enable_pdb: true,
            inherited_metadata: None,
            image_catalog_ref: None,
            image_pull_secrets: Vec::new(),
            scheduler_name: None,
            priority_class_name: None,
            topology_spread_constraints: Vec::new(),
            wal_storage: None,
            tablespaces: Vec::new(),
            ephemeral_volume_source: None,
            ephemeral_volumes_size_limit: None,
            projected_volume_template: None,
            service_account_name: None,
            service_account_template: None,
            seccomp_profile: None,
            pod_security_context: None,
            security_context: None,
            probes: None,
            liveness_probe_timeout: None,
            certificates: None,
            managed: None,
            replica: None,
            plugins: Vec::new(),
            node_maintenance_window: None,
            pod_selector_refs: Vec::new(),
            extra: Extra::default(),
        }
    }
}

/// The image of postgres where the spec names none.
pub const DEFAULT_IMAGE: &str = "ghcr.io/cloudnative-pg/postgresql:15";

impl ClusterSpec {
    /// `imageName`, or its default.
    #[must_use]
    pub fn postgres_image(&self) -> &str {
        self.image_name.as_deref().unwrap_or(DEFAULT_IMAGE)
    }

    /// The major that is asked for: of the catalog, or of the image's tag, if that is how it begins.
    #[must_use]
    pub fn postgres_major(&self) -> Option<u32> {
        match &self.image_catalog_ref {
            Some(reference) => u32::try_from(reference.major).ok(),
            None => image_major(self.postgres_image()),
        }
    }

    /// `primaryLease`, or its defaults.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.primary_lease.as_ref().map_or_else(Timings::default, Timings::from)
    }

    /// `bootstrap.initdb`, or its defaults.
    #[must_use]
    pub fn initdb(&self) -> BootstrapInitDb {
        self.bootstrap.as_ref().and_then(|bootstrap| bootstrap.initdb.as_deref().cloned()).unwrap_or_default()
    }

    /// `replicationSlots`, or its defaults.
    #[must_use]
    pub fn replication_slots(&self) -> ReplicationSlots {
        self.replication_slots.clone().unwrap_or_default()
    }

    /// `startDelay`.
    #[must_use]
    pub fn start_delay(&self) -> Duration {
        seconds(self.start_delay)
    }

    /// `stopDelay`.
    #[must_use]
    pub fn stop_delay(&self) -> Duration {
        seconds(self.stop_delay)
    }

    /// `smartShutdownTimeout`, if the user set it.
    #[must_use]
    pub fn smart_shutdown_timeout(&self) -> Option<Duration> {
        self.smart_shutdown_timeout.map(seconds)
    }

    /// `switchoverDelay`.
    #[must_use]
    pub fn switchover_delay(&self) -> Duration {
        seconds(self.switchover_delay)
    }

    /// `failoverDelay`.
    #[must_use]
    pub fn failover_delay(&self) -> Duration {
        seconds(self.failover_delay)
    }
}
