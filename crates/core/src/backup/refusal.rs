//! Why a recovery is refused before anything is fetched, with what could be recovered instead.

use super::{BackupId, Target, Timestamp};
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use crate::wal::SegmentName;
use core::fmt;

/// What can be recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// The oldest backup that counts.
    pub oldest: BackupId,
    /// The first moment that can be recovered.
    pub first: Timestamp,
    /// The first position.
    pub first_lsn: Lsn,
    /// The last moment: when the last WAL file was stored. Nothing where the store does not say.
    pub last: Option<Timestamp>,
    /// The last position.
    pub last_lsn: Lsn,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing to begin with.
    #[error("there is no complete backup in the archive ({unusable} that failed or are not finished)")]
    NoBackup {
        /// Backups that are not complete.
        unusable: usize,
    },
    /// `backupID` names none.
    #[error("there is no backup {id} in the archive; there are {}", listed(backups))]
    UnknownBackup {
        /// What was asked for.
        id: BackupId,
        /// What there is.
        backups: Vec<BackupId>,
    },
    /// `backupID` names one that failed or is not finished.
    #[error("backup {id} is not complete")]
    NotComplete {
        /// What was asked for.
        id: BackupId,
    },
    /// `targetTLI` names one whose history is not in the archive.
    #[error("the archive has no history of timeline {timeline}")]
    UnknownTimeline {
        /// What was asked for.
        timeline: TimelineId,
    },
    /// The timeline does not descend from any backup that counts.
    #[error("timeline {timeline} does not descend from {}", listed(backups))]
    OtherTimeline {
        /// The target's.
        timeline: TimelineId,
        /// Those that there are.
        backups: Vec<BackupId>,
    },
    /// Before the first backup ended.
    #[error("{target} is before what can be recovered: {available}")]
    TooEarly {
        /// What was asked for.
        target: Target,
        /// What there is.
        available: Available,
    },
    /// After the last WAL.
    #[error("{target} is after what can be recovered: {available}")]
    TooLate {
        /// What was asked for.
        target: Target,
        /// What there is.
        available: Available,
    },
    /// WAL that makes the backup consistent is not there.
    #[error("backup {backup} cannot be used: the archive lacks {segment}, without which it is not consistent")]
    WalMissing {
        /// The backup.
        backup: BackupId,
        /// The first segment that is missing.
        segment: SegmentName,
    },
    /// There is WAL after WAL that is missing.
    #[error(
        "the archive lacks {segment}, and has WAL after it: the end of the archive cannot be reached; \
         to recover up to the hole, ask for targetLSN {covered}"
    )]
    Hole {
        /// The first segment that is missing.
        segment: SegmentName,
        /// Where it begins.
        covered: Lsn,
    },
}

fn listed(backups: &[BackupId]) -> String {
    let names: Vec<&str> = backups.iter().map(BackupId::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oldest, first, first_lsn, last, last_lsn } = self;
        write!(f, "first recoverable {} (LSN {first_lsn}, backup {oldest}), last recoverable ", first.utc())?;
        match last {
            Some(last) => write!(f, "{} (LSN {last_lsn})", last.utc()),
            None => write!(f, "LSN {last_lsn}"),
        }
    }
}
