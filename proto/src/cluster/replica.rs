//! `spec.replica`: a cluster that follows another.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster whose primary follows another cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaClusterConfiguration {
    /// The name of this cluster among `externalClusters`. Default: the Cluster's name.
    #[serde(rename = "self", default, skip_serializing_if = "Option::is_none")]
    pub own_name: Option<String>,
    /// Which of the clusters is the primary one: this one follows if it is another's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Which of `externalClusters` is followed.
    #[schemars(length(min = 1))]
    pub source: String,
    /// Whether it follows, where `primary` does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What the cluster that was demoted wrote into its `status.demotionToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion_token: Option<String>,
    /// How far it stays behind on purpose: a duration such as `4h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_apply_delay: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
