//! `spec.backup`: where WAL and base backups go.

use super::{BarmanObjectStore, Extra, VolumeSnapshotConfiguration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which instance base backups are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackupTarget {
    /// The primary.
    Primary,
    /// The most advanced standby; the primary when there is none.
    #[default]
    PreferStandby,
}

/// Where WAL and base backups go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupConfiguration {
    /// An object store, in barman-cloud's layout. Without it WAL is not archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barman_object_store: Option<BarmanObjectStore>,
    /// How volume snapshots are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_snapshot: Option<Box<VolumeSnapshotConfiguration>>,
    /// How long backups and the WAL they need are kept: `<n>d`, `<n>w` or `<n>m`. Absent means for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]*[dwm]$"))]
    pub retention_policy: Option<String>,
    /// Which instance base backups are taken from.
    pub target: BackupTarget,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
