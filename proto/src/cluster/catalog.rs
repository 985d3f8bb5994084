//! `spec.imageCatalogRef`: an image by its PostgreSQL major, out of a catalog.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One major of an ImageCatalog or ClusterImageCatalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageCatalogRef {
    /// `postgresql.cnpg.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// `ImageCatalog` or `ClusterImageCatalog`.
    pub kind: String,
    /// Name of the catalog.
    pub name: String,
    /// The PostgreSQL major.
    pub major: i32,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An extension in an image of its own, which is mounted at `/extensions/<name>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtensionConfiguration {
    /// Name of the extension.
    #[schemars(length(min = 1), regex(pattern = r"^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$"))]
    pub name: String,
    /// The image: `reference` and `pullPolicy`.
    #[serde(default)]
    #[schemars(schema_with = "super::kubernetes::bare::<k8s_openapi::api::core::v1::ImageVolumeSource>")]
    pub image: k8s_openapi::api::core::v1::ImageVolumeSource,
    /// Directories in the image for `extension_control_path`. Default: `share`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extension_control_path: Vec<String>,
    /// Directories in the image for `dynamic_library_path`. Default: `lib`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dynamic_library_path: Vec<String>,
    /// Directories in the image for `LD_LIBRARY_PATH`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ld_library_path: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
