//! `spec.postgresql`: what postgres is told.

use super::{ExtensionConfiguration, Extra, LdapConfig, SyncReplicaElectionConstraint, SynchronousReplication};
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
    /// Which commits wait for which standbys. Absent: none waits for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronous: Option<SynchronousReplication>,
    /// For `minSyncReplicas` and `maxSyncReplicas`, what the standbys that count must not share with the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_replica_election_constraint: Option<SyncReplicaElectionConstraint>,
    /// Whether superusers may use ALTER SYSTEM. What the manager sets is not changed by it.
    pub enable_alter_system: bool,
    /// Libraries that are loaded before those that a parameter calls for (`pgaudit.*` and the like).
    #[serde(rename = "shared_preload_libraries", skip_serializing_if = "Vec::is_empty")]
    pub shared_preload_libraries: Vec<String>,
    /// Sign in by LDAP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<Box<LdapConfig>>,
    /// Seconds that a promotion may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion_timeout: Option<i32>,
    /// Extensions in images of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ExtensionConfiguration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
