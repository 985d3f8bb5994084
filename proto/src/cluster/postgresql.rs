//! `spec.postgresql`: what postgres is told.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What postgres is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PostgresConfiguration {
    /// Parameters of postgresql.conf. The values are strings, numbers too. Parameters that the manager sets itself
    /// (`archive_command`, `port`, ...) are refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Lines of pg_hba.conf, between the fixed rules and the last one, which lets everybody in by password.
    #[serde(rename = "pg_hba", skip_serializing_if = "Vec::is_empty")]
    pub pg_hba: Vec<String>,
    /// Lines of pg_ident.conf, after the fixed ones.
    #[serde(rename = "pg_ident", skip_serializing_if = "Vec::is_empty")]
    pub pg_ident: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
