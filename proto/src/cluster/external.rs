//! `spec.externalClusters`: other clusters, by their archive or by how they are reached.

use super::{BarmanObjectStore, Extra, PluginConfiguration, SecretKeySelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Another cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalCluster {
    /// The name that it is referred to by.
    pub name: String,
    /// How it is connected to, by libpq's names: `host`, `port`, `user`, `dbname`, `sslmode`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connection_parameters: BTreeMap<String, String>,
    /// The client's certificate for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_cert: Option<SecretKeySelector>,
    /// The key of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_key: Option<SecretKeySelector>,
    /// The authority of its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_root_cert: Option<SecretKeySelector>,
    /// The password for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretKeySelector>,
    /// Its archive. `serverName` is by default this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barman_object_store: Option<BarmanObjectStore>,
    /// The plugin that reaches its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginConfiguration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
