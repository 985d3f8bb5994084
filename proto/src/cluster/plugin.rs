//! `spec.plugins`: CNPG-I plugins.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A plugin and its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PluginConfiguration {
    /// Its name, `barman-cloud.cloudnative-pg.io` for one.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// Whether it archives WAL, in place of `backup.barmanObjectStore`.
    #[serde(rename = "isWALArchiver")]
    pub is_wal_archiver: bool,
    /// What it is told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for PluginConfiguration {
    fn default() -> Self {
        Self {
            name: String::new(),
            enabled: true,
            is_wal_archiver: false,
            parameters: BTreeMap::new(),
            extra: Extra::default(),
        }
    }
}
