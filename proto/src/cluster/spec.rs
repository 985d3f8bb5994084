//! `spec` of a Cluster.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use super::lease_timings::seconds;
use super::{
    AffinityConfiguration, BackupConfiguration, BootstrapConfiguration, BootstrapInitDb, ClusterStatus,
    ExternalCluster, Extra, LocalObjectReference, MonitoringConfiguration, PostgresConfiguration, PrimaryLease,
    PrimaryUpdateMethod, PrimaryUpdateStrategy, ReplicationSlots, StorageConfiguration,
};
use core::time::Duration;
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, ResourceRequirements};
use kube::CustomResource;
use pgherd_core::lease::Timings;
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
    /// Environment of the postgres container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Environment of the postgres container, from ConfigMaps and Secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFromSource>,
    /// Whether PodDisruptionBudgets are made.
    #[serde(rename = "enablePDB")]
    pub enable_pdb: bool,
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

    /// `primaryLease`, or its defaults.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.primary_lease.as_ref().map_or_else(Timings::default, Timings::from)
    }

    /// `bootstrap.initdb`, or its defaults.
    #[must_use]
    pub fn initdb(&self) -> BootstrapInitDb {
        self.bootstrap.as_ref().and_then(|bootstrap| bootstrap.initdb.clone()).unwrap_or_default()
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
