//! The DatabaseRole: a role of postgres as an object of its own.
#![allow(clippy::duplicated_attributes, reason = "each printer column repeats the names of its parts")]

use crate::cluster::{Extra, LocalObjectReference, RoleConfiguration};
use crate::reclaim::ReclaimPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the user asks for.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "DatabaseRole",
    plural = "databaseroles",
    singular = "databaserole",
    namespaced,
    status = "DatabaseRoleStatus",
    derive = "PartialEq",
    doc = "A role of a cluster.",
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
pub struct DatabaseRoleSpec {
    /// The Cluster, of the same namespace.
    pub cluster: LocalObjectReference,
    /// The role, as in `managed.roles` of a Cluster. `ensure: absent` is not for this kind.
    #[serde(flatten)]
    pub role: RoleConfiguration,
    /// What becomes of it when this object is deleted.
    #[serde(default)]
    pub database_role_reclaim_policy: ReclaimPolicy,
    /// Whether a client certificate is made for it, in Secret `<name>-client-cert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate to sign in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientCertificate {
    /// Whether it is made. The role must be allowed to log in.
    pub enabled: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for ClientCertificate {
    fn default() -> Self {
        Self { enabled: true, extra: Extra::default() }
    }
}

/// The certificate that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientCertificateState {
    /// Until when it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DatabaseRoleStatus {
    /// The generation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether it is in the database as it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The version of the password Secret that is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_resource_version: Option<String>,
    /// The certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificateState>,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
