//! `spec.managed`: roles and services that are kept as the manifest says; and what has become of the roles.

use super::{Extra, LocalObjectReference, Metadata};
use k8s_openapi::api::core::v1::ServiceSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether something is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ensure {
    /// It is.
    #[default]
    Present,
    /// It is not.
    Absent,
}

/// Roles and services of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedConfiguration {
    /// Roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleConfiguration>,
    /// Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ManagedServices>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A role, by the options of `CREATE ROLE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleConfiguration {
    /// Name of the role.
    pub name: String,
    /// Its description (`COMMENT ON ROLE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it is there.
    pub ensure: Ensure,
    /// A basic-auth Secret with its password. Absent: the password stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<LocalObjectReference>,
    /// How many sessions it may have; -1 for any number.
    pub connection_limit: i64,
    /// Until when its password is good: RFC 3339. Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// Roles that it is a member of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_roles: Vec<String>,
    /// Whether it has the rights of those.
    pub inherit: bool,
    /// Whether it has no password.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub disable_password: bool,
    /// Whether it may do everything.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub superuser: bool,
    /// Whether it may make databases.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub createdb: bool,
    /// Whether it may make roles.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub createrole: bool,
    /// Whether it may sign in.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub login: bool,
    /// Whether it may replicate.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub replication: bool,
    /// Whether row-level security does not bind it.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub bypassrls: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for RoleConfiguration {
    fn default() -> Self {
        Self {
            name: String::new(),
            comment: None,
            ensure: Ensure::Present,
            password_secret: None,
            connection_limit: -1,
            valid_until: None,
            in_roles: Vec::new(),
            inherit: true,
            disable_password: false,
            superuser: false,
            createdb: false,
            createrole: false,
            login: false,
            replication: false,
            bypassrls: false,
            extra: Extra::default(),
        }
    }
}

/// Which instances a service leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceSelector {
    /// The primary.
    Rw,
    /// All of them.
    R,
    /// The standbys.
    Ro,
}

/// How a service becomes another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceUpdateStrategy {
    /// In place.
    #[default]
    Patch,
    /// It is deleted and made anew.
    Replace,
}

/// Services beside the three, and which of the three are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedServices {
    /// `r` and `ro`: those of the three that are not made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disabled_default_services: Vec<ServiceSelector>,
    /// Further ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<ManagedService>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A service beside the three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedService {
    /// Which instances it leads to.
    pub selector_type: ServiceSelector,
    /// How it becomes another.
    #[serde(default)]
    pub update_strategy: ServiceUpdateStrategy,
    /// What it looks like; its name is required, its selector is ours.
    pub service_template: ServiceTemplateSpec,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A template of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceTemplateSpec {
    /// Name, labels and annotations.
    pub metadata: Metadata,
    /// Kubernetes' ServiceSpec.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<ServiceSpec>")]
    pub spec: Option<ServiceSpec>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What has become of the roles (CNPG's `managedRolesStatus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedRolesStatus {
    /// Roles by `reconciled`, `pending-reconciliation`, `not-managed` and `reserved`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_status: BTreeMap<String, Vec<String>>,
    /// Why not, by role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cannot_reconcile: BTreeMap<String, Vec<String>>,
    /// Whose password was set, and of what.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub password_status: BTreeMap<String, PasswordState>,
}

/// The password that a role has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordState {
    /// CNPG's: the transaction that set it. Ours is not known, and absent.
    #[serde(rename = "transactionID", skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<i64>,
    /// The version of its Secret.
    pub resource_version: String,
}
