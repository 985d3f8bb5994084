//! Volume snapshots: backups by them (`spec.backup.volumeSnapshot`), and a database out of them
//! (`bootstrap.recovery.volumeSnapshots`).

use super::Extra;
use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who owns a snapshot: with its owner it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotOwner {
    /// Nobody.
    #[default]
    None,
    /// The Backup.
    Backup,
    /// The Cluster.
    Cluster,
}

/// How snapshots are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSnapshotConfiguration {
    /// Labels of the snapshots.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the snapshots.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The VolumeSnapshotClass of the data volumes. Default: the Kubernetes cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// That of the WAL volumes. Default: `className`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_class_name: Option<String>,
    /// Those of tablespaces, by their names. Default: `className`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tablespace_class_name: BTreeMap<String, String>,
    /// Who owns them.
    pub snapshot_owner_reference: SnapshotOwner,
    /// Whether postgres goes on meanwhile.
    pub online: bool,
    /// How, if it does.
    pub online_configuration: OnlineConfiguration,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for VolumeSnapshotConfiguration {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            class_name: None,
            wal_class_name: None,
            tablespace_class_name: BTreeMap::new(),
            snapshot_owner_reference: SnapshotOwner::None,
            online: true,
            online_configuration: OnlineConfiguration::default(),
            extra: Extra::default(),
        }
    }
}

/// How a backup begins and ends while postgres goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OnlineConfiguration {
    /// Whether its end waits until its WAL is archived.
    pub wait_for_archive: bool,
    /// Whether its first checkpoint is made at once.
    pub immediate_checkpoint: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for OnlineConfiguration {
    fn default() -> Self {
        Self { wait_for_archive: true, immediate_checkpoint: false, extra: Extra::default() }
    }
}

/// The volumes that a database is made out of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataSource {
    /// The data volume: a VolumeSnapshot or a PersistentVolumeClaim.
    #[schemars(schema_with = "super::kubernetes::bare::<TypedLocalObjectReference>")]
    pub storage: TypedLocalObjectReference,
    /// The WAL volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::kubernetes::bare::<TypedLocalObjectReference>")]
    pub wal_storage: Option<TypedLocalObjectReference>,
    /// Tablespaces, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "super::kubernetes::bare::<BTreeMap<String, TypedLocalObjectReference>>")]
    pub tablespace_storage: BTreeMap<String, TypedLocalObjectReference>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
