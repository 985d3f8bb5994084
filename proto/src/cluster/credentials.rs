//! Credentials of object stores that are not S3.

use super::{Extra, SecretKeySelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Azure Blob Storage: one of the ways to sign in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureCredentials {
    /// Everything in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<SecretKeySelector>,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_account: Option<SecretKeySelector>,
    /// The account's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_key: Option<SecretKeySelector>,
    /// A shared-access-signature token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_sas_token: Option<SecretKeySelector>,
    /// The identity of the pod.
    #[serde(rename = "inheritFromAzureAD", skip_serializing_if = "core::ops::Not::not")]
    pub inherit_from_azure_ad: bool,
    /// Whatever the environment has.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub use_default_azure_credentials: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GoogleCredentials {
    /// A service account's key file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_credentials: Option<SecretKeySelector>,
    /// The identity of the pod, in GKE.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub gke_environment: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
