//! `spec.monitoring`.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the instances are watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringConfiguration {
    /// Creates a PodMonitor named as the cluster, where the Kubernetes cluster knows PodMonitors.
    pub enable_pod_monitor: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
