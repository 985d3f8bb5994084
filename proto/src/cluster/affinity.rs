//! `spec.affinity`: where the instances may run.

use super::Extra;
use k8s_openapi::api::core::v1::{NodeAffinity, PodAffinity, PodAntiAffinity, Toleration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How hard the scheduler keeps the instances apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AntiAffinityType {
    /// It tries (weight 100).
    #[default]
    Preferred,
    /// A pod stays unscheduled rather than beside another.
    Required,
}

/// Where the instances may run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AffinityConfiguration {
    /// Keeps the instances of a cluster apart. Absent means true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_pod_anti_affinity: Option<bool>,
    /// The node label whose values are kept apart.
    pub topology_key: String,
    /// `preferred` or `required`.
    pub pod_anti_affinity_type: AntiAffinityType,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Which nodes are preferred or required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<NodeAffinity>")]
    pub node_affinity: Option<Box<NodeAffinity>>,
    /// Taints that are tolerated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::kubernetes::bare::<Vec<Toleration>>")]
    pub tolerations: Vec<Toleration>,
    /// Pods that the instances should not be beside, in addition; with `enablePodAntiAffinity: false` nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<PodAntiAffinity>")]
    pub additional_pod_anti_affinity: Option<Box<PodAntiAffinity>>,
    /// Pods that the instances should be beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<PodAffinity>")]
    pub additional_pod_affinity: Option<Box<PodAffinity>>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for AffinityConfiguration {
    fn default() -> Self {
        Self {
            enable_pod_anti_affinity: None,
            topology_key: "kubernetes.io/hostname".to_owned(),
            pod_anti_affinity_type: AntiAffinityType::default(),
            node_selector: BTreeMap::new(),
            node_affinity: None,
            tolerations: Vec::new(),
            additional_pod_anti_affinity: None,
            additional_pod_affinity: None,
            extra: Extra::default(),
        }
    }
}
