//! `status` of a Cluster: CNPG's field names, and ours.

use super::{
    CertificatesStatus, Drill, ElectionRefusal, ElectionStatus, Extra, Initialization, ManagedRolesStatus, Proven,
    RestartStatus, RestorePreview, RestoreStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a manager last said about its instance (CNPG's `instancesReportedState`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceReportedState {
    /// Whether it writes.
    pub is_primary: bool,
    /// Its timeline.
    #[serde(rename = "timeLineID")]
    pub timeline_id: i64,
    /// Its pod IP.
    pub ip: String,
}

/// Where the instances are (CNPG's `topology`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Topology {
    /// The labels of each instance, or of its node, by pod name: those that tell failure domains apart.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instances: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether every instance has a node.
    pub successfully_extracted: bool,
    /// Distinct nodes of the instances; 1 means that one node takes all of them with it.
    pub nodes_used: i32,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What can be recovered from the archive, as the primary's manager found it; every hour, and after each backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Recoverability {
    /// When it looked. RFC 3339.
    pub checked_at: Option<String>,
    /// The first moment that can be recovered. RFC 3339.
    pub first_recoverable: Option<String>,
    /// When the last WAL file that can be replayed was stored. RFC 3339.
    pub last_recoverable: Option<String>,
    /// When the newest complete base backup ended. RFC 3339.
    pub last_backup: Option<String>,
    /// Up to where WAL can be replayed.
    #[serde(rename = "lastRecoverableLSN")]
    pub last_recoverable_lsn: Option<String>,
    /// The first WAL file that is missing although there is WAL after it.
    #[serde(rename = "missingWAL")]
    pub missing_wal: Option<String>,
    /// Complete base backups.
    pub backups: i64,
    /// Files of WAL.
    #[serde(rename = "walFiles")]
    pub wal_files: i64,
    /// Base backups that the retention policy would delete; set while annotation `pgherd.io/retention` is `dry-run`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redundant_backups: Vec<String>,
    /// Files of WAL that it would delete.
    #[serde(rename = "redundantWALFiles", skip_serializing_if = "Option::is_none")]
    pub redundant_wal_files: Option<i64>,
    /// Base backups that the retention policy has deleted, when it last deleted anything.
    pub deleted_backups: Vec<String>,
    /// Files of WAL that it has deleted then.
    #[serde(rename = "deletedWALFiles")]
    pub deleted_wal_files: i64,
    /// When that was. RFC 3339.
    pub deleted_at: Option<String>,
    /// What a restore drill proved last. The controller writes this, and `drill`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_proven: Option<Proven>,
    /// The last restore drill, or the one that goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
}

/// What there is. The managers own `currentPrimary`, `currentPrimaryTimestamp`, `initialization`, `systemID`, their
/// own entry of `instancesReportedState` and the condition `ContinuousArchiving`; the controller owns the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterStatus {
    /// Pods of instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<i32>,
    /// Those that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_instances: Option<i32>,
    /// Pod names by `healthy`, `replicating` and `failed`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instances_status: BTreeMap<String, Vec<String>>,
    /// By pod name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instances_reported_state: BTreeMap<String, InstanceReportedState>,
    /// Where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// Names of all instances.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instance_names: Vec<String>,
    /// The primary's timeline.
    #[serde(rename = "timelineID", skip_serializing_if = "Option::is_none")]
    pub timeline_id: Option<i64>,
    /// The highest serial ever given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_generated_node: Option<i64>,
    /// The pod that writes, or wrote last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_primary: Option<String>,
    /// When it became that. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_primary_timestamp: Option<String>,
    /// Since when it has been unhealthy. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_primary_failing_since_timestamp: Option<String>,
    /// The pod that is to write. Setting it to another instance by hand asks for a switchover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_primary: Option<String>,
    /// When it became that. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_primary_timestamp: Option<String>,
    /// Volume claims.
    #[serde(rename = "pvcCount", skip_serializing_if = "Option::is_none")]
    pub pvc_count: Option<i32>,
    /// Volume claims without a pod.
    #[serde(rename = "danglingPVC", skip_serializing_if = "Vec::is_empty")]
    pub dangling_pvc: Vec<String>,
    /// Volume claims that wait for their data.
    #[serde(rename = "initializingPVC", skip_serializing_if = "Vec::is_empty")]
    pub initializing_pvc: Vec<String>,
    /// Volume claims in use.
    #[serde(rename = "healthyPVC", skip_serializing_if = "Vec::is_empty")]
    pub healthy_pvc: Vec<String>,
    /// Volume claims being resized.
    #[serde(rename = "resizingPVC", skip_serializing_if = "Vec::is_empty")]
    pub resizing_pvc: Vec<String>,
    /// Volume claims that cannot be used.
    #[serde(rename = "unusablePVC", skip_serializing_if = "Vec::is_empty")]
    pub unusable_pvc: Vec<String>,
    /// Service that leads to the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_service: Option<String>,
    /// Service that leads to every instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_service: Option<String>,
    /// One of [`super::phase`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_reason: Option<String>,
    /// See [`super::condition`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The first moment that a recovery can reach. RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_recoverability_point: Option<String>,
    /// The same, by the way that the backup was taken.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub first_recoverability_point_by_method: BTreeMap<String, String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_backup: Option<String>,
    /// The same, by the way that the backup was taken.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub last_successful_backup_by_method: BTreeMap<String, String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failed_backup: Option<String>,
    /// The image in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The database system identifier, as text. Set once, after initdb.
    #[serde(rename = "systemID", skip_serializing_if = "Option::is_none")]
    pub system_id: Option<String>,
    /// The certificates in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Box<CertificatesStatus>>,
    /// The roles of `spec.managed.roles`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_roles_status: Option<Box<ManagedRolesStatus>>,
    /// Label selector of the instances, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The generation of the spec that this status is about (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Who is at initdb (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initialization: Option<Initialization>,
    /// The last election (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election: Option<ElectionStatus>,
    /// Why nobody can be elected (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election_refusal: Option<ElectionRefusal>,
    /// What can be recovered from the archive (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recoverability: Option<Box<Recoverability>>,
    /// The last restart in place that was asked of a primary (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartStatus>,
    /// The last restore in place (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreStatus>,
    /// What the primary has found out about a restore that was asked about (ours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_preview: Option<RestorePreview>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
