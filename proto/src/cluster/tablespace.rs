//! `spec.tablespaces`: volumes beside the data volume.

use super::{Extra, StorageConfiguration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tablespace, on a volume of its own in each instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TablespaceConfiguration {
    /// Its name in SQL.
    pub name: String,
    /// Its volume.
    pub storage: StorageConfiguration,
    /// Who owns it. Default: `postgres`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<DatabaseRoleRef>,
    /// Whether temporary objects go there (`temp_tablespaces`).
    #[serde(default)]
    pub temporary: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A role in postgres.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DatabaseRoleRef {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
