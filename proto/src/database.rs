//! The Database: a database, with its schemas, extensions and foreign servers.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use crate::cluster::{Ensure, Extra, LocalObjectReference};
use crate::database_objects::{ExtensionSpec, FdwSpec, ObjectStatus, SchemaSpec, ServerSpec};
use crate::reclaim::ReclaimPolicy;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the user asks for, by the options of `CREATE DATABASE`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Database",
    plural = "databases",
    singular = "database",
    namespaced,
    status = "DatabaseStatus",
    derive = "PartialEq",
    doc = "A database of a cluster.",
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
pub struct DatabaseSpec {
    /// The Cluster, of the same namespace.
    pub cluster: LocalObjectReference,
    /// Whether it is there.
    #[serde(default)]
    pub ensure: Ensure,
    /// Its name. It cannot be changed.
    pub name: String,
    /// Who owns it.
    pub owner: String,
    /// The database that it is made of. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Its encoding. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Its locale. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Who sorts: `libc`, `icu` (PostgreSQL 15) or `builtin` (17). It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale_provider: Option<String>,
    /// How text is sorted. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale_collate: Option<String>,
    /// What a letter is. It cannot be changed.
    #[serde(rename = "localeCType", default, skip_serializing_if = "Option::is_none")]
    pub locale_ctype: Option<String>,
    /// ICU's locale, with `localeProvider: icu`. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_locale: Option<String>,
    /// ICU's further rules, with `localeProvider: icu`. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    /// The builtin provider's locale, with `localeProvider: builtin`. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin_locale: Option<String>,
    /// The version of its collation. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_version: Option<String>,
    /// Whether others may be made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_template: Option<bool>,
    /// Whether anybody may connect to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_connections: Option<bool>,
    /// How many sessions it may have; -1 for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_limit: Option<i32>,
    /// Its default tablespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// What becomes of it when this object is deleted.
    #[serde(default)]
    pub database_reclaim_policy: ReclaimPolicy,
    /// Its schemas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<SchemaSpec>,
    /// Its extensions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ExtensionSpec>,
    /// Its foreign-data wrappers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fdws: Vec<FdwSpec>,
    /// Its foreign servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerSpec>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DatabaseStatus {
    /// The generation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether it is in the database as it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its schemas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<ObjectStatus>,
    /// Its extensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ObjectStatus>,
    /// Its foreign-data wrappers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fdws: Vec<ObjectStatus>,
    /// Its foreign servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ObjectStatus>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
