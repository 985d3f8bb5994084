//! How a change reaches the primary, and what annotations on a Cluster ask for.

use super::Cluster;
use crate::labels;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done to a primary whose postgres must restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrimaryUpdateMethod {
    /// Its postgres restarts where it is; a pod that must be replaced hands over as it stops.
    #[default]
    Restart,
    /// A standby that is up to date takes over first.
    Switchover,
}

/// Who decides when it is the primary's turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrimaryUpdateStrategy {
    /// It follows the standbys by itself.
    #[default]
    Unsupervised,
    /// The user: by a switchover, or by restarting it.
    Supervised,
}

impl Cluster {
    /// Annotation `cnpg.io/fencedInstances`: instances whose postgres is to be down, or `*`. What is no JSON list
    /// fences nobody.
    #[must_use]
    pub fn fenced_instances(&self) -> Vec<String> {
        let text = self.annotations().get(labels::FENCED_INSTANCES);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Annotation `cnpg.io/hibernation` is `on`: no pods, and every volume kept.
    #[must_use]
    pub fn hibernates(&self) -> bool {
        self.annotations().get(labels::HIBERNATION).is_some_and(|value| value == "on")
    }

    /// Annotation `kubectl.kubernetes.io/restartedAt`: a new value restarts the instances, one by one.
    #[must_use]
    pub fn restarted_at(&self) -> Option<String> {
        self.annotations().get(labels::RESTARTED_AT).cloned()
    }
}
