//! `spec.bootstrap`: where the first database comes from.

use super::{BootstrapRecovery, Extra, LocalObjectReference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the first database comes from. Used once per Cluster, by its UID.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BootstrapConfiguration {
    /// A new, empty database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initdb: Option<BootstrapInitDb>,
    /// A database as it once was, out of an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<BootstrapRecovery>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A new, empty database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BootstrapInitDb {
    /// Name of the application's database. Default: `app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Role that owns it. Default: as the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A basic-auth Secret with the owner's user name and password. Default: `<cluster>-app`, made for you.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<LocalObjectReference>,
    /// Every page carries a checksum, so that one that was damaged on the disk is refused instead of read. Default: false,
    /// as CNPG's. Chosen when the first database is made, and not changed afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_checksums: Option<bool>,
    /// Size of a WAL segment in MB: a power of two from 1 to 1024. Default: postgres', 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub wal_segment_size: Option<i32>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
