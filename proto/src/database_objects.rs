//! What a Database has in it.

use crate::cluster::{Ensure, Extra};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaSpec {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    #[serde(default)]
    pub ensure: Ensure,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who may make objects in it, and who may not any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub create: Vec<UsageSpec>,
    /// Who may use it, and who may not any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageSpec>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionSpec {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    #[serde(default)]
    pub ensure: Ensure,
    /// Its version. Default: the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The schema of its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A foreign-data wrapper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FdwSpec {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    #[serde(default)]
    pub ensure: Ensure,
    /// Its handler function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Its validator function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// Who owns it: a superuser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionSpec>,
    /// Who may use it, and who may not any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageSpec>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A foreign server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerSpec {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    #[serde(default)]
    pub ensure: Ensure,
    /// Its foreign-data wrapper.
    #[schemars(length(min = 1))]
    pub fdw: String,
    /// Its options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionSpec>,
    /// Who may use it, and who may not any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageSpec>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An option of a wrapper or a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptionSpec {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it is there.
    #[serde(default)]
    pub ensure: Ensure,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether a right is given or taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageKind {
    /// Given.
    #[default]
    Grant,
    /// Taken.
    Revoke,
}

/// A role's right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageSpec {
    /// The role.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Given or taken.
    #[serde(rename = "type", default)]
    pub kind: UsageKind,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What became of one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectStatus {
    /// Its name.
    pub name: String,
    /// Whether it is as it is asked for.
    pub applied: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
