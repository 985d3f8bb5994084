//! `bootstrap.initdb.import`, `bootstrap.pg_basebackup`, and the SQL of a bootstrap that is kept elsewhere.

use super::{ConfigMapKeySelector, Extra, LocalObjectReference, SecretKeySelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// SQL in Secrets, then SQL in ConfigMaps, each in the order of its list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SqlRefs {
    /// Keys of Secrets. They are run first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_refs: Vec<SecretKeySelector>,
    /// Keys of ConfigMaps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config_map_refs: Vec<ConfigMapKeySelector>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImportKind {
    /// One database, into the application's.
    Microservice,
    /// Databases and roles, under their names.
    Monolith,
}

/// Databases that are copied from another server by `pg_dump` and `pg_restore`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// Where from.
    pub source: ImportSource,
    /// One database, or several.
    #[serde(rename = "type")]
    pub kind: ImportKind,
    /// Their names; `*` for all (`monolith`).
    pub databases: Vec<String>,
    /// Roles; `*` for all (`monolith`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// SQL for the application's database afterwards (`microservice`).
    #[serde(rename = "postImportApplicationSQL", default, skip_serializing_if = "Vec::is_empty")]
    pub post_import_application_sql: Vec<String>,
    /// Without the data.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub schema_only: bool,
    /// Options of `pg_dump`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pg_dump_extra_options: Vec<String>,
    /// Options of `pg_restore`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pg_restore_extra_options: Vec<String>,
    /// Those of its first section, in place of the former.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pg_restore_predata_options: Vec<String>,
    /// Those of its second section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pg_restore_data_options: Vec<String>,
    /// Those of its third section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pg_restore_postdata_options: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where an import comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSource {
    /// The name of one of `externalClusters`.
    pub external_cluster: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A database that is copied from a running server, file by file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapPgBaseBackup {
    /// The name of one of `externalClusters`.
    #[schemars(length(min = 1))]
    pub source: String,
    /// Name of the application's database. Default: `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Role that owns it. Default: as the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A basic-auth Secret with the owner's user name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<LocalObjectReference>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
