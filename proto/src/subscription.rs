//! The Subscription: changes of another cluster, brought into this one.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use crate::cluster::{Extra, LocalObjectReference};
use crate::reclaim::ReclaimPolicy;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the user asks for, by the options of `CREATE SUBSCRIPTION`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Subscription",
    plural = "subscriptions",
    singular = "subscription",
    namespaced,
    status = "SubscriptionStatus",
    derive = "PartialEq",
    doc = "A subscription of a cluster.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster.name"),
    printcolumn(name = "PG Name", type_ = "string", json_path = ".spec.name"),
    printcolumn(name = "Applied", type_ = "boolean", json_path = ".status.applied"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        description = "Latest reconciliation message"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionSpec {
    /// The Cluster, of the same namespace.
    pub cluster: LocalObjectReference,
    /// Its name in postgres. It cannot be changed.
    pub name: String,
    /// The database. It cannot be changed.
    pub dbname: String,
    /// Its parameters (`WITH`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The publication.
    pub publication_name: String,
    /// The database of the publication. Default: as `dbname` of the external cluster's connection says.
    #[serde(rename = "publicationDBName", default, skip_serializing_if = "Option::is_none")]
    pub publication_dbname: Option<String>,
    /// Which of the Cluster's `externalClusters` has it.
    pub external_cluster_name: String,
    /// What becomes of it when this object is deleted.
    #[serde(default)]
    pub subscription_reclaim_policy: ReclaimPolicy,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionStatus {
    /// The generation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether it is in the database as it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
