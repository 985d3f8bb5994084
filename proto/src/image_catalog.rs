//! The ImageCatalog and the ClusterImageCatalog: images by PostgreSQL major.

use crate::cluster::{ExtensionConfiguration, Extra};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The images of a namespace.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "ImageCatalog",
    plural = "imagecatalogs",
    singular = "imagecatalog",
    namespaced,
    derive = "PartialEq",
    doc = "Images of PostgreSQL, for the clusters of a namespace.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ImageCatalogSpec {
    /// One for each major.
    #[schemars(length(min = 1, max = 8))]
    pub images: Vec<CatalogImage>,
    /// Images of other programs, PgBouncer's for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub extra_images: Vec<CatalogExtraImage>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The images of all namespaces.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "ClusterImageCatalog",
    plural = "clusterimagecatalogs",
    singular = "clusterimagecatalog",
    derive = "PartialEq",
    doc = "Images of PostgreSQL, for the clusters of every namespace.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterImageCatalogSpec {
    /// One for each major.
    #[schemars(length(min = 1, max = 8))]
    pub images: Vec<CatalogImage>,
    /// Images of other programs, PgBouncer's for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub extra_images: Vec<CatalogExtraImage>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The image of a major.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogImage {
    /// The image.
    pub image: String,
    /// The major.
    #[schemars(range(min = 10))]
    pub major: i32,
    /// Extensions that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ExtensionConfiguration>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The image of another program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogExtraImage {
    /// What it is referred to by.
    #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub key: String,
    /// The image.
    pub image: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
