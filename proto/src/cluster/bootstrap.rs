//! `spec.bootstrap`: where the first database comes from.

use super::{BootstrapPgBaseBackup, BootstrapRecovery, Extra, Import, LocalObjectReference, SqlRefs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the first database comes from. Used once per Cluster, by its UID.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BootstrapConfiguration {
    /// A new, empty database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initdb: Option<Box<BootstrapInitDb>>,
    /// A copy of a running server.
    #[serde(rename = "pg_basebackup", skip_serializing_if = "Option::is_none")]
    pub pg_basebackup: Option<Box<BootstrapPgBaseBackup>>,
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
    /// Options of initdb, as they are. They take the place of all fields below up to `walSegmentSize`, and of
    /// `dataChecksums`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Encoding of the databases. Default: `UTF8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// How text is sorted. Default: `C`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale_collate: Option<String>,
    /// What a letter is. Default: `C`.
    #[serde(rename = "localeCType", skip_serializing_if = "Option::is_none")]
    pub locale_ctype: Option<String>,
    /// The locale of everything that the other fields do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Who sorts: `libc`, `icu` (PostgreSQL 15) or `builtin` (17).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale_provider: Option<String>,
    /// ICU's locale, with `localeProvider: icu` (PostgreSQL 15).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icu_locale: Option<String>,
    /// ICU's further rules, with `localeProvider: icu` (PostgreSQL 16).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    /// The builtin provider's locale, with `localeProvider: builtin` (PostgreSQL 17).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builtin_locale: Option<String>,
    /// Size of a WAL segment in MB: a power of two from 1 to 1024. Default: postgres', 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub wal_segment_size: Option<i32>,
    /// SQL for database `postgres`, as superuser, once.
    #[serde(rename = "postInitSQL", skip_serializing_if = "Vec::is_empty")]
    pub post_init_sql: Vec<String>,
    /// SQL for the application's database, as superuser, once.
    #[serde(rename = "postInitApplicationSQL", skip_serializing_if = "Vec::is_empty")]
    pub post_init_application_sql: Vec<String>,
    /// SQL for `template1`, as superuser, once, before the application's database is made of it.
    #[serde(rename = "postInitTemplateSQL", skip_serializing_if = "Vec::is_empty")]
    pub post_init_template_sql: Vec<String>,
    /// The same as `postInitSQL`, after it, from Secrets and ConfigMaps.
    #[serde(rename = "postInitSQLRefs", skip_serializing_if = "Option::is_none")]
    pub post_init_sql_refs: Option<SqlRefs>,
    /// The same as `postInitApplicationSQL`, after it, from Secrets and ConfigMaps.
    #[serde(rename = "postInitApplicationSQLRefs", skip_serializing_if = "Option::is_none")]
    pub post_init_application_sql_refs: Option<SqlRefs>,
    /// The same as `postInitTemplateSQL`, after it, from Secrets and ConfigMaps.
    #[serde(rename = "postInitTemplateSQLRefs", skip_serializing_if = "Option::is_none")]
    pub post_init_template_sql_refs: Option<SqlRefs>,
    /// Databases of another server, copied by `pg_dump`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<Box<Import>>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
