//! `spec.monitoring`.

use super::{ConfigMapKeySelector, Extra, SecretKeySelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the instances are watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringConfiguration {
    /// Creates a PodMonitor named as the cluster, where the Kubernetes cluster knows PodMonitors.
    pub enable_pod_monitor: bool,
    /// Whether the default queries are left out.
    pub disable_default_queries: bool,
    /// ConfigMaps with queries of the user's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_queries_config_map: Vec<ConfigMapKeySelector>,
    /// Secrets with queries of the user's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_queries_secret: Vec<SecretKeySelector>,
    /// Whether the metrics are served by TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<MonitoringTls>,
    /// Rules for samples, in the PodMonitor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pod_monitor_metric_relabelings: Vec<RelabelConfig>,
    /// Rules for targets, in the PodMonitor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pod_monitor_relabelings: Vec<RelabelConfig>,
    /// How old the answers of queries may be: a duration such as `30s`, which is CNPG's default.
    #[serde(rename = "metricsQueriesTTL", skip_serializing_if = "Option::is_none")]
    pub metrics_queries_ttl: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl MonitoringConfiguration {
    /// Whether the metrics are served by TLS.
    #[must_use]
    pub fn serves_tls(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.enabled)
    }
}

/// TLS of the metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringTls {
    /// Whether there is.
    pub enabled: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A rule by which Prometheus changes labels (its `relabel_config`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RelabelConfig {
    /// Labels whose values are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// By this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// The label that gets the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    /// What they must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// For `hashmod`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<i64>,
    /// What it is replaced by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// What is done: `replace`, `keep`, `drop`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
