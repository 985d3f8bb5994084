//! `spec.probes`: how the kubelet asks whether an instance has started, is ready, and lives.

use super::Extra;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The three probes. What is absent stays as it is without them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbesConfiguration {
    /// Until it succeeds, nothing else is asked. Its threshold is `startDelay` by its period, unless given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<ProbeWithStrategy>,
    /// Whether the manager lives: a container that fails it is restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<LivenessProbe>,
    /// Whether clients are sent to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<ProbeWithStrategy>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What makes an instance started, or ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeStrategy {
    /// Postgres accepts connections.
    PgIsready,
    /// That, and a standby streams from the primary, at most `maximumLag` behind.
    Streaming,
    /// Postgres answers a query.
    Query,
}

/// A probe, and what it asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbeWithStrategy {
    /// Seconds before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds that an answer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub timeout_seconds: Option<i32>,
    /// Seconds from one to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub period_seconds: Option<i32>,
    /// Successes in a row that make up for a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub success_threshold: Option<i32>,
    /// Failures in a row that count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failure_threshold: Option<i32>,
    /// Seconds to stop in after a failure. Default: `stopDelay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
    /// What is asked.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub strategy: Option<ProbeStrategy>,
    /// For `streaming`: the most WAL that a standby may be behind, as a quantity (`16Mi`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<Quantity>")]
    pub maximum_lag: Option<Quantity>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The liveness probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LivenessProbe {
    /// Seconds before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds that an answer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub timeout_seconds: Option<i32>,
    /// Seconds from one to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub period_seconds: Option<i32>,
    /// 1, if it is given: Kubernetes allows no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub success_threshold: Option<i32>,
    /// Failures in a row that count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failure_threshold: Option<i32>,
    /// Seconds to stop in after a failure. Default: `stopDelay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
    /// CNPG's check whether a primary is alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation_check: Option<IsolationCheck>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether a primary that sees neither the API server nor the other instances fails its liveness probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IsolationCheck {
    /// Whether it is checked.
    pub enabled: bool,
    /// Milliseconds for a request.
    pub request_timeout: i32,
    /// Milliseconds for a connection.
    pub connection_timeout: i32,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for IsolationCheck {
    fn default() -> Self {
        Self { enabled: true, request_timeout: 1000, connection_timeout: 1000, extra: Extra::default() }
    }
}
