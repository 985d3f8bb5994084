//! What the archiver tells status, metrics and conditions.

use pgherd_core::archive::Progress;
use pgherd_core::wal::WalName;
use std::time::SystemTime;

/// One failure, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The file.
    pub name: WalName,
    /// When.
    pub at: SystemTime,
    /// A fixed word: `outage`, `throttled`, `forbidden`, `misconfigured`, `different_content`, ...
    pub kind: &'static str,
    /// The archive refuses the file: waiting does not help.
    pub refused: bool,
    /// The whole chain of reasons.
    pub reason: String,
}

/// Where archiving stands. Times are wall-clock, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArchiverStatus {
    /// Absent while the Cluster has not been read; `false` without a backup section.
    pub configured: Option<bool>,
    /// Files archived since this manager started.
    pub archived_count: u64,
    /// Their bytes, before compression.
    pub archived_bytes: u64,
    /// Uploads that failed since this manager started.
    pub failed_count: u64,
    /// The last file archived, and when.
    pub last_archived: Option<(WalName, SystemTime)>,
    /// The last failure.
    pub last_failed: Option<Failure>,
    /// Since when nothing has worked; absent while archiving works.
    pub failing_since: Option<SystemTime>,
    /// Files in `archive_status` that wait (`.ready`).
    pub ready: usize,
    /// The alarm: files whose name is taken by other content in the archive (invariant I5), or that the archive of another
    /// cluster does not take.
    pub refused: Vec<WalName>,
    /// Rates and estimate.
    pub progress: Option<Progress>,
}
