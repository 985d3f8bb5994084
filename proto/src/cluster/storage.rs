//! `spec.storage`: the volume of each instance.

use super::Extra;
use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The volume of each instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageConfiguration {
    /// Size of each instance's volume, as a Kubernetes quantity (`100Gi`). It cannot be decreased.
    #[schemars(length(min = 1))]
    pub size: String,
    /// The storage class; the Kubernetes cluster's default class when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// The rest of the claim. `size` and `storageClass` have precedence over what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<PersistentVolumeClaimSpec>")]
    pub pvc_template: Option<Box<PersistentVolumeClaimSpec>>,
    /// Whether volumes in use are resized when `size` grows.
    pub resize_in_use_volumes: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl StorageConfiguration {
    /// The size that is asked for: `size`, else what the template says; empty if neither does.
    #[must_use]
    pub fn requested(&self) -> &str {
        if !self.size.is_empty() {
            return &self.size;
        }
        let claim = self.pvc_template.as_deref().and_then(|claim| claim.resources.as_ref()?.requests.as_ref());
        claim.and_then(|requests| requests.get("storage")).map_or("", |size| size.0.as_str())
    }

    /// The storage class: `storageClass`, else what the template says.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        let claim = self.pvc_template.as_deref();
        self.storage_class.as_deref().or_else(|| claim.and_then(|claim| claim.storage_class_name.as_deref()))
    }
}

impl Default for StorageConfiguration {
    fn default() -> Self {
        Self {
            size: String::new(),
            storage_class: None,
            pvc_template: None,
            resize_in_use_volumes: true,
            extra: Extra::default(),
        }
    }
}
