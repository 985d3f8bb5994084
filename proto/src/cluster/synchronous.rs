//! `spec.postgresql.synchronous` and its predecessors: which commits wait for which standbys.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the standbys that a commit waits for are chosen from the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SynchronousMethod {
    /// Any of them (`ANY n (...)`).
    Any,
    /// The first of the list that are connected (`FIRST n (...)`).
    First,
}

/// What happens to writes when there are fewer standbys than asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataDurability {
    /// They wait. Nothing that was acknowledged is lost with one machine.
    #[default]
    Required,
    /// They go on with the standbys that there are, or with none; an instance that may lack an acknowledged commit
    /// is not promoted.
    Preferred,
}

/// Which commits wait for which standbys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SynchronousReplication {
    /// `any` or `first`.
    pub method: SynchronousMethod,
    /// How many standbys must have a commit on disk before it is acknowledged.
    #[schemars(range(min = 1))]
    pub number: i32,
    /// The most instances of this cluster that are listed. Absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_standby_names_from_cluster: Option<i32>,
    /// Application names that are listed before the instances. They can acknowledge a commit, and cannot be elected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standby_names_pre: Vec<String>,
    /// Application names that are listed after the instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standby_names_post: Vec<String>,
    /// `required` or `preferred`.
    #[serde(default)]
    pub data_durability: DataDurability,
    /// Whether an election must be able to show that the winner has every acknowledged commit. Absent: yes with
    /// `required`. CNPG's default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover_quorum: Option<bool>,
    /// Pod labels whose values say what fails together: instances that share all of them with the primary are not
    /// listed while others are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_failure_domain_keys: Vec<String>,
    /// The same with labels of the pods' nodes, such as `topology.kubernetes.io/zone`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_failure_domain_keys: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What instances must not share with the primary to be listed, where `minSyncReplicas` and `maxSyncReplicas` are
/// used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncReplicaElectionConstraint {
    /// Whether it is in force.
    pub enabled: bool,
    /// Labels of nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub node_labels_anti_affinity: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
