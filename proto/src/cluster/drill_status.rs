//! `status.recoverability.drill` and `lastProven`: how restore drills went. The controller writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Phases of a drill.
pub mod phase {
    /// Its pod is to be made.
    pub const ORDERED: &str = "ordered";
    /// Its pod is there.
    pub const RUNNING: &str = "running";
    /// The backup was restored, and every check passed.
    pub const PROVEN: &str = "proven";
    /// It was not.
    pub const FAILED: &str = "failed";
}

/// What a drill is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DrillOrder {
    /// Whoever asked for it tells his request by this; absent for one of the schedule.
    pub id: Option<String>,
    /// The backup to restore: its folder below `base/`. Default: the newest.
    #[serde(rename = "backupID")]
    pub backup_id: Option<String>,
    /// The moment to restore to. Default: the end of the archive.
    pub to: Option<String>,
    /// SQL for the application's database: it has to answer one row, and that begins with true.
    pub query: Option<String>,
    /// How long it may take.
    pub timeout_seconds: Option<i64>,
}

/// The last drill, or the one that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Drill {
    /// `ordered`, `running`, `proven` or `failed`.
    pub phase: Option<String>,
    /// What it was to do.
    pub order: Option<DrillOrder>,
    /// The pod that does it; deleted afterwards, with its volume.
    pub pod: Option<String>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub stopped_at: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The id of the last request that was taken up.
    pub request: Option<String>,
    /// Slots of the schedule up to here are settled. RFC 3339.
    pub checked_at: Option<String>,
    /// When one last failed. RFC 3339.
    pub last_failed_at: Option<String>,
}

/// What was restored, and found whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Proven {
    /// The moment that was restored: the last commit that was replayed, or the end of the backup where there was none
    /// after it; with a target, that. RFC 3339.
    pub instant: Option<String>,
    /// Where replay ended.
    pub lsn: Option<String>,
    /// The timeline that it was on.
    #[serde(rename = "timelineID")]
    pub timeline_id: i64,
    /// The backup.
    #[serde(rename = "backupID")]
    pub backup_id: Option<String>,
    /// When this was known. RFC 3339.
    pub proven_at: Option<String>,
    /// All of it.
    pub milliseconds: i64,
    /// The base backup, until it was in place and on disk.
    pub fetch_milliseconds: i64,
    /// WAL, until postgres was up and had stopped again.
    pub replay_milliseconds: i64,
    /// Checksums, amcheck and the query.
    pub check_milliseconds: i64,
    /// Of the base backup, as it is stored.
    pub fetched_bytes: i64,
    /// Of the base backup, as it is on disk.
    pub written_bytes: i64,
    /// Of WAL that was replayed.
    pub replayed_bytes: i64,
    /// `verified`, or why they were not.
    pub checksums: Option<String>,
    /// `verified`, or why it was not; and in which databases of the copy the extension had to be made.
    pub amcheck: Option<String>,
    /// `true`, or that none was asked for.
    pub query: Option<String>,
}
