//! The Publication: tables whose changes others may subscribe to.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use crate::cluster::{Extra, LocalObjectReference};
use crate::reclaim::ReclaimPolicy;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the user asks for, by the options of `CREATE PUBLICATION`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Publication",
    plural = "publications",
    singular = "publication",
    namespaced,
    status = "PublicationStatus",
    derive = "PartialEq",
    doc = "A publication of a cluster.",
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
pub struct PublicationSpec {
    /// The Cluster, of the same namespace.
    pub cluster: LocalObjectReference,
    /// Its name in postgres. It cannot be changed.
    pub name: String,
    /// The database. It cannot be changed.
    pub dbname: String,
    /// Its parameters (`WITH`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// What it publishes.
    pub target: PublicationTarget,
    /// What becomes of it when this object is deleted.
    #[serde(default)]
    pub publication_reclaim_policy: ReclaimPolicy,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// All tables, or some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PublicationTarget {
    /// All of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_tables: Option<bool>,
    /// These.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100_000))]
    pub objects: Vec<PublicationObject>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The tables of a schema, or one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PublicationObject {
    /// All tables of this schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables_in_schema: Option<String>,
    /// This table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<PublicationTable>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A table, or some of its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicationTable {
    /// Without the tables that inherit from it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub only: bool,
    /// Its name.
    pub name: String,
    /// Its schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// These columns alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PublicationStatus {
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
