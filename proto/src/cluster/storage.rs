//! `spec.storage`: the volume of each instance.

use super::Extra;
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
    /// Whether volumes in use are resized when `size` grows.
    pub resize_in_use_volumes: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for StorageConfiguration {
    fn default() -> Self {
        Self { size: String::new(), storage_class: None, resize_in_use_volumes: true, extra: Extra::default() }
    }
}
