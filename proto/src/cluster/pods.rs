//! Smaller fields about pods and their nodes.

use super::Extra;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `spec.ephemeralVolumesSizeLimit`: how large the volumes that go with a pod may become.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EphemeralVolumesSizeLimit {
    /// Shared memory (`/dev/shm`). Default: half of the node's memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<Quantity>")]
    pub shm: Option<Quantity>,
    /// Scratch files. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<Quantity>")]
    pub temporary_data: Option<Quantity>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `spec.nodeMaintenanceWindow`: work on nodes is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeMaintenanceWindow {
    /// Whether instances wait for their volumes' nodes, or are made anew elsewhere.
    #[serde(rename = "reusePVC")]
    pub reuse_pvc: bool,
    /// Whether it is going on.
    pub in_progress: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for NodeMaintenanceWindow {
    fn default() -> Self {
        Self { reuse_pvc: true, in_progress: false, extra: Extra::default() }
    }
}

/// `spec.podSelectorRefs`: pods whose addresses stand for `${podselector:NAME}` in `pg_hba`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSelectorRef {
    /// The name in `pg_hba`.
    pub name: String,
    /// The pods, of the same namespace.
    #[serde(default)]
    #[schemars(schema_with = "super::kubernetes::bare::<LabelSelector>")]
    pub selector: LabelSelector,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
