//! `spec.affinity`: where the instances may run.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
            extra: Extra::default(),
        }
    }
}
