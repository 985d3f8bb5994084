//! The Pooler: PgBouncer before a cluster.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use crate::cluster::kubernetes::bare;
use crate::cluster::{Extra, LocalObjectReference, Metadata, RelabelConfig, ServiceSelector, ServiceTemplateSpec};
use k8s_openapi::api::apps::v1::DeploymentStrategy;
use k8s_openapi::api::core::v1::PodSpec;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the user asks for.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Pooler",
    plural = "poolers",
    singular = "pooler",
    namespaced,
    status = "PoolerStatus",
    derive = "PartialEq",
    doc = "PgBouncer before a cluster.",
    scale(spec_replicas_path = ".spec.instances", status_replicas_path = ".status.instances"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster.name"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type")
)]
#[serde(rename_all = "camelCase")]
pub struct PoolerSpec {
    /// The Cluster, of the same namespace and of another name.
    pub cluster: LocalObjectReference,
    /// Which instances it leads to.
    #[serde(rename = "type", default = "primary")]
    pub selector: ServiceSelector,
    /// How many pods there are.
    #[serde(default = "one")]
    pub instances: i32,
    /// What the pods look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplateSpec>,
    /// How PgBouncer is configured.
    pub pgbouncer: PgBouncerSpec,
    /// How pods make room for new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "bare::<DeploymentStrategy>")]
    pub deployment_strategy: Option<DeploymentStrategy>,
    /// How it is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<PoolerMonitoring>,
    /// What its Service looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_template: Option<ServiceTemplateSpec>,
    /// Name of a ServiceAccount that is there, in place of the one that is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

fn primary() -> ServiceSelector {
    ServiceSelector::Rw
}

fn one() -> i32 {
    1
}

/// A template of pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplateSpec {
    /// Labels and annotations.
    pub metadata: Metadata,
    /// Kubernetes' PodSpec; container `pgbouncer` is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "bare::<PodSpec>")]
    pub spec: Option<Box<PodSpec>>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// When a session of postgres goes back to the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PoolMode {
    /// When the client leaves.
    #[default]
    Session,
    /// At the end of a transaction.
    Transaction,
}

/// How PgBouncer is configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PgBouncerSpec {
    /// When a session goes back to the pool.
    pub pool_mode: PoolMode,
    /// The certificate that it shows to postgres.
    #[serde(rename = "serverTLSSecret", skip_serializing_if = "Option::is_none")]
    pub server_tls_secret: Option<LocalObjectReference>,
    /// The authority of postgres' certificate.
    #[serde(rename = "serverCASecret", skip_serializing_if = "Option::is_none")]
    pub server_ca_secret: Option<LocalObjectReference>,
    /// The authority of clients' certificates.
    #[serde(rename = "clientCASecret", skip_serializing_if = "Option::is_none")]
    pub client_ca_secret: Option<LocalObjectReference>,
    /// The certificate that it shows to clients.
    #[serde(rename = "clientTLSSecret", skip_serializing_if = "Option::is_none")]
    pub client_tls_secret: Option<LocalObjectReference>,
    /// The user who runs `authQuery`. With it, nothing is set up in postgres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_query_secret: Option<LocalObjectReference>,
    /// What finds a user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_query: Option<String>,
    /// PgBouncer's parameters, of CNPG's list of those that may be set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Lines of its pg_hba.conf.
    #[serde(rename = "pg_hba", skip_serializing_if = "Vec::is_empty")]
    pub pg_hba: Vec<String>,
    /// Whether clients wait.
    pub paused: bool,
    /// Its image, out of a catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_catalog_ref: Option<PoolerImage>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An image of a catalog's `extraImages`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolerImage {
    /// `postgresql.cnpg.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// `ImageCatalog` or `ClusterImageCatalog`.
    pub kind: String,
    /// Name of the catalog.
    pub name: String,
    /// The image's key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How a Pooler is watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolerMonitoring {
    /// Creates a PodMonitor.
    pub enable_pod_monitor: bool,
    /// Rules for samples.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pod_monitor_metric_relabelings: Vec<RelabelConfig>,
    /// Rules for targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pod_monitor_relabelings: Vec<RelabelConfig>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolerStatus {
    /// How many pods there are.
    pub instances: i32,
    /// Fields that this version does not know, `secrets` of CNPG's for one.
    #[serde(flatten)]
    pub extra: Extra,
}
